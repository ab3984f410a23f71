package server_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/server"
)

func TestBackupsOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	const path, body = "/v1/backups", `{"kind":"logical"}`
	w := l.call(http.MethodPost, path, body, "Idempotency-Key", "a")
	got := answer(t, w, http.StatusAccepted)
	require.Equal(t, "requested", got["status"])
	location := w.Header().Get("Location")
	require.Equal(t, path+"/"+got["backup_id"].(string), location)
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'back_up_database'`))

	again := l.call(http.MethodPost, path, body, "Idempotency-Key", "a")
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, w.Body.String(), again.Body.String())
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM backups`))
	answer(t, l.call(http.MethodPost, path, `{"kind":"physical"}`, "Idempotency-Key", "b"), http.StatusAccepted)

	l.super(t, `UPDATE backups SET status = 'refused', store_name = 'n', size_bytes = 7, started_at = now(),
		stored_at = now(), verified_at = now(), findings = '["one row is missing"]', failed_stage = 'store',
		failure = 'it was away' WHERE id = $1`,
		got["backup_id"])
	got = answer(t, l.call(http.MethodGet, location, ""), 200)
	require.Equal(t, "refused", got["status"])
	require.Equal(t, []any{"one row is missing"}, got["findings"])
	require.Equal(t, "it was away", got["failure"])

	list := answer(t, l.call(http.MethodGet, path+"?limit=1", ""), 200)
	require.Len(t, list["data"], 1)
	require.Equal(t, "physical", list["data"].([]any)[0].(map[string]any)["kind"])
	list = answer(t, l.call(http.MethodGet, path+"?limit=1&cursor="+list["next_cursor"].(string), ""), 200)
	require.Equal(t, "logical", list["data"].([]any)[0].(map[string]any)["kind"])
	require.NotContains(t, list, "next_cursor")

	require.NotContains(t, list, "pruning_refused")
	l.super(t, `INSERT INTO integrity_findings
  (kind, severity, loan_id, subject, details, suggested_action, first_seen_at, last_seen_at)
VALUES ('loan_missing', 'critical', 7, '', '{}', 'Bring it back.', now(), now())`)
	list = answer(t, l.call(http.MethodGet, path, ""), 200)
	require.Contains(t, list["pruning_refused"], "loans are missing")

	refused(t, l.call(http.MethodPost, path, body), 400, "key-missing")
	refused(t, l.call(http.MethodPost, path, `{"kind":"physical"}`, "Idempotency-Key", "a"), 422, "key-reused")
	w = l.call(http.MethodPost, path, `{"kind":"full"}`, "Idempotency-Key", "c")
	require.Equal(t, []string{"/kind"}, refused(t, w, 422, "invalid"))
	refused(t, l.call(http.MethodGet, path+"/"+uuid.NewString(), ""), 404, "not-found")
	l.token = l.newToken(t, server.ScopeBackupsRead)
	refused(t, l.call(http.MethodPost, path, body, "Idempotency-Key", "d"), 403, "forbidden")
	l.token = l.newToken(t, server.ScopeRunsRead)
	refused(t, l.call(http.MethodGet, path, ""), 403, "forbidden")
}
