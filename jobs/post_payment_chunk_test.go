package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// chunkFor is a job without its row, which posting does not read.
func chunkFor(payments ...queries.Payment) *river.Job[jobs.PostPaymentChunkArgs] {
	return &river.Job[jobs.PostPaymentChunkArgs]{Args: jobs.PostPaymentChunkArgs{PaymentIDs: idsOf(payments)}}
}

func idsOf(payments []queries.Payment) []uuid.UUID {
	ids := make([]uuid.UUID, len(payments))
	for i, p := range payments {
		ids[i] = p.ID
	}
	return ids
}

func requireStatus(t *testing.T, db queries.DBTX, want queries.PaymentStatus, payments ...queries.Payment) {
	t.Helper()
	for _, p := range payments {
		got, err := queries.New(db).GetPayment(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, want, got.Status)
	}
}

// spoil makes the database refuse that a payment is posted.
func spoil(t *testing.T, db *testdb.DB, payment queries.Payment) {
	t.Helper()
	_, err := db.Super.Exec(t.Context(), fmt.Sprintf(
		"ALTER TABLE payments ADD CONSTRAINT bad CHECK (id <> '%s' OR status = 'received') NOT VALID", payment.ID))
	require.NoError(t, err)
}

// swallow makes the database drop, without a word, that a payment is posted.
func swallow(t *testing.T, db *testdb.DB, payment queries.Payment) {
	t.Helper()
	_, err := db.Super.Exec(t.Context(), fmt.Sprintf(`
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE UPDATE ON payments FOR EACH ROW WHEN (NEW.id = '%s') EXECUTE FUNCTION swallow()`,
		payment.ID))
	require.NoError(t, err)
}

func TestPostPaymentChunk(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan, archived := testdb.Loan(t, tx), testdb.Loan(t, tx)
	_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", archived.ID)
	require.NoError(t, err)
	first := testdb.Payment(t, tx, loan)
	refused := testdb.Payment(t, tx, archived)
	second := testdb.Payment(t, tx, loan)
	other := testdb.Payment(t, tx, loan)

	worker := rivertest.NewWorker(t, riverpgxv5.New(nil), &river.Config{Schema: jobs.Schema},
		&jobs.PostPaymentChunk{DB: tx, Metrics: newMetrics()})
	for range 2 { // The second time finds nothing to do.
		args := jobs.PostPaymentChunkArgs{PaymentIDs: idsOf([]queries.Payment{first, refused, second})}
		result, err := worker.Work(t.Context(), t, tx, args, nil)
		require.NoError(t, err)
		require.Equal(t, jobs.QueuePayments, result.Job.Queue)
		requireStatus(t, tx, queries.PaymentStatusPosted, first, second)
		requireStatus(t, tx, queries.PaymentStatusRejected, refused)
		requireStatus(t, tx, queries.PaymentStatusReceived, other)
	}
	requireSoundBooks(t, tx, loan.ID)
	requireSoundBooks(t, tx, archived.ID)

	_, err = worker.Work(t.Context(), t, tx, jobs.PostPaymentChunkArgs{PaymentIDs: []uuid.UUID{}}, nil)
	require.NoError(t, err)
}

// One that cannot be posted is named, waits for the next attempt, and keeps
// none of its chunk from being posted.
func TestOneBadPaymentFallsOutOfItsGroup(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	var chunk []queries.Payment
	for range 25 {
		chunk = append(chunk, testdb.Payment(t, db.App, loan, received(500_00, "2026-03-01")))
	}
	bad := chunk[17]
	good := append(append([]queries.Payment{}, chunk[:17]...), chunk[18:]...)
	spoil(t, db, bad)

	worker := &jobs.PostPaymentChunk{DB: db.App, Metrics: newMetrics()}
	err := worker.Work(t.Context(), chunkFor(chunk...))
	require.ErrorContains(t, err, bad.ID.String())
	require.ErrorContains(t, err, "post 1 of 25 payments")
	requireStatus(t, db.App, queries.PaymentStatusPosted, good...)
	requireStatus(t, db.App, queries.PaymentStatusReceived, bad)

	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE payments DROP CONSTRAINT bad")
	require.NoError(t, err)
	require.NoError(t, worker.Work(t.Context(), chunkFor(chunk...)), "the next attempt succeeds")
	requireStatus(t, db.App, queries.PaymentStatusPosted, chunk...)
	requireSoundBooks(t, db.App, loan.ID)
}

// A chunk gives up only when no payment of it may be posted by trying again.
func TestChunkGivesUpLast(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan, other := testdb.Loan(t, db.App), testdb.Loan(t, db.App)
	hopeless := testdb.Payment(t, db.App, loan)
	mendable := testdb.Payment(t, db.App, other)
	good := testdb.Payment(t, db.App, other)
	swallow(t, db, hopeless)
	spoil(t, db, mendable)
	worker := &jobs.PostPaymentChunk{DB: db.App, Metrics: newMetrics()}
	var givesUp *river.JobCancelError

	err := worker.Work(t.Context(), chunkFor(hopeless, good, mendable))
	require.ErrorContains(t, err, "post 2 of 3 payments")
	require.NotErrorAs(t, err, &givesUp)
	requireStatus(t, db.App, queries.PaymentStatusPosted, good)

	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE payments DROP CONSTRAINT bad")
	require.NoError(t, err)
	err = worker.Work(t.Context(), chunkFor(hopeless, good, mendable))
	require.ErrorContains(t, err, hopeless.ID.String())
	require.ErrorAs(t, err, &givesUp)
	requireStatus(t, db.App, queries.PaymentStatusPosted, mendable)
}

// When nothing can be posted, the error stays short.
func TestChunkErrorIsBounded(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	pool := db.Pool(t, testdb.RoleApp)
	pool.Close()
	worker := &jobs.PostPaymentChunk{DB: pool, Metrics: newMetrics()}

	err := worker.Work(t.Context(), chunkFor(make([]queries.Payment, 500)...))
	require.ErrorContains(t, err, "post 500 of 500 payments")
	require.Less(t, len(err.Error()), 1000)
}

// A working process posts chunks and single payments in the same transactions,
// and gives back the chunk of a worker that died.
func TestWorkerPostsChunks(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	var chunks [][]queries.Payment
	for range 3 {
		var chunk []queries.Payment
		for range 520 { // more than one transaction takes
			chunk = append(chunk, testdb.Payment(t, db.App, loan, received(1_00, "2026-03-01")))
		}
		chunks = append(chunks, chunk)
		_, err := p.inserter.Insert(t.Context(), jobs.PostPaymentChunkArgs{PaymentIDs: idsOf(chunk)}, nil)
		require.NoError(t, err)
	}
	_, err := db.App.Exec(t.Context(), `UPDATE river.river_job
SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['a worker that was killed']
WHERE id = (SELECT min(id) FROM river.river_job)`)
	require.NoError(t, err)
	single := p.enqueue(t, db, loan)
	bad := chunks[1][510]
	spoil(t, db, bad)

	worker := p.start(t, db)
	untilPosted(t, db, single)
	require.Eventually(t, func() bool {
		var left int
		err := db.App.QueryRow(t.Context(), "SELECT count(*) FROM payments WHERE status = 'received'").Scan(&left)
		return err == nil && left == 1
	}, patience, 5*time.Millisecond)
	require.NoError(t, worker.Stop(t.Context()))

	requireStatus(t, db.App, queries.PaymentStatusReceived, bad)
	requireSoundBooks(t, db.App, loan.ID)
	require.InDelta(t, 1, metric(t, p.registry, "loanserve_jobs_rescued_total"), 0)
	require.InDelta(t, 3*520, metric(t, p.registry, "loanserve_payments_total"), 0)
	var retryable int
	err = db.App.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job
WHERE state <> 'completed' AND array_length(errors, 1) > 0 AND errors[1]->>'error' LIKE '%' || $1 || '%'`,
		bad.ID.String()).Scan(&retryable)
	require.NoError(t, err)
	require.Equal(t, 1, retryable, "the chunk of the bad payment, which names it")
}
