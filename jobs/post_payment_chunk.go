package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// postPaymentChunkTimeout leaves time for a chunk to wait behind others, each
// of them one transaction or a few, and is well under rescueAfter.
const postPaymentChunkTimeout = 2 * time.Minute

// PostPaymentChunkArgs names received payments to post: those that were stored
// together.
type PostPaymentChunkArgs struct {
	PaymentIDs []uuid.UUID `json:"payment_ids"`
}

// Kind is stored with every job, so it never changes.
func (PostPaymentChunkArgs) Kind() string { return "post_payment_chunk" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (PostPaymentChunkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueuePayments, MaxAttempts: postPaymentAttempts}
}

// PostPaymentChunk takes payments from received to posted or rejected. They
// share a job and, while all is well, a transaction; their fates are their own.
// A second run finds posted what the first has posted.
type PostPaymentChunk struct {
	river.WorkerDefaults[PostPaymentChunkArgs]

	DB      DB
	Metrics *Metrics

	merger *merger // nil posts each chunk by itself
}

// Timeout implements river.Worker.
func (*PostPaymentChunk) Timeout(*river.Job[PostPaymentChunkArgs]) time.Duration {
	return postPaymentChunkTimeout
}

// Work posts the payments. Its error names those that could not be posted; the
// others are, and the next attempt passes them over.
func (w *PostPaymentChunk) Work(ctx context.Context, job *river.Job[PostPaymentChunkArgs]) error {
	answers, err := w.post(ctx, job.Args.PaymentIDs)
	failed := w.Metrics.countAnswers(answers)
	if err != nil {
		return fmt.Errorf("post %d payments: %w", len(job.Args.PaymentIDs), err)
	}
	return chunkError(failed, len(job.Args.PaymentIDs))
}

func (w *PostPaymentChunk) post(ctx context.Context, payments []uuid.UUID) ([]mergeAnswer, error) {
	if w.merger == nil {
		return postApart(ctx, w.DB, payments), nil
	}
	return w.merger.post(ctx, payments...)
}

// maxNamed bounds an error's text: when the database is away, all fail.
const maxNamed = 10

// chunkError says which payments could not be posted, and why the first of them
// could not. One that may be posted by a later attempt comes first: only when
// there is none does the job give up.
func chunkError(failed []mergeAnswer, of int) error {
	if len(failed) == 0 {
		return nil
	}
	cause := failed[0].err
	for _, f := range failed {
		if _, hopeless := errors.AsType[*river.JobCancelError](f.err); !hopeless {
			cause = f.err
			break
		}
	}
	var names strings.Builder
	for _, f := range failed[:min(len(failed), maxNamed)] {
		names.WriteString(" " + f.payment.String())
	}
	if len(failed) > maxNamed {
		names.WriteString(" …")
	}
	return fmt.Errorf("post %d of %d payments,%s: %w", len(failed), of, names.String(), cause)
}
