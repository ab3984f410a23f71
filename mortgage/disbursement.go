package mortgage

// Disbursement is money that leaves escrow: to a payee whose bill it pays, or back
// to the borrower. What escrow does not hold on the day, the servicer advances.
type Disbursement struct {
	Ref    string // names it, and orders the disbursements of one day
	Amount Cents  // 1 to MaxPayment
	PaidOn Date
	Kind   Kind // KindEscrowDisbursement or KindEscrowRefund
	Rule   Rule // what asks for it

	// Returned says that the money came back on that day: the opposite, into what
	// the servicer has advanced first.
	Returned bool
}

// Happen takes the money from escrow, and from the servicer what is missing: that
// is a receivable, and never a negative balance. Later deposits repay it first. A
// loan that is paid off still has an escrow account.
//
// It returns ErrNotAmount for an amount out of range, and ErrNotDate for no day.
//
// Source: 12 CFR 1024.17(k)(2), the servicer advances funds to make disbursements
// in a timely manner; (b), a deficiency is a negative balance.
func (d Disbursement) Happen(t Terms, s State) (State, []Entry, error) {
	if d.Amount < 1 || d.Amount > MaxPayment {
		return State{}, nil, ErrNotAmount
	}
	if d.PaidOn < MinDate || d.PaidOn > MaxDate {
		return State{}, nil, ErrNotDate
	}
	e := Entry{Kind: d.Kind, EffectiveOn: d.PaidOn, Rule: d.Rule}
	if d.Returned {
		e.Cash = d.Amount
		e.Escrow, e.EscrowAdvance = escrowDeposit(s, d.Amount)
	} else {
		held := min(d.Amount, s.Escrow)
		e.Cash, e.Escrow, e.EscrowAdvance = -d.Amount, held, d.Amount-held
	}
	s, err := t.After(s, e)
	if err != nil {
		return State{}, nil, err
	}
	return s, []Entry{e}, nil
}

// escrowDeposit returns the postings of a deposit in escrow: what the servicer has
// advanced is repaid first.
func escrowDeposit(s State, amount Cents) (escrow, advance Cents) {
	repaid := min(amount, s.EscrowAdvance)
	return -(amount - repaid), -repaid
}
