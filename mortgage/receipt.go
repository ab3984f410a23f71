package mortgage

import "errors"

// The refusals of a receipt.
var (
	ErrNotAmount = errors.New("the amount is not in range")
	ErrPaidOff   = errors.New("the loan is paid off")
)

// Designation is what the borrower says money is for.
type Designation string

// The designations.
const (
	// ForPeriodic leaves the money to the note: installments first. It is the
	// zero value's meaning too.
	ForPeriodic Designation = "periodic"
	// ForPrincipal repays principal, after installments that are due: on a
	// delinquent loan it cures first (Fannie Mae C-1.2-01).
	ForPrincipal Designation = "principal"
	// ForEscrow goes into escrow.
	ForEscrow Designation = "escrow"
	// ForLateCharge pays late charges that were assessed, whatever is due.
	ForLateCharge Designation = "late_charge"
	// ForPayoff repays everything, or is refused.
	ForPayoff Designation = "payoff"
)

// Receipt is money received for a loan.
type Receipt struct {
	Ref         string // names it, and orders the receipts of one day
	Amount      Cents  // 1 to MaxPayment
	ReceivedOn  Date   // the day it reached the servicer; the borrower is credited as of it
	Designation Designation
}

// Happen applies the money.
//
// Whole installments that are due are satisfied first, the oldest first, with
// what is held in suspense before new money. When none was due, the money first
// satisfies the next installment, if the one before it fell due on an earlier
// day and the money suffices: a payment that comes less than a month early is
// not an extra one. What is left while an installment is still due is a partial
// payment and waits in suspense. What is left otherwise pays late charges and
// fees, and then follows the loan's excess policy. The cash of the entries always sums to
// the amount.
//
// Money designated for escrow or for late charges goes there. What late charges
// do not take is held, unless it makes up an installment that is due. Money
// designated for principal satisfies what is due, and all else repays principal;
// a curtailment moves neither the due date nor the payment.
//
// It returns ErrNotAmount for an amount out of range, ErrNotDate for no date of
// receipt, and ErrPaidOff when no principal is owed.
//
// Sources: 12 CFR 1026.36(c)(1); Uniform Security Instrument (2021) section 2.
func (r Receipt) Happen(t Terms, s State) (State, []Entry, error) {
	if r.Amount < 1 || r.Amount > MaxPayment {
		return State{}, nil, ErrNotAmount
	}
	if r.ReceivedOn < MinDate || r.ReceivedOn > MaxDate {
		return State{}, nil, ErrNotDate
	}
	if s.Principal == 0 {
		return State{}, nil, ErrPaidOff
	}
	a := application{terms: t, state: s, on: r.ReceivedOn, cash: r.Amount, ref: r.Ref}
	switch r.Designation {
	case ForEscrow:
		a.depositInEscrow()
	case ForLateCharge:
		a.payLateCharges()
		a.installmentsDue() // What is over joins held money, and may make up a periodic payment.
		a.hold(RuleDesignated)
	case ForPayoff:
		a.payOff()
	case ForPrincipal:
		a.installmentsDue()
		a.curtail()
	default:
		a.installmentsDue()
		if len(a.entries) == 0 {
			a.installmentAboutToFallDue()
		}
		a.remainder()
	}
	if a.err != nil {
		return State{}, nil, a.err
	}
	return a.state, a.entries, nil
}

// keep holds all of the money for whoever sent it.
func (r Receipt) keep(t Terms, s State) (State, []Entry, error) {
	a := application{terms: t, state: s, on: r.ReceivedOn, cash: r.Amount, ref: r.Ref}
	a.hold(RuleOverpayment)
	return a.state, a.entries, a.err
}

// application is the state of one receipt while it is applied. After the first
// error it does nothing more.
type application struct {
	terms   Terms
	state   State
	on      Date
	ref     string
	cash    Cents // new money not yet applied
	entries []Entry
	err     error
}

// add puts an entry in the books and takes its cash from what is left.
func (a *application) add(e Entry) {
	if a.err != nil {
		return
	}
	e.Ref = a.ref
	a.cash -= e.Cash
	a.entries = append(a.entries, e)
	a.state, a.err = a.terms.After(a.state, e)
}

// settleNext satisfies the oldest unpaid installment if its due date is
// acceptable and the money suffices, and says whether it did.
func (a *application) settleNext(acceptable func(dueOn Date) bool) bool {
	if a.err != nil {
		return false
	}
	in, ok, err := a.terms.InstallmentOn(a.state, a.on)
	if err != nil {
		a.err = err
		return false
	}
	if !ok || !acceptable(in.DueOn) || in.Total() > a.cash+a.state.Suspense {
		return false
	}
	held := min(a.state.Suspense, in.Total())
	a.add(settlement(a.state, in, in.Total()-held, held, a.on))
	return true
}

// settlement is the entry that satisfies an installment of a loan in that state
// from new cash and from what was held in suspense.
func settlement(s State, in Installment, cash, held Cents, on Date) Entry {
	escrow, advance := escrowDeposit(s, in.Escrow)
	return Entry{
		Kind: KindInstallment, EffectiveOn: on, DueOn: in.DueOn, Rule: RulePeriodicPayment,
		Postings: Postings{
			Cash:           cash,
			Suspense:       held,
			InterestIncome: -in.Interest,
			Principal:      -in.Principal,
			Escrow:         escrow,
			EscrowAdvance:  advance,
		},
	}
}

func (a *application) due(on Date) bool { return on <= a.on }

// installmentsDue satisfies every installment that is due and can be satisfied.
func (a *application) installmentsDue() {
	for a.settleNext(a.due) {
	}
}

// installmentAboutToFallDue satisfies the next installment ahead of its day
// when that day is less than a month away, that is, after the due date before
// it. Counting a month on from today instead would fail at the end of January:
// from the 29th to the 31st it leads to the last of February.
func (a *application) installmentAboutToFallDue() {
	if a.due(a.state.NextDueOn) {
		return // One is due and could not be satisfied: this is a partial payment.
	}
	before, err := a.state.NextDueOn.AddMonths(-1, a.terms.DueDay)
	if err != nil {
		a.err = err
		return
	}
	a.settleNext(func(Date) bool { return before < a.on })
}

// remainder places the money that satisfied no installment.
func (a *application) remainder() {
	switch {
	case a.cash == 0 || a.err != nil:
	case a.state.Principal == 0:
		a.payLateCharges()
		a.payFees()
		a.hold(RuleOverpayment)
	case a.due(a.state.NextDueOn):
		a.hold(RulePartialPayment)
	default:
		a.payLateCharges()
		a.payFees()
		a.placeExcess()
	}
}

// payLateCharges pays assessed late charges as far as the money goes.
func (a *application) payLateCharges() {
	pay := min(a.cash, a.state.LateChargesDue)
	if pay == 0 {
		return
	}
	a.add(Entry{
		Kind: KindLateChargePayment, EffectiveOn: a.on, Rule: RuleLateCharges,
		Postings: Postings{Cash: pay, LateChargesReceivable: -pay},
	})
}

// payFees pays assessed fees as far as the money goes.
func (a *application) payFees() {
	pay := min(a.cash, a.state.FeesDue)
	if pay == 0 || a.err != nil {
		return
	}
	a.add(Entry{
		Kind: KindFeePayment, EffectiveOn: a.on, Rule: RuleLateCharges,
		Postings: Postings{Cash: pay, FeesReceivable: -pay},
	})
}

// depositInEscrow puts the money into escrow.
func (a *application) depositInEscrow() {
	escrow, advance := escrowDeposit(a.state, a.cash)
	a.add(Entry{
		Kind: KindEscrowDeposit, EffectiveOn: a.on, Rule: RuleDesignated,
		Postings: Postings{Cash: a.cash, Escrow: escrow, EscrowAdvance: advance},
	})
}

// curtail repays principal as the borrower said, once nothing is due. Money
// that would repay all of it is held: a payoff also owes interest.
func (a *application) curtail() {
	switch {
	case a.cash == 0 || a.err != nil:
	case a.state.Principal > 0 && a.due(a.state.NextDueOn):
		a.hold(RulePartialPayment)
	case a.cash < a.state.Principal:
		a.add(Entry{
			Kind: KindCurtailment, EffectiveOn: a.on, Rule: RuleDesignated,
			Postings: Postings{Cash: a.cash, Principal: -a.cash},
		})
	default:
		a.hold(RuleOverpayment)
	}
}

// placeExcess follows the excess policy. Money that would repay the whole
// principal is held instead: a payoff also owes interest, and is asked for.
// Installments far ahead would take interest that is never going to be earned.
func (a *application) placeExcess() {
	switch a.terms.ExcessPolicy {
	case ExcessToPrincipal:
		if a.cash > 0 && a.cash < a.state.Principal {
			a.add(Entry{
				Kind: KindCurtailment, EffectiveOn: a.on, Rule: RuleExcess,
				Postings: Postings{Cash: a.cash, Principal: -a.cash},
			})
		}
	case ExcessToNextInstallment:
		if a.cash+a.state.Suspense < a.state.Principal {
			for a.cash > 0 && a.settleNext(func(Date) bool { return true }) {
			}
		}
	case ExcessToSuspense:
	}
	a.hold(RuleExcess)
}

// hold takes what is left into suspense.
func (a *application) hold(rule Rule) {
	if a.cash == 0 {
		return
	}
	a.add(Entry{
		Kind: KindUnapplied, EffectiveOn: a.on, Rule: rule,
		Postings: Postings{Cash: a.cash, Suspense: -a.cash},
	})
}
