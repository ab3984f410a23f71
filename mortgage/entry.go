package mortgage

import "errors"

// Kind is what one entry in the ledger records.
type Kind string

// The kinds of entries.
const (
	// KindBoarding opens the loan's books with its balances.
	KindBoarding Kind = "boarding"
	// KindInstallment satisfies one whole installment.
	KindInstallment Kind = "installment"
	// KindUnapplied takes money into suspense.
	KindUnapplied Kind = "unapplied"
	// KindCurtailment repays principal beyond the installments.
	KindCurtailment Kind = "curtailment"
	// KindEscrowDeposit adds to escrow beyond the installments.
	KindEscrowDeposit Kind = "escrow_deposit"
	// KindLateCharge assesses the late charge for one installment.
	KindLateCharge Kind = "late_charge"
	// KindPayoff repays all that is owed.
	KindPayoff Kind = "payoff"
	// KindReversal is the exact opposite of an earlier entry.
	KindReversal Kind = "reversal"
	// KindLateChargePayment pays late charges that were assessed before.
	KindLateChargePayment Kind = "late_charge_payment"
	// KindFee assesses a charge that is no late charge.
	KindFee Kind = "fee"
	// KindFeePayment pays fees that were assessed before.
	KindFeePayment Kind = "fee_payment"
	// KindEscrowDisbursement pays a bill from escrow.
	KindEscrowDisbursement Kind = "escrow_disbursement"
	// KindEscrowRefund returns escrow to the borrower.
	KindEscrowRefund Kind = "escrow_refund"
)

// Rule names what put money where it went. Each has a paragraph in
// docs/arithmetic.md.
type Rule string

// The rules.
const (
	// RuleBoarding: balances as the transferring servicer or lender states them.
	RuleBoarding Rule = "boarding"
	// RulePeriodicPayment: a full periodic payment is credited as of the date of
	// receipt, oldest installment first, even when late charges are unpaid.
	RulePeriodicPayment Rule = "12 CFR 1026.36(c)(1)(i)"
	// RulePartialPayment: less than a periodic payment is held in suspense until
	// it makes up a whole one.
	RulePartialPayment Rule = "12 CFR 1026.36(c)(1)(ii)"
	// RuleLateCharges: late charges, and then other amounts due, are paid once no
	// installment is due.
	RuleLateCharges Rule = "Uniform Security Instrument 2(b)"
	// RuleExcess: nothing is due, and the loan's excess policy decides.
	RuleExcess Rule = "excess_policy"
	// RuleDesignated: the borrower said what the money is for.
	RuleDesignated Rule = "designated"
	// RuleLateChargeAssessed: an installment was unpaid when its grace ended.
	RuleLateChargeAssessed Rule = "Uniform Note 6(A)"
	// RuleReturnedPaymentFee: a payment came back unpaid, and the loan's terms
	// charge for that.
	RuleReturnedPaymentFee Rule = "returned_payment_fee"
	// RuleEscrowDisbursement: a bill is paid before its penalty, with the
	// servicer's money where escrow has too little.
	RuleEscrowDisbursement Rule = "12 CFR 1024.17(k)"
	// RuleSurplusRefund: an analysis found more in escrow than is needed.
	RuleSurplusRefund Rule = "12 CFR 1024.17(f)(2)"
	// RulePayoffRefund: the loan was paid off, and what escrow holds goes back.
	RulePayoffRefund Rule = "12 CFR 1024.34(b)"
	// RuleDisbursementReturned: money that had left escrow came back.
	RuleDisbursementReturned Rule = "disbursement_returned"
	// RuleCorrection: something earlier became known later, and what was posted
	// on top of it is undone before it is posted again.
	RuleCorrection Rule = "correction"
	// RulePayoff: principal, interest to the day of receipt and late charges.
	RulePayoff Rule = "Fannie Mae F-1-09 payoff"
	// RuleOverpayment: the money exceeds all that is owed and is held for the
	// borrower.
	RuleOverpayment Rule = "overpayment"
)

// Postings is one change to each account of the ledger, debits positive. The
// sum is always zero. What is owed to the servicer or held by it grows with a
// debit (cash, principal, receivables); what it owes or earns grows with a
// credit (escrow, suspense, income), and so is negative here.
type Postings struct {
	Cash                  Cents
	Principal             Cents // unpaid principal, a receivable
	InterestIncome        Cents
	Escrow                Cents // liability to the borrower, for taxes and insurance
	Suspense              Cents // liability to the borrower, unapplied
	LateChargesReceivable Cents
	LateChargeIncome      Cents
	FeesReceivable        Cents
	FeeIncome             Cents
	EscrowAdvance         Cents // receivable: the servicer's own money in escrow
	BoardingClearing      Cents // the other side of opening balances
}

// Sum returns the total of all accounts, which is zero when they balance.
func (p Postings) Sum() Cents {
	return p.Cash + p.Principal + p.InterestIncome + p.Escrow + p.Suspense +
		p.LateChargesReceivable + p.LateChargeIncome +
		p.FeesReceivable + p.FeeIncome + p.EscrowAdvance + p.BoardingClearing
}

// Plus returns both changes together, account by account.
func (p Postings) Plus(o Postings) Postings {
	return Postings{
		Cash:                  p.Cash + o.Cash,
		Principal:             p.Principal + o.Principal,
		InterestIncome:        p.InterestIncome + o.InterestIncome,
		Escrow:                p.Escrow + o.Escrow,
		Suspense:              p.Suspense + o.Suspense,
		LateChargesReceivable: p.LateChargesReceivable + o.LateChargesReceivable,
		LateChargeIncome:      p.LateChargeIncome + o.LateChargeIncome,
		FeesReceivable:        p.FeesReceivable + o.FeesReceivable,
		FeeIncome:             p.FeeIncome + o.FeeIncome,
		EscrowAdvance:         p.EscrowAdvance + o.EscrowAdvance,
		BoardingClearing:      p.BoardingClearing + o.BoardingClearing,
	}
}

// Minus returns the first change without the second, account by account.
func (p Postings) Minus(o Postings) Postings {
	return p.Plus(Postings{
		Cash:                  -o.Cash,
		Principal:             -o.Principal,
		InterestIncome:        -o.InterestIncome,
		Escrow:                -o.Escrow,
		Suspense:              -o.Suspense,
		LateChargesReceivable: -o.LateChargesReceivable,
		LateChargeIncome:      -o.LateChargeIncome,
		FeesReceivable:        -o.FeesReceivable,
		FeeIncome:             -o.FeeIncome,
		EscrowAdvance:         -o.EscrowAdvance,
		BoardingClearing:      -o.BoardingClearing,
	})
}

// Entry is one event in a loan's books, not yet given its place in the ledger.
type Entry struct {
	Kind        Kind
	EffectiveOn Date // as of when the borrower is credited or charged
	DueOn       Date // the installment it satisfies or charges; no date for other kinds
	Rule        Rule
	Ref         string // the payment it is of; "" for what no payment causes
	Postings
}

// ErrUnbalanced and ErrImpossible report an entry that nothing may yield. They
// mean that a rule of this package, or the stored data, is broken.
var (
	ErrUnbalanced = errors.New("mortgage: entry does not balance")
	ErrImpossible = errors.New("mortgage: entry takes more than there is")
)

// After returns the state once the entry is in the books: every balance plus
// its posting, and the next due date moved on by a satisfied installment. Before
// principal or interest of a loan with daily simple interest is paid, what has
// accrued up to that day is counted.
//
// It returns ErrUnbalanced when the postings do not sum to zero, and
// ErrImpossible when a balance would fall below zero or an installment is not
// the oldest unpaid one.
func (t Terms) After(s State, e Entry) (State, error) {
	if e.Sum() != 0 {
		return State{}, ErrUnbalanced
	}
	if t.InterestMethod == DailySimpleInterest && e.Kind != KindBoarding && (e.Principal != 0 || e.InterestIncome != 0) {
		var err error
		if s, err = t.accrue(s, t.interestUntil(e)); err != nil {
			return State{}, err
		}
		s.AccruedInterest += e.InterestIncome
	}
	s.Principal += e.Principal
	s.Escrow -= e.Escrow
	s.EscrowAdvance += e.EscrowAdvance
	s.Suspense -= e.Suspense
	s.LateChargesDue += e.LateChargesReceivable
	s.FeesDue += e.FeesReceivable
	if min(s.Principal, s.Escrow, s.EscrowAdvance, s.Suspense, s.LateChargesDue, s.FeesDue, s.AccruedInterest) < 0 {
		return State{}, ErrImpossible
	}
	if e.Principal < 0 && s.Principal == 0 {
		s.PaidOffOn = e.EffectiveOn
	}
	if e.Kind == KindLateCharge {
		s.LateChargedThrough = max(s.LateChargedThrough, e.DueOn)
	}
	if e.Kind == KindInstallment {
		if e.DueOn != s.NextDueOn {
			return State{}, ErrImpossible
		}
		next, err := s.NextDueOn.AddMonths(1, t.DueDay)
		if err != nil {
			return State{}, err
		}
		s.NextDueOn = next
	}
	return s, nil
}

// interestUntil returns the first day whose interest the entry does not bear: its
// own, and the day after a payoff of a loan that owes for that day too.
func (t Terms) interestUntil(e Entry) Date {
	if e.Kind == KindPayoff && t.payoffDayBearsInterest() {
		return e.EffectiveOn + 1
	}
	return e.EffectiveOn
}

// Boarding returns the entry that opens a loan's books with the balances of s.
func Boarding(s State, boardedOn Date) Entry {
	p := Postings{
		Principal:             s.Principal,
		Escrow:                -s.Escrow,
		EscrowAdvance:         s.EscrowAdvance,
		Suspense:              -s.Suspense,
		LateChargesReceivable: s.LateChargesDue,
		FeesReceivable:        s.FeesDue,
	}
	p.BoardingClearing = -p.Sum()
	return Entry{Kind: KindBoarding, EffectiveOn: boardedOn, Rule: RuleBoarding, Postings: p}
}
