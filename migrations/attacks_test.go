package migrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// TestFifteenAttacks is how an incident happens, and what stops it, in one table:
// each attack as who makes it, with the guard's own words. The last is the one that
// nothing in a database stops.
func TestFifteenAttacks(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	portfolio(t, db)
	for range 11 {
		testdb.Loan(t, db.App)
	}
	migrator := db.Pool(t, "loanserve_migrator")
	before := contents(t, db.Super)
	const (
		denied  = "permission denied"
		notHis  = "must be owner"
		removal = "servicing data is never removed"
		tooMany = "it changes more than 10 rows"
		drops   = "it would drop"
		weaker  = "it weakens the guard"
	)
	for i, a := range []struct {
		who  string
		pool querier
		sql  string
		says string
	}{
		{"app", db.App, `DELETE FROM loans`, denied},
		{"app", db.App, `TRUNCATE loans CASCADE`, denied},
		{"app", db.App, `DROP TABLE loans`, notHis},
		{"app", db.App, `ALTER TABLE loans DISABLE TRIGGER refuse_removal`, notHis},
		{"app", db.App, `UPDATE loans SET status = 'archived'`, tooMany},
		{"migrator", migrator, `SET ROLE loanserve_owner; DELETE FROM loans WHERE status = 'active'`, removal},
		{"migrator", migrator, `SET ROLE loanserve_owner; TRUNCATE borrowers CASCADE`, removal},
		{"owner", db.Owner, `ALTER TABLE loans DISABLE TRIGGER refuse_removal; DELETE FROM loans`, weaker},
		{"owner", db.Owner, `DROP TABLE documents CASCADE`, drops},
		{"owner", db.Owner, `ALTER TABLE payments DROP COLUMN reason`, drops},
		{"owner", db.Owner, `DROP TRIGGER refuse_removal ON loans; DELETE FROM loans`, drops},
		{"owner", db.Owner, `ALTER TABLE payments DROP CONSTRAINT payments_loan_id_fkey,
			ADD FOREIGN KEY (loan_id) REFERENCES loans ON DELETE CASCADE`, drops},
		{"superuser", db.Super, `DELETE FROM loans`, removal},
		{"superuser", db.Super, `SET session_replication_role = replica; DELETE FROM payments`, removal},
	} {
		_, err := a.pool.Exec(t.Context(), a.sql)
		require.ErrorContains(t, err, a.says, "attack %d by the %s: %s", i+1, a.who, a.sql)
	}
	require.Equal(t, before, contents(t, db.Super))

	// No foreign key cascades into servicing data: the deletion of a borrower, by whom
	// roles alone do not stop, stops at the guard, with the rights of the owner and all.
	exec(t, db.Super, `GRANT DELETE ON borrowers TO loanserve_app`)
	_, err := db.App.Exec(t.Context(), `DELETE FROM borrowers`)
	require.ErrorContains(t, err, removal)

	// The fifteenth. Only a backup helps, and the drift check tells of it.
	db.SwitchOffDDLGuards(t)
	exec(t, db.Super, `DROP TABLE documents CASCADE`)
}
