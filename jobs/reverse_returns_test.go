package jobs_test

import (
	"context"
	"fmt"
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
	"loanserve/queries"
)

func queueClient(t *testing.T) *river.Client[pgx.Tx] {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{
		Schema: jobs.Schema, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return client
}

// workReturns works all returns of the batch.
func workReturns(ctx context.Context, t *testing.T, db jobs.DB, batch uuid.UUID) error {
	t.Helper()
	return returnsWorker(t, db, batch)(ctx)
}

// returnsWorker is the work on a batch's returns, ready to be done.
func returnsWorker(t *testing.T, db jobs.DB, batch uuid.UUID) func(context.Context) error {
	t.Helper()
	worker := &jobs.ReverseReturns{DB: db, Jobs: queueClient(t), Metrics: newMetrics()}
	return func(ctx context.Context) error {
		return worker.Work(ctx, &river.Job[jobs.ReverseReturnsArgs]{
			Args: jobs.ReverseReturnsArgs{BatchID: batch, FirstLine: 1, LastLine: 1000},
		})
	}
}

// requested returns the reversals that wait, and for which of them a job does.
func requested(t *testing.T, tx pgx.Tx) []uuid.UUID {
	t.Helper()
	rows, err := tx.Query(t.Context(), `
SELECT r.id FROM payment_reversals r JOIN payment_batch_items i ON i.reversal_id = r.id
JOIN river.river_job j ON j.kind = 'reverse_payment' AND j.args->>'reversal_id' = r.id::text
WHERE r.status = 'requested' ORDER BY r.id`)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	return ids
}

// Payments that come back before they are posted are posted first, and then
// reversed, once; each step may be worked again.
func TestReverseReturns(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan, archived := testdb.Loan(t, tx), testdb.Loan(t, tx)
	before := state(t, tx, loan.ID)
	waits, posted := testdb.Payment(t, tx, loan, received(500_00, "2026-01-20")), post(t, tx, loan, 600_00, "2026-01-21")
	refused, kept := testdb.Payment(t, tx, archived), post(t, tx, archived, 700_00, "2026-03-02")
	_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", archived.ID)
	require.NoError(t, err)
	batch := testdb.PaymentBatch(t, tx)
	for line, payment := range map[int32]queries.Payment{2: waits, 4: posted, 6: refused, 8: kept, 10: posted} {
		testdb.Return(t, tx, batch, line, payment)
	}

	for range 2 {
		require.NoError(t, workReturns(t.Context(), t, tx, batch.ID))
		require.Len(t, requested(t, tx), 2)
		require.Equal(t, 2, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusStored))
		require.Equal(t, 3, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusException))
	}
	for line, reason := range map[int32]string{6: "payment_rejected", 8: "loan_archived", 10: "already_reversed"} {
		item, err := queries.New(tx).GetPaymentBatchItem(t.Context(), batch.ID, line)
		require.NoError(t, err)
		require.Equal(t, reason, *item.Reason)
		require.Nil(t, item.ReversalID)
	}
	ids := requested(t, tx)
	for _, id := range append(ids, ids...) {
		reverse(t, tx, id)
	}
	require.Equal(t, 2, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusReversed))
	got, err := queries.New(tx).GetPaymentBatch(t.Context(), batch.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentBatchStatusFinished, got.Status)
	after := state(t, tx, loan.ID)
	require.Equal(t, before, after)
	requireSoundBooks(t, tx, loan.ID)
	requireSoundBooks(t, tx, archived.ID)
}

// A reversal that a rule refuses is the return's end, as of any other item.
func TestReturnEndsAsItsReversal(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	batch := testdb.PaymentBatch(t, tx)
	testdb.Return(t, tx, batch, 2, post(t, tx, loan, 600_00, "2026-03-02"))
	require.NoError(t, workReturns(t.Context(), t, tx, batch.ID))
	got, err := queries.New(tx).GetPaymentBatch(t.Context(), batch.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentBatchStatusPosting, got.Status)
	_, err = tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", loan.ID)
	require.NoError(t, err)
	for range 2 {
		reverse(t, tx, requestedOf(t, tx, batch.ID))
		item, err := queries.New(tx).GetPaymentBatchItem(t.Context(), batch.ID, 2)
		require.NoError(t, err)
		require.Equal(t, queries.PaymentBatchItemStatusRejected, item.Status)
		require.Equal(t, "loan_archived", *item.Reason)
	}
	got, err = queries.New(tx).GetPaymentBatch(t.Context(), batch.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentBatchStatusFinished, got.Status)
}

// requestedOf returns the reversal that was made of the batch's one return.
func requestedOf(t *testing.T, tx pgx.Tx, batch uuid.UUID) (id uuid.UUID) {
	t.Helper()
	require.NoError(t, tx.QueryRow(t.Context(),
		"SELECT reversal_id FROM payment_batch_items WHERE batch_id = $1", batch).Scan(&id))
	return id
}

// Where the jobs cannot be stored, neither is a reversal.
func TestReverseReturnsRollsBack(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	batch := testdb.PaymentBatch(t, tx)
	testdb.Return(t, tx, batch, 2, post(t, tx, testdb.Loan(t, tx), 600_00, "2026-03-02"))
	_, err := tx.Exec(t.Context(), `SET LOCAL ROLE NONE;
REVOKE INSERT ON river.river_job FROM loanserve_app;
SET LOCAL ROLE loanserve_app`)
	require.NoError(t, err)
	require.Error(t, workReturns(t.Context(), t, tx, batch.ID))
	require.Equal(t, 1, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusStored))
	var reversals int
	require.NoError(t, tx.QueryRow(t.Context(), `
SELECT count(*) FROM payment_reversals r JOIN payment_batch_items i ON i.returned_payment_id = r.payment_id
WHERE i.batch_id = $1`, batch.ID).Scan(&reversals))
	require.Zero(t, reversals)
}

// The return of a payment that cannot be posted waits, and keeps no other back.
func TestOneBadReturnKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	batch := testdb.PaymentBatch(t, db.App)
	var payments []queries.Payment
	for i := range int32(10) {
		payments = append(payments, testdb.Payment(t, db.App, testdb.Loan(t, db.App), received(100_00, "2026-03-01")))
		testdb.Return(t, db.App, batch, 2+i, payments[i])
	}
	_, err := db.Super.Exec(t.Context(), fmt.Sprintf(
		"ALTER TABLE payments ADD CONSTRAINT bad CHECK (id <> '%s' OR status = 'received') NOT VALID", payments[7].ID))
	require.NoError(t, err)
	_, err = p.inserter.Insert(t.Context(), jobs.ReverseReturnsArgs{BatchID: batch.ID, FirstLine: 2, LastLine: 11}, nil)
	require.NoError(t, err)

	worker := p.start(t, db)
	reversed := func(n int) func() bool {
		return func() bool {
			return itemStatus(t, db.App, batch.ID, queries.PaymentBatchItemStatusReversed) == n
		}
	}
	require.Eventually(t, reversed(9), patience, 5*time.Millisecond)
	require.Equal(t, 1, itemStatus(t, db.App, batch.ID, queries.PaymentBatchItemStatusStored))
	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE payments DROP CONSTRAINT bad")
	require.NoError(t, err)
	require.Eventually(t, reversed(10), patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		got, err := queries.New(db.App).GetPaymentBatch(context.WithoutCancel(t.Context()), batch.ID)
		return err == nil && got.Status == queries.PaymentBatchStatusFinished
	}, patience, 5*time.Millisecond)
	require.NoError(t, worker.Stop(t.Context()))
	for _, payment := range payments {
		requireSoundBooks(t, db.App, payment.LoanID)
	}
}

// Two files that return the same payment, worked at the same moment, reverse it
// once.
func TestReturnsThatMeetReverseOnce(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	for range 20 {
		payment := testdb.Payment(t, db.App, loan, received(100_00, "2026-03-01"))
		var batches []queries.PaymentBatch
		errs := make(chan error)
		for range 2 {
			batch := testdb.PaymentBatch(t, db.App)
			testdb.Return(t, db.App, batch, 2, payment)
			batches = append(batches, batch)
			work := returnsWorker(t, db.App, batch.ID)
			go func() { errs <- work(t.Context()) }()
		}
		for range batches {
			require.NoError(t, <-errs)
		}
		var reversals, exceptions int
		require.NoError(t, db.App.QueryRow(t.Context(), `
SELECT (SELECT count(*) FROM payment_reversals WHERE payment_id = $1),
  (SELECT count(*) FROM payment_batch_items WHERE returned_payment_id = $1 AND reason = 'already_reversed')`,
			payment.ID).Scan(&reversals, &exceptions))
		require.Equal(t, [2]int{1, 1}, [2]int{reversals, exceptions})
	}
	requireSoundBooks(t, db.App, loan.ID)
}
