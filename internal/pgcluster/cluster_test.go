package pgcluster_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"loanserve/internal/pgcluster"
)

func TestStartAndStop(t *testing.T) {
	t.Parallel()

	needServer(t)
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{})
	require.NoError(t, err)
	require.False(t, c.Attached())
	execute(t, c.URL("postgres"), `CREATE DATABASE "odd name/?%"`)
	require.Equal(t, "odd name/?%", query(t, c.URL("odd name/?%"), "SELECT current_database()"))
	require.Equal(t, "on", query(t, c.URL("postgres"), "SHOW data_checksums"))
	require.Equal(t, "off", query(t, c.URL("postgres"), "SHOW fsync"))
	require.Equal(t, "UTC", query(t, c.URL("postgres"), "SHOW timezone"))
	require.Empty(t, query(t, c.URL("postgres"), "SHOW listen_addresses"))
	require.Equal(t, "UTF8", query(t, c.URL("postgres"), "SHOW server_encoding"))

	require.NoError(t, c.Stop())
	require.NoError(t, c.Stop(), "stopping again does nothing")
	require.NoDirExists(t, filepath.Dir(c.Dir()))
	_, err = pgx.Connect(t.Context(), c.URL("postgres"))
	require.Error(t, err)
}

// A session of a server that yields has less priority than this process.
func TestYields(t *testing.T) {
	t.Parallel()

	needServer(t)
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{Yields: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	priority := func(pid int) int {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
		require.NoError(t, err)
		return n
	}
	require.NotEqual(t, priority(os.Getpid()), priority(int(conn.PgConn().PID())))
}

func TestStopBreaksConnections(t *testing.T) {
	t.Parallel()

	needServer(t)
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: filepath.Join(tempDir(t), "data")})
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.NoError(t, c.Stop())
	require.Error(t, conn.Ping(t.Context()))
}

func TestDurableDirKeepsData(t *testing.T) {
	t.Parallel()

	needServer(t)
	dir := filepath.Join(tempDir(t), "parent", "data")
	o := pgcluster.Options{Dir: dir, Durable: true}
	c, err := pgcluster.Start(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "on", query(t, c.URL("postgres"), "SHOW fsync"))
	execute(t, c.URL("postgres"), "CREATE TABLE loans AS SELECT 23 AS loan_id")
	require.NoError(t, c.Stop())

	c = start(t, o)
	require.Equal(t, "23", query(t, c.URL("postgres"), "SELECT loan_id::text FROM loans"))
	require.FileExists(t, filepath.Join(dir, "server.log"))
}

func TestSettingsHavePrecedence(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(tempDir(t), "data")
	o := pgcluster.Options{Dir: dir, Settings: map[string]string{
		"max_connections":  "20",
		"application_name": "it's, quoted",
		"loanserve.custom": "x=y",
		"listen_addresses": "*", // Not for the caller to say.
	}}
	c := start(t, o)
	require.Equal(t, "20", query(t, c.URL("postgres"), "SHOW max_connections"))
	require.Equal(t, "x=y", query(t, c.URL("postgres"), "SHOW loanserve.custom"))
	require.Equal(t, "it's, quoted", query(t, c.URL("postgres"),
		"SELECT reset_val FROM pg_settings WHERE name = 'application_name'"))
	require.Empty(t, query(t, c.URL("postgres"), "SHOW listen_addresses"))

	execute(t, c.URL("postgres"), "ALTER SYSTEM SET work_mem = '7MB'")
	execute(t, c.URL("postgres"), "ALTER SYSTEM SET synchronous_commit = 'local'")
	execute(t, c.URL("postgres"), "ALTER SYSTEM SET max_connections = '30'")
	require.NoError(t, c.Stop())

	c = start(t, o)
	require.Equal(t, "7MB", query(t, c.URL("postgres"), "SHOW work_mem"))
	require.Equal(t, "local", query(t, c.URL("postgres"), "SHOW synchronous_commit"), "ALTER SYSTEM beats a default")
	require.Equal(t, "20", query(t, c.URL("postgres"), "SHOW max_connections"), "Settings beat ALTER SYSTEM")
}

func TestBadSettingFailsWithTheServersReason(t *testing.T) {
	t.Parallel()

	needServer(t)
	dir := filepath.Join(tempDir(t), "data")
	_, err := pgcluster.Start(t.Context(), pgcluster.Options{
		Dir: dir, Settings: map[string]string{"no_such_setting": "1"},
	})
	require.ErrorContains(t, err, "no_such_setting")
	start(t, pgcluster.Options{Dir: dir}) // Nothing holds the directory.
}

func TestCanceledStartLeavesTheDirectoryUsable(t *testing.T) {
	t.Parallel()

	needServer(t)
	dir := filepath.Join(tempDir(t), "data")
	for _, limit := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		c, err := pgcluster.Start(ctx, pgcluster.Options{Dir: dir})
		if err == nil { // A fast machine.
			require.NoError(t, c.Stop())
			continue
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	c := start(t, pgcluster.Options{Dir: dir})
	require.Equal(t, "on", query(t, c.URL("postgres"), "SHOW data_checksums"))
}

func TestSecondStartAttaches(t *testing.T) {
	t.Parallel()

	o := pgcluster.Options{Dir: filepath.Join(tempDir(t), "data")}
	owner := startOwner(t, o)
	execute(t, owner.URL, "CREATE TABLE loans AS SELECT 23 AS loan_id")

	second := start(t, o)
	require.True(t, second.Attached())
	require.Equal(t, "23", query(t, second.URL("postgres"), "SELECT loan_id::text FROM loans"))
	require.NoError(t, second.Stop())
	require.Equal(t, "23", query(t, owner.URL, "SELECT loan_id::text FROM loans"), "the server still runs")

	owner.stop(t)
	third := start(t, o)
	require.False(t, third.Attached())
	require.Equal(t, "23", query(t, third.URL("postgres"), "SELECT loan_id::text FROM loans"))
}

// Of processes that start at once, one fills the empty directory and the
// others wait for it.
func TestSimultaneousStarts(t *testing.T) {
	t.Parallel()

	needServer(t)
	o := pgcluster.Options{Dir: filepath.Join(tempDir(t), "data")}
	const starts = 4
	results := make(chan *pgcluster.Cluster, starts)
	failures := make(chan error, starts)
	for range starts {
		go func() {
			c, err := pgcluster.Start(t.Context(), o)
			if err != nil {
				failures <- err
				return
			}
			results <- c
		}()
	}
	owners := 0
	for range starts {
		select {
		case err := <-failures:
			require.NoError(t, err)
		case c := <-results:
			if !c.Attached() {
				owners++
				t.Cleanup(func() { require.NoError(t, c.Stop()) })
			}
		}
	}
	require.Equal(t, 1, owners)
}

func TestLongPaths(t *testing.T) {
	t.Parallel()

	// Longer than a socket's path may be.
	long := filepath.Join(tempDir(t), strings.Repeat("long,path ", 20))
	require.NoError(t, os.Mkdir(long, 0o755))

	owner := startOwner(t, pgcluster.Options{Durable: true}, "TMPDIR="+long)
	require.True(t, strings.HasPrefix(owner.Dir, long), "data is in %s", owner.Dir)
	require.Equal(t, "on", query(t, owner.URL, "SHOW fsync"))
	owner.stop(t)
	left, err := os.ReadDir(long)
	require.NoError(t, err)
	require.Empty(t, left)

	c := start(t, pgcluster.Options{Dir: filepath.Join(long, "data")})
	require.Equal(t, "off", query(t, c.URL("postgres"), "SHOW fsync"))
}

func TestCommaInTempDir(t *testing.T) {
	t.Parallel()

	base, err := os.MkdirTemp("/tmp", "a, b") //nolint:usetesting // t.TempDir is too long for a socket.
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	require.NoError(t, os.Chmod(base, 0o755))
	owner := startOwner(t, pgcluster.Options{Durable: true}, "TMPDIR="+base)
	require.Equal(t, "on", query(t, owner.URL, "SHOW fsync"))
	owner.stop(t)
}
