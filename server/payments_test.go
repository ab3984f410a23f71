package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

// payTo is where payments to a sample loan are sent.
func payTo(t *testing.T, l *live) string {
	t.Helper()

	return fmt.Sprintf("/v1/loans/%d/payments", testdb.Loan(t, l.db.App).ID)
}

func (l *live) count(t *testing.T, sql string) int {
	t.Helper()

	var n int
	require.NoError(t, l.db.Super.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

const (
	countPayments = `SELECT count(*) FROM payments`
	countJobs     = `SELECT count(*) FROM river.river_job WHERE kind LIKE 'post_payment%'`
)

func TestCreatePayment(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	w := l.call(http.MethodPost, payTo(t, l), paymentBody, "Idempotency-Key", "p-1")
	got := answer(t, w, http.StatusAccepted)
	require.Equal(t, "received", got["status"])
	require.Equal(t, "periodic", got["designation"])
	require.InDelta(t, 154901, got["amount_cents"], 0)
	require.Equal(t, "/v1/payments/"+got["payment_id"].(string), w.Header().Get("Location"))
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, 1, l.count(t, countPayments))
	require.Equal(t, 1, l.count(t, countJobs))

	waiting := l.call(http.MethodGet, w.Header().Get("Location"), "")
	require.Equal(t, "received", answer(t, waiting, 200)["status"])
	require.Equal(t, "1", waiting.Header().Get("Retry-After"))
}

func TestPaymentIsPostedWhileAClientWaits(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	body := fmt.Sprintf(`{"amount_cents":%d,"received_on":"2026-02-01","channel":"ach"}`,
		int64(loan.PrincipalAndInterestCents+loan.EscrowPaymentCents)+100)
	w := l.call(http.MethodPost, fmt.Sprintf("/v1/loans/%d/payments", loan.ID), body, "Idempotency-Key", "p-1")
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())

	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20") }()
	l.work(t)
	posted := <-done
	require.Equal(t, "wait=20", posted.Header().Get("Preference-Applied"))
	require.Empty(t, posted.Header().Get("Retry-After"))
	got := answer(t, posted, 200)
	require.Equal(t, "posted", got["status"])
	split := got["split"].(map[string]any)
	require.Equal(t, []any{"2026-02-01"}, split["installments_satisfied"])
	parts := split["parts"].([]any)
	require.Len(t, parts, 2)
	require.Equal(t, "12 CFR 1026.36(c)(1)(i)", parts[0].(map[string]any)["rule"])
	require.Equal(t, "excess_policy", parts[1].(map[string]any)["rule"])

	// The parts sum to the split, and the split to the payment.
	total := 0.0
	for _, destination := range []string{"interest", "principal", "escrow", "late_charge", "suspense"} {
		name := destination + "_cents"
		sum := 0.0
		for _, p := range parts {
			sum += p.(map[string]any)[name].(float64)
		}
		require.InDelta(t, split[name], sum, 0, name)
		total += sum
	}
	require.InDelta(t, got["amount_cents"], total, 0)

	// The first answer again, although much has happened since.
	again := l.call(http.MethodPost, fmt.Sprintf("/v1/loans/%d/payments", loan.ID), body, "Idempotency-Key", "p-1")
	require.Equal(t, w.Body.String(), again.Body.String())

	books := answer(t, l.call(http.MethodGet, fmt.Sprintf("/v1/loans/%d/transactions?limit=2", loan.ID), ""), 200)
	require.Len(t, books["data"], 2)
	rest := answer(t, l.call(http.MethodGet,
		fmt.Sprintf("/v1/loans/%d/transactions?cursor=%s", loan.ID, books["next_cursor"]), ""), 200)
	require.Len(t, rest["data"], 1)
	require.Equal(t, got["payment_id"], rest["data"].([]any)[0].(map[string]any)["payment_id"])
}

func TestWaitingForAPaymentEnds(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	w := l.call(http.MethodPost, payTo(t, l), paymentBody, "Idempotency-Key", "p-1")
	started := time.Now()
	got := l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=1")
	require.Equal(t, "received", answer(t, got, 200)["status"])
	require.GreaterOrEqual(t, time.Since(started), time.Second)
	require.Equal(t, "1", got.Header().Get("Retry-After"))
}

func TestPaymentIsRepeatable(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	first := l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", "p-1")
	require.Equal(t, http.StatusAccepted, first.Code, first.Body.String())
	require.Empty(t, first.Header().Get("Idempotent-Replayed"))

	// The same request, however it is written.
	for _, body := range []string{
		paymentBody,
		`{ "channel": "\u0061ch", "designation":"periodic", "received_on":"2026-02-01","amount_cents":154901 }`,
	} {
		again := l.call(http.MethodPost, path, body, "Idempotency-Key", `"p-1"`)
		require.Equal(t, http.StatusAccepted, again.Code, again.Body.String())
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, first.Body.String(), again.Body.String())
		require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
		require.Equal(t, first.Header().Get("Retry-After"), again.Header().Get("Retry-After"))
	}

	// Another amount, and another loan, are other requests.
	other := strings.Replace(paymentBody, "154901", "154902", 1)
	require.Equal(t, []string{"Idempotency-Key:"},
		refused(t, l.call(http.MethodPost, path, other, "Idempotency-Key", "p-1"), 422, "key-reused"))
	refused(t, l.call(http.MethodPost, payTo(t, l), paymentBody, "Idempotency-Key", "p-1"), 422, "key-reused")
	require.Equal(t, 1, l.count(t, countPayments))
	require.Equal(t, 1, l.count(t, countJobs))

	// Another principal has keys of its own.
	l.token = l.newToken(t, server.ScopePaymentsWrite)
	elsewhere := l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", "p-1")
	require.Equal(t, http.StatusAccepted, elsewhere.Code)
	require.NotEqual(t, first.Header().Get("Location"), elsewhere.Header().Get("Location"))
}

// Forty requests with one key at the same moment are one payment, with and
// without a reference that is unique as well.
func TestSimultaneousPaymentsWithOneKey(t *testing.T) {
	t.Parallel()

	for name, body := range map[string]string{
		"without a reference": paymentBody,
		"with a reference":    strings.TrimSuffix(paymentBody, "}") + `,"external_ref":"LBX-1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			l := setupLive(t)
			path := payTo(t, l)
			const rounds, simultaneous = 10, 40
			for round := range rounds {
				body := strings.Replace(body, "LBX-1", fmt.Sprint("LBX-", round), 1)
				answers := make([]*httptest.ResponseRecorder, simultaneous)
				var all sync.WaitGroup
				for i := range answers {
					all.Go(func() {
						answers[i] = l.call(http.MethodPost, path, body, "Idempotency-Key", fmt.Sprint("p-", round))
					})
				}
				all.Wait()
				fresh := 0
				for _, w := range answers {
					require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
					require.Equal(t, answers[0].Body.String(), w.Body.String())
					require.Equal(t, answers[0].Header().Get("Location"), w.Header().Get("Location"))
					if w.Header().Get("Idempotent-Replayed") == "" {
						fresh++
					}
				}
				require.Equal(t, 1, fresh)
			}
			require.Equal(t, rounds, l.count(t, countPayments))
			require.Equal(t, rounds, l.count(t, countJobs))
		})
	}
}

func TestPaymentsThatAreRefused(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	send := func(path, body, key string) *httptest.ResponseRecorder {
		return l.call(http.MethodPost, path, body, "Idempotency-Key", key)
	}
	received := func(on string) string { return strings.Replace(paymentBody, "2026-02-01", on, 1) }
	today := time.Now().UTC()

	refused(t, l.call(http.MethodPost, path, paymentBody), 400, "key-missing")
	refused(t, send(path, paymentBody, `"p`), 400, "malformed")
	refused(t, send("/v1/loans/999/payments", paymentBody, "k-1"), 404, "not-found")
	for key, on := range map[string]string{
		"k-2": "1969-12-31", "k-3": today.AddDate(0, 0, 2).Format(time.DateOnly), "k-4": "2199-12-31",
	} {
		require.Equal(t, []string{"/received_on"}, refused(t, send(path, received(on), key), 422, "invalid"), on)
	}
	for key, on := range map[string]string{"k-2": "1970-01-01", "k-3": today.AddDate(0, 0, 1).Format(time.DateOnly)} {
		answer(t, send(path, received(on), key), http.StatusAccepted) // A refused key is as good as new.
	}

	withRef := strings.TrimSuffix(paymentBody, "}") + `,"external_ref":"LBX-1"}`
	answer(t, send(path, withRef, "k-5"), http.StatusAccepted)
	require.Equal(t, []string{"/external_ref"}, refused(t, send(path, withRef, "k-6"), 409, "conflict"))
	answer(t, send(path, strings.Replace(withRef, "ach", "wire", 1), "k-6"), http.StatusAccepted)
	require.Equal(t, l.count(t, countPayments), l.count(t, countJobs))

	l.token = l.newToken(t, server.ScopePaymentsRead)
	refused(t, send(path, paymentBody, "k-7"), 403, "forbidden")
}

func TestListPayments(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	require.Empty(t, answer(t, l.call(http.MethodGet, path, ""), 200)["data"])
	var sent []string
	for i := range 5 {
		w := l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", fmt.Sprint("p-", i))
		sent = append([]string{answer(t, w, http.StatusAccepted)["payment_id"].(string)}, sent...)
	}
	var got []string
	for next := path + "?limit=2"; next != ""; {
		w := l.call(http.MethodGet, next, "")
		for _, item := range answer(t, w, 200)["data"].([]any) {
			got = append(got, item.(map[string]any)["payment_id"].(string))
		}
		next = nextPage(w)
	}
	require.Equal(t, sent, got, "the latest first")
	require.Equal(t, []string{"?cursor"}, refused(t, l.call(http.MethodGet, path+"?cursor=MS4x", ""), 422, "invalid"))
}

// When the queue cannot take the job, the payment is not stored either.
func TestPaymentAndJobAreOne(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	_, err := l.db.Super.Exec(t.Context(), `REVOKE INSERT ON river.river_job FROM loanserve_app`)
	require.NoError(t, err)
	w := l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", "p-1")
	refused(t, w, 500, "internal")
	require.Contains(t, l.log.String(), `"act":"enqueue posting`)
	require.Zero(t, l.count(t, countPayments))

	_, err = l.db.Super.Exec(t.Context(), `GRANT INSERT ON river.river_job TO loanserve_app`)
	require.NoError(t, err)
	answer(t, l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", "p-1"), http.StatusAccepted)
}

// A locked table is a passing fault, not ours and not the client's.
func TestBusyDatabaseAsksToComeBack(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	_, err := l.db.Super.Exec(t.Context(), `ALTER DATABASE `+l.db.Name+` SET lock_timeout = '200ms'`)
	require.NoError(t, err)
	l.db.App.Reset()
	tx, err := l.db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE payments IN SHARE MODE`)
	require.NoError(t, err)

	w := l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", "p-1")
	refused(t, w, 503, "unavailable")
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.NoError(t, tx.Rollback(t.Context()))
	answer(t, l.call(http.MethodPost, path, paymentBody, "Idempotency-Key", "p-1"), http.StatusAccepted)
}
