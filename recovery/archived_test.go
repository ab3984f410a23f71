package recovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/database"
	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
	"loanserve/migrations"
	"loanserve/queries"
	"loanserve/recovery"
)

// archived is a server whose WAL is archived, with a backup.
type archived struct {
	url        string
	app, super *pgxpool.Pool
	covered    chan time.Time
	options    backup.RestoreOptions
}

// archive starts one. It ends with the test.
func archive(t testing.TB) *archived {
	t.Helper()
	// A server sends what it has flushed, and tells of no commit that it has not.
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{
		Settings: map[string]string{"synchronous_commit": "on"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	a := &archived{url: cluster.URL("loanserve"), covered: make(chan time.Time)}
	conn, err := pgx.Connect(t.Context(), cluster.URL("postgres"))
	require.NoError(t, err)
	exec(t, conn, `CREATE DATABASE loanserve`)
	require.NoError(t, conn.Close(t.Context()))
	_, err = migrations.Up(t.Context(), a.url, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	a.app, a.super = pool(t, a.url, database.RoleApp), pool(t, a.url, "none")

	s, err := store.Open(t.Context(), "file://"+t.TempDir(), func(string) string { return "" })
	require.NoError(t, err)
	a.options = backup.RestoreOptions{Store: s, Identities: nil, Scratch: pgcluster.Temp(), Progress: nil}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- backup.ArchiveWAL(ctx, backup.ArchiveOptions{
			DatabaseURL: a.url, Store: s, Interval: 100 * time.Millisecond, Observer: a,
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	a.catchUp(t)
	_, err = backup.Create(t.Context(), backup.Options{
		Kind: backup.Physical, DatabaseURL: a.url, Store: s, Program: "test",
	})
	require.NoError(t, err)
	return a
}

func pool(t testing.TB, url, role string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["role"] = role
	config.AfterConnect = database.RegisterTypes
	p, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// Began implements backup.ArchiveObserver.
func (*archived) Began(context.Context, backup.ArchiveStart) error { return nil }

// Stored implements backup.ArchiveObserver.
func (*archived) Stored(backup.ArchivedPiece) {}

// Missing implements backup.ArchiveObserver.
func (*archived) Missing(_ context.Context, g backup.WALGap) error { return fmt.Errorf("a gap: %v", g) }

// Covered implements backup.ArchiveObserver. It tells whoever waits.
func (a *archived) Covered(through time.Time) {
	select {
	case a.covered <- through:
	default:
	}
}

// catchUp waits until all that is committed by now is in the store.
func (a *archived) catchUp(t testing.TB) {
	t.Helper()
	now := time.Now()
	for late := time.After(time.Minute); ; {
		select {
		case through := <-a.covered:
			if through.After(now) {
				return
			}
		case <-late:
			require.Fail(t, "the archive does not catch up")
		}
	}
}

// TestFoundInTheArchiveAndBroughtBack knows only that loans are missing: the WAL says
// which transaction took them, also while its file is unfinished, and the images around
// it have what it took. What the same session rolled back, and what others deleted, are
// not taken for it.
func TestFoundInTheArchiveAndBroughtBack(t *testing.T) {
	t.Parallel()
	a := archive(t)
	var all []queries.Loan
	for range 4 {
		loan := testdb.Loan(t, a.app)
		testdb.Borrower(t, a.app, loan, queries.BorrowerRolePrimary)
		testdb.Payment(t, a.app, loan)
		all = append(all, loan)
	}
	before := rows(t, a.super)
	first := testdb.LoseLoans(t, a.super, all[0].ID)
	second := testdb.LoseLoans(t, a.super, all[1].ID, all[2].ID)
	later := testdb.Payment(t, a.app, all[3])
	tx, err := a.super.Begin(t.Context())
	require.NoError(t, err)
	exec(t, tx, `DELETE FROM payments WHERE id = $1`, later.ID)
	require.NoError(t, tx.Rollback(t.Context()))
	a.catchUp(t)

	found, err := recovery.Find(t.Context(), a.options, a.url, time.Time{})
	require.NoError(t, err)
	require.Empty(t, found.Gap)
	require.Equal(t, ids(all[:3]...), loanIDs(found.Missing))
	var took []recovery.Taking
	for _, of := range found.Takings {
		if of.TookLoans() {
			took = append(took, of)
		}
	}
	require.Len(t, took, 2, "%+v", found.Takings)
	require.Equal(t, []string{second, first}, []string{fmt.Sprint(took[0].XID), fmt.Sprint(took[1].XID)})
	require.Equal(t, map[string]int64{
		"loans": 2, "payments": 2, "transactions": 2, "borrowers": 2, "loan_borrowers": 2, "properties": 2,
	}, took[0].Deleted)

	since, err := recovery.Find(t.Context(), a.options, a.url, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, since.Takings)

	// Both are undone at once, the newest collected first.
	s, err := recovery.Open(t.Context(), a.url)
	require.NoError(t, err)
	defer s.Close(context.Background())
	s.Origin = recovery.Origin{Actor: "operator", ActorName: "the test", XIDs: []string{second, first}}
	for n, of := range took {
		images, err := recovery.MakeImages(t.Context(), a.options, of.XID)
		require.NoError(t, err)
		beforeURL, afterURL := images.URLs("loanserve")
		if n == 0 {
			// An image archives nothing, sends nothing, and is without the transaction or with it.
			const alone = `SELECT concat_ws(' ', current_setting('archive_mode'), count(*)) FROM loans`
			require.Equal(t, "off 3", one[string](t, pool(t, beforeURL, "none"), alone))
			require.Equal(t, "off 1", one[string](t, pool(t, afterURL, "none"), alone))
			require.Zero(t, one[int](t, pool(t, beforeURL, "none"), `SELECT count(*) FROM pg_stat_replication`))
		}
		require.NoError(t, s.Collect(t.Context(), beforeURL, afterURL, nil))
		defer func() { require.NoError(t, images.Close()) }()
	}
	require.NoError(t, s.Select(t.Context(), recovery.Loans{}))
	plan, err := s.Merge(t.Context())
	require.NoError(t, err)
	require.Equal(t, ids(all[:3]...), loanIDs(plan.Loans))
	before["payments"] = append(before["payments"],
		one[string](t, a.super, `SELECT p::text FROM payments p WHERE id = $1`, later.ID))
	for table, got := range rows(t, a.super) {
		require.ElementsMatch(t, before[table], got, table)
	}

	// A store may have backups of several servers.
	images, err := recovery.MakeImages(t.Context(), a.options, took[1].XID)
	require.NoError(t, err)
	defer func() { require.NoError(t, images.Close()) }()
	elsewhere, err := recovery.Open(t.Context(), testdb.Clone(t).URL)
	require.NoError(t, err)
	defer elsewhere.Close(context.Background())
	_, err = recovery.Find(t.Context(), a.options, testdb.Clone(t).URL, time.Time{})
	require.ErrorIs(t, err, recovery.ErrNoBackup)
	beforeURL, afterURL := images.URLs("loanserve")
	require.ErrorIs(t, elsewhere.Collect(t.Context(), beforeURL, afterURL, nil), recovery.ErrOtherServer)

	// A transaction that never was is no image of anything.
	last, err := strconv.ParseUint(second, 10, 64)
	require.NoError(t, err)
	_, err = recovery.MakeImages(t.Context(), a.options, last+1_000_000)
	require.ErrorIs(t, err, backup.ErrNotReached)
}

func loanIDs(loans []recovery.Loan) []int64 {
	all := make([]int64, len(loans))
	for i, l := range loans {
		all[i] = l.ID
	}
	return all
}
