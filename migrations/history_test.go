package migrations_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

func TestHistoryKeepsWhatWasChanged(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	conn, err := db.App.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	exec(t, conn, `SET application_name = 'night shift'`)
	before := one[string](t, db.Super, `SELECT to_jsonb(l)::text FROM loans l`)
	xid := one[string](t, conn, `
WITH changed AS (UPDATE loans SET status = 'archived' WHERE id = $1 RETURNING id)
SELECT pg_current_xact_id()::text FROM changed`, loan.ID)
	require.Equal(t, []string{fmt.Sprintf(`UPDATE {"id": %d} by night shift as loanserve_app`, loan.ID)},
		column[string](t, db.Super, `
SELECT format('%s %s by %s as %s', operation, primary_key, application, role) FROM history
WHERE relation = 'loans' AND xid = $1::text::xid8`, xid))
	kept := one[string](t, db.Super, `SELECT old_row::text FROM history WHERE xid = $1::text::xid8`, xid)
	require.JSONEq(t, before, kept)

	for _, attack := range []string{`SELECT count(*) FROM history`, `INSERT INTO history DEFAULT VALUES`} {
		_, err := db.App.Exec(t.Context(), attack)
		code, _ := state(err)
		require.Equal(t, insufficientPrivilege, code, "it holds credentials: %s", attack)
	}
	part := one[string](t, db.Super, `SELECT tableoid::regclass::text FROM history LIMIT 1`)
	require.Contains(t, part, "history_parts.history_p")
	for _, table := range []string{"history", part} {
		for _, attack := range []string{`DELETE FROM `, `TRUNCATE `} {
			_, err := db.Super.Exec(t.Context(), attack+table)
			code, _ := state(err)
			require.Equal(t, restrictViolation, code, attack+table)
		}
	}
}

const addUser = `
INSERT INTO users (name, full_name, password_hash) VALUES ($1, 'x', '$argon2id$v=19$m=1,t=1,p=1$a$a')`

// setGuards enables or disables the triggers that refuse to remove the tables' rows.
func setGuards(t *testing.T, db querier, tables []string, state string) {
	t.Helper()
	for _, table := range tables {
		for _, guard := range column[string](t, db, `SELECT tgname::text FROM pg_trigger WHERE tgrelid = $1::text::regclass
			AND tgfoid IN ('refuse_removal'::regproc, 'refuse_rewriting'::regproc)`, table) {
			exec(t, db, `ALTER TABLE `+table+` `+state+` TRIGGER `+guard)
		}
	}
}

// disaster deletes a whole portfolio by one transaction, as somebody does who has
// removed the guards, and returns the transaction. The order is found by trying.
func disaster(t *testing.T, db *testdb.DB) (xid string) {
	t.Helper()
	db.SwitchOffDDLGuards(t)
	tables := servicingTables(t, db.Super)
	setGuards(t, db.Super, tables, "DISABLE")
	err := pgx.BeginFunc(t.Context(), db.Super, func(tx pgx.Tx) error {
		exec(t, tx, `SET LOCAL loanserve.max_rows = '1000'`)
		for waiting := tables; len(waiting) > 0; {
			var left []string
			for _, table := range waiting {
				err := pgx.BeginFunc(t.Context(), tx, func(savepoint pgx.Tx) error {
					_, err := savepoint.Exec(t.Context(), `DELETE FROM `+table)
					return err
				})
				if err != nil {
					left = append(left, table)
				}
			}
			require.Less(t, len(left), len(waiting), "%v", left)
			waiting = left
		}
		xid = one[string](t, tx, `SELECT pg_current_xact_id()::text`)
		return nil
	})
	require.NoError(t, err)
	setGuards(t, db.Super, tables, "ENABLE ALWAYS")
	return xid
}

// books are all tables but those that tell of the undoing.
func books(t *testing.T, db querier) map[string]string {
	t.Helper()
	all := contents(t, db)
	for _, table := range []string{"public.history", "public.undeletes", "public.auth_events"} {
		delete(all, table)
	}
	return all
}

// TestUndeletePutsEverythingBack deletes every row of servicing data, and has it back
// to the byte.
func TestUndeletePutsEverythingBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	portfolio(t, db)
	before := books(t, db.Super)
	xid := disaster(t, db)
	require.Zero(t, one[int](t, db.Super, `SELECT count(*) FROM loans`))

	steps, err := queries.New(db.Owner).InsertDeleted(t.Context(), xid)
	require.NoError(t, err)
	require.NotEmpty(t, steps)
	require.Equal(t, before, books(t, db.Super))

	steps, err = queries.New(db.Owner).InsertDeleted(t.Context(), xid)
	require.NoError(t, err)
	require.Empty(t, steps, "the second time does nothing")
	require.Equal(t, before, books(t, db.Super))
}

// TestUndeleteKeepsWhatCameLater deletes a user, whom references let go, and writes on:
// what nobody touched is as it was, what was written later stays.
func TestUndeleteKeepsWhatCameLater(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	exec(t, db.Super, `
INSERT INTO users (name, full_name, password_hash)
  SELECT name, name, '$argon2id$v=19$m=1,t=1,p=1$a$a' FROM unnest('{ann,ben,cid}'::text[]) name;
INSERT INTO user_roles (user_id, role_id, assigned_by, assigned_by_name)
  SELECT u.id, role_id, (SELECT id FROM users WHERE name = 'ann'), 'ann'
  FROM (VALUES ('ben', 1), ('ben', 4), ('ann', 5)) r (name, role_id) JOIN users u USING (name)`)
	xid := one[string](t, db.App, `
WITH gone AS (DELETE FROM users WHERE name = 'ann' RETURNING id) SELECT pg_current_xact_id()::text FROM gone`)
	require.Equal(t, 2, one[int](t, db.Super, `SELECT count(*) FROM user_roles WHERE assigned_by IS NULL`))
	// Later: one of the two is given anew, by somebody else, and a user comes.
	exec(t, db.Super, `UPDATE user_roles SET assigned_by = (SELECT id FROM users WHERE name = 'cid') WHERE role_id = 4`)
	exec(t, db.Super, addUser, "dan")

	steps, err := queries.New(db.Owner).InsertDeleted(t.Context(), xid)
	require.NoError(t, err)
	require.Equal(t, []string{
		"insert 1 rows into users", "insert 1 rows into user_roles", "set assigned_by of 1 rows of user_roles as it was",
	}, steps)
	require.Equal(t, []string{"ann 5 ann", "ben 1 ann", "ben 4 cid"}, column[string](t, db.Super, `
SELECT format('%s %s %s', u.name, role_id, a.name) FROM user_roles r
JOIN users u ON u.id = r.user_id JOIN users a ON a.id = assigned_by ORDER BY 1`))
	require.Equal(t, 4, one[int](t, db.Super, `SELECT count(*) FROM users`))
}

// TestUndeleteRefuses proves that it changes nothing where it cannot do all, and who
// may call it.
func TestUndeleteRefuses(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	user := func(name string) {
		exec(t, db.Super, addUser, name)
	}
	user("ann")
	xid := one[string](t, db.App, `
WITH gone AS (DELETE FROM users WHERE name = 'ann' RETURNING id) SELECT pg_current_xact_id()::text FROM gone`)
	user("ann") // Another one, of the same name.

	_, err := queries.New(db.Owner).InsertDeleted(t.Context(), xid)
	code, hint := state(err)
	require.Equal(t, restrictViolation, code, err)
	require.ErrorContains(t, err, "users_name_key")
	require.NotEmpty(t, hint)
	require.Equal(t, 1, one[int](t, db.Super, `SELECT count(*) FROM users`))

	_, err = queries.New(db.Owner).InsertDeleted(t.Context(), "1")
	require.ErrorContains(t, err, "the history knows no row that transaction 1 deleted")
	_, err = queries.New(db.App).InsertDeleted(t.Context(), xid)
	code, _ = state(err)
	require.Equal(t, insufficientPrivilege, code)
}
