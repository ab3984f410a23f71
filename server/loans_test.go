package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

func TestBoardLoan(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	w := l.call(http.MethodPost, "/v1/loans", boardingBody)
	boarded := answer(t, w, http.StatusCreated)
	require.Equal(t, "LS-1", boarded["loan_number"])
	location := w.Header().Get("Location")
	require.Equal(t, fmt.Sprintf("/v1/loans/%v", boarded["loan_id"]), location)

	loan := answer(t, l.call(http.MethodGet, location, ""), http.StatusOK)
	require.Equal(t, "active", loan["status"])
	require.InDelta(t, 20577551, loan["principal_cents"], 0)
	require.InDelta(t, 1, loan["due_day"], 0)
	require.Equal(t, "half_up", loan["rounding"])
	require.Equal(t, "2026-02-01", loan["next_due_on"])
	require.Equal(t, "OH", loan["property"].(map[string]any)["state"])
	require.Len(t, loan["borrowers"], 2)
	require.Len(t, loan["escrow_lines"], 1)
	require.NotContains(t, loan["late_charge"], "maximum_cents")

	// The books are open and balance: 205,775.51 + 25.00 - 1,740.72 - 50.00.
	books := answer(t, l.call(http.MethodGet, location+"/transactions", ""), http.StatusOK)
	first := books["data"].([]any)[0].(map[string]any)
	require.Equal(t, "boarding", first["kind"])
	require.InDelta(t, 20577551, first["principal_cents"], 0)
	require.InDelta(t, -(20577551 + 2500 - 174072 - 5000), first["boarding_clearing_cents"], 0)
	for _, view := range []string{"broken_seals", "unreconciled_loans"} {
		var n int
		require.NoError(t, l.db.Owner.QueryRow(t.Context(), "SELECT count(*) FROM "+view).Scan(&n))
		require.Zero(t, n, view)
	}

	// 205,775.51 at 4.125 % for a month is 707.3533…, and 1,163.16 - 707.35 = 455.81.
	schedule := answer(t, l.call(http.MethodGet, location+"/schedule?count=2", ""), http.StatusOK)
	require.Len(t, schedule["data"], 2)
	require.Equal(t, map[string]any{
		"due_on": "2026-02-01", "interest_cents": 70735.0, "principal_cents": 45581.0, "escrow_cents": 38585.0,
		"total_cents": 154901.0, "principal_after_cents": 20531970.0,
	}, schedule["data"].([]any)[0])

	require.NotContains(t, l.log.String(), "Abernathy", "a name is not for the log")
}

func TestBoardingIsRepeatable(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	first := l.call(http.MethodPost, "/v1/loans", boardingBody, "Idempotency-Key", "b-1")
	require.Equal(t, http.StatusCreated, first.Code, first.Body.String())
	require.Empty(t, first.Header().Get("Idempotent-Replayed"))

	again := l.call(http.MethodPost, "/v1/loans", " "+boardingBody, "Idempotency-Key", `"b-1"`)
	require.Equal(t, http.StatusCreated, again.Code)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
	require.Equal(t, first.Body.String(), again.Body.String())

	other := strings.Replace(boardingBody, "LS-1", "LS-2", 1)
	refused(t, l.call(http.MethodPost, "/v1/loans", other, "Idempotency-Key", "b-1"), 422, "key-reused")
	require.Equal(t, []string{"/loan_number"},
		refused(t, l.call(http.MethodPost, "/v1/loans", boardingBody, "Idempotency-Key", "b-2"), 409, "conflict"))
	refused(t, l.call(http.MethodPost, "/v1/loans", boardingBody), 409, "conflict")
	refused(t, l.call(http.MethodPost, "/v1/loans", boardingBody, "Idempotency-Key", "a b"), 400, "malformed")

	for _, table := range []string{"loans", "properties", "transactions"} {
		var n int
		require.NoError(t, l.db.Owner.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
		require.Equal(t, 1, n, table)
	}
}

func TestSimultaneousBoardingsWithOneKey(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	answers := make([]*httptest.ResponseRecorder, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			answers[i] = l.call(http.MethodPost, "/v1/loans", boardingBody, "Idempotency-Key", "b-1")
		})
	}
	all.Wait()
	for _, w := range answers {
		require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
		require.Equal(t, answers[0].Body.String(), w.Body.String())
	}
}

func TestBoardingRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	tests := map[string]struct{ old, with, place string }{
		"payment below a month's interest": {`"principal_and_interest_cents": 116316`, `"principal_and_interest_cents": 70734`, "/principal_and_interest_cents"},
		"due after maturity":               {`"next_due_on": "2026-02-01"`, `"next_due_on": "2049-07-01"`, "/next_due_on"},
		"due on another day":               {`"maturity_on": "2049-06-01"`, `"maturity_on": "2049-06-15"`, "/next_due_on"},
		"matured before it began":          {`"originated_on": "2019-05-21"`, `"originated_on": "2049-06-01"`, "/maturity_on"},
		"two primary borrowers":            {`"role": "co_borrower"`, `"role": "primary"`, "/borrowers"},
		"no primary borrower":              {`"role": "primary"`, `"role": "co_borrower"`, "/borrowers"},
		"most below least":                 {`"minimum_cents": 0}`, `"minimum_cents": 5, "maximum_cents": 4}`, "/late_charge/maximum_cents"},
		"a method that nobody knows":       {"scheduled_30_360", "actual_360", "/interest_method"},
		"a state in small letters":         {`"OH"`, `"oh"`, "/property/state"},
		"a rate above all":                 {`"rate_ppm": 41250`, `"rate_ppm": 1000001`, "/rate_ppm"},
		"not an e-mail address":            {"nell@example.com", "nell", "/borrowers/0/email"},
		"a loan number with a blank":       {"LS-1", "LS 1", "/loan_number"},
		"a bill that is nothing":           {`"amount_cents": 172310`, `"amount_cents": 0`, "/escrow_lines/0/amount_cents"},
		"nothing owed":                     {`"principal_cents": 20577551`, `"principal_cents": 0`, "/principal_cents"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Contains(t, boardingBody, tt.old)
			body := strings.Replace(boardingBody, tt.old, tt.with, 1)
			require.Equal(t, []string{tt.place}, refused(t, l.call(http.MethodPost, "/v1/loans", body), 422, "invalid"))
		})
	}
}

func TestListLoans(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	require.Empty(t, answer(t, l.call(http.MethodGet, "/v1/loans", ""), 200)["data"])
	want := map[string]bool{}
	var number string
	for range 5 {
		number = testdb.Loan(t, l.db.App).LoanNumber
		want[number] = true
	}

	// Walking by the Link header meets every loan once.
	pages, next := 0, "/v1/loans?limit=2"
	for next != "" {
		w := l.call(http.MethodGet, next, "")
		body := answer(t, w, 200)
		for _, item := range body["data"].([]any) {
			got := item.(map[string]any)["loan_number"].(string)
			require.True(t, want[got], "%s is new", got)
			delete(want, got)
			require.NotContains(t, item, "borrowers")
		}
		pages++
		next = nextPage(w)
		require.Equal(t, next == "", body["next_cursor"] == nil)
	}
	require.Empty(t, want)
	require.Equal(t, 3, pages)

	one := answer(t, l.call(http.MethodGet, "/v1/loans?loan_number="+number, ""), 200)
	require.Len(t, one["data"], 1)
	require.Empty(t, answer(t, l.call(http.MethodGet, "/v1/loans?loan_number=none", ""), 200)["data"])

	for _, cursor := range []string{"x", "MS5hYmM", "MS4tMQ", "MjE", "MS45OTk5OTk5OTk5OTk5OTk5OTk5OTk5"} {
		w := l.call(http.MethodGet, "/v1/loans?cursor="+cursor, "")
		require.Equal(t, []string{"?cursor"}, refused(t, w, 422, "invalid"), cursor)
	}
	require.Equal(t, []string{"?limit"}, refused(t, l.call(http.MethodGet, "/v1/loans?limit=201", ""), 422, "invalid"))
}

// nextPage returns where a Link header says the next page is.
func nextPage(w *httptest.ResponseRecorder) string {
	link, _, _ := strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">; rel=\"next\"")
	return link
}

func TestLoansThatAreNot(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	for _, below := range []string{"", "/transactions", "/schedule", "/payments", "/balances"} {
		refused(t, l.call(http.MethodGet, "/v1/loans/999"+below, ""), 404, "not-found")
		refused(t, l.call(http.MethodGet, "/v1/loans/x"+below, ""), 422, "invalid")
	}
	refused(t, l.call(http.MethodGet, "/v1/payments/0190b5c4-0000-7000-8000-000000000000", ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/payments/1", ""), 422, "invalid")
}
