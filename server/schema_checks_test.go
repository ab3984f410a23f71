package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

func TestSchemaChecksOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	check := func(key string) map[string]any {
		w := l.call(http.MethodPost, "/v1/schema-checks", `{}`, "Idempotency-Key", key)
		answer(t, w, http.StatusAccepted)
		again := l.call(http.MethodPost, "/v1/schema-checks", `{}`, "Idempotency-Key", key)
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, w.Body.String(), again.Body.String())
		return answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	}
	refused(t, l.call(http.MethodPost, "/v1/schema-checks", `{}`), 400, "key-missing")
	reader := l.as(l.newToken(t, server.ScopeRunsRead))
	refused(t, reader.call(http.MethodPost, "/v1/schema-checks", `{}`, "Idempotency-Key", "d"), 403, "forbidden")

	got := check("a")
	require.Equal(t, []any{"check_schema", "finished", 0.0}, []any{got["kind"], got["status"], got["total"]})
	require.Empty(t, got["findings"])

	l.super(t, `ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address`)
	l.super(t, `GRANT DELETE ON loans TO loanserve_app`)
	got = check("b")
	require.Equal(t, []any{"finished", 2.0, 2.0}, []any{got["status"], got["total"], got["done"]})
	require.Equal(t, []any{
		map[string]any{
			"severity": "breaking", "kind": "column", "object": "public.user_ip_allowlist.ip",
			"detail": "column user_ip_allowlist.ip is missing; found ip_address",
			"remedy": "ALTER TABLE public.user_ip_allowlist RENAME COLUMN ip_address TO ip;",
		},
		map[string]any{
			"severity": "protection", "kind": "privileges", "object": "public.loans.TABLE TO loanserve_app",
			"detail": "loanserve_app has besides DELETE on table loans",
			"remedy": "REVOKE DELETE ON TABLE public.loans FROM loanserve_app;",
		},
	}, got["findings"])

	// A database of other migrations is not judged.
	l.super(t, `INSERT INTO schema_migrations (version, name, sha256) VALUES (99999, 'later', 'x')`)
	got = check("c")
	require.Equal(t, "failed", got["status"])
	require.Contains(t, got["findings"].([]any)[0].(map[string]any)["detail"], "migrations")
}
