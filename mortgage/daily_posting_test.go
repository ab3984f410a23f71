package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

// dailyTerms and dailyState are the loan of roundTerms with interest day by day:
// 16.438356… on 100,000.00. It is counted to 1 January, and the installment of 1
// February is next.
func dailyTerms() mortgage.Terms {
	t := roundTerms()
	t.InterestMethod, t.BoardedOn = mortgage.DailySimpleInterest, day("2026-01-01")
	return t
}

func dailyState() mortgage.State {
	s := roundState()
	s.NextDueOn, s.InterestAccruedTo, s.AsOf = day("2026-02-01"), day("2026-01-01"), day("2026-01-01")
	return s
}

func TestDailyInterestPosting(t *testing.T) {
	t.Parallel()

	type want struct {
		interest, principal, accrued, suspense mortgage.Cents // paid, paid, left and left
		nextDueOn                              string
	}
	for name, tt := range map[string]struct {
		terms    func(*mortgage.Terms, *mortgage.State)
		receipts []mortgage.Receipt
		want     want
	}{
		"on the due date, 31 days": {
			receipts: []mortgage.Receipt{receipt("a", "2026-02-01", 1_000_00)},
			want:     want{interest: 509_59, principal: 290_41, nextDueOn: "2026-03-01"},
		},
		"early costs less, 19 days": {
			receipts: []mortgage.Receipt{receipt("a", "2026-01-20", 1_000_00)},
			want:     want{interest: 312_33, principal: 487_67, nextDueOn: "2026-03-01"},
		},
		"late costs more than the payment, and the rest is carried": {
			receipts: []mortgage.Receipt{receipt("a", "2026-02-20", 1_000_00)}, // 50 days are 821.92.
			want:     want{interest: 800_00, accrued: 21_92, nextDueOn: "2026-03-01"},
		},
		"what is carried bears no interest and is paid first": {
			receipts: []mortgage.Receipt{
				receipt("a", "2026-02-20", 1_000_00), receipt("b", "2026-03-01", 1_000_00), // 9 days are 147.95.
			},
			want: want{interest: 800_00 + 169_87, principal: 630_13, nextDueOn: "2026-04-01"},
		},
		"two installments on one day": {
			receipts: []mortgage.Receipt{receipt("a", "2026-03-01", 2_000_00)}, // 59 days are 969.86.
			want:     want{interest: 969_86, principal: 630_14, nextDueOn: "2026-04-01"},
		},
		"a partial payment waits and bears no less interest": {
			receipts: []mortgage.Receipt{receipt("a", "2026-02-01", 600_00), receipt("b", "2026-02-11", 400_00)},
			want:     want{interest: 673_97, principal: 126_03, nextDueOn: "2026-03-01"}, // 41 days
		},
		"a rate that changes accrues from the due date before": {
			terms: func(t *mortgage.Terms, _ *mortgage.State) {
				*t = t.WithRate(mortgage.RateChange{DueOn: day("2026-03-01"), Rate: 73_000}) // 20.00 a day from 1 February
			},
			receipts: []mortgage.Receipt{receipt("a", "2026-02-11", 1_000_00)},
			want:     want{interest: 509_59 + 200_00, principal: 90_41, nextDueOn: "2026-03-01"},
		},
		"a curtailment counts the interest up to its day and leaves it": {
			receipts: []mortgage.Receipt{
				{Ref: "a", ReceivedOn: day("2026-01-11"), Amount: 1_000_00, Designation: mortgage.ForPrincipal},
				receipt("b", "2026-02-01", 1_000_00), // 164.38 of ten days, and 341.75 of 21 days on 99,000.00.
			},
			want: want{interest: 506_13, principal: 1_000_00 + 293_87, nextDueOn: "2026-03-01"},
		},
		"a payment in the leap month": {
			terms: func(t *mortgage.Terms, s *mortgage.State) {
				t.BoardedOn, s.AsOf, s.InterestAccruedTo = day("2028-02-01"), day("2028-02-01"), day("2028-02-01")
				s.NextDueOn = day("2028-03-01")
			},
			receipts: []mortgage.Receipt{receipt("a", "2028-03-01", 1_000_00)}, // 29 days
			want:     want{interest: 476_71, principal: 323_29, nextDueOn: "2028-04-01"},
		},
		"the last installment is what is left, to the day": {
			terms:    func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 500_00 },
			receipts: []mortgage.Receipt{receipt("a", "2026-02-01", 702_55)},
			want:     want{interest: 2_55, principal: 500_00, nextDueOn: "2026-03-01"},
		},
		"a cent less than that is held": {
			terms:    func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 500_00 },
			receipts: []mortgage.Receipt{receipt("a", "2026-02-01", 702_54)},
			want:     want{suspense: 702_54, nextDueOn: "2026-02-01"},
		},
		"interest that was carried when the loan was boarded": {
			terms:    func(_ *mortgage.Terms, s *mortgage.State) { s.AccruedInterest = 12_34 },
			receipts: []mortgage.Receipt{receipt("a", "2026-02-01", 1_000_00)},
			want:     want{interest: 521_93, principal: 278_07, nextDueOn: "2026-03-01"},
		},
		"a payoff": {
			receipts: []mortgage.Receipt{
				{Ref: "a", ReceivedOn: day("2026-01-21"), Amount: 100_328_77, Designation: mortgage.ForPayoff}, // 20 days
			},
			want: want{interest: 328_77, principal: 100_000_00, nextDueOn: "2026-02-01"},
		},
		"a payoff of a loan that owes for the day too": {
			terms: func(t *mortgage.Terms, _ *mortgage.State) { t.ApplicationOrder = mortgage.FHAOrder },
			receipts: []mortgage.Receipt{
				{Ref: "a", ReceivedOn: day("2026-01-21"), Amount: 100_345_21, Designation: mortgage.ForPayoff}, // 21 days
			},
			want: want{interest: 345_21, principal: 100_000_00, nextDueOn: "2026-02-01"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, boarded := dailyTerms(), dailyState()
			if tt.terms != nil {
				tt.terms(&terms, &boarded)
			}
			if err := terms.Check(boarded); err != nil {
				t.Fatal(err)
			}
			b := newServicer(terms, boarded)
			for _, r := range tt.receipts {
				b.receive(t, r)
				b.check(t)
			}
			got := want{
				interest: -b.sum.InterestIncome, principal: -b.sum.Principal, accrued: b.state.AccruedInterest,
				suspense: b.state.Suspense, nextDueOn: b.state.NextDueOn.String(),
			}
			if got != tt.want {
				t.Errorf("%+v leads to %+v; want %+v", tt.receipts, got, tt.want)
			}
		})
	}
}

func TestDailyInterestIsCheckedAtBoarding(t *testing.T) {
	t.Parallel()

	for _, on := range []mortgage.Date{0, dailyTerms().BoardedOn + 1} {
		state := dailyState()
		state.InterestAccruedTo = on
		if err := dailyTerms().Check(state); !errors.Is(err, mortgage.ErrAccruedTo) {
			t.Errorf("Check, interest counted to %s: %v; want ErrAccruedTo", on, err)
		}
	}
	terms := dailyTerms()
	terms.PrincipalAndInterest = 499_99 // A month's interest is 500.00, and may be carried.
	if err := terms.Check(dailyState()); err != nil {
		t.Errorf("Check of a payment below a month's interest: %v; want none", err)
	}
}

// A payoff as of a day before the boarding still owes what was counted then.
func TestDailyPayoffBeforeInterestWasCounted(t *testing.T) {
	t.Parallel()

	state := dailyState()
	state.AccruedInterest = 5_00
	q, err := dailyTerms().PayoffQuote(state, day("2025-12-20"))
	if err != nil || q.Interest != 5_00 || q.OddDays != 0 {
		t.Errorf("PayoffQuote = %+v, %v; want the 500 that were counted", q, err)
	}
}
