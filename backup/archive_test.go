package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
)

// archiver archives a test's server until the test ends, and notes what it is told.
type archiver struct {
	o      backup.ArchiveOptions
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	starts  []backup.ArchiveStart
	pieces  []backup.ArchivedPiece
	covered time.Time
	gaps    []backup.WALGap
}

const soon = 200 * time.Millisecond

func startArchive(t *testing.T, url string, s store.Store, change ...func(*backup.ArchiveOptions)) *archiver {
	t.Helper()
	a := &archiver{ended: make(chan error, 1), changed: make(chan struct{})}
	a.o = backup.ArchiveOptions{DatabaseURL: url, Store: s, Interval: soon, Observer: a}
	for _, c := range change {
		c(&a.o)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a.cancel = cancel
	go func() {
		err := backup.ErrArchived
		for errors.Is(err, backup.ErrArchived) && ctx.Err() == nil {
			err = backup.ArchiveWAL(ctx, a.o) // The session of the one before may end a little later than that.
		}
		a.ended <- err
	}()
	t.Cleanup(cancel)
	return a
}

func (a *archiver) note(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *archiver) Began(_ context.Context, s backup.ArchiveStart) error {
	a.note(func() { a.starts = append(a.starts, s) })
	return nil
}

func (a *archiver) Stored(p backup.ArchivedPiece) { a.note(func() { a.pieces = append(a.pieces, p) }) }

func (a *archiver) Covered(through time.Time) { a.note(func() { a.covered = through }) }

func (a *archiver) Missing(_ context.Context, g backup.WALGap) error {
	a.note(func() { a.gaps = append(a.gaps, g) })
	return nil
}

// await waits until what the archiver has noted is as it should be.
func (a *archiver) await(t *testing.T, is func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		a.mu.Lock()
		ok, changed := is(), a.changed
		a.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case err := <-a.ended:
			t.Fatalf("the archive has ended: %v", err)
		case <-late:
			t.Fatal("the archive does not come to it")
		}
	}
}

// catchUp waits until all that is committed by now is in the store.
func (a *archiver) catchUp(t *testing.T) {
	t.Helper()
	now := time.Now()
	a.await(t, func() bool { return a.covered.After(now) })
}

// stop ends the archive, which has not ended by itself before.
func (a *archiver) stop(t *testing.T) {
	t.Helper()
	a.cancel()
	require.ErrorIs(t, a.wait(t), context.Canceled)
}

// wait returns why the archive has ended.
func (a *archiver) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.ended:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the archive does not end")
		return nil
	}
}

// scratch is a directory that servers can be started in.
func scratch(t *testing.T, name string) string {
	t.Helper()
	home, remove, err := pgcluster.Scratch(t.Context(), pgcluster.Temp())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remove()) })
	return filepath.Join(home, name)
}

// diary is a table that a test writes the past into.
const diary = `CREATE TABLE diary (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
GRANT SELECT ON diary, diary_id_seq TO loanserve_backup;
ALTER DATABASE loanserve SET synchronous_commit = on` // What is not written yet cannot be archived.

// write adds a line to the diary and returns its transaction.
func write(t *testing.T, url, text string) (xid uint64) {
	t.Helper()
	return one[uint64](t, url, `INSERT INTO diary (text) VALUES ($1) RETURNING pg_current_xact_id()::text::bigint`, text)
}

const lines = `SELECT coalesce(string_agg(text, ',' ORDER BY id), '') FROM diary`

// at restores a point and returns the diary that it finds.
func at(t *testing.T, o backup.RestoreOptions, p backup.Point) string {
	t.Helper()
	dir := scratch(t, "restored")
	m, err := backup.RestorePoint(t.Context(), o, p, dir)
	require.NoError(t, err, "%v", p)
	restored, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, restored.Stop()) }()
	require.NoFileExists(t, filepath.Join(dir, "recovery.signal"))
	return one[string](t, restored.URL(m.Database.Name), lines)
}

// Any moment of the past is reached, also one in what was written last, with the
// server gone.
func TestRestorePoint(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	identity := key(t)
	exec(t, src.url, diary)
	write(t, src.url, "old")
	a := startArchive(t, src.url, s, func(o *backup.ArchiveOptions) {
		o.Recipients = []age.Recipient{identity.Recipient()}
	})
	a.await(t, func() bool { return len(a.starts) > 0 })
	require.True(t, a.starts[0].New)
	require.True(t, a.starts[0].Unbounded)
	m := create(t, src, s, backup.Physical, identity.Recipient())
	write(t, src.url, "a")
	a.catchUp(t)
	second := write(t, src.url, "b")
	between := one[time.Time](t, src.url, `SELECT clock_timestamp()`)
	deletion := one[uint64](t, src.url, `WITH gone AS (DELETE FROM diary) SELECT pg_current_xact_id()::text::bigint`)
	write(t, src.url, "later")
	a.catchUp(t)
	a.stop(t)
	src.pool.Close()

	o := verifyOptions(s, identity).RestoreOptions
	require.Equal(t, "old,a", at(t, o, backup.Point{XID: second, Before: true}))
	if testdb.Long() { // Points of the same sorts, elsewhere in the past.
		require.Equal(t, "old,a,b", at(t, o, backup.Point{XID: second}))
		require.Equal(t, "old,a,b", at(t, o, backup.Point{XID: deletion, Before: true}))
	}
	require.Empty(t, at(t, o, backup.Point{XID: deletion}))
	require.Equal(t, "old,a,b", at(t, o, backup.Point{Time: between}))
	require.Equal(t, "later", at(t, o, backup.Point{Latest: true}))
	require.Equal(t, "later", one[string](t, src.url, lines))

	image, err := backup.RestoreImage(t.Context(), o, backup.Point{XID: deletion, Before: true}, scratch(t, "image"))
	require.NoError(t, err)
	require.Equal(t, "old,a,b", one[string](t, image.URL(m.Database.Name), lines))
	require.NoError(t, image.Stop())

	notReached(t, o, backup.Point{Time: time.Now().Add(time.Hour)}, backup.ErrNotReached)
	notReached(t, o, backup.Point{XID: deletion + 1000}, backup.ErrNotReached)
	notReached(t, o, backup.Point{Time: m.StartedAt.Add(-time.Hour)}, backup.ErrTooEarly)
	notReached(t, o, backup.Point{XID: 3}, backup.ErrTooEarly)
}

// notReached sees that a point is refused and nothing is left to start.
func notReached(t *testing.T, o backup.RestoreOptions, p backup.Point, why error) {
	t.Helper()
	dir := scratch(t, "nothing")
	_, err := backup.RestorePoint(t.Context(), o, p, dir)
	require.ErrorIs(t, err, why, "%v", p)
	entries, err := os.ReadDir(dir)
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

// The files of WAL are the server's own.
func TestFetchWAL(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	exec(t, src.url, `ALTER SYSTEM SET wal_keep_size = '256MB'`)
	exec(t, src.url, `SELECT pg_reload_conf()`)
	a := startArchive(t, src.url, s)
	a.await(t, func() bool { return len(a.starts) > 0 })
	m := create(t, src, s, backup.Physical)
	write(t, src.url, "a")
	exec(t, src.url, `SELECT pg_switch_wal()`)
	write(t, src.url, "b")
	a.catchUp(t)
	exec(t, src.url, `CHECKPOINT`)
	a.catchUp(t)
	a.stop(t)

	dir := t.TempDir()
	require.NoError(t, backup.FetchWAL(t.Context(), verifyOptions(s).RestoreOptions, m, dir))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 2)
	last := one[string](t, src.url, `SELECT pg_walfile_name(pg_current_wal_lsn())`)
	require.Equal(t, last, filepath.Base(files[len(files)-1]))
	offset := one[int](t, src.url, `SELECT file_offset FROM pg_walfile_name_offset(pg_current_wal_flush_lsn())`)
	for i, path := range files {
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join(src.cluster.Dir(), "pg_wal", filepath.Base(path)))
		require.NoError(t, err)
		require.Len(t, got, len(want))
		if i == len(files)-1 {
			got, want = got[:min(offset, stored(t, a, offset))], want[:min(offset, stored(t, a, offset))]
		}
		require.Equal(t, want, got, "%s differs", path)
	}
}

// stored is how many bytes of the last file the archiver has stored.
func stored(t *testing.T, a *archiver, limit int) int {
	t.Helper()
	last := a.pieces[len(a.pieces)-1].To
	var high, low uint64
	_, err := fmt.Sscanf(last, "%X/%X", &high, &low)
	require.NoError(t, err)
	const segment = 16 << 20
	return min(limit, int(low%segment))
}

// A byte that was changed, and a piece that is missing, are refused in words.
func TestArchiveIsBroken(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, dir := folder(t)
	exec(t, src.url, diary)
	a := startArchive(t, src.url, s)
	a.await(t, func() bool { return len(a.starts) > 0 })
	m := create(t, src, s, backup.Physical)
	before := write(t, src.url, "0")
	a.catchUp(t)
	write(t, src.url, "1")
	broken := lsn(t, one[string](t, src.url, `SELECT (pg_current_wal_flush_lsn() - 1)::text`))
	a.catchUp(t)
	last := write(t, src.url, "last")
	a.catchUp(t)
	a.stop(t)
	o := verifyOptions(s).RestoreOptions
	pieces, err := filepath.Glob(filepath.Join(dir, "wal", "*", "*", "*", "*.zst"))
	require.NoError(t, err)
	victim := ""
	for _, path := range pieces {
		if bounds := strings.Split(filepath.Base(path), "-"); bounds[0] <= fmt.Sprintf("%016X", broken) {
			victim = path
		}
	}
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	flipped := append([]byte{}, content...)
	flipped[len(flipped)/2] ^= 1
	require.NoError(t, os.WriteFile(victim, flipped, 0o600))
	_, err = backup.RestorePoint(t.Context(), o, backup.Point{Latest: true}, scratch(t, "broken"))
	require.ErrorAs(t, err, new(*backup.BrokenError))
	_, err = backup.RestorePoint(t.Context(), o, backup.Point{XID: last}, scratch(t, "broken"))
	require.ErrorAs(t, err, new(*backup.BrokenError))
	require.ErrorAs(t, backup.FetchWAL(t.Context(), o, m, t.TempDir()), new(*backup.BrokenError))
	require.Equal(t, "0", at(t, o, backup.Point{XID: before}), "what comes before is reached")

	require.NoError(t, os.Remove(victim))
	for _, p := range []backup.Point{{Latest: true}, {XID: last}} {
		_, err = backup.RestorePoint(t.Context(), o, p, scratch(t, "gap"))
		gap := new(*backup.GapError)
		require.ErrorAs(t, err, gap)
		from, _, _ := strings.Cut(filepath.Base(victim), "-")
		require.Equal(t, from, fmt.Sprintf("%016X", lsn(t, (*gap).Gap.From)))
	}
	// What is right by its name and is not the server's WAL ends the replay, and is noticed.
	other := forged(t, filepath.Base(victim), filepath.Dir(victim))
	_, err = backup.RestorePoint(t.Context(), o, backup.Point{Latest: true}, scratch(t, "forged"))
	require.ErrorAs(t, err, new(*backup.BrokenError))
	require.ErrorContains(t, err, "can be replayed up to")
	require.NoError(t, os.Remove(other))

	require.NoError(t, os.WriteFile(victim, content, 0o600))
	require.Equal(t, "0,1,last", at(t, o, backup.Point{Latest: true}))
}

func lsn(t *testing.T, text string) uint64 {
	t.Helper()
	var high, low uint64
	_, err := fmt.Sscanf(text, "%X/%X", &high, &low)
	require.NoError(t, err)
	return high<<32 | low
}

// forged stores zeros in the place of a piece.
func forged(t *testing.T, name, dir string) (path string) {
	t.Helper()
	bounds := strings.Split(name, "-")
	var start, end int
	_, err := fmt.Sscanf(bounds[0]+" "+bounds[1], "%X %X", &start, &end)
	require.NoError(t, err)
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, end-start))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	path = filepath.Join(dir, fmt.Sprintf("%s-%s-%x.zst", bounds[0], bounds[1], sha256.Sum256(packed.Bytes())))
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o600))
	return path
}
