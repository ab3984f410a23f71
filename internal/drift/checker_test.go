package drift_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/catalog"
	"loanserve/internal/drift"
	"loanserve/internal/testdb"
	"loanserve/migrations"
)

func TestCheckerFindsADriftAndItsEnd(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	expect(t, db.App)
	checker := drift.NewChecker(db.App, db.URL)
	found, err := checker.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
	require.False(t, drift.Refuses(found))

	_, err = db.Super.Exec(t.Context(), `ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address`)
	require.NoError(t, err)
	found, err = checker.Check(t.Context())
	require.NoError(t, err)
	require.True(t, drift.Refuses(found))
	require.Equal(t, map[drift.Severity]int{drift.Breaking: 1, drift.Protection: 0, drift.Extra: 0}, drift.Count(found))

	_, err = db.Owner.Exec(t.Context(), found[0].Remedy)
	require.NoError(t, err)
	found, err = checker.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestCheckerRefusesAnotherHistory(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	checker := drift.NewChecker(db.App, db.URL)
	_, err := db.Super.Exec(t.Context(),
		`DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)`)
	require.NoError(t, err)
	_, err = checker.Check(t.Context())
	require.ErrorIs(t, err, drift.ErrHistory)
	require.ErrorIs(t, err, migrations.ErrPending)
	_, err = db.Super.Exec(t.Context(),
		`INSERT INTO schema_migrations (version, name, sha256) VALUES (99999, 'later', 'x')`)
	require.NoError(t, err)
	_, err = checker.Check(t.Context())
	require.ErrorIs(t, err, drift.ErrHistory)
}

// A database that the next release has migrated is not judged by what this one makes.
func TestCheckerLeavesANewerSchema(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	_, err := db.Super.Exec(t.Context(),
		`INSERT INTO schema_migrations (version, name, sha256) VALUES (99999, 'later', 'x')`)
	require.NoError(t, err)
	_, err = drift.NewChecker(db.App, db.URL).Check(t.Context())
	require.ErrorIs(t, err, drift.ErrUnjudged)
}

// TestScratchIsWhatIsWrittenDown makes the expectation as it is made for a major
// version of which nothing is written down.
func TestScratchIsWhatIsWrittenDown(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	want := expect(t, db.App)
	got, err := drift.Scratch(t.Context(), db.URL)
	require.NoError(t, err)
	require.Equal(t, string(catalog.Format(want)), string(catalog.Format(got)))
	var left int
	err = db.Super.QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname LIKE 'loanserve\_scratch\_%'
		AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = pg_database.datname)`).Scan(&left)
	require.NoError(t, err)
	require.Zero(t, left)
}

// A login that may not make a database is told so, and which rights it needs.
func TestScratchNeedsRights(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	login := "weak_" + db.Name[len(db.Name)-8:]
	_, err := db.Super.Exec(t.Context(), `CREATE ROLE `+pgx.Identifier{login}.Sanitize()+` LOGIN`)
	require.NoError(t, err)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), db.URL)
		require.NoError(t, err)
		_, err = conn.Exec(context.Background(), `DROP ROLE `+pgx.Identifier{login}.Sanitize())
		require.NoError(t, err)
		require.NoError(t, conn.Close(context.Background()))
	})
	u, err := url.Parse(db.URL)
	require.NoError(t, err)
	u.User = url.User(login)
	_, err = drift.Scratch(t.Context(), u.String())
	require.ErrorContains(t, err, "create scratch database")
}

// TestExpectationsAreOfTheseMigrations fails for each file that was not renewed with
// the migrations, whichever server there is here.
func TestExpectationsAreOfTheseMigrations(t *testing.T) {
	t.Parallel()
	stale, err := migrations.StaleExpected()
	require.NoError(t, err)
	require.Empty(t, stale)
	for _, major := range []int{15, 18} {
		text, err := migrations.Expected(major)
		require.NoError(t, err)
		facts, err := catalog.Parse(text)
		require.NoError(t, err)
		require.Greater(t, len(facts), 500)
	}
	text, err := migrations.Expected(14)
	require.NoError(t, err)
	require.Empty(t, text)
}

// BenchmarkCheck measures a whole check: the history, the catalog and the comparison.
func BenchmarkCheck(b *testing.B) {
	db := testdb.Clone(b)
	checker := drift.NewChecker(db.App, db.URL)
	for b.Loop() {
		found, err := checker.Check(b.Context())
		require.NoError(b, err)
		require.Empty(b, found)
	}
}
