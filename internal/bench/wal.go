package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/pgcluster"
)

// walWatch notes when WAL is in the store.
type walWatch struct {
	mu     sync.Mutex
	begun  chan struct{}
	stored []walStored
}

// walStored is when all WAL up to a place was in the store.
type walStored struct {
	to string
	at time.Time
}

// Began implements backup.ArchiveObserver.
func (w *walWatch) Began(context.Context, backup.ArchiveStart) error {
	close(w.begun)
	return nil
}

// Stored implements backup.ArchiveObserver.
func (w *walWatch) Stored(p backup.ArchivedPiece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored = append(w.stored, walStored{to: p.To, at: time.Now()})
}

// Covered implements backup.ArchiveObserver.
func (*walWatch) Covered(time.Time) {}

// Missing implements backup.ArchiveObserver.
func (*walWatch) Missing(_ context.Context, gap backup.WALGap) error { return errors.New(gap.String()) }

// walDelays measures how long it takes from a commit until it is in the store, which
// is what is lost with the site: one commit after the other, with pauses at random.
func (b *bench) walDelays(ctx context.Context, out io.Writer) (err error) {
	if b.walCommits == 0 {
		return nil
	}
	dir, remove, err := pgcluster.Scratch(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = remove() }()
	s, err := store.Open(ctx, "file://"+filepath.Join(dir, "store"), os.Getenv)
	if err != nil {
		return err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	w := &walWatch{begun: make(chan struct{})}
	archive, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- backup.ArchiveWAL(archive, backup.ArchiveOptions{
			DatabaseURL: b.url, Store: s, Recipients: []age.Recipient{key.Recipient()}, Observer: w,
		})
	}()
	defer func() {
		cancel()
		if why := <-ended; err == nil && !errors.Is(why, context.Canceled) {
			err = why
		}
	}()
	select {
	case <-w.begun:
	case err := <-ended:
		ended <- err
		return err
	}
	fmt.Fprintf(os.Stderr, "%d commits on their way into the archive\n", b.walCommits)
	delays, err := b.commitAndWait(ctx, w)
	if err != nil {
		return err
	}
	slices.Sort(delays)
	at := func(percent int) float64 { return delays[(len(delays)-1)*percent/100].Seconds() }
	_, err = fmt.Fprintf(out,
		"from commit to store, %d commits, interval %s: median %.2f s, p95 %.2f s, longest %.2f s; %d pieces\n",
		len(delays), backup.DefaultArchiveInterval, at(50), at(95), at(100), len(w.stored))
	return err
}

// commitAndWait commits, and returns how long each commit took to be stored.
func (b *bench) commitAndWait(ctx context.Context, w *walWatch) ([]time.Duration, error) {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	const seed, longestPause = 1, 500
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // The same pauses every time.
	commits := make([]walStored, 0, b.walCommits)
	for range b.walCommits {
		c := walStored{}
		_, err := conn.Exec(ctx, `INSERT INTO login_attempts (name, ip, outcome, attempted_at)
VALUES (md5(random()::text), '192.0.2.1', 'wrong_password', now())`)
		c.at = time.Now()
		if err == nil { // The commit has been flushed, so that it ends no later.
			err = conn.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn()::text`).Scan(&c.to)
		}
		if err != nil {
			return nil, err
		}
		commits = append(commits, c)
		select {
		case <-time.After(time.Duration(random.IntN(longestPause)) * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var delays []time.Duration
	for len(commits) > 0 {
		select {
		case <-time.After(backup.DefaultArchiveInterval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		w.mu.Lock()
		for _, stored := range w.stored {
			for len(commits) > 0 && !after(commits[0].to, stored.to) {
				delays = append(delays, stored.at.Sub(commits[0].at))
				commits = commits[1:]
			}
		}
		w.mu.Unlock()
	}
	return delays, nil
}

// after says whether one place in the WAL comes after another.
func after(a, b string) bool {
	var places [2][2]uint64
	for i, text := range []string{a, b} {
		if _, err := fmt.Sscanf(text, "%X/%X", &places[i][0], &places[i][1]); err != nil {
			return true
		}
	}
	return slices.Compare(places[0][:], places[1][:]) > 0
}
