package migrations_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// SQLSTATEs that answer an attack.
const (
	restrictViolation     = "23001"
	insufficientPrivilege = "42501"
)

// portfolio stores a row in every servicing table.
func portfolio(t *testing.T, db *testdb.DB) queries.Loan {
	t.Helper()
	loan := testdb.Loan(t, db.App)
	testdb.Borrower(t, db.App, loan, queries.BorrowerRolePrimary)
	testdb.EscrowPayments(t, db.App, testdb.EscrowBill(t, db.App, testdb.EscrowLine(t, db.App, loan)))
	testdb.Document(t, db.App, loan)
	payment := testdb.Payment(t, db.App, loan)
	testdb.Reversal(t, db.App, payment)
	testdb.PaymentBatch(t, db.App, payment)
	testdb.LoanChange(t, db.App, loan)
	testdb.ARMTerms(t, db.App, loan)
	run := testdb.Run(t, db.App)
	testdb.RunChunk(t, db.App, run, loan, loan)
	testdb.RunPurge(t, db.App, run)
	testdb.Integrity(t, db.App, run, loan)
	testdb.Backup(t, db.App)
	testdb.EscrowPolicy(t, db.App)
	analysis := testdb.AnalysisWish(t, db.App, loan)
	testdb.AnalysisMonth(t, db.App, analysis)
	testdb.EscrowStatement(t, db.App, analysis)
	testdb.WebhookRequest(t, db.App)
	for _, table := range servicingTables(t, db.App) {
		require.NotZero(t, one[int](t, db.App, `SELECT count(*) FROM `+table), "%s has no sample row", table)
	}
	return loan
}

// servicingTables returns the tables that hold servicing data: all that are
// not known to be something else.
func servicingTables(t *testing.T, db querier) []string {
	t.Helper()
	return column[string](t, db, servicing+`SELECT name FROM servicing ORDER BY name`)
}

// removals returns every way to lose servicing data with one statement.
func removals(t *testing.T, db querier) []string {
	t.Helper()
	all := []string{
		`UPDATE transactions SET cash_cents = cash_cents`,
		`UPDATE transactions SET rule = 'other' WHERE false`,
		`INSERT INTO transactions SELECT * FROM transactions ON CONFLICT (loan_id, seq) DO UPDATE SET rule = 'other'`,
		`MERGE INTO loans l USING (SELECT 1) x ON true WHEN MATCHED THEN DELETE`,
		`WITH gone AS (DELETE FROM payments RETURNING id) SELECT count(*) FROM gone`,
	}
	for _, table := range servicingTables(t, db) {
		all = append(all,
			`DELETE FROM `+table,
			`DELETE FROM `+table+` WHERE false`,
			`TRUNCATE `+table+` CASCADE`)
	}
	return all
}

// TestRemovalIsRefused attacks as everybody there is: the application by its
// privileges, and by the guards whoever has them.
func TestRemovalIsRefused(t *testing.T) {
	t.Parallel()
	app := func(db *testdb.DB) *pgxpool.Pool { return db.App }
	owner := func(db *testdb.DB) *pgxpool.Pool { return db.Owner }
	super := func(db *testdb.DB) *pgxpool.Pool { return db.Super }
	for name, attacker := range map[string]struct {
		grant string // What somebody granted by mistake.
		pool  func(*testdb.DB) *pgxpool.Pool
		begin string // What the attacker does first.
		code  string
	}{
		"the application": {pool: app, code: insufficientPrivilege},
		"the application with privileges granted by mistake": {
			grant: `GRANT ALL ON ALL TABLES IN SCHEMA public TO loanserve_app`, pool: app, code: restrictViolation,
		},
		"the owner":   {pool: owner, code: restrictViolation},
		"a superuser": {pool: super, code: restrictViolation},
		"a superuser with triggers silenced": {
			pool: super, begin: `SET LOCAL session_replication_role = replica`, code: restrictViolation,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Clone(t)
			portfolio(t, db)
			exec(t, db.Super, attacker.grant)
			before := contents(t, db.Super)

			for _, attack := range removals(t, db.Super) {
				err := pgx.BeginFunc(t.Context(), attacker.pool(db), func(tx pgx.Tx) error {
					exec(t, tx, attacker.begin)
					_, err := tx.Exec(t.Context(), attack)
					return err
				})
				code, hint := state(err)
				require.Equal(t, attacker.code, code, "%s: %v", attack, err)
				if code == restrictViolation {
					require.NotEmpty(t, hint, "%s must say what to do instead", attack)
				}
			}
			require.Equal(t, before, contents(t, db.Super))
		})
	}
}

// TestAuditTrailIsNeverRemoved attacks as whoever has the privilege.
func TestAuditTrailIsNeverRemoved(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	for _, attack := range []string{
		`DELETE FROM auth_events`, `TRUNCATE auth_events`, `TRUNCATE users CASCADE`,
		`SET session_replication_role = replica; DELETE FROM auth_events`,
	} {
		_, err := db.Super.Exec(t.Context(), attack)
		code, hint := state(err)
		require.Equal(t, restrictViolation, code, "%s: %v", attack, err)
		require.NotEmpty(t, hint)
	}
}

// TestHintsSayWhatToDoInstead proves that a guard's hint is its table's own.
func TestHintsSayWhatToDoInstead(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	seen := map[string]string{}
	for _, table := range servicingTables(t, db.Super) {
		_, err := db.Super.Exec(t.Context(), `DELETE FROM `+table)
		_, hint := state(err)
		require.NotContains(t, seen, hint, table)
		seen[hint] = table
	}
}

// TestApplicationChangesOnlyState attacks what the application may not change:
// terms, facts of payments, the ledger, credentials, and the schema.
func TestApplicationChangesOnlyState(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	portfolio(t, db)
	before := contents(t, db.Super)
	for _, attack := range []string{
		`UPDATE loans SET rate_ppm = 0`,
		`UPDATE loans SET principal_and_interest_cents = 1`,
		`UPDATE loans SET original_principal_cents = 1`,
		`UPDATE loans SET escrow_payment_cents = 0`,
		`UPDATE loans SET maturity_on = maturity_on + 1`,
		`UPDATE loans SET due_day = 2`,
		`UPDATE loans SET excess_policy = 'suspense'`,
		`UPDATE loans SET loan_number = 'x', status = 'archived'`,
		`UPDATE loans SET name = 'pasterino'`,
		`UPDATE loans SET property_id = property_id`,
		`UPDATE loans SET boarded_by = 'nobody'`,
		`UPDATE loans SET id = DEFAULT`,
		`UPDATE payments SET amount_cents = 1`,
		`UPDATE payments SET received_on = received_on + 1`,
		`UPDATE payments SET loan_id = loan_id`,
		`UPDATE payments SET idempotency_key = 'x'`,
		`UPDATE payments SET created_at = now()`,
		`UPDATE transactions SET posted_at = now()`,
		`UPDATE payment_reversals SET approval_required = false`,
		`UPDATE payment_reversals SET requested_by = 'nobody'`,
		`UPDATE payment_reversals SET reason = 'stop', note = 'x'`,
		`UPDATE payment_reversals SET reverses = id`,
		`UPDATE payment_batches SET total_cents = 1`,
		`UPDATE payment_batches SET sha256 = sha256('x')`,
		`UPDATE payment_batch_items SET amount_cents = 1`,
		`UPDATE payment_batch_items SET loan_number = 'x'`,
		`UPDATE payment_batch_items SET return_code = 'R01'`,
		`UPDATE borrowers SET full_name = 'x'`,
		`UPDATE properties SET street = 'x'`,
		`UPDATE documents SET title = 'x'`,
		`UPDATE escrow_lines SET loan_id = loan_id`,
		`UPDATE escrow_bills SET due_on = due_on + 1`,
		`UPDATE escrow_bills SET line_id = line_id`,
		`UPDATE escrow_disbursements SET amount_cents = 1`,
		`UPDATE escrow_disbursements SET payee = 'x'`,
		`UPDATE escrow_disbursements SET paid_on = paid_on + 1`,
		`UPDATE escrow_files SET content = 'x'`,
		`UPDATE escrow_payees SET account_number = '1'`,
		`UPDATE escrow_payment_policies SET overdue = 'hold'`,
		`UPDATE escrow_returns SET returned_on = returned_on + 1`,
		`UPDATE escrow_lines SET kind = 'hoa'`,
		`UPDATE escrow_policies SET policy = '{}'`,
		`UPDATE escrow_analyses SET loan_id = loan_id`,
		`UPDATE escrow_analyses SET dry_run = NOT dry_run`,
		`UPDATE escrow_analysis_months SET payment_cents = 1`,
		`UPDATE escrow_statements SET pdf_id = html_id`,
		`UPDATE escrow_statements SET made_at = now()`,
		`UPDATE loan_borrowers SET role = 'co_borrower'`,
		`UPDATE loan_changes SET due_on = due_on + 31`,
		`UPDATE loan_changes SET escrow_payment_cents = 1`,
		`UPDATE arm_terms SET margin_ppm = 1`,
		`UPDATE runs SET as_of_on = as_of_on + 1`,
		`UPDATE runs SET requested_by = 'nobody'`,
		`UPDATE run_chunks SET loans = 1`,
		`INSERT INTO loan_register SELECT * FROM loan_register`,
		`UPDATE loan_register SET loan_id = 0`,
		`UPDATE register_anchors SET hash = sha256('x')`,
		`UPDATE integrity_anchors SET hash = sha256('x')`,
		`UPDATE integrity_findings SET first_seen_at = now()`,
		`UPDATE integrity_checks SET complete = false`,
		`SELECT register_loan(l) FROM loans l`,
		`UPDATE backups SET kind = 'logical'`,
		`UPDATE backups SET requested_by = 'nobody'`,
		`UPDATE api_tokens SET scopes = '{admin}'`,
		`UPDATE api_tokens SET token_hash = sha256('x')`,
		`UPDATE api_tokens SET cidrs = '{}'`,
		`DELETE FROM api_tokens`,
		`UPDATE users SET name = 'x'`,
		`UPDATE sessions SET user_id = user_id`,
		`UPDATE sessions SET expires_at = expires_at + interval '1 day'`,
		`UPDATE user_roles SET role_id = 5`,
		`INSERT INTO roles (id, name) VALUES (6, 'root')`,
		`UPDATE login_attempts SET attempted_at = now() - interval '1 day'`,
		`UPDATE auth_events SET actor = 'x'`,
		`DELETE FROM auth_events`,
		`UPDATE principals SET name = 'x'`,
		`UPDATE schema_migrations SET sha256 = 'x'`,
		`INSERT INTO schema_migrations (version, name, sha256) VALUES (99999, 'x', 'x')`,
		`DELETE FROM schema_migrations`,
		`ALTER TABLE loans DISABLE TRIGGER ALL`,
		`ALTER TABLE loans DISABLE TRIGGER refuse_removal`,
		`DROP TRIGGER refuse_removal ON loans`,
		`CREATE OR REPLACE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
		`CREATE TRIGGER aside BEFORE DELETE ON loans FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal('x')`,
		`ALTER TABLE payments DROP COLUMN reason`,
		`DROP TABLE documents`,
		`CREATE TABLE aside ()`,
		`CREATE SCHEMA aside`,
		`SET session_replication_role = replica`,
	} {
		_, err := db.App.Exec(t.Context(), attack)
		code, _ := state(err)
		require.Equal(t, insufficientPrivilege, code, "%s: %v", attack, err)
	}
	require.Equal(t, before, contents(t, db.Super))
}

// TestOthersOnlyRead attacks as the roles that look and that back up.
func TestOthersOnlyRead(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := portfolio(t, db)
	for _, role := range []string{testdb.RoleReadonly, testdb.RoleBackup} {
		pool := db.Pool(t, role)
		require.Equal(t, loan.ID, one[int64](t, pool, `SELECT id FROM loans`))
		for _, attack := range slices.Concat(removals(t, db.Super), []string{
			`UPDATE loans SET status = 'archived'`,
			`INSERT INTO borrowers (full_name) VALUES ('x')`,
			`DELETE FROM river.river_job`,
		}) {
			_, err := pool.Exec(t.Context(), attack)
			code, _ := state(err)
			require.Equal(t, insufficientPrivilege, code, "%s as %s: %v", attack, role, err)
		}
	}
	for _, secret := range []string{
		`SELECT token_hash FROM api_tokens`, `SELECT token_hash FROM sessions`, `SELECT password_hash FROM users`,
		`SELECT * FROM password_resets`,
	} {
		_, err := db.Pool(t, testdb.RoleReadonly).Exec(t.Context(), secret)
		code, _ := state(err)
		require.Equal(t, insufficientPrivilege, code, "a reader sees no credentials: %s", secret)
	}
}
