package migrations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// servicing begins a query about the tables that hold servicing data. A new
// table is one of them, with all that follows, unless it is named here.
const servicing = `
WITH servicing AS (
  SELECT oid, relname AS name FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND relname NOT IN ('schema_migrations', 'schema_requirements', 'api_tokens', 'users', 'roles', 'user_roles',
      'user_ip_allowlist', 'sessions', 'password_resets', 'login_attempts', 'login_attempt_counts', 'auth_events',
      'history', 'undeletes', 'webhook_secrets', 'webhook_messages', 'webhook_deliveries')
)`

// check is a rule of the schema: a query over the catalog that names every
// violation, and statements that each plant one.
type check struct {
	query  string
	plants []plant
}

// plant is a violation and a part of the line that must name it.
type plant struct{ sql, named string }

// TestSchema looks at the catalog and not at the files, so that it sees what
// all migrations together have made. Each rule is also proven to find what
// breaks it: a checker that looks at nothing reports nothing.
func TestSchema(t *testing.T) {
	t.Parallel()
	for name, c := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, column[string](t, testdb.Tx(t), c.query))

			db := testdb.Clone(t)
			db.SwitchOffDDLGuards(t)
			require.NotEmpty(t, c.plants)
			for _, p := range c.plants {
				tx, err := db.Super.Begin(t.Context())
				require.NoError(t, err)
				exec(t, tx, p.sql)
				found := strings.Join(column[string](t, tx, c.query), "\n")
				require.Contains(t, found, p.named, p.sql)
				require.NoError(t, tx.Rollback(t.Context()))
			}
		})
	}
}

var checks = map[string]check{
	"every foreign key states its delete rule": {
		query: `
SELECT format('%s of %s says nothing of ON DELETE', conname, conrelid::regclass)
FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'a' AND connamespace = 'public'::regnamespace`,
		plants: []plant{
			{`CREATE TABLE fees (loan_id bigint PRIMARY KEY REFERENCES loans)`, "fees_loan_id_fkey"},
			{`CREATE TABLE fees (loan_id bigint PRIMARY KEY REFERENCES loans ON DELETE NO ACTION)`, "fees_loan_id_fkey"},
		},
	},

	"no foreign key changes or removes servicing data": {
		query: servicing + `
SELECT format('%s of %s is %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE contype = 'f' AND (conrelid IN (SELECT oid FROM servicing) OR confrelid IN (SELECT oid FROM servicing))
  AND (confdeltype <> 'r' OR confupdtype NOT IN ('a', 'r'))`,
		plants: []plant{
			{
				`ALTER TABLE payments DROP CONSTRAINT payments_loan_id_fkey,
			  ADD CONSTRAINT payments_loan_id_fkey FOREIGN KEY (loan_id) REFERENCES loans ON DELETE CASCADE`,
				"payments_loan_id_fkey",
			},
			{
				`ALTER TABLE documents ADD borrower_id bigint REFERENCES borrowers ON DELETE SET NULL`,
				"documents_borrower_id_fkey",
			},
			{
				`ALTER TABLE documents ADD borrower_id bigint DEFAULT 1 REFERENCES borrowers ON DELETE SET DEFAULT`,
				"documents_borrower_id_fkey",
			},
			{`ALTER TABLE loans ADD owner_id bigint REFERENCES api_tokens ON DELETE CASCADE`, "loans_owner_id_fkey"},
			{`ALTER TABLE payments ADD user_id bigint REFERENCES users ON DELETE CASCADE`, "payments_user_id_fkey"},
			{`ALTER TABLE payments ADD user_id bigint REFERENCES users ON DELETE SET NULL`, "payments_user_id_fkey"},
			{`CREATE TABLE api_notes (loan_id bigint PRIMARY KEY REFERENCES loans ON DELETE CASCADE)`, "api_notes_loan_id_fkey"},
			{`CREATE TABLE river.notes (loan_id bigint PRIMARY KEY REFERENCES loans ON DELETE CASCADE)`, "notes_loan_id_fkey"},
			{
				`ALTER TABLE documents ADD borrower_id bigint REFERENCES borrowers ON DELETE RESTRICT ON UPDATE CASCADE`,
				"documents_borrower_id_fkey",
			},
		},
	},

	// Whatever a key cascades to can be cascaded from: the whole way is walked.
	"no deletion reaches servicing data by any way": {
		query: `
WITH RECURSIVE ` + strings.TrimPrefix(servicing, "\nWITH ") + `,
reach (start, oid, way) AS (
  SELECT confrelid, conrelid, format('%s -> %s', confrelid::regclass, conrelid::regclass)
  FROM pg_constraint WHERE contype = 'f' AND confdeltype NOT IN ('a', 'r') AND conrelid <> confrelid
  UNION
  SELECT r.start, c.conrelid, format('%s -> %s', r.way, c.conrelid::regclass)
  FROM reach r JOIN pg_constraint c ON c.confrelid = r.oid
  WHERE c.contype = 'f' AND c.confdeltype NOT IN ('a', 'r') AND strpos(r.way, c.conrelid::regclass::text) = 0
)
SELECT way FROM reach WHERE oid IN (SELECT oid FROM servicing)`,
		plants: []plant{
			{`ALTER TABLE payments ADD user_id bigint REFERENCES users ON DELETE CASCADE`, "users -> payments"},
			{
				`CREATE TABLE teams (id bigint PRIMARY KEY);
			  ALTER TABLE users ADD team_id bigint REFERENCES teams ON DELETE CASCADE;
			  ALTER TABLE api_tokens ADD second_user_id bigint REFERENCES users ON DELETE CASCADE;
			  ALTER TABLE loans ADD token_id bigint REFERENCES api_tokens ON DELETE SET NULL`,
				"teams -> users -> api_tokens -> loans",
			},
		},
	},

	"what belongs to a user goes with him, and what tells of him stays": {
		query: `
WITH wanted (name, rule) AS (VALUES
  ('user_roles_user_id_fkey', 'c'), ('user_roles_assigned_by_fkey', 'n'), ('user_ip_allowlist_user_id_fkey', 'c'),
  ('sessions_user_id_fkey', 'c'), ('password_resets_user_id_fkey', 'c'), ('api_tokens_user_id_fkey', 'c'),
  ('login_attempts_user_id_fkey', 'n'), ('auth_events_actor_user_id_fkey', 'n'),
  ('auth_events_target_user_id_fkey', 'n'))
SELECT format('%s: %s', coalesce(w.name, conname), pg_get_constraintdef(c.oid))
FROM wanted w FULL JOIN (SELECT * FROM pg_constraint WHERE contype = 'f' AND confrelid = 'users'::regclass) c
  ON conname = w.name
WHERE confdeltype IS DISTINCT FROM rule::"char"`,
		plants: []plant{
			{
				`ALTER TABLE login_attempts DROP CONSTRAINT login_attempts_user_id_fkey,
			  ADD CONSTRAINT login_attempts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE`,
				"login_attempts_user_id_fkey",
			},
			{`ALTER TABLE auth_events DROP CONSTRAINT auth_events_target_user_id_fkey`, "auth_events_target_user_id_fkey"},
			{`CREATE TABLE notes (id bigint PRIMARY KEY, user_id bigint REFERENCES users)`, "notes_user_id_fkey"},
		},
	},

	// A partial index serves where it leaves out only rows without a reference.
	"every foreign key has an index": {
		query: `
SELECT format('%s of %s has no index', conname, conrelid::regclass)
FROM pg_constraint c
WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
  SELECT FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_am ON pg_am.oid = x.relam AND amname = 'btree'
  WHERE i.indrelid = c.conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(c.conkey)
    AND (SELECT array_agg(k ORDER BY k) FROM unnest((i.indkey::int2[])[0:cardinality(c.conkey) - 1]) k)
      = (SELECT array_agg(k ORDER BY k) FROM unnest(c.conkey) k)
    AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) IN (
      SELECT format('(%I IS NOT NULL)', attname) FROM pg_attribute
      WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey)))
)`,
		plants: []plant{
			{`DROP INDEX payments_loan_id_idx, payments_external_ref_idx`, "payments_loan_id_fkey"},
			{`DROP INDEX transactions_payment_id_idx;
			  CREATE INDEX ON transactions (payment_id) WHERE seq > 1`, "transactions_payment_id_fkey"},
			{`DROP INDEX documents_loan_id_idx; CREATE INDEX ON documents (kind, loan_id)`, "documents_loan_id_fkey"},
			{`DROP INDEX documents_loan_id_idx; CREATE INDEX ON documents (kind) INCLUDE (loan_id)`, "documents_loan_id_fkey"},
			{`DROP INDEX transactions_reverses_idx`, "transactions_loan_id_reverses_fkey"},
		},
	},

	"every table has a primary key": {
		query: `
SELECT format('%s has no primary key', c.oid::regclass) FROM pg_class c
WHERE relkind IN ('r', 'p') AND relnamespace IN ('public'::regnamespace, 'river'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p')`,
		plants: []plant{
			{`CREATE TABLE fees (id bigint UNIQUE)`, "fees"},
			{`ALTER TABLE river.river_queue DROP CONSTRAINT river_queue_pkey`, "river.river_queue"},
		},
	},

	// Names carry units: in tables and in views, and both ways for days and instants.
	"columns have the types their names say": {
		query: `
WITH units (suffix, type) AS (
  VALUES ('_cents', 'bigint'), ('_ppm', 'bigint'), ('_on', 'date'), ('_at', 'timestamp with time zone')
)
SELECT format('%s.%s is %s', attrelid::regclass, attname, format_type(atttypid, NULL))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
  AND (EXISTS (SELECT FROM units WHERE right(attname, length(suffix)) = suffix AND format_type(atttypid, NULL) <> type)
    OR format_type(atttypid, NULL) = 'date' AND right(attname, 3) <> '_on'
    OR format_type(atttypid, NULL) = 'timestamp with time zone' AND right(attname, 3) <> '_at')`,
		plants: []plant{
			{`ALTER TABLE escrow_lines ALTER amount_cents TYPE numeric`, "escrow_lines.amount_cents is numeric"},
			{`ALTER TABLE escrow_lines ALTER amount_cents TYPE integer`, "escrow_lines.amount_cents is integer"},
			{`ALTER TABLE loans ADD margin_ppm integer`, "loans.margin_ppm"},
			{`ALTER TABLE loans ADD sold_on timestamptz`, "loans.sold_on"},
			{`ALTER TABLE loans ADD sold_at timestamp`, "loans.sold_at is timestamp without time zone"},
			{`ALTER TABLE loans ADD sold date`, "loans.sold is date"},
			{`ALTER TABLE loans ADD sold timestamptz`, "loans.sold"},
			{`CREATE VIEW held AS SELECT sum(escrow_cents) AS escrow_cents FROM loans`, "held.escrow_cents is numeric"},
		},
	},

	"no column holds money or time inexactly": {
		query: `
SELECT format('%s.%s is %s', attrelid::regclass, attname, format_type(atttypid, atttypmod))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_type y ON y.oid = atttypid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
  AND ARRAY[atttypid, y.typelem, y.typbasetype]
    && ARRAY['float4', 'float8', 'money', 'timestamp', 'timetz']::regtype[]::oid[]`,
		plants: []plant{
			{`ALTER TABLE loans ADD margin double precision`, "loans.margin"},
			{`ALTER TABLE loans ADD margin real`, "loans.margin"},
			{`ALTER TABLE loans ADD margin money`, "loans.margin"},
			{`ALTER TABLE loans ADD margin double precision[]`, "loans.margin"},
			{`CREATE DOMAIN ratio AS real; ALTER TABLE loans ADD margin ratio`, "loans.margin"},
			{`CREATE VIEW held AS SELECT avg(escrow_cents)::float8 AS mean FROM loans`, "held.mean"},
		},
	},

	"nothing is granted to everybody": {
		query: `
SELECT format('%s: %s', c.oid::regclass, privilege_type) FROM pg_class c, aclexplode(relacl)
WHERE grantee = 0 AND relnamespace IN ('public'::regnamespace, 'river'::regnamespace)
UNION ALL
SELECT format('%s.%s: %s', attrelid::regclass, attname, privilege_type)
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl)
WHERE grantee = 0 AND relnamespace IN ('public'::regnamespace, 'river'::regnamespace)
UNION ALL
SELECT format('schema %s: %s', nspname, privilege_type) FROM pg_namespace, aclexplode(nspacl)
WHERE grantee = 0 AND (nspname = 'river' OR nspname = 'public' AND privilege_type = 'CREATE')`,
		plants: []plant{
			{`GRANT SELECT ON loans TO PUBLIC`, "loans: SELECT"},
			{`GRANT UPDATE (status) ON loans TO PUBLIC`, "loans.status: UPDATE"},
			{`GRANT INSERT ON river.river_job TO PUBLIC`, "river.river_job: INSERT"},
			{`GRANT SELECT ON trial_balance TO PUBLIC`, "trial_balance: SELECT"},
			{`GRANT CREATE ON SCHEMA public TO PUBLIC`, "schema public: CREATE"},
		},
	},

	// tgtype: 1 row, 2 before, 8 delete, 16 update, 32 truncate.
	"every servicing table has its guards, always": {
		query: servicing + `
SELECT format('%s is not guarded against %s', name, event)
FROM servicing s, (VALUES ('DELETE', 8), ('UPDATE', 16), ('TRUNCATE', 32)) events (event, bit)
WHERE (event <> 'UPDATE' OR name = 'transactions') AND NOT EXISTS (
  SELECT FROM pg_trigger WHERE tgrelid = s.oid AND tgenabled = 'A' AND NOT tgisinternal
    AND tgtype & 1 = 0 AND tgtype & 2 <> 0 AND tgtype & bit <> 0
    AND tgqual IS NULL AND cardinality(tgattr::int2[]) = 0 AND tgnargs = 1
    AND tgfoid IN ('refuse_removal'::regproc, 'refuse_rewriting'::regproc))`,
		plants: []plant{
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees is not guarded against DELETE"},
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees is not guarded against TRUNCATE"},
			{`DROP TRIGGER refuse_removal ON loans`, "loans is not guarded against DELETE"},
			{`ALTER TABLE loans DISABLE TRIGGER refuse_removal`, "loans is not guarded against TRUNCATE"},
			{`ALTER TABLE loans DISABLE TRIGGER ALL`, "loans is not guarded against DELETE"},
			{`ALTER TABLE payments ENABLE TRIGGER refuse_removal`, "payments is not guarded against DELETE"},
			{`ALTER TABLE payments ENABLE REPLICA TRIGGER refuse_removal`, "payments is not guarded against DELETE"},
			{`DROP TRIGGER refuse_removal ON documents;
			  CREATE TRIGGER refuse_removal BEFORE DELETE ON documents FOR EACH ROW EXECUTE FUNCTION refuse_removal('x');
			  ALTER TABLE documents ENABLE ALWAYS TRIGGER refuse_removal`, "documents is not guarded against DELETE"},
			{`DROP TRIGGER refuse_rewriting ON transactions;
			  CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON transactions
			    FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal('x');
			  ALTER TABLE transactions ENABLE ALWAYS TRIGGER refuse_removal`, "transactions is not guarded against UPDATE"},
			{`DROP TRIGGER refuse_rewriting ON transactions;
			  CREATE TRIGGER refuse_rewriting BEFORE UPDATE OF rule OR DELETE OR TRUNCATE ON transactions
			    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting('x');
			  ALTER TABLE transactions ENABLE ALWAYS TRIGGER refuse_rewriting`, "transactions is not guarded against UPDATE"},
		},
	},

	// guard_table gives a new table all of them. People and their rights have them too;
	// how far a run has come is no history, and neither is what a check marks, which it
	// does by the thousand.
	"every servicing table limits rows and keeps its history, always": {
		query: servicing + `, guarded AS (
  SELECT oid, name FROM servicing
  UNION ALL SELECT name::regclass, name FROM unnest('{users,user_roles,user_ip_allowlist,api_tokens}'::text[]) name
)
SELECT format('%s has no %s', name, guard)
FROM guarded g, (VALUES ('limit_updated_rows', 'limit_rows', 16), ('limit_deleted_rows', 'limit_rows', 8),
  ('keep_updated_rows', 'keep_history', 16), ('keep_deleted_rows', 'keep_history', 8)) guards (guard, function, bit)
WHERE NOT (guard = 'keep_updated_rows' AND name IN ('runs', 'run_chunks', 'run_purges'))
  AND NOT (guard <> 'keep_deleted_rows'
    AND name IN ('integrity_checks', 'integrity_findings', 'integrity_anchors', 'register_anchors'))
  AND NOT EXISTS (
  SELECT FROM pg_trigger WHERE tgrelid = g.oid AND tgname = guard AND tgenabled = 'A' AND tgtype = bit
    AND tgqual IS NULL AND cardinality(tgattr::int2[]) = 0 AND tgfoid = function::regproc)`,
		plants: []plant{
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees has no limit_updated_rows"},
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees has no keep_deleted_rows"},
			{`DROP TRIGGER limit_deleted_rows ON users`, "users has no limit_deleted_rows"},
			{`ALTER TABLE loans DISABLE TRIGGER keep_updated_rows`, "loans has no keep_updated_rows"},
			{`ALTER TABLE loans ENABLE TRIGGER limit_updated_rows`, "loans has no limit_updated_rows"},
		},
	},

	// Whoever lets the application delete from another table says so here.
	"the application removes only what is a user's own": {
		query: `
WITH allowed (name) AS (VALUES ('users'), ('user_roles'), ('user_ip_allowlist'), ('sessions'), ('password_resets'),
  ('login_attempts'), ('webhook_secrets'), ('webhook_messages'), ('webhook_deliveries'))
SELECT format('%s has %s on %s', role, privilege, c.oid::regclass)
FROM pg_class c, unnest(ARRAY['loanserve_app', 'loanserve_readonly', 'loanserve_backup']) role,
  unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) privilege
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
  AND has_table_privilege(role, c.oid, privilege)
  AND NOT (role = 'loanserve_app' AND privilege = 'DELETE' AND EXISTS (SELECT FROM allowed WHERE name = relname))`,
		plants: []plant{
			{`GRANT DELETE ON auth_events TO loanserve_app`, "loanserve_app has DELETE on auth_events"},
			{`GRANT TRUNCATE ON sessions TO loanserve_app`, "loanserve_app has TRUNCATE on sessions"},
			{`GRANT DELETE ON escrow_lines TO loanserve_app`, "loanserve_app has DELETE on escrow_lines"},
			{`GRANT TRUNCATE ON api_tokens TO loanserve_app`, "loanserve_app has TRUNCATE on api_tokens"},
			{`GRANT DELETE ON loans TO PUBLIC`, "loanserve_app has DELETE on loans"},
			{`GRANT ALL ON schema_migrations TO loanserve_readonly`, "loanserve_readonly has DELETE on schema_migrations"},
			{`ALTER ROLE loanserve_app INHERIT; GRANT loanserve_owner TO loanserve_app`, "loanserve_app has DELETE on loans"},
			{`ALTER TABLE documents OWNER TO loanserve_app`, "loanserve_app has TRUNCATE on documents"},
		},
	},

	// Whoever lets the application change another column says so here.
	"the application changes only these columns": {
		query: `
WITH allowed (name, columns) AS (VALUES
  ('loans', ARRAY['status', 'principal_cents', 'escrow_cents', 'suspense_cents', 'late_charges_due_cents',
    'escrow_year_starts_on', 'escrow_cushion_months', 'escrow_cushion_source', 'in_foreclosure',
    'in_bankruptcy', 'vacant',
    'escrow_advance_cents', 'fees_due_cents', 'paid_off_on', 'interest_accrued_to_on',
    'accrued_interest_cents', 'terms_changes',
    'next_due_on', 'as_of_on', 'late_charged_through_on', 'last_effective_on', 'last_receipt_id', 'last_seq',
    'last_hash', 'updated_at', 'escrow_year_starts_on', 'escrow_cushion_months', 'escrow_cushion_source',
    'in_foreclosure', 'in_bankruptcy', 'vacant']),
  ('escrow_analyses', ARRAY['status', 'start_on', 'refusal', 'refused_field', 'refused_rule', 'finished_at',
    'policy_id', 'request', 'result', 'base_payment_cents', 'cushion_cents', 'required_start_cents',
    'start_balance_cents',
    'surplus_cents', 'shortage_cents', 'deficiency_cents', 'new_escrow_payment_cents', 'effective_on', 'refund_cents',
    'refund_due_on', 'statement_due_on']),
  ('loan_changes', ARRAY['status', 'rate_ppm', 'principal_and_interest_cents', 'refusal', 'decided_by', 'decided_at',
    'decision_note', 'posted_at', 'posted_seq']),
  ('payment_reversals', ARRAY['status', 'refusal', 'posted_at', 'fee_cents', 'fee_on', 'undone_at', 'decided_by',
    'decided_at', 'decision_note']),
  ('payments', ARRAY['status', 'reason', 'posted_at', 'reversed_at', 'interest_cents', 'principal_cents',
    'escrow_cents', 'late_charge_cents', 'fee_cents', 'suspense_cents', 'first_seq', 'last_seq']),
  ('payment_batches', ARRAY['status', 'finished_at']),
  ('payment_batch_items', ARRAY['status', 'reason', 'loan_id', 'payment_id', 'note', 'resolved_by', 'resolved_at',
    'returned_payment_id', 'reversal_id']),
  ('escrow_lines', ARRAY['amount_cents', 'known_cents', 'comparable', 'next_due_on', 'next_discount_on',
    'next_penalty_on', 'discount_cents', 'ends_on', 'last_paid_on', 'outside_cushion', 'payee', 'every_months',
    'version', 'ended_at', 'ended_by', 'due_day']),
  ('escrow_bills', ARRAY['status', 'amount_cents', 'discount_on', 'penalty_on', 'discount_cents', 'expected',
    'insurance_canceled', 'held_rule', 'released_by', 'canceled_by', 'cancel_reason']),
  ('escrow_disbursements', ARRAY['status', 'file_id', 'sent_at', 'confirmed_at', 'returned_on', 'return_reason',
    'released_by']),
  ('escrow_analyses', ARRAY['status', 'start_on', 'refusal', 'refused_field', 'refused_rule', 'finished_at',
    'policy_id', 'request', 'result', 'base_payment_cents', 'cushion_cents', 'required_start_cents',
    'start_balance_cents',
    'surplus_cents', 'shortage_cents', 'deficiency_cents', 'new_escrow_payment_cents', 'effective_on', 'refund_cents',
    'refund_due_on', 'statement_due_on']),
  ('escrow_statements', ARRAY['delivered_on', 'delivered_by']),
  ('escrow_returns', ARRAY['status', 'refusal', 'posted_at']),
  ('escrow_payees', ARRAY['replaced_at']),
  ('runs', ARRAY['status', 'total', 'done', 'changed', 'failed_count', 'started_at', 'finished_at', 'findings']),
  ('run_chunks', ARRAY['finished_at']),
  ('api_tokens', ARRAY['revoked_at', 'last_used_at']),
  ('users', ARRAY['full_name', 'password_hash', 'password_changed_at', 'disabled_at']),
  ('sessions', ARRAY['last_seen_at', 'revoked_at']),
  ('login_attempts', ARRAY['outcome']),
  ('login_attempt_counts', ARRAY['attempts']),
  ('run_purges', ARRAY['remaining', 'oldest_at']),
  ('integrity_checks', ARRAY['steps', 'loans', 'finished_at']),
  ('integrity_findings', ARRAY['severity', 'details', 'suggested_action', 'last_seen_at', 'resolved_at']),
  ('integrity_anchors', ARRAY['state_hash', 'seen_at']),
  ('backups', ARRAY['status', 'store_name', 'size_bytes', 'started_at', 'stored_at', 'verified_at', 'restore_ms',
    'findings', 'failed_stage', 'failure']),
  ('webhook_subscriptions', ARRAY['url', 'event_types', 'description', 'status', 'updated_at', 'ended_at',
    'end_reason']),
  ('webhook_secrets', ARRAY['expires_at']),
  ('webhook_deliveries', ARRAY['status', 'round', 'attempts', 'next_attempt_at', 'first_failed_at', 'attempted_at',
    'delivered_at', 'last_status_code', 'last_error'])
)
SELECT format('%s may change %s.%s', role, relname, attname)
FROM unnest(ARRAY['loanserve_app', 'loanserve_readonly', 'loanserve_backup']) role, pg_attribute
JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
  AND has_column_privilege(role, attrelid, attnum, 'UPDATE')
  AND NOT (role = 'loanserve_app' AND EXISTS (SELECT FROM allowed WHERE name = relname AND attname = ANY (columns)))`,
		plants: []plant{
			{`GRANT UPDATE ON transactions TO loanserve_app`, "loanserve_app may change transactions.hash"},
			{`GRANT UPDATE (rule) ON transactions TO loanserve_app`, "loanserve_app may change transactions.rule"},
			{`GRANT UPDATE ON loans TO loanserve_app`, "loanserve_app may change loans.rate_ppm"},
			{`GRANT UPDATE (amount_cents) ON payments TO loanserve_app`, "loanserve_app may change payments.amount_cents"},
			{`GRANT UPDATE (as_of_on) ON runs TO loanserve_app`, "loanserve_app may change runs.as_of_on"},
			{`GRANT UPDATE (status) ON loans TO loanserve_readonly`, "loanserve_readonly may change loans.status"},
		},
	},

	"no serving role can become the owner": {
		query: `
SELECT format('%s is a member of %s', role, power)
FROM unnest(ARRAY['loanserve_app', 'loanserve_readonly', 'loanserve_backup']) role,
  unnest(ARRAY['loanserve_owner', 'loanserve_migrator']) power
WHERE pg_has_role(role, power, 'MEMBER')
UNION ALL
SELECT format('%s has more than a role needs', rolname) FROM pg_roles
WHERE starts_with(rolname, 'loanserve_') AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolcanlogin)`,
		plants: []plant{
			{`GRANT loanserve_migrator TO loanserve_app`, "loanserve_app is a member of loanserve_owner"},
			{`ALTER ROLE loanserve_backup SUPERUSER`, "loanserve_backup has more than a role needs"},
			{`ALTER ROLE loanserve_app LOGIN`, "loanserve_app has more than a role needs"},
		},
	},

	// A dump as loanserve_backup reads sequences as well.
	"a backup reads everything": {
		query: `
SELECT format('%s cannot be read', c.oid::regclass) FROM pg_class c
WHERE relnamespace IN ('public'::regnamespace, 'river'::regnamespace) AND CASE
  WHEN relkind IN ('r', 'p', 'v', 'm') THEN NOT has_table_privilege('loanserve_backup', oid, 'SELECT')
  WHEN relkind = 'S' THEN NOT has_sequence_privilege('loanserve_backup', oid, 'SELECT') END`,
		plants: []plant{
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees cannot be read"},
			{`REVOKE SELECT ON river.river_job FROM loanserve_backup`, "river.river_job cannot be read"},
			{`CREATE SEQUENCE river.numbers`, "river.numbers cannot be read"},
		},
	},

	"a reader sees all but credentials": {
		query: `
SELECT format('%s.%s: %s', relname, attname, CASE WHEN secret THEN 'seen' ELSE 'not seen' END)
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, LATERAL (
  SELECT attname IN ('token_hash', 'password_hash', 'account_number')
    OR relname = 'webhook_secrets' AND attname = 'secret'
    OR relname = 'escrow_files' AND attname = 'content' OR relname = 'history' AND attname = 'old_row'
) s (secret)
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
  AND has_column_privilege('loanserve_readonly', attrelid, attnum, 'SELECT') = secret`,
		plants: []plant{
			{`GRANT SELECT ON api_tokens TO loanserve_readonly`, "api_tokens.token_hash: seen"},
			{`GRANT SELECT ON users TO loanserve_readonly`, "users.password_hash: seen"},
			{`GRANT SELECT ON escrow_payees TO loanserve_readonly`, "escrow_payees.account_number: seen"},
			{`GRANT SELECT ON escrow_files TO loanserve_readonly`, "escrow_files.content: seen"},
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees.id: not seen"},
		},
	},

	"the owner owns everything": {
		query: `
SELECT format('%s belongs to %s', what, pg_get_userbyid(owner)) FROM (
  SELECT oid::regclass::text, relowner FROM pg_class
  WHERE relnamespace IN ('public'::regnamespace, 'river'::regnamespace)
  UNION ALL
  SELECT oid::regprocedure::text, proowner FROM pg_proc
  WHERE pronamespace IN ('public'::regnamespace, 'river'::regnamespace)
  UNION ALL
  SELECT oid::regtype::text, typowner FROM pg_type
  WHERE typnamespace IN ('public'::regnamespace, 'river'::regnamespace)
  UNION ALL
  SELECT 'schema ' || nspname, nspowner FROM pg_namespace WHERE nspname = 'river'
) objects (what, owner)
WHERE pg_get_userbyid(owner) <> 'loanserve_owner'`,
		plants: []plant{
			{`CREATE TABLE fees (id bigint PRIMARY KEY)`, "fees belongs to"},
			{`CREATE FUNCTION fee() RETURNS int LANGUAGE sql AS 'SELECT 1'`, "fee() belongs to"},
			{`ALTER SCHEMA river OWNER TO loanserve_app`, "schema river belongs to loanserve_app"},
		},
	},

	"nothing is half done": {
		query: `
SELECT format('%s of %s is not validated', conname, conrelid::regclass) FROM pg_constraint WHERE NOT convalidated
UNION ALL
SELECT format('%s is not valid', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid OR NOT indisready`,
		plants: []plant{
			{`ALTER TABLE loans ADD CONSTRAINT later CHECK (rate_ppm < 500000) NOT VALID`, "later of loans"},
			{
				`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'loans_property_id_idx'::regclass`,
				"loans_property_id_idx",
			},
		},
	},
}
