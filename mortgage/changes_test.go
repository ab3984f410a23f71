package mortgage_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// The loan of roundTerms: 7.2 % and 850.00 from February on, 210.00 of escrow from
// March on, and 7 % and 840.00 from May on.
func changingTerms() mortgage.Terms {
	return roundTerms().
		WithRate(mortgage.RateChange{DueOn: day("2026-05-01"), Rate: 70_000}).
		WithPayment(mortgage.PaymentChange{DueOn: day("2026-05-01"), PrincipalAndInterest: new(mortgage.Cents(840_00))}).
		WithRate(mortgage.RateChange{DueOn: day("2026-02-01"), Rate: 72_000}).
		WithPayment(mortgage.PaymentChange{DueOn: day("2026-03-01"), EscrowPayment: new(mortgage.Cents(210_00))}).
		WithPayment(mortgage.PaymentChange{DueOn: day("2026-02-01"), PrincipalAndInterest: new(mortgage.Cents(850_00))})
}

func TestInstallmentsOfChangingTerms(t *testing.T) {
	t.Parallel()

	line := func(dueOn string, interest, principal, escrow, after mortgage.Cents) mortgage.ScheduleLine {
		return mortgage.ScheduleLine{Installment: mortgage.Installment{
			DueOn: day(dueOn), Interest: interest, Principal: principal, Escrow: escrow,
		}, PrincipalAfter: after}
	}
	want := []mortgage.ScheduleLine{
		line("2026-01-01", 500_00, 300_00, 200_00, 99_700_00),
		// 99,700.00 at 7.2 % bear 598.20 a month.
		line("2026-02-01", 598_20, 251_80, 200_00, 99_448_20),
		line("2026-03-01", 596_69, 253_31, 210_00, 99_194_89),
		line("2026-04-01", 595_17, 254_83, 210_00, 98_940_06),
		// 98,940.06 at 7 % bear 577.15035.
		line("2026-05-01", 577_15, 262_85, 210_00, 98_677_21),
	}
	got, err := changingTerms().Schedule(roundState(), len(want))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Schedule = %+v, %v; want %+v", got, err, want)
	}
}

func TestAChangeTakesThePlaceOfAnotherForTheSameInstallment(t *testing.T) {
	t.Parallel()

	terms := changingTerms()
	again := terms.WithRate(mortgage.RateChange{DueOn: day("2026-02-01"), Rate: 50_000}).
		WithPayment(mortgage.PaymentChange{DueOn: day("2026-02-01"), EscrowPayment: new(mortgage.Cents(1_00))}).
		WithoutLateCharge(day("2026-02-01")).WithoutLateCharge(day("2026-02-01"))
	if n := len(again.Changes.Rates); n != 2 || again.RateFor(day("2026-04-01")) != 50_000 {
		t.Errorf("%d rate changes, %d in April; want two, 50000", n, again.RateFor(day("2026-04-01")))
	}
	pi, escrow := again.PrincipalAndInterestFor(day("2026-02-01")), again.EscrowPaymentFor(day("2026-02-01"))
	if pi != 850_00 || escrow != 1_00 {
		t.Errorf("February asks for %d and %d; want 85000 as before and 100", pi, escrow)
	}
	if len(again.Changes.WaivedLateCharges) != 1 {
		t.Errorf("%v is waived; want February, once", again.Changes.WaivedLateCharges)
	}
	if terms.RateFor(day("2026-04-01")) != 72_000 || terms.EscrowPaymentFor(day("2026-02-01")) != 200_00 {
		t.Error("a changed copy has changed the terms it was made of")
	}
}

func TestAWaivedLateChargeIsNotAssessed(t *testing.T) {
	t.Parallel()

	terms, state := chargingTerms().WithoutLateCharge(day("2026-02-01")), roundState()
	state.AsOf = terms.BoardedOn
	_, got, err := terms.Advance(state, day("2026-03-31"))
	want := []mortgage.Entry{
		charged("2026-01-01", "2026-01-17", 40_00), charged("2026-03-01", "2026-03-17", 40_00),
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Advance = %+v, %v; want %+v", got, err, want)
	}
}

func TestLateChargeOfAChangedPayment(t *testing.T) {
	t.Parallel()

	terms, state := changingTerms(), roundState()
	terms.LateCharge, terms.BoardedOn = chargingTerms().LateCharge, day("2025-12-15")
	state.AsOf = terms.BoardedOn
	_, got, err := terms.Advance(state, day("2026-02-28"))
	want := []mortgage.Entry{
		charged("2026-01-01", "2026-01-17", 40_00), charged("2026-02-01", "2026-02-17", 42_50), // 5 % of 850.00
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Advance = %+v, %v; want %+v", got, err, want)
	}
}

// The payoff of a loan two months behind: March at 7.2 %, April at 7.2 %, and the
// days of May at 7 %.
func TestPayoffAtChangingRates(t *testing.T) {
	t.Parallel()

	state := roundState()
	state.NextDueOn = day("2026-03-01")
	q, err := changingTerms().PayoffQuote(state, day("2026-04-11"))
	// 600.00 each for the months before 1 March and 1 April, ten days at 7 % 191.78.
	if err != nil || q.Interest != 600_00+600_00+191_78 || q.PerDiem != 19_18 || q.FullMonths != 2 || q.OddDays != 10 {
		t.Errorf("PayoffQuote = %+v, %v; want 139178 of interest, 1918 a day", q, err)
	}
	state.NextDueOn = day("2026-06-01") // Paid two months ahead of 20 March.
	q, err = changingTerms().PayoffQuote(state, day("2026-03-21"))
	// May at 7 % and April at 7.2 % are given back; the twenty days since 1 March are owed at 7.2 %.
	if err != nil || q.Interest != -583_33-600_00+394_52 || q.FullMonths != -2 {
		t.Errorf("PayoffQuote paid ahead = %+v, %v; want -78881 of interest", q, err)
	}
}

func TestAdjustRate(t *testing.T) {
	t.Parallel()

	arm := mortgage.ARMTerms{
		Margin: 27_500, RoundTo: 1_250, PeriodicCap: 10_000, FirstCap: 20_000, LifetimeCap: 110_000, Floor: 27_500,
	}
	terms, state := roundTerms(), roundState()
	// Index 4.36 % and margin 2.75 % are 7.11 %, which is nearest to 7.125 %. From
	// July 2026 to June 2042 are 192 installments.
	got, err := terms.AdjustRate(arm, state, 43_600, day("2026-07-01"))
	lines, scheduleErr := terms.Schedule(state, 6)
	want, levelErr := mortgage.LevelPayment(lines[5].PrincipalAfter, 71_250, 192, halfUp)
	if errors.Join(err, scheduleErr, levelErr) != nil || got.Rate != 71_250 || got.PrincipalAndInterest != want ||
		got.ExpectedPrincipal != lines[5].PrincipalAfter || got.Installments != 192 {
		t.Errorf("AdjustRate = %+v, %v; want 71250 and %d over 192 months", got, err, want)
	}

	// An index of 7 % is held at 8 % by the first cap, and at 7 % where the rate
	// has changed before.
	for name, tt := range map[string]struct {
		terms    mortgage.Terms
		adjusted bool
		want     mortgage.Rate
	}{
		"the first change": {terms: terms, want: 80_000},
		"a change before the boarding": {
			terms: terms, adjusted: true, want: 70_000,
		},
		"a change since": {
			terms: terms.WithRate(mortgage.RateChange{DueOn: day("2026-02-01"), Rate: 60_000}), want: 70_000,
		},
		"one that comes later does not count": {
			terms: terms.WithRate(mortgage.RateChange{DueOn: day("2026-08-01"), Rate: 90_000}), want: 80_000,
		},
	} {
		arm := arm
		arm.Adjusted = tt.adjusted
		if got, err := tt.terms.AdjustRate(arm, state, 70_000, day("2026-07-01")); got.Rate != tt.want || err != nil {
			t.Errorf("%s: AdjustRate = %+v, %v; want %d", name, got, err, tt.want)
		}
	}

	for name, tt := range map[string]struct {
		arm   mortgage.ARMTerms
		index mortgage.Rate
		dueOn string
		want  error
	}{
		"no terms":                 {index: 1, dueOn: "2026-07-01", want: mortgage.ErrARMTerms},
		"an index beyond reason":   {arm: arm, index: mortgage.MaxRate + 1, dueOn: "2026-07-01", want: mortgage.ErrRange},
		"another day of the month": {arm: arm, dueOn: "2026-07-02", want: mortgage.ErrNotDueDate},
		"an installment paid":      {arm: arm, dueOn: "2025-12-01", want: mortgage.ErrChangePassed},
		"after maturity":           {arm: arm, dueOn: "2042-07-01", want: mortgage.ErrNoInstallmentLeft},
	} {
		if _, err := terms.AdjustRate(tt.arm, state, tt.index, day(tt.dueOn)); !errors.Is(err, tt.want) {
			t.Errorf("%s: AdjustRate: %v; want %v", name, err, tt.want)
		}
	}
}

// drawChanges draws changes of rate and payment under which no payment falls
// below a month's interest, and waived charges.
func drawChanges(t *rapid.T, l loan) mortgage.Terms {
	dueOn := func(label string) mortgage.Date {
		on, err := l.state.NextDueOn.AddMonths(rapid.IntRange(-3, 40).Draw(t, label), l.terms.DueDay)
		must(t, err)
		return on
	}
	highest := max(l.terms.Rate, mortgage.Rate(rapid.Int64Range(0, 150_000).Draw(t, "highest rate")))
	least, err := highest.MonthInterest(l.state.Principal, mortgage.RoundUp)
	must(t, err)
	terms := l.terms
	for range rapid.IntRange(0, 3).Draw(t, "rate changes") {
		on := dueOn("rate from")
		payment := least + drawCents(t, "above interest", 1_000_00) + 1
		rate := mortgage.Rate(rapid.Int64Range(0, int64(highest)).Draw(t, "rate"))
		terms = terms.WithRate(mortgage.RateChange{DueOn: on, Rate: rate}).
			WithPayment(mortgage.PaymentChange{DueOn: on, PrincipalAndInterest: &payment})
	}
	for range rapid.IntRange(0, 2).Draw(t, "escrow changes") {
		payment := drawCents(t, "escrow", 900_00)
		terms = terms.WithPayment(mortgage.PaymentChange{DueOn: dueOn("escrow from"), EscrowPayment: &payment})
	}
	for range rapid.IntRange(0, 2).Draw(t, "waived charges") {
		terms = terms.WithoutLateCharge(dueOn("waived"))
	}
	// A rate above the first one may come before the payment that goes with it was
	// lowered again: every payment covers the highest.
	terms.PrincipalAndInterest = max(terms.PrincipalAndInterest, least+1)
	return terms
}
