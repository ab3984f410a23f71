package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// Jobs as a night leaves them behind.
const jobsOfANight = `
INSERT INTO river.river_job (id, kind, queue, args, state, attempt, max_attempts, priority, scheduled_at, attempted_at,
  finalized_at, errors)
VALUES
  (1, 'post_payment', 'payments', '{"payment_id": "secret"}', 'discarded', 3, 3, 1, now() - interval '2 h', now(),
    now(), ARRAY['{"error": "first"}', '{"error": "lock loan: deadlock\nat line 7"}']::jsonb[]),
  (2, 'post_payment', 'payments', '{}', 'discarded', 3, 3, 1, now() - interval '2 h', now(), now(), NULL),
  (3, 'post_payment', 'payments', '{}', 'completed', 1, 3, 1, now() - interval '2 h', now(), now(), NULL),
  (4, 'post_payment', 'payments', '{}', 'running', 1, 3, 1, now() - interval '2 h', now(), NULL, NULL),
  (5, 'close_day', 'cycle', '{}', 'retryable', 1, 9, 1, now() + interval '1 h', now(), NULL, NULL),
  (6, 'close_day', 'cycle', '{}', 'available', 0, 9, 1, now() - interval '90 s', NULL, NULL, NULL);
INSERT INTO river.river_queue (name, updated_at) VALUES ('payments', now()), ('cycle', now() - interval '31 min')`

func TestQueueCommands(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	_, err := db.Super.Exec(t.Context(), jobsOfANight)
	require.NoError(t, err)
	try := func(code int, args ...string) outcome {
		t.Helper()
		got := runWith(t.Context(), environment{"DATABASE_URL": db.URL}, append([]string{"queue"}, args...)...)
		require.Equal(t, code, got.code, got.stdout+got.stderr)
		require.NotContains(t, got.stdout+got.stderr, "secret")
		return got
	}
	states := func() (states string) {
		require.NoError(t, db.Super.QueryRow(t.Context(),
			`SELECT string_agg(id || ' ' || state, ', ' ORDER BY id) FROM river.river_job`).Scan(&states))
		return states
	}
	require.Regexp(t, `(?m)^cycle +not worked +0 +1 +0 +1 +0 +1m3\ds `, try(exitOK, "list").stdout)
	require.Regexp(t, `(?m)^payments +worked +0 +0 +1 +0 +2 +0s `, try(exitOK, "list").stdout)
	require.Regexp(t, `(?m)^escrow +not worked .* never$`, try(exitOK, "list").stdout)

	var list struct{ Jobs []jobShown }
	require.NoError(t, json.Unmarshal([]byte(try(exitOK, "jobs", "--state", "discarded", "--json").stdout), &list))
	require.Len(t, list.Jobs, 2)
	require.Equal(t, "lock loan: deadlock", list.Jobs[0].LastError)
	require.Equal(t, 6, strings.Count(try(exitOK, "jobs").stdout, "\n"), "a heading, and all that are not completed")
	require.Contains(t, try(exitOK, "jobs", "--queue", "cycle", "--limit", "1").stdout, "close_day")

	before := states()
	for id, reason := range map[int]string{3: "completed", 4: "running", 6: "waits", 7: "no such job"} {
		require.Contains(t, try(exitFailure, "retry", "1", strconv.Itoa(id)).stderr, "job "+strconv.Itoa(id)+": ")
		require.Contains(t, try(exitFailure, "retry", "1", strconv.Itoa(id)).stderr, reason)
	}
	require.Equal(t, before, states(), "one that cannot be tried again keeps the others from it")
	require.Equal(t, "tried again: job 5\n", try(exitOK, "retry", "5").stdout)
	got := try(exitOK, "retry", "--kind", "post_payment", "--state", "discarded", "--json")
	require.JSONEq(t, `{"retried":[1,2],"refused":[]}`, got.stdout)
	require.Equal(t, "1 available, 2 available, 3 completed, 4 running, 5 available, 6 available", states())
	got = try(exitOK, "retry", "--kind", "post_payment", "--state", "discarded")
	require.Equal(t, "no job is tried again\n", got.stdout)

	require.Equal(t, "paused: cycle, payments\n", try(exitOK, "pause", "--all").stdout)
	require.Contains(t, try(exitOK, "list").stdout, "paused 20")
	try(exitOK, "pause", "cycle") // Again is no mistake.
	require.Equal(t, "resumed: payments\n", try(exitOK, "resume", "payments").stdout)
	require.Contains(t, try(exitFailure, "pause", "payments", "escrow").stderr, "queue escrow: no process has reported")
	var paused string
	require.NoError(t, db.Super.QueryRow(t.Context(),
		`SELECT string_agg(name, ' ') FROM river.river_queue WHERE paused_at IS NOT NULL`).Scan(&paused))
	require.Equal(t, "cycle", paused)

	var events string
	require.NoError(t, db.Super.QueryRow(t.Context(), `
SELECT string_agg(concat_ws(' ', kind, details->>'job_id', details->>'queue'), ', ' ORDER BY id)
FROM auth_events WHERE actor = 'command'`).Scan(&events))
	require.Equal(t, "job_retried 5 cycle, job_retried 1 payments, job_retried 2 payments, queue_paused cycle, "+
		"queue_paused payments, queue_paused cycle, queue_resumed payments", events)
}

// Where another job that does the same was put into the queue since, the one that
// failed stays as it is, and others of its kind are tried all the same.
func TestQueueRetryBesideAnotherThatDoesTheSame(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	_, err := db.Super.Exec(t.Context(), jobsOfANight+`;
UPDATE river.river_job SET unique_key = 'same', unique_states =
  CASE id WHEN 1 THEN B'11110101'::bit(8) ELSE B'11111111' END
WHERE id IN (1, 4)`)
	require.NoError(t, err)
	env := environment{"DATABASE_URL": db.URL}
	got := runWith(t.Context(), env, "queue", "retry", "1")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "job 1: another job that does the same is in the queue already")
	got = runWith(t.Context(), env, "queue", "retry", "--kind", "post_payment", "--state", "discarded")
	require.Equal(t, exitFinding, got.code)
	require.Equal(t, "tried again: job 2\n", got.stdout)
	require.Contains(t, got.stderr, "job 1 is left alone: another job")
}

func TestQueueMistakesAreUsageErrors(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"pause":                                  "--all",
		"pause payments --all":                   "--all",
		"pause paymets":                          `there is no queue "paymets", only alarm`,
		"resume payments escrw":                  `there is no queue "escrw"`,
		"jobs --queue x":                         `--queue: there is no queue "x"`,
		"jobs --kind x":                          `--kind: there is no kind of job "x", only analyze_escrow`,
		"jobs --state done":                      "--state",
		"retry":                                  "--kind",
		"retry -- -4":                            "there is no job -4",
		"retry x":                                "x",
		"retry --kind post_payment":              "--state",
		"retry --kind x --state discarded":       `there is no kind of job "x"`,
		"retry 1 --kind close_day --state other": "--state",
		"retry 1 --state discarded":              "--kind",
	} {
		got := runWith(t.Context(), environment{"DATABASE_URL": "postgres:///loans"},
			append([]string{"queue"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, got.code, args)
		require.Contains(t, got.stderr, says, args)
	}
}
