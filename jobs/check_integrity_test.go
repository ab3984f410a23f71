package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
)

// check checks the stored data without a queue.
func check(t *testing.T, db *testdb.DB, complete bool) jobs.CheckReport {
	t.Helper()
	report, err := jobs.CheckNow(t.Context(), db.App, complete, func(_, _ int64) {})
	require.NoError(t, err)
	return report
}

// requireInOrder checks all loans, and finds nothing; then there is nothing left to check.
func requireInOrder(t *testing.T, db *testdb.DB) {
	t.Helper()
	start := time.Now()
	report := check(t, db, true)
	t.Logf("%d loans checked in %v", report.Check.Loans, time.Since(start))
	require.Empty(t, report.Findings)
	require.Zero(t, report.Unchecked)
	require.NotNil(t, report.Check.FinishedAt)
	var loans int64
	require.NoError(t, db.App.QueryRow(t.Context(), `SELECT count(*) FROM loans`).Scan(&loans))
	require.Equal(t, loans, report.Check.Loans)

	again := check(t, db, false)
	require.Empty(t, again.Findings)
	require.Zero(t, again.Check.Loans)
}
