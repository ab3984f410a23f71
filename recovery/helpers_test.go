package recovery_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/recovery"
)

// querier is a pool, a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func exec(t testing.TB, db querier, sql string, args ...any) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

func column[T any](t *testing.T, db querier, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return all
}

func one[T any](t *testing.T, db querier, sql string, args ...any) T {
	t.Helper()
	all := column[T](t, db, sql, args...)
	require.Len(t, all, 1, sql)
	return all[0]
}

// rows returns every row of every table as text, but of those that tell of the
// recovery itself.
func rows(t *testing.T, db querier) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range column[string](t, db, `
SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('auth_events', 'history')`) {
		all[table] = column[string](t, db, `SELECT t::text FROM `+table+` t ORDER BY 1`)
	}
	return all
}

// loans boards loans, each with everything that can hang on one, and returns them.
func loans(t *testing.T, db *testdb.DB, n int) []queries.Loan {
	t.Helper()
	all := make([]queries.Loan, n)
	for i := range all {
		loan := testdb.Loan(t, db.App)
		testdb.Borrower(t, db.App, loan, queries.BorrowerRolePrimary)
		testdb.EscrowPayments(t, db.App, testdb.EscrowBill(t, db.App, testdb.EscrowLine(t, db.App, loan)))
		testdb.Document(t, db.App, loan)
		payment := testdb.Payment(t, db.App, loan)
		testdb.Reversal(t, db.App, payment)
		testdb.PaymentBatch(t, db.App, payment)
		testdb.LoanChange(t, db.App, loan)
		testdb.ARMTerms(t, db.App, loan)
		analysis := testdb.AnalysisWish(t, db.App, loan)
		testdb.AnalysisMonth(t, db.App, analysis)
		testdb.EscrowStatement(t, db.App, analysis)
		all[i] = loan
	}
	return all
}

func ids(loans ...queries.Loan) []int64 {
	all := make([]int64, len(loans))
	for i, l := range loans {
		all[i] = l.ID
	}
	return all
}

// damage is a database from which a transaction took something.
type damage struct {
	before, live, after *testdb.DB
	xid                 string
}

// lose makes the images around the loss of loans, and the database at work after it.
func lose(t *testing.T, before *testdb.DB, loans ...queries.Loan) damage {
	t.Helper()
	d := damage{before: before, live: before.Copy(t)}
	d.xid = testdb.LoseLoans(t, d.live.Super, ids(loans...)...)
	d.after = d.live.Copy(t)
	return d
}

// open salvages what was taken.
func (d damage) open(t *testing.T, list string) *recovery.Salvage {
	t.Helper()
	s, err := recovery.Open(t.Context(), d.live.URL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	s.Origin = recovery.Origin{Actor: "operator", ActorName: "the test", XIDs: []string{d.xid}}
	require.NoError(t, s.Collect(t.Context(), d.before.URL, d.after.URL, nil))
	d.choose(t, s, list)
	return s
}

func (d damage) choose(t *testing.T, s *recovery.Salvage, list string) {
	t.Helper()
	var chosen recovery.Loans
	if list != "" {
		var err error
		chosen, err = recovery.ParseLoans(list)
		require.NoError(t, err)
	}
	require.NoError(t, s.Select(t.Context(), chosen))
}

// merge puts back, and returns what was done.
func (d damage) merge(t *testing.T, s *recovery.Salvage) *recovery.Plan {
	t.Helper()
	plan, err := s.Merge(t.Context())
	require.NoError(t, err)
	return plan
}

// planned returns what a plan does to a table.
func planned(t *testing.T, p *recovery.Plan, table string) recovery.TablePlan {
	t.Helper()
	for _, t := range p.Tables {
		if t.Table == table {
			return t
		}
	}
	require.Fail(t, "the plan has no table", table)
	return recovery.TablePlan{}
}
