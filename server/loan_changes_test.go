package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/mortgage"
	"loanserve/queries"
	"loanserve/server"
)

func TestChangeLoan(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := fmt.Sprintf("/v1/loans/%d", testdb.Loan(t, l.db.App).ID)
	requests := []struct{ kind, to, body string }{
		{
			"rate_change", "/rate-changes",
			`{"due_on":"2026-03-01","rate_ppm":70000,"principal_and_interest_cents":199000,"reason":"modification"}`,
		},
		{
			"payment_change", "/payment-changes",
			`{"due_on":"2026-03-01","escrow_payment_cents":50000,"reason":"escrow analysis"}`,
		},
		{"late_charge_waiver", "/late-charge-waivers", `{"due_on":"2026-02-01","reason":"courtesy"}`},
	}
	locations := make([]string, len(requests))
	for i, r := range requests {
		w := l.call(http.MethodPost, path+r.to, r.body, "Idempotency-Key", r.kind)
		got := answer(t, w, http.StatusAccepted)
		require.Equal(t, "requested", got["status"])
		require.Equal(t, r.kind, got["kind"])
		locations[i] = w.Header().Get("Location")
		require.Equal(t, "/v1/loan-changes/"+got["change_id"].(string), locations[i])
		require.Equal(t, "requested", answer(t, l.call(http.MethodGet, locations[i], ""), 200)["status"])
	}
	l.work(t)
	for i, r := range requests {
		got := answer(t, l.call(http.MethodGet, locations[i], "", "Prefer", "wait=20"), 200)
		require.Equal(t, "posted", got["status"], got)
		again := l.call(http.MethodPost, path+r.to, r.body, "Idempotency-Key", r.kind)
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, "requested", answer(t, again, http.StatusAccepted)["status"], "the first answer again")
		other := strings.Replace(r.body, "2026-0", "2027-0", 1)
		refused(t, l.call(http.MethodPost, path+r.to, other, "Idempotency-Key", r.kind), 422, "key-reused")
	}

	schedule := answer(t, l.call(http.MethodGet, path+"/schedule?count=2", ""), 200)["data"].([]any)
	feb, mar := schedule[0].(map[string]any), schedule[1].(map[string]any)
	require.InDelta(t, 189620+45000, feb["total_cents"], 0)
	require.InDelta(t, 199000+50000, mar["total_cents"], 0)
	require.InDelta(t, 163112, mar["interest_cents"], 0, "279,620.47 at 7 %: 1,631.119…")

	listed := answer(t, l.call(http.MethodGet, path+"/changes?limit=2", ""), 200)
	require.Len(t, listed["data"], 2)
	require.Equal(t, "late_charge_waiver", listed["data"].([]any)[0].(map[string]any)["kind"])
	rest := answer(t, l.call(http.MethodGet, path+"/changes?cursor="+listed["next_cursor"].(string), ""), 200)
	require.Len(t, rest["data"], 1)
}

func TestChangeLoanRefuses(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := fmt.Sprintf("/v1/loans/%d", testdb.Loan(t, l.db.App).ID)
	for name, tt := range map[string]struct {
		to, body string
		status   int
		code     string
		places   []string
	}{
		"neither rate nor index": {
			to: "/rate-changes", body: `{"due_on":"2026-03-01","reason":"r"}`,
			status: 422, code: "invalid", places: []string{"/rate_ppm", "/index_ppm"},
		},
		"both": {
			to:     "/rate-changes",
			body:   `{"due_on":"2026-03-01","reason":"r","index_ppm":1,"rate_ppm":1,"principal_and_interest_cents":1}`,
			status: 422, code: "invalid", places: []string{"/rate_ppm", "/index_ppm"},
		},
		"a rate without its payment": {
			to: "/rate-changes", body: `{"due_on":"2026-03-01","reason":"r","rate_ppm":1}`,
			status: 422, code: "invalid", places: []string{"/rate_ppm", "/index_ppm"},
		},
		"no payment": {
			to: "/payment-changes", body: `{"due_on":"2026-03-01","reason":"r"}`,
			status: 422, code: "invalid", places: []string{"/principal_and_interest_cents", "/escrow_payment_cents"},
		},
		"another day of the month": {
			to: "/payment-changes", body: `{"due_on":"2026-03-02","reason":"r","escrow_payment_cents":0}`,
			status: 422, code: "invalid", places: []string{"/due_on"},
		},
		"an installment before the boarding": {
			to: "/payment-changes", body: `{"due_on":"2026-01-01","reason":"r","escrow_payment_cents":0}`,
			status: 422, code: "invalid", places: []string{"/due_on"},
		},
		"after maturity": {
			to: "/late-charge-waivers", body: `{"due_on":"2051-02-01","reason":"r"}`,
			status: 422, code: "invalid", places: []string{"/due_on"},
		},
		"no reason": {
			to: "/late-charge-waivers", body: `{"due_on":"2026-02-01"}`,
			status: 422, code: "invalid", places: []string{"/reason"},
		},
		"a rate beyond all": {
			to:     "/rate-changes",
			body:   `{"due_on":"2026-03-01","reason":"r","rate_ppm":1000001,"principal_and_interest_cents":1}`,
			status: 422, code: "invalid", places: []string{"/rate_ppm"},
		},
	} {
		got := refused(t, l.call(http.MethodPost, path+tt.to, tt.body, "Idempotency-Key", `"`+name+`"`), tt.status, tt.code)
		require.Equal(t, tt.places, got, name)
	}
	waive := `{"due_on":"2026-02-01","reason":"r"}`
	refused(t, l.call(http.MethodPost, path+"/late-charge-waivers", waive), 400, "key-missing")
	nowhere := l.call(http.MethodPost, "/v1/loans/999/late-charge-waivers", waive, "Idempotency-Key", "k")
	refused(t, nowhere, 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/loans/999/changes", ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/loan-changes/"+uuid.NewString(), ""), 404, "not-found")
	l.token = l.newToken(t, server.ScopeLoansWrite)
	refused(t, l.call(http.MethodPost, path+"/late-charge-waivers", waive, "Idempotency-Key", "k"), 403, "forbidden")
	require.Zero(t, l.count(t, `SELECT count(*) FROM loan_changes`))
	require.Zero(t, l.count(t, `SELECT count(*) FROM river.river_job`))
}

func TestBoardLoanWithDailyInterestAndAdjustableRate(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	const arm = `"arm":{"margin_ppm":27500,"round_to_ppm":1250,"periodic_cap_ppm":10000,"first_cap_ppm":20000,` +
		`"lifetime_cap_ppm":110000,"floor_ppm":27500,"adjusted":false}`
	body := strings.Replace(boardingBody, `"scheduled_30_360"`, `"daily_simple_365",`+
		`"interest_accrued_to_on":"2026-01-01","accrued_interest_cents":1234,"fees_due_cents":500,"returned_payment_fee_cents":2500,`+arm, 1)
	w := l.call(http.MethodPost, "/v1/loans", body)
	answer(t, w, http.StatusCreated)
	loan := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), ""), 200)
	require.Equal(t, "daily_simple_365", loan["interest_method"])
	require.Equal(t, "2026-01-01", loan["interest_accrued_to_on"])
	require.InDelta(t, 1234, loan["accrued_interest_cents"], 0)
	require.InDelta(t, 500, loan["fees_due_cents"], 0)
	require.InDelta(t, 2500, loan["returned_payment_fee_cents"], 0)
	require.InDelta(t, 27500, loan["arm"].(map[string]any)["margin_ppm"], 0)
	require.Zero(t, l.count(t, `SELECT count(*) FROM unreconciled_loans`))

	for name, tt := range map[string]struct {
		old, new string
		place    string
	}{
		"interest that is counted to no day":  {`"interest_accrued_to_on":"2026-01-01",`, ``, "/interest_accrued_to_on"},
		"or to one to come":                   {`"2026-01-01"`, `"2126-01-01"`, "/interest_accrued_to_on"},
		"interest that accrues on schedule":   {`"daily_simple_365"`, `"scheduled_30_360"`, "/interest_accrued_to_on"},
		"a floor above the highest rate ever": {`"floor_ppm":27500`, `"floor_ppm":110001`, "/arm/floor_ppm"},
		"a cap of nothing":                    {`"first_cap_ppm":20000`, `"first_cap_ppm":0`, "/arm/first_cap_ppm"},
	} {
		wrong := strings.Replace(strings.Replace(body, "LS-1", "LS-2", 1), tt.old, tt.new, 1)
		require.Contains(t, refused(t, l.call(http.MethodPost, "/v1/loans", wrong), 422, "invalid"), tt.place, name)
	}
}

// A loan that is due on the 31st and shows it in neither date; and the choices of
// its note.
func TestBoardLoanWithItsDueDayAndChoices(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	body := strings.NewReplacer(`"maturity_on": "2049-06-01", "next_due_on": "2026-02-01"`,
		`"maturity_on": "2049-06-30", "next_due_on": "2026-02-28", "due_day": 31, "short_payoff": "hold"`,
		`"grace_days": 15`, `"grace_days": 15, "extend_to_business_day": true`).Replace(boardingBody)
	w := l.call(http.MethodPost, "/v1/loans", body)
	answer(t, w, http.StatusCreated)
	loan := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), ""), 200)
	require.InDelta(t, 31, loan["due_day"], 0)
	require.Equal(t, "hold", loan["short_payoff"])
	require.Equal(t, true, loan["late_charge"].(map[string]any)["extend_to_business_day"])
	schedule := answer(t, l.call(http.MethodGet, w.Header().Get("Location")+"/schedule?count=2", ""), 200)
	require.Equal(t, "2026-03-31", schedule["data"].([]any)[1].(map[string]any)["due_on"])

	wrong := strings.Replace(strings.Replace(body, "LS-1", "LS-2", 1), `"due_day": 31`, `"due_day": 27`, 1)
	require.Contains(t, refused(t, l.call(http.MethodPost, "/v1/loans", wrong), 422, "invalid"), "/next_due_on")
}

// What the terms of loans have become is what the payoff quote reckons with.
func TestPayoffQuoteOfDailyInterestWithFees(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	today := mortgage.DateOf(time.Now())
	loan := testdb.Loan(t, l.db.App, func(p *queries.InsertLoanParams) {
		p.PrincipalCents, p.RatePpm, p.FeesDueCents = 100_000_00, 60_000, 25_00
		p.InterestMethod, p.InterestAccruedToOn, p.AccruedInterestCents = mortgage.DailySimpleInterest, today-10, 1_00
		p.LateChargeRatePpm = 0
		p.NextDueOn, p.BoardedAt = testdb.Date("2030-01-01"), time.Now()
	})
	quote := answer(t, l.call(http.MethodGet,
		fmt.Sprintf("/v1/loans/%d/payoff-quote?good_through_on=%s", loan.ID, today), ""), 200)
	require.InDelta(t, 164_38+1_00, quote["interest_cents"], 0, "ten days of 16.438…, and what was carried")
	require.InDelta(t, 25_00, quote["fees_cents"], 0)
	require.InDelta(t, 100_000_00+165_38+25_00-0, quote["total_cents"], 0)
}
