package portfolio_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/portfolio"
	"loanserve/mortgage"
)

// loan is the body of POST /v1/loans, as far as figures go and no farther than
// the API knows.
type loan struct {
	LoanNumber  string            `json:"loan_number"`
	Name        string            `json:"name"`
	Borrowers   []json.RawMessage `json:"borrowers"`
	Property    json.RawMessage   `json:"property"`
	EscrowLines []struct {
		Kind        string         `json:"kind"`
		Payee       string         `json:"payee"`
		AmountCents mortgage.Cents `json:"amount_cents"`
		EveryMonths int64          `json:"every_months"`
		NextDueOn   mortgage.Date  `json:"next_due_on"`
	} `json:"escrow_lines"`
	OriginalPrincipalCents    mortgage.Cents            `json:"original_principal_cents"`
	RatePpm                   mortgage.Rate             `json:"rate_ppm"`
	PrincipalAndInterestCents mortgage.Cents            `json:"principal_and_interest_cents"`
	EscrowPaymentCents        mortgage.Cents            `json:"escrow_payment_cents"`
	OriginatedOn              mortgage.Date             `json:"originated_on"`
	MaturityOn                mortgage.Date             `json:"maturity_on"`
	InterestMethod            mortgage.InterestMethod   `json:"interest_method"`
	ApplicationOrder          mortgage.ApplicationOrder `json:"application_order"`
	ExcessPolicy              mortgage.ExcessPolicy     `json:"excess_policy"`
	Rounding                  mortgage.Rounding         `json:"rounding"`
	LateCharge                json.RawMessage           `json:"late_charge"`
	PrincipalCents            mortgage.Cents            `json:"principal_cents"`
	EscrowCents               mortgage.Cents            `json:"escrow_cents"`
	SuspenseCents             mortgage.Cents            `json:"suspense_cents"`
	LateChargesDueCents       mortgage.Cents            `json:"late_charges_due_cents"`
	NextDueOn                 mortgage.Date             `json:"next_due_on"`
}

func (l loan) terms() mortgage.Terms {
	return mortgage.Terms{
		Rate: l.RatePpm, PrincipalAndInterest: l.PrincipalAndInterestCents, EscrowPayment: l.EscrowPaymentCents,
		DueDay: mortgage.DueDay(l.NextDueOn, l.MaturityOn), MaturityOn: l.MaturityOn,
		InterestMethod: l.InterestMethod, ApplicationOrder: l.ApplicationOrder, ExcessPolicy: l.ExcessPolicy,
		Rounding: l.Rounding,
	}
}

func (l loan) state() mortgage.State {
	return mortgage.State{
		Principal: l.PrincipalCents, Escrow: l.EscrowCents, Suspense: l.SuspenseCents,
		LateChargesDue: l.LateChargesDueCents, NextDueOn: l.NextDueOn,
	}
}

// payment is the body of POST /v1/loans/{loan_id}/payments.
type payment struct {
	AmountCents mortgage.Cents `json:"amount_cents"`
	ReceivedOn  mortgage.Date  `json:"received_on"`
	Channel     string         `json:"channel"`
	Designation string         `json:"designation"`
	ExternalRef string         `json:"external_ref"`
}

func decode(t *testing.T, body []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into), "%s", body)
}

func loans(t *testing.T) map[string]loan {
	t.Helper()
	all := map[string]loan{}
	for _, l := range portfolio.Loans() {
		var body loan
		decode(t, l.Body, &body)
		if body.Rounding == "" {
			body.Rounding = mortgage.RoundHalfUp
		}
		all[l.Number] = body
	}
	return all
}

func TestLoansAreTwentyThree(t *testing.T) {
	t.Parallel()

	all := portfolio.Loans()
	require.Len(t, all, 23)
	seen, names := map[string]bool{}, map[string]bool{}
	for _, l := range all {
		require.Regexp(t, `^LS-10\d\d$`, l.Number)
		require.False(t, seen[l.Number] || seen[l.Key], "loan %s is there twice", l.Number)
		seen[l.Number], seen[l.Key], names[l.Name] = true, true, true
	}
	require.True(t, names["Pasterino"])
	require.Equal(t, all, portfolio.Loans(), "the portfolio is the same every time")
}

// The first installment falls due in the second month after the note, so that
// term and age of a loan follow from its dates.
func TestLoansFollowFromTheirNotes(t *testing.T) {
	t.Parallel()

	for number, l := range loans(t) {
		terms := l.terms()
		require.NoError(t, terms.Check(l.state()), number)

		year, month, _ := l.OriginatedOn.Civil()
		first, err := mortgage.NewDate(year, month, 1)
		require.NoError(t, err)
		first, err = first.AddMonths(2, terms.DueDay)
		require.NoError(t, err)

		level, err := mortgage.LevelPayment(
			l.OriginalPrincipalCents, l.RatePpm, months(first, l.MaturityOn)+1, mortgage.RoundHalfUp)
		require.NoError(t, err)
		require.Equal(t, level, l.PrincipalAndInterestCents, "%s: principal and interest", number)

		paid := months(first, l.NextDueOn)
		schedule, err := terms.Schedule(mortgage.State{Principal: l.OriginalPrincipalCents, NextDueOn: first}, paid)
		require.NoError(t, err)
		require.Len(t, schedule, paid, number)
		require.Equal(t, schedule[paid-1].PrincipalAfter, l.PrincipalCents, "%s: unpaid principal", number)
	}
}

func months(from, to mortgage.Date) int {
	y1, m1, _ := from.Civil()
	y2, m2, _ := to.Civil()
	return (y2-y1)*12 + m2 - m1
}

func TestEscrowPaymentsAreATwelfthOfTheBills(t *testing.T) {
	t.Parallel()

	for number, l := range loans(t) {
		var year mortgage.Cents
		for _, line := range l.EscrowLines {
			require.Zero(t, 12%line.EveryMonths, number)
			year += line.AmountCents * mortgage.Cents(12/line.EveryMonths)
			require.Greater(t, line.NextDueOn, l.NextDueOn-31, "%s: %s", number, line.Payee)
		}
		twelfth, err := year.MulDiv(1, 12, mortgage.RoundHalfUp)
		require.NoError(t, err)
		require.Equal(t, twelfth, l.EscrowPaymentCents, number)
	}
}

// What the arithmetic makes of the payments, loan by loan: the situations for
// which the portfolio was put together.
func TestPaymentsShowEverySituation(t *testing.T) {
	t.Parallel()

	situations := map[mortgage.Kind]int{}
	all, states, keys := loans(t), map[string]mortgage.State{}, map[string]bool{}
	last, err := mortgage.ParseDate("2026-10-31")
	require.NoError(t, err)
	for _, p := range portfolio.Payments() {
		var body payment
		decode(t, p.Body, &body)
		require.False(t, keys[p.Key], "key %s is there twice", p.Key)
		keys[p.Key] = true
		require.LessOrEqual(t, body.ReceivedOn, last)

		l, ok := all[p.LoanNumber]
		require.True(t, ok, p.LoanNumber)
		state, ok := states[p.LoanNumber]
		if !ok {
			state = l.state()
		}
		receipt := mortgage.Receipt{Amount: body.AmountCents, ReceivedOn: body.ReceivedOn}
		after, entries, err := receipt.Happen(l.terms(), state)
		require.NoError(t, err, p.LoanNumber)
		states[p.LoanNumber] = after
		for _, e := range entries {
			situations[e.Kind]++
		}
	}
	require.Len(t, states, 23, "every borrower paid something")
	require.Equal(t, map[mortgage.Kind]int{
		mortgage.KindInstallment: 25, mortgage.KindUnapplied: 6,
		mortgage.KindCurtailment: 2, mortgage.KindLateChargePayment: 1,
	}, situations)
	require.Zero(t, states["LS-1011"].Principal, "the last two installments pay a loan off")
	require.Zero(t, states["LS-1009"].Suspense, "what was held at boarding is used")
}

// Source: 12 CFR 1026 Supplement I, comment 41(d)(3)-1.
func TestSuspenseExample(t *testing.T) {
	t.Parallel()

	l := loans(t)[portfolio.SuspenseExample]
	if total := l.PrincipalAndInterestCents + l.EscrowPaymentCents; total != 1_000_00 {
		t.Fatalf("periodic payment = %d, want 1,000.00", total)
	}
	want := []struct{ amount, held, applied mortgage.Cents }{
		{600_00, 600_00, 0}, {300_00, 900_00, 0}, {400_00, 300_00, 1_000_00},
	}
	state, step := l.state(), 0
	for _, p := range portfolio.Payments() {
		if p.LoanNumber != portfolio.SuspenseExample {
			continue
		}
		var body payment
		decode(t, p.Body, &body)
		after, _, err := mortgage.Receipt{Amount: body.AmountCents, ReceivedOn: body.ReceivedOn}.Happen(l.terms(), state)
		require.NoError(t, err)
		applied := body.AmountCents + state.Suspense - after.Suspense
		if w := want[step]; body.AmountCents != w.amount || after.Suspense != w.held || applied != w.applied {
			t.Errorf("step %d: %d received, %d held, %d applied; want %v", step+1, body.AmountCents, after.Suspense, applied, w)
		}
		state, step = after, step+1
	}
	require.Equal(t, len(want), step)
	require.Equal(t, "2026-09-01", state.NextDueOn.String(), "the oldest installment is the one that is satisfied")
}
