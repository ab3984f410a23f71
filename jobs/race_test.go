package jobs_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// Two payments, a reversal and the close of a day meet on one loan, again
// and again. Whatever their order, the loan ends where it would had they come one
// after the other in the order of their days, because its books depend on what
// happened and not on when it was posted.
func TestEverythingAtOnceOnOneLoan(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }

	calm := testdb.Loan(t, db.App, withCharges)
	for _, work := range raceOf(t, db.App, calm) {
		require.NoError(t, work())
	}
	want := settled(t, db.App, calm)

	for round := range testdb.Scale(50, 200) {
		loan := testdb.Loan(t, db.App, withCharges)
		var all errgroup.Group
		for _, work := range raceOf(t, db.App, loan) {
			all.Go(work)
		}
		require.NoError(t, all.Wait(), "round %d", round)
		require.Equal(t, want, settled(t, db.App, loan), "round %d", round)
		requireSoundBooks(t, db.App, loan.ID)
	}
}

// raceOf posts a first payment, and returns the work that takes it back, posts
// two others and closes a day after the grace of February.
func raceOf(t *testing.T, db *pgxpool.Pool, loan queries.Loan) []func() error {
	t.Helper()
	ctx := t.Context()
	post := func(payment queries.Payment) func() error {
		worker := &jobs.PostPayment{DB: db, Metrics: newMetrics()}
		return func() error { return worker.Work(ctx, jobFor(payment.ID)) }
	}
	first := testdb.Payment(t, db, loan, received(1000_00, "2026-02-05"))
	require.NoError(t, post(first)())
	reversal := testdb.Reversal(t, db, first)
	run := testdb.Run(t, db, asOf("2026-02-20"))
	testdb.RunChunk(t, db, run, loan, loan)
	_, err := db.Exec(ctx, "UPDATE runs SET status = 'running', total = 1, started_at = now() WHERE id = $1", run.ID)
	require.NoError(t, err)
	chunk := jobs.CloseDayChunkArgs{RunID: run.ID, FirstLoanID: loan.ID, LastLoanID: loan.ID}

	return []func() error{
		post(testdb.Payment(t, db, loan, received(600_00, "2026-02-10"))),
		post(testdb.Payment(t, db, loan, received(700_00, "2026-02-18"))),
		func() error { return closeChunk(ctx, db, chunk) },
		func() error {
			job := &river.Job[jobs.ReversePaymentArgs]{Args: jobs.ReversePaymentArgs{ReversalID: reversal.ID}}
			return (&jobs.ReversePayment{DB: db}).Work(ctx, job)
		},
	}
}

// settled is what a loan owes and holds, and what stands in its books.
func settled(t *testing.T, db *pgxpool.Pool, loan queries.Loan) []any {
	t.Helper()
	q := queries.New(db)
	l, err := q.GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	live, err := q.ListLiveTransactions(t.Context(), loan.ID)
	require.NoError(t, err)
	all := []any{
		l.PrincipalCents, l.EscrowCents, l.SuspenseCents, l.LateChargesDueCents, l.NextDueOn.String(),
		l.AsOfOn.String(), l.LateChargedThroughOn.String(),
	}
	for _, tx := range live {
		all = append(all, tx.Kind, tx.EffectiveOn.String(), tx.CashCents, tx.SuspenseCents, tx.LateChargesReceivableCents)
	}
	return slices.Clip(all)
}
