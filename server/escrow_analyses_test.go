package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
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

// published is an account of a published example, moved to the year that begins
// next month, because nothing is analyzed as of a day to come.
type published struct {
	today, startOn mortgage.Date
	firstOn        mortgage.Date // of the example
}

func movedToNextMonth(t *testing.T, firstOn string) published {
	t.Helper()
	today := mortgage.DateOf(time.Now())
	return published{today: today, startOn: mortgage.EarlyEscrowYear(today, 1), firstOn: testdb.Date(firstOn)}
}

// on returns a day of the example in the year that it was moved to.
func (p published) on(t *testing.T, d mortgage.Date) mortgage.Date {
	t.Helper()
	_, _, day := d.Civil()
	moved, err := d.AddMonths(mortgage.MonthNumber(p.startOn)-mortgage.MonthNumber(p.firstOn), day)
	require.NoError(t, err)
	return moved
}

type publishedBill struct {
	Kind        string         `json:"kind"`
	Payee       string         `json:"payee"`
	On          mortgage.Date  `json:"on"`
	AmountCents mortgage.Cents `json:"amount_cents"`
}

type publishedAppendixE struct {
	Payment       mortgage.Cents  `json:"payment_cents"`
	Cushion       mortgage.Cents  `json:"cushion_cents"`
	RequiredStart mortgage.Cents  `json:"required_start_cents"`
	Bills         []publishedBill `json:"bills"`
	Rows          []struct {
		MonthOn      mortgage.Date  `json:"month_on"`
		Disbursement mortgage.Cents `json:"disbursement_cents"`
		Step1        mortgage.Cents `json:"step_1_cents"`
		Step2        mortgage.Cents `json:"step_2_cents"`
		Step3        mortgage.Cents `json:"step_3_cents"`
	} `json:"rows"`
}

func readPublished(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("../mortgage/testdata/" + name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// boardPublished boards the account with so much in it over HTTP, and returns the
// loan's path. The loan's documents allow a cushion of so many months.
func (l *live) boardPublished(
	t *testing.T, p published, bills []publishedBill, escrow mortgage.Cents, cushionMonths int,
) string {
	t.Helper()
	var lines []string
	for _, b := range bills {
		lines = append(lines, fmt.Sprintf(
			`{"kind":%q,"payee":%q,"amount_cents":1,"known_cents":%d,"every_months":12,"next_due_on":%q}`,
			b.Kind, b.Payee, b.AmountCents, p.on(t, b.On)))
	}
	body := fmt.Sprintf(`{
  "loan_number": %q, "name": "Appendix E", "borrowers": [{"full_name": "Ada Example", "role": "primary"}],
  "property": {"street": "1 Main Street", "city": "Springfield", "state": "IL", "postal_code": "62701"},
  "originated_on": "2020-05-21", "maturity_on": "2060-06-01", "next_due_on": %q,
  "original_principal_cents": 24000000, "principal_cents": 20577551, "rate_ppm": 41250,
  "principal_and_interest_cents": 116316, "escrow_payment_cents": 13000,
  "interest_method": "scheduled_30_360", "application_order": "conventional", "excess_policy": "principal",
  "late_charge": {"grace_days": 15, "rate_ppm": 50000, "minimum_cents": 0}, "escrow_cents": %d,
  "escrow_settings": {"cushion_months": %d, "cushion_source": "loan_documents"},
  "escrow_lines": [%s]}`, testdb.Unique("E"), p.startOn, escrow, cushionMonths, strings.Join(lines, ","))
	w := l.call(http.MethodPost, "/v1/loans", body)
	answer(t, w, http.StatusCreated)
	return w.Header().Get("Location")
}

// analyze asks for an analysis over HTTP, waits for its outcome and returns it.
func (l *live) analyze(t *testing.T, loan, body string) map[string]any {
	t.Helper()
	w := l.call(http.MethodPost, loan+"/escrow-analyses", body, "Idempotency-Key", testdb.Unique("a"))
	require.Equal(t, "requested", answer(t, w, http.StatusAccepted)["status"])
	return answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
}

func column(t *testing.T, analysis map[string]any, name string) (cents []mortgage.Cents) {
	t.Helper()
	for _, m := range analysis["months"].([]any) {
		cents = append(cents, mortgage.Cents(m.(map[string]any)[name].(float64)))
	}
	require.Len(t, cents, 12)
	return cents
}

// All thirteen rows of the three steps, on loans that were boarded and analyzed over
// HTTP: the first row is what the account opens with.
func TestAppendixEOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	var g publishedAppendixE
	readPublished(t, "escrow_appendix_e.json", &g)
	p := movedToNextMonth(t, "2026-07-01")
	require.Len(t, g.Rows, 13)
	var want [3][]mortgage.Cents
	var disbursed []mortgage.Cents
	for _, row := range g.Rows {
		want[0], want[1], want[2] = append(want[0], row.Step1), append(want[1], row.Step2), append(want[2], row.Step3)
		disbursed = append(disbursed, row.Disbursement)
	}
	initial := fmt.Sprintf(`{"as_of_on":%[1]q,"kind":"initial","start_on":%[2]q,"established_on":%[1]q}`,
		p.today, p.startOn)
	for i, cushion := range []int{0, 0, 2} {
		loan := l.boardPublished(t, p, g.Bills, want[i][0], cushion)
		got := l.analyze(t, loan, initial)
		require.Equal(t, "finished", got["status"], got)
		require.Equal(t, want[i][1:], column(t, got, "projected_cents"), "step %d", i+1)
		require.Equal(t, disbursed[1:], column(t, got, "disbursement_cents"))
		require.InDelta(t, int64(g.Payment), got["base_payment_cents"], 0)
		require.InDelta(t, int64(g.Payment), got["new_escrow_payment_cents"], 0)
		if i == 2 {
			require.Equal(t, want[2][1:], column(t, got, "target_cents"))
			require.InDelta(t, int64(g.RequiredStart), got["required_start_cents"], 0, "and never 113000, as item by item")
			require.InDelta(t, int64(g.Cushion), got["cushion_cents"], 0)
			require.Contains(t, got["rules"], map[string]any{
				"name": "required_start_cents", "amount_cents": 104000.0, "rule": "12 CFR 1024.17(d)(2)(i)(C)",
			})
		} else {
			require.Equal(t, want[1][1:], column(t, got, "target_cents"))
			require.InDelta(t, int64(want[1][0]), got["required_start_cents"], 0)
		}
	}
	empty := l.analyze(t, l.boardPublished(t, p, g.Bills, 0, 2), initial)
	require.InDelta(t, int64(g.RequiredStart), empty["initial_deposit_cents"], 0)
	require.Equal(t, "deposit", empty["initial_deposit"].(map[string]any)["action"])
}

// The four tiers of HUD's guidance on the same account, and what follows from each.
func TestHUDTiersOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	var g publishedAppendixE
	readPublished(t, "escrow_appendix_e.json", &g)
	var tiers struct {
		Cases []struct {
			Balance    mortgage.Cents `json:"balance_cents"`
			Surplus    mortgage.Cents `json:"surplus_cents"`
			Shortage   mortgage.Cents `json:"shortage_cents"`
			NewPayment mortgage.Cents `json:"new_payment_cents"`
		} `json:"cases"`
	}
	readPublished(t, "escrow_hud_tiers.json", &tiers)
	require.Len(t, tiers.Cases, 4)
	p := movedToNextMonth(t, "2026-07-01")
	for _, tier := range tiers.Cases {
		loan := l.boardPublished(t, p, g.Bills, tier.Balance, 2)
		got := l.analyze(t, loan, fmt.Sprintf(`{"as_of_on":%q,"kind":"annual","start_on":%q}`, p.today, p.startOn))
		require.Equal(t, "finished", got["status"], got)
		require.InDelta(t, int64(tier.Surplus), got["surplus_cents"], 0)
		require.InDelta(t, int64(tier.Shortage), got["shortage_cents"], 0)
		require.InDelta(t, int64(tier.NewPayment), got["new_escrow_payment_cents"], 0)
		refund := 0.0
		if tier.Surplus >= 50_00 {
			refund = float64(tier.Surplus)
			require.Equal(t, (p.today + 30).String(), got["refund_due_on"])
		}
		require.InDelta(t, refund, got["refund_cents"], 0)
		if tier.Shortage >= 130_00 {
			require.Equal(t, false, got["shortage"].(map[string]any)["lump_sum"])
		}

		// The next installment is another one, and the thirteenth is the base again.
		schedule := answer(t, l.call(http.MethodGet, loan+"/schedule?count=13", ""), 200)["data"].([]any)
		require.InDelta(t, int64(tier.NewPayment), schedule[0].(map[string]any)["escrow_cents"], 0)
		require.InDelta(t, int64(g.Payment), schedule[12].(map[string]any)["escrow_cents"], 0)
		settings := answer(t, l.call(http.MethodGet, loan+"/escrow-settings", ""), 200)
		require.Equal(t, p.startOn.String(), settings["year_starts_on"])
	}
}

func TestAnalyzeEscrowOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	var g publishedAppendixE
	readPublished(t, "escrow_appendix_e.json", &g)
	p := movedToNextMonth(t, "2026-07-01")
	loan := l.boardPublished(t, p, g.Bills, 800_00, 2)
	body := fmt.Sprintf(`{"as_of_on":%q,"kind":"on_demand","dry_run":true}`, p.today)
	w := l.call(http.MethodPost, loan+"/escrow-analyses", body, "Idempotency-Key", "k")
	first := answer(t, w, http.StatusAccepted)
	require.Equal(t, "/v1/escrow-analyses/"+first["analysis_id"].(string), w.Header().Get("Location"))
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.NotContains(t, first, "base_payment_cents")
	l.work(t)
	got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	require.Equal(t, "finished", got["status"])
	require.Equal(t, p.startOn.String(), got["start_on"], "the month after")
	require.InDelta(t, 240_00, got["shortage_cents"], 0)
	require.Len(t, got["bills"], 3)

	again := l.call(http.MethodPost, loan+"/escrow-analyses", body, "Idempotency-Key", "k")
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, w.Body.String(), again.Body.String())
	other := strings.Replace(body, "true", "false", 1)
	refused(t, l.call(http.MethodPost, loan+"/escrow-analyses", other, "Idempotency-Key", "k"), 422, "key-reused")

	annual := fmt.Sprintf(`{"as_of_on":%q,"kind":"annual","start_on":%q}`, p.today, p.startOn)
	require.Equal(t, "finished", l.analyze(t, loan, annual)["status"])
	rejected := l.analyze(t, loan, annual)
	require.Equal(t, []any{"rejected", "year_analyzed"}, []any{rejected["status"], rejected["refusal"]})

	page := answer(t, l.call(http.MethodGet, loan+"/escrow-analyses?limit=2", ""), 200)
	require.Len(t, page["data"], 2)
	require.NotContains(t, page["data"].([]any)[1], "months")
	rest := answer(t, l.call(http.MethodGet, loan+"/escrow-analyses?cursor="+page["next_cursor"].(string), ""), 200)
	require.Len(t, rest["data"], 1)
}

func TestAnalyzeEscrowRefusesOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := fmt.Sprintf("/v1/loans/%d/escrow-analyses", testdb.Loan(t, l.db.App).ID)
	today := mortgage.DateOf(time.Now())
	for name, tt := range map[string]struct {
		body   string
		places []string
	}{
		"a day to come":           {fmt.Sprintf(`{"as_of_on":%q,"kind":"annual"}`, today+1), []string{"/as_of_on"}},
		"another kind":            {`{"as_of_on":"2026-02-01","kind":"weekly"}`, []string{"/kind"}},
		"no due date":             {`{"as_of_on":"2026-02-01","kind":"annual","start_on":"2026-03-02"}`, []string{"/start_on"}},
		"a year after the payoff": {`{"as_of_on":"2026-02-01","kind":"payoff","start_on":"2026-03-01"}`, []string{"/start_on"}},
		"a transfer in the middle": {
			`{"as_of_on":"2026-02-01","kind":"annual","transferred":true,"established_on":"2026-01-01"}`,
			[]string{"/established_on", "/transferred"},
		},
	} {
		w := l.call(http.MethodPost, path, tt.body, "Idempotency-Key", "k")
		require.Equal(t, tt.places, refused(t, w, 422, "invalid"), name)
	}
	good := `{"as_of_on":"2026-02-01","kind":"annual"}`
	refused(t, l.call(http.MethodPost, path, good), 400, "key-missing")
	refused(t, l.call(http.MethodPost, "/v1/loans/999/escrow-analyses", good, "Idempotency-Key", "k"), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/loans/999/escrow-analyses", ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/escrow-analyses/"+uuid.NewString(), ""), 404, "not-found")
	require.Zero(t, l.count(t, "SELECT count(*) FROM escrow_analyses"))
	l.token = l.newToken(t, server.ScopeEscrowRead)
	refused(t, l.call(http.MethodPost, path, good, "Idempotency-Key", "k"), 403, "forbidden")
}

// A portfolio run analyzes what is due, says how far it has come, and which loans
// could not be analyzed; once more it finds nothing to do.
func TestAnalyzePortfolioOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	good, bad := testdb.Loan(t, l.db.App), testdb.Loan(t, l.db.App)
	testdb.EscrowLine(t, l.db.App, good)
	testdb.EscrowLine(t, l.db.App, bad, func(p *queries.InsertEscrowLineParams) { p.EveryMonths = 7 })
	_, err := l.db.Super.Exec(t.Context(), "UPDATE loans SET escrow_year_starts_on = '2025-03-01'")
	require.NoError(t, err)
	l.work(t)
	body := `{"as_of_on":"2026-02-28"}`
	w := l.call(http.MethodPost, "/v1/escrow-analyses", body, "Idempotency-Key", "p-1")
	require.Equal(t, "analyze_escrow", answer(t, w, http.StatusAccepted)["kind"])
	got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	require.Equal(t, "failed", got["status"])
	require.Equal(t, []any{2.0, 2.0, 1.0, 1.0}, []any{got["total"], got["done"], got["changed"], got["failed_count"]})
	require.Equal(t, []any{map[string]any{
		"loan_id": float64(bad.ID), "detail": "escrow_invalid: items[0].every_months",
	}}, got["findings"])
	again := l.call(http.MethodPost, "/v1/escrow-analyses", body, "Idempotency-Key", "p-1")
	require.Equal(t, w.Body.String(), again.Body.String())
	listed := answer(t, l.call(http.MethodGet, fmt.Sprintf("/v1/loans/%d/escrow-analyses", good.ID), ""), 200)["data"]
	require.Equal(t, got["run_id"], listed.([]any)[0].(map[string]any)["run_id"])

	w = l.call(http.MethodPost, "/v1/escrow-analyses", `{"as_of_on":"2026-02-28","due_month_on":"2026-04-01"}`,
		"Idempotency-Key", "p-2")
	got = answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	require.Equal(t, []any{"finished", 0.0, "2026-04-01"}, []any{got["status"], got["total"], got["due_month_on"]})

	for _, month := range []string{"2026-04-02", "2026-06-01", "2025-02-01"} {
		w = l.call(http.MethodPost, "/v1/escrow-analyses",
			fmt.Sprintf(`{"as_of_on":"2026-02-28","due_month_on":%q}`, month), "Idempotency-Key", "p-3")
		require.Equal(t, []string{"/due_month_on"}, refused(t, w, 422, "invalid"), month)
	}
	tomorrow := fmt.Sprintf(`{"as_of_on":%q}`, mortgage.DateOf(time.Now())+1)
	w = l.call(http.MethodPost, "/v1/escrow-analyses", tomorrow, "Idempotency-Key", "p-3")
	require.Equal(t, []string{"/as_of_on"}, refused(t, w, 422, "invalid"))
}
