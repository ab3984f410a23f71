package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// tempPrefix begins the name of every temporary directory.
	tempPrefix = "loanserve-pg-"
	// markerName is the file that says a directory so named is really ours.
	markerName = ".loanserve-pg"
)

// tempDir is a directory that goes when its owner does. Its lock is held by the
// owner and, by inheritance, by the server and everything the server forks. So
// when the lock is free, nobody is left who could use the directory.
type tempDir struct {
	path string
	lock *os.File
}

// newTempDir creates a locked directory in base. The marker comes last: a
// sweeper that sees it can rely on the lock.
func newTempDir(ctx context.Context, base string) (*tempDir, error) {
	path, err := os.MkdirTemp(base, tempPrefix)
	if err != nil {
		return nil, fmt.Errorf("create temporary directory: %w", err)
	}
	t := &tempDir{path: path}
	if t.lock, err = lockDir(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("lock temporary directory: %w", err), os.Remove(path))
	}
	if serverAccount().differs { // It passes through to directories of its own.
		err = os.Chmod(path, 0o711)
	}
	if err == nil {
		note := "A private PostgreSQL server of loanserve. Safe to delete once no process uses it.\n"
		err = os.WriteFile(filepath.Join(path, markerName), []byte(note), 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare temporary directory: %w", err), t.remove())
	}
	return t, nil
}

// remove deletes the directory, then unlocks it.
func (t *tempDir) remove() error {
	err := os.RemoveAll(t.path)
	return errors.Join(err, t.lock.Close())
}

// sweep deletes the temporary directories in base whose owner and server have
// both ended. It is best effort: what it cannot judge or delete, it leaves.
func sweep(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), tempPrefix) {
			sweepDir(filepath.Join(base, entry.Name()))
		}
	}
}

func sweepDir(path string) {
	dir, err := openDir(path)
	if err != nil {
		return
	}
	defer dir.Close()
	if !owned(dir.Stat()) || tryLock(dir) != nil {
		return
	}
	if !owned(os.Lstat(filepath.Join(path, markerName))) {
		return // Not ours, or its owner has yet to lock it.
	}
	locked, errLocked := dir.Stat()
	named, errNamed := os.Lstat(path)
	if errLocked != nil || errNamed != nil || !os.SameFile(locked, named) {
		return // Swept by another, and the name used anew.
	}
	_ = os.RemoveAll(path)
}

// owned takes the result of a stat and tells whether the file is this user's.
func owned(info os.FileInfo, err error) bool {
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// tempBases are the directories that temporary ones may be in.
func tempBases() []string {
	return []string{sharedMemory, os.TempDir(), shortBase}
}

const (
	// sharedMemory is memory with the face of a directory, on Linux.
	sharedMemory = "/dev/shm"
	// shortBase takes sockets when TMPDIR does not suit them.
	shortBase = "/tmp"
	// maxSocketPath is the longest path a socket may have, in bytes: macOS
	// allows 103, Linux 107.
	maxSocketPath = 103
)

// tempBase is where the data of a temporary cluster goes: into memory if there
// is plenty and it need not survive.
func tempBase(durable bool) string {
	const plenty = 2 << 30
	if !durable && freeMemoryBytes() > plenty {
		return sharedMemory
	}
	if base, err := filepath.Abs(os.TempDir()); err == nil { // The server's directory is another.
		return base
	}
	return shortBase
}

// fitsSocket tells whether a socket in a temporary directory in base has a
// usable path: a short one, and one without a comma, which for clients divides
// two hosts. Ten digits is the most that os.MkdirTemp appends.
func fitsSocket(base string) bool {
	socket := filepath.Join(base, tempPrefix+"0123456789", socketDirName, socketName)
	return len(socket) <= maxSocketPath && !strings.Contains(base, ",")
}
