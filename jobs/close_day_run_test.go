package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// requestClose asks for the day to be closed by whoever works the queue.
func (p process) requestClose(t *testing.T, db *testdb.DB) queries.Run {
	t.Helper()
	var run queries.Run
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		run = testdb.Run(t, tx)
		_, err := p.inserter.InsertTx(t.Context(), tx, jobs.CloseDayArgs{RunID: run.ID}, nil)
		return err
	})
	require.NoError(t, err)
	return run
}

func untilOver(t *testing.T, db *testdb.DB, run queries.Run) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := queries.New(db.App).GetRun(context.Background(), run.ID)
		return err == nil && got.FinishedAt != nil
	}, patience, 10*time.Millisecond)
}

// Loans of several chunks are closed by two runs at once, while payments to some
// of them are posted: each is charged once, and the books are sound.
func TestCloseDayOfAPortfolio(t *testing.T) {
	t.Parallel()
	const paid = 50
	loans := testdb.Scale(700, 2000)
	db := testdb.Clone(t)
	var boarded []queries.Loan
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		for range loans {
			boarded = append(boarded, testdb.Loan(t, tx))
		}
		return nil
	})
	require.NoError(t, err)
	p := newProcess(t, db)
	first, second := p.requestClose(t, db), p.requestClose(t, db)
	var payments []queries.Payment
	for i := range paid {
		payment := testdb.Payment(t, db.App, boarded[i*loans/paid])
		_, err := p.inserter.Insert(t.Context(), jobs.PostPaymentArgs{PaymentID: payment.ID}, nil)
		require.NoError(t, err)
		payments = append(payments, payment)
	}
	worker, other := p.start(t, db), p.start(t, db)
	untilOver(t, db, first)
	untilOver(t, db, second)
	for _, payment := range payments {
		untilPosted(t, db, payment)
	}
	require.NoError(t, worker.Stop(t.Context()))
	require.NoError(t, other.Stop(t.Context()))

	for name, query := range map[string]string{
		"loans behind":       "SELECT count(*) FROM loans WHERE as_of_on < '2026-02-17'",
		"broken seals":       "SELECT count(*) FROM broken_seals",
		"unreconciled loans": "SELECT count(*) FROM unreconciled_loans",
		"trial balance":      "SELECT sum(balance_cents) FROM trial_balance",
		"wrong charges": fmt.Sprintf(`SELECT abs(count(*) - %d) FROM loans
			WHERE (next_due_on, late_charges_due_cents) = ('2026-02-01', 9481)`, loans-paid),
		"charges on the paid": `SELECT count(*) FROM loans
			WHERE next_due_on = '2026-03-01' AND late_charges_due_cents <> 0`,
		"unfinished chunks": "SELECT count(*) FROM run_chunks WHERE finished_at IS NULL",
		"runs that failed":  "SELECT count(*) FROM runs WHERE kind = 'close_day' AND (status <> 'finished' OR done <> total)",
	} {
		var n int64
		require.NoError(t, db.Super.QueryRow(t.Context(), query).Scan(&n), name)
		require.Zero(t, n, name)
	}
}

// A loan that cannot be closed is named, and its neighbors are closed; once it
// is mended the next run closes it.
func TestCloseDayNamesLoansThatFail(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	good, broken, refused := testdb.Loan(t, db.App), testdb.Loan(t, db.App), testdb.Loan(t, db.App)
	super := func(format string, args ...any) {
		_, err := db.Super.Exec(t.Context(), fmt.Sprintf(format, args...))
		require.NoError(t, err)
	}
	super("UPDATE loans SET principal_and_interest_cents = 1 WHERE id = %d", broken.ID)
	super("ALTER TABLE loans ADD CONSTRAINT bad CHECK (id <> %d OR last_seq = 1) NOT VALID", refused.ID)
	p := newProcess(t, db)
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(t.Context())) }()

	run := p.requestClose(t, db)
	untilOver(t, db, run)
	got := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{3, 1, 2})
	require.JSONEq(t, fmt.Sprintf(`[
		{"loan_id": %d, "detail": "the payment does not cover a month's interest"},
		{"loan_id": %d, "detail": "SQLSTATE 23514 bad"}]`, broken.ID, refused.ID), string(got.Findings))
	requireSoundBooks(t, db.App, good.ID)
	require.Equal(t, 1, lateCharges(t, db))

	super("UPDATE loans SET principal_and_interest_cents = 189620 WHERE id = %d", broken.ID)
	db.SwitchOffDDLGuards(t)
	super("ALTER TABLE loans DROP CONSTRAINT bad")
	again := p.requestClose(t, db)
	untilOver(t, db, again)
	requireRun(t, db, again.ID, queries.RunStatusFinished, [3]int64{2, 2, 0})
	require.Equal(t, 3, lateCharges(t, db))
}
