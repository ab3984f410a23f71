package mortgage

// Fee is a charge that a loan's terms allow and that is no late charge: so far,
// for a payment that came back unpaid.
type Fee struct {
	Ref       string // names what it is charged for, and orders the fees of one day
	Amount    Cents  // 1 to MaxPayment
	ChargedOn Date
	Rule      Rule // what allows it
}

// Happen assesses the fee. A loan that is paid off by then is charged nothing:
// nobody would be asked for it.
//
// It returns ErrNotAmount for an amount out of range, and ErrNotDate for no day.
func (f Fee) Happen(t Terms, s State) (State, []Entry, error) {
	if f.Amount < 1 || f.Amount > MaxPayment {
		return State{}, nil, ErrNotAmount
	}
	if f.ChargedOn < MinDate || f.ChargedOn > MaxDate {
		return State{}, nil, ErrNotDate
	}
	if s.Principal == 0 {
		return s, nil, nil
	}
	e := Entry{
		Kind: KindFee, EffectiveOn: f.ChargedOn, Rule: f.Rule,
		Postings: Postings{FeesReceivable: f.Amount, FeeIncome: -f.Amount},
	}
	s, err := t.After(s, e)
	if err != nil {
		return State{}, nil, err
	}
	return s, []Entry{e}, nil
}
