package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/mortgage"
	"loanserve/server"
)

const closeBody = `{"as_of_on":"2026-02-17"}`

func TestCloseDay(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	w := l.call(http.MethodPost, "/v1/day-closes", closeBody, "Idempotency-Key", "c-1")
	got := answer(t, w, http.StatusAccepted)
	require.Equal(t, "requested", got["status"])
	require.Equal(t, "close_day", got["kind"])
	require.Equal(t, "2026-02-17", got["as_of_on"])
	location := w.Header().Get("Location")
	require.Equal(t, "/v1/runs/"+got["run_id"].(string), location)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	waiting := l.call(http.MethodGet, location, "")
	require.Equal(t, "requested", answer(t, waiting, 200)["status"])
	require.Equal(t, "1", waiting.Header().Get("Retry-After"))

	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- l.call(http.MethodGet, location, "", "Prefer", "wait=20") }()
	l.work(t)
	over := <-done
	require.Equal(t, "wait=20", over.Header().Get("Preference-Applied"))
	require.Empty(t, over.Header().Get("Retry-After"))
	got = answer(t, over, 200)
	require.Equal(t, "finished", got["status"])
	require.Equal(t, []any{1.0, 1.0, 1.0, 0.0}, []any{got["total"], got["done"], got["changed"], got["failed_count"]})
	require.Equal(t, []any{}, got["findings"])
	shown := answer(t, l.call(http.MethodGet, fmt.Sprintf("/v1/loans/%d", loan.ID), ""), 200)
	require.InDelta(t, 9481, shown["late_charges_due_cents"], 0)

	again := l.call(http.MethodPost, "/v1/day-closes", closeBody, "Idempotency-Key", `"c-1"`)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, w.Body.String(), again.Body.String())

	second := l.call(http.MethodPost, "/v1/day-closes", closeBody, "Idempotency-Key", "c-2")
	over = l.call(http.MethodGet, second.Header().Get("Location"), "", "Prefer", "wait=20")
	got = answer(t, over, 200)
	require.Equal(t, "finished", got["status"])
	require.InDelta(t, 0, got["changed"], 0, "the day is closed already")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM transactions WHERE kind = 'late_charge'`))
}

func TestCloseDayRefuses(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	tomorrow := fmt.Sprintf(`{"as_of_on":%q}`, mortgage.DateOf(time.Now())+1)
	w := l.call(http.MethodPost, "/v1/day-closes", tomorrow, "Idempotency-Key", "c-1")
	require.Equal(t, []string{"/as_of_on"}, refused(t, w, 422, "invalid"))
	refused(t, l.call(http.MethodPost, "/v1/day-closes", closeBody), 400, "key-missing")
	refused(t, l.call(http.MethodPost, "/v1/day-closes", `{}`, "Idempotency-Key", "c-1"), 422, "invalid")
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM runs`))

	today := fmt.Sprintf(`{"as_of_on":%q}`, mortgage.DateOf(time.Now()))
	answer(t, l.call(http.MethodPost, "/v1/day-closes", today, "Idempotency-Key", "c-1"), http.StatusAccepted)
	refused(t, l.call(http.MethodPost, "/v1/day-closes", closeBody, "Idempotency-Key", "c-1"), 422, "key-reused")

	refused(t, l.call(http.MethodGet, "/v1/runs/"+uuid.NewString(), ""), 404, "not-found")
	l.token = l.newToken(t, server.ScopeLoansWrite)
	refused(t, l.call(http.MethodPost, "/v1/day-closes", closeBody, "Idempotency-Key", "c-2"), 403, "forbidden")
	refused(t, l.call(http.MethodGet, "/v1/runs", ""), 403, "forbidden")
}

func TestSimultaneousClosesWithOneKey(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	answers := make([]*httptest.ResponseRecorder, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = l.call(http.MethodPost, "/v1/day-closes", closeBody, "Idempotency-Key", "c-1") })
	}
	all.Wait()
	for _, w := range answers {
		require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
		require.Equal(t, answers[0].Body.String(), w.Body.String())
	}
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'close_day'`))
}

func TestListRuns(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	require.Empty(t, answer(t, l.call(http.MethodGet, "/v1/runs", ""), 200)["data"])
	var want, got []string
	for range 5 {
		want = append([]string{testdb.Run(t, l.db.App).ID.String()}, want...)
	}
	for next := "/v1/runs?limit=2"; next != ""; {
		w := l.call(http.MethodGet, next, "")
		for _, item := range answer(t, w, 200)["data"].([]any) {
			got = append(got, item.(map[string]any)["run_id"].(string))
			require.NotContains(t, item, "findings")
		}
		next = nextPage(w)
	}
	require.Equal(t, want, got, "the latest first")
	require.Equal(t, []string{"?cursor"}, refused(t, l.call(http.MethodGet, "/v1/runs?cursor=MS4x", ""), 422, "invalid"))
}
