package migrations_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/testdb"
)

// wrongRegister lists what is wrong with the register: entries that do not follow, loans
// without one, and entries that do not say what their loan does.
const wrongRegister = `
SELECT format('entry %s of chain %s is broken', entry, chain) FROM broken_register_entries
UNION ALL
SELECT format('entry %s of chain %s is not the last of %s', max(entry), chain, count(*))
FROM loan_register GROUP BY chain HAVING max(entry) <> count(*)
UNION ALL
SELECT format('loan %s: register %s', l.id, r) FROM loans l FULL JOIN loan_register r ON r.loan_id = l.id
LEFT JOIN transactions t ON t.loan_id = l.id AND t.seq = 1
WHERE r.loan_number IS DISTINCT FROM l.loan_number OR r.terms_hash <> loan_terms_hash(l)
  OR r.opening_hash IS DISTINCT FROM t.hash OR r.boarded_at <> l.boarded_at`

func TestEveryBoardingIsRegistered(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	first := testdb.Loan(t, db.App)
	const insert, silently = `INSERT INTO loans `, `SET LOCAL session_replication_role = replica; `
	for _, way := range []string{insert, silently + insert} {
		exec(t, db.Super, way+`OVERRIDING USER VALUE SELECT (jsonb_populate_record(l, jsonb_build_object(
  'loan_number', l.loan_number || '-' || n || '-' || (SELECT count(*) FROM loans), 'idempotency_key', NULL))).*
FROM loans l, generate_series(1, 3) n WHERE l.id = `+one[string](t, db.Super, `SELECT min(id)::text FROM loans`))
	}
	copied := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		testdb.Loan(t, tx)
		testdb.Loan(t, tx)
		return nil
	})
	require.NoError(t, copied)

	require.Empty(t, column[string](t, db.Super, wrongRegister))
	require.Equal(t, int64(9), one[int64](t, db.Super, `SELECT count(*) FROM loan_register`))
	require.Equal(t, 1, one[int](t, db.Super, `SELECT count(*) FROM loan_register WHERE loan_id = $1`, first.ID))
}

func TestBoardingThatRollsBackLeavesNoEntry(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	testdb.Loan(t, db.App)
	tx, err := db.App.Begin(t.Context())
	require.NoError(t, err)
	testdb.Loan(t, tx)
	exec(t, tx, `SET CONSTRAINTS ALL IMMEDIATE`)
	require.Equal(t, int64(2), one[int64](t, tx, `SELECT count(*) FROM loan_register`))
	require.NoError(t, tx.Rollback(t.Context()))
	testdb.Loan(t, db.App)
	require.Empty(t, column[string](t, db.Super, wrongRegister))
	require.Equal(t, int64(2), one[int64](t, db.Super, `SELECT count(*) FROM loan_register`))
}

func TestBoardingsAtOnceAreRegisteredInOrder(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	const clients, each = 8, 25
	var all errgroup.Group
	for range clients {
		all.Go(func() error {
			for range each {
				testdb.Loan(t, db.App)
			}
			return nil
		})
	}
	require.NoError(t, all.Wait())
	require.Empty(t, column[string](t, db.Super, wrongRegister))
	require.Equal(t, int64(clients*each), one[int64](t, db.Super, `SELECT count(*) FROM loan_register`))
}

// A database of the release before has loans, and no register.
func TestEarlierLoansAreRegistered(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	db.SwitchOffDDLGuards(t)
	exec(t, db.Super, `ALTER TABLE loans DISABLE TRIGGER register_boarded_loan`)
	for range 5 {
		testdb.Loan(t, db.App)
	}
	require.NotEmpty(t, column[string](t, db.Super, wrongRegister))
	exec(t, db.Super, `
DROP TABLE loan_register CASCADE;
DROP TRIGGER register_boarded_loan ON loans;
DROP FUNCTION register_loan, register_boarded_loan, loan_terms_hash CASCADE`)
	migration, err := os.ReadFile("00061_loan_register.sql")
	require.NoError(t, err)
	exec(t, db.Owner, string(migration))
	testdb.Loan(t, db.App)
	require.Empty(t, column[string](t, db.Super, wrongRegister))
	require.Equal(t, int64(6), one[int64](t, db.Super, `SELECT count(*) FROM loan_register`))
}

// Whoever gets round the guards is seen.
func TestTamperingWithTheRegisterIsSeen(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	together := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error { // In one chain.
		for range 4 {
			testdb.Loan(t, tx)
		}
		return nil
	})
	require.NoError(t, together)
	db.SwitchOffDDLGuards(t)
	for _, attack := range []string{
		`UPDATE loan_register SET loan_number = 'other' WHERE entry = 2`,
		`UPDATE loan_register SET loan_id = loan_id + 1000 WHERE entry = 4`,
		`UPDATE loan_register SET hash = sha256('') WHERE entry = 1`,
		`DELETE FROM loan_register WHERE entry = 3`,
		`DELETE FROM loan_register WHERE entry = 1`,
		`UPDATE loan_register SET entry = 5 WHERE entry = 4`,
		`INSERT INTO loan_register SELECT chain, 5, 99, 'x', 'x', now(), 'x', terms_hash, NULL, now(), hash FROM loan_register
		 WHERE entry = 4`,
	} {
		tx, err := db.Super.Begin(t.Context())
		require.NoError(t, err)
		exec(t, tx, `ALTER TABLE loan_register DISABLE TRIGGER ALL`)
		exec(t, tx, attack)
		require.NotEmpty(t, column[int64](t, tx, `SELECT entry FROM broken_register_entries`), attack)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}
