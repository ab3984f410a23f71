package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

// errInvariant reports stored data or a rule of ours that is broken. Trying
// again cannot help, and posting on would make it worse.
var errInvariant = errors.New("broken invariant")

// postOutcome counts what became of a set of payments.
type postOutcome struct {
	posted, rejected int
}

// postPayments posts those of the given payments that wait for it, in one
// transaction: one statement locks the payments and their loans, in order of
// loan so that two workers never wait for each other in a circle, and one
// statement writes all that follows. Payments of one loan are applied in the
// order of their ids, which is the order in which they were accepted.
func postPayments(ctx context.Context, db DB, ids []uuid.UUID) (postOutcome, error) {
	var outcome postOutcome
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		rows, err := q.LockPaymentsToPost(ctx, ids)
		if err != nil {
			return fmt.Errorf("lock payments: %w", err)
		}
		if len(rows) == 0 {
			return nil // An earlier attempt committed.
		}
		p := newPosting(rows[0].PostedAt)
		for i := range rows {
			if err := p.post(&rows[i]); err != nil {
				return river.JobCancel(fmt.Errorf("loan %d: %w", rows[i].LoanID, err))
			}
		}
		ended, err := q.PostPayments(ctx, p.write())
		if err != nil {
			return fmt.Errorf("write postings: %w", err)
		}
		if ended != int64(len(rows)) {
			return river.JobCancel(fmt.Errorf("%d of %d locked payments were moved on: %w", ended, len(rows), errInvariant))
		}
		outcome = p.outcome
		return nil
	})
	if err != nil {
		return postOutcome{}, err
	}
	return outcome, nil
}

// reasons are the rules that refuse a payment, by the code that is stored with
// it and explained in docs/problems.md.
const (
	reasonLoanPaidOff  = "loan_paid_off"
	reasonLoanArchived = "loan_archived"
)

// refusal returns the reason for which a payment is refused, or "" and the
// error when it is not a refusal.
func refusal(loan *loanInHand, err error) (string, error) {
	switch {
	case loan.status == queries.LoanStatusArchived:
		return reasonLoanArchived, nil
	case errors.Is(err, mortgage.ErrPaidOff):
		return reasonLoanPaidOff, nil
	default:
		return "", fmt.Errorf("%w: %w", errInvariant, err)
	}
}

// terms returns what the loan's note says.
func terms(row *queries.LockPaymentsToPostRow) mortgage.Terms {
	return mortgage.Terms{
		Rate:                 row.RatePpm,
		PrincipalAndInterest: row.PrincipalAndInterestCents,
		EscrowPayment:        row.EscrowPaymentCents,
		DueDay:               int(row.DueDay),
		MaturityOn:           row.MaturityOn,
		InterestMethod:       row.InterestMethod,
		ApplicationOrder:     row.ApplicationOrder,
		ExcessPolicy:         row.ExcessPolicy,
		Rounding:             row.Rounding,
	}
}
