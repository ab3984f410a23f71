package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// examined runs the doctor and returns its findings by what was looked at.
func examined(t *testing.T, env environment, code int) map[string]finding {
	t.Helper()
	got := runWith(t.Context(), env, "doctor", "--json")
	require.Equal(t, code, got.code, got.stdout+got.stderr)
	var said struct{ Findings []finding }
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &said))
	by := map[string]finding{}
	for _, f := range said.Findings {
		require.Equal(t, f.Health == healthOK, f.Next == "", "what is not ok has a next step: %+v", f)
		if before, twice := by[f.Check]; !twice || before.Health == healthOK {
			by[f.Check] = f
		}
	}
	return by
}

func is(t *testing.T, by map[string]finding, check string, want health, says string) {
	t.Helper()
	require.Contains(t, by, check)
	require.Equal(t, want, by[check].Health, by[check].Detail)
	require.Contains(t, by[check].Detail, says)
}

func TestDoctorOfAWorkingDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": db.URL}
	by := examined(t, env, exitFinding)
	is(t, by, "connection", healthOK, "a round trip")
	is(t, by, "version", healthOK, "PostgreSQL 1")
	is(t, by, "roles", healthWarn, "is a superuser")
	is(t, by, "clock", healthOK, "America/New_York")
	is(t, by, "schema", healthOK, "")
	is(t, by, "drift", healthOK, "")
	is(t, by, "queue schema", healthOK, "version ")
	is(t, by, "workers", healthFail, "no process")
	is(t, by, "queues", healthOK, "")
	is(t, by, "loans", healthOK, "")
	is(t, by, "integrity", healthWarn, "never checked")
	is(t, by, "backups", healthWarn, "no worker")
	is(t, by, "wal archive", healthOK, "off")
	is(t, by, "store", healthWarn, "no store")

	got := runWith(t.Context(), env, "doctor")
	require.Equal(t, exitFinding, got.code)
	require.Regexp(t, `(?m)^fail  workers +no process .*\n +-> start `, got.stdout)
	require.Regexp(t, `(?m)^ok    schema +every migration`, got.stdout)
}

// What a night may leave behind, each seen under its own name.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": db.URL}
	sql(t, db.URL, jobsOfANight+`;
UPDATE river.river_queue SET paused_at = now() WHERE name = 'cycle';
INSERT INTO river.river_job (id, kind, queue, args, state, attempt, max_attempts, priority, scheduled_at)
  VALUES (90, 'post_payment', 'payments', '{}', 'available', 0, 3, 1, now() - interval '10 min');
ALTER TABLE loans ADD COLUMN notes text;
INSERT INTO backups (id, kind, requested_by, idempotency_key, request_hash, status, store_name, size_bytes,
  started_at, stored_at, verified_at, restore_ms)
  VALUES ('01890000-0000-7000-8000-000000000001', 'logical', 'nobody', 'k', sha256('k'), 'verified', 'a', 1,
  now() - interval '30 h', now() - interval '30 h', now(), 1)`)
	by := examined(t, env, exitFinding)
	is(t, by, "workers", healthOK, "payments")
	is(t, by, "drift", healthWarn, "1 extra")
	is(t, by, "backups logical", healthWarn, "30h0m0s ago")
	var said []string
	got := runWith(t.Context(), env, "doctor")
	for line := range strings.Lines(got.stdout) {
		if strings.Contains(line, "  queues ") {
			said = append(said, line)
		}
	}
	all := strings.Join(said, "")
	require.Contains(t, all, "paused: cycle since")
	require.Contains(t, all, "jobs wait: payments for 10m")
	require.Contains(t, all, "given up: payments 2")

	sql(t, db.URL, `ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address`)
	is(t, examined(t, env, exitFinding), "drift", healthFail, "user_ip_allowlist.ip is missing")
	sql(t, db.URL, `DELETE FROM schema_migrations WHERE version > 60`)
	by = examined(t, env, exitFinding)
	is(t, by, "schema", healthFail, "are missing")
	require.Contains(t, by["schema"].Next, "loanserve migrate up")
	require.NotContains(t, by, "drift", "the line before has said it")
	sql(t, db.URL, `DELETE FROM river.river_migration WHERE version > 3`)
	is(t, examined(t, env, exitFinding), "queue schema", healthFail, "version 3")
}

// A database that was never migrated is a finding in every part of it, or cannot be
// looked at; nothing panics, and nothing is made.
func TestDoctorOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	by := examined(t, environment{"DATABASE_URL": db.URL}, exitFailure)
	is(t, by, "connection", healthOK, "")
	is(t, by, "schema", healthFail, "are missing")
	is(t, by, "queues", healthFail, "cannot look")
	var tables int
	require.NoError(t, db.Super.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`).Scan(&tables))
	require.Zero(t, tables)
}

// The doctor on a server of its own: as a strict deployment has it, with a store, with a
// wrong password, and after the server has stopped.
func TestDoctorWhenTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	cluster, env := backupServer(t)
	super := env["DATABASE_URL"]
	sql(t, super, `
CREATE ROLE clerk LOGIN PASSWORD 'right-horse'; GRANT loanserve_app TO clerk;
CREATE ROLE guest LOGIN PASSWORD 'right-horse'`)
	as := func(name, password string) environment {
		u, err := url.Parse(super)
		require.NoError(t, err)
		u.User = url.UserPassword(name, password)
		return environment{"DATABASE_URL": u.String(), "LOANSERVE_BACKUP_URL": env["LOANSERVE_BACKUP_URL"]}
	}
	hba := text(t, super, `SHOW hba_file`)
	before, err := os.ReadFile(hba)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(hba, append([]byte("local all clerk,guest scram-sha-256\n"), before...), 0o644))
	sql(t, super, `SELECT pg_reload_conf()`)
	// A backend takes the new rules when it is told to, which is soon.
	require.Eventually(t, func() bool {
		return runWith(t.Context(), as("clerk", "wrong-horse"), "doctor").code == exitFailure
	}, 20*time.Second, 50*time.Millisecond)

	by := examined(t, as("clerk", "right-horse"), exitFinding)
	is(t, by, "roles", healthOK, "login clerk runs as loanserve_app")
	is(t, by, "store", healthFail, "holds no backup")
	is(t, by, "store disk", by["store disk"].Health, "free")
	is(t, examined(t, as("guest", "right-horse"), exitFinding), "roles", healthFail, "login guest may not act as role")

	for _, form := range [][]string{{"doctor"}, {"doctor", "--json"}} {
		for _, password := range []string{"wrong-horse", "right-horse"} {
			got := runWith(t.Context(), as("clerk", password), form...)
			require.NotContains(t, got.stdout+got.stderr, "horse")
		}
	}
	by = examined(t, as("clerk", "wrong-horse"), exitFailure)
	is(t, by, "connection", healthFail, "password authentication failed")
	is(t, by, "store", healthFail, "holds no backup")

	got := runWith(t.Context(), env, "backup", "create", "--kind", "logical")
	require.Equal(t, exitOK, got.code, got.stderr)
	is(t, examined(t, env, exitFinding), "store", healthFail, "none is verified")
	got = runWith(t.Context(), env, "backup", "verify", "--latest")
	require.Equal(t, exitOK, got.code, got.stderr)

	require.NoError(t, cluster.Stop())
	by = examined(t, env, exitFailure)
	is(t, by, "connection", healthFail, "cannot look")
	require.True(t, by["connection"].Unseen)
	is(t, by, "store", healthOK, "the newest verified one was begun")
	require.NotContains(t, by, "schema", "what was not looked at has no line of its own")

	env["LOANSERVE_BACKUP_URL"] = "file://" + filepath.Join(t.TempDir(), "not", "there")
	is(t, examined(t, env, exitFailure), "store", healthFail, "no such file")
	require.NoDirExists(t, strings.TrimPrefix(env["LOANSERVE_BACKUP_URL"], "file://"))
}
