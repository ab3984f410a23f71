package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// receipts are payments of the sample loan, of which an installment is 2,346.20.
// They come late, in part, for principal and with more than is due. The first is
// the one that comes back.
var receipts = []string{
	`{"amount_cents":234620,"received_on":"2026-02-01","channel":"ach"}`,
	`{"amount_cents":234620,"received_on":"2026-03-10","channel":"ach"}`,
	`{"amount_cents":100000,"received_on":"2026-04-05","channel":"check"}`,
	`{"amount_cents":245000,"received_on":"2026-04-25","channel":"check"}`,
	`{"amount_cents":234620,"received_on":"2026-05-20","channel":"ach"}`,
	`{"amount_cents":500000,"received_on":"2026-06-03","channel":"wire","designation":"principal"}`,
}

// ask sends what starts work, under a key of its own.
func (l *live) ask(path, body string) *httptest.ResponseRecorder {
	return l.call(http.MethodPost, path, body, "Idempotency-Key", testdb.Unique("key"))
}

// outcome asks for work and returns what became of it.
func (l *live) outcome(t *testing.T, path, body string) map[string]any {
	t.Helper()

	w := l.ask(path, body)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	return answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=30"), 200)
}

// pay posts payments to the loan, in their order, and returns their paths.
func (l *live) pay(t *testing.T, loan queries.Loan, bodies ...string) []string {
	t.Helper()

	paths := make([]string, len(bodies))
	for i, body := range bodies {
		got := l.outcome(t, fmt.Sprintf("/v1/loans/%d/payments", loan.ID), body)
		require.Equal(t, "posted", got["status"], body)
		paths[i] = "/v1/payments/" + got["payment_id"].(string)
	}
	return paths
}

// reverse reverses a payment or a reversal, and returns the path of the reversal.
func (l *live) reverse(t *testing.T, path, body string) string {
	t.Helper()

	got := l.outcome(t, path+"/reversals", body)
	require.Equal(t, "posted", got["status"], got)
	return "/v1/payment-reversals/" + got["reversal_id"].(string)
}

func (l *live) closeDay(t *testing.T, on string) {
	t.Helper()

	require.Equal(t, "finished", l.outcome(t, "/v1/day-closes", `{"as_of_on":"`+on+`"}`)["status"])
}

// standing is what a loan owes and holds, what stands in its books, and where
// the money of each of its payments went, without what tells two loans apart.
func (l *live) standing(t *testing.T, loan queries.Loan) []any {
	t.Helper()

	var all []any
	at := fmt.Sprintf("/v1/loans/%d", loan.ID)
	shown := answer(t, l.call(http.MethodGet, at, ""), 200)
	for _, name := range []string{
		"status", "principal_cents", "escrow_cents", "suspense_cents", "late_charges_due_cents", "fees_due_cents",
		"next_due_on",
	} {
		all = append(all, shown[name])
	}
	rows, err := l.q.ListLiveTransactions(t.Context(), loan.ID)
	require.NoError(t, err)
	for _, r := range rows {
		all = append(all, r.Kind, r.EffectiveOn.String(), r.DueOn.String(), r.CashCents, r.PrincipalCents,
			r.InterestIncomeCents, r.EscrowCents, r.SuspenseCents, r.LateChargesReceivableCents, r.FeesReceivableCents, r.Rule)
	}
	payments := answer(t, l.call(http.MethodGet, at+"/payments", ""), 200)
	for _, p := range payments["data"].([]any) {
		if p := p.(map[string]any); p["status"] == "posted" {
			all = append(all, p["received_on"], p["amount_cents"], p["split"])
		}
	}
	return all
}

func (l *live) requireSoundBooks(t *testing.T) {
	t.Helper()

	require.Zero(t, l.count(t, `SELECT count(*) FROM broken_seals`))
	require.Zero(t, l.count(t, `SELECT count(*) FROM unreconciled_loans`))
}

// A payment comes back half a year after five more were posted on top of it.
// The loan is then to the cent where one is that never had the payment; and when
// the reversal is reversed, where one is that was never touched.
func TestReversalMonthsLater(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	loan, without, untouched := testdb.Loan(t, l.db.App), testdb.Loan(t, l.db.App), testdb.Loan(t, l.db.App)
	paths := l.pay(t, loan, receipts...)
	l.pay(t, without, receipts[1:]...)
	l.pay(t, untouched, receipts...)
	l.closeDay(t, "2026-07-20")
	require.Equal(t, l.standing(t, untouched), l.standing(t, loan))
	require.NotEqual(t, l.standing(t, without), l.standing(t, loan))

	first := paths[0]
	var reversals []string
	for range 2 { // As often as one likes.
		reversed := l.reverse(t, first, `{"reason":"R10","note":"returned in July"}`)
		require.Equal(t, l.standing(t, without), l.standing(t, loan))
		l.requireSoundBooks(t)
		shown := answer(t, l.call(http.MethodGet, first, ""), 200)
		require.Equal(t, []any{"reversed", "R10", reversed[len("/v1/payment-reversals/"):], nil},
			[]any{shown["status"], shown["reversal_reason"], shown["reversal_id"], shown["split"]})
		require.NotEmpty(t, shown["reversed_at"])

		undone := l.reverse(t, reversed, `{"reason":"dishonored","note":"the bank was late"}`)
		require.Equal(t, l.standing(t, untouched), l.standing(t, loan))
		l.requireSoundBooks(t)
		shown = answer(t, l.call(http.MethodGet, first, ""), 200)
		require.Equal(t, []any{"posted", nil, nil, nil},
			[]any{shown["status"], shown["reversal_reason"], shown["reversal_id"], shown["reversed_at"]})
		require.NotEmpty(t, shown["split"].(map[string]any)["parts"])
		require.NotEmpty(t, answer(t, l.call(http.MethodGet, reversed, ""), 200)["undone_at"])
		reversals = append([]string{undone, reversed}, reversals...)
	}

	var listed []string
	for next := first + "/reversals?limit=3"; next != ""; {
		w := l.call(http.MethodGet, next, "")
		for _, item := range answer(t, w, 200)["data"].([]any) {
			listed = append(listed, "/v1/payment-reversals/"+item.(map[string]any)["reversal_id"].(string))
		}
		next = nextPage(w)
	}
	require.Equal(t, reversals, listed, "the latest first")
	require.Empty(t, answer(t, l.call(http.MethodGet, paths[1]+"/reversals", ""), 200)["data"])
}

// While a wish is open there is no second one, and its answer stays the same.
func TestReversalIsRepeatable(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	stopped := l.workUntilStopped(t)
	payment := l.pay(t, testdb.Loan(t, l.db.App), receipts[0])[0]
	stopped()

	send := func(path, body, key string) *httptest.ResponseRecorder {
		return l.call(http.MethodPost, path, body, "Idempotency-Key", key)
	}
	const body = `{"reason":"R01","note":"as the bank says"}`
	first := send(payment+"/reversals", body, "r-1")
	require.Equal(t, http.StatusAccepted, first.Code, first.Body.String())
	require.Equal(t, "1", first.Header().Get("Retry-After"))
	repeat := func() {
		again := send(payment+"/reversals", `{"note":"as the bank says","reason":"R01"}`, `"r-1"`)
		require.Equal(t, http.StatusAccepted, again.Code, again.Body.String())
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, first.Body.String(), again.Body.String())
	}
	repeat()
	refused(t, send(payment+"/reversals", body, "r-2"), 409, "conflict")
	refused(t, send(payment+"/reversals", `{"reason":"R02"}`, "r-1"), 422, "key-reused")
	reversal := first.Header().Get("Location")
	refused(t, send(reversal+"/reversals", `{"reason":"mistaken"}`, "r-3"), 409, "conflict")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'reverse_payment'`))

	l.work(t)
	require.Equal(t, "posted", answer(t, l.call(http.MethodGet, reversal, "", "Prefer", "wait=30"), 200)["status"])
	repeat()
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM transactions WHERE kind = 'reversal'`))
	// The key is of the reversal, and not of its undoing.
	refused(t, send(reversal+"/reversals", `{"reason":"mistaken"}`, "r-1"), 422, "key-reused")
}

// Twelve requests with one key at the same moment are one reversal.
func TestReversalsWithOneKeyAtOnce(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	loan := testdb.Loan(t, l.db.App)
	for round := range 10 {
		payment := l.pay(t, loan, receipts[1])[0]
		answers := make([]*httptest.ResponseRecorder, 12)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				answers[i] = l.call(http.MethodPost, payment+"/reversals", `{"reason":"R01"}`,
					"Idempotency-Key", fmt.Sprint("r-", round))
			})
		}
		all.Wait()
		for _, w := range answers {
			require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
			require.Equal(t, answers[0].Body.String(), w.Body.String())
		}
	}
	require.Equal(t, 10, l.count(t, `SELECT count(*) FROM payment_reversals`))
	require.Equal(t, 10, l.count(t, countReversalJobs))
}

// Twelve ask at once to reverse a payment, and then twelve to reverse that: each
// time one gets it, and it happens once.
func TestReversalsThatRace(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	loan := testdb.Loan(t, l.db.App)
	at := l.pay(t, loan, receipts[0])[0]
	before := l.standing(t, loan)
	for round := range 6 {
		body := `{"reason":"R01"}`
		if round%2 == 1 {
			body = `{"reason":"mistaken"}`
		}
		answers := make([]*httptest.ResponseRecorder, 12)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = l.ask(at+"/reversals", body) })
		}
		all.Wait()
		var won []string
		for _, w := range answers {
			if w.Code != http.StatusAccepted {
				refused(t, w, 409, "conflict")
				continue
			}
			won = append(won, w.Header().Get("Location"))
		}
		require.Len(t, won, 1)
		require.Equal(t, "posted", answer(t, l.call(http.MethodGet, won[0], "", "Prefer", "wait=30"), 200)["status"])
		reversals := l.count(t, `SELECT count(*) FROM transactions WHERE kind = 'reversal'`)
		require.Equal(t, round/2+1, reversals, "transactions that reverse")
		l.requireSoundBooks(t)
		if round%2 == 0 {
			at = won[0]
			continue
		}
		require.Equal(t, before, l.standing(t, loan))
		at = "/v1/payments/" + answer(t, l.call(http.MethodGet, won[0], ""), 200)["payment_id"].(string)
	}
}
