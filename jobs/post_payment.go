package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

const (
	// QueuePayments is the queue of payments that arrive one by one.
	QueuePayments = "payments"

	// postPaymentTimeout bounds one posting, which takes milliseconds; it leaves
	// time for a loan that another transaction holds.
	postPaymentTimeout = 30 * time.Second

	// postPaymentAttempts with the retry policy's pauses of up to five minutes
	// is about three and a half hours of a fault that a database outage does not
	// explain: then no worker could have taken the job at all.
	postPaymentAttempts = 50
)

// PostPaymentArgs names the received payment to post.
type PostPaymentArgs struct {
	PaymentID uuid.UUID `json:"payment_id"`
}

// Kind is stored with every job, so it never changes.
func (PostPaymentArgs) Kind() string { return "post_payment" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// payment it names is, and a second job for it finds nothing to do.
func (PostPaymentArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueuePayments, MaxAttempts: postPaymentAttempts}
}

// PostPayment takes a payment from received to posted or rejected. Ledger,
// balances and payment change in one transaction, so a job that runs twice
// posts once.
type PostPayment struct {
	river.WorkerDefaults[PostPaymentArgs]

	DB      DB
	Metrics *Metrics

	merger *merger // nil posts each payment by itself
}

// Timeout implements river.Worker.
func (*PostPayment) Timeout(*river.Job[PostPaymentArgs]) time.Duration { return postPaymentTimeout }

// Work posts the payment. One that a rule refuses is rejected, and that
// completes the job: only a fault of ours or of the database is an error.
func (w *PostPayment) Work(ctx context.Context, job *river.Job[PostPaymentArgs]) error {
	outcome, err := w.post(ctx, job.Args.PaymentID)
	if err != nil {
		return fmt.Errorf("post payment %s: %w", job.Args.PaymentID, err)
	}
	w.Metrics.countPayments(outcome)
	return nil
}

func (w *PostPayment) post(ctx context.Context, payment uuid.UUID) (postOutcome, error) {
	if w.merger == nil {
		return postPayments(ctx, w.DB, []uuid.UUID{payment})
	}
	answers, err := w.merger.post(ctx, payment)
	if err != nil {
		return postOutcome{}, err
	}
	return answers[0].outcome, answers[0].err
}
