package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

func TestCheckIntegrity(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": db.URL}
	testdb.Loan(t, db.App)
	damaged := testdb.Loan(t, db.App)

	got := runWith(t.Context(), env, "check", "integrity", "--full")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "2 loans checked in")
	require.Contains(t, got.stdout, "nothing is out of order")
	got = runWith(t.Context(), env, "check", "integrity")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "0 loans that changed checked in")

	_, err := db.Super.Exec(t.Context(), `UPDATE loans SET escrow_cents = escrow_cents + 1 WHERE id = $1`, damaged.ID)
	require.NoError(t, err)
	got = runWith(t.Context(), env, "check", "integrity")
	require.Equal(t, exitFinding, got.code, got.stderr)
	require.Contains(t, got.stdout, "balance_mismatch")
	got = runWith(t.Context(), env, "check", "integrity", "--json")
	require.Equal(t, exitFinding, got.code, got.stderr)
	var checked checkedIntegrity
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &checked))
	require.Equal(t, int64(1), checked.Loans)
	require.Len(t, checked.Findings, 2)
	require.Equal(t, damaged.ID, *checked.Findings[0].LoanID)
	require.NotEmpty(t, checked.Findings[0].SuggestedAction)
}
