package mortgage

import "errors"

// LateChargePolicy is what a note says of payments that come late. Its zero
// value charges nothing.
//
// Sources: Uniform Note (Form 3200) section 6(A), a percentage of the overdue
// principal and interest, once for each late payment; 24 CFR 203.25, for FHA
// loans not more than 4 % and only of payments more than 15 days in arrears.
// State law may allow less.
type LateChargePolicy struct {
	GraceDays int    // days after the due date in which a payment is not late, 0 or more
	Rate      Rate   // of the overdue principal and interest, not a year's rate: 5 % is 50,000
	Minimum   Cents  // what a charge comes to at least
	Maximum   *Cents // what a charge comes to at most, even below Minimum; nil is no limit

	// ExtendToBusinessDay moves the end of the grace to the next business day
	// when it is none. A note does not ask for it; some servicers and states do.
	ExtendToBusinessDay bool
}

// ErrLateChargePolicy reports a policy with a negative number of days, a
// negative amount, or a rate outside [0, MaxRate].
var ErrLateChargePolicy = errors.New("the late charge policy is out of range")

// Check refuses a policy with a value out of range.
func (p LateChargePolicy) Check() error {
	if p.GraceDays < 0 || p.Rate < 0 || p.Rate > MaxRate || p.Minimum < 0 || p.Minimum > MaxPayment ||
		p.Maximum != nil && (*p.Maximum < 0 || *p.Maximum > MaxPayment) {
		return ErrLateChargePolicy
	}
	return nil
}

// Amount returns the charge for one installment of which that much principal
// and interest is overdue: the percentage rounded half-up to the cent, raised to
// the minimum, then lowered to the maximum. Where nothing is overdue there is no
// charge, not even the minimum.
//
// It is assessed once for each installment, on that installment alone. Escrow
// and earlier late charges are never part of what is overdue, and an installment
// that was paid in time is not made late by an unpaid late charge (12 CFR
// 1026.36(c)(2)): that is the caller's to see to.
//
// It returns ErrLateChargePolicy for a policy that Check refuses, and ErrRange
// when the overdue amount is not in [0, MaxBalance].
func (p LateChargePolicy) Amount(overduePrincipalAndInterest Cents) (Cents, error) {
	if err := p.Check(); err != nil {
		return 0, err
	}
	if overduePrincipalAndInterest < 0 || overduePrincipalAndInterest > MaxBalance {
		return 0, ErrRange
	}
	if overduePrincipalAndInterest == 0 {
		return 0, nil
	}
	amount, err := overduePrincipalAndInterest.MulDiv(int64(p.Rate), ppm, RoundHalfUp)
	if err != nil {
		return 0, err
	}
	amount = max(amount, p.Minimum)
	if p.Maximum != nil {
		amount = min(amount, *p.Maximum)
	}
	return amount, nil
}

// AssessedOn returns the first day on which an installment due on dueOn, and
// still unpaid, bears a late charge. It is the day after the last day of grace:
// with 15 days of grace an installment due on 1 April is in time on 16 April,
// and is charged from 17 April. With ExtendToBusinessDay a grace that ends on a
// Saturday, Sunday or bank holiday ends on the next business day instead.
//
// It returns no date when dueOn is none or the result would be past MaxDate.
//
// Source: Uniform Note (Form 3200) section 6(A), a payment not received "by the
// end of 15 calendar days after the date it is due".
func (p LateChargePolicy) AssessedOn(dueOn Date) Date {
	if dueOn < MinDate || dueOn > MaxDate || p.GraceDays < 0 || p.GraceDays >= int(MaxDate-dueOn) {
		return 0
	}
	graceEndsOn := dueOn + Date(p.GraceDays)
	if p.ExtendToBusinessDay { // MaxDate-1, the last day it can be here, is one.
		graceEndsOn = AddBusinessDays(graceEndsOn, 0)
	}
	return graceEndsOn + 1
}
