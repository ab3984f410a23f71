package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// AnalysisWish stores a wish that the loan's escrow account be analyzed for the year
// that is due on 2027-01-31, and returns its row.
func AnalysisWish(
	t testing.TB, db queries.DBTX, loan queries.Loan, edits ...func(*queries.InsertEscrowAnalysisParams),
) queries.EscrowAnalysis {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: analysis id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	arg := queries.InsertEscrowAnalysisParams{
		ID: id, LoanID: loan.ID, Kind: queries.EscrowAnalysisKindAnnual, DryRun: false, AsOfOn: Date("2027-01-31"),
		StartOn: 0, EstablishedOn: 0, Transferred: false, VoluntaryCents: 0,
		RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	}
	for _, edit := range edits {
		edit(&arg)
	}
	row, err := queries.New(db).InsertEscrowAnalysis(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert analysis: %v", err)
	}
	return row
}

// AnalysisMonth stores a month of an analysis.
func AnalysisMonth(t testing.TB, db queries.DBTX, analysis queries.EscrowAnalysis) {
	t.Helper()
	_, err := db.Exec(t.Context(), `
INSERT INTO escrow_analysis_months (analysis_id, month_on, deposit_cents, disbursement_cents, target_cents,
  projected_cents, payment_cents, expected_cents)
VALUES ($1, '2027-02-01', 1, 2, 3, 4, 5, 6)`, analysis.ID)
	if err != nil {
		t.Fatalf("testdb: insert month of analysis: %v", err)
	}
}

// EscrowPolicy stores the default policy, as edited, with no change in the CPI-U.
func EscrowPolicy(t testing.TB, db queries.DBTX, edits ...func(*mortgage.EscrowPolicy)) queries.EscrowPolicy {
	t.Helper()
	policy := mortgage.DefaultEscrowPolicy()
	for _, edit := range edits {
		edit(&policy)
	}
	row, err := queries.New(db).InsertEscrowPolicy(t.Context(), queries.InsertEscrowPolicyParams{
		Policy: policy, CpiChangePpm: 0, RequestedBy: "testdb",
	})
	if err != nil {
		t.Fatalf("testdb: insert escrow policy: %v", err)
	}
	return row
}
