package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

// Why a return's payment cannot be reversed, by the code that is stored with the
// item and explained in docs/problems.md.
const (
	refusalAlreadyReversed = "already_reversed"
	refusalPaymentRejected = "payment_rejected"
)

// ReturnsChunk is how many returns of a file one job works whose payments are
// not posted yet.
const ReturnsChunk = 500

// ReverseReturnsArgs names a range of the lines of a batch: what is left to be
// done with the returns there.
type ReverseReturnsArgs struct {
	BatchID   uuid.UUID `json:"batch_id"`
	FirstLine int32     `json:"first_line"`
	LastLine  int32     `json:"last_line"`
}

// Kind is stored with every job, so it never changes.
func (ReverseReturnsArgs) Kind() string { return "reverse_returns" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ReverseReturnsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueBatches, MaxAttempts: postPaymentAttempts}
}

// ReverseReturns has the payments reversed that came back before they were
// posted: they may be of the same file. It does not wait for whoever is to post
// them. It posts them itself, which is harmless to whoever comes second, and
// asks for the reversals then.
type ReverseReturns struct {
	river.WorkerDefaults[ReverseReturnsArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx]
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*ReverseReturns) Timeout(*river.Job[ReverseReturnsArgs]) time.Duration {
	return postBatchChunkTimeout
}

// Work asks for the reversals, once. The return of a payment that cannot be
// posted is left to a later attempt, and the others do not wait for it.
func (w *ReverseReturns) Work(ctx context.Context, job *river.Job[ReverseReturnsArgs]) error {
	if err := w.reverse(ctx, job.Args); err != nil {
		return fmt.Errorf("reverse the returns on lines %d to %d of batch %s: %w",
			job.Args.FirstLine, job.Args.LastLine, job.Args.BatchID, err)
	}
	return nil
}

func (w *ReverseReturns) reverse(ctx context.Context, args ReverseReturnsArgs) error {
	var waiting []uuid.UUID
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) (err error) {
		waiting, err = queries.New(tx).ListReturnedPaymentsToPost(ctx, queries.ListReturnedPaymentsToPostParams{
			BatchID: args.BatchID, FirstLine: args.FirstLine, LastLine: args.LastLine,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("list payments: %w", err)
	}
	failed := chunkError(w.Metrics.countAnswers(postApart(ctx, w.DB, waiting)), len(waiting))
	err = pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		return RequestReversals(ctx, tx, w.Jobs, args.BatchID, args.FirstLine, args.LastLine)
	})
	if err == nil {
		err = markBatch(ctx, w.DB, args.BatchID) // Some may have become exceptions.
	}
	if err != nil {
		return err // Whoever failed fails again, once this is mended.
	}
	return failed
}

// RequestReversals stores, in the caller's transaction, a reversal and its job
// for each return on a range of a batch's lines whose payment is known and no
// longer waits to be posted. A return whose payment cannot be reversed becomes an
// exception. However often it is called, and by whomever at the same time, a
// return gets one reversal, and a payment is not reversed while it is being
// reversed. Returns whose payments are not posted yet are left as they are.
func RequestReversals(
	ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], batch uuid.UUID, firstLine, lastLine int32,
) error {
	q := queries.New(tx)
	rows, err := q.LockBatchReturns(ctx, queries.LockBatchReturnsParams{
		BatchID: batch, FirstLine: firstLine, LastLine: lastLine,
	})
	if err != nil {
		return fmt.Errorf("lock returns: %w", err)
	}
	refused := queries.MarkBatchReturnsRefusedParams{BatchID: batch, Lines: nil, Reasons: nil}
	wanted := queries.InsertBatchReversalsParams{BatchID: batch, Lines: nil, Ids: nil}
	for i := range rows {
		if reason := refusalOfReturn(&rows[i]); reason != "" {
			refused.Lines, refused.Reasons = append(refused.Lines, rows[i].Line), append(refused.Reasons, reason)
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make reversal id: %w", err)
		}
		wanted.Lines, wanted.Ids = append(wanted.Lines, rows[i].Line), append(wanted.Ids, id)
	}
	made, err := insertReversals(ctx, tx, client, wanted)
	if err != nil {
		return err
	}
	for _, line := range wanted.Lines {
		if !made[line] {
			refused.Lines, refused.Reasons = append(refused.Lines, line), append(refused.Reasons, refusalAlreadyReversed)
		}
	}
	if len(refused.Lines) == 0 {
		return nil
	}
	if err := AllowRows(ctx, q, len(refused.Lines)); err != nil {
		return err
	}
	if err := q.MarkBatchReturnsRefused(ctx, refused); err != nil {
		return fmt.Errorf("mark returns refused: %w", err)
	}
	return nil
}

// insertReversals stores reversals and their jobs, and returns the lines of those
// it stored: a payment is not among them of which there is a reversal already.
func insertReversals(
	ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], wanted queries.InsertBatchReversalsParams,
) (made map[int32]bool, err error) {
	if len(wanted.Lines) == 0 {
		return nil, nil
	}
	q := queries.New(tx)
	if err := AllowRows(ctx, q, len(wanted.Lines)); err != nil {
		return nil, err
	}
	rows, err := q.InsertBatchReversals(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("insert reversals: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	made = make(map[int32]bool, len(rows))
	params := make([]river.InsertManyParams, len(rows))
	for i, row := range rows {
		made[row.Line] = true
		params[i] = river.InsertManyParams{Args: ReversePaymentArgs{ReversalID: row.ReversalID}, InsertOpts: nil}
	}
	if _, err := client.InsertManyTx(ctx, tx, params); err != nil {
		return nil, fmt.Errorf("enqueue reversals: %w", err)
	}
	return made, nil
}

func refusalOfReturn(row *queries.LockBatchReturnsRow) string {
	switch {
	case row.PaymentStatus == queries.PaymentStatusRejected:
		return refusalPaymentRejected
	case row.PaymentStatus != queries.PaymentStatusPosted, row.ReturnedBefore:
		return refusalAlreadyReversed
	case row.LoanStatus == queries.LoanStatusArchived:
		return refusalLoanArchived
	default:
		return ""
	}
}

// recordReturn takes over what became of a reversal that was made of a return,
// and then the progress of its batch, as PostBatchChunk does.
func recordReturn(ctx context.Context, db DB, reversal uuid.UUID) error {
	var batch uuid.UUID
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		q := queries.New(tx)
		if batch, err = q.GetBatchOfReversal(ctx, &reversal); err != nil {
			return err
		}
		return q.MarkBatchReturnEnded(ctx, reversal)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // It was asked for by itself.
	}
	if err != nil {
		return fmt.Errorf("mark return of reversal %s: %w", reversal, err)
	}
	return markBatch(ctx, db, batch)
}
