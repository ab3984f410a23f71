package pgcluster

import (
	"context"
	"os"
	"path/filepath"
)

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
