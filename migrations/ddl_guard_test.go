package migrations_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/migrations"
)

// weakenings are ways to lose servicing data by changing the schema, or to prepare
// it, each with a part of what must be refused.
var weakenings = map[string]string{
	`DROP TABLE documents CASCADE`:                                 "table public.documents",
	`DROP TABLE loans CASCADE`:                                     "table public.loans",
	`DROP SCHEMA public CASCADE`:                                   "schema public",
	`ALTER TABLE payments DROP COLUMN reason`:                      "table column public.payments.reason",
	`ALTER TABLE payments DROP CONSTRAINT payments_loan_id_fkey`:   "payments_loan_id_fkey on public.payments",
	`DROP TRIGGER refuse_removal ON loans`:                         "refuse_removal on public.loans",
	`DROP TRIGGER record_principal ON users`:                       "record_principal on public.users",
	`DROP FUNCTION refuse_removal CASCADE`:                         "function public.refuse_removal()",
	`DROP VIEW trial_balance`:                                      "view public.trial_balance",
	`DROP TYPE run_kind CASCADE`:                                   "type public.run_kind",
	`ALTER TABLE loans DISABLE TRIGGER USER`:                       "refuse_removal on public.loans",
	`ALTER TABLE loans DISABLE TRIGGER refuse_removal`:             "refuse_removal on public.loans",
	`ALTER TABLE loans ENABLE TRIGGER refuse_removal`:              "refuse_removal on public.loans",
	`ALTER TABLE loans ENABLE REPLICA TRIGGER refuse_removal`:      "refuse_removal on public.loans",
	`ALTER TRIGGER refuse_removal ON loans RENAME TO aside`:        "refuse_removal on public.loans",
	`ALTER TABLE loans RENAME TO aside`:                            "refuse_removal on public.loans",
	`ALTER TABLE loans SET SCHEMA river`:                           "refuse_removal on public.loans",
	`ALTER FUNCTION refuse_removal() RENAME TO aside`:              "public.refuse_removal()",
	`ALTER FUNCTION ddl_guard.log_ddl() SET work_mem = '1MB'`:      "ddl_guard.log_ddl()",
	`ALTER TABLE ddl_guard.ddl_log DISABLE TRIGGER refuse_removal`: "refuse_removal on ddl_guard.ddl_log",
	`DELETE FROM ddl_guard.ddl_log`:                                "ddl_log is refused",
	`TRUNCATE ddl_guard.ddl_log`:                                   "ddl_log is refused",
	`CREATE OR REPLACE TRIGGER refuse_removal BEFORE DELETE ON loans
	   FOR EACH ROW EXECUTE FUNCTION refuse_removal('x')`: "refuse_removal on public.loans",
	`CREATE OR REPLACE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql
	   AS 'BEGIN RETURN NULL; END'`: "public.refuse_removal()",
	`CREATE OR REPLACE FUNCTION ddl_guard.refuse_weakening() RETURNS event_trigger LANGUAGE plpgsql
	   AS 'BEGIN END'`: "ddl_guard.refuse_weakening()",
	`CREATE OR REPLACE FUNCTION ddl_guard.log_ddl() RETURNS event_trigger LANGUAGE plpgsql
	   AS 'BEGIN END'`: "ddl_guard.log_ddl()",
	`CREATE OR REPLACE FUNCTION ddl_guard.allowed(identity text) RETURNS boolean LANGUAGE sql
	   AS 'SELECT true'`: "ddl_guard.allowed",
	`DO $$ BEGIN
	   EXECUTE 'CREATE OR REPLACE FUNCTION ddl_guard.remember() RETURNS event_trigger LANGUAGE plpgsql AS ''BEGIN END''';
	   EXECUTE 'ALTER TABLE loans DISABLE TRIGGER ALL';
	 END $$`: "ddl_guard.remember()",
}

// TestWeakeningIsRefused attacks the schema as whoever owns it, and as a superuser,
// with triggers silenced and not.
func TestWeakeningIsRefused(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	portfolio(t, db)
	before := contents(t, db.Super)
	for attack, named := range weakenings {
		for who, pool := range map[string]querier{"owner": db.Owner, "superuser": db.Super} {
			_, err := pool.Exec(t.Context(), attack)
			code, hint := state(err)
			notHis := strings.Contains(attack, "SCHEMA") || strings.Contains(attack, "ddl_guard")
			if who == "owner" && notHis && code == insufficientPrivilege {
				continue
			}
			require.Equal(t, restrictViolation, code, "%s as %s: %v", attack, who, err)
			require.ErrorContains(t, err, named, attack)
			require.NotEmpty(t, hint, attack)
		}
		_, err := db.Super.Exec(t.Context(), `SET session_replication_role = replica; `+attack)
		code, _ := state(err)
		require.Equal(t, restrictViolation, code, "%s with triggers silenced: %v", attack, err)
	}
	require.Equal(t, before, contents(t, db.Super))
}

// TestDropsAreNamed proves that what a migration names it can drop, with what is of
// it and no more, and that the permission ends with its transaction.
func TestDropsAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ allow, sql, refused string }{
		"a column":                {"public.payments.reason", `ALTER TABLE payments DROP COLUMN reason CASCADE`, ""},
		"another column":          {"public.payments.reason", `ALTER TABLE payments DROP COLUMN channel CASCADE`, "public.payments.channel"},
		"one of two":              {"public.payments.reason", `ALTER TABLE payments DROP COLUMN reason, DROP COLUMN channel`, "public.payments.channel"},
		"both":                    {"public.payments.reason; public.payments.channel", `ALTER TABLE payments DROP COLUMN reason, DROP COLUMN channel`, ""},
		"a guard":                 {"refuse_removal on public.loans", `ALTER TABLE loans DISABLE TRIGGER refuse_removal`, ""},
		"another table's guard":   {"refuse_removal on public.loans", `ALTER TABLE payments DISABLE TRIGGER refuse_removal`, "refuse_removal on public.payments"},
		"a guard that is dropped": {"refuse_removal on public.loans", `DROP TRIGGER refuse_removal ON loans`, ""},
		"a table":                 {"public.run_purges", `DROP TABLE run_purges`, ""},
		"a table that others refer to": {
			"public.escrow_analyses", `DROP TABLE escrow_analyses CASCADE`, "on public.escrow_statements",
		},
		"a function": {"public.refuse_rewriting()", `CREATE OR REPLACE FUNCTION refuse_rewriting() RETURNS trigger
			LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RAISE EXCEPTION ''no''; END'`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Clone(t)
			err := pgx.BeginFunc(t.Context(), db.Owner, func(tx pgx.Tx) error {
				exec(t, tx, `SELECT set_config('loanserve.allow_drop', $1, true)`, c.allow)
				_, err := tx.Exec(t.Context(), c.sql)
				return err
			})
			if c.refused != "" {
				code, _ := state(err)
				require.Equal(t, restrictViolation, code, err)
				require.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			_, err = db.Owner.Exec(t.Context(), `ALTER TABLE documents DROP COLUMN title`)
			require.Error(t, err)
		})
	}
}

// TestOrdinaryDDLPasses is what migrations do every day.
func TestOrdinaryDDLPasses(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	for _, sql := range []string{
		`CREATE TABLE fees (id bigint PRIMARY KEY, loan_id bigint REFERENCES loans ON DELETE RESTRICT)`,
		`CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON fees
		   FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal('x')`,
		`ALTER TABLE fees ENABLE ALWAYS TRIGGER refuse_removal`,
		`ALTER TABLE loans ADD note text`,
		`CREATE INDEX loans_note_idx ON loans (note)`,
		`DROP INDEX loans_note_idx`,
		`ALTER TABLE loans ADD CONSTRAINT short CHECK (length(note) < 9) NOT VALID`,
		`ALTER TABLE loans VALIDATE CONSTRAINT short`,
		`ALTER TABLE loans ALTER note SET DEFAULT ''`,
		`ALTER TABLE loans ALTER note DROP DEFAULT`,
		`CREATE TEMP TABLE aside AS SELECT 1 AS n; ALTER TABLE aside DROP COLUMN n; DROP TABLE aside`,
		`CREATE TABLE river.aside (n int); DROP TABLE river.aside`,
		`GRANT SELECT ON fees TO loanserve_readonly`,
		`REINDEX TABLE loans`,
	} {
		exec(t, db.Owner, sql)
	}
	_, err := db.Owner.Exec(t.Context(), `DROP TRIGGER refuse_removal ON fees`)
	require.Error(t, err, "what is ALWAYS once stays")
}

func TestDDLIsWrittenDown(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	exec(t, db.Owner, `SET application_name = 'night shift'; ALTER TABLE loans ADD note text`)
	exec(t, db.Super, `CREATE TABLE river.aside (n int)`)
	exec(t, db.Super, `DROP TABLE river.aside`)
	require.Equal(t, []string{
		"t loanserve_owner night shift ALTER TABLE table public.loans",
		"t none  CREATE TABLE table river.aside",
		"t none  DROP TABLE table river.aside",
	}, column[string](t, db.Super, `
SELECT format('%s %s %s %s %s', login = session_user, role, application, command, object)
FROM ddl_guard.ddl_log ORDER BY id`))
	query := one[string](t, db.Super, `SELECT query FROM ddl_guard.ddl_log WHERE application <> ''`)
	require.Contains(t, query, "ADD note text")
}

// TestSuperuserCanSwitchOff states the one way that is left: it takes a superuser, and
// two steps. Backups are what helps then. Migrating guards the schema again.
func TestSuperuserCanSwitchOff(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	guarded := func() bool {
		on, err := migrations.DDLGuarded(t.Context(), db.App)
		require.NoError(t, err)
		return on
	}
	require.True(t, guarded())
	for _, pool := range []querier{db.App, db.Owner} {
		_, err := pool.Exec(t.Context(), `ALTER EVENT TRIGGER loanserve_2_refuse_drops DISABLE`)
		code, _ := state(err)
		require.Equal(t, insufficientPrivilege, code)
	}
	for _, attack := range []string{
		`DROP SCHEMA ddl_guard CASCADE`, `DROP FUNCTION ddl_guard.refuse_drops() CASCADE`, `DROP EXTENSION plpgsql CASCADE`,
		`DROP EVENT TRIGGER loanserve_2_refuse_drops`,
		`ALTER FUNCTION ddl_guard.refuse_drops() OWNER TO loanserve_owner`,
	} {
		_, err := db.Owner.Exec(t.Context(), attack)
		code, _ := state(err)
		require.Equal(t, insufficientPrivilege, code, "%s: %v", attack, err)
	}
	require.True(t, guarded())

	db.SwitchOffDDLGuards(t)
	require.False(t, guarded())
	exec(t, db.Super, `DROP TABLE documents CASCADE`)

	_, err := migrations.Up(t.Context(), db.URL, quiet())
	require.NoError(t, err)
	require.True(t, guarded())
	_, err = db.Super.Exec(t.Context(), `DROP TABLE loans CASCADE`)
	require.Error(t, err)
}
