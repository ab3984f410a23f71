package pgcluster

import (
	"context"
	"os"
	"path/filepath"
)

// Temp is the directory that throw-away servers lie in: in memory if plenty is free
// there, else os.TempDir. As the base of a Scratch it suits what is small and need
// not last, as in tests: a restored directory has a thousand files, and most of what
// it costs on a disk is to make and to remove them.
func Temp() string { return tempBase(false) }

// Scratch creates a directory in base, os.TempDir for "", that the user who runs
// servers can pass through: for the data directory of a server that is large, and
// what belongs to it. remove deletes it; where this process is killed before it
// can, the next Scratch there does.
func Scratch(ctx context.Context, base string) (dir string, remove func() error, err error) {
	if base == "" {
		base = os.TempDir()
	}
	if base, err = filepath.Abs(base); err != nil { // The server's directory is another.
		return "", nil, err
	}
	sweep(base)
	t, err := newTempDir(ctx, base)
	if err != nil {
		return "", nil, err
	}
	return t.path, t.remove, nil
}
