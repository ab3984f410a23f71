package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/mortgage"
	"loanserve/queries"
	"loanserve/server"
)

// The sample loan owes 280,000.00 at 6.5 % with interest paid to 2026-01-01. A
// month is 280,000 × 0.065 / 12 = 1,516.67, a day 280,000 × 0.065 / 365 = 49.8630.
func TestQuotesByHand(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		edit func(*queries.InsertLoanParams)
		on   string
		want string
	}{
		"a month and fifteen days, on the last day of grace": {
			on: "2026-02-16",
			want: `"principal_cents": 28000000, "interest_cents": 226462, "late_charges_cents": 0, "suspense_credit_cents": 0,
				"total_cents": 28226462, "full_months": 1, "odd_days": 15, "escrow_refund_due_on": "2026-03-16"`,
		},
		"a day later there is a late charge of 94.81 as well": {
			on: "2026-02-17",
			want: `"principal_cents": 28000000, "interest_cents": 231448, "late_charges_cents": 9481,
				"suspense_credit_cents": 0, "total_cents": 28240929, "full_months": 1, "odd_days": 16,
				"escrow_refund_due_on": "2026-03-17"`,
		},
		"an FHA loan pays for the day of receipt": {
			edit: func(p *queries.InsertLoanParams) { p.ApplicationOrder = mortgage.FHAOrder },
			on:   "2026-02-16",
			want: `"principal_cents": 28000000, "interest_cents": 231448, "late_charges_cents": 0, "suspense_credit_cents": 0,
				"total_cents": 28231448, "full_months": 1, "odd_days": 16, "escrow_refund_due_on": "2026-03-16"`,
		},
		"money that is held is taken off": {
			edit: func(p *queries.InsertLoanParams) { p.SuspenseCents = 50_00 },
			on:   "2026-02-16",
			want: `"principal_cents": 28000000, "interest_cents": 226462, "late_charges_cents": 0,
				"suspense_credit_cents": 5000, "total_cents": 28221462, "full_months": 1, "odd_days": 15,
				"escrow_refund_due_on": "2026-03-16"`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edit := tt.edit
			if edit == nil {
				edit = func(*queries.InsertLoanParams) {}
			}
			loan := testdb.Loan(t, testdb.Tx(t), edit)
			quote, err := server.QuoteOf(loan, testdb.Date(tt.on))
			require.NoError(t, err)
			got, err := json.Marshal(quote)
			require.NoError(t, err)
			require.JSONEq(t, fmt.Sprintf(`{"loan_id": %d, "good_through_on": %q, "per_diem_cents": 4986, "fees_cents": 0,
				"escrow_advance_cents": 0, "escrow_refundable_cents": 120000, %s}`, loan.ID, tt.on, tt.want), string(got))
		})
	}
}

// Held money that makes up an installment on its due date is no longer held
// then: the interest is paid a month further.
func TestQuoteReckonsWithWhatComes(t *testing.T) {
	t.Parallel()

	loan := testdb.Loan(t, testdb.Tx(t), func(p *queries.InsertLoanParams) { p.SuspenseCents = 2_346_20 + 10_00 })
	quote, err := server.QuoteOf(loan, testdb.Date("2026-02-17"))
	require.NoError(t, err)
	got, err := json.Marshal(quote)
	require.NoError(t, err)
	// 1,896.20 less 1,516.67 is 379.53 of principal; sixteen days on the rest are 796.73.
	require.JSONEq(t, fmt.Sprintf(`{"loan_id": %d, "good_through_on": "2026-02-17", "principal_cents": 27962047,
		"interest_cents": 79673, "late_charges_cents": 0, "fees_cents": 0, "escrow_advance_cents": 0,
		"suspense_credit_cents": 1000, "total_cents": 28040720, "per_diem_cents": 4980, "full_months": 0, "odd_days": 16,
		"escrow_refundable_cents": 165000, "escrow_refund_due_on": "2026-03-17"}`, loan.ID), string(got))

	loan.LastEffectiveOn = testdb.Date("2026-02-18")
	_, err = server.QuoteOf(loan, testdb.Date("2026-02-17"))
	p, ok := errors.AsType[*server.Problem](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "conflict", p.Code, "the books hold something later")
}

func TestPayoffQuote(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	today := mortgage.DateOf(time.Now())
	quote := fmt.Sprintf("/v1/loans/%d/payoff-quote?good_through_on=", loan.ID)
	for _, on := range []mortgage.Date{today - 30, today, today + 365} {
		got := answer(t, l.call(http.MethodGet, quote+on.String(), ""), 200)
		require.Equal(t, on.String(), got["good_through_on"])
		require.InDelta(t, 28000000, got["principal_cents"], 0)
	}
	for _, on := range []string{(today - 31).String(), (today + 366).String(), "2026-02-30", "x", ""} {
		w := l.call(http.MethodGet, quote+on, "")
		require.Equal(t, []string{"?good_through_on"}, refused(t, w, 422, "invalid"), on)
	}
	missing := l.call(http.MethodGet, fmt.Sprintf("/v1/loans/%d/payoff-quote", loan.ID), "")
	require.Equal(t, []string{"?good_through_on"}, refused(t, missing, 422, "invalid"))
	refused(t, l.call(http.MethodGet, "/v1/loans/999/payoff-quote?good_through_on="+today.String(), ""), 404, "not-found")

	_, err := l.db.Super.Exec(t.Context(), `UPDATE loans SET status = 'paid_off'`)
	require.NoError(t, err)
	refused(t, l.call(http.MethodGet, quote+today.String(), ""), 409, "conflict")
}
