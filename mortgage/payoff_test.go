package mortgage_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// payoffRequest is a loan of 100,000.00 at 6 % that is paid to 1 March 2026: a
// month is 500.00, a day 16.438356...
func payoffRequest(payoffOn string) mortgage.PayoffRequest {
	return mortgage.PayoffRequest{
		InterestMethod: mortgage.ScheduledInterest, Rate: 60_000, Rounding: halfUp, DueDay: 1,
		InterestPaidTo: day("2026-03-01"), PayoffOn: day(payoffOn), Principal: 100_000_00,
	}
}

func TestPayoffInterest(t *testing.T) {
	t.Parallel()

	type want struct {
		interest     mortgage.Cents
		months, days int
	}
	tests := map[string]struct {
		payoffOn string
		paidTo   string // 1 March unless said
		dueDay   int    // the 1st unless said
		daily    bool   // daily simple, not scheduled
		include  bool   // through the day of payoff, as FHA loans are
		carried  mortgage.Cents
		want     want
	}{
		"on the day it is paid to, nothing": {payoffOn: "2026-03-01", want: want{}},
		"the day after, one day": {
			payoffOn: "2026-03-02", want: want{interest: 16_44, days: 1},
		},
		"part of a month is actual days over 365": {
			payoffOn: "2026-03-25", want: want{interest: 394_52, days: 24},
		},
		"the 31st of a month is thirty days": {
			payoffOn: "2026-03-31", want: want{interest: 493_15, days: 30},
		},
		"to the next due date, one month": {
			payoffOn: "2026-04-01", want: want{interest: 500_00, months: 1},
		},
		"a month and a day": {
			payoffOn: "2026-04-02", want: want{interest: 516_44, months: 1, days: 1},
		},
		"two months behind": {
			payoffOn: "2026-05-20", want: want{interest: 1_312_33, months: 2, days: 19},
		},
		"a year behind": {
			payoffOn: "2027-03-01", want: want{interest: 6_000_00, months: 12},
		},
		"February is a whole month": {
			payoffOn: "2026-03-01", paidTo: "2026-02-01", want: want{interest: 500_00, months: 1},
		},
		"27 days of February are not one": {
			payoffOn: "2026-02-28", paidTo: "2026-02-01", want: want{interest: 443_84, days: 27},
		},
		"the leap day is a day": {
			payoffOn: "2028-03-01", paidTo: "2028-02-15", dueDay: 15, want: want{interest: 246_58, days: 15},
		},
		"paid off on the leap day": {
			payoffOn: "2028-02-29", paidTo: "2028-02-15", dueDay: 15, want: want{interest: 230_14, days: 14},
		},
		"due on the 31st, short month": {
			payoffOn: "2026-02-28", paidTo: "2026-01-31", dueDay: 31, want: want{interest: 500_00, months: 1},
		},
		"due on the 31st, a day before the short month's": {
			payoffOn: "2026-02-27", paidTo: "2026-01-31", dueDay: 31, want: want{interest: 443_84, days: 27},
		},
		"due on the 31st, from the short month": {
			payoffOn: "2026-03-30", paidTo: "2026-02-28", dueDay: 31, want: want{interest: 493_15, days: 30},
		},
		"due on the 31st, from the short month, to the day": {
			payoffOn: "2026-03-31", paidTo: "2026-02-28", dueDay: 31, want: want{interest: 500_00, months: 1},
		},
		"FHA, through the day of receipt": {
			payoffOn: "2026-03-25", include: true, want: want{interest: 410_96, days: 25},
		},
		"FHA, through the last of a month of 31 days, is one month": {
			payoffOn: "2026-03-31", include: true, want: want{interest: 500_00, months: 1},
		},
		"FHA, on the due date": {
			payoffOn: "2026-04-01", include: true, want: want{interest: 516_44, months: 1, days: 1},
		},
		"paid a month ahead, a week unearned": {
			payoffOn: "2026-03-25", paidTo: "2026-04-01", want: want{interest: -105_48, months: -1, days: 24},
		},
		"paid a month ahead, all of it": {
			payoffOn: "2026-03-01", paidTo: "2026-04-01", want: want{interest: -500_00, months: -1},
		},
		"paid ahead by a day": {
			payoffOn: "2026-03-31", paidTo: "2026-04-01", want: want{interest: -6_85, months: -1, days: 30},
		},
		"paid ahead by a day, FHA, is level": {
			payoffOn: "2026-03-31", paidTo: "2026-04-01", include: true, want: want{},
		},
		"paid three months ahead": {
			payoffOn: "2026-03-25", paidTo: "2026-06-01", want: want{interest: -1_105_48, months: -3, days: 24},
		},
		"daily simple, a month of 31 days": {
			payoffOn: "2026-04-01", daily: true, want: want{interest: 509_59, days: 31},
		},
		"daily simple, through the day": {
			payoffOn: "2026-04-01", daily: true, include: true, want: want{interest: 526_03, days: 32},
		},
		"daily simple, paid to any day at all": {
			payoffOn: "2026-03-25", paidTo: "2026-03-10", daily: true, want: want{interest: 246_58, days: 15},
		},
		"daily simple, with what was carried": {
			payoffOn: "2026-03-25", daily: true, carried: 12_34, want: want{interest: 406_86, days: 24},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := payoffRequest(tt.payoffOn)
			if tt.paidTo != "" {
				r.InterestPaidTo = day(tt.paidTo)
			}
			if tt.daily {
				r.InterestMethod = mortgage.DailySimpleInterest
			}
			r.DueDay, r.IncludePayoffDay, r.CarriedInterest = max(tt.dueDay, 1), tt.include, tt.carried
			q, err := mortgage.Payoff(r)
			if got := (want{q.Interest, q.FullMonths, q.OddDays}); got != tt.want || err != nil {
				t.Errorf("Payoff(%+v) = %+v, %v; want %+v", r, got, err, tt.want)
			}
		})
	}
}

func TestPayoffQuote(t *testing.T) {
	t.Parallel()

	r := payoffRequest("2026-05-20")
	r.LateCharges, r.Fees, r.EscrowAdvance, r.Suspense, r.Escrow = 80_00, 45_50, 1_200_00, 250_25, 3_000_00
	want := mortgage.PayoffQuote{
		GoodThroughOn: day("2026-05-20"), Principal: 100_000_00, Interest: 1_312_33, LateCharges: 80_00, Fees: 45_50,
		EscrowAdvance: 1_200_00, SuspenseCredit: 250_25, Total: 102_387_58, PerDiem: 16_44,
		EscrowRefundable: 3_000_00, FullMonths: 2, OddDays: 19,
	}
	if got, err := mortgage.Payoff(r); got != want || err != nil {
		t.Errorf("Payoff(%+v) = %+v, %v; want %+v", r, got, err, want)
	}

	r.Suspense = 110_000_00 // more than is owed: the rest is the borrower's
	if got, err := mortgage.Payoff(r); got.Total != -7_362_17 || err != nil {
		t.Errorf("with %d in suspense the total is %d, %v; want %d", r.Suspense, got.Total, err, -7_362_17)
	}
}

func TestPayoffRefuses(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		change func(*mortgage.PayoffRequest)
		want   error
	}{
		"a loan that owes no principal": {func(r *mortgage.PayoffRequest) { r.Principal = 0 }, mortgage.ErrPaidOff},
		"principal below zero":          {func(r *mortgage.PayoffRequest) { r.Principal = -1 }, mortgage.ErrRange},
		"principal above the largest": {
			func(r *mortgage.PayoffRequest) { r.Principal = mortgage.MaxBalance + 1 }, mortgage.ErrRange,
		},
		"negative carried interest": {
			func(r *mortgage.PayoffRequest) { r.CarriedInterest = -1 }, mortgage.ErrRange,
		},
		"negative late charges": {func(r *mortgage.PayoffRequest) { r.LateCharges = -1 }, mortgage.ErrRange},
		"negative fees":         {func(r *mortgage.PayoffRequest) { r.Fees = -1 }, mortgage.ErrRange},
		"a negative advance": {
			func(r *mortgage.PayoffRequest) { r.EscrowAdvance = -1 }, mortgage.ErrRange,
		},
		"negative suspense": {func(r *mortgage.PayoffRequest) { r.Suspense = -1 }, mortgage.ErrRange},
		"negative escrow":   {func(r *mortgage.PayoffRequest) { r.Escrow = -1 }, mortgage.ErrRange},
		"a negative rate":   {func(r *mortgage.PayoffRequest) { r.Rate = -1 }, mortgage.ErrRange},
		"a rate above the highest": {
			func(r *mortgage.PayoffRequest) { r.Rate = mortgage.MaxRate + 1 }, mortgage.ErrRange,
		},
		"no day of payoff": {func(r *mortgage.PayoffRequest) { r.PayoffOn = 0 }, mortgage.ErrNotDate},
		"the last day there is": {
			func(r *mortgage.PayoffRequest) { r.PayoffOn = mortgage.MaxDate }, mortgage.ErrNotDate,
		},
		"no day that interest is paid to": {
			func(r *mortgage.PayoffRequest) { r.InterestPaidTo = 0 }, mortgage.ErrNotDate,
		},
		"interest paid to a day before the due day": {
			func(r *mortgage.PayoffRequest) { r.DueDay = 15 }, mortgage.ErrPaidTo,
		},
		"interest paid to the middle of a month": {
			func(r *mortgage.PayoffRequest) { r.InterestPaidTo++ }, mortgage.ErrPaidTo,
		},
		"no due day": {func(r *mortgage.PayoffRequest) { r.DueDay = 0 }, mortgage.ErrPaidTo},
		"before the first year": {
			func(r *mortgage.PayoffRequest) { r.PayoffOn, r.DueDay, r.InterestPaidTo = 1, 31, 31 }, mortgage.ErrNotDate,
		},
		"a daily simple loan before its last payment": {func(r *mortgage.PayoffRequest) {
			r.InterestMethod, r.PayoffOn = mortgage.DailySimpleInterest, r.InterestPaidTo-1
		}, mortgage.ErrBackwards},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := payoffRequest("2026-03-25")
			tt.change(&r)
			if got, err := mortgage.Payoff(r); got != (mortgage.PayoffQuote{}) || !errors.Is(err, tt.want) {
				t.Errorf("Payoff(%+v) = %+v, %v; want %v", r, got, err, tt.want)
			}
		})
	}
}

func TestInterestPaidTo(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		nextDueOn string
		dueDay    int
		want      string
		err       error
	}{
		"a month before the next due date":      {nextDueOn: "2026-01-01", dueDay: 1, want: "2025-12-01"},
		"due on the 31st, before a short month": {nextDueOn: "2026-03-31", dueDay: 31, want: "2026-02-28"},
		"due on the 31st, before a leap year's": {nextDueOn: "2028-03-31", dueDay: 31, want: "2028-02-29"},
		"due on the 31st, after a short month":  {nextDueOn: "2026-02-28", dueDay: 31, want: "2026-01-31"},
		"there is none before the first month of the days": {
			nextDueOn: "0001-01-01", dueDay: 1, err: mortgage.ErrNotDate,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, state := roundTerms(), roundState()
			terms.DueDay, state.NextDueOn = tt.dueDay, day(tt.nextDueOn)
			got, err := terms.InterestPaidTo(state)
			if got.String() != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("InterestPaidTo, next due %s = %s, %v; want %s, %v", tt.nextDueOn, got, err, tt.want, tt.err)
			}
		})
	}
	if _, err := roundTerms().InterestPaidTo(mortgage.State{}); !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("InterestPaidTo without a next due date: %v; want ErrNotDate", err)
	}
}

func drawPayoff(t *rapid.T) mortgage.PayoffRequest {
	dueDay := rapid.IntRange(1, 31).Draw(t, "due day")
	paidTo, err := drawDay(t, "about paid to").AddMonths(0, dueDay)
	must(t, err)
	most := int64(mortgage.MaxBalance)
	method := rapid.SampledFrom([]mortgage.InterestMethod{mortgage.ScheduledInterest, mortgage.DailySimpleInterest})
	r := mortgage.PayoffRequest{
		InterestMethod:   method.Draw(t, "method"),
		Rate:             mortgage.Rate(rapid.Int64Range(0, int64(mortgage.MaxRate)).Draw(t, "rate")),
		Rounding:         rapid.SampledFrom([]mortgage.Rounding{halfUp, halfEven, up}).Draw(t, "rounding"),
		DueDay:           dueDay,
		InterestPaidTo:   paidTo,
		IncludePayoffDay: rapid.Bool().Draw(t, "include"),
		Principal:        1 + drawCents(t, "principal", most-1),
		CarriedInterest:  drawCents(t, "carried", most),
		LateCharges:      drawCents(t, "late charges", most),
		Fees:             drawCents(t, "fees", most),
		EscrowAdvance:    drawCents(t, "advance", most),
		Suspense:         drawCents(t, "suspense", most),
		Escrow:           drawCents(t, "escrow", most),
	}
	earliest := -200
	if r.InterestMethod == mortgage.DailySimpleInterest {
		earliest = 0
	}
	r.PayoffOn = paidTo + mortgage.Date(rapid.IntRange(earliest, 1_000).Draw(t, "days"))
	return r
}

// Waiting a day never makes a payoff cheaper, and never dearer by more than a
// few days' interest: a month may be 28 days.
func TestPayoffGrowsWithTheDay(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawPayoff(t)
		today, err := mortgage.Payoff(r)
		must(t, err)
		r.PayoffOn++
		tomorrow, err := mortgage.Payoff(r)
		must(t, err)
		more := tomorrow.Total - today.Total
		if more < 0 || more > 4*today.PerDiem+4 {
			t.Fatalf("%+v: a day later the total goes from %d to %d; a day is %d", r, today.Total, tomorrow.Total, today.PerDiem)
		}
	})
}

func TestPayoffIsTheSumOfItsParts(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawPayoff(t)
		q, err := mortgage.Payoff(r)
		must(t, err)
		sum := q.Principal + q.Interest + q.LateCharges + q.Fees + q.EscrowAdvance - q.SuspenseCredit
		if q.Total != sum || q.EscrowRefundable != r.Escrow || q.GoodThroughOn != r.PayoffOn {
			t.Fatalf("Payoff(%+v) = %+v; the parts sum to %d", r, q, sum)
		}
		if scheduled := r.InterestMethod == mortgage.ScheduledInterest; q.OddDays < 0 || scheduled && q.OddDays > 30 {
			t.Fatalf("Payoff(%+v) has %d odd days", r, q.OddDays)
		}
		r.IncludePayoffDay = !r.IncludePayoffDay
		if r.IncludePayoffDay {
			r.PayoffOn--
		} else {
			r.PayoffOn++
		}
		if r.PayoffOn < r.InterestPaidTo {
			return
		}
		// Through a day is up to the next.
		if other, err := mortgage.Payoff(r); err != nil || other.Interest != q.Interest {
			t.Fatalf("Payoff(%+v) has interest %d, %v; want %d", r, other.Interest, err, q.Interest)
		}
	})
}

// On a due date the payoff's interest is what the installment of that day would
// have charged.
func TestPayoffAgreesWithTheInstallment(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawLoan(t)
		paidTo, err := l.terms.InterestPaidTo(l.state)
		must(t, err)
		in, _, err := l.terms.NextInstallment(l.state)
		must(t, err)
		q, err := mortgage.Payoff(mortgage.PayoffRequest{
			InterestMethod: mortgage.ScheduledInterest, Rate: l.terms.Rate, Rounding: l.terms.Rounding, DueDay: l.terms.DueDay,
			InterestPaidTo: paidTo, PayoffOn: l.state.NextDueOn, Principal: l.state.Principal,
		})
		must(t, err)
		if q.Interest != in.Interest || q.FullMonths != 1 || q.OddDays != 0 {
			t.Fatalf("the payoff is %+v; the installment's interest %d", q, in.Interest)
		}
	})
}

// Whatever it is asked, Payoff refuses or answers with parts that add up.
func FuzzPayoff(f *testing.F) {
	f.Add(int32(739_600), int32(739_500), int64(100_000_00), int64(60_000), int64(0), 1, false, false)
	f.Add(int32(0), int32(-1), int64(-1), int64(-1), int64(-1), -1, true, true)
	f.Add(int32(1), int32(31), int64(1), int64(1), int64(1), 31, true, false)
	f.Add(int32(mortgage.MaxDate-1), int32(1), int64(1e11), int64(mortgage.MaxRate), int64(1), 1, true, true)
	f.Fuzz(func(t *testing.T, payoffOn, paidTo int32, principal, rate, other int64, dueDay int, include, daily bool) {
		r := mortgage.PayoffRequest{
			InterestMethod: mortgage.ScheduledInterest, Rate: mortgage.Rate(rate), Rounding: halfUp, DueDay: dueDay,
			InterestPaidTo: mortgage.Date(paidTo), PayoffOn: mortgage.Date(payoffOn), IncludePayoffDay: include,
			Principal: mortgage.Cents(principal), Fees: mortgage.Cents(other), Suspense: mortgage.Cents(other),
		}
		if daily {
			r.InterestMethod = mortgage.DailySimpleInterest
		}
		q, err := mortgage.Payoff(r)
		if err != nil && q != (mortgage.PayoffQuote{}) {
			t.Errorf("Payoff(%+v) refuses with %v and answers %+v", r, err, q)
		}
		if err == nil && q.Total != q.Principal+q.Interest {
			t.Errorf("Payoff(%+v) = %+v; the parts do not add up", r, q)
		}
	})
}
