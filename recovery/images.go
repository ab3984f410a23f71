package recovery

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"loanserve/backup"
	"loanserve/internal/pgcluster"
)

// Images are two private servers: one as it was just before a transaction committed,
// and one as it was just after.
type Images struct {
	before, after *pgcluster.Cluster
	remove        func() error
}

// MakeImages restores both out of the archive, at the same time. It takes twice the room
// of the server in the scratch directory, until Close.
func MakeImages(ctx context.Context, o backup.RestoreOptions, xid uint64) (*Images, error) {
	dir, remove, err := pgcluster.Scratch(ctx, o.Scratch)
	if err != nil {
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	i := &Images{remove: remove}
	var mu sync.Mutex
	var done [2]int64
	g, gctx := errgroup.WithContext(ctx)
	for n, image := range []struct {
		name    string
		cluster **pgcluster.Cluster
		point   backup.Point
	}{
		{"before", &i.before, backup.Point{XID: xid, Before: true}},
		{"after", &i.after, backup.Point{XID: xid}},
	} {
		own := o
		own.Progress = func(bytes, _ int64) {
			mu.Lock()
			defer mu.Unlock()
			done[n] = max(done[n], bytes) // First of the copy, then of the WAL.
			if o.Progress != nil {
				o.Progress(done[0]+done[1], 0)
			}
		}
		g.Go(func() (err error) {
			*image.cluster, err = backup.RestoreImage(gctx, own, image.point, filepath.Join(dir, image.name))
			if err != nil {
				return fmt.Errorf("make the image of %s: %w", image.point, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// URLs are how to connect to a database of each image.
func (i *Images) URLs(database string) (before, after string) {
	return i.before.URL(database), i.after.URL(database)
}

// Close stops the servers and removes them.
func (i *Images) Close() error {
	var errs []error
	for _, cluster := range []*pgcluster.Cluster{i.before, i.after} {
		if cluster != nil {
			errs = append(errs, cluster.Stop())
		}
	}
	return errors.Join(append(errs, i.remove())...)
}
