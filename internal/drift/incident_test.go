package drift_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// TestOtherShapes rebuilds databases whose access tables have shapes that code and
// migrations of another time expected: other columns, the same column under another
// name, and types and columns that were made twice.
func TestOtherShapes(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	expected := expect(t, db.Super)
	db.SwitchOffDDLGuards(t)
	already := messages(check(t, db.Super, expected)) // What had to be switched off to plant anything.
	for name, s := range map[string]struct {          //nolint:paralleltest // They lock the same tables.
		sql   string
		found []string
	}{
		"roles with timestamps in place of an assignment": {
			`ALTER TABLE user_roles DROP COLUMN assigned_by_name, DROP COLUMN assigned_by,
				ADD COLUMN id bigserial, ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
			ALTER TABLE user_roles RENAME COLUMN assigned_at TO created_at`,
			[]string{
				// Two columns could be the one that is missing, so that nothing is guessed.
				"column user_roles.assigned_at is missing", "column user_roles.assigned_by is missing",
				"column user_roles.assigned_by_name is missing", "column user_roles.created_at is not of this program",
				"column user_roles.id is not of this program", "column user_roles.updated_at is not of this program",
			},
		},
		"an address under another name": {
			`ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address`,
			[]string{"column user_ip_allowlist.ip is missing; found ip_address"},
		},
		"an address under another name and as text": {
			`ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address;
			ALTER TABLE user_ip_allowlist ALTER ip_address TYPE text`,
			[]string{
				"column user_ip_allowlist.ip is missing; found ip_address, and that has changed: type: expected «cidr», found «text»",
			},
		},
		"sessions of a store of key and value": {
			`DROP TABLE sessions; CREATE TABLE sessions (sid text PRIMARY KEY, sess jsonb NOT NULL, expire timestamptz NOT NULL);
			ALTER TABLE sessions OWNER TO loanserve_owner; CREATE INDEX sessions_expire_idx ON sessions (expire)`,
			[]string{
				"column sessions.created_at is missing", "column sessions.id is missing", "column sessions.ip is missing",
				"column sessions.last_seen_at is missing", "column sessions.revoked_at is missing",
				"column sessions.token_hash is missing", "column sessions.user_agent is missing",
				"column sessions.user_id is missing", "column sessions.expires_at is missing; found expire",
				"column sessions.sid is not of this program", "column sessions.sess is not of this program",
				"index sessions_expires_at_idx of sessions is missing; found sessions_expire_idx",
				"constraint sessions_pkey of sessions has changed: definition: expected «PRIMARY KEY (id)», found «PRIMARY KEY (sid)»",
				"table sessions has changed: options: expected «fillfactor=90», found none",
				"loanserve_app lacks DELETE, INSERT, SELECT on table sessions", "loanserve_backup lacks SELECT on table sessions",
				"loanserve_readonly lacks SELECT (expires_at)",
			},
		},
		"sessions by other names": {
			`ALTER TABLE sessions RENAME COLUMN token_hash TO token; ALTER TABLE sessions RENAME COLUMN expires_at TO expires`,
			[]string{
				"column sessions.token_hash is missing; found token",
				"column sessions.expires_at is missing; found expires",
			},
		},
		"sessions without their user": {
			`ALTER TABLE sessions ALTER user_id DROP NOT NULL, DROP CONSTRAINT sessions_user_id_fkey`,
			[]string{
				"column sessions.user_id has changed: not null",
				"constraint sessions_user_id_fkey of sessions is missing",
			},
		},
		"types and columns made twice": {
			`CREATE TYPE payment_status_enum AS ENUM ('received', 'posted', 'rejected');
			CREATE TYPE run_status_1 AS ENUM ('requested', 'running', 'finished', 'failed');
			ALTER TABLE loans ADD COLUMN status_1 loan_status; ALTER TABLE users ADD COLUMN full_name_2 text`,
			[]string{
				"type payment_status_enum is a duplicate of payment_status", "type run_status_1 is a duplicate of run_status",
				"column loans.status_1 is a duplicate of loans.status", "column users.full_name_2 is a duplicate of users.full_name",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := db.Super.Begin(t.Context())
			require.NoError(t, err)
			defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
			_, err = tx.Exec(t.Context(), s.sql)
			require.NoError(t, err)
			findings := besides(check(t, tx, expected), already)
			requireMessages(t, s.found, findings)
			mend(t, tx, findings)
			require.Empty(t, besides(check(t, tx, expected), already))
		})
	}
}
