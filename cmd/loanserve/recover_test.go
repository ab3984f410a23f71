package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/recovery"
)

// TestRecoverSaysWhatItDoes follows a recovery from the images on: the plan, what stands
// in the way, what is done, that guards are off, and that nothing is left to do.
// internal/incident has all of it, with the archive.
func TestRecoverSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	before := testdb.Clone(t)
	loan, other := testdb.Loan(t, before.App), testdb.Loan(t, before.App)
	live := before.Copy(t)
	xid := testdb.LoseLoans(t, live.Super, loan.ID, other.ID)
	after := live.Copy(t)
	testdb.Loan(t, live.App, func(p *queries.InsertLoanParams) { p.LoanNumber = other.LoanNumber })

	run := func(r recoverRowsCommand, list string) outcome {
		salvage, err := recovery.Open(t.Context(), live.URL)
		require.NoError(t, err)
		defer salvage.Close(t.Context())
		salvage.Origin = recovery.Origin{Actor: "command", ActorName: who(), XIDs: []string{xid}}
		require.NoError(t, salvage.Collect(t.Context(), before.URL, after.URL, nil))
		loans, err := recovery.ParseLoans(list)
		require.NoError(t, err)
		require.NoError(t, salvage.Select(t.Context(), loans))
		var stdout, stderr bytes.Buffer
		p := &program{env: environment{}.lookup, stdout: &stdout, stderr: &stderr}
		err = r.merge(t.Context(), p, live.URL, salvage, recovered{XIDs: []string{xid}, DryRun: r.DryRun, began: time.Now()})
		got := outcome{exitOK, stdout.String(), stderr.String()}
		if err != nil {
			require.ErrorIs(t, err, errFinding)
			got.code = exitFinding
		}
		return got
	}
	count := func() (n int) {
		require.NoError(t, live.Super.QueryRow(t.Context(), `SELECT count(*) FROM loans`).Scan(&n))
		return n
	}

	got := run(recoverRowsCommand{Yes: true}, fmt.Sprintf("%d-%d", loan.ID, other.ID))
	require.Equal(t, exitFinding, got.code)
	require.Contains(t, got.stdout, "conflict (unique): 1 rows of loans: loans_loan_number_key: "+fmt.Sprint(other.ID))
	require.Contains(t, got.stdout, "nothing was changed")
	require.Equal(t, 1, count())

	got = run(recoverRowsCommand{DryRun: true}, loan.LoanNumber)
	require.Equal(t, exitOK, got.code)
	require.Contains(t, got.stdout, fmt.Sprintf("1 loans come back: %s (%d)\n", loan.LoanNumber, loan.ID))
	require.Regexp(t, `(?m)^transactions +1 +0 +0 +0 +1 +0$`, got.stdout)
	require.Contains(t, got.stdout, "public.history is left alone: it keeps")
	require.Contains(t, got.stdout, "dry run: nothing was changed\n")
	require.Equal(t, 1, count())

	got = run(recoverRowsCommand{Yes: true}, loan.LoanNumber)
	require.Equal(t, exitOK, got.code)
	require.Contains(t, got.stdout, "1 loans are back: 3 rows inserted and 0 set back")
	require.Contains(t, got.stderr, "Guards may be off: `loanserve migrate up`")
	require.Equal(t, 2, count())

	got = run(recoverRowsCommand{Yes: true, migrateFlags: migrateFlags{JSON: true}}, loan.LoanNumber)
	require.Equal(t, exitOK, got.code)
	var again recovered
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &again))
	require.False(t, again.Merged)
	require.True(t, again.Plan.Empty())
	require.NotNil(t, again.Plan.RecoveredAt)
}
