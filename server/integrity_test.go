package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

func TestIntegrityOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	sound, damaged := testdb.Loan(t, l.db.App), testdb.Loan(t, l.db.App)
	l.work(t)
	check := func(body, key string) map[string]any {
		w := l.call(http.MethodPost, "/v1/integrity-checks", body, "Idempotency-Key", key)
		require.Equal(t, "check_integrity", answer(t, w, http.StatusAccepted)["kind"])
		again := l.call(http.MethodPost, "/v1/integrity-checks", body, "Idempotency-Key", key)
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, w.Body.String(), again.Body.String())
		got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
		require.Equal(t, "finished", got["status"])
		return got
	}
	find := func(query string) []any {
		return answer(t, l.call(http.MethodGet, "/v1/integrity-findings"+query, ""), 200)["data"].([]any)
	}
	got := check(`{}`, "a")
	require.Equal(t, []any{2.0, 2.0, 0.0, 0.0}, []any{got["total"], got["done"], got["changed"], got["failed_count"]})
	require.Empty(t, find(""))

	l.super(t, `UPDATE loans SET escrow_cents = escrow_cents + 1 WHERE id = $1`, damaged.ID)
	got = check(`{}`, "b")
	require.Equal(t, []any{1.0, 1.0, 1.0}, []any{got["total"], got["done"], got["changed"]})
	require.Len(t, got["findings"], 2)
	got = check(`{"full":true}`, "c")
	require.Equal(t, []any{2.0, 2.0, 1.0}, []any{got["total"], got["done"], got["changed"]})

	all := find("")
	require.Len(t, all, 3, "the loan's balance, what its payments lead to, and the control total")
	of := find(fmt.Sprintf("?kind=balance_mismatch&severity=critical&loan_id=%d", damaged.ID))
	require.Len(t, of, 1)
	finding := of[0].(map[string]any)
	require.Equal(t, "escrow_cents", finding["subject"])
	require.Equal(t, map[string]any{"loan_cents": 120001.0, "ledger_cents": 120000.0}, finding["details"])
	require.NotEmpty(t, finding["suggested_action"])
	require.Empty(t, find(fmt.Sprintf("?loan_id=%d", sound.ID)))
	require.Empty(t, find("?state=resolved"))
	page := answer(t, l.call(http.MethodGet, "/v1/integrity-findings?limit=2&state=all", ""), 200)
	require.Len(t, page["data"], 2)
	require.Equal(t, []any{all[2]}, find("?limit=2&state=all&cursor="+page["next_cursor"].(string)))

	l.super(t, `UPDATE loans SET escrow_cents = escrow_cents - 1 WHERE id = $1`, damaged.ID)
	check(`{"full":true}`, "d")
	require.Empty(t, find(""))
	require.Len(t, find("?state=resolved"), 3)

	wrong := l.call(http.MethodGet, "/v1/integrity-findings?kind=x", "")
	require.Equal(t, []string{"?kind"}, refused(t, wrong, 422, "invalid"))
	refused(t, l.call(http.MethodPost, "/v1/integrity-checks", `{}`), 400, "key-missing")
	refused(t, l.call(http.MethodPost, "/v1/integrity-checks", `{"full":true}`, "Idempotency-Key", "b"), 422, "key-reused")
	l.token = l.newToken(t, server.ScopeRunsRead)
	refused(t, l.call(http.MethodPost, "/v1/integrity-checks", `{}`, "Idempotency-Key", "h"), 403, "forbidden")
	refused(t, l.call(http.MethodGet, "/v1/integrity-findings", ""), 403, "forbidden")
}
