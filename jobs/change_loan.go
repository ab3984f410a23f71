package jobs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

// ChangeLoanArgs names the change of a loan's terms to carry out.
type ChangeLoanArgs struct {
	ChangeID uuid.UUID `json:"change_id"`
}

// Kind is stored with every job, so it never changes.
func (ChangeLoanArgs) Kind() string { return "change_loan" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// change it names is posted once.
func (ChangeLoanArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCorrections, MaxAttempts: postPaymentAttempts}
}

// ChangeLoan makes a change count: it becomes part of the loan's terms, and what
// was posted before and would have been otherwise is reversed and posted again.
// The change, the terms and the books change in one transaction.
type ChangeLoan struct {
	river.WorkerDefaults[ChangeLoanArgs]

	DB DB
}

// Timeout implements river.Worker.
func (*ChangeLoan) Timeout(*river.Job[ChangeLoanArgs]) time.Duration { return postPaymentTimeout }

// Work carries the change out, once. One that a rule refuses is rejected, and
// that completes the job.
func (w *ChangeLoan) Work(ctx context.Context, job *river.Job[ChangeLoanArgs]) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		return changeLoan(ctx, queries.New(tx), job.Args.ChangeID)
	})
	if err != nil {
		return fmt.Errorf("change loan by %s: %w", job.Args.ChangeID, err)
	}
	return nil
}

func changeLoan(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	row, err := q.LockLoanChangeToPost(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt committed.
	}
	if err != nil {
		return fmt.Errorf("lock change: %w", err)
	}
	loan, change := newLoanInHand(&row.Loan), &row.LoanChange
	h, err := loan.history(ctx, q)
	if err != nil {
		return err
	}
	refusal, err := loan.change(ctx, q, change, h)
	if err != nil {
		return fmt.Errorf("loan %d: %w", loan.id, err)
	}
	if refusal != "" {
		if err := q.MarkLoanChangeRejected(ctx, &refusal, id); err != nil {
			return fmt.Errorf("mark change rejected: %w", err)
		}
		return nil
	}
	w := newWriting(row.PostedAt)
	if _, err := loan.correct(ctx, q, w, h, change.RequestedBy); err != nil {
		return fmt.Errorf("loan %d: %w", loan.id, err)
	}
	if err := w.write(ctx, q); err != nil {
		return err
	}
	return loan.keepTerms(ctx, q, change, row.PostedAt)
}

// keepTerms records the change as posted and its outcome with the loan, and makes
// sure that what later postings will read is what this one has reckoned with.
func (l *loanInHand) keepTerms(
	ctx context.Context, q *queries.Queries, change *queries.LoanChange, at time.Time,
) error {
	err := q.MarkLoanChangePosted(ctx, queries.MarkLoanChangePostedParams{
		ID: change.ID, PostedAt: &at,
		RatePpm: change.RatePpm, PrincipalAndInterestCents: change.PrincipalAndInterestCents,
	})
	if err != nil {
		return fmt.Errorf("mark change posted: %w", err)
	}
	stored, err := q.MarkLoanTermsChanged(ctx, l.id)
	if err != nil {
		return fmt.Errorf("mark terms changed: %w", err)
	}
	if !reflect.DeepEqual(stored, l.terms.Changes) {
		return broken(fmt.Errorf("the terms of loan %d would be stored as %+v, and are %+v", l.id, stored, l.terms.Changes))
	}
	return nil
}
