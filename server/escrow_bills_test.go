package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/server"
)

// yearly makes the sample line a yearly one, due on the day.
func yearly(on string) func(*queries.InsertEscrowLineParams) {
	return func(p *queries.InsertEscrowLineParams) { p.EveryMonths, p.NextDueOn = 12, testdb.Date(on) }
}

// billsOf reads a list of bills.
func billsOf(t *testing.T, body map[string]any) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, item := range body["data"].([]any) {
		all = append(all, item.(map[string]any))
	}
	return all
}

const billBody = `{"due_on":"2026-11-01","amount_cents":185000,"discount_on":"2026-10-01","discount_cents":3700}`

func TestEscrowBills(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	line := testdb.EscrowLine(t, l.db.App, loan, yearly("2026-11-30"))
	path := fmt.Sprintf("/v1/escrow-lines/%d/bills", line)

	w := l.call(http.MethodPost, path, billBody)
	bill := billsOf(t, answer(t, w, 201))[0]
	require.Equal(t, "open", bill["status"])
	require.Equal(t, "2026-11-01", bill["cycle_on"])
	at := "/v1/escrow-bills/" + bill["bill_id"].(string)
	row, err := l.q.GetEscrowLine(t.Context(), line)
	require.NoError(t, err)
	require.Equal(t, []any{testdb.Date("2026-11-01"), testdb.Date("2026-10-01"), int64(185000), int64(3700), int32(2)},
		[]any{row.NextDueOn, row.NextDiscountOn, int64(*row.KnownCents), int64(row.DiscountCents), row.Version},
		"the line follows the bill")

	again := l.call(http.MethodPost, path, billBody)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, w.Body.String(), again.Body.String())
	refused(t, l.call(http.MethodPost, path, `{"due_on":"2026-11-02","amount_cents":1}`), 409, "conflict")

	got := answer(t, l.call(http.MethodPatch, at, `{"amount_cents":190000,"discount_cents":0}`), 200)
	require.InDelta(t, 190000, got["amount_cents"], 0)
	require.NotContains(t, got, "discount_on")
	require.Len(t, billsOf(t, answer(t, l.call(http.MethodGet, path, ""), 200)), 1)
	require.Len(t, billsOf(t, answer(t, l.call(http.MethodGet, "/v1/escrow-bills?status=open", ""), 200)), 1)
	require.Empty(t, billsOf(t, answer(t, l.call(http.MethodGet, "/v1/escrow-bills?status=held", ""), 200)))
	require.Equal(t, got, answer(t, l.call(http.MethodGet, at, ""), 200))
	refused(t, l.call(http.MethodPost, at+"/release", ""), 409, "conflict")

	// A mistake is canceled, and the date is free again; then the year is skipped.
	for range 2 {
		got = answer(t, l.call(http.MethodPost, at+"/cancellation", `{"reason":"typo","line_moves_on":false}`), 200)
		require.Equal(t, []any{"canceled", "typo"}, []any{got["status"], got["cancel_reason"]})
	}
	refused(t, l.call(http.MethodPatch, at, `{"amount_cents":1}`), 409, "conflict")
	second := billsOf(t, answer(t, l.call(http.MethodPost, path, billBody), 201))[0]
	require.NotEqual(t, bill["bill_id"], second["bill_id"])
	answer(t, l.call(http.MethodPost, "/v1/escrow-bills/"+second["bill_id"].(string)+"/cancellation",
		`{"reason":"the borrower has paid it","line_moves_on":true}`), 200)
	row, err = l.q.GetEscrowLine(t.Context(), line)
	require.NoError(t, err)
	require.Equal(t, []any{testdb.Date("2027-11-01"), testdb.Date("2027-10-01"), int64(180000)},
		[]any{row.NextDueOn, row.NextDiscountOn, int64(row.AmountCents)})
	require.Nil(t, row.KnownCents)
}

// A line does not move away from its bill while that is not paid: both would be paid.
func TestLineStaysWithItsUnpaidBill(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	line := testdb.EscrowLine(t, l.db.App, loan, yearly("2026-11-30"))
	at := fmt.Sprintf("/v1/escrow-lines/%d", line)
	bill := billsOf(t, answer(t, l.call(http.MethodPost, at+"/bills", billBody), 201))[0]

	for _, away := range []string{
		`{"next_due_on":"2027-11-01","next_discount_on":null,"discount_cents":0}`,
		`{"next_due_on":"2026-12-01","next_discount_on":null,"discount_cents":0,"every_months":1}`,
	} {
		refused(t, l.call(http.MethodPatch, at, away, "If-Match", "*"), 409, "conflict")
	}
	answer(t, l.call(http.MethodPatch, at, `{"next_due_on":"2026-11-15"}`, "If-Match", "*"), 200)
	answer(t, l.call(http.MethodPost, "/v1/escrow-bills/"+bill["bill_id"].(string)+"/cancellation",
		`{"reason":"a mistake","line_moves_on":false}`), 200)
	answer(t, l.call(http.MethodPatch, at, `{"next_due_on":"2027-11-01"}`, "If-Match", "*"), 200)
}

// What is paid of a tax that is offered both ways follows 12 CFR 1024.17(k)(3), (4).
func TestTaxInInstallments(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	for name, tt := range map[string]struct {
		body  string // beside the installments
		bills int
		rule  string
	}{
		"installments, where one sum saves nothing": {`"amount_cents":200000`, 2, "12 CFR 1024.17(k)(3)"},
		"one sum, where it has a discount": {
			`"amount_cents":200000,"discount_cents":2000,"discount_on":"2026-10-15"`, 1, "12 CFR 1024.17(k)(3)",
		},
		"one sum, where installments cost more": {`"amount_cents":199000`, 1, "12 CFR 1024.17(k)(3)"},
		"what the borrower prefers, where there is a choice": {
			`"amount_cents":199000,"preferred_basis":"installments"`, 2, "12 CFR 1024.17(k)(3)",
		},
		"what was agreed": {`"amount_cents":200000,"agreed_basis":"one_sum"`, 1, "12 CFR 1024.17(k)(4)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := testdb.EscrowLine(t, l.db.App, testdb.Loan(t, l.db.App), yearly("2026-11-01"))
			path := fmt.Sprintf("/v1/escrow-lines/%d/bills", line)
			body := `{"due_on":"2026-11-01",` + tt.body + `,"installments":[{"due_on":"2026-11-01","amount_cents":100000},
				{"due_on":"2027-05-01","penalty_on":"2027-05-10","amount_cents":100000}]}`
			w := l.call(http.MethodPost, path, body)
			bills := billsOf(t, answer(t, w, 201))
			require.Len(t, bills, tt.bills)
			for _, b := range bills {
				require.Equal(t, []any{"2026-11-01", tt.rule}, []any{b["cycle_on"], b["basis_rule"]})
			}
			again := l.call(http.MethodPost, path, body)
			require.Equal(t, w.Body.String(), again.Body.String())
		})
	}
}

func TestEscrowBillsRefuse(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	line := testdb.EscrowLine(t, l.db.App, loan, yearly("2026-11-01"))
	premium := testdb.EscrowLine(t, l.db.App, loan, yearly("2026-11-01"), func(p *queries.InsertEscrowLineParams) {
		p.Kind = queries.EscrowLineKindHazardInsurance
	})
	path := fmt.Sprintf("/v1/escrow-lines/%d/bills", line)
	for body, places := range map[string][]string{
		`{"due_on":"2026-11-01"}`:                                                                {"/amount_cents"},
		`{"due_on":"2026-11-01","amount_cents":0}`:                                               {"/amount_cents"},
		`{"due_on":"2026-11-01","amount_cents":-1}`:                                              {"/amount_cents"},
		`{"due_on":"2026-11-01","amount_cents":1.5}`:                                             {"/amount_cents"},
		`{"due_on":"2026-11-01","amount_cents":10000000001}`:                                     {"/amount_cents"},
		`{"due_on":"2026-02-30","amount_cents":1}`:                                               {"/due_on"},
		`{"due_on":"2030-11-01","amount_cents":1}`:                                               {"/due_on"},
		`{"due_on":"2026-11-01","amount_cents":1,"discount_cents":2,"discount_on":"2026-10-01"}`: {"/discount_cents"},
		`{"due_on":"2026-11-01","amount_cents":1,"discount_cents":1}`:                            {"/discount_on"},
		`{"due_on":"2026-11-01","amount_cents":1,"penalty_on":"2099-01-01"}`:                     {"/penalty_on"},
		`{"due_on":"2026-11-01","amount_cents":1,"paid":true}`:                                   {"/paid"},
		`{"due_on":"2026-11-01","amount_cents":2,"installments":[{"due_on":"2026-11-01","amount_cents":1}]}`: {
			"/installments",
		},
		`{"due_on":"2026-11-01","amount_cents":3,"installments":[{"due_on":"2026-11-01","amount_cents":1},
		  {"due_on":"2027-02-01","amount_cents":1}]}`: {"/installments"},
		`{"due_on":"2026-11-01","amount_cents":2,"installments":[{"due_on":"2026-11-01","amount_cents":1},
		  {"due_on":"2026-11-01","amount_cents":1}]}`: {"/installments/1/due_on"},
		`{"due_on":"2026-11-01","amount_cents":2,"installments":[{"due_on":"2026-11-01","amount_cents":1},
		  {"due_on":"2027-11-02","amount_cents":1}]}`: {"/installments"},
	} {
		require.Equal(t, places, refused(t, l.call(http.MethodPost, path, body), 422, "invalid"), body)
	}
	require.Equal(t, []string{"/installments"}, refused(t, l.call(http.MethodPost,
		fmt.Sprintf("/v1/escrow-lines/%d/bills", premium), `{"due_on":"2026-11-01","amount_cents":2,
		"installments":[{"due_on":"2026-11-01","amount_cents":1},{"due_on":"2027-02-01","amount_cents":1}]}`), 422, "invalid"))
	refused(t, l.call(http.MethodPost, "/v1/escrow-lines/999999999/bills", billBody), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/escrow-lines/999999999/bills", ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/escrow-bills/"+uuid.NewString(), ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/escrow-bills?status=lost", ""), 422, "invalid")
	w := l.call(http.MethodGet, "/v1/escrow-bills?cursor=MS4x", "")
	require.Equal(t, []string{"?cursor"}, refused(t, w, 422, "invalid"))
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM escrow_bills`))

	_, err := l.db.App.Exec(t.Context(), "UPDATE escrow_lines SET ended_at = now(), ended_by = 'test' WHERE id = $1", line)
	require.NoError(t, err)
	refused(t, l.call(http.MethodPost, path, billBody), 409, "conflict")
	l.token = l.newToken(t, server.ScopeEscrowRead)
	refused(t, l.call(http.MethodPost, path, billBody), 403, "forbidden")
}
