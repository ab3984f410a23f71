package mortgage

import "errors"

// PayoffRequest holds what a payoff is computed from. All amounts are in cents,
// zero or more, and not above MaxBalance.
type PayoffRequest struct {
	InterestMethod InterestMethod // scheduled, unless DailySimpleInterest
	Rate           Rate           // before all changes
	RateChanges    []RateChange   // in order of their due dates
	Rounding       Rounding
	DueDay         int // 1 to 31; of a daily simple loan only where its rate changes

	// InterestPaidTo is the first day whose interest is unpaid. On a scheduled
	// loan it is the due date of the last paid installment; see
	// Terms.InterestPaidTo.
	InterestPaidTo Date
	PayoffOn       Date // the day the money is received
	// IncludePayoffDay charges interest for that day too, as FHA loans do.
	IncludePayoffDay bool

	Principal       Cents // unpaid principal, as of the last paid installment
	CarriedInterest Cents // accrued before InterestPaidTo and left unpaid
	LateCharges     Cents // assessed and unpaid as of PayoffOn
	Fees            Cents // that the note and the state allow, recording included
	EscrowAdvance   Cents // the servicer's own money in escrow
	Suspense        Cents // unapplied funds of the borrower
	Escrow          Cents // held for taxes and insurance
}

// PayoffQuote is what pays a loan in full, and how it comes about.
//
// Total = Principal + Interest + LateCharges + Fees + EscrowAdvance -
// SuspenseCredit. A total below zero is owed to the borrower.
type PayoffQuote struct {
	GoodThroughOn  Date // money received on this day pays the loan off
	Principal      Cents
	Interest       Cents // below zero when it was paid further ahead than it is earned
	LateCharges    Cents
	Fees           Cents
	EscrowAdvance  Cents
	SuspenseCredit Cents
	Total          Cents
	PerDiem        Cents // a day's interest, a 365th of a year's
	// EscrowRefundable is returned to the borrower after the payoff, by
	// RefundDueOn, and is not part of Total (12 CFR 1024.34(b)).
	EscrowRefundable Cents
	FullMonths       int // whole months of interest; below zero when paid ahead
	OddDays          int // days of interest on top of them
}

// ErrPaidTo reports interest paid to a day on which no installment of the loan
// falls due.
var ErrPaidTo = errors.New("interest is not paid to a due date of the loan")

// InterestPaidTo returns the first day whose interest is unpaid on a scheduled
// loan, which is the due date of the last paid installment, a month before the
// next one. It returns ErrNotDate when there is no such day.
func (t Terms) InterestPaidTo(s State) (Date, error) {
	if s.NextDueOn < MinDate || s.NextDueOn > MaxDate {
		return 0, ErrNotDate
	}
	return s.NextDueOn.AddMonths(-1, t.DueDay)
}

// Payoff returns what pays the loan in full on the day the money is received.
//
// Interest runs up to that day without it, or through it with IncludePayoffDay.
// On a scheduled loan each whole month, from due date to due date, is a month's
// interest (30/360) rounded as an installment's is, and the days left over are
// actual days over 365, rounded once. A month that is whole only because the day
// of payoff is included counts as a month. On a daily simple loan all of it is
// actual days over 365. Both are on the unpaid principal as of the last paid
// installment, each month and day at its own rate, and carried interest is added.
//
// When installments of a scheduled loan are paid ahead, the interest of the
// months not yet lived through is not earned and is credited: the months paid
// ahead count as negative FullMonths, and the days of the month of payoff are
// owed as ever. So Interest can be below zero, and the note's words are kept,
// that interest is charged until the principal has been paid. The guides do not
// say how the credit is counted; that is ours. A daily simple loan bears interest
// to the day of each payment, and cannot be paid ahead: ErrBackwards.
//
// The interest never falls as the day of payoff moves on. The difference
// between two days can differ from PerDiem by a cent, because each is rounded
// from the exact amount, and by more where days become a whole month.
//
// It returns ErrPaidOff when no principal is owed, ErrRange for an amount or
// rate out of range, ErrNotDate for no date, and ErrPaidTo when InterestPaidTo
// is no due date of a scheduled loan.
//
// Sources: Fannie Mae Servicing Guide F-1-09, "Calculating Interest on a Payoff"
// (full months on a 360-day year, part of a month on a 365-day year, on the
// unpaid principal as of the last paid installment at the rate in force, up to
// but not including the day of receipt); MPF Announcement 2022-23, the same;
// 24 CFR 203.558 with 79 FR 50835 for FHA loans closed on or after 2015-01-21.
func Payoff(r PayoffRequest) (PayoffQuote, error) {
	if err := r.check(); err != nil {
		return PayoffQuote{}, err
	}
	until := r.PayoffOn // the first day without interest
	if r.IncludePayoffDay {
		until++
	}
	q := PayoffQuote{
		GoodThroughOn: r.PayoffOn, Principal: r.Principal, LateCharges: r.LateCharges, Fees: r.Fees,
		EscrowAdvance: r.EscrowAdvance, SuspenseCredit: r.Suspense, EscrowRefundable: r.Escrow,
	}
	var err error
	if r.InterestMethod == DailySimpleInterest {
		err = q.addDailyInterest(r, until)
	} else {
		err = q.addScheduledInterest(r, until)
	}
	if err != nil {
		return PayoffQuote{}, err
	}
	q.Interest += r.CarriedInterest
	q.Total = q.Principal + q.Interest + q.LateCharges + q.Fees + q.EscrowAdvance - q.SuspenseCredit
	return q, nil
}

// addDailyInterest adds the interest of each day before until.
func (q *PayoffQuote) addDailyInterest(r PayoffRequest, until Date) (err error) {
	q.OddDays = int(until - r.InterestPaidTo)
	if q.Interest, err = r.rates().daily(r.Principal, r.InterestPaidTo, until, r.Rounding); err != nil {
		return err
	}
	q.PerDiem, err = r.rates().daily(r.Principal, until, until+1, r.Rounding)
	return err
}

// addScheduledInterest adds the interest of each whole month before until, at the
// rate of the installment that it would be of, and of the days left over.
func (q *PayoffQuote) addScheduledInterest(r PayoffRequest, until Date) error {
	months, monthBeganOn, err := wholeMonths(r.InterestPaidTo, until, r.DueDay)
	if err != nil {
		return err
	}
	q.FullMonths, q.OddDays = months, int(until-monthBeganOn)
	sign, first, last := Cents(1), 1, months // months after the day that interest is paid to
	if months < 0 {
		sign, first, last = -1, months+1, 0
	}
	for n := first; n <= last; n++ {
		dueOn, err := r.InterestPaidTo.AddMonths(n, r.DueDay)
		if err != nil {
			return err
		}
		month, err := r.rates().of(dueOn).MonthInterest(r.Principal, r.Rounding)
		if err != nil {
			return err
		}
		q.Interest += sign * month
	}
	dueOn, err := monthBeganOn.AddMonths(1, r.DueDay)
	if err != nil {
		return err
	}
	rate := r.rates().of(dueOn)
	odd, err := rate.DailyInterest(r.Principal, monthBeganOn, until, r.Rounding)
	if err != nil {
		return err
	}
	q.Interest += odd
	q.PerDiem, err = rate.DailyInterest(r.Principal, monthBeganOn, monthBeganOn+1, r.Rounding)
	return err
}

func (r PayoffRequest) rates() rates {
	return rates{first: r.Rate, changes: r.RateChanges, dueDay: r.DueDay}
}

// check refuses a request that no quote can answer.
func (r PayoffRequest) check() error {
	if r.Principal == 0 {
		return ErrPaidOff
	}
	for _, amount := range [...]Cents{
		r.Principal, r.CarriedInterest, r.LateCharges, r.Fees, r.EscrowAdvance, r.Suspense, r.Escrow,
	} {
		if amount < 0 || amount > MaxBalance {
			return ErrRange
		}
	}
	if r.PayoffOn < MinDate || r.PayoffOn >= MaxDate || r.InterestPaidTo < MinDate || r.InterestPaidTo > MaxDate {
		return ErrNotDate
	}
	if r.InterestMethod == DailySimpleInterest {
		return nil
	}
	if on, err := r.InterestPaidTo.AddMonths(0, r.DueDay); err != nil || on != r.InterestPaidTo {
		return ErrPaidTo
	}
	return nil
}

// wholeMonths returns how many due dates from is away from the last due date
// that is not after to, and that date. The number is negative when to is before
// from. The day is passed apart for the same reason as to AddMonths.
func wholeMonths(from, to Date, dueDay int) (months int, last Date, err error) {
	fromYear, fromMonth, _ := from.Civil()
	toYear, toMonth, _ := to.Civil()
	months = (toYear-fromYear)*monthsPerYear + toMonth - fromMonth
	last, err = from.AddMonths(months, dueDay)
	if err == nil && last > to {
		months--
		last, err = from.AddMonths(months, dueDay)
	}
	return months, last, err
}
