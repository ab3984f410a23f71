package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// TestRowsPerStatementAreLimited changes eleven rows where ten are allowed, in each
// way there is, as everybody.
func TestRowsPerStatementAreLimited(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	for range 11 {
		testdb.Loan(t, db.App)
	}
	before := contents(t, db.Super)
	for _, sql := range []string{
		`UPDATE loans SET status = 'archived'`,
		`WITH x AS (UPDATE loans SET status = 'archived' RETURNING id) SELECT count(*) FROM x`,
		`MERGE INTO loans l USING (SELECT 1) x ON true WHEN MATCHED THEN UPDATE SET status = 'archived'`,
		`UPDATE loans SET status = status`,
	} {
		for _, pool := range []querier{db.App, db.Owner, db.Super} {
			_, err := pool.Exec(t.Context(), sql)
			code, hint := state(err)
			require.Equal(t, restrictViolation, code, "%s: %v", sql, err)
			require.ErrorContains(t, err, "UPDATE on loans is refused: it changes more than 10 rows")
			require.Contains(t, hint, "loanserve.max_rows")
		}
		_, err := db.Super.Exec(t.Context(), `SET session_replication_role = replica; `+sql)
		code, _ := state(err)
		require.Equal(t, restrictViolation, code, err)
	}
	require.Equal(t, before, contents(t, db.Super))

	exec(t, db.App, `UPDATE loans SET status = status WHERE id IN (SELECT id FROM loans LIMIT 10)`)
	exec(t, db.App, `INSERT INTO borrowers (full_name) SELECT 'x' FROM generate_series(1, 100)`)
}

// TestLimitOfRowsIsRaised proves that the limit is raised to what is said, and for the
// transaction alone, also on the connection that has raised it before.
func TestLimitOfRowsIsRaised(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	for range 12 {
		testdb.Loan(t, db.App)
	}
	conn, err := db.App.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	raised := func(rows, sql string) error {
		return pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			require.NoError(t, queries.New(tx).SetMaxRows(t.Context(), rows))
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
	}
	const all = `UPDATE loans SET status = status`
	require.Error(t, raised("11", all))
	require.NoError(t, raised("12", all))
	_, err = conn.Exec(t.Context(), all)
	require.Error(t, err)
}

// TestUsersAreLimited deletes people without a condition.
func TestUsersAreLimited(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	exec(t, db.Super, `INSERT INTO users (name, full_name, password_hash)
SELECT 'user' || n, 'x', '$argon2id$v=19$m=1,t=1,p=1$a$a' FROM generate_series(1, 11) n`)
	_, err := db.App.Exec(t.Context(), `DELETE FROM users`)
	require.ErrorContains(t, err, "DELETE on users is refused: it changes more than 10 rows")
	exec(t, db.App, `DELETE FROM users WHERE name = 'user1'`)
}
