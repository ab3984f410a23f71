package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

func watch(t *testing.T, db *testdb.DB) jobs.LoanWatch {
	t.Helper()
	seen, err := jobs.Watch(t.Context(), db.App)
	require.NoError(t, err)
	return seen
}

// openFindings returns what is found at the moment.
func openFindings(t *testing.T, db *testdb.DB) []queries.IntegrityFinding {
	t.Helper()
	open := true
	all, err := queries.New(db.App).ListIntegrityFindings(t.Context(), queries.ListIntegrityFindingsParams{
		BeforeID: 1 << 62, Open: &open, Kind: nil, Severity: nil, LoanID: nil, RowLimit: 1000,
	})
	require.NoError(t, err)
	return all
}

// Of 23 loans the first sixteen and three more are deleted, and what hangs on them.
func TestTheAlarmNamesLostLoans(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	ids := serviced(t, db, 23, 0)
	seen := watch(t, db)
	require.Equal(t, [3]int64{23, 23, 0}, [3]int64{seen.Registered, seen.Loans, seen.Missing})
	require.Empty(t, openFindings(t, db))
	disarm(t, db)
	lost := append(append([]int64{}, ids[:16]...), ids[18:21]...)
	for _, table := range []string{"transactions", "documents", "loan_borrowers"} {
		_, err := db.Super.Exec(t.Context(), `DELETE FROM `+table+` WHERE loan_id = ANY($1)`, lost)
		require.NoError(t, err)
	}
	_, err := db.Super.Exec(t.Context(), `DELETE FROM loans WHERE id = ANY($1)`, lost)
	require.NoError(t, err)

	for range 2 {
		seen = watch(t, db)
		require.Equal(t, [3]int64{23, 4, 19}, [3]int64{seen.Registered, seen.Loans, seen.Missing})
		require.Equal(t, ids[22], seen.HighestLoanID)
		require.Equal(t, lost, seen.FirstMissing)
		found := openFindings(t, db)
		require.Len(t, found, 19)
		for i, f := range found { // The latest first.
			require.Equal(t, queries.IntegrityKindLoanMissing, f.Kind)
			require.Equal(t, queries.IntegritySeverityCritical, f.Severity)
			require.Equal(t, lost[len(lost)-1-i], *f.LoanID)
			require.Contains(t, string(f.Details), "loan_number")
		}
	}
}

func TestTheAlarmSeesWhatTheRegisterLost(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]struct {
		sql          string
		unregistered int64
		entries      bool // are missing
	}{
		"a loan and its entry at the end": {
			sql: `WITH last AS (SELECT * FROM loan_register ORDER BY chain, entry DESC LIMIT 1),
  gone AS (DELETE FROM loans WHERE id = (SELECT loan_id FROM last))
DELETE FROM loan_register WHERE loan_id = (SELECT loan_id FROM last)`,
			entries: true,
		},
		"a loan that nobody registered": {
			sql: `INSERT INTO loans OVERRIDING USER VALUE SELECT (jsonb_populate_record(l, '{"loan_number": "x"}')).*
FROM loans l ORDER BY id LIMIT 1`,
			unregistered: 1,
		},
		"all of it": {
			sql:          `TRUNCATE loan_register`,
			unregistered: 3, entries: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Clone(t)
			for range 3 {
				testdb.Loan(t, db.App)
			}
			require.Zero(t, watch(t, db).EntriesMissing)
			disarm(t, db)
			_, err := db.Super.Exec(t.Context(), attack.sql)
			require.NoError(t, err)
			seen := watch(t, db)
			require.Equal(t, attack.unregistered, seen.Unregistered)
			require.Equal(t, attack.entries, seen.EntriesMissing > 0)
			require.NotEmpty(t, openFindings(t, db))
		})
	}
}
