package backup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/internal/pgcluster"
)

// One process archives at a time, and when it ends another one goes on where it was.
func TestOneArchives(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	first := startArchive(t, src.url, s)
	first.await(t, func() bool { return len(first.starts) > 0 })
	create(t, src, s, backup.Physical)
	write(t, src.url, "a")
	first.catchUp(t)
	require.ErrorIs(t, backup.ArchiveWAL(t.Context(), first.o), backup.ErrArchived)

	write(t, src.url, "b")
	first.stop(t)
	write(t, src.url, "c")
	second := startArchive(t, src.url, s)
	second.await(t, func() bool { return len(second.starts) > 0 })
	require.False(t, second.starts[0].New)
	require.Equal(t, first.pieces[len(first.pieces)-1].To, second.starts[0].LSN)
	second.catchUp(t)
	require.Empty(t, second.gaps)
	second.stop(t)
	require.Equal(t, "a,b,c", at(t, verifyOptions(s).RestoreOptions, backup.Point{Latest: true}))
}

// Without its slot the archive goes on as long as the server still has what is next.
// What it has removed is noticed and said, and nothing is restored across it.
func TestGapInTheArchive(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	first := startArchive(t, src.url, s)
	first.await(t, func() bool { return len(first.starts) > 0 })
	create(t, src, s, backup.Physical)
	write(t, src.url, "a")
	first.catchUp(t)
	first.stop(t)
	dropSlot(t, src.url)
	write(t, src.url, "b")
	reached := one[time.Time](t, src.url, `SELECT clock_timestamp()`)
	write(t, src.url, "c")
	second := startArchive(t, src.url, s)
	second.catchUp(t)
	require.Empty(t, second.gaps)
	second.stop(t)

	dropSlot(t, src.url)
	lost := write(t, src.url, "lost")
	for range 3 {
		exec(t, src.url, `SELECT pg_switch_wal()`)
		write(t, src.url, "lost as well")
		exec(t, src.url, `CHECKPOINT`)
	}
	third := startArchive(t, src.url, s)
	third.catchUp(t)
	require.Len(t, third.gaps, 1)
	require.Equal(t, second.pieces[len(second.pieces)-1].To, third.gaps[0].From)
	require.Equal(t, third.starts[len(third.starts)-1].LSN, third.gaps[0].To)

	o := verifyOptions(s).RestoreOptions
	for _, p := range []backup.Point{{Latest: true}, {XID: lost}, {Time: time.Now()}} {
		dir := scratch(t, "gap")
		_, err := backup.RestorePoint(t.Context(), o, p, dir)
		gap := new(*backup.GapError)
		require.ErrorAs(t, err, gap, "%v", p)
		require.Equal(t, third.gaps[0].From, (*gap).Gap.From)
		require.Equal(t, third.gaps[0].To, (*gap).Gap.To)
		require.NoFileExists(t, dir+"/global/pg_control")
	}
	require.Equal(t, "a,b", at(t, o, backup.Point{Time: reached}), "up to the gap everything is reached")

	create(t, src, s, backup.Physical)
	write(t, src.url, "after")
	third.catchUp(t)
	third.stop(t)
	require.Equal(t, one[string](t, src.url, lines), at(t, o, backup.Point{Latest: true}))
}

func dropSlot(t *testing.T, url string) {
	t.Helper()
	exec(t, url, `SELECT pg_drop_replication_slot($1)`, backup.ArchiveSlot)
}

// A server that shuts down gets its last WAL stored first, and is not kept waiting; when
// it is back the archive goes on where it was.
func TestArchiveOfAServerThatGoesAway(t *testing.T) {
	t.Parallel()
	s, _ := folder(t)
	dir := scratch(t, "server")
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir})
	require.NoError(t, err)
	exec(t, cluster.URL("postgres"), `CREATE DATABASE loanserve`)
	exec(t, cluster.URL("loanserve"), `CREATE ROLE loanserve_backup`)
	exec(t, cluster.URL("loanserve"), diary)
	first := startArchive(t, cluster.URL("loanserve"), s, func(o *backup.ArchiveOptions) { o.Interval = time.Hour })
	first.await(t, func() bool { return len(first.starts) > 0 })
	write(t, cluster.URL("loanserve"), "a")
	began := time.Now()
	require.NoError(t, cluster.Stop())
	require.Less(t, time.Since(began), 30*time.Second)
	require.Error(t, first.wait(t))
	require.NotEmpty(t, first.pieces)

	cluster, err = pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	second := startArchive(t, cluster.URL("loanserve"), s)
	second.catchUp(t)
	require.Equal(t, first.pieces[len(first.pieces)-1].To, second.starts[0].LSN)
	require.Empty(t, second.gaps)
	second.stop(t)
}

// A slot that the server gave up, because too much waited for it, is made anew.
func TestArchiveAfterTheSlotIsLost(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	exec(t, src.url, `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`)
	exec(t, src.url, `SELECT pg_reload_conf()`)
	first := startArchive(t, src.url, s)
	first.catchUp(t)
	require.False(t, first.starts[0].Unbounded)
	first.stop(t)
	for range 4 {
		write(t, src.url, "lost")
		exec(t, src.url, `SELECT pg_switch_wal()`)
		exec(t, src.url, `CHECKPOINT`)
	}
	require.Equal(t, "lost", one[string](t, src.url,
		`SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1`, backup.ArchiveSlot))

	exec(t, src.url, `ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`)
	exec(t, src.url, `SELECT pg_reload_conf()`)
	second := startArchive(t, src.url, s)
	second.catchUp(t)
	require.Len(t, second.gaps, 1)
	require.Equal(t, "reserved", one[string](t, src.url,
		`SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1`, backup.ArchiveSlot))
	create(t, src, s, backup.Physical)
	write(t, src.url, "kept")
	second.catchUp(t)
	second.stop(t)
	require.Equal(t, "lost,lost,lost,lost,kept", at(t, verifyOptions(s).RestoreOptions, backup.Point{Latest: true}))
}
