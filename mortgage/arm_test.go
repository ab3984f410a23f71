package mortgage_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// fiveOne are the terms of a common 5/1 note: margin 2.75 %, eighths, caps of
// 5 % at first, 2 % then and 10 % for life, and the margin for a floor.
func fiveOne() mortgage.ARMTerms {
	return mortgage.ARMTerms{
		Margin: 27_500, RoundTo: 1_250, PeriodicCap: 20_000, FirstCap: 50_000, LifetimeCap: 100_000, Floor: 27_500,
	}
}

func TestNewRate(t *testing.T) {
	t.Parallel()

	rounded := func(to mortgage.Rate) mortgage.ARMTerms {
		terms := fiveOne()
		terms.RoundTo = to
		return terms
	}
	noFloor := fiveOne()
	noFloor.Floor = 0
	tests := map[string]struct {
		terms          mortgage.ARMTerms
		index, current mortgage.Rate
		first          bool
		want           mortgage.Rate
	}{
		"index plus margin, already an eighth": {terms: fiveOne(), index: 37_500, current: 60_000, want: 65_000},
		"rounded down to the nearest eighth": {
			terms: fiveOne(), index: 38_100, current: 60_000, want: 65_000, // 6.560 %
		},
		"rounded up to the nearest eighth": {
			terms: fiveOne(), index: 38_200, current: 60_000, want: 66_250, // 6.570 %
		},
		"a hair below the middle goes down": {
			terms: fiveOne(), index: 38_124, current: 60_000, want: 65_000, // 6.5624 %
		},
		"exactly the middle goes up": {
			terms: fiveOne(), index: 38_125, current: 60_000, want: 66_250, // 6.5625 %
		},
		"a hair above the middle goes up": {terms: fiveOne(), index: 38_126, current: 60_000, want: 66_250},
		"a rise is capped":                {terms: fiveOne(), index: 60_000, current: 60_000, want: 80_000},
		"a rise of just the cap is not":   {terms: fiveOne(), index: 52_500, current: 60_000, want: 80_000},
		"a fall is capped":                {terms: fiveOne(), index: 2_500, current: 60_000, want: 40_000},
		"the first change has its own cap": {
			terms: fiveOne(), index: 70_000, current: 40_000, first: true, want: 90_000,
		},
		"and the later ones theirs": {terms: fiveOne(), index: 70_000, current: 40_000, want: 60_000},
		"the lifetime cap wins over the first": {
			terms: fiveOne(), index: 80_000, current: 60_000, first: true, want: 100_000,
		},
		"the floor wins over the cap on a fall": {
			terms: fiveOne(), index: -10_000, current: 40_000, want: 27_500,
		},
		"a negative index is added like any other": {terms: fiveOne(), index: -2_500, current: 30_000, want: 27_500},
		"rounding comes first: a cap is not on it": {terms: fiveOne(), index: 70_000, current: 43_210, want: 63_210},
		"rounding comes first: just above the cap": {
			terms: fiveOne(), index: 52_600, current: 60_000, want: 80_000, // 8.010 % is 8 %
		},
		"rounding comes first: over the cap by it": {
			terms: fiveOne(), index: 53_200, current: 60_000, want: 80_000, // 8.070 % is 8.125 %
		},
		"nothing changes when the index did not": {terms: fiveOne(), index: 37_500, current: 65_000, want: 65_000},
		"a quarter of a percent": {
			terms: rounded(2_500), index: 38_600, current: 60_000, want: 65_000,
		},
		"no rounding": {
			terms: rounded(0), index: 38_123, current: 60_000, want: 65_623,
		},
		"rounding to one is none": {
			terms: rounded(1), index: 38_123, current: 60_000, want: 65_623,
		},
		"an odd step has no middle": {
			terms: rounded(3), index: 37_502, current: 60_000, want: 65_001,
		},
		"a sum below zero is rounded, then floored": {terms: noFloor, index: -28_100, current: 5_000, want: 0},
		"a sum below zero, its middle goes up":      {terms: noFloor, index: -28_125, current: 5_000, want: 0},
		"a current rate above the lifetime cap": {
			terms: fiveOne(), index: 90_000, current: 130_000, want: 100_000,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if err := tt.terms.Check(); err != nil {
				t.Fatalf("%+v: %v", tt.terms, err)
			}
			if got := tt.terms.NewRate(tt.index, tt.current, tt.first); got != tt.want {
				t.Errorf("%+v.NewRate(%d, %d, %t) = %d; want %d", tt.terms, tt.index, tt.current, tt.first, got, tt.want)
			}
		})
	}
}

func TestARMTermsCheck(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		change func(*mortgage.ARMTerms)
		want   error
	}{
		"the common ones":          {func(*mortgage.ARMTerms) {}, nil},
		"a margin below the index": {func(t *mortgage.ARMTerms) { t.Margin = -10_000 }, nil},
		"no limits, said so": {func(t *mortgage.ARMTerms) {
			t.PeriodicCap, t.FirstCap, t.LifetimeCap = mortgage.MaxRate, mortgage.MaxRate, mortgage.MaxRate
		}, nil},
		"a floor at the lifetime cap": {func(t *mortgage.ARMTerms) { t.Floor = t.LifetimeCap }, nil},
		"a floor above the lifetime cap": {
			func(t *mortgage.ARMTerms) { t.Floor = t.LifetimeCap + 1 }, mortgage.ErrARMTerms,
		},
		"a forgotten periodic cap": {func(t *mortgage.ARMTerms) { t.PeriodicCap = 0 }, mortgage.ErrARMTerms},
		"a forgotten first cap":    {func(t *mortgage.ARMTerms) { t.FirstCap = 0 }, mortgage.ErrARMTerms},
		"a forgotten lifetime cap": {
			func(t *mortgage.ARMTerms) { t.LifetimeCap, t.Floor = 0, 0 }, mortgage.ErrARMTerms,
		},
		"a negative floor":    {func(t *mortgage.ARMTerms) { t.Floor = -1 }, mortgage.ErrARMTerms},
		"a negative multiple": {func(t *mortgage.ARMTerms) { t.RoundTo = -1 }, mortgage.ErrARMTerms},
		"a lifetime cap above 100 %": {
			func(t *mortgage.ARMTerms) { t.LifetimeCap = mortgage.MaxRate + 1 }, mortgage.ErrARMTerms,
		},
		"a margin above 100 %": {
			func(t *mortgage.ARMTerms) { t.Margin = mortgage.MaxRate + 1 }, mortgage.ErrARMTerms,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms := fiveOne()
			tt.change(&terms)
			if err := terms.Check(); !errors.Is(err, tt.want) {
				t.Errorf("%+v.Check() = %v; want %v", terms, err, tt.want)
			}
		})
	}
}

func TestARMOfTheRegulationZSample(t *testing.T) {
	t.Parallel()

	var golden struct {
		Source      string         `json:"source"`
		About       string         `json:"about"`
		Balance     mortgage.Cents `json:"balance_cents"`
		Rate        mortgage.Rate  `json:"rate_ppm"`
		Months      int            `json:"months"`
		PeriodicCap mortgage.Rate  `json:"periodic_cap_ppm"`
		LifetimeCap mortgage.Rate  `json:"lifetime_cap_ppm"`
		Years       []struct {
			Rate         mortgage.Rate  `json:"rate_ppm"`
			Payment      mortgage.Cents `json:"payment_cents"`
			Published    bool           `json:"published"`
			BalanceAfter mortgage.Cents `json:"balance_after_cents"`
		} `json:"years"`
	}
	readGolden(t, "arm_regulation_z_h14.json", &golden)
	arm := mortgage.ARMTerms{
		Margin: 30_000, PeriodicCap: golden.PeriodicCap, FirstCap: golden.PeriodicCap, LifetimeCap: golden.LifetimeCap,
	}
	terms, state := roundTerms(), mortgage.State{Principal: golden.Balance, NextDueOn: day("1996-09-01")}
	terms.MaturityOn, terms.EscrowPayment, terms.Rate = day("2026-08-01"), 0, golden.Rate
	changeOn := day("1996-08-01")

	for i, want := range golden.Years {
		if i > 0 {
			terms.Rate = arm.NewRate(500_000, terms.Rate, i == 1)
		}
		months, err := terms.InstallmentsAfter(changeOn)
		if err != nil || months != golden.Months-12*i {
			t.Fatalf("InstallmentsAfter(%s) = %d, %v", changeOn, months, err)
		}
		terms.PrincipalAndInterest, err = mortgage.Recast(state.Principal, terms.Rate, months, halfUp)
		if terms.Rate != want.Rate || terms.PrincipalAndInterest != want.Payment || err != nil {
			t.Errorf("year %d: rate %d, payment %d, %v; the source says %+v",
				i+1, terms.Rate, terms.PrincipalAndInterest, err, want)
		}
		if changeOn, err = changeOn.AddMonths(12, 1); err != nil {
			t.Fatal(err)
		}
		state.Principal, err = terms.ExpectedPrincipal(state, changeOn)
		if state.Principal != want.BalanceAfter || err != nil {
			t.Errorf("year %d: %d is left, %v; want %d", i+1, state.Principal, err, want.BalanceAfter)
		}
		if state.NextDueOn, err = changeOn.AddMonths(1, 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(golden.Years) != 4 {
		t.Errorf("the sample has %d years; want four", len(golden.Years))
	}
}

func TestExpectedPrincipal(t *testing.T) {
	t.Parallel()

	// 100,000.00 at 6 %, 800.00 a month, next due on 1 January 2026.
	tests := map[string]struct {
		changeOn string
		want     mortgage.Cents
	}{
		"paid ahead: what is owed now":                       {changeOn: "2025-12-31", want: 100_000_00},
		"the installment of the change date is paid":         {changeOn: "2026-01-01", want: 99_700_00},
		"between two due dates":                              {changeOn: "2026-01-31", want: 99_700_00},
		"the next one is paid too":                           {changeOn: "2026-02-01", want: 99_398_50},
		"one behind, the change a month on":                  {changeOn: "2026-03-01", want: 99_095_49},
		"after the last installment there is nothing to owe": {changeOn: "2060-01-01", want: 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got, err := roundTerms().ExpectedPrincipal(roundState(), day(tt.changeOn)); got != tt.want || err != nil {
				t.Errorf("ExpectedPrincipal(%s) = %d, %v; want %d", tt.changeOn, got, err, tt.want)
			}
		})
	}

	nothing := mortgage.State{NextDueOn: day("2026-01-01")}
	if got, err := roundTerms().ExpectedPrincipal(nothing, day("2027-01-01")); got != 0 || err != nil {
		t.Errorf("without principal ExpectedPrincipal = %d, %v; want 0", got, err)
	}
	if _, err := roundTerms().ExpectedPrincipal(roundState(), 0); !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("ExpectedPrincipal(no date): %v; want ErrNotDate", err)
	}
	if _, err := roundTerms().ExpectedPrincipal(mortgage.State{Principal: 1}, 1); !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("ExpectedPrincipal without a next due date: %v; want ErrNotDate", err)
	}
	tooLow := roundTerms()
	tooLow.PrincipalAndInterest = 499_99
	if _, err := tooLow.ExpectedPrincipal(roundState(), day("2026-01-01")); !errors.Is(err, mortgage.ErrPaymentTooSmall) {
		t.Errorf("ExpectedPrincipal with too small a payment: %v; want ErrPaymentTooSmall", err)
	}
}

func TestInstallmentsAfter(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		on, maturityOn string
		dueDay, want   int
	}{
		"the one on the day itself does not follow it": {
			on: "2026-01-01", maturityOn: "2026-12-01", dueDay: 1, want: 11,
		},
		"the day before, it does": {
			on: "2025-12-31", maturityOn: "2026-12-01", dueDay: 1, want: 12,
		},
		"the day after, the same eleven": {
			on: "2026-01-02", maturityOn: "2026-12-01", dueDay: 1, want: 11,
		},
		"the last one": {
			on: "2026-11-30", maturityOn: "2026-12-01", dueDay: 1, want: 1,
		},
		"at maturity none": {
			on: "2026-12-01", maturityOn: "2026-12-01", dueDay: 1, want: 0,
		},
		"after it none": {
			on: "2030-01-01", maturityOn: "2026-12-01", dueDay: 1, want: 0,
		},
		"thirty years": {
			on: "2026-01-01", maturityOn: "2056-01-01", dueDay: 1, want: 360,
		},
		"due on the 31st, on a short month's last": {
			on: "2026-02-28", maturityOn: "2026-03-31", dueDay: 31, want: 1,
		},
		"due on the 31st, the day before": {
			on: "2026-02-27", maturityOn: "2026-03-31", dueDay: 31, want: 2,
		},
		"maturity itself in a short month": {
			on: "2026-01-30", maturityOn: "2026-02-28", dueDay: 31, want: 2,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms := roundTerms()
			terms.MaturityOn, terms.DueDay = day(tt.maturityOn), tt.dueDay
			if got, err := terms.InstallmentsAfter(day(tt.on)); got != tt.want || err != nil {
				t.Errorf("InstallmentsAfter(%s), maturity %s = %d, %v; want %d", tt.on, tt.maturityOn, got, err, tt.want)
			}
		})
	}
	if _, err := roundTerms().InstallmentsAfter(0); !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("InstallmentsAfter(no date): %v; want ErrNotDate", err)
	}
}

func TestNoCapIsExceeded(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		rate := func(label string, least, most mortgage.Rate) mortgage.Rate {
			return mortgage.Rate(rapid.Int64Range(int64(least), int64(most)).Draw(t, label))
		}
		terms := mortgage.ARMTerms{
			Margin:      rate("margin", -50_000, 100_000),
			RoundTo:     rate("round to", 0, 10_000),
			PeriodicCap: rate("periodic cap", 1, 100_000),
			FirstCap:    rate("first cap", 1, 100_000),
			LifetimeCap: rate("lifetime cap", 1, 250_000),
		}
		terms.Floor = rate("floor", 0, terms.LifetimeCap)
		must(t, terms.Check())
		current := rate("current", terms.Floor, terms.LifetimeCap)
		index := rate("index", -100_000, 300_000)
		first := rapid.Bool().Draw(t, "first")
		most := terms.PeriodicCap
		if first {
			most = terms.FirstCap
		}

		got := terms.NewRate(index, current, first)
		if got < terms.Floor || got > terms.LifetimeCap || got < current-most || got > current+most {
			t.Fatalf("%+v.NewRate(%d, %d, %t) = %d, beyond a cap", terms, index, current, first, got)
		}
		if higher := terms.NewRate(index+rate("rise", 0, 10_000), current, first); higher < got {
			t.Fatalf("the index rises and the rate falls from %d to %d", got, higher)
		}
		// Where no limit holds it, it is a multiple, half a step from the sum.
		atLimit := got == terms.Floor || got == terms.LifetimeCap || got == current-most || got == current+most
		apart := 2 * (got - index - terms.Margin)
		if step := max(terms.RoundTo, 1); !atLimit && (got%step != 0 || apart > step || apart <= -step) {
			t.Fatalf("%+v.NewRate(%d, %d, %t) = %d, not the nearest", terms, index, current, first, got)
		}
	})
}

// A loan whose payment is just its interest lives to maturity, owes all of its
// principal until then and has as many installments as InstallmentsAfter counts.
func TestDueDatesAreCountedAsTheScheduleDoes(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawLoan(t)
		interest, err := l.terms.Rate.MonthInterest(l.state.Principal, l.terms.Rounding)
		must(t, err)
		l.terms.PrincipalAndInterest = interest
		before, err := l.terms.InterestPaidTo(l.state)
		must(t, err)
		n, err := l.terms.InstallmentsAfter(before)
		must(t, err)
		lines, err := l.terms.Schedule(l.state, l.months+1)
		must(t, err)
		if n != l.months || len(lines) != n {
			t.Fatalf("InstallmentsAfter(%s) = %d and the schedule has %d; want %d", before, n, len(lines), l.months)
		}
		for _, on := range []mortgage.Date{l.state.NextDueOn - 1, l.terms.MaturityOn - 1, l.terms.MaturityOn} {
			want := l.state.Principal
			if on == l.terms.MaturityOn {
				want = 0
			}
			if got, err := l.terms.ExpectedPrincipal(l.state, on); got != want || err != nil {
				t.Fatalf("ExpectedPrincipal(%s) = %d, %v; want %d", on, got, err, want)
			}
		}
	})
}

// No index, however absurd, leads beyond the floor and the lifetime cap.
func FuzzNewRate(f *testing.F) {
	f.Add(int64(38_125), int64(60_000), int64(1_250), true)
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), int64(0), false)
	f.Add(int64(math.MinInt64), int64(math.MaxInt64), int64(1_000_000), true)
	f.Fuzz(func(t *testing.T, index, current, roundTo int64, first bool) {
		terms := fiveOne()
		terms.RoundTo = mortgage.Rate(roundTo)
		if terms.Check() != nil {
			t.Skip("the terms are refused")
		}
		got := terms.NewRate(mortgage.Rate(index), mortgage.Rate(current), first)
		if got < terms.Floor || got > terms.LifetimeCap {
			t.Errorf("%+v.NewRate(%d, %d, %t) = %d, beyond floor or cap", terms, index, current, first, got)
		}
	})
}
