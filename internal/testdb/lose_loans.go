package testdb

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// loseLoans deletes loans with all that hangs on them, in an order that the foreign
// keys allow, and then borrowers and properties that have no loan any more.
const loseLoans = `
DELETE FROM escrow_returns WHERE disbursement_id IN (SELECT id FROM escrow_disbursements WHERE loan_id = ANY (lost));
DELETE FROM escrow_statements WHERE loan_id = ANY (lost);
DELETE FROM escrow_disbursements WHERE loan_id = ANY (lost);
DELETE FROM escrow_bills WHERE loan_id = ANY (lost);
DELETE FROM escrow_analysis_months WHERE analysis_id IN (SELECT id FROM escrow_analyses WHERE loan_id = ANY (lost));
DELETE FROM escrow_analyses WHERE loan_id = ANY (lost);
DELETE FROM escrow_lines WHERE loan_id = ANY (lost);
DELETE FROM documents WHERE loan_id = ANY (lost);
DELETE FROM payment_batch_items WHERE loan_id = ANY (lost);
DELETE FROM transactions WHERE loan_id = ANY (lost);
DELETE FROM payment_reversals WHERE payment_id IN (SELECT id FROM payments WHERE loan_id = ANY (lost));
DELETE FROM payments WHERE loan_id = ANY (lost);
DELETE FROM loan_changes WHERE loan_id = ANY (lost);
DELETE FROM arm_terms WHERE loan_id = ANY (lost);
DELETE FROM loan_borrowers WHERE loan_id = ANY (lost);
DELETE FROM loans WHERE id = ANY (lost);
DELETE FROM borrowers WHERE NOT EXISTS (SELECT FROM loan_borrowers b WHERE b.borrower_id = borrowers.id);
DELETE FROM properties WHERE NOT EXISTS (SELECT FROM loans l WHERE l.property_id = properties.id);
`

// LoseLoans does to a database what nobody may: as a superuser who disables the event
// triggers and the guards of all tables, it deletes loans with all that hangs on them,
// in one transaction, and leaves the guards off. It returns the transaction.
func LoseLoans(t testing.TB, super Beginner, ids ...int64) (xid string) {
	t.Helper()
	ctx := t.Context()
	err := pgx.BeginFunc(ctx, super, func(tx pgx.Tx) error {
		for _, sql := range []string{setDDLGuards("DISABLE"), SetGuards("DISABLE")} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = pgx.BeginFunc(ctx, super, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL loanserve.max_rows = '1000000'`); err != nil {
				return err
			}
			for statement := range strings.SplitSeq(strings.TrimSpace(loseLoans), "\n") {
				// Parameters take one statement at a time.
				args := []any{ids}
				if !strings.Contains(statement, "lost") {
					args = nil
				}
				if _, err := tx.Exec(ctx, strings.ReplaceAll(statement, "(lost)", "($1::bigint[])"), args...); err != nil {
					return err
				}
			}
			return tx.QueryRow(ctx, `SELECT pg_current_xact_id()::text`).Scan(&xid)
		})
	}
	if err != nil {
		t.Fatalf("testdb: lose loans: %v", err)
	}
	return xid
}

// SetGuards is a statement that disables or enables (ENABLE ALWAYS) the triggers that
// refuse to remove and to rewrite, of all tables. It takes a superuser who has disabled
// the event triggers.
func SetGuards(state string) string {
	return `
DO $$
DECLARE
  guard record;
BEGIN
  FOR guard IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger
    WHERE tgfoid IN ('refuse_removal'::regproc, 'refuse_rewriting'::regproc) LOOP
    EXECUTE format('ALTER TABLE %s ` + state + ` TRIGGER %I', guard.name, guard.tgname);
  END LOOP;
END
$$`
}
