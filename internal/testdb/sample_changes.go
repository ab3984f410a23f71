package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// LoanChange stores a wish that waits to be posted, and returns its row: 150.00 of
// escrow from the installment of 2026-03-01 on, unless the edits say another.
func LoanChange(
	t testing.TB, db queries.DBTX, loan queries.Loan, edits ...func(*queries.InsertLoanChangeParams),
) queries.LoanChange {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: change id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	escrow := mortgage.Cents(150_00)
	arg := queries.InsertLoanChangeParams{
		ID: id, LoanID: loan.ID, Kind: queries.LoanChangeKindPaymentChange, ApprovalRequired: false,
		DueOn: Date("2026-03-01"), IndexPpm: nil, RatePpm: nil, PrincipalAndInterestCents: nil,
		EscrowPaymentCents: &escrow, Reason: "sample",
		RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	}
	for _, edit := range edits {
		edit(&arg)
	}
	change, err := queries.New(db).InsertLoanChange(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert loan change: %v", err)
	}
	return change
}

// ARMTerms makes the loan's rate adjustable: an index and 2.75 %, to the nearest
// eighth, by at most 2 % at first and 1 % later, never above 11 %.
func ARMTerms(t testing.TB, db queries.DBTX, loan queries.Loan) {
	t.Helper()
	err := queries.New(db).InsertARMTerms(t.Context(), queries.InsertARMTermsParams{
		LoanID: loan.ID, MarginPpm: 27_500, RoundToPpm: 1_250, PeriodicCapPpm: 10_000, FirstCapPpm: 20_000,
		LifetimeCapPpm: 110_000, FloorPpm: 27_500, Adjusted: false,
	})
	if err != nil {
		t.Fatalf("testdb: insert adjustable-rate terms: %v", err)
	}
}
