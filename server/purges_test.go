package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/server"
)

func TestPurgesOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	user := l.user(t, "pat")
	l.super(t, `INSERT INTO sessions (user_id, token_hash, ip, user_agent, created_at, expires_at)
		SELECT $1, sha256('x'), '192.0.2.1', '', now() - make_interval(hours => h + 12), now() - make_interval(hours => h)
		FROM generate_series(1, 30) h`, user.ID)
	l.super(t, `INSERT INTO login_attempts (name, ip, outcome, attempted_at)
		SELECT 'x', '192.0.2.1', 'throttled', now() - make_interval(days => d) FROM generate_series(1, 100) d`)
	hook, _ := testdb.WebhookSubscription(t, l.db.App, "https://example.com/", jobs.EventPaymentPosted)
	l.super(t, `WITH told AS (
			INSERT INTO webhook_messages (id, type, source, occurred_at, data)
			SELECT gen_random_uuid(), 'payment.posted', d::text, now() - make_interval(days => d), '{}'
			FROM generate_series(1, 40) d RETURNING id, occurred_at
		)
		INSERT INTO webhook_deliveries (message_id, subscription_id, status, created_at, next_attempt_at)
		SELECT id, $1, 'failed', occurred_at, NULL FROM told`, hook.ID)
	l.work(t)
	purge := func(path, body, key string) map[string]any {
		w := l.call(http.MethodPost, path, body, "Idempotency-Key", key)
		answer(t, w, http.StatusAccepted)
		again := l.call(http.MethodPost, path, body, "Idempotency-Key", key)
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, w.Body.String(), again.Body.String())
		got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
		require.Equal(t, "finished", got["status"])
		return got
	}
	numbers := func(run map[string]any) []any {
		return []any{run["total"], run["done"], run["changed"], run["purge"].(map[string]any)["remaining"]}
	}
	const sessions, attempts, hooks = "/v1/session-cleanups", "/v1/login-attempt-prunings", "/v1/webhook-message-prunings"
	require.Equal(t, []any{7.0, 7.0, 0.0, 7.0}, numbers(purge(sessions, `{"dry_run":true}`, "a")))
	require.Equal(t, []any{7.0, 7.0, 7.0, 0.0}, numbers(purge(sessions, `{}`, "b")))
	require.Equal(t, []any{23.0, 23.0, 23.0, 0.0}, numbers(purge(sessions, `{"grace_hours":0}`, "c")))
	require.Equal(t, []any{11.0, 11.0, 0.0, 11.0}, numbers(purge(attempts, `{"dry_run":true}`, "d")))
	require.Equal(t, []any{11.0, 11.0, 11.0, 0.0}, numbers(purge(attempts, `{}`, "e")))
	require.Equal(t, []any{89.0, 89.0, 89.0, 0.0}, numbers(purge(attempts, `{"retention_days":1}`, "f")))
	require.Equal(t, 100, l.count(t, `SELECT sum(attempts) FROM login_attempt_counts`))

	require.Equal(t, []any{22.0, 22.0, 0.0, 22.0}, numbers(purge(hooks, `{"dry_run":true}`, "i")))
	require.Equal(t, []any{22.0, 22.0, 22.0, 0.0}, numbers(purge(hooks, `{}`, "j")))
	require.Equal(t, []any{46.0, 46.0, 46.0, 0.0}, numbers(purge(hooks, `{"retention_days":7}`, "k")))

	w := l.call(http.MethodPost, attempts, `{"retention_days":0}`, "Idempotency-Key", "g")
	require.Equal(t, []string{"/retention_days"}, refused(t, w, 422, "invalid"))
	w = l.call(http.MethodPost, hooks, `{"retention_days":6}`, "Idempotency-Key", "g")
	require.Equal(t, []string{"/retention_days"}, refused(t, w, 422, "invalid"))
	w = l.call(http.MethodPost, sessions, `{"grace_hours":-1}`, "Idempotency-Key", "g")
	require.Equal(t, []string{"/grace_hours"}, refused(t, w, 422, "invalid"))
	refused(t, l.call(http.MethodPost, sessions, `{}`), 400, "key-missing")
	refused(t, l.call(http.MethodPost, sessions, `{"grace_hours":5}`, "Idempotency-Key", "b"), 422, "key-reused")
	l.token = l.newToken(t, server.ScopeRunsRead)
	refused(t, l.call(http.MethodPost, sessions, `{}`, "Idempotency-Key", "h"), 403, "forbidden")
	refused(t, l.call(http.MethodPost, attempts, `{}`, "Idempotency-Key", "h"), 403, "forbidden")
	refused(t, l.call(http.MethodPost, hooks, `{}`, "Idempotency-Key", "h"), 403, "forbidden")
}
