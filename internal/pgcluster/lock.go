package pgcluster

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errLocked is returned by tryLock when another holds the lock.
var errLocked = errors.New("locked by another process")

// openDir opens the directory path itself, never one it links to.
func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// tryLock takes the lock of a directory, or returns errLocked.
//
// The lock belongs to the open file: a child that inherits it holds it too,
// and it is free when the last of them has ended, however it ended. It takes
// no file in the directory, so it can lock one that must stay empty.
func tryLock(dir *os.File) error {
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		default:
			return err
		}
	}
}

// lockDir locks the directory path, waiting while another holds it. Closing
// the file unlocks.
func lockDir(ctx context.Context, path string) (*os.File, error) {
	dir, err := openDir(path)
	if err != nil {
		return nil, err
	}
	for wait := newBackoff(); ; {
		err := tryLock(dir)
		if err == nil {
			return dir, nil
		}
		if errors.Is(err, errLocked) {
			err = wait.next(ctx)
		}
		if err != nil {
			dir.Close()
			return nil, err
		}
	}
}

// backoff paces a loop that asks again and again: at first often, since what
// it waits for mostly takes milliseconds, then at most 20 times a second.
type backoff struct{ pause time.Duration }

func newBackoff() *backoff { return &backoff{pause: time.Millisecond} }

// next waits, and returns the reason when ctx ends first.
func (b *backoff) next(ctx context.Context) error {
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	b.pause = min(2*b.pause, 50*time.Millisecond)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
