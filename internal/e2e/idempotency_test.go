package e2e_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// testIdempotency sends one payment forty times at once.
func testIdempotency(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("loans:read", "loans:write", "payments:read", "payments:write")
	serve := p.start("serve", "--workers", "4")
	loan := p.board(serve, "IDEM-1")
	const times = 40
	body := paymentOf(1000_00, "2026-01-01")

	answers := make([]answer, times)
	var sent sync.WaitGroup
	for i := range answers {
		sent.Go(func() {
			a, err := p.request(serve, http.MethodPost, loan+"/payments", body, "Idempotency-Key", "one")
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
			answers[i] = a
		})
	}
	sent.Wait()

	fresh := 0
	for i, a := range answers {
		require.Equalf(t, http.StatusAccepted, a.status, "answer %d: %s", i, a.body)
		require.Equal(t, answers[0].body, a.body, "answer %d", i)
		require.Equal(t, answers[0].header.Get("Location"), a.header.Get("Location"), "answer %d", i)
		if a.header.Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	require.Equal(t, 1, fresh, "answers that are not replays")
	location := answers[0].header.Get("Location")
	payment := p.mustRequest(serve, http.StatusOK, http.MethodGet, location, "", "Prefer", "wait=30")
	require.Equal(t, "posted", payment.field(t, "status"))
	late := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, loan+"/payments",
		paymentOf(1000_00, "2026-01-01"), "Idempotency-Key", `"one"`)
	require.Equal(t, answers[0].body, late.body, "the same answer after it was posted, and for the quoted key")

	for _, other := range []struct {
		what, path, body, key string
		status                int
	}{
		{"another amount", loan + "/payments", paymentOf(999_99, "2026-01-01"), "one", http.StatusUnprocessableEntity},
		{"another loan", p.board(serve, "IDEM-2") + "/payments", body, "one", http.StatusUnprocessableEntity},
		{"no key", loan + "/payments", body, "", http.StatusBadRequest},
		{"unknown loan", "/v1/loans/999999/payments", body, "two", http.StatusNotFound},
	} {
		a, err := p.request(serve, http.MethodPost, other.path, other.body, "Idempotency-Key", other.key)
		require.NoError(t, err)
		require.Equalf(t, other.status, a.status, "%s: %s", other.what, a.body)
		require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	}

	var payments, transactions, jobs int
	err := p.db.Super.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM payments),
  (SELECT count(*) FROM transactions WHERE kind <> 'boarding'),
  (SELECT count(*) FROM river.river_job WHERE queue NOT IN ('housekeeping', 'schema', 'integrity', 'alarm'))`).
		Scan(&payments, &transactions, &jobs)
	require.NoError(t, err)
	require.Equal(t, [3]int{1, 1, 1}, [3]int{payments, transactions, jobs}, "payments, transactions, jobs")
	p.requireSoundBooks()
}
