package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// A gap is an error in the log, a count, and a new physical backup at once.
func TestArchiveNoticesGaps(t *testing.T) {
	t.Parallel()
	_, env := backupServer(t)
	r := archiving(t, env)
	requested := func(key string) func() bool {
		return func() bool { return strings.Contains(text(t, env["DATABASE_URL"], wishes), key) }
	}
	require.Eventually(t, requested("physical for the archive from"), patience, 50*time.Millisecond)
	caughtUp(t, []*running{r})
	stopGently(t, r)
	sql(t, env["DATABASE_URL"], `SELECT pg_drop_replication_slot('loanserve_archive')`)
	for range 3 {
		sql(t, env["DATABASE_URL"], `SELECT pg_switch_wal()`)
		sql(t, env["DATABASE_URL"], `SELECT pg_logical_emit_message(true, 'lost', 'lost')`)
		sql(t, env["DATABASE_URL"], `CHECKPOINT`)
	}
	require.NotContains(t, text(t, env["DATABASE_URL"], wishes), "physical after the gap")
	r = archiving(t, env)
	require.Eventually(t, requested("physical after the gap from"), patience, 50*time.Millisecond)
	caughtUp(t, []*running{r})
	require.InDelta(t, 1, r.metric(t, "loanserve_wal_gaps_total"), 0)
	require.InDelta(t, 1, r.metric(t, "loanserve_wal_slot_active"), 0)
	require.InDelta(t, 0, r.metric(t, "loanserve_wal_slot_lost"), 0)
	require.Contains(t, r.log.String(), "WAL was lost before it was archived")
	require.Contains(t, r.log.String(), "max_slot_wal_keep_size is -1")
	stopGently(t, r)

	got := runWith(t.Context(), env, "backup", "list")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "WAL of server")
	require.Equal(t, 1, strings.Count(got.stdout, "NOT whole: WAL from"), got.stdout)
	got = runWith(t.Context(), env, "restore", "--to-latest", "--into", filepath.Join(t.TempDir(), "new"))
	require.Equal(t, exitFailure, got.code)
	pruneRefuses(t, env)
}

// pruneRefuses sees that nothing is deleted while loans are missing.
func pruneRefuses(t *testing.T, env environment) {
	t.Helper()
	got := runWith(t.Context(), env, "backup", "prune")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "WAL of ")
	sql(t, env["DATABASE_URL"], `INSERT INTO integrity_findings
  (kind, severity, loan_id, subject, details, suggested_action, first_seen_at, last_seen_at)
VALUES ('loan_missing', 'critical', 7, '', '{}', 'Bring it back.', now(), now())`)
	got = runWith(t.Context(), env, "backup", "prune")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "the loss alarm is on")
}

// A restore wants to be told what, and only once.
func TestRestoreWantsOnePoint(t *testing.T) {
	t.Parallel()
	env := environment{"LOANSERVE_BACKUP_URL": "file://" + t.TempDir()}
	into := filepath.Join(t.TempDir(), "new")
	for _, args := range [][]string{
		{},
		{"latest", "--to-latest"},
		{"--to-latest", "--to-xid", "7"},
		{"--to-xid", "7", "--before-xid", "7"},
		{"--to-latest", "--kind", "physical"},
		{"--to-time", "2026-11-28T03:04:05"},
		{"--to-time", "yesterday"},
	} {
		got := runWith(t.Context(), env, append([]string{"restore", "--into", into}, args...)...)
		require.Equal(t, exitUsage, got.code, "%v: %s", args, got.stderr)
	}
	got := runWith(t.Context(), env, "restore", "--to-latest", "--into", "postgres://user@localhost/db")
	require.Equal(t, exitUsage, got.code)
	got = runWith(t.Context(), env, "restore", "--to-time", "2026-11-28T03:04:05-05:00", "--into", into)
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "no physical backup in the store ended before that point")
	env = environment{"DATABASE_URL": "postgres://user@localhost/db", "LOANSERVE_BACKUP_WAL": "on"}
	got = runWith(t.Context(), env, "work")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "names no store to archive into")
}

const wishes = `SELECT coalesce(string_agg(idempotency_key, ', ' ORDER BY created_at), '') FROM backups`

// stopGently ends the program as an operator does.
func stopGently(t *testing.T, r *running) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	require.NoError(t, r.end(t), "%s", r.log)
}

// text is the one text that a query answers.
func text(t *testing.T, url, query string) (answer string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&answer))
	return answer
}
