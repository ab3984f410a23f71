package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/statement"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// owing boards a loan and analyzes its escrow account, so that it owes an initial
// statement that is due on 2026-06-29.
func (l *live) owing(t *testing.T, edits ...func(*mortgage.EscrowRequest)) queries.EscrowAnalysis {
	t.Helper()

	loan := testdb.Loan(t, l.db.App, func(p *queries.InsertLoanParams) { p.EscrowCents = 0 })
	testdb.Borrower(t, l.db.App, loan, queries.BorrowerRolePrimary)
	r := testdb.EscrowRequest(0)
	r.Kind, r.AsOf, r.EstablishedOn = mortgage.EscrowInitial, testdb.Date("2026-05-15"), testdb.Date("2026-05-15")
	r.Account.On = r.AsOf
	for _, edit := range edits {
		edit(&r)
	}
	return testdb.AnalyzedEscrow(t, l.db.App, loan, r)
}

// makeStatements works the queue until the analysis has its statement.
func (l *live) makeStatements(t *testing.T, analyses ...queries.EscrowAnalysis) {
	t.Helper()

	worker, err := jobs.NewWorker(l.db.App, jobs.Config{
		PaymentWorkers: 1, Metrics: l.metrics, Log: slog.New(slog.DiscardHandler),
		Servicer: statement.Servicer{Name: "Prairie", Address: "100 Capitol Avenue", Phone: "1-800-555-0100"},
	})
	require.NoError(t, err)
	inserter := l.inserter(t, slog.New(slog.DiscardHandler))
	for _, a := range analyses {
		_, err := inserter.Insert(t.Context(), jobs.MakeEscrowStatementArgs{AnalysisID: a.ID}, nil)
		require.NoError(t, err)
	}
	require.NoError(t, worker.Start(t.Context()))
	for _, a := range analyses {
		require.Eventually(t, func() bool {
			_, err := l.q.GetEscrowStatement(t.Context(), a.ID)
			return err == nil
		}, 30*time.Second, 10*time.Millisecond)
	}
	require.NoError(t, worker.Stop(t.Context()))
}

// A statement has three forms, which format or Accept choose between, each with its
// hash, under headers that fit it.
func TestGetEscrowStatement(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	analysis := l.owing(t)
	path := "/v1/escrow-analyses/" + analysis.ID.String() + "/statement"
	refused(t, l.call(http.MethodGet, path, ""), http.StatusNotFound, "not-found")
	l.makeStatements(t, analysis)

	for _, tt := range []struct{ query, accept, mediaType string }{
		{"", "", "application/json"},
		{"", "*/*", "application/json"},
		{"", "image/png", "application/json"},
		{"", "application/pdf;q=2, text/html;q=x", "application/json"},
		{"?format=json", "text/html", "application/json"},
		{"?format=html", "", "text/html; charset=utf-8"},
		{"", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"},
		{"", "text/html;q=0.5, application/pdf;q=0.9", "application/pdf"},
		{"?format=pdf", "application/json", "application/pdf"},
	} {
		w := l.call(http.MethodGet, path+tt.query, "", "Accept", tt.accept)
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		require.Equal(t, tt.mediaType, w.Header().Get("Content-Type"), "%s %s", tt.query, tt.accept)
		hash := sha256.Sum256(w.Body.Bytes())
		etag := `"` + hex.EncodeToString(hash[:]) + `"`
		require.Equal(t, etag, w.Header().Get("Etag"))
		require.Equal(t, "Accept", w.Header().Get("Vary"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		policy := w.Header().Get("Content-Security-Policy")
		require.True(t, strings.HasPrefix(policy, "default-src 'none';"), policy)
		require.Equal(t, strings.HasPrefix(tt.mediaType, "text/html"), strings.Contains(policy, "style-src 'sha256-"))
		disposition := w.Header().Get("Content-Disposition")
		require.Equal(t, tt.mediaType == "application/pdf", strings.Contains(disposition, "2026-05-15.pdf"), disposition)

		again := l.call(http.MethodGet, path+tt.query, "", "Accept", tt.accept, "If-None-Match", `"x", `+etag)
		require.Equal(t, http.StatusNotModified, again.Code)
		require.Empty(t, again.Body.Bytes())
		require.Equal(t, etag, again.Header().Get("Etag"))
	}

	var d statement.Disclosure
	require.NoError(t, json.Unmarshal(l.call(http.MethodGet, path, "").Body.Bytes(), &d))
	require.Equal(t, mortgage.Cents(1_040_00), d.Deposit.AmountCents)
	require.Contains(t, l.call(http.MethodGet, path+"?format=html", "").Body.String(), "$1,040.00")
	require.True(t, strings.HasPrefix(l.call(http.MethodGet, path+"?format=pdf", "").Body.String(), "%PDF-"))

	require.Equal(t, []string{"?format"}, refused(t, l.call(http.MethodGet, path+"?format=doc", ""), 422, "invalid"))
	l.token = l.newToken(t, "loans:read")
	refused(t, l.call(http.MethodGet, path, ""), http.StatusForbidden, "forbidden")
}

// The list shows what is owed, those due first, and is paged; delivery is recorded
// once.
func TestEscrowStatementsOwed(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	var owed []queries.EscrowAnalysis
	for i := range 3 {
		owed = append(owed, l.owing(t, func(r *mortgage.EscrowRequest) { r.EstablishedOn += mortgage.Date(i) }))
	}
	l.makeStatements(t, owed[0], owed[1])
	ids := func(query string) []string {
		var found []string
		for next := "/v1/escrow-statements?limit=2&" + query; next != ""; {
			w := l.call(http.MethodGet, next, "")
			got := answer(t, w, http.StatusOK)
			for _, item := range got["data"].([]any) {
				found = append(found, item.(map[string]any)["analysis_id"].(string))
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
		}
		return found
	}
	all := []string{owed[0].ID.String(), owed[1].ID.String(), owed[2].ID.String()}
	require.Equal(t, all, ids(""))
	require.Equal(t, all[:1], ids("due_before=2026-06-30"))
	require.Equal(t, all, ids("delivered=false"))

	delivery := func(analysis string) string { return "/v1/escrow-statements/" + analysis + "/delivery" }
	path := delivery(all[0])
	const body = `{"delivered_on":"2026-05-20"}`
	got := answer(t, l.call(http.MethodPost, path, body), http.StatusOK)
	require.Equal(t, []any{"2026-05-20", "2026-06-29", "initial", "2026-05-15"},
		[]any{got["delivered_on"], got["due_on"], got["kind"], got["prepared_on"]})
	require.Contains(t, got["delivered_by"], "token:")
	require.NotEmpty(t, got["made_at"])
	require.Equal(t, got, answer(t, l.call(http.MethodPost, path, body), http.StatusOK), "the same again changes nothing")
	require.Equal(t, []string{"/delivered_on"},
		refused(t, l.call(http.MethodPost, path, `{"delivered_on":"2026-05-21"}`), http.StatusConflict, "conflict"))
	require.Equal(t, all[1:], ids("delivered=false"))
	require.Equal(t, all[:1], ids("delivered=true"))

	for on, status := range map[string]int{"2026-05-14": 422, "2199-01-01": 422} {
		w := l.call(http.MethodPost, delivery(all[1]), fmt.Sprintf(`{"delivered_on":%q}`, on))
		require.Equal(t, []string{"/delivered_on"}, refused(t, w, status, "invalid"))
	}
	refused(t, l.call(http.MethodPost, delivery(all[2]), body), http.StatusConflict, "conflict")
	refused(t, l.call(http.MethodPost, delivery(uuid.NewString()), body), http.StatusNotFound, "not-found")
	for query, place := range map[string]string{"delivered=no": "?delivered", "cursor=x": "?cursor"} {
		w := l.call(http.MethodGet, "/v1/escrow-statements?"+query, "")
		require.Equal(t, []string{place}, refused(t, w, 422, "invalid"))
	}
}
