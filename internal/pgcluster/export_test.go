package pgcluster

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// What tests reach inside for: a search that does not see the machine, sources
// other than the network's, and parts that Start uses out of sight.
var (
	Sweep     = sweep
	Watch     = watch
	UnpackNPM = func(r io.Reader, dir string) error { return unpackNPM(r, dir) }
)

const MarkerName = markerName

// Debian and NPM fetch as Provision does.
func Debian() Source { return Source{debian()} }
func NPM() Source    { return Source{npm()} }

// NPMAt is an archive elsewhere.
func NPMAt(url, sha512 string) Source { return Source{npmArchive{url, sha512}.source()} }

type Source struct{ source source }

// Search looks in directories that match the patterns, and in cache.
type Search struct {
	Override string
	System   []string
	Cache    string
}

func (s Search) search() search {
	return search{override: s.Override, system: s.System, cache: s.Cache}
}

func (s Search) Find(major int) (Binaries, error) { return s.search().find(major) }

func (s Search) Provision(ctx context.Context, log func(string), from ...Source) (Binaries, error) {
	var sources []source
	for _, f := range from {
		sources = append(sources, f.source)
	}
	return s.search().provision(ctx, sources, log)
}

// NewTempDir returns the path of a new locked temporary directory, and what
// unlocks it, as the death of its owner and of all that it has forked would.
// Closing the file would not do: a child that another test is just forking has
// it too, until it has begun its own program.
func NewTempDir(ctx context.Context, base string) (path string, unlock func() error, err error) {
	t, err := newTempDir(ctx, base)
	if err != nil {
		return "", nil, err
	}
	return t.path, func() error {
		return errors.Join(unix.Flock(int(t.lock.Fd()), unix.LOCK_UN), t.lock.Close())
	}, nil
}
