package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// A payment of 2026-02-01 is posted and later reversed. What was owed on a day
// depends on when one asks; what was known at a moment never changes again.
func TestBalancesOnBothAxes(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	at := fmt.Sprintf("/v1/loans/%d", loan.ID)
	l.work(t)
	paid := l.call(http.MethodPost, at+"/payments", `{"amount_cents":234620,"received_on":"2026-02-01","channel":"ach"}`,
		"Idempotency-Key", "p-1")
	payment := paid.Header().Get("Location")
	posted := answer(t, l.call(http.MethodGet, payment, "", "Prefer", "wait=20"), 200)
	require.Equal(t, "posted", posted["status"])

	balances := func(asOf, knownAt string) []any {
		query := url.Values{}
		if asOf != "" {
			query.Set("as_of_on", asOf)
		}
		if knownAt != "" {
			query.Set("known_at", knownAt)
		}
		got := answer(t, l.call(http.MethodGet, at+"/balances?"+query.Encode(), ""), 200)
		return []any{
			got["transactions"], got["principal_cents"], got["escrow_cents"], got["cash_cents"], got["interest_income_cents"],
		}
	}
	boarded := []any{1.0, 28000000.0, 120000.0, 0.0, 0.0}
	credited := []any{2.0, 27962047.0, 165000.0, 234620.0, 151667.0}
	require.Equal(t, credited, balances("", ""))
	require.Equal(t, credited, balances("2026-02-01", ""))
	require.Equal(t, boarded, balances("2026-01-31", ""))

	reversed := l.call(http.MethodPost, payment+"/reversals", `{"reason":"R01"}`, "Idempotency-Key", "r-1")
	outcome := l.call(http.MethodGet, reversed.Header().Get("Location"), "", "Prefer", "wait=20")
	require.Equal(t, "posted", answer(t, outcome, 200)["status"])

	undone := []any{3.0, 28000000.0, 120000.0, 0.0, 0.0}
	require.Equal(t, undone, balances("", ""))
	require.Equal(t, undone, balances("2026-02-01", ""), "the reversal is of the payment's day")
	require.Equal(t, boarded, balances("2026-01-31", ""))
	knownAt := posted["posted_at"].(string)
	require.Equal(t, credited, balances("2026-02-01", knownAt), "before the reversal was known")
	require.Equal(t, boarded, balances("2026-01-31", knownAt))
	require.Equal(t, boarded, balances("2026-02-01", testdb.BoardedAt.Format("2006-01-02T15:04:05.999999Z07:00")))
	require.Equal(t, []any{0.0, 0.0, 0.0, 0.0, 0.0}, balances("2026-01-14", ""), "before it was boarded")
	require.Equal(t, []any{0.0, 0.0, 0.0, 0.0, 0.0}, balances("", "2026-01-01T00:00:00Z"))

	for _, query := range []string{"as_of_on=x", "as_of_on=2026-02-30", "known_at=x", "known_at=2026-02-01"} {
		w := l.call(http.MethodGet, at+"/balances?"+query, "")
		require.Len(t, refused(t, w, 422, "invalid"), 1, query)
	}
}
