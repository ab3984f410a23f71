package jobs_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func asOf(on string) func(*queries.InsertRunParams) {
	return func(p *queries.InsertRunParams) { p.AsOfOn = testdb.Date(on) }
}

// inserter is a client that hands jobs to the queue in a test's transaction.
func inserter() *river.Client[pgx.Tx] {
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{
		Schema: jobs.Schema, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err) // The configuration is always the same.
	}
	return client
}

// plan cuts the run into chunks, as its job does, and returns the chunks' jobs.
func plan(t *testing.T, tx pgx.Tx, run queries.Run) []jobs.CloseDayChunkArgs {
	t.Helper()
	job := &river.Job[jobs.CloseDayArgs]{Args: jobs.CloseDayArgs{RunID: run.ID}}
	require.NoError(t, (&jobs.CloseDay{DB: tx, Jobs: inserter()}).Work(t.Context(), job))
	rows, err := tx.Query(t.Context(), `
SELECT run_id, first_loan_id, last_loan_id FROM run_chunks WHERE run_id = $1 ORDER BY first_loan_id`, run.ID)
	require.NoError(t, err)
	chunks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.CloseDayChunkArgs])
	require.NoError(t, err)
	return chunks
}

func closeChunk(ctx context.Context, db jobs.DB, args jobs.CloseDayChunkArgs) error {
	worker := &jobs.CloseDayChunk{DB: db, Jobs: inserter(), Metrics: newMetrics()}
	return worker.Work(ctx, &river.Job[jobs.CloseDayChunkArgs]{Args: args})
}

// closeDay closes the day and returns the run as it ended.
func closeDay(t *testing.T, tx pgx.Tx, on string) queries.Run {
	t.Helper()
	run := testdb.Run(t, tx, asOf(on))
	for range 2 { // The second time finds nothing to do.
		for _, chunk := range plan(t, tx, run) {
			require.NoError(t, closeChunk(t.Context(), tx, chunk))
		}
	}
	run, err := queries.New(tx).GetRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, queries.RunStatusFinished, run.Status)
	require.Equal(t, run.Total, run.Done)
	return run
}

// counts are what a run found of its loans.
func counts(run queries.Run) [3]int64 { return [3]int64{run.Total, run.Changed, run.FailedCount} }

// An installment due on the 1st with 15 days of grace is in time on the 16th.
func TestCloseDayAssessesLateCharges(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)

	require.Equal(t, [3]int64{1, 0, 0}, counts(closeDay(t, tx, "2026-02-16")))
	require.Zero(t, state(t, tx, loan.ID).LateChargesDue, "the last day of grace")
	run := closeDay(t, tx, "2026-02-17")
	require.Equal(t, [3]int64{1, 1, 0}, counts(run))
	require.Equal(t, mortgage.Cents(94_81), state(t, tx, loan.ID).LateChargesDue, "5 % of 1,896.20")
	require.Equal(t, [3]int64{0, 0, 0}, counts(closeDay(t, tx, "2026-02-17")), "closed before")
	require.Equal(t, [3]int64{0, 0, 0}, counts(closeDay(t, tx, "2026-02-10")), "before the last close")
	require.Equal(t, mortgage.Cents(94_81), state(t, tx, loan.ID).LateChargesDue)

	charges, err := queries.New(tx).ListLiveTransactions(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Len(t, charges, 1)
	require.Equal(t, mortgage.KindLateCharge, charges[0].Kind)
	require.Equal(t, testdb.Date("2026-02-17"), charges[0].EffectiveOn)
	require.Equal(t, "run:"+run.ID.String(), charges[0].CausedBy)
	requireSoundBooks(t, tx, loan.ID)
}

// Days that were missed are made up in their order.
func TestCloseDayMakesUpForMissedDays(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	daily, late := testdb.Loan(t, tx), testdb.Loan(t, tx)
	for on := testdb.Date("2026-01-16"); on <= testdb.Date("2026-04-20"); on++ {
		_, err := tx.Exec(t.Context(), "UPDATE loans SET as_of_on = $1 WHERE id = $2", on, late.ID) // out of the way
		require.NoError(t, err)
		closeDay(t, tx, on.String())
	}
	_, err := tx.Exec(t.Context(), "UPDATE loans SET as_of_on = '2026-01-15' WHERE id = $1", late.ID)
	require.NoError(t, err)
	closeDay(t, tx, "2026-04-20")
	require.Equal(t, mortgage.Cents(3*94_81), state(t, tx, late.ID).LateChargesDue)
	require.Equal(t, state(t, tx, daily.ID), state(t, tx, late.ID))
	requireSoundBooks(t, tx, daily.ID)
	requireSoundBooks(t, tx, late.ID)
}

// Money that was held satisfies the installment on the day it falls due, and
// that loan pays no late charge.
func TestCloseDayUsesHeldMoney(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) { p.SuspenseCents = 2_346_20 + 10_00 })

	closeDay(t, tx, "2026-01-31")
	require.Equal(t, mortgage.Cents(2_356_20), state(t, tx, loan.ID).Suspense)
	closeDay(t, tx, "2026-02-17")
	got := state(t, tx, loan.ID)
	require.Equal(t, mortgage.Cents(10_00), got.Suspense)
	require.Equal(t, testdb.Date("2026-03-01"), got.NextDueOn)
	require.Zero(t, got.LateChargesDue)
	live, err := queries.New(tx).ListLiveTransactions(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Len(t, live, 1)
	require.Equal(t, testdb.Date("2026-02-01"), live[0].EffectiveOn)
	requireSoundBooks(t, tx, loan.ID)
}

// A payment that came in time and is posted after the day was closed takes the
// charge back, and closing goes on from there.
func TestBackDatedPaymentWaivesTheCharge(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	inTime, loan := testdb.Loan(t, tx), testdb.Loan(t, tx)
	post(t, tx, inTime, 2_346_20, "2026-02-16")
	closeDay(t, tx, "2026-02-20")
	require.Equal(t, mortgage.Cents(94_81), state(t, tx, loan.ID).LateChargesDue)

	post(t, tx, loan, 2_346_20, "2026-02-16")
	require.Equal(t, state(t, tx, inTime.ID), state(t, tx, loan.ID))
	require.Equal(t, [3]int64{0, 0, 0}, counts(closeDay(t, tx, "2026-02-20")))
	require.Equal(t, [3]int64{2, 2, 0}, counts(closeDay(t, tx, "2026-03-17")))
	require.Equal(t, state(t, tx, inTime.ID), state(t, tx, loan.ID))
	require.Equal(t, mortgage.Cents(94_81), state(t, tx, loan.ID).LateChargesDue, "of March")
	requireSoundBooks(t, tx, inTime.ID)
	requireSoundBooks(t, tx, loan.ID)
}

// Loans that are no longer active are left alone.
func TestCloseDayLeavesEndedLoansAlone(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", loan.ID)
	require.NoError(t, err)
	require.Equal(t, [3]int64{0, 0, 0}, counts(closeDay(t, tx, "2026-02-17")))
	require.Zero(t, state(t, tx, loan.ID).LateChargesDue)
}

// A chunk that is cut off at its very end has done nothing; one that is worked
// again does it all, and once more does nothing.
func TestCloseDayChunkIsKilled(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	testdb.Loan(t, db.App)
	run := testdb.Run(t, db.App)
	var chunks []jobs.CloseDayChunkArgs
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		chunks = plan(t, tx, run)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, chunks, 1)

	blocker, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "SELECT FROM runs FOR UPDATE")
	require.NoError(t, err)
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- closeChunk(ctx, db.App, chunks[0]) }()
	require.Eventually(t, func() bool {
		var waiting bool
		err := db.Super.QueryRow(context.Background(), `
SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
  WHERE NOT granted AND a.datname = current_database())`).Scan(&waiting)
		return err == nil && waiting
	}, patience, 5*time.Millisecond)
	kill()
	require.Error(t, <-ended)
	require.NoError(t, blocker.Rollback(t.Context()))
	requireRun(t, db, run.ID, queries.RunStatusRunning, [3]int64{1, 0, 0})
	require.Equal(t, 0, lateCharges(t, db))

	for range 2 {
		require.NoError(t, closeChunk(t.Context(), db.App, chunks[0]))
		requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{1, 1, 0})
		require.Equal(t, 1, lateCharges(t, db))
	}
}

func requireRun(t *testing.T, db *testdb.DB, id uuid.UUID, status queries.RunStatus, want [3]int64) queries.Run {
	t.Helper()
	run, err := queries.New(db.App).GetRun(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, status, run.Status)
	require.Equal(t, want, counts(run))
	return run
}

func lateCharges(t *testing.T, db *testdb.DB) (n int) {
	t.Helper()
	err := db.Super.QueryRow(t.Context(), "SELECT count(*) FROM transactions WHERE kind = 'late_charge'").Scan(&n)
	require.NoError(t, err)
	return n
}
