package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// The rules that refuse a change of a loan's terms, by the code that is stored
// with it and explained in docs/problems.md.
const (
	refusalLoanPaidOff     = reasonLoanPaidOff
	refusalNoARMTerms      = "no_arm_terms"
	refusalChangePassed    = "change_passed"
	refusalPaymentTooSmall = "payment_too_small"
	refusalNotCharged      = "not_charged"
)

// change makes the loan's terms those with the change, or returns the rule that
// refuses it. Of a rate change that names an index it fills in what follows.
func (l *loanInHand) change(
	ctx context.Context, q *queries.Queries, c *queries.LoanChange, h mortgage.History,
) (refusal string, err error) {
	switch l.row.Status {
	case queries.LoanStatusActive:
	case queries.LoanStatusPaidOff:
		return refusalLoanPaidOff, nil
	case queries.LoanStatusArchived:
		return refusalLoanArchived, nil
	}
	terms := l.terms
	switch c.Kind {
	case queries.LoanChangeKindRateChange:
		if refusal, err = l.adjustRate(ctx, q, c); err != nil || refusal != "" {
			return refusal, err
		}
		terms = terms.WithRate(mortgage.RateChange{DueOn: c.DueOn, Rate: *c.RatePpm}).
			WithPayment(paymentChangeOf(c))
	case queries.LoanChangeKindPaymentChange:
		terms = terms.WithPayment(paymentChangeOf(c))
	case queries.LoanChangeKindLateChargeWaiver:
		if refusal, err = l.mayWaive(ctx, q, c.DueOn); err != nil || refusal != "" {
			return refusal, err
		}
		terms = terms.WithoutLateCharge(c.DueOn)
	}
	state, _, err := terms.Books(h)
	if err == nil {
		_, err = terms.Schedule(state, mortgage.MaxTermMonths)
	}
	if errors.Is(err, mortgage.ErrPaymentTooSmall) {
		return refusalPaymentTooSmall, nil
	}
	if err != nil {
		return "", broken(err)
	}
	l.terms = terms
	return "", nil
}

func paymentChangeOf(c *queries.LoanChange) mortgage.PaymentChange {
	return mortgage.PaymentChange{
		DueOn: c.DueOn, PrincipalAndInterest: c.PrincipalAndInterestCents, EscrowPayment: c.EscrowPaymentCents,
	}
}

// adjustRate fills in the rate and the payment that an index leads to by the
// note. A change that states them is left as it is.
func (l *loanInHand) adjustRate(ctx context.Context, q *queries.Queries, c *queries.LoanChange) (string, error) {
	if c.RatePpm != nil {
		return "", nil
	}
	row, err := q.GetARMTerms(ctx, l.id)
	if errors.Is(err, pgx.ErrNoRows) {
		return refusalNoARMTerms, nil
	}
	if err != nil {
		return "", fmt.Errorf("get adjustable-rate terms: %w", err)
	}
	adjusted, err := l.terms.AdjustRate(loanrow.ARMTerms(&row), l.state, *c.IndexPpm, c.DueOn)
	switch {
	case errors.Is(err, mortgage.ErrChangePassed):
		return refusalChangePassed, nil
	case errors.Is(err, mortgage.ErrPaymentTooSmall):
		return refusalPaymentTooSmall, nil
	case err != nil:
		return "", broken(err)
	}
	c.RatePpm, c.PrincipalAndInterestCents = &adjusted.Rate, &adjusted.PrincipalAndInterest
	return "", nil
}

// mayWaive refuses to waive a late charge that was not assessed and is not going
// to be, because its day has passed.
func (l *loanInHand) mayWaive(ctx context.Context, q *queries.Queries, dueOn mortgage.Date) (string, error) {
	if l.terms.LateCharge.AssessedOn(dueOn) > l.state.AsOf {
		return "", nil
	}
	charges, err := q.CountLateChargesOf(ctx, l.id, dueOn)
	if err != nil {
		return "", fmt.Errorf("count late charges: %w", err)
	}
	if charges == 0 {
		return refusalNotCharged, nil
	}
	return "", nil
}
