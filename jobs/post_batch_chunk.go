package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

const (
	// QueueBatches is the queue of files of payments. It is one of its own so
	// that a payment that somebody waits for is not posted behind a file.
	QueueBatches = "payment_batches"

	// BatchChunkPayments is how many payments of a file are posted in one
	// transaction. Beyond a few hundred the statement costs what the rows cost,
	// and locks are only held longer.
	BatchChunkPayments = 500

	// batchWorkers is how many chunks a process posts at once: while one
	// commits, the next is computed.
	batchWorkers = 2

	// postBatchChunkTimeout leaves time for a chunk of which every payment is
	// back-dated, and stays below rescueAfter.
	postBatchChunkTimeout = 2 * time.Minute
)

// PostBatchChunkArgs names a range of the lines of a batch: a chunk is what is
// left to be posted there, so that it can be worked any number of times.
type PostBatchChunkArgs struct {
	BatchID   uuid.UUID `json:"batch_id"`
	FirstLine int32     `json:"first_line"`
	LastLine  int32     `json:"last_line"`
}

// Kind is stored with every job, so it never changes.
func (PostBatchChunkArgs) Kind() string { return "post_batch_chunk" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (PostBatchChunkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueBatches, MaxAttempts: postPaymentAttempts}
}

// PostBatchChunk posts the payments of a range of a batch's lines, records what
// became of them with their items, and finishes the batch when they were the
// last. The payments' own status makes it harmless to run twice.
type PostBatchChunk struct {
	river.WorkerDefaults[PostBatchChunkArgs]

	DB      DB
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*PostBatchChunk) Timeout(*river.Job[PostBatchChunkArgs]) time.Duration {
	return postBatchChunkTimeout
}

// Work posts the chunk. A payment that fails is left to a later attempt, and
// the others do not wait for it.
func (w *PostBatchChunk) Work(ctx context.Context, job *river.Job[PostBatchChunkArgs]) error {
	err := w.post(ctx, job.Args)
	if err != nil {
		return fmt.Errorf("post lines %d to %d of batch %s: %w",
			job.Args.FirstLine, job.Args.LastLine, job.Args.BatchID, err)
	}
	return nil
}

func (w *PostBatchChunk) post(ctx context.Context, args PostBatchChunkArgs) error {
	var waiting []uuid.UUID
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) (err error) {
		waiting, err = queries.New(tx).ListBatchPaymentsToPost(ctx, queries.ListBatchPaymentsToPostParams{
			BatchID: args.BatchID, FirstLine: args.FirstLine, LastLine: args.LastLine,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("list payments: %w", err)
	}
	answers := postApart(ctx, w.DB, waiting)
	failed := chunkError(w.Metrics.countAnswers(answers), len(waiting))
	if err := w.record(ctx, args, waiting, allPosted(answers)); err != nil {
		return err // Whoever failed fails again, once this is mended.
	}
	return failed
}

// record takes over what became of the payments, and then the batch's progress.
// Of two chunks that end together the later one sees the items of both: each
// commits its items before it asks, and they ask one after the other.
func (w *PostBatchChunk) record(ctx context.Context, args PostBatchChunkArgs, payments []uuid.UUID, posted bool) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if err := AllowRows(ctx, q, int(args.LastLine-args.FirstLine)+1); err != nil {
			return err
		}
		if posted { // As it nearly always is, and half as dear.
			return q.MarkBatchItemsOfPosted(ctx, queries.MarkBatchItemsOfPostedParams{
				BatchID: args.BatchID, FirstLine: args.FirstLine, LastLine: args.LastLine, PaymentIds: payments,
			})
		}
		return q.MarkBatchItemsPosted(ctx, queries.MarkBatchItemsPostedParams{
			BatchID: args.BatchID, FirstLine: args.FirstLine, LastLine: args.LastLine,
		})
	})
	if err != nil {
		return fmt.Errorf("mark items: %w", err)
	}
	return markBatch(ctx, w.DB, args.BatchID)
}

// markBatch brings a batch's own status up to date with its items, whose changes
// are committed.
func markBatch(ctx context.Context, db DB, id uuid.UUID) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if err := q.LockPaymentBatch(ctx, id); err != nil {
			return err
		}
		return q.MarkPaymentBatch(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("mark batch: %w", err)
	}
	return nil
}
