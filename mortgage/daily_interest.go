package mortgage

import "errors"

// DailySimpleInterest is interest for each day on that day's balance, at a 365th
// of the annual rate. It runs to the day a payment is received, so that paying
// late costs more interest and paying early less. Interest that a payment leaves
// unpaid is carried, and bears none itself.
const DailySimpleInterest InterestMethod = "daily_simple_365"

// daysPerYear is the divisor in every year. Leap years count 365 too, so that
// they bear interest for 366 days: actual/365 (fixed).
const daysPerYear = 365

// ErrBackwards reports a span whose end is before its beginning.
var ErrBackwards = errors.New("the span of days ends before it begins")

// DailyInterest returns the simple interest on the balance at the annual rate
// for the days from the first, included, to the last, excluded. It is one exact
// product, balance times rate times days over 365, rounded once: the days of a
// span are never rounded one by one. The 365 is fixed; the 29th of February is a
// day like any other, and a leap year's interest is 366/365 of the rate.
//
// The balance must be in [0, MaxBalance] and the rate in [0, MaxRate], or it
// returns ErrRange. It returns ErrNotDate for no date, and ErrBackwards when to
// is before from. No days bear no interest.
//
// Source: Fannie Mae Servicing Guide F-1-09, interest for part of a month is
// based on a 365-day year. That it stays 365 in leap years is ours.
func (r Rate) DailyInterest(balance Cents, from, to Date, rounding Rounding) (Cents, error) {
	if r < 0 || r > MaxRate || balance < 0 || balance > MaxBalance {
		return 0, ErrRange
	}
	if from < MinDate || from > MaxDate || to < MinDate || to > MaxDate {
		return 0, ErrNotDate
	}
	if to < from {
		return 0, ErrBackwards
	}
	return balance.MulDiv(int64(r)*int64(to-from), daysPerYear*ppm, rounding)
}

// accrue counts the interest of a loan with daily simple interest up to the day,
// without it. It must be done before the principal changes. What has been counted
// is not counted again, and other loans stay as they are.
func (t Terms) accrue(s State, to Date) (State, error) {
	if t.InterestMethod != DailySimpleInterest || to <= s.InterestAccruedTo {
		return s, nil
	}
	interest, err := t.rates().daily(s.Principal, s.InterestAccruedTo, to, t.Rounding)
	if err != nil {
		return State{}, err
	}
	s.AccruedInterest += interest
	s.InterestAccruedTo = to
	return s, nil
}
