package mortgage

import (
	"errors"
	"slices"
)

// ARMTerms is what an adjustable-rate note says of its rate, all in millionths:
// an eighth of a percent is 1,250. A note without a limit is given MaxRate for
// it; a zero is not "none", so that a forgotten limit cannot overcharge.
type ARMTerms struct {
	Margin  Rate // added to the index
	RoundTo Rate // the sum goes to the nearest multiple; 0 and 1 leave it as it is

	PeriodicCap Rate // the most by which one change may raise or lower the rate
	FirstCap    Rate // the same at the first change
	LifetimeCap Rate // the highest rate ever, not the rise above the first one
	Floor       Rate // the lowest rate ever; the margin where the note has none

	Adjusted bool // the rate has changed before the loan was boarded: FirstCap is past
}

// ErrARMTerms reports adjustable-rate terms that do not fit together.
var ErrARMTerms = errors.New("the adjustable-rate terms are out of range")

// Check refuses terms with a cap that is not above zero (such a rate could not
// change), a floor above the lifetime cap, or a rate out of range. Federal law
// asks for a lifetime cap on every such loan on a dwelling (12 CFR 1026.30).
func (t ARMTerms) Check() error {
	if t.Margin < -MaxRate || t.Margin > MaxRate || t.RoundTo < 0 || t.RoundTo > MaxRate ||
		t.PeriodicCap <= 0 || t.PeriodicCap > MaxRate || t.FirstCap <= 0 || t.FirstCap > MaxRate ||
		t.LifetimeCap <= 0 || t.LifetimeCap > MaxRate || t.Floor < 0 || t.Floor > t.LifetimeCap {
		return ErrARMTerms
	}
	return nil
}

// NewRate returns the rate from a change date on, for terms that Check accepts.
// The index may be negative, and is between -MaxRate and MaxRate; current is the
// rate until then, and first says that it has never changed.
//
// The order is the note's: index plus margin, rounded to the nearest multiple of
// RoundTo; then not more than the cap away from the current rate; then between
// floor and lifetime cap, which win over the other cap. Limits are not rounded
// again. A sum exactly in the middle of two multiples goes up: notes say
// "nearest" and no more, and half-up, as with cents, is ours.
//
// Sources: standard adjustable-rate notes, section 4(C) ("The Note Holder will
// then round the result of this addition to the nearest one-eighth of one
// percentage point (0.125%). Subject to the limits stated in Section 4(D) below,
// this rounded amount will be my new interest rate"); Fannie Mae Selling Guide
// B2-1.4-02, caps per change hold for rises and falls, and no rate falls below
// the margin.
func (t ARMTerms) NewRate(index, current Rate, first bool) Rate {
	most := t.PeriodicCap
	if first {
		most = t.FirstCap
	}
	rate := nearest(index+t.Margin, t.RoundTo)
	rate = min(max(rate, current-most), current+most)
	return min(max(rate, t.Floor), t.LifetimeCap)
}

// nearest returns the multiple of step that is nearest to r, the higher of two.
// A step of zero or one leaves r as it is. What is below zero only stays there,
// since it ends at the floor.
func nearest(r, step Rate) Rate {
	if step <= 1 {
		return r
	}
	down := r % step
	if up := step - down; up <= down {
		return r + up
	}
	return r - down
}

// Recast returns the payment that repays the balance expected at a change date
// at the new rate in equal monthly payments until maturity. It is LevelPayment,
// with its limits and its errors. It first falls due on the first due date after
// the change date.
//
// Source: standard adjustable-rate notes, section 4(C), "the monthly payment
// that would be sufficient to repay the unpaid principal that I am expected to
// owe at the Change Date in full on the Maturity Date at my new interest rate in
// substantially equal payments".
func Recast(expectedBalance Cents, rate Rate, remainingMonths int, rounding Rounding) (Cents, error) {
	return LevelPayment(expectedBalance, rate, remainingMonths, rounding)
}

// ExpectedPrincipal returns the principal that is expected to be owed on
// changeOn: what is left once every installment due on or before that day is
// paid, and nothing else happened. The one due on the change date bears interest
// at the old rate and is among them. Principal already lower, because
// installments are paid ahead, is what it is.
//
// It returns ErrNotDate for no date, and the errors of Schedule.
func (t Terms) ExpectedPrincipal(s State, changeOn Date) (Cents, error) {
	if changeOn < MinDate || changeOn > MaxDate || s.NextDueOn < MinDate || s.NextDueOn > MaxDate {
		return 0, ErrNotDate
	}
	if changeOn < s.NextDueOn {
		return s.Principal, nil
	}
	months, _, err := wholeMonths(s.NextDueOn, changeOn, t.DueDay)
	if err != nil {
		return 0, err
	}
	lines, err := t.Schedule(s, months+1)
	if err != nil || len(lines) == 0 {
		return s.Principal, err
	}
	return lines[len(lines)-1].PrincipalAfter, nil
}

// InstallmentsAfter returns how many due dates follow the given day, up to
// maturity: over so many payments a changed rate is recast. It is zero from
// maturity on, and ErrNotDate for no date.
func (t Terms) InstallmentsAfter(on Date) (int, error) {
	if on < MinDate || on > MaxDate || t.MaturityOn < MinDate || t.MaturityOn > MaxDate {
		return 0, ErrNotDate
	}
	months, _, err := wholeMonths(t.MaturityOn, on, t.DueDay)
	return max(-months, 0), err
}

// RateAdjustment is what an index leads to at a change date.
type RateAdjustment struct {
	Rate                 Rate
	PrincipalAndInterest Cents // from the same installment on
	ExpectedPrincipal    Cents // that the payment repays by maturity
	Installments         int   // in which it does
}

// Errors of AdjustRate.
var (
	// ErrChangePassed reports a change date that is before the last satisfied
	// installment: the balance expected then is not to be told from the state.
	ErrChangePassed = errors.New("installments after the change date are satisfied")
	// ErrNoInstallmentLeft reports a change after which nothing falls due.
	ErrNoInstallmentLeft = errors.New("no installment falls due after the change date")
)

// AdjustRate returns the rate and the payment from the installment due on dueOn
// on, for the index of its change date, which is the due date before: see NewRate
// and Recast. Of the loan's own changes, those before that installment count.
//
// It returns ErrARMTerms for terms that Check refuses, ErrRange for an index not
// in [-MaxRate, MaxRate], ErrNotDueDate when dueOn is no due date of the loan,
// ErrChangePassed and ErrNoInstallmentLeft as they say, and the errors of Recast.
func (t Terms) AdjustRate(a ARMTerms, s State, index Rate, dueOn Date) (RateAdjustment, error) {
	if err := a.Check(); err != nil {
		return RateAdjustment{}, err
	}
	if index < -MaxRate || index > MaxRate {
		return RateAdjustment{}, ErrRange
	}
	if on, err := dueOn.AddMonths(0, t.DueDay); err != nil || on != dueOn {
		return RateAdjustment{}, ErrNotDueDate
	}
	if s.NextDueOn > dueOn {
		return RateAdjustment{}, ErrChangePassed
	}
	changeOn, err := dueOn.AddMonths(-1, t.DueDay)
	if err != nil {
		return RateAdjustment{}, err
	}
	first := !a.Adjusted && !slices.ContainsFunc(t.Changes.Rates, func(c RateChange) bool { return c.DueOn < dueOn })
	adjusted := RateAdjustment{Rate: a.NewRate(index, t.RateFor(changeOn), first)}
	if adjusted.Installments, err = t.InstallmentsAfter(changeOn); err != nil {
		return RateAdjustment{}, err
	}
	if adjusted.Installments == 0 {
		return RateAdjustment{}, ErrNoInstallmentLeft
	}
	if adjusted.ExpectedPrincipal, err = t.ExpectedPrincipal(s, changeOn); err != nil {
		return RateAdjustment{}, err
	}
	adjusted.PrincipalAndInterest, err = Recast(
		adjusted.ExpectedPrincipal, adjusted.Rate, adjusted.Installments, t.Rounding)
	return adjusted, err
}
