package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// A quote is asked for a closing to come, or for money that came lately.
	quoteDaysAhead = 365
	quoteDaysBack  = 30
)

func (s *Server) routePayoffQuote() {
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "get-payoff-quote", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/payoff-quote",
		Tags: []string{"loans"}, Summary: "Quote what pays a loan in full",
		Description: "What pays the loan in full if it is received on the day and nothing else happens until then: late " +
			"charges that come due and installments that held money satisfies by that day are reckoned with. On loans " +
			"with FHA's application order interest includes the day of receipt. It is a quote: nothing is stored, and it " +
			"does not bind when a payment is posted or reversed meanwhile. A loan that is paid off, or whose books hold " +
			"something later than the day, has none (409).",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.getPayoffQuote)
}

type getPayoffQuoteInput struct {
	LoanPath
	GoodThroughOn date `query:"good_through_on" required:"true" doc:"The day on which the money is received: from 30 days before today (where the deployment is) to 365 days after it."`
}

type getPayoffQuoteOutput struct{ Body payoffQuote }

// payoffQuote is what pays a loan in full on a day.
type payoffQuote struct {
	LoanID                int64          `json:"loan_id"`
	GoodThroughOn         date           `json:"good_through_on"`
	PrincipalCents        mortgage.Cents `json:"principal_cents"`
	InterestCents         mortgage.Cents `json:"interest_cents" doc:"Below zero where installments are paid further ahead than interest is earned."`
	LateChargesCents      mortgage.Cents `json:"late_charges_cents"`
	FeesCents             mortgage.Cents `json:"fees_cents"`
	EscrowAdvanceCents    mortgage.Cents `json:"escrow_advance_cents"`
	SuspenseCreditCents   mortgage.Cents `json:"suspense_credit_cents" doc:"Money held for the borrower; it is taken off."`
	TotalCents            mortgage.Cents `json:"total_cents" doc:"The sum of all of these, less suspense_credit_cents."`
	PerDiemCents          mortgage.Cents `json:"per_diem_cents" doc:"A day's interest. A later day can differ by a cent from as many times this, and by more where days become a whole month: ask again."`
	FullMonths            int            `json:"full_months" doc:"Whole months of interest, 30/360; below zero when paid ahead."`
	OddDays               int            `json:"odd_days" doc:"Days of interest on top of them, actual/365."`
	EscrowRefundableCents mortgage.Cents `json:"escrow_refundable_cents" doc:"Returned to the borrower after the payoff, and not part of the total."`
	EscrowRefundDueOn     date           `json:"escrow_refund_due_on" doc:"The last day for that (12 CFR 1024.34(b))."`
}

func (s *Server) getPayoffQuote(ctx context.Context, in *getPayoffQuoteInput) (*getPayoffQuoteOutput, error) {
	today := s.receiving.today(time.Now())
	if on := in.GoodThroughOn.Date; on < today-quoteDaysBack || on > today+quoteDaysAhead {
		return nil, invalid(inParameter("good_through_on", "must be from 30 days before today to 365 days after it"))
	}
	row, err := s.findLoan(ctx, in.LoanID)
	if err != nil {
		return nil, err
	}
	quote, err := quoteOf(row, in.GoodThroughOn.Date)
	if err != nil {
		return nil, err
	}
	return &getPayoffQuoteOutput{Body: quote}, nil
}

// quoteOf computes what pays the loan in full on the day.
func quoteOf(row queries.Loan, on mortgage.Date) (payoffQuote, error) {
	if row.Status != queries.LoanStatusActive {
		return payoffQuote{}, conflict("Nothing is to be paid off: the loan is " + string(row.Status) + ".")
	}
	terms, state := loanrow.Terms(&row), loanrow.State(&row)
	if on < max(row.LastEffectiveOn, terms.BoardedOn) {
		return payoffQuote{}, conflict("The loan's books hold something later than the day.")
	}
	state, _, err := terms.Advance(state, on)
	if err != nil {
		return payoffQuote{}, fmt.Errorf("advance loan %d: %w", row.ID, err)
	}
	q, err := terms.PayoffQuote(state, on)
	if errors.Is(err, mortgage.ErrPaidOff) {
		return payoffQuote{}, conflict("Money held in suspense pays the loan off by that day.")
	}
	if err != nil {
		return payoffQuote{}, fmt.Errorf("quote loan %d: %w", row.ID, err)
	}
	return payoffQuote{
		LoanID: row.ID, GoodThroughOn: date{on}, PrincipalCents: q.Principal, InterestCents: q.Interest,
		LateChargesCents: q.LateCharges, FeesCents: q.Fees, EscrowAdvanceCents: q.EscrowAdvance,
		SuspenseCreditCents: q.SuspenseCredit, TotalCents: q.Total, PerDiemCents: q.PerDiem,
		FullMonths: q.FullMonths, OddDays: q.OddDays,
		EscrowRefundableCents: q.EscrowRefundable, EscrowRefundDueOn: date{mortgage.RefundDueOn(on)},
	}, nil
}
