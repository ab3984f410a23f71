package migrations_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/testdb"
	"loanserve/migrations"
)

// history reads what a database says was applied, with the times.
const history = `
SELECT version || ' ' || name || ' ' || sha256 || ' ' || applied_at FROM schema_migrations ORDER BY version`

func TestUpMigratesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)

	before, err := migrations.Status(t.Context(), db.URL)
	require.NoError(t, err)
	require.NotEmpty(t, before)
	for _, m := range before {
		require.Zero(t, m.AppliedAt, m.Name)
	}
	require.ErrorIs(t, migrations.Check(t.Context(), db.Super), migrations.ErrPending)

	applied, err := migrations.Up(t.Context(), db.URL, quiet())
	require.NoError(t, err)
	require.Equal(t, names(before), names(applied))

	after, err := migrations.Status(t.Context(), db.URL)
	require.NoError(t, err)
	for _, m := range after {
		require.NotZero(t, m.AppliedAt, m.Name)
	}
	require.NoError(t, migrations.Check(t.Context(), db.App), "the application can check by itself")
	testdb.Loan(t, db.App)
}

func TestUpTwiceDoesNothing(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	testdb.Loan(t, db.App)
	before := contents(t, db.Super)

	applied, err := migrations.Up(t.Context(), db.URL, quiet())
	require.NoError(t, err)
	require.Empty(t, applied)
	require.Equal(t, before, contents(t, db.Super))
}

func TestUpByManyAtOnce(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	all, err := migrations.Status(t.Context(), db.URL)
	require.NoError(t, err)

	applied := make([][]migrations.Migration, 5)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range applied {
		group.Go(func() (err error) {
			applied[i], err = migrations.Up(ctx, db.URL, quiet())
			return err
		})
	}
	require.NoError(t, group.Wait())

	once := names(slices.Concat(applied...))
	slices.Sort(once)
	require.Equal(t, names(all), once, "each is applied by one, once")
	require.NoError(t, migrations.Check(t.Context(), db.App))
}

func TestUpOnManyDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	group, ctx := errgroup.WithContext(t.Context())
	for range 4 {
		db := testdb.Empty(t)
		all, err := migrations.Status(t.Context(), db.URL)
		require.NoError(t, err)
		group.Go(func() error {
			applied, err := migrations.Up(ctx, db.URL, quiet())
			if err == nil && !slices.Equal(names(all), names(applied)) {
				err = fmt.Errorf("applied %v of %v", names(applied), names(all))
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
}

// locked has another session hold what migrating the empty database needs. A
// table that is being created blocks its name as a locked one blocks its use.
func locked(t *testing.T, db *testdb.DB) (release func()) {
	t.Helper()
	tx, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	exec(t, tx, `CREATE TABLE public.loans ()`)
	return func() { require.NoError(t, tx.Rollback(t.Context())) }
}

// awaitBlocked returns when a migration waits for a lock.
func awaitBlocked(t *testing.T, db *testdb.DB) {
	t.Helper()
	require.Eventually(t, func() bool {
		return one[bool](t, db.Super, `
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
  AND application_name = 'loanserve migrate' AND wait_event_type = 'Lock' AND state = 'active')`)
	}, patience, 10*time.Millisecond)
}

// signals is a writer that tells of the first line written.
type signals chan struct{}

func (s signals) Write(b []byte) (int, error) {
	select {
	case s <- struct{}{}:
	default:
	}
	return len(b), nil
}

func TestUpTriesAgainWhenATableIsLocked(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	all, err := migrations.Status(t.Context(), db.URL)
	require.NoError(t, err)
	release := locked(t, db)

	warned := make(signals, 1)
	var applied []migrations.Migration
	var group errgroup.Group
	group.Go(func() (err error) {
		applied, err = migrations.Up(t.Context(), db.URL, slog.New(slog.NewJSONHandler(warned, nil)))
		return err
	})
	awaitBlocked(t, db)
	select {
	case <-warned: // It gave up waiting once, and let others pass.
	case <-time.After(patience):
		t.Fatal("Up did not give up waiting for the lock")
	}
	release()
	require.NoError(t, group.Wait())
	require.Equal(t, names(all), names(applied), "those before the lock and those after")
}

func TestUpEndsWhenCanceled(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	release := locked(t, db)

	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error {
		_, err := migrations.Up(ctx, db.URL, quiet())
		return err
	})
	awaitBlocked(t, db)
	cancel()
	require.ErrorIs(t, group.Wait(), context.Canceled)

	release()
	_, err := migrations.Up(t.Context(), db.URL, quiet())
	require.NoError(t, err, "what was cut short is taken up again")
	require.NoError(t, migrations.Check(t.Context(), db.App))
}

func TestAnotherHistoryIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"an applied migration was edited":  `UPDATE schema_migrations SET sha256 = repeat('0', 64) WHERE version = 2`,
		"an applied migration was renamed": `UPDATE schema_migrations SET name = '00002_other' WHERE version = 2`,
		"the River step was edited":        `UPDATE schema_migrations SET sha256 = repeat('0', 64) WHERE version = 1`,
		"one among them is not known":      `INSERT INTO schema_migrations (version, name, sha256) VALUES (13, '00013_other', repeat('0', 64))`,
		"it is newer, and not all of it is there": `DELETE FROM schema_migrations
			WHERE version = (SELECT max(version) FROM schema_migrations);
			INSERT INTO schema_migrations (version, name, sha256) VALUES (99999, '99999_later', repeat('0', 64))`,
		"an earlier migration is missing": `DELETE FROM schema_migrations WHERE version = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Clone(t)
			exec(t, db.Super, change)
			before := column[string](t, db.Super, history)

			applied, err := migrations.Up(t.Context(), db.URL, quiet())
			require.Error(t, err)
			require.Empty(t, applied)
			_, err = migrations.Status(t.Context(), db.URL)
			require.Error(t, err)
			err = migrations.Check(t.Context(), db.App)
			require.Error(t, err)
			require.NotErrorIs(t, err, migrations.ErrPending)

			require.Equal(t, before, column[string](t, db.Super, history))
		})
	}
}

// TestANewerSchema proves that a program of the previous release works on a schema that
// the next one has migrated, until a migration says that it cannot, and that it never
// migrates it.
func TestANewerSchema(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	exec(t, db.Super, `INSERT INTO schema_migrations (version, name, sha256) VALUES
		(99998, '99998_later', repeat('0', 64)), (99999, '99999_later', repeat('0', 64))`)
	newest := one[int64](t, db.Super, `SELECT max(version) FROM schema_migrations WHERE version < 99998`)
	newer, err := migrations.Newer(t.Context(), db.App)
	require.NoError(t, err)
	require.Equal(t, 2, newer)
	require.NoError(t, migrations.Check(t.Context(), db.App))
	_, err = migrations.Up(t.Context(), db.URL, quiet())
	require.ErrorContains(t, err, "newer than this program")
	_, err = migrations.Status(t.Context(), db.URL)
	require.ErrorContains(t, err, "newer than this program")

	exec(t, db.Super, `INSERT INTO schema_requirements VALUES (99998, $1)`, newest)
	require.NoError(t, migrations.Check(t.Context(), db.App))
	exec(t, db.Super, `INSERT INTO schema_requirements VALUES (99999, 99998)`)
	require.ErrorIs(t, migrations.Check(t.Context(), db.App), migrations.ErrOutdated)
}

func TestCheckReportsPending(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	exec(t, db.Super, `DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)`)
	require.ErrorIs(t, migrations.Check(t.Context(), db.App), migrations.ErrPending)
}

func TestCheckReportsABrokenConnection(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := migrations.Check(ctx, testdb.Tx(t))
	require.ErrorIs(t, err, context.Canceled)
}

// TestRiverSchemaIsTheNewest fails when River brings another version of its
// schema: add it to riverVersions under the next free number.
func TestRiverSchemaIsTheNewest(t *testing.T) {
	t.Parallel()
	migrator, err := rivermigrate.New(riverpgxv5.New(nil), &rivermigrate.Config{Schema: migrations.RiverSchema})
	require.NoError(t, err)
	ships := 0
	for _, m := range migrator.AllVersions() {
		ships = max(ships, m.Version)
	}
	require.Equal(t, ships, one[int](t, testdb.Tx(t), `SELECT max(version) FROM river.river_migration`))
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	first, err := migrations.Fingerprint()
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{64}$`, first)
	second, err := migrations.Fingerprint()
	require.NoError(t, err)
	require.Equal(t, first, second)
}
