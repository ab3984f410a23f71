package backup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/backup"
)

// WAL from before the window goes, and only when there is a verified backup from
// before the window to go on from; what follows it stays whole.
func TestPruneWAL(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, _ := folder(t)
	exec(t, src.url, diary)
	a := startArchive(t, src.url, s)
	a.await(t, func() bool { return len(a.starts) > 0 })
	create(t, src, s, backup.Physical)
	write(t, src.url, "a")
	middle := write(t, src.url, "b")
	a.catchUp(t)
	second := create(t, src, s, backup.Physical)
	write(t, src.url, "c")
	a.catchUp(t)
	a.stop(t)
	o := verifyOptions(s).RestoreOptions
	r := backup.DefaultRetention()
	now := time.Now()
	prune := func(dryRun bool) backup.WALFate {
		fates, err := backup.PruneWAL(t.Context(), s, r, now, dryRun)
		require.NoError(t, err)
		require.Len(t, fates, 1)
		require.Equal(t, second.Database.SystemIdentifier, fates[0].SystemIdentifier)
		return fates[0]
	}

	require.Contains(t, prune(false).Why, "the newest is not verified")
	require.True(t, verify(t, s, second).Verified)
	fate := prune(false)
	require.Zero(t, fate.Pieces)
	require.Contains(t, fate.Why, "older than the window of 336h")

	r.WAL = 0
	objects, err := s.List(t.Context(), "wal/")
	require.NoError(t, err)
	would := prune(true)
	require.NotZero(t, would.Pieces)
	require.Contains(t, would.Why, second.ID)
	kept, err := s.List(t.Context(), "wal/")
	require.NoError(t, err)
	require.Equal(t, objects, kept)
	require.Equal(t, would, prune(false))
	require.Zero(t, prune(false).Pieces)

	require.Equal(t, "a,b,c", at(t, o, backup.Point{Latest: true}))
	_, err = backup.RestorePoint(t.Context(), o, backup.Point{XID: middle}, scratch(t, "pruned"))
	require.Error(t, err)
}
