package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeBalances() {
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "get-balances", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/balances", Tags: []string{"loans"},
		Summary: "Get a loan's balances as of a day, as they were known at a moment",
		Description: "The sum of the loan's transactions that take effect by as_of_on (when the borrower is credited or " +
			"charged) and were posted by known_at (when the books changed). The first answers what was owed on a day as " +
			"is known now; both together, what was then known of it. A loan has zeros before it was boarded.",
		Errors: []int{http.StatusNotFound},
	}, s.getBalances)
}

type getBalancesInput struct {
	LoanPath
	AsOfOn  date      `query:"as_of_on" doc:"Count what takes effect by the end of this day; without it, all."`
	KnownAt time.Time `query:"known_at" doc:"Count what was posted by this moment (RFC 3339); without it, all."`
}

type getBalancesOutput struct{ Body balances }

// balances is what a loan owes and holds. Each is zero or more in sound books.
type balances struct {
	LoanID              int64          `json:"loan_id"`
	AsOfOn              date           `json:"as_of_on,omitzero"`
	KnownAt             time.Time      `json:"known_at,omitzero"`
	Transactions        int64          `json:"transactions" doc:"How many are counted."`
	PrincipalCents      mortgage.Cents `json:"principal_cents" doc:"Unpaid principal."`
	EscrowCents         mortgage.Cents `json:"escrow_cents" doc:"Held for taxes and insurance."`
	SuspenseCents       mortgage.Cents `json:"suspense_cents" doc:"Unapplied funds."`
	LateChargesDueCents mortgage.Cents `json:"late_charges_due_cents"`
	FeesDueCents        mortgage.Cents `json:"fees_due_cents"`
	EscrowAdvanceCents  mortgage.Cents `json:"escrow_advance_cents"`

	CashCents             mortgage.Cents `json:"cash_cents" doc:"Received since the boarding, less what was returned."`
	InterestIncomeCents   mortgage.Cents `json:"interest_income_cents" doc:"Earned since the boarding."`
	LateChargeIncomeCents mortgage.Cents `json:"late_charge_income_cents" doc:"Assessed since the boarding."`
	FeeIncomeCents        mortgage.Cents `json:"fee_income_cents" doc:"Assessed since the boarding."`
}

// endOfTime is after every posting. The moment of asking would not do: the
// database's clock, which postings have, may be ahead of ours.
var endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

func (s *Server) getBalances(ctx context.Context, in *getBalancesInput) (*getBalancesOutput, error) {
	arg := queries.GetBalancesParams{LoanID: in.LoanID, AsOfOn: in.AsOfOn.Date, KnownAt: in.KnownAt}
	if arg.AsOfOn.IsZero() {
		arg.AsOfOn = mortgage.MaxDate
	}
	if arg.KnownAt.IsZero() {
		arg.KnownAt = endOfTime
	}
	row, err := s.q.GetBalances(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("get balances: %w", err)
	}
	if row.Transactions == 0 { // Too early, or no such loan.
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	// What is owed by the servicer or earned by it stands in the books as a credit.
	return &getBalancesOutput{Body: balances{
		LoanID: in.LoanID, AsOfOn: in.AsOfOn, KnownAt: in.KnownAt, Transactions: row.Transactions,
		PrincipalCents: mortgage.Cents(row.PrincipalCents), EscrowCents: mortgage.Cents(-row.EscrowCents),
		SuspenseCents:         mortgage.Cents(-row.SuspenseCents),
		LateChargesDueCents:   mortgage.Cents(row.LateChargesReceivableCents),
		FeesDueCents:          mortgage.Cents(row.FeesReceivableCents),
		EscrowAdvanceCents:    mortgage.Cents(row.EscrowAdvanceCents),
		CashCents:             mortgage.Cents(row.CashCents),
		InterestIncomeCents:   mortgage.Cents(-row.InterestIncomeCents),
		LateChargeIncomeCents: mortgage.Cents(-row.LateChargeIncomeCents),
		FeeIncomeCents:        mortgage.Cents(-row.FeeIncomeCents),
	}}, nil
}
