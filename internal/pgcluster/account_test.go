package pgcluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// A root process gives the server another user, an ordinary one its own. Root
// can be both, so it runs the tests again as a user without rights.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("the other tests run as an ordinary user already")
	}
	needServer(t)
	dir := tempDir(t)
	binary := filepath.Join(dir, "pgcluster.test")
	copied := exec.CommandContext(t.Context(), "cp", os.Args[0], binary) // Not by us: see runVersion.
	require.NoError(t, copied.Run())
	require.NoError(t, os.Chmod(binary, 0o755))

	cmd := exec.CommandContext(t.Context(), binary, "-test.run="+
		"^Test(StartAndStop|DurableDirKeepsData|StartRefuses|Killed.*|StartAfterKilledOwner|Sweep)$")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// What a root process restores belongs to root at first.
func TestRootGivesItsDirToTheServer(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("is about root")
	}
	needServer(t)
	o := pgcluster.Options{Dir: filepath.Join(tempDir(t), "data")}
	c, err := pgcluster.Start(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, c.Stop())
	require.NoError(t, exec.CommandContext(t.Context(), "chown", "-R", "0:0", o.Dir).Run())
	require.NoError(t, os.Chmod(o.Dir, 0o755))
	start(t, o)
}

// A cluster that is some user's stays that user's.
func TestRootKeepsTheOwnerOfADir(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("is about root")
	}
	const uid = 65534 // Mostly not the server's user; initdb wants one that has a name.
	dir := filepath.Join(tempDir(t), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, uid, uid))
	c := start(t, pgcluster.Options{Dir: dir})
	require.Equal(t, "on", query(t, c.URL("postgres"), "SHOW data_checksums"))
	for _, name := range []string{"PG_VERSION", "postmaster.pid", "server.log"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		st, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		require.Equal(t, uint32(uid), st.Uid, name)
	}
}
