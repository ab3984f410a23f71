package backup_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/internal/pgcluster"
)

// After a failover the archive goes on with the server that took over: what the old
// one had not archived comes from the new one's past.
func TestArchiveAfterFailover(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	first := startArchive(t, src.url, s)
	first.await(t, func() bool { return len(first.starts) > 0 })
	m := create(t, src, s, backup.Physical)
	write(t, src.url, "a")
	first.catchUp(t)
	first.stop(t)

	standby := startStandby(t, src, m, verifyOptions(s).RestoreOptions)
	write(t, src.url, "b")
	end := one[string](t, src.url, `SELECT pg_current_wal_flush_lsn()::text`)
	for replayed := false; !replayed; {
		replayed = one[bool](t, standby, `SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)`, end)
	}
	src.pool.Close()
	require.NoError(t, src.cluster.Stop())
	require.True(t, one[bool](t, standby, `SELECT pg_promote()`))
	write(t, standby, "c")

	second := startArchive(t, standby, s)
	second.catchUp(t)
	require.Empty(t, second.gaps)
	require.Equal(t, first.pieces[len(first.pieces)-1].To, second.starts[0].LSN)
	require.Equal(t, 1, second.starts[0].Timeline)
	require.Equal(t, 2, second.pieces[len(second.pieces)-1].Timeline)
	second.stop(t)
	third := startArchive(t, standby, s)
	last := write(t, standby, "d")
	third.catchUp(t)
	require.Equal(t, second.pieces[len(second.pieces)-1].To, third.starts[0].LSN)
	third.stop(t)

	o := verifyOptions(s).RestoreOptions
	require.Equal(t, "a,b,c,d", at(t, o, backup.Point{Latest: true}))
	require.Equal(t, "a,b,c", at(t, o, backup.Point{XID: last, Before: true}))
}

// startStandby makes a server that follows the source.
func startStandby(t *testing.T, src *source, m *backup.Manifest, o backup.RestoreOptions) (address string) {
	t.Helper()
	dir := scratch(t, "standby")
	require.NoError(t, backup.RestoreDir(t.Context(), o, m, dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "standby.signal"), nil, 0o600))
	u, err := url.Parse(src.url)
	require.NoError(t, err)
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir, Settings: map[string]string{
		"primary_conninfo": "user=postgres host=" + u.Query().Get("host") + " port=" + u.Query().Get("port"),
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	return cluster.URL(m.Database.Name)
}

// A server that was restored to a moment and put to work is archived beside what was
// before, and its own past is what the newest way leads through. Another server of
// the same past must not write into the same archive.
func TestArchiveOfARestoredServer(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	first := startArchive(t, src.url, s)
	first.await(t, func() bool { return len(first.starts) > 0 })
	create(t, src, s, backup.Physical)
	write(t, src.url, "a")
	damage := write(t, src.url, "damage")
	write(t, src.url, "after")
	first.catchUp(t)
	first.stop(t)

	o := verifyOptions(s).RestoreOptions
	restore := func(name string, p backup.Point) string {
		dir := scratch(t, name)
		m, err := backup.RestorePoint(t.Context(), o, p, dir)
		require.NoError(t, err)
		cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
		return cluster.URL(m.Database.Name)
	}
	restored := restore("restored", backup.Point{XID: damage, Before: true})
	other := restore("other", backup.Point{XID: damage})
	write(t, restored, "instead")
	second := startArchive(t, restored, s)
	second.catchUp(t)
	require.Empty(t, second.gaps)
	second.stop(t)
	require.Equal(t, "a,instead", at(t, o, backup.Point{Latest: true}))

	third := startArchive(t, other, s)
	require.ErrorContains(t, third.wait(t), "another server has archived a timeline 2")
	require.Equal(t, "a,instead", at(t, o, backup.Point{Latest: true}))
}
