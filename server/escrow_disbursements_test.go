package server_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/remittance"
	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/server"
)

const (
	payDay = `{"as_of_on":"2026-02-10"}`
	payees = `{"name":"Sangamon County","routing_number":"091000019","account_number":"1234567","account_kind":"checking"}`
	policy = `{"overdue":"advance","stale_after_days":10,"ach":{"bank_routing":"021000021","bank_name":"FIRST BANK",
		"company_id":"1234567890","company_name":"LOANSERVE"}}`
)

// paidOut pays the bills of some loans, of which every other has a payee without an
// account, and returns their disbursements, the latest first.
func paidOut(t *testing.T, l *live, loans int) []map[string]any {
	t.Helper()
	for i := range loans {
		testdb.EscrowLine(t, l.db.App, testdb.Loan(t, l.db.App), func(p *queries.InsertEscrowLineParams) {
			p.NextDueOn = testdb.Date("2026-02-10")
			if i%2 == 1 {
				p.Payee = "Village of \"Harlow\", Falls"
			}
		})
	}
	w := l.call(http.MethodPost, "/v1/escrow-disbursements", payDay, "Idempotency-Key", "pay")
	got := answer(t, w, 202)
	require.Equal(t, "disburse_escrow", got["kind"])
	over := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	require.Equal(t, []any{"finished", float64(loans)}, []any{over["status"], over["changed"]}, over)
	again := l.call(http.MethodPost, "/v1/escrow-disbursements", payDay, "Idempotency-Key", "pay")
	require.Equal(t, w.Body.String(), again.Body.String())
	return billsOf(t, answer(t, l.call(http.MethodGet, "/v1/escrow-disbursements?limit=200", ""), 200))
}

// Money leaves in one file or the other, each once; the same key gets the same file;
// it arrives or comes back, and what came back is sent again when a person says so.
func TestEscrowDisbursements(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	l.work(t)
	answer(t, l.call(http.MethodPost, "/v1/escrow-payees", payees), 201)
	answer(t, l.call(http.MethodPut, "/v1/escrow-payment-policy", policy), 200)
	all := paidOut(t, l, 4)
	require.Len(t, all, 4)
	first := all[3]["disbursement_id"].(string)
	at := "/v1/escrow-disbursements/" + first
	refused(t, l.call(http.MethodPost, at+"/confirmation", ""), 409, "conflict")

	wish := `{"format":"nacha","up_to_on":"2026-02-10"}`
	w := l.call(http.MethodPost, "/v1/escrow-disbursements/files", wish, "Idempotency-Key", "f-1")
	file := answer(t, w, 201)
	require.Equal(t, []any{2.0, 360000.0}, []any{file["items"], file["total_cents"]})
	again := l.call(http.MethodPost, "/v1/escrow-disbursements/files", wish, "Idempotency-Key", "f-1")
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, w.Body.String(), again.Body.String())
	refused(t, l.call(http.MethodPost, "/v1/escrow-disbursements/files",
		`{"format":"csv","up_to_on":"2026-02-10"}`, "Idempotency-Key", "f-1"), 422, "key-reused")
	refused(t, l.call(http.MethodPost, "/v1/escrow-disbursements/files", wish, "Idempotency-Key", "f-2"), 409, "conflict")

	text := l.call(http.MethodGet, w.Header().Get("Location"), "")
	require.Equal(t, 200, text.Code)
	require.Equal(t, "text/plain; charset=us-ascii", text.Header().Get("Content-Type"))
	sum := fmt.Sprintf("%x", sha256.Sum256(text.Body.Bytes()))
	require.Equal(t, []any{sum, `"` + sum + `"`}, []any{file["sha256"], text.Header().Get("Etag")})
	same := l.call(http.MethodGet, w.Header().Get("Location"), "", "If-None-Match", `"`+sum+`"`)
	require.Equal(t, 304, same.Code)
	require.Empty(t, same.Body.String())
	read, err := remittance.Read(remittance.FormatNACHA, strings.NewReader(text.Body.String()), nil, remittance.Limits{})
	require.NoError(t, err)
	require.Len(t, read.Items, 2)
	require.Contains(t, text.Body.String(), first)

	other := l.call(http.MethodPost, "/v1/escrow-disbursements/files",
		`{"format":"csv","up_to_on":"2026-02-10"}`, "Idempotency-Key", "f-3")
	lines := l.call(http.MethodGet, other.Header().Get("Location"), "").Body.String()
	require.Equal(t, 3, strings.Count(lines, "\n"))
	require.Contains(t, lines, `,"Village of ""Harlow"", Falls",1800.00,2026-02-10,2026-02-10`)
	of := "/v1/escrow-disbursements?status=sent&kind=bill&file_id=" + file["file_id"].(string)
	require.Len(t, billsOf(t, answer(t, l.call(http.MethodGet, of, ""), 200)), 2)

	for range 2 {
		require.Equal(t, "confirmed", answer(t, l.call(http.MethodPost, at+"/confirmation", ""), 200)["status"])
	}
	bookedBack(t, l, all[2])
}

// bookedBack returns a disbursement and has it sent again.
func bookedBack(t *testing.T, l *live, out map[string]any) {
	t.Helper()
	at := "/v1/escrow-disbursements/" + out["disbursement_id"].(string)
	refused(t, l.call(http.MethodPost, at+"/release", ""), 409, "conflict")
	body := `{"returned_on":"2026-02-12","reason":"R04"}`
	w := l.call(http.MethodPost, at+"/return", body, "Idempotency-Key", "r-1")
	require.Equal(t, "requested", answer(t, w, 202)["status"])
	got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	require.Equal(t, "posted", got["status"])
	again := l.call(http.MethodPost, at+"/return", body, "Idempotency-Key", "r-1")
	require.Equal(t, w.Body.String(), again.Body.String())
	refused(t, l.call(http.MethodPost, at+"/return", body, "Idempotency-Key", "r-2"), 409, "conflict")
	shown := answer(t, l.call(http.MethodGet, at, ""), 200)
	require.Equal(t, []any{"returned", "2026-02-12", "R04"},
		[]any{shown["status"], shown["returned_on"], shown["return_reason"]})
	held := billsOf(t, answer(t, l.call(http.MethodGet, "/v1/escrow-bills?status=held", ""), 200))
	require.Len(t, held, 1)
	require.Equal(t, []any{"disbursement_returned", out["bill_id"]}, []any{held[0]["held_rule"], held[0]["bill_id"]})

	for range 2 {
		require.NotEmpty(t, answer(t, l.call(http.MethodPost, at+"/release", ""), 200)["released_by"])
	}
	run := l.call(http.MethodPost, "/v1/escrow-disbursements", `{"as_of_on":"2026-02-13"}`, "Idempotency-Key", "again")
	answer(t, l.call(http.MethodGet, run.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	loan := fmt.Sprintf("/v1/loans/%.0f/escrow-disbursements", out["loan_id"])
	both := billsOf(t, answer(t, l.call(http.MethodGet, loan, ""), 200))
	require.Len(t, both, 2)
	require.Equal(t, []any{"scheduled", out["bill_id"]}, []any{both[0]["status"], both[0]["bill_id"]})
	require.Len(t, billsOf(t, answer(t, l.call(http.MethodGet, loan+"?status=returned", ""), 200)), 1)
}

// However many ask for a file at once, each disbursement is in one.
func TestSimultaneousFiles(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	l.work(t)
	paidOut(t, l, 10)
	answers := make([]*httptest.ResponseRecorder, 16)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			answers[i] = l.call(http.MethodPost, "/v1/escrow-disbursements/files", `{"format":"csv","up_to_on":"2026-02-10"}`,
				"Idempotency-Key", fmt.Sprintf("f-%d", i%4))
		})
	}
	all.Wait()
	created := map[string]int{}
	for _, w := range answers {
		if w.Code == http.StatusCreated {
			created[w.Body.String()]++
		} else {
			refused(t, w, 409, "conflict")
		}
	}
	require.Len(t, created, 1, "one key takes all, and its repetitions get the same file")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM escrow_files`))
	require.Equal(t, 10, l.count(t, `SELECT count(*) FROM escrow_disbursements WHERE status = 'sent'`))
}

func TestEscrowDisbursementsRefuse(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	post := func(path, body string) *httptest.ResponseRecorder {
		return l.call(http.MethodPost, path, body, "Idempotency-Key", "k")
	}
	w := post("/v1/escrow-disbursements", `{"as_of_on":"2199-01-01"}`)
	require.Equal(t, []string{"/as_of_on"}, refused(t, w, 422, "invalid"))
	refused(t, post("/v1/escrow-disbursements", `{"as_of_on":"never"}`), 422, "invalid")
	refused(t, l.call(http.MethodPost, "/v1/escrow-disbursements", payDay), 400, "key-missing")
	files := "/v1/escrow-disbursements/files"
	refused(t, l.call(http.MethodPost, files, `{"format":"csv","up_to_on":"2026-02-10"}`), 400, "key-missing")
	w = post(files, `{"format":"xml","up_to_on":"2026-02-10"}`)
	require.Equal(t, []string{"/format"}, refused(t, w, 422, "invalid"))
	refused(t, post(files, `{"format":"csv","up_to_on":"2026-02-10"}`), 409, "conflict")
	unknown := "/v1/escrow-disbursements/" + uuid.NewString()
	for _, below := range []string{"/confirmation", "/release"} {
		refused(t, post(unknown+below, ""), 404, "not-found")
	}
	back := `{"returned_on":"2026-02-12","reason":"R04"}`
	refused(t, post(unknown+"/return", back), 404, "not-found")
	refused(t, l.call(http.MethodPost, unknown+"/return", back), 400, "key-missing")
	w = post(unknown+"/return", `{"returned_on":"2199-01-01","reason":"x"}`)
	require.Equal(t, []string{"/returned_on"}, refused(t, w, 422, "invalid"))
	w = post(unknown+"/return", `{"returned_on":"2026-02-12","reason":""}`)
	require.Equal(t, []string{"/reason"}, refused(t, w, 422, "invalid"))
	refused(t, l.call(http.MethodGet, unknown, ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, files+"/"+uuid.NewString(), ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/escrow-returns/"+uuid.NewString(), ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/loans/999999999/escrow-disbursements", ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/escrow-disbursements?status=lost", ""), 422, "invalid")
	refused(t, l.call(http.MethodGet, "/v1/escrow-disbursements?file_id=x", ""), 422, "invalid")

	payee := strings.Replace(payees, "091000019", "091000018", 1)
	require.Equal(t, []string{"/routing_number"}, refused(t, post("/v1/escrow-payees", payee), 422, "invalid"))
	payee = strings.Replace(payees, `"1234567"`, `"12 34"`, 1)
	w = post("/v1/escrow-payees", payee)
	require.Equal(t, []string{"/account_number"}, refused(t, w, 422, "invalid"))
	require.NotContains(t, w.Body.String(), "12 34")
	require.Equal(t, []string{"/ach/bank_routing"}, refused(t, l.call(http.MethodPut, "/v1/escrow-payment-policy",
		strings.Replace(policy, "021000021", "021000022", 1)), 422, "invalid"))

	l.token = l.newToken(t, server.ScopeEscrowRead, server.ScopeEscrowWrite)
	refused(t, post("/v1/escrow-disbursements", payDay), 403, "forbidden")
	refused(t, post("/v1/escrow-payees", payees), 403, "forbidden")
	refused(t, l.call(http.MethodGet, files+"/"+uuid.NewString(), ""), 403, "forbidden")
}

// Account numbers are not shown; an account that is set again is replaced, once.
func TestEscrowPayees(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	w := l.call(http.MethodPost, "/v1/escrow-payees", payees)
	first := answer(t, w, 201)
	require.Equal(t, "4567", first["account_end"])
	require.NotContains(t, w.Body.String(), "1234567")
	require.Equal(t, first, answer(t, l.call(http.MethodPost, "/v1/escrow-payees", payees), 201))
	answer(t, l.call(http.MethodPost, "/v1/escrow-payees", strings.Replace(payees, "1234567", "7654321", 1)), 201)
	listed := billsOf(t, answer(t, l.call(http.MethodGet, "/v1/escrow-payees", ""), 200))
	require.Len(t, listed, 1)
	require.Equal(t, "4321", listed[0]["account_end"])
	require.Equal(t, 2, l.count(t, `SELECT count(*) FROM escrow_payees`))

	got := answer(t, l.call(http.MethodGet, "/v1/escrow-payment-policy", ""), 200)
	require.Equal(t, map[string]any{"overdue": "advance", "stale_after_days": 10.0}, got)
	answer(t, l.call(http.MethodPut, "/v1/escrow-payment-policy", policy), 200)
	got = answer(t, l.call(http.MethodGet, "/v1/escrow-payment-policy", ""), 200)
	require.Equal(t, "LOANSERVE", got["ach"].(map[string]any)["company_name"])
}
