package testdb

import (
	"testing"

	"loanserve/queries"
)

// Integrity stores a check that is the run, and what it has seen of the loan and found.
func Integrity(t testing.TB, db queries.DBTX, run queries.Run, loan queries.Loan) {
	t.Helper()
	ctx, q := t.Context(), queries.New(db)
	_, err := q.InsertIntegrityCheck(ctx, queries.InsertIntegrityCheckParams{ID: run.ID, RunID: &run.ID, Complete: true})
	if err != nil {
		t.Fatalf("testdb: insert integrity check: %v", err)
	}
	_, err = q.InsertIntegrityFindings(ctx, queries.InsertIntegrityFindingsParams{
		Kind: []string{"chain_broken"}, Severity: []string{"critical"}, LoanID: []int64{loan.ID}, Subject: []string{""},
		Details: []string{`{"count": 1}`}, SuggestedAction: []string{"Look at it."},
	})
	if err != nil {
		t.Fatalf("testdb: insert finding: %v", err)
	}
	err = q.InsertIntegrityAnchors(ctx, queries.InsertIntegrityAnchorsParams{
		LoanID: []int64{loan.ID}, Seq: []int32{loan.LastSeq}, Hash: [][]byte{loan.LastHash}, StateHash: []int64{0},
	})
	if err != nil {
		t.Fatalf("testdb: insert anchor: %v", err)
	}
	if err := q.InsertRegisterAnchors(ctx); err != nil {
		t.Fatalf("testdb: insert anchor of the register: %v", err)
	}
}
