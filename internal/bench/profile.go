package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// profile takes profiles of the program under load, where they were asked for:
// of its CPU for the first seconds, and of its allocations when the returned
// function is called. Their files begin with the name of the path. Taking them
// costs a little, so such a run is no measurement.
func (b *bench) profile(ctx context.Context, c *child, path string) (finish func() error) {
	if b.profiles == "" {
		return func() error { return nil }
	}
	cpu := make(chan error, 1)
	go func() { cpu <- b.keepProfile(ctx, c, path+".cpu.pprof", "/debug/pprof/profile?seconds=2") }()
	return func() error {
		return errors.Join(<-cpu, b.keepProfile(ctx, c, path+".allocs.pprof", "/debug/pprof/allocs"))
	}
}

func (b *bench) keepProfile(ctx context.Context, c *child, name, path string) error {
	profile, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profiles, name), profile, 0o600)
}
