package mortgage

import "errors"

// InterestMethod says how a loan's interest is counted.
type InterestMethod string

// ScheduledInterest is interest in arrears for whole months of thirty days, on
// the balance as of the last paid installment. The day on which an installment
// is paid makes no difference to its interest.
const ScheduledInterest InterestMethod = "scheduled_30_360"

// ApplicationOrder says in which order one installment's parts are paid, and
// that late charges come after all of them.
type ApplicationOrder string

// The orders in use. An installment is satisfied whole or not at all, so that
// the order decides only how its parts are listed.
const (
	// ConventionalOrder is interest, principal, escrow, then late charges
	// (Fannie Mae F-1-09, instruments of March 1999 and later).
	ConventionalOrder ApplicationOrder = "conventional"
	// FHAOrder is escrow, interest, principal, then late charges
	// (HUD Handbook 4000.1 III.A.1.e).
	FHAOrder ApplicationOrder = "fha"
)

// ExcessPolicy says where money goes once nothing is due.
type ExcessPolicy string

// The policies for excess money.
const (
	ExcessToPrincipal       ExcessPolicy = "principal"        // a curtailment
	ExcessToNextInstallment ExcessPolicy = "next_installment" // whole ones, ahead of time
	ExcessToSuspense        ExcessPolicy = "suspense"         // held until the borrower says
)

// ShortPayoffPolicy says what becomes of money that was meant to pay a loan off
// and does not suffice.
type ShortPayoffPolicy string

// The policies for a short payoff.
const (
	RefuseShortPayoff ShortPayoffPolicy = "refuse" // nothing of it is applied; the zero value's meaning too
	HoldShortPayoff   ShortPayoffPolicy = "hold"   // it waits in suspense
)

// Terms is what the note and the servicer's agreement say of a loan.
type Terms struct {
	Rate                 Rate
	PrincipalAndInterest Cents // the note's payment; data, never recomputed
	EscrowPayment        Cents // deposited with each installment
	DueDay               int   // day of the month, 1 to 31; short months use their last
	MaturityOn           Date
	InterestMethod       InterestMethod
	ApplicationOrder     ApplicationOrder
	ExcessPolicy         ExcessPolicy
	Rounding             Rounding
	LateCharge           LateChargePolicy
	ShortPayoff          ShortPayoffPolicy
	BoardedOn            Date    // the first day of the servicer's own books
	Changes              Changes // of all of these since then
}

// State is what a loan owes and holds. All amounts are zero or more.
type State struct {
	Principal      Cents // unpaid principal
	Escrow         Cents // held for taxes and insurance
	EscrowAdvance  Cents // the servicer's own money that paid for them
	Suspense       Cents // unapplied funds
	LateChargesDue Cents
	FeesDue        Cents // other charges that were assessed, as for a payment that came back
	NextDueOn      Date  // due date of the oldest unpaid installment
	PaidOffOn      Date  // the day as of which no principal is owed any more; no date while some is

	// Of a loan with daily simple interest: the first day whose interest has not
	// been counted, and what has been counted up to then and is unpaid. It bears
	// no interest itself. Other loans have neither.
	InterestAccruedTo Date
	AccruedInterest   Cents

	AsOf               Date // the last day whose due dates and grace periods are in the books
	LateChargedThrough Date // due date of the last installment that was charged; no date for none
}

// The refusals of Check.
var (
	ErrPaymentTooSmall = errors.New("the payment does not cover a month's interest")
	ErrNotDueDate      = errors.New("the next due date is not on the loan's due day")
	ErrPastMaturity    = errors.New("the next due date is after the maturity date")
	ErrAccruedTo       = errors.New("interest is counted to no day, or to one after the boarding")
)

// Check refuses a loan whose numbers do not fit each other: a payment below one
// month's interest (the balance would grow), a next due date that is not on the
// due day, and a next due date after maturity. With daily simple interest a
// payment may be below a month's interest, since what is unpaid is carried; the
// interest must be counted to a day, and not to one after the boarding.
func (t Terms) Check(s State) error {
	interest, err := t.RateFor(s.NextDueOn).MonthInterest(s.Principal, t.Rounding)
	if err != nil {
		return err
	}
	daily := t.InterestMethod == DailySimpleInterest
	if !daily && t.PrincipalAndInterestFor(s.NextDueOn) < interest {
		return ErrPaymentTooSmall
	}
	if on, err := s.NextDueOn.AddMonths(0, t.DueDay); err != nil || on != s.NextDueOn {
		return ErrNotDueDate
	}
	if s.NextDueOn > t.MaturityOn {
		return ErrPastMaturity
	}
	if daily && (s.InterestAccruedTo < MinDate || s.InterestAccruedTo > t.BoardedOn) {
		return ErrAccruedTo
	}
	return nil
}

// DueDay returns the day of the month on which a loan falls due, given its next
// due date and its maturity date. It is the later of the two days, because a
// loan due on the 31st shows an earlier one in a short month.
func DueDay(nextDueOn, maturityOn Date) int {
	_, _, a := nextDueOn.Civil()
	_, _, b := maturityOn.Civil()
	return max(a, b)
}

// Installment is one periodic payment that the note calls for.
type Installment struct {
	DueOn     Date
	Interest  Cents
	Principal Cents
	Escrow    Cents
}

// Total returns what satisfies the installment.
func (i Installment) Total() Cents { return i.Interest + i.Principal + i.Escrow }

// NextInstallment returns the oldest unpaid installment as it is when it is paid
// on its due date; see InstallmentOn.
func (t Terms) NextInstallment(s State) (in Installment, ok bool, err error) {
	return t.InstallmentOn(s, s.NextDueOn)
}

// InstallmentOn returns the oldest unpaid installment as it is when it is paid on
// the day. The last one, at maturity or when the payment would exceed what is
// owed, is the whole balance with its interest, whatever that comes to: no cent is
// left and none forgiven. A loan without principal has none, and ok is false.
//
// With scheduled interest the day makes no difference. The interest is a month's
// on the unpaid principal, and the rest of the note's payment is principal. With
// daily simple interest it is what has accrued up to the day, as far as the
// note's payment goes; what is over is carried.
//
// It returns ErrPaymentTooSmall when a scheduled payment does not cover the
// month's interest.
func (t Terms) InstallmentOn(s State, on Date) (in Installment, ok bool, err error) {
	if s.Principal <= 0 {
		return Installment{}, false, nil
	}
	payment := t.PrincipalAndInterestFor(s.NextDueOn)
	interest, err := t.interestOn(s, on)
	if err != nil {
		return Installment{}, false, err
	}
	principal := payment - interest
	switch last := principal >= s.Principal || s.NextDueOn >= t.MaturityOn; {
	case last:
		principal = s.Principal
	case principal < 0 && t.InterestMethod == DailySimpleInterest:
		interest, principal = payment, 0
	case principal < 0:
		return Installment{}, false, ErrPaymentTooSmall
	}
	return Installment{
		DueOn: s.NextDueOn, Interest: interest, Principal: principal, Escrow: t.EscrowPaymentFor(s.NextDueOn),
	}, true, nil
}

// interestOn returns the interest that the oldest unpaid installment may ask for
// on the day.
func (t Terms) interestOn(s State, on Date) (Cents, error) {
	if t.InterestMethod != DailySimpleInterest {
		return t.RateFor(s.NextDueOn).MonthInterest(s.Principal, t.Rounding)
	}
	s, err := t.accrue(s, on)
	return s.AccruedInterest, err
}

// ScheduleLine is one coming installment and the principal left after it.
type ScheduleLine struct {
	Installment
	PrincipalAfter Cents
}

// Schedule returns the coming installments, at most count of them, as if each
// were paid when due and nothing else happened.
func (t Terms) Schedule(s State, count int) ([]ScheduleLine, error) {
	var lines []ScheduleLine
	for len(lines) < count {
		in, ok, err := t.NextInstallment(s)
		if err != nil || !ok {
			return lines, err
		}
		s, err = t.After(s, settlement(s, in, in.Total(), 0, in.DueOn))
		if err != nil {
			return nil, err
		}
		lines = append(lines, ScheduleLine{Installment: in, PrincipalAfter: s.Principal})
	}
	return lines, nil
}
