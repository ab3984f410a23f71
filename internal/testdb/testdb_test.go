package testdb_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
	"loanserve/migrations"
	"loanserve/mortgage"
	"loanserve/queries"
)

func TestTxActsAsTheApplicationAndIsRolledBack(t *testing.T) {
	t.Parallel()
	var number string
	t.Run("a test", func(t *testing.T) { // Not parallel: what follows needs it to have ended.
		tx := testdb.Tx(t)
		var role string
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT current_user`).Scan(&role))
		require.Equal(t, testdb.RoleApp, role)
		number = testdb.Loan(t, tx).LoanNumber
		require.Len(t, loans(t, tx, number), 1)
	})
	require.Empty(t, loans(t, testdb.Tx(t), number))
}

func loans(t *testing.T, db queries.DBTX, number string) []queries.Loan {
	t.Helper()
	found, err := queries.New(db).ListLoans(t.Context(), queries.ListLoansParams{
		AfterID: 0, LoanNumber: &number, RowLimit: 10,
	})
	require.NoError(t, err)
	return found
}

// recorder is a test that notes its failure and nothing else.
type recorder struct {
	testing.TB

	ctx      context.Context //nolint:containedctx // It stands in for a test, which has one.
	cleanups []func()
	failed   bool
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(...any)             { r.failed = true }
func (r *recorder) Errorf(string, ...any)    { r.failed = true }
func (r *recorder) end() {
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		r.cleanups[last]()
		r.cleanups = r.cleanups[:last]
	}
}

func TestTxFailsATestThatCommits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(context.Context, pgx.Tx) error
		fail bool
	}{
		"it commits": {func(ctx context.Context, tx pgx.Tx) error { _ = tx.Commit(ctx); return nil }, true},
		"it commits by SQL": {func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `COMMIT`)
			return err
		}, true},
		"it rolls back":      {func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) }, false},
		"it leaves it open":  {func(context.Context, pgx.Tx) error { return nil }, false},
		"it breaks the rest": {func(ctx context.Context, tx pgx.Tx) error { _, _ = tx.Exec(ctx, `broken`); return nil }, false},
		"it loses the connection": {func(ctx context.Context, tx pgx.Tx) error {
			return tx.Conn().Close(ctx)
		}, false},
		"what it calls commits": {func(ctx context.Context, tx pgx.Tx) error {
			return pgx.BeginFunc(ctx, tx, func(pgx.Tx) error { return nil })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{ctx: t.Context()}
			require.NoError(t, c.end(t.Context(), testdb.Tx(r)))
			r.end()
			require.Equal(t, c.fail, r.failed)
		})
	}
}

func TestClonesAreApart(t *testing.T) {
	t.Parallel()
	first, second := testdb.Clone(t), testdb.Clone(t)
	number := testdb.Loan(t, first.App).LoanNumber
	require.Len(t, loans(t, first.Super, number), 1)
	require.Empty(t, loans(t, second.Super, number))
	require.Empty(t, loans(t, testdb.Tx(t), number))
}

func TestPoolsActAsTheirRoles(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	for role, pool := range map[string]*pgxpool.Pool{
		testdb.RoleApp:      db.App,
		testdb.RoleOwner:    db.Owner,
		testdb.RoleReadonly: db.Pool(t, testdb.RoleReadonly),
		testdb.RoleBackup:   db.Pool(t, testdb.RoleBackup),
	} {
		var name, database string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_user, current_database()`).Scan(&name, &database))
		require.Equal(t, role, name)
		require.Equal(t, db.Name, database)
	}
	var super bool
	require.NoError(t, db.Super.QueryRow(t.Context(), `SELECT current_setting('is_superuser')::bool`).Scan(&super))
	require.True(t, super)
	_, err := db.Owner.Exec(t.Context(), `CREATE SCHEMA aside`)
	require.NoError(t, err, "the owner may do in a clone what it may where it was migrated")
}

func TestACloneIsDropped(t *testing.T) {
	t.Parallel()
	watch := testdb.Empty(t)
	var name, address string
	t.Run("a test", func(t *testing.T) { // Not parallel: what follows needs it to have ended.
		db := testdb.Clone(t)
		name, address = db.Name, db.URL
		require.True(t, exists(t, watch.Super, name))
		conn, err := pgx.Connect(t.Context(), address) // Somebody who stays.
		require.NoError(t, err)
		require.NotNil(t, conn)
	})
	require.False(t, exists(t, watch.Super, name))
}

func exists(t *testing.T, pool *pgxpool.Pool, name string) (found bool) {
	t.Helper()
	err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&found)
	require.NoError(t, err)
	return found
}

func TestEmptyHasNoTables(t *testing.T) {
	t.Parallel()
	var tables int
	require.NoError(t, testdb.Empty(t).Super.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`).Scan(&tables))
	require.Zero(t, tables)
}

func TestLendDropsWhatItLent(t *testing.T) {
	t.Parallel()
	failure := errors.New("the command failed")
	var address string
	err := testdb.Lend(t.Context(), func(url string) error {
		address = url
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		require.NoError(t, migrations.Check(t.Context(), conn))
		return failure
	})
	require.ErrorIs(t, err, failure)
	_, err = pgx.Connect(t.Context(), address)
	require.Error(t, err)
}

func TestALeakedConnectionFailsTheTest(t *testing.T) {
	t.Parallel()
	r := &recorder{ctx: t.Context()}
	conn, err := testdb.Clone(r).App.Acquire(t.Context())
	require.NoError(t, err)
	r.end()
	require.True(t, r.failed)
	conn.Release()
}

func TestLoanIsPlausible(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) { p.SuspenseCents = 12_34 })
	require.EqualValues(t, 12_34, loan.SuspenseCents)
	require.EqualValues(t, 1, loan.LastSeq)

	terms := mortgage.Terms{
		Rate: loan.RatePpm, PrincipalAndInterest: loan.PrincipalAndInterestCents, EscrowPayment: loan.EscrowPaymentCents,
		DueDay: int(loan.DueDay), MaturityOn: loan.MaturityOn, InterestMethod: loan.InterestMethod,
		ApplicationOrder: loan.ApplicationOrder, ExcessPolicy: loan.ExcessPolicy, Rounding: loan.Rounding,
	}
	require.NoError(t, terms.Check(mortgage.State{Principal: loan.PrincipalCents, NextDueOn: loan.NextDueOn}))
	level, err := mortgage.LevelPayment(loan.OriginalPrincipalCents, loan.RatePpm, 360, loan.Rounding)
	require.NoError(t, err)
	require.Equal(t, level, loan.PrincipalAndInterestCents)

	testdb.Borrower(t, tx, loan, queries.BorrowerRolePrimary)
	testdb.EscrowLine(t, tx, loan)
	testdb.Document(t, tx, loan)
	require.Equal(t, queries.PaymentStatusReceived, testdb.Payment(t, tx, loan).Status)
	var wrong int
	require.NoError(t, tx.QueryRow(t.Context(),
		`SELECT (SELECT count(*) FROM broken_seals) + (SELECT count(*) FROM unreconciled_loans)`).Scan(&wrong))
	require.Zero(t, wrong)
}

// subprocess marks this test binary as run by the test below.
const subprocess = "TESTDB_SUBPROCESS"

// TestManyProcessesShareOneServer runs processes of tests at once on a server
// that has nothing prepared, where one was killed half way and one that used an
// older schema has ended.
func TestManyProcessesShareOneServer(t *testing.T) {
	t.Parallel()
	if os.Getenv(subprocess) != "" {
		t.Skip("this is one of those processes")
	}
	binaries, err := pgcluster.Provision(t.Context(), nil)
	require.NoError(t, err)
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Binaries: binaries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	admin, err := pgx.Connect(t.Context(), cluster.URL("postgres"))
	require.NoError(t, err)
	defer admin.Close(t.Context())

	const older, foreign = "loanserve_test_0badc0de_template", "loanserve_tests_of_somebody"
	for _, name := range []string{older, "loanserve_test_0badc0de_clone_x", foreign} {
		_, err := admin.Exec(t.Context(), `CREATE DATABASE `+name)
		require.NoError(t, err)
	}
	prefix := together(t, cluster.URL("postgres"), admin)
	names := databases(t, admin)
	require.ElementsMatch(t, []string{prefix + "template", prefix + "shared", foreign}, names)

	// A template that is there is taken, and what a killed process left is dropped.
	before := created(t, admin, prefix+"template")
	for _, kind := range []string{"build_x", "clone_x", "lent_x"} {
		_, err := admin.Exec(t.Context(), `CREATE DATABASE `+prefix+kind)
		require.NoError(t, err)
	}
	together(t, cluster.URL("postgres"), admin)
	require.ElementsMatch(t, names, databases(t, admin))
	require.Equal(t, before, created(t, admin, prefix+"template"))
}

// together runs three processes of tests at once, and returns what the names of
// their databases begin with.
func together(t *testing.T, address string, admin *pgx.Conn) (prefix string) {
	t.Helper()
	var group errgroup.Group
	for range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestTxActs|TestClonesAreApart)")
		cmd.Env = append(os.Environ(), "DATABASE_URL="+address, subprocess+"=1")
		group.Go(func() error {
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Logf("%s", out)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	for _, name := range databases(t, admin) {
		if prefix, ours := strings.CutSuffix(name, "shared"); ours {
			return prefix
		}
	}
	t.Fatal("there is no shared database")
	return ""
}

func databases(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT datname FROM pg_database WHERE starts_with(datname, 'loanserve_test')`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// created identifies a database: one that is dropped and made again has another.
func created(t *testing.T, conn *pgx.Conn, name string) (oid uint32) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT oid FROM pg_database WHERE datname = $1`, name).Scan(&oid))
	return oid
}

func BenchmarkTx(b *testing.B) {
	testdb.Tx(b)
	for b.Loop() {
		r := &recorder{TB: b, ctx: b.Context()}
		testdb.Tx(r)
		r.end()
	}
}

func BenchmarkLoan(b *testing.B) {
	tx := testdb.Tx(b)
	for b.Loop() {
		testdb.Loan(b, tx)
	}
}

func BenchmarkClone(b *testing.B) {
	testdb.Tx(b)
	for b.Loop() {
		r := &recorder{TB: b, ctx: b.Context()}
		testdb.Clone(r)
		r.end()
	}
}
