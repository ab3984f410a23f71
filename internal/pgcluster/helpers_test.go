package pgcluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// needServer skips a test where no PostgreSQL is installed.
func needServer(t *testing.T) pgcluster.Binaries {
	t.Helper()
	b, err := pgcluster.Find()
	if errors.Is(err, pgcluster.ErrNotFound) {
		t.Skip("PostgreSQL is not installed")
	}
	require.NoError(t, err)
	return b
}

// start starts a cluster that the end of the test stops.
func start(t *testing.T, o pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	needServer(t)
	c, err := pgcluster.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

// query returns the one value that sql yields.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

// execute runs statements that yield nothing.
func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// tempDir is a t.TempDir that the user of a root test's server can reach.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

// snapshot tells all that could change in a directory.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		state := info.Mode().String() + " " + info.ModTime().String()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			state += " " + strings.Repeat("*", int(st.Uid%97)) // The owner, too.
		}
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			state += " " + string(text)
		}
		files[path] = state
		return nil
	})
	require.NoError(t, err)
	return files
}

// owner is another process that runs a cluster.
type owner struct {
	URL, Dir string
	cmd      *exec.Cmd
	stdin    io.Closer
}

// startOwner runs TestOwner, as another process, with a cluster of the options.
func startOwner(t *testing.T, o pgcluster.Options, env ...string) *owner {
	t.Helper()
	cmd := ownerCommand(t, o)
	cmd.Env = append(cmd.Env, env...)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	other := &owner{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, other), "output %s", line)
	return other
}

func ownerCommand(t *testing.T, o pgcluster.Options) *exec.Cmd {
	t.Helper()
	needServer(t)
	options, err := json.Marshal(o)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwner$")
	cmd.Env = append(os.Environ(), ownerEnv+"="+string(options))
	cmd.Stderr = os.Stderr
	return cmd
}

// kill ends the owner as the out-of-memory killer would.
func (o *owner) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, o.cmd.Process.Kill())
	require.Error(t, o.cmd.Wait())
}

// stop has the owner stop its cluster and end.
func (o *owner) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, o.stdin.Close())
	require.NoError(t, o.cmd.Wait())
}

const ownerEnv = "LOANSERVE_PGCLUSTER_TEST_OWNER"

// TestOwner is not a test but the process that startOwner starts: it runs a
// cluster until its standard input ends.
func TestOwner(t *testing.T) {
	t.Parallel()

	options, ok := os.LookupEnv(ownerEnv)
	if !ok {
		t.Skip("runs as a process of other tests")
	}
	var o pgcluster.Options
	require.NoError(t, json.Unmarshal([]byte(options), &o))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // Its test may be gone.
	defer cancel()
	c, err := pgcluster.Start(ctx, o)
	require.NoError(t, err)
	require.NoError(t, json.NewEncoder(os.Stdout).Encode(owner{URL: c.URL("postgres"), Dir: c.Dir()}))
	_, err = io.Copy(io.Discard, os.Stdin)
	require.NoError(t, err)
	require.NoError(t, c.Stop())
}
