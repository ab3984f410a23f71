package jobs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
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

// serviced boards loans with a document and a borrower each, pays them for some months,
// and returns their ids. The last payment of each is the latest.
func serviced(t *testing.T, db *testdb.DB, loans, months int) []int64 {
	t.Helper()
	rows := make([]queries.Loan, loans)
	ids := make([]int64, loans)
	for i := range rows {
		rows[i] = testdb.Loan(t, db.App)
		testdb.Document(t, db.App, rows[i])
		testdb.Borrower(t, db.App, rows[i], queries.BorrowerRolePrimary)
		ids[i] = rows[i].ID
	}
	for month := range months {
		payAll(t, db, rows, month)
	}
	return ids
}

// payAll pays the installment of a month of each loan.
func payAll(t *testing.T, db *testdb.DB, loans []queries.Loan, month int) {
	t.Helper()
	var arg jobs.PostPaymentChunkArgs
	on, err := testdb.Date("2026-02-01").AddMonths(month, 1)
	require.NoError(t, err)
	for _, loan := range loans {
		arg.PaymentIDs = append(arg.PaymentIDs, testdb.Payment(t, db.App, loan, func(p *queries.InsertPaymentParams) {
			p.ReceivedOn = on
		}).ID)
	}
	worker := &jobs.PostPaymentChunk{DB: db.App, Metrics: newMetrics()}
	require.NoError(t, worker.Work(t.Context(), &river.Job[jobs.PostPaymentChunkArgs]{Args: arg}))
}

// disarm switches off every guard and every check of the database, as somebody with the
// rights of its owner can.
func disarm(t *testing.T, db *testdb.DB) {
	t.Helper()
	db.SwitchOffDDLGuards(t)
	_, err := db.Super.Exec(t.Context(), `
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
    WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname);
  END LOOP;
  FOR c IN SELECT oid::regclass AS t FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', c.t);
  END LOOP;
END
$$`)
	require.NoError(t, err)
}

// A tampering is what somebody with the owner's rights does to a loan, and what is found.
type tampering struct {
	name  string
	sql   string // of the loan $1
	kinds []queries.IntegrityKind
}

// The seals catch it, and what else depends on the changed row.
var tamperings = []tampering{
	{
		"one cent", `UPDATE transactions SET principal_cents = principal_cents + 1, interest_income_cents = interest_income_cents - 1
WHERE loan_id = $1 AND seq = 3`,
		[]queries.IntegrityKind{"balance_mismatch", "chain_broken", "payment_split_mismatch", "replay_mismatch"},
	},
	{
		"one day", `UPDATE transactions SET effective_on = effective_on + 1 WHERE loan_id = $1 AND seq = 2`,
		[]queries.IntegrityKind{"chain_broken", "replay_mismatch"},
	},
	{
		"a microsecond", `UPDATE transactions SET posted_at = posted_at + interval '1 microsecond' WHERE loan_id = $1 AND seq = 5`,
		[]queries.IntegrityKind{"chain_broken"},
	},
	{
		"who caused it", `UPDATE transactions SET caused_by = 'user:1' WHERE loan_id = $1 AND seq = 4`,
		[]queries.IntegrityKind{"chain_broken"},
	},
	{
		"a row removed", `DELETE FROM transactions WHERE loan_id = $1 AND seq = 3`,
		[]queries.IntegrityKind{
			"balance_mismatch", "chain_broken", "chain_gap", "payment_without_transactions", "replay_mismatch",
		},
	},
	{
		"the first row removed", `DELETE FROM transactions WHERE loan_id = $1 AND seq = 1`,
		[]queries.IntegrityKind{"balance_mismatch", "chain_broken", "chain_gap"},
	},
	{
		"all rows removed", `DELETE FROM transactions WHERE loan_id = $1`,
		[]queries.IntegrityKind{"balance_mismatch", "chain_cut", "chain_gap", "chain_head", "payment_without_transactions"},
	},
	{
		"one hash", `UPDATE transactions SET hash = sha256(hash) WHERE loan_id = $1 AND seq = 3`,
		[]queries.IntegrityKind{"chain_broken"},
	},
	{
		"a swapped pair", `UPDATE transactions SET seq = -3 WHERE loan_id = $1 AND seq = 3;
UPDATE transactions SET seq = 3 WHERE loan_id = $1 AND seq = 4;
UPDATE transactions SET seq = 4 WHERE loan_id = $1 AND seq = -3`,
		[]queries.IntegrityKind{"chain_broken", "payment_without_transactions", "replay_mismatch"},
	},
	{
		"a removed tail", `DELETE FROM transactions WHERE loan_id = $1 AND seq >= 5`,
		[]queries.IntegrityKind{
			"balance_mismatch", "chain_cut", "chain_gap", "chain_head", "payment_without_transactions", "replay_mismatch",
		},
	},
	{
		"a row added", `INSERT INTO transactions SELECT (jsonb_populate_record(t, jsonb_build_object('seq', 7))).*
FROM transactions t WHERE loan_id = $1 AND seq = 6`,
		[]queries.IntegrityKind{
			"balance_mismatch", "chain_broken", "chain_head", "payment_without_transactions", "replay_mismatch",
		},
	},
	{
		"a cent of the loan", `UPDATE loans SET suspense_cents = suspense_cents + 1 WHERE id = $1`,
		[]queries.IntegrityKind{"balance_mismatch", "replay_mismatch"},
	},
	{
		"the next due date", `UPDATE loans SET next_due_on = next_due_on + 1 WHERE id = $1`,
		[]queries.IntegrityKind{"replay_mismatch"},
	},
	{
		"the status of the loan", `UPDATE loans SET status = 'paid_off' WHERE id = $1`,
		[]queries.IntegrityKind{"replay_mismatch"},
	},
	{
		"the rate of the note", `UPDATE loans SET rate_ppm = rate_ppm - 10 WHERE id = $1`,
		[]queries.IntegrityKind{"loan_terms_changed", "replay_mismatch"},
	},
	{
		"the maturity", `UPDATE loans SET maturity_on = maturity_on + 1 WHERE id = $1`,
		[]queries.IntegrityKind{"loan_terms_changed"},
	},
	{
		"a change of terms that nobody asked for", `UPDATE loans SET terms_changes = '{"waived_late_charges": ["2026-09-01"]}' WHERE id = $1`,
		[]queries.IntegrityKind{"terms_mismatch"},
	},
	{
		"a payment's amount", `UPDATE payments SET amount_cents = amount_cents + 1
WHERE id = (SELECT min(id::text)::uuid FROM payments WHERE loan_id = $1)`,
		[]queries.IntegrityKind{"payment_split_mismatch", "replay_mismatch"},
	},
	{
		"a payment's split", `UPDATE payments SET interest_cents = interest_cents - 1, principal_cents = principal_cents + 1
WHERE id = (SELECT min(id::text)::uuid FROM payments WHERE loan_id = $1)`,
		[]queries.IntegrityKind{"payment_split_mismatch"},
	},
	{
		"a payment that is posted by nobody", `INSERT INTO payments (id, loan_id, status, amount_cents, received_on, channel,
  designation, requested_by, idempotency_key, request_hash, posted_at, suspense_cents, first_seq, last_seq)
VALUES (gen_random_uuid(), $1, 'posted', 100, '2026-06-15', 'ach', 'periodic', 'x', gen_random_uuid()::text, sha256(''),
  now(), 100, 6, 6)`,
		[]queries.IntegrityKind{"payment_without_transactions", "replay_mismatch"},
	},
	{
		"a payment removed", `DELETE FROM payments WHERE id = (SELECT payment_id FROM transactions WHERE loan_id = $1 AND seq = 3)`,
		[]queries.IntegrityKind{"orphan", "replay_mismatch", "transaction_without_payment"},
	},
	{
		"a posted payment that is said to be rejected", `UPDATE payments SET status = 'rejected', reason = 'x'
WHERE id = (SELECT payment_id FROM transactions WHERE loan_id = $1 AND seq = 3)`,
		[]queries.IntegrityKind{"replay_mismatch", "transaction_without_payment"},
	},
	{
		"a byte of a document", `UPDATE documents SET content = set_byte(content, 3, 33) WHERE loan_id = $1`,
		[]queries.IntegrityKind{"document_changed"},
	},
	{
		"a borrower removed", `DELETE FROM borrowers WHERE id = (SELECT borrower_id FROM loan_borrowers WHERE loan_id = $1)`,
		[]queries.IntegrityKind{"orphan"},
	},
	{
		"a loan removed, and nothing of it", `DELETE FROM loans WHERE id = $1`,
		[]queries.IntegrityKind{"loan_missing", "orphan"},
	},
	{
		"an entry of the register changed", `UPDATE loan_register SET name = 'x' WHERE loan_id = $1`,
		[]queries.IntegrityKind{"register_broken"},
	},
}

// named returns what a check found, by loan.
func named(findings []queries.IntegrityFinding) map[int64][]queries.IntegrityKind {
	all := map[int64][]queries.IntegrityKind{}
	for _, f := range findings {
		if f.LoanID == nil {
			continue
		}
		if !slices.Contains(all[*f.LoanID], f.Kind) {
			all[*f.LoanID] = append(all[*f.LoanID], f.Kind)
		}
	}
	for _, kinds := range all {
		slices.Sort(kinds)
	}
	return all
}

// Each tampering is found, of the loan that it was done to, and no other loan is named.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	ids := serviced(t, db, len(tamperings)+5, 5)
	requireInOrder(t, db)
	disarm(t, db)

	want := map[int64][]queries.IntegrityKind{}
	for i, tamper := range tamperings {
		victim := ids[i+2] // With untouched ones before and after.
		for statement := range strings.SplitSeq(tamper.sql, ";\n") {
			tag, err := db.Super.Exec(t.Context(), statement, victim)
			require.NoError(t, err, tamper.name)
			require.NotZero(t, tag.RowsAffected(), tamper.name)
		}
		want[victim] = tamper.kinds
		require.Equal(t, want, named(check(t, db, true).Findings), tamper.name)
		if tamper.name == "the next due date" {
			require.JSONEq(t, `{"state": ["next_due_on"]}`, details(t, db, victim, queries.IntegrityKindReplayMismatch))
		}
	}
}

// details are what an open finding says of a loan.
func details(t *testing.T, db *testdb.DB, loan int64, kind queries.IntegrityKind) (text string) {
	t.Helper()
	err := db.Super.QueryRow(t.Context(), `SELECT details FROM integrity_findings WHERE loan_id = $1 AND kind = $2`,
		loan, kind).Scan(&text)
	require.NoError(t, err)
	return text
}
