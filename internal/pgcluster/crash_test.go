package pgcluster_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"loanserve/internal/pgcluster"
)

func TestKilledOwnerTakesItsServerAlong(t *testing.T) {
	t.Parallel()

	owner := startOwner(t, pgcluster.Options{})
	temp := filepath.Dir(owner.Dir)
	lock, err := os.Open(temp)
	require.NoError(t, err)
	postmaster := postmasterPID(t, owner.Dir)
	require.NoError(t, syscall.Kill(postmaster, 0))

	owner.kill(t)
	awaitUnlocked(t, lock)
	reaped := func() bool { return errors.Is(syscall.Kill(postmaster, 0), syscall.ESRCH) }
	require.Eventually(t, reaped, 30*time.Second, 10*time.Millisecond, "the kernel closes files before init reaps")
	require.NoError(t, lock.Close())

	start(t, pgcluster.Options{})
	require.NoDirExists(t, temp)
}

// The next owner of a durable directory may come before the server of the
// killed one is gone.
func TestStartAfterKilledOwner(t *testing.T) {
	t.Parallel()

	o := pgcluster.Options{Dir: filepath.Join(tempDir(t), "data"), Durable: true}
	owner := startOwner(t, o)
	execute(t, owner.URL, "CREATE TABLE loans AS SELECT 23 AS loan_id")
	owner.kill(t)

	c := start(t, o)
	require.False(t, c.Attached())
	require.Equal(t, "23", query(t, c.URL("postgres"), "SELECT loan_id::text FROM loans"))
	log, err := os.ReadFile(filepath.Join(c.Dir(), "server.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "received fast shutdown request")
}

// A directory half filled would pass for a cluster.
func TestStartAfterOwnerKilledInInitdb(t *testing.T) {
	t.Parallel()

	o := pgcluster.Options{Dir: filepath.Join(tempDir(t), "data")}
	cmd := ownerCommand(t, o)
	require.NoError(t, cmd.Start())
	halfFilled := func() bool {
		_, err := os.Stat(filepath.Join(o.Dir, "PG_VERSION"))
		return err == nil
	}
	require.Eventually(t, halfFilled, 30*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	c := start(t, o)
	require.Equal(t, "on", query(t, c.URL("postgres"), "SHOW data_checksums"))
}

func TestStopReportsAServerThatDied(t *testing.T) {
	t.Parallel()

	needServer(t)
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{})
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(postmasterPID(t, c.Dir()), syscall.SIGKILL))
	require.Error(t, c.Stop())
	require.NoDirExists(t, filepath.Dir(c.Dir()))
}

func TestSweep(t *testing.T) {
	t.Parallel()

	base := t.TempDir()
	held, unlockHeld, err := pgcluster.NewTempDir(t.Context(), base)
	require.NoError(t, err)
	left, unlockLeft, err := pgcluster.NewTempDir(t.Context(), base)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(left, "data", "base"), 0o700))
	require.NoError(t, unlockLeft())

	unmarked := filepath.Join(base, "loanserve-pg-unmarked")
	require.NoError(t, os.Mkdir(unmarked, 0o700))
	elsewhere := filepath.Join(base, "elsewhere")
	require.NoError(t, os.Mkdir(elsewhere, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, pgcluster.MarkerName), nil, 0o600))
	link := filepath.Join(base, "loanserve-pg-link")
	require.NoError(t, os.Symlink(elsewhere, link))

	pgcluster.Sweep(base)
	require.NoDirExists(t, left)
	require.DirExists(t, held)
	require.DirExists(t, unmarked)
	require.FileExists(t, filepath.Join(elsewhere, pgcluster.MarkerName))

	require.NoError(t, unlockHeld())
	pgcluster.Sweep(base)
	require.NoDirExists(t, held)
}

func TestSweepLeavesWhatIsOfOthers(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("only root can make a file another's")
	}
	base := t.TempDir()
	for _, others := range []string{"", pgcluster.MarkerName} {
		dir, unlock, err := pgcluster.NewTempDir(t.Context(), base)
		require.NoError(t, err)
		require.NoError(t, unlock())
		require.NoError(t, os.Chown(filepath.Join(dir, others), 12345, 12345))
		pgcluster.Sweep(base)
		require.DirExists(t, dir)
	}
}

const watcherEnv = "LOANSERVE_PGCLUSTER_TEST_WATCHER"

// watch is what macOS relies on; it works, and is tested, on Linux too.
func TestWatchEndsAChildOfAKilledProcess(t *testing.T) {
	t.Parallel()

	if os.Getenv(watcherEnv) != "" {
		runWatcher(t)
		return
	}
	ours, theirs, err := os.Pipe()
	require.NoError(t, err)
	defer ours.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWatchEndsAChildOfAKilledProcess$")
	cmd.Env = append(os.Environ(), watcherEnv+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	require.NoError(t, cmd.Start())
	require.NoError(t, theirs.Close())
	ready := make([]byte, 1)
	_, err = io.ReadFull(ours, ready)
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err = io.Copy(io.Discard, ours) // Ends when the child, too, has closed the pipe.
	require.NoError(t, err)
}

// runWatcher watches over a child that has inherited the pipe of the test.
func runWatcher(t *testing.T) {
	t.Helper()
	child := exec.CommandContext(t.Context(), "sleep", "600")
	pipe := os.NewFile(3, "pipe")
	child.ExtraFiles = []*os.File{pipe}
	require.NoError(t, child.Start())
	_, err := pgcluster.Watch(child.Process.Pid)
	require.NoError(t, err)
	_, err = pipe.Write([]byte{1})
	require.NoError(t, err)
	_ = child.Wait()
}

// postmasterPID reads the process id of the server on a data directory.
func postmasterPID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	return pid
}

// awaitUnlocked returns when no process holds the lock of dir: the server, and
// all it has forked, inherit it.
func awaitUnlocked(t *testing.T, dir *os.File) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	unlocked := make(chan error, 1)
	go func() { unlocked <- unix.Flock(int(dir.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-unlocked:
		require.NoError(t, err)
	case <-ctx.Done():
		t.Fatal("the server still runs")
	}
}
