package mortgage_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// chargingTerms are roundTerms with 5 % of an overdue 800.00, that is 40.00,
// after fifteen days of grace, boarded on 15 December 2025.
func chargingTerms() mortgage.Terms {
	t := roundTerms()
	t.LateCharge = mortgage.LateChargePolicy{GraceDays: 15, Rate: 50_000}
	t.BoardedOn = day("2025-12-15")
	return t
}

// charged is a late charge as it is assessed.
func charged(dueOn, on string, cents mortgage.Cents) mortgage.Entry {
	return mortgage.Entry{
		Kind: mortgage.KindLateCharge, EffectiveOn: day(on), DueOn: day(dueOn), Rule: mortgage.RuleLateChargeAssessed,
		Postings: mortgage.Postings{LateChargesReceivable: cents, LateChargeIncome: -cents},
	}
}

// on is an entry that no receipt causes.
func on(s string, entry func(mortgage.Date) mortgage.Entry) mortgage.Entry { return entry(day(s)) }

// of is an entry of the receipt with that reference.
func of(ref, s string, entry func(mortgage.Date) mortgage.Entry) mortgage.Entry {
	e := entry(day(s))
	e.Ref = ref
	return e
}

func receipt(ref, receivedOn string, cents mortgage.Cents) mortgage.Receipt {
	return mortgage.Receipt{Ref: ref, ReceivedOn: day(receivedOn), Amount: cents}
}

// booksCase is a history of the loan of chargingTerms and roundState, on which
// change may be made.
type booksCase struct {
	change   func(*mortgage.Terms, *mortgage.State)
	receipts []mortgage.Receipt
	through  string
	want     []mortgage.Entry
	left     mortgage.State // without AsOf, which is through
}

func runBooks(t *testing.T, tests map[string]booksCase) {
	t.Helper()

	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, boarded := chargingTerms(), roundState()
			if c.change != nil {
				c.change(&terms, &boarded)
			}
			boarded.AsOf = terms.BoardedOn
			h := mortgage.History{Boarded: boarded, Receipts: c.receipts, Through: day(c.through)}
			got, entries, err := terms.Books(h)
			checkEntries(t, entries, c.want, err)
			want := c.left
			want.AsOf = h.Through
			if got != want {
				t.Errorf("Books(%+v) leads to %+v; want %+v", h, got, want)
			}
		})
	}
}

func TestHeldMoneySatisfiesOnTheDueDate(t *testing.T) {
	t.Parallel()

	jan := installment("2026-01-01", 500_00, 300_00, 0)
	fromHeld := func(dueOn string, interest, principal mortgage.Cents) func(mortgage.Date) mortgage.Entry {
		return installment(dueOn, interest, principal, interest+principal+200_00)
	}
	toSuspense := under(mortgage.ExcessToSuspense)
	three := []mortgage.Receipt{receipt("a", "2026-01-01", 3_050_00)}
	runBooks(t, map[string]booksCase{
		"not on the day before": {
			change: toSuspense, receipts: three, through: "2026-01-31",
			want: []mortgage.Entry{of("a", "2026-01-01", jan), of("a", "2026-01-01", held(2_050_00, excess))},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, Suspense: 2_050_00, NextDueOn: day("2026-02-01"),
			},
		},
		"on the day itself": {
			change: toSuspense, receipts: three, through: "2026-02-01",
			want: []mortgage.Entry{
				of("a", "2026-01-01", jan), of("a", "2026-01-01", held(2_050_00, excess)),
				on("2026-02-01", fromHeld("2026-02-01", 498_50, 301_50)),
			},
			left: mortgage.State{
				Principal: 99_398_50, Escrow: 400_00, Suspense: 1_050_00, NextDueOn: day("2026-03-01"),
			},
		},
		"month after month as long as it suffices, and then a late charge": {
			change: toSuspense, receipts: three, through: "2026-04-17",
			want: []mortgage.Entry{
				of("a", "2026-01-01", jan), of("a", "2026-01-01", held(2_050_00, excess)),
				on("2026-02-01", fromHeld("2026-02-01", 498_50, 301_50)),
				on("2026-03-01", fromHeld("2026-03-01", 496_99, 303_01)),
				charged("2026-04-01", "2026-04-17", 40_00),
			},
			left: mortgage.State{
				Principal: 99_095_49, Escrow: 600_00, Suspense: 50_00, LateChargesDue: 40_00,
				NextDueOn: day("2026-04-01"), LateChargedThrough: day("2026-04-01"),
			},
		},
		"before the receipts of that day": {
			change: holding(1_000_00), receipts: []mortgage.Receipt{receipt("a", "2026-01-01", 10_00)},
			through: "2026-01-01",
			// Without the clock the receipt would come early for February, and is too small.
			want: []mortgage.Entry{
				on("2026-01-01", fromHeld("2026-01-01", 500_00, 300_00)), of("a", "2026-01-01", curtailment(10_00)),
			},
			left: mortgage.State{Principal: 99_690_00, Escrow: 200_00, NextDueOn: day("2026-02-01")},
		},
		"one cent short it waits": {
			change: holding(999_99), through: "2026-01-16",
			left: mortgage.State{Principal: 100_000_00, Suspense: 999_99, NextDueOn: day("2026-01-01")},
		},
		"boarded with an installment that is overdue, it does on the first day": {
			change:  func(_ *mortgage.Terms, s *mortgage.State) { s.Suspense, s.NextDueOn = 1_000_00, day("2025-12-01") },
			through: "2025-12-31",
			// The grace of 1 December ended on the 16th, and the money was there.
			want: []mortgage.Entry{on("2025-12-16", fromHeld("2025-12-01", 500_00, 300_00))},
			left: mortgage.State{Principal: 99_700_00, Escrow: 200_00, NextDueOn: day("2026-01-01")},
		},
		"so that there is no late charge on the day after its grace": {
			change: func(t *mortgage.Terms, s *mortgage.State) {
				t.BoardedOn, s.Suspense, s.NextDueOn = day("2025-12-16"), 1_000_00, day("2025-12-01")
			},
			through: "2025-12-31",
			want:    []mortgage.Entry{on("2025-12-17", fromHeld("2025-12-01", 500_00, 300_00))},
			left:    mortgage.State{Principal: 99_700_00, Escrow: 200_00, NextDueOn: day("2026-01-01")},
		},
		"boarded with two that are overdue, it satisfies both on that day": {
			change:  func(_ *mortgage.Terms, s *mortgage.State) { s.Suspense, s.NextDueOn = 2_000_00, day("2025-11-01") },
			through: "2025-12-31",
			want: []mortgage.Entry{
				on("2025-12-16", fromHeld("2025-11-01", 500_00, 300_00)),
				on("2025-12-16", fromHeld("2025-12-01", 498_50, 301_50)),
			},
			left: mortgage.State{Principal: 99_398_50, Escrow: 400_00, NextDueOn: day("2026-01-01")},
		},
		"it repays the loan, and then nothing follows": {
			change:  func(_ *mortgage.Terms, s *mortgage.State) { s.Principal, s.Suspense = 1_500_00, 5_000_00 },
			through: "2027-01-01",
			want: []mortgage.Entry{
				on("2026-01-01", fromHeld("2026-01-01", 7_50, 792_50)), on("2026-02-01", fromHeld("2026-02-01", 3_54, 707_50)),
			},
			left: mortgage.State{
				Escrow: 400_00, Suspense: 3_088_96, NextDueOn: day("2026-03-01"), PaidOffOn: day("2026-02-01"),
			},
		},
	})
}

func TestLateChargeIsAssessedWhenGraceEnds(t *testing.T) {
	t.Parallel()

	unpaid := func(lateCharges mortgage.Cents, through string) mortgage.State {
		s := mortgage.State{Principal: 100_000_00, LateChargesDue: lateCharges, NextDueOn: day("2026-01-01")}
		if through != "" {
			s.LateChargedThrough = day(through)
		}
		return s
	}
	paid := mortgage.State{Principal: 99_700_00, Escrow: 200_00, NextDueOn: day("2026-02-01")}
	jan := installment("2026-01-01", 500_00, 300_00, 0)
	cents := func(c mortgage.Cents) *mortgage.Cents { return &c }
	policy := func(p mortgage.LateChargePolicy) func(*mortgage.Terms, *mortgage.State) {
		return func(t *mortgage.Terms, _ *mortgage.State) { t.LateCharge = p }
	}
	boardedOn := func(boardedOn string) func(*mortgage.Terms, *mortgage.State) {
		return func(t *mortgage.Terms, _ *mortgage.State) { t.BoardedOn = day(boardedOn) }
	}
	runBooks(t, map[string]booksCase{
		"on the last day of grace there is none": {through: "2026-01-16", left: unpaid(0, "")},
		"on the day after it there is one": {
			through: "2026-01-17",
			want:    []mortgage.Entry{charged("2026-01-01", "2026-01-17", 40_00)}, left: unpaid(40_00, "2026-01-01"),
		},
		"once for one installment, however long it stays unpaid": {
			through: "2026-02-16",
			want:    []mortgage.Entry{charged("2026-01-01", "2026-01-17", 40_00)}, left: unpaid(40_00, "2026-01-01"),
		},
		"each of several unpaid installments once": {
			through: "2026-04-16",
			want: []mortgage.Entry{
				charged("2026-01-01", "2026-01-17", 40_00), charged("2026-02-01", "2026-02-17", 40_00),
				charged("2026-03-01", "2026-03-17", 40_00),
			},
			left: unpaid(120_00, "2026-03-01"),
		},
		"with more than a month of grace several wait at once": {
			change:  policy(mortgage.LateChargePolicy{GraceDays: 45, Rate: 50_000}),
			through: "2026-03-19",
			want: []mortgage.Entry{
				charged("2026-01-01", "2026-02-16", 40_00), charged("2026-02-01", "2026-03-19", 40_00),
			},
			left: unpaid(80_00, "2026-02-01"),
		},
		"a payment on the fifteenth day is in time": {
			receipts: []mortgage.Receipt{receipt("a", "2026-01-15", 1_000_00)}, through: "2026-02-16",
			want: []mortgage.Entry{of("a", "2026-01-15", jan)}, left: paid,
		},
		"so is one on the sixteenth": {
			receipts: []mortgage.Receipt{receipt("a", "2026-01-16", 1_000_00)}, through: "2026-02-16",
			want: []mortgage.Entry{of("a", "2026-01-16", jan)}, left: paid,
		},
		"one on the seventeenth is late": {
			receipts: []mortgage.Receipt{receipt("a", "2026-01-17", 1_000_00)}, through: "2026-02-16",
			want: []mortgage.Entry{charged("2026-01-01", "2026-01-17", 40_00), of("a", "2026-01-17", jan)},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 40_00, NextDueOn: day("2026-02-01"),
				LateChargedThrough: day("2026-01-01"),
			},
		},
		"no pyramiding: a payment in time is in time whatever late charges are unpaid": {
			change:   owingLateCharges(300_00),
			receipts: []mortgage.Receipt{receipt("a", "2026-01-16", 1_000_00)}, through: "2026-02-16",
			want: []mortgage.Entry{of("a", "2026-01-16", jan)},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 300_00, NextDueOn: day("2026-02-01"),
			},
		},
		"a cent short is late, on all of the overdue principal and interest": {
			receipts: []mortgage.Receipt{receipt("a", "2026-01-01", 999_99)}, through: "2026-01-17",
			want: []mortgage.Entry{
				of("a", "2026-01-01", held(999_99, partial)), charged("2026-01-01", "2026-01-17", 40_00),
			},
			left: mortgage.State{
				Principal: 100_000_00, Suspense: 999_99, LateChargesDue: 40_00, NextDueOn: day("2026-01-01"),
				LateChargedThrough: day("2026-01-01"),
			},
		},
		"the cent on the sixteenth is in time": {
			receipts: []mortgage.Receipt{receipt("a", "2026-01-01", 999_99), receipt("b", "2026-01-16", 1)},
			through:  "2026-01-17",
			want: []mortgage.Entry{
				of("a", "2026-01-01", held(999_99, partial)),
				of("b", "2026-01-16", installment("2026-01-01", 500_00, 300_00, 999_99)),
			},
			left: paid,
		},
		"an installment missed and never made up leaves each later one unpaid": {
			// The January payment never comes, and February's satisfies January. That
			// is no pyramiding: what is overdue is a payment, not a late charge.
			receipts: []mortgage.Receipt{receipt("a", "2026-02-01", 1_000_00)}, through: "2026-02-17",
			want: []mortgage.Entry{
				charged("2026-01-01", "2026-01-17", 40_00), of("a", "2026-02-01", jan),
				charged("2026-02-01", "2026-02-17", 40_00),
			},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 80_00, NextDueOn: day("2026-02-01"),
				LateChargedThrough: day("2026-02-01"),
			},
		},
		"boarded on the last day of grace, it is ours to charge": {
			change: boardedOn("2026-01-16"), through: "2026-01-17",
			want: []mortgage.Entry{charged("2026-01-01", "2026-01-17", 40_00)}, left: unpaid(40_00, "2026-01-01"),
		},
		"boarded on the day after, the boarded balance has it": {
			change: boardedOn("2026-01-17"), through: "2026-02-16", left: unpaid(0, ""),
		},
		"boarded months behind, only what comes to grace now is charged": {
			change: boardedOn("2026-03-20"), through: "2026-04-17",
			want: []mortgage.Entry{charged("2026-04-01", "2026-04-17", 40_00)}, left: unpaid(40_00, "2026-04-01"),
		},
		"the minimum": {
			change:  policy(mortgage.LateChargePolicy{GraceDays: 15, Rate: 50_000, Minimum: 40_01}),
			through: "2026-01-31",
			want:    []mortgage.Entry{charged("2026-01-01", "2026-01-17", 40_01)}, left: unpaid(40_01, "2026-01-01"),
		},
		"the maximum": {
			change:  policy(mortgage.LateChargePolicy{GraceDays: 15, Rate: 50_000, Maximum: cents(39_99)}),
			through: "2026-01-31",
			want:    []mortgage.Entry{charged("2026-01-01", "2026-01-17", 39_99)}, left: unpaid(39_99, "2026-01-01"),
		},
		"a fixed charge": {
			change:  policy(mortgage.LateChargePolicy{GraceDays: 10, Minimum: 25_00}),
			through: "2026-01-31",
			want:    []mortgage.Entry{charged("2026-01-01", "2026-01-12", 25_00)}, left: unpaid(25_00, "2026-01-01"),
		},
		"a maximum of nothing": {
			change:  policy(mortgage.LateChargePolicy{GraceDays: 15, Rate: 50_000, Maximum: cents(0)}),
			through: "2026-12-31", left: unpaid(0, ""),
		},
		"no policy": {
			change: policy(mortgage.LateChargePolicy{}), through: "2026-12-31", left: unpaid(0, ""),
		},
		"a grace extended to the next business day": {
			// 16 January 2027 is a Saturday, and the Monday is a holiday.
			change: func(t *mortgage.Terms, s *mortgage.State) {
				t.LateCharge.ExtendToBusinessDay, s.NextDueOn = true, day("2027-01-01")
			},
			through: "2027-01-31",
			want:    []mortgage.Entry{charged("2027-01-01", "2027-01-20", 40_00)},
			left: mortgage.State{
				Principal: 100_000_00, LateChargesDue: 40_00, NextDueOn: day("2027-01-01"),
				LateChargedThrough: day("2027-01-01"),
			},
		},
	})
}

func TestLateChargeAtTheEnd(t *testing.T) {
	t.Parallel()

	owing := func(cents mortgage.Cents) func(*mortgage.Terms, *mortgage.State) {
		return func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = cents }
	}
	runBooks(t, map[string]booksCase{
		"of the last installment what is overdue is all principal with its interest": {
			change: owing(500_00), through: "2026-01-17",
			want: []mortgage.Entry{charged("2026-01-01", "2026-01-17", 25_13)}, // 5 % of 502.50 is 25.125
			left: mortgage.State{
				Principal: 500_00, LateChargesDue: 25_13, NextDueOn: day("2026-01-01"), LateChargedThrough: day("2026-01-01"),
			},
		},
		"after the last installment there is none to charge, though maturity is years away": {
			change: owing(500_00), through: "2030-01-01",
			want: []mortgage.Entry{charged("2026-01-01", "2026-01-17", 25_13)},
			left: mortgage.State{
				Principal: 500_00, LateChargesDue: 25_13, NextDueOn: day("2026-01-01"), LateChargedThrough: day("2026-01-01"),
			},
		},
		"the last of two unpaid installments is what the first would leave": {
			// 1,500.00 bears 7.50, and after 792.50 of principal 707.50 bears 3.54.
			change: owing(1_500_00), through: "2030-01-01",
			want: []mortgage.Entry{
				charged("2026-01-01", "2026-01-17", 40_00), charged("2026-02-01", "2026-02-17", 35_55),
			},
			left: mortgage.State{
				Principal: 1_500_00, LateChargesDue: 75_55, NextDueOn: day("2026-01-01"), LateChargedThrough: day("2026-02-01"),
			},
		},
		"a balloon is charged as one monthly payment": {
			change:  func(t *mortgage.Terms, _ *mortgage.State) { t.MaturityOn = day("2026-01-01") },
			through: "2026-12-31",
			want:    []mortgage.Entry{charged("2026-01-01", "2026-01-17", 40_00)},
			left: mortgage.State{
				Principal: 100_000_00, LateChargesDue: 40_00, NextDueOn: day("2026-01-01"),
				LateChargedThrough: day("2026-01-01"),
			},
		},
		"a loan that is paid off is charged no more": {
			change: owing(500_00), receipts: []mortgage.Receipt{receipt("a", "2026-01-20", 702_50)}, through: "2026-12-31",
			want: []mortgage.Entry{
				charged("2026-01-01", "2026-01-17", 25_13), of("a", "2026-01-20", installment("2026-01-01", 2_50, 500_00, 0)),
			},
			left: mortgage.State{
				Escrow: 200_00, LateChargesDue: 25_13, NextDueOn: day("2026-02-01"), LateChargedThrough: day("2026-01-01"),
				PaidOffOn: day("2026-01-20"),
			},
		},
	})
}

// The example of comment 41(d)(3)-1 with late charges switched on. They are a
// debt of their own: 600.00, 900.00 and 300.00 are held as the regulation says,
// and no held money goes to them. January is satisfied in March, after it was
// charged; February and March are each charged once when their own grace ends,
// because they are unpaid then, and not because the charge of January is.
func TestLateChargesInRegulationZExample(t *testing.T) {
	t.Parallel()

	runBooks(t, map[string]booksCase{"600, 300 and 400": {
		receipts: []mortgage.Receipt{
			receipt("a", "2026-01-01", 600_00), receipt("b", "2026-02-01", 300_00), receipt("c", "2026-03-01", 400_00),
		},
		through: "2026-03-31",
		want: []mortgage.Entry{
			of("a", "2026-01-01", held(600_00, partial)),
			charged("2026-01-01", "2026-01-17", 40_00),
			of("b", "2026-02-01", held(300_00, partial)),
			charged("2026-02-01", "2026-02-17", 40_00),
			of("c", "2026-03-01", installment("2026-01-01", 500_00, 300_00, 900_00)),
			of("c", "2026-03-01", held(300_00, partial)),
			charged("2026-03-01", "2026-03-17", 40_00),
		},
		left: mortgage.State{
			Principal: 99_700_00, Escrow: 200_00, Suspense: 300_00, LateChargesDue: 120_00,
			NextDueOn: day("2026-02-01"), LateChargedThrough: day("2026-03-01"),
		},
	}})
}

func TestAdvanceRefuses(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		change func(*mortgage.Terms)
		err    error
	}{
		"a late charge policy that is out of range": {
			change: func(t *mortgage.Terms) { t.LateCharge.Rate = mortgage.MaxRate + 1 }, err: mortgage.ErrLateChargePolicy,
		},
		"a payment that does not cover the interest": {
			change: func(t *mortgage.Terms) { t.PrincipalAndInterest = 499_99 }, err: mortgage.ErrPaymentTooSmall,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, state := chargingTerms(), roundState()
			tt.change(&terms)
			got, entries, err := terms.Advance(state, day("2026-12-31"))
			if got != (mortgage.State{}) || entries != nil || !errors.Is(err, tt.err) {
				t.Errorf("Advance(%+v) = %+v, %+v, %v; want nothing and %v", state, got, entries, err, tt.err)
			}
			h := mortgage.History{Boarded: state, Through: day("2026-12-31")}
			got, entries, err = terms.Books(h)
			if got != (mortgage.State{}) || entries != nil || !errors.Is(err, tt.err) {
				t.Errorf("Books(%+v) = %+v, %+v, %v; want nothing and %v", h, got, entries, err, tt.err)
			}
		})
	}
}

// drawCharging draws a loan with a late charge policy, just boarded.
func drawCharging(t *rapid.T) loan {
	l := drawLoan(t)
	if l.terms.PrincipalAndInterest > mortgage.MaxBalance {
		t.Skip("no note's payment is that large")
	}
	l.terms.LateCharge = mortgage.LateChargePolicy{
		GraceDays:           rapid.SampledFrom([]int{0, 10, 15, 15, 15, 40}).Draw(t, "grace"),
		Rate:                mortgage.Rate(rapid.SampledFrom([]int64{0, 40_000, 50_000}).Draw(t, "late charge rate")),
		Minimum:             drawCents(t, "minimum", 50_00),
		ExtendToBusinessDay: rapid.Bool().Draw(t, "extended"),
	}
	if rapid.Bool().Draw(t, "limited") {
		most := drawCents(t, "maximum", 200_00)
		l.terms.LateCharge.Maximum = &most
	}
	l.terms.BoardedOn = l.state.NextDueOn + mortgage.Date(rapid.IntRange(-45, 100).Draw(t, "boarded"))
	l.state.AsOf = l.terms.BoardedOn
	l.state.FeesDue = drawCents(t, "fees", 60_00)
	if rapid.Bool().Draw(t, "interest day by day") {
		l.terms.InterestMethod = mortgage.DailySimpleInterest
		l.state.InterestAccruedTo = l.terms.BoardedOn - mortgage.Date(rapid.IntRange(0, 70).Draw(t, "counted to"))
		l.state.AccruedInterest = drawCents(t, "carried", 900_00)
	}
	if rapid.Bool().Draw(t, "terms change") {
		l.terms = drawChanges(t, l)
	}
	return l
}

// It makes no difference whether the clock ran every night, or stood for a year.
func TestAdvanceInOneStepOrDayByDay(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawCharging(t)
		l.state.Suspense *= mortgage.Cents(rapid.SampledFrom([]int64{1, 1, 20}).Draw(t, "times held"))
		to := l.state.AsOf + mortgage.Date(rapid.IntRange(0, 400).Draw(t, "days"))
		want, once, err := l.terms.Advance(l.state, to)
		must(t, err)

		state := l.state
		var daily []mortgage.Entry
		for state.AsOf < to {
			on := state.AsOf + 1
			next, entries, err := l.terms.Advance(state, on)
			must(t, err)
			if next.AsOf != on || slices.ContainsFunc(entries, func(e mortgage.Entry) bool { return e.EffectiveOn != on }) {
				t.Fatalf("Advance(%+v, %s) = %+v, %+v; want all of it on that day", state, on, next, entries)
			}
			state, daily = next, append(daily, entries...)
		}
		if state != want || !slices.Equal(daily, once) {
			t.Fatalf("day by day from %+v to %s: %+v, %+v; want as in one step %+v, %+v",
				l.state, to, state, daily, want, once)
		}
		again, entries, err := l.terms.Advance(want, to-mortgage.Date(rapid.IntRange(0, 50).Draw(t, "back")))
		if again != want || len(entries) != 0 || err != nil {
			t.Fatalf("Advance(%+v) to a day that has passed = %+v, %+v, %v; want nothing new", want, again, entries, err)
		}
	})
}

// Whatever late charges are outstanding, one who pays every installment in full
// by the end of its grace is charged for none.
func TestNoLateChargeForWhoPaysInTime(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawCharging(t)
		l.terms.BoardedOn = l.state.NextDueOn - 1
		l.state.AsOf = l.terms.BoardedOn
		l.terms.LateCharge.GraceDays, l.state.Suspense = 15, 0
		state := l.state
		for range min(l.months, rapid.IntRange(1, 24).Draw(t, "months")) {
			in, _, err := l.terms.NextInstallment(state)
			must(t, err)
			by := l.terms.LateCharge.AssessedOn(in.DueOn) - 1
			if state.Principal == 0 || in.Total() > mortgage.MaxPayment {
				return
			}
			r := mortgage.Receipt{
				Amount: in.Total(), ReceivedOn: min(by, in.DueOn+mortgage.Date(rapid.IntRange(-9, 25).Draw(t, "days"))),
			}
			next, entries, err := l.terms.Post(state, r)
			must(t, err)
			next, more, err := l.terms.Advance(next, by)
			must(t, err)
			for _, e := range append(entries, more...) {
				if e.Kind == mortgage.KindLateCharge {
					t.Fatalf("%+v to %+v: %+v; want no late charge", r, state, e)
				}
			}
			state = next
		}
	})
}
