package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

// The rules that refuse a reversal, by the code that is stored with it and
// explained in docs/problems.md.
const (
	refusalNotPosted    = "payment_not_posted"
	refusalNotReversed  = "payment_not_reversed"
	refusalLoanArchived = reasonLoanArchived
)

// ReversePaymentArgs names the reversal to carry out.
type ReversePaymentArgs struct {
	ReversalID uuid.UUID `json:"reversal_id"`
}

// Kind is stored with every job, so it never changes.
func (ReversePaymentArgs) Kind() string { return "reverse_payment" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ReversePaymentArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCorrections, MaxAttempts: postPaymentAttempts}
}

// ReversePayment takes a payment out of its loan's history: its transactions
// are reversed as of their original days, and what was posted on top of them is
// reversed and posted again. A reversal that undoes another puts the payment
// back in the same way. Nothing is edited, and all of it is one transaction.
type ReversePayment struct {
	river.WorkerDefaults[ReversePaymentArgs]

	DB DB
}

// Timeout implements river.Worker.
func (*ReversePayment) Timeout(*river.Job[ReversePaymentArgs]) time.Duration {
	return postPaymentTimeout
}

// Work carries the reversal out, once. One that a rule refuses is rejected, and
// that completes the job.
func (w *ReversePayment) Work(ctx context.Context, job *river.Job[ReversePaymentArgs]) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		return reverse(ctx, queries.New(tx), job.Args.ReversalID)
	})
	if err != nil {
		return fmt.Errorf("reverse %s: %w", job.Args.ReversalID, err)
	}
	return recordReturn(ctx, w.DB, job.Args.ReversalID)
}

func reverse(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	row, err := q.LockReversalToPost(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt committed.
	}
	if err != nil {
		return fmt.Errorf("lock reversal: %w", err)
	}
	refusal := refusalOf(&row)
	if refusal == "" && row.Reverses != nil {
		refusal, err = takeOutOfForce(ctx, q, *row.Reverses, row.PostedAt)
		if err != nil {
			return err
		}
	}
	if refusal != "" {
		if err := q.MarkReversalRejected(ctx, &refusal, id); err != nil {
			return fmt.Errorf("mark reversal rejected: %w", err)
		}
		return nil
	}
	w := newWriting(row.PostedAt)
	fees := feesFor(&row)
	if err := correctFor(ctx, q, w, &row, fees); err != nil {
		return fmt.Errorf("loan %d: %w", row.Loan.ID, err)
	}
	if err := w.write(ctx, q); err != nil {
		return err
	}
	posted := queries.MarkReversalPostedParams{ID: id, PostedAt: &row.PostedAt, FeeCents: 0, FeeOn: 0}
	for _, f := range fees {
		posted.FeeCents, posted.FeeOn = f.Amount, f.ChargedOn
	}
	if err := q.MarkReversalPosted(ctx, posted); err != nil {
		return fmt.Errorf("mark reversal posted: %w", err)
	}
	return nil
}

// feesFor returns the fee that the loan's terms charge when a payment comes back
// because there was no money behind it, or none. It is charged on the day on which
// the payment came back.
func feesFor(row *queries.LockReversalToPostRow) []mortgage.Fee {
	unpaid := row.Reason == "R01" || row.Reason == "R09" // insufficient funds, uncollected funds
	if !unpaid || row.Loan.ReturnedPaymentFeeCents == 0 {
		return nil
	}
	return []mortgage.Fee{
		returnedPaymentFee(row.ReversalID, row.Loan.ReturnedPaymentFeeCents, row.ReturnedOn),
	}
}

// correctFor takes the payment out of the loan's history, or, where a reversal
// is undone, counts it again as of its day.
func correctFor(
	ctx context.Context, q *queries.Queries, w *writing, row *queries.LockReversalToPostRow, fees []mortgage.Fee,
) error {
	loan := newLoanInHand(&row.Loan)
	if row.Reverses == nil {
		w.events = append(w.events, reversedEvent(row))
		return loan.withdraw(ctx, q, w, row.PaymentID, fees, row.RequestedBy)
	}
	return loan.postBehind(ctx, q, w, []wish{{
		id: row.PaymentID, requestedBy: row.RequestedBy, receipt: mortgage.Receipt{
			Ref: row.PaymentID.String(), Amount: row.AmountCents, ReceivedOn: row.ReceivedOn, Designation: row.Designation,
		},
	}})
}

// takeOutOfForce marks the reversal that is undone, and refuses where another
// has undone it or it was never posted.
func takeOutOfForce(ctx context.Context, q *queries.Queries, id uuid.UUID, at time.Time) (refusal string, err error) {
	undone, err := q.MarkReversalUndone(ctx, &at, id)
	if err != nil {
		return "", fmt.Errorf("mark reversal undone: %w", err)
	}
	if undone == 0 {
		return refusalNotReversed, nil
	}
	return "", nil
}

func refusalOf(row *queries.LockReversalToPostRow) string {
	switch {
	case row.Loan.Status == queries.LoanStatusArchived:
		return refusalLoanArchived
	case row.Reverses == nil && row.PaymentStatus != queries.PaymentStatusPosted:
		return refusalNotPosted
	case row.Reverses != nil && row.PaymentStatus != queries.PaymentStatusReversed:
		return refusalNotReversed
	default:
		return ""
	}
}
