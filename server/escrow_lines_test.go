package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

const lineBody = `{"kind":"county_tax","payee":"County","amount_cents":50000,"every_months":12,
"next_due_on":"2026-07-25","known_cents":51000,"next_discount_on":"2026-07-01","next_penalty_on":"2026-08-01","discount_cents":1000,
"ends_on":"2030-01-01","last_paid_on":"2025-07-01","outside_cushion":true,"comparable":true}`

func TestEscrowLines(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := fmt.Sprintf("/v1/loans/%d", testdb.Loan(t, l.db.App).ID)
	require.Empty(t, answer(t, l.call(http.MethodGet, loan+"/escrow-lines", ""), 200)["data"])
	w := l.call(http.MethodPost, loan+"/escrow-lines", lineBody)
	added := answer(t, w, http.StatusCreated)
	require.Equal(t, `"1"`, w.Header().Get("ETag"))
	require.InDelta(t, 51000, added["known_cents"], 0)
	line := fmt.Sprintf("/v1/escrow-lines/%v", added["line_id"])

	w = l.call(http.MethodPatch, line, `{"amount_cents":60000,"known_cents":null,"ends_on":null}`, "If-Match", `"1"`)
	changed := answer(t, w, 200)
	require.Equal(t, `"2"`, w.Header().Get("ETag"))
	require.NotContains(t, changed, "known_cents")
	require.NotContains(t, changed, "ends_on")
	for member, was := range added {
		switch member {
		case "known_cents", "ends_on":
		case "amount_cents":
			require.InDelta(t, 60000, changed[member], 0)
		case "version":
			require.InDelta(t, 2, changed[member], 0)
		default:
			require.Equal(t, was, changed[member], member)
		}
	}
	refused(t, l.call(http.MethodPatch, line, `{"amount_cents":1}`, "If-Match", `"1"`), 412, "precondition-failed")
	refused(t, l.call(http.MethodPatch, line, `{"amount_cents":1}`), 428, "precondition-needed")
	refused(t, l.call(http.MethodDelete, line, "", "If-Match", `"1"`), 412, "precondition-failed")

	ended := answer(t, l.call(http.MethodDelete, line, "", "If-Match", `"2"`), 200)
	require.Contains(t, ended, "ended_at")
	require.Contains(t, ended["ended_by"], "token:")
	refused(t, l.call(http.MethodDelete, line, "", "If-Match", `"3"`), 409, "conflict")
	refused(t, l.call(http.MethodPatch, line, `{"amount_cents":1}`, "If-Match", "*"), 409, "conflict")
	require.Len(t, answer(t, l.call(http.MethodGet, loan+"/escrow-lines", ""), 200)["data"], 1, "it stays on record")
	require.Empty(t, answer(t, l.call(http.MethodGet, loan, ""), 200)["escrow_lines"], "it is not paid any more")
}

func TestEscrowLinesRefuse(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := fmt.Sprintf("/v1/loans/%d", testdb.Loan(t, l.db.App).ID)
	for change, place := range map[string]string{
		`"every_months":12>"every_months":7`:                      "/every_months",
		`"next_discount_on":"2026-07-01",>`:                       "/next_discount_on",
		`"every_months":12>"every_months":36`:                     "/ends_on",
		`"amount_cents":50000>"amount_cents":0`:                   "/amount_cents",
		`"kind":"county_tax">"kind":"road_tax"`:                   "/kind",
		`"next_due_on":"2026-07-25",>`:                            "/next_due_on",
		`"known_cents":51000>"known_cents":null`:                  "/known_cents",
		`"last_paid_on":"2025-07-01">"last_paid_on":"2025-02-30"`: "/last_paid_on",
	} {
		from, to, _ := strings.Cut(change, ">")
		body := strings.Replace(lineBody, from, to, 1)
		require.NotEqual(t, lineBody, body)
		w := l.call(http.MethodPost, loan+"/escrow-lines", body)
		require.Equal(t, []string{place}, refused(t, w, 422, "invalid"), change)
	}
	refused(t, l.call(http.MethodPost, "/v1/loans/999/escrow-lines", lineBody), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/loans/999/escrow-lines", ""), 404, "not-found")
	refused(t, l.call(http.MethodPatch, "/v1/escrow-lines/999", `{}`, "If-Match", "*"), 404, "not-found")
	w := l.call(http.MethodPost, loan+"/escrow-lines", lineBody)
	line := fmt.Sprintf("/v1/escrow-lines/%v", answer(t, w, http.StatusCreated)["line_id"])
	for body, place := range map[string]string{
		`{"kind":"hoa"}`: "/kind", `{"amount_cents":null}`: "/amount_cents", `{"known_cents":-1}`: "/known_cents",
		`{"ends_on":"soon"}`: "/ends_on", `{"next_discount_on":null}`: "/next_discount_on",
	} {
		w := l.call(http.MethodPatch, line, body, "If-Match", "*")
		require.Equal(t, []string{place}, refused(t, w, 422, "invalid"), body)
	}
	l.token = l.newToken(t, server.ScopeEscrowRead)
	refused(t, l.call(http.MethodPost, loan+"/escrow-lines", lineBody), 403, "forbidden")
	refused(t, l.call(http.MethodPatch, line, `{}`, "If-Match", "*"), 403, "forbidden")
}

func TestEscrowSettings(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := fmt.Sprintf("/v1/loans/%d/escrow-settings", testdb.Loan(t, l.db.App).ID)
	w := l.call(http.MethodGet, path, "")
	require.Empty(t, answer(t, w, 200))
	etag := w.Header().Get("ETag")
	body := `{"year_starts_on":"2026-02-01","cushion_months":1,"cushion_source":"state_law","in_bankruptcy":true}`
	refused(t, l.call(http.MethodPatch, path, body), 428, "precondition-needed")
	w = l.call(http.MethodPatch, path, body, "If-Match", etag)
	require.JSONEq(t, body, w.Body.String())
	require.NotEqual(t, etag, w.Header().Get("ETag"))
	refused(t, l.call(http.MethodPatch, path, body, "If-Match", etag), 412, "precondition-failed")
	etag = w.Header().Get("ETag")
	for body, place := range map[string]string{
		`{"year_starts_on":"2026-02-02"}`: "/year_starts_on", `{"cushion_months":null}`: "/cushion_source",
		`{"cushion_months":3,"cushion_source":"state_law"}`: "/cushion_months",
	} {
		w := l.call(http.MethodPatch, path, body, "If-Match", etag)
		require.Equal(t, []string{place}, refused(t, w, 422, "invalid"), body)
	}
	w = l.call(http.MethodPatch, path, `{"vacant":true,"cushion_months":null,"cushion_source":null}`, "If-Match", etag)
	require.JSONEq(t, `{"year_starts_on":"2026-02-01","in_bankruptcy":true,"vacant":true}`, w.Body.String())
	refused(t, l.call(http.MethodGet, "/v1/loans/999/escrow-settings", ""), 404, "not-found")
	refused(t, l.call(http.MethodPatch, "/v1/loans/999/escrow-settings", `{}`, "If-Match", "*"), 404, "not-found")
}

// What the regulation does not allow is refused with the member and the rule.
func TestEscrowPolicy(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	policy := answer(t, l.call(http.MethodGet, "/v1/escrow-policy", ""), 200)
	require.NotContains(t, policy, "policy_id")
	require.InDelta(t, 2, policy["cushion_months"], 0)
	for body, want := range map[string][2]string{
		`{"cushion_months":3}`:                                 {"/cushion_months", "12 CFR 1024.17(c)(5)"},
		`{"refund_from_cents":5001}`:                           {"/refund_from_cents", "12 CFR 1024.17(f)(2)(i)"},
		`{"shortage_months":11}`:                               {"/shortage_months", "12 CFR 1024.17(f)(3)(ii)(B)"},
		`{"shortage":"within_30_days"}`:                        {"/shortage", "12 CFR 1024.17(f)(3)(ii)(B)"},
		`{"deficiency_months":1}`:                              {"/deficiency_months", "12 CFR 1024.17(f)(4)(ii)"},
		`{"estimate_change_ppm":30001,"cpi_change_ppm":30000}`: {"/estimate_change_ppm", "12 CFR 1024.17(c)(7)"},
		`{"notice_days":61}`:                                   {"/notice_days", "0 to 60"},
	} {
		w := l.call(http.MethodPost, "/v1/escrow-policies", body)
		require.Equal(t, []string{want[0]}, refused(t, w, 422, "invalid"), body)
		require.Contains(t, w.Body.String(), want[1])
	}
	added := answer(t, l.call(http.MethodPost, "/v1/escrow-policies",
		`{"cushion_months":1,"estimate_change_ppm":20000,"cpi_change_ppm":30000}`), http.StatusCreated)
	require.InDelta(t, 12, added["shortage_months"], 0, "a default")
	require.InDelta(t, 1, added["cushion_months"], 0)
	got := answer(t, l.call(http.MethodGet, "/v1/escrow-policy", ""), 200)
	require.Equal(t, added, got)
	l.token = l.newToken(t, server.ScopeEscrowWrite)
	refused(t, l.call(http.MethodPost, "/v1/escrow-policies", `{}`), 403, "forbidden")
}
