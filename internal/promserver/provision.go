// Package promserver runs a private Prometheus for the tests of alert rules, and
// asks it.
//
// Its programs are the machine's own, or Debian's package: a current Prometheus would
// have to be compiled, for minutes.
package promserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"loanserve/internal/debian"
)

// Programs are those of one Prometheus.
type Programs struct{ Prometheus, Promtool string }

// Provision returns the programs in the directory that LOANSERVE_PROMETHEUS_BIN
// names, or on the PATH, or else in the cache, which is $XDG_CACHE_HOME/loanserve or
// the user's equivalent. What is not there is fetched into it: Debian's package,
// unpacked and not installed. The progress, one line a call, goes to log.
func Provision(ctx context.Context, log func(string)) (Programs, error) {
	if dir := os.Getenv("LOANSERVE_PROMETHEUS_BIN"); dir != "" {
		return inspect(ctx, dir)
	}
	if path, err := exec.LookPath("promtool"); err == nil {
		if p, err := inspect(ctx, filepath.Dir(path)); err == nil {
			return p, nil
		}
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return Programs{}, fmt.Errorf("find cache directory: %w", err)
	}
	cache := filepath.Join(caches, "loanserve")
	tree := filepath.Join(cache, "prometheus")
	if p, err := inspect(ctx, filepath.Join(tree, "usr", "bin")); err == nil {
		return p, nil
	}
	if err := fetch(ctx, cache, tree, log); err != nil {
		return Programs{}, fmt.Errorf("fetch Prometheus: %w\ninstall it with: apt-get install prometheus", err)
	}
	return inspect(ctx, filepath.Join(tree, "usr", "bin"))
}

// fetch unpacks aside and renames: a tree under its own name is complete. Of two
// processes that fetch at once the second finds the tree of the first.
func fetch(ctx context.Context, cache, tree string, log func(string)) error {
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return fmt.Errorf("create cache: %w", err)
	}
	dir, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	defer os.RemoveAll(dir) // Gone already if all went well.
	choose := func(context.Context, *debian.Apt) ([]string, error) { return []string{"prometheus"}, nil }
	if err := debian.Unpack(ctx, dir, choose, log); err != nil {
		return err
	}
	if _, err := inspect(ctx, filepath.Join(dir, "usr", "bin")); err != nil {
		return err
	}
	err = os.Rename(dir, tree)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// inspect proves that the programs in a directory run.
func inspect(ctx context.Context, dir string) (Programs, error) {
	p := Programs{Prometheus: filepath.Join(dir, "prometheus"), Promtool: filepath.Join(dir, "promtool")}
	for _, program := range []string{p.Prometheus, p.Promtool} {
		if out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput(); err != nil {
			return Programs{}, fmt.Errorf("run %s --version: %w: %s", program, err, out)
		}
	}
	return p, nil
}
