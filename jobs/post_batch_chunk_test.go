package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// itemStatus returns how many items of a batch have the status.
func itemStatus(t *testing.T, db queries.DBTX, batch uuid.UUID, status queries.PaymentBatchItemStatus) int {
	t.Helper()
	rows, err := queries.New(db).CountPaymentBatchItems(context.WithoutCancel(t.Context()), batch)
	require.NoError(t, err)
	for _, row := range rows {
		if row.Status == status {
			return int(row.Items)
		}
	}
	return 0
}

func workChunk(t *testing.T, tx pgx.Tx, args jobs.PostBatchChunkArgs) error {
	t.Helper()
	worker := rivertest.NewWorker(t, riverpgxv5.New(nil), &river.Config{Schema: jobs.Schema},
		&jobs.PostBatchChunk{DB: tx, Metrics: newMetrics()})
	_, err := worker.Work(t.Context(), t, tx, args, nil)
	return err
}

func TestPostBatchChunk(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan, archived := testdb.Loan(t, tx), testdb.Loan(t, tx)
	_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", archived.ID)
	require.NoError(t, err)
	batch := testdb.PaymentBatch(t, tx,
		testdb.Payment(t, tx, loan, received(500_00, "2026-03-01")),
		testdb.Payment(t, tx, archived),
		testdb.Payment(t, tx, loan, received(600_00, "2026-03-02"))) // on lines 2, 3 and 4
	q := queries.New(tx)

	for range 2 { // The second time finds nothing to do.
		require.NoError(t, workChunk(t, tx, jobs.PostBatchChunkArgs{BatchID: batch.ID, FirstLine: 2, LastLine: 3}))
		got, err := q.GetPaymentBatch(t.Context(), batch.ID)
		require.NoError(t, err)
		require.Equal(t, queries.PaymentBatchStatusPosting, got.Status, "line 4 is another chunk's")
		require.Nil(t, got.FinishedAt)
		require.Equal(t, 1, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusPosted))
		require.Equal(t, 1, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusRejected))
		require.Equal(t, 1, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusStored))
	}
	for range 2 {
		require.NoError(t, workChunk(t, tx, jobs.PostBatchChunkArgs{BatchID: batch.ID, FirstLine: 4, LastLine: 4}))
		got, err := q.GetPaymentBatch(t.Context(), batch.ID)
		require.NoError(t, err)
		require.Equal(t, queries.PaymentBatchStatusFinished, got.Status)
		require.NotNil(t, got.FinishedAt)
	}
	rejected, err := q.LockPaymentBatchItem(t.Context(), batch.ID, 3)
	require.NoError(t, err)
	require.Equal(t, "loan_archived", *rejected.Reason)
	requireSoundBooks(t, tx, loan.ID)
}

// A payment of another worker's doing, between the posting and its record, is
// taken over by the next attempt.
func TestChunkTakesOverWhatIsPosted(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	payment := testdb.Payment(t, tx, loan, received(500_00, "2026-03-01"))
	batch := testdb.PaymentBatch(t, tx, payment)
	require.NoError(t, work(t, tx, payment.ID)) // And then the power went.

	require.NoError(t, workChunk(t, tx, jobs.PostBatchChunkArgs{BatchID: batch.ID, FirstLine: 2, LastLine: 2}))
	require.Equal(t, 1, itemStatus(t, tx, batch.ID, queries.PaymentBatchItemStatusPosted))
	got, err := queries.New(tx).GetPaymentBatch(t.Context(), batch.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentBatchStatusFinished, got.Status)
}

// Payments of a file do not share a misfortune: the others are posted, and the
// bad one when what was wrong is mended.
func TestOneBadPaymentFallsOutOfItsChunk(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan, other := testdb.Loan(t, db.App), testdb.Loan(t, db.App)
	p := newProcess(t, db)
	var payments []queries.Payment
	for range 10 {
		payments = append(payments, testdb.Payment(t, db.App, loan, received(100_00, "2026-03-01")),
			testdb.Payment(t, db.App, other, received(100_00, "2026-03-01")))
	}
	batch := testdb.PaymentBatch(t, db.App, payments...)
	_, err := db.Super.Exec(t.Context(), fmt.Sprintf(
		"ALTER TABLE payments ADD CONSTRAINT bad CHECK (id <> '%s' OR status = 'received') NOT VALID", payments[7].ID))
	require.NoError(t, err)
	args := jobs.PostBatchChunkArgs{BatchID: batch.ID, FirstLine: 2, LastLine: 21}
	_, err = p.inserter.Insert(t.Context(), args, nil)
	require.NoError(t, err)

	worker := p.start(t, db)
	posted := func(n int) func() bool {
		return func() bool {
			return itemStatus(t, db.App, batch.ID, queries.PaymentBatchItemStatusPosted) == n
		}
	}
	require.Eventually(t, posted(19), patience, 5*time.Millisecond)
	require.Equal(t, 1, itemStatus(t, db.App, batch.ID, queries.PaymentBatchItemStatusStored))
	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE payments DROP CONSTRAINT bad")
	require.NoError(t, err)
	require.Eventually(t, posted(20), patience, 5*time.Millisecond)
	require.NoError(t, worker.Stop(t.Context()))

	got, err := queries.New(db.App).GetPaymentBatch(t.Context(), batch.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentBatchStatusFinished, got.Status)
	requireSoundBooks(t, db.App, loan.ID)
	requireSoundBooks(t, db.App, other.ID)
}

// Chunks that end at the same moment finish their batch between them.
func TestChunksThatEndTogetherFinishTheBatch(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	var payments []queries.Payment
	for range 40 {
		payments = append(payments, testdb.Payment(t, db.App, testdb.Loan(t, db.App), received(100_00, "2026-03-01")))
	}
	batch := testdb.PaymentBatch(t, db.App, payments...)
	for line := range int32(40) {
		_, err := p.inserter.Insert(t.Context(),
			jobs.PostBatchChunkArgs{BatchID: batch.ID, FirstLine: line + 2, LastLine: line + 2}, nil)
		require.NoError(t, err)
	}
	first, second := p.start(t, db), p.start(t, db)
	require.Eventually(t, func() bool {
		got, err := queries.New(db.App).GetPaymentBatch(context.WithoutCancel(t.Context()), batch.ID)
		return err == nil && got.Status == queries.PaymentBatchStatusFinished
	}, patience, 5*time.Millisecond)
	require.Zero(t, itemStatus(t, db.App, batch.ID, queries.PaymentBatchItemStatusStored))
	require.NoError(t, first.Stop(t.Context()))
	require.NoError(t, second.Stop(t.Context()))
}
