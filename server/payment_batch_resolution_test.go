package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/server"
)

func TestReturnsAreResolved(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := boardNumber(t, l, "A-1")
	w := l.sendACH("d", testdb.ACH{CreatedOn: "2026-01-15", DebitedOn: "2026-01-15", Debits: []testdb.ACHEntry{
		{Trace: 1, Loan: "A-1", Cents: 100_00},
		{Trace: 2, Loan: "A-1", Cents: 200_00},
		{Trace: 3, Loan: "nobody", Cents: 300_00},
	}})
	answer(t, w, http.StatusAccepted)
	debits := w.Header().Get("Location")
	w = l.sendACH("r", testdb.ACH{CreatedOn: "2026-01-20", Returns: []testdb.ACHEntry{
		{Trace: 11, Loan: "A-l", Cents: 100_00, Code: "R01", Original: 1},
		{Trace: 12, Loan: "A-1", Cents: 200_00, Code: "R02", Original: 9},
		{Trace: 13, Loan: "A-1", Cents: 200_00, Code: "R03", Original: 9},
		{Trace: 14, Loan: "A-1", Cents: 200_00, Code: "R04", Original: 9},
	}})
	answer(t, w, http.StatusAccepted)
	where := w.Header().Get("Location")
	require.Equal(t, "finished", answer(t, l.call(http.MethodGet, where, ""), 200)["status"])
	resolve := func(line int, body string) *httptest.ResponseRecorder {
		return l.call(http.MethodPost, fmt.Sprintf("%s/items/%d/resolution", where, line), body)
	}
	first, second := l.paid(t, 1), l.paid(t, 2)
	reverse := func(p queries.Payment) string {
		return fmt.Sprintf(`{"action":"reverse","payment_id":%q,"note":"by telephone"}`, p.ID)
	}

	for body, place := range map[string]string{
		`{"action":"reverse"}`: "/payment_id",
		`{"action":"close"}`:   "/note",
		fmt.Sprintf(`{"action":"close","note":"x","payment_id":%q}`, first.ID): "/payment_id",
		`{"action":"reverse","payment_id":"x"}`:                                "/payment_id",
	} {
		require.Contains(t, refused(t, resolve(3, body), 422, "invalid"), place, body)
	}
	require.Equal(t, []string{"/action"}, refused(t, resolve(3, `{"action":"return","note":"x"}`), 409, "conflict"))
	require.Equal(t, []string{"/action"},
		refused(t, resolve(3, fmt.Sprintf(`{"action":"assign","loan_id":%d}`, loan.ID)), 409, "conflict"))
	require.Equal(t, []string{"/action"},
		refused(t, l.call(http.MethodPost, debits+"/items/5/resolution", `{"action":"close","note":"x"}`), 409, "conflict"))
	require.Equal(t, []string{"/payment_id"}, refused(t, resolve(3, reverse(second)), 409, "conflict"), "another amount")
	refused(t, resolve(3, `{"action":"reverse","payment_id":"0198f000-0000-7000-8000-000000000000"}`), 404, "not-found")

	// The payments are not posted yet: the returns wait for them.
	answer(t, resolve(3, reverse(first)), 200)
	require.Equal(t, "posting", answer(t, l.call(http.MethodGet, where, ""), 200)["status"])
	codes := make(chan int)
	for range 5 {
		go func() { codes <- resolve(5, reverse(second)).Code }()
	}
	for range 5 {
		require.Equal(t, http.StatusOK, <-codes)
	}
	closed := answer(t, resolve(9, `{"action":"close","note":"the bank took it back"}`), 200)
	require.Equal(t, "closed", closed["status"])
	require.Equal(t, closed, answer(t, resolve(9, `{"action":"close","note":"the bank took it back"}`), 200))
	refused(t, resolve(9, reverse(second)), 409, "conflict")

	l.work(t)
	require.Equal(t, map[string]int{"reversed": 2, "exception": 1, "closed": 1}, counts(t, l.finished(t, where)))
	l.finished(t, debits)
	require.Equal(t, []string{"/payment_id"}, refused(t, resolve(7, reverse(second)), 409, "conflict"), "it is reversed")
	require.Equal(t, "exception", l.item(t, where, 7)["status"], "nothing of that is kept")
	answer(t, resolve(5, reverse(second)), 200)
	refused(t, resolve(5, reverse(first)), 409, "conflict")
	item := l.item(t, where, 3)
	require.Equal(t, "reversed", item["status"])
	require.Equal(t, first.ID.String(), item["payment_id"])
	require.InDelta(t, loan.ID, item["loan_id"], 0)
	require.Equal(t, "by telephone", item["note"])
	require.Equal(t, 2, l.count(t, countReversals))
	requireReturnsTie(t, l)
}

// Who may only submit payments cannot have them reversed by a file.
func TestReturnsTakeTheScopeOfReversals(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	file := testdb.ACH{CreatedOn: "2026-01-20", Returns: []testdb.ACHEntry{
		{Trace: 11, Loan: "A-1", Cents: 100_00, Code: "R01", Original: 1},
	}}
	all := l.token
	l.token = l.newToken(t, server.ScopePaymentsRead, server.ScopePaymentsWrite)
	w := l.sendACH("r", file)
	refused(t, w, http.StatusForbidden, "forbidden")
	require.Contains(t, w.Header().Get("WWW-Authenticate"), server.ScopePaymentsReverse)
	nothingStored(t, l)
	few := l.token
	l.token = all
	w = l.sendACH("r", file)
	answer(t, w, http.StatusAccepted)
	l.token = few
	resolution := w.Header().Get("Location") + "/items/3/resolution"
	refused(t, l.call(http.MethodPost, resolution,
		`{"action":"reverse","payment_id":"0198f000-0000-7000-8000-000000000000"}`), http.StatusForbidden, "forbidden")
	answer(t, l.call(http.MethodPost, resolution, `{"action":"close","note":"not ours"}`), 200)
}

// A bank's return was a mistake, and its reversal is undone: the same return in
// another file does not take the payment out again. A person can.
func TestReturnThatWasUndoneIsNotRepeated(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	boardNumber(t, l, "A-1")
	w := l.sendACH("d", testdb.ACH{CreatedOn: "2026-01-15", DebitedOn: "2026-01-15", Debits: []testdb.ACHEntry{
		{Trace: 1, Loan: "A-1", Cents: 100_00},
	}})
	answer(t, w, http.StatusAccepted)
	l.finished(t, w.Header().Get("Location"))
	file := testdb.ACH{CreatedOn: "2026-01-20", Returns: []testdb.ACHEntry{
		{Trace: 11, Loan: "A-1", Cents: 100_00, Code: "R01", Original: 1},
	}}
	w = l.sendACH("r-1", file)
	answer(t, w, http.StatusAccepted)
	l.finished(t, w.Header().Get("Location"))
	reversal := l.item(t, w.Header().Get("Location"), 3)["reversal_id"].(string)
	l.reverse(t, "/v1/payment-reversals/"+reversal, `{"reason":"dishonored"}`)
	require.Equal(t, queries.PaymentStatusPosted, l.paid(t, 1).Status)

	file.Modifier = 'B'
	w = l.sendACH("r-2", file)
	answer(t, w, http.StatusAccepted)
	where := w.Header().Get("Location")
	l.finished(t, where)
	item := l.item(t, where, 3)
	require.Equal(t, []any{"exception", "already_reversed"}, []any{item["status"], item["reason"]})
	require.Equal(t, queries.PaymentStatusPosted, l.paid(t, 1).Status)

	answer(t, l.call(http.MethodPost, where+"/items/3/resolution",
		fmt.Sprintf(`{"action":"reverse","payment_id":%q}`, l.paid(t, 1).ID)), 200)
	require.Equal(t, map[string]int{"reversed": 1}, counts(t, l.finished(t, where)))
	require.Equal(t, queries.PaymentStatusReversed, l.paid(t, 1).Status)
	requireSoundBooks(t, l)
}

// What a bank sends back waits for nobody's approval. A wish that does is in its
// way, and when that is refused a person says that the bank was right.
func TestReturnsNeedNoApproval(t *testing.T) {
	t.Parallel()

	l := setupLive(t, withApproval)
	l.work(t)
	boardNumber(t, l, "A-1")
	w := l.sendACH("d", testdb.ACH{CreatedOn: "2026-01-15", DebitedOn: "2026-01-15", Debits: []testdb.ACHEntry{
		{Trace: 1, Loan: "A-1", Cents: 100_00}, {Trace: 2, Loan: "A-1", Cents: 200_00},
	}})
	answer(t, w, http.StatusAccepted)
	l.finished(t, w.Header().Get("Location"))
	pending := l.ask("/v1/payments/"+l.paid(t, 2).ID.String()+"/reversals", `{"reason":"stop"}`)
	require.Equal(t, "pending_approval", answer(t, pending, http.StatusAccepted)["status"])

	w = l.sendACH("r", testdb.ACH{CreatedOn: "2026-01-20", Returns: []testdb.ACHEntry{
		{Trace: 11, Loan: "A-1", Cents: 100_00, Code: "R01", Original: 1},
		{Trace: 12, Loan: "A-1", Cents: 200_00, Code: "R01", Original: 2},
	}})
	answer(t, w, http.StatusAccepted)
	where := w.Header().Get("Location")
	require.Equal(t, map[string]int{"reversed": 1, "exception": 1}, counts(t, l.finished(t, where)))
	resolve := func() *httptest.ResponseRecorder {
		return l.call(http.MethodPost, where+"/items/5/resolution",
			fmt.Sprintf(`{"action":"reverse","payment_id":%q}`, l.paid(t, 2).ID))
	}
	refused(t, resolve(), http.StatusConflict, "conflict")
	checker := l.as(l.newToken(t, server.ScopePaymentsApprove))
	answer(t, checker.call(http.MethodPost, pending.Header().Get("Location")+"/refusal", `{"note":"no"}`), 200)
	answer(t, resolve(), 200)
	require.Equal(t, map[string]int{"reversed": 2}, counts(t, l.finished(t, where)))
	requireReturnsTie(t, l)
}
