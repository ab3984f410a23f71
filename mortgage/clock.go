package mortgage

// Advance lets time pass up to and including the day to, and returns the state
// then with what became due on the way, in order of days:
//
//   - On the day an installment falls due, money held in suspense satisfies it
//     if it suffices.
//   - On the day after an installment's grace ends unpaid, its late charge is
//     assessed: once for each installment, and never for one whose grace had
//     ended when the loan was boarded, because the boarded balance has it.
//
// A day that has passed brings nothing again. Sources: 12 CFR
// 1026.36(c)(1)(ii)(B), held money that makes up a periodic payment is one;
// Uniform Note (Form 3200) section 6(A), late charges.
func (t Terms) Advance(s State, to Date) (State, []Entry, error) {
	var entries []Entry
	for s.Principal > 0 && s.AsOf < to {
		e, ok, err := t.nextByTime(s)
		if err != nil {
			return State{}, nil, err
		}
		if !ok || e.EffectiveOn > to {
			break
		}
		if s, err = t.After(s, e); err != nil {
			return State{}, nil, err
		}
		s.AsOf = e.EffectiveOn - 1 // The same day may bring more.
		entries = append(entries, e)
	}
	s.AsOf = max(s.AsOf, to)
	return s, entries, nil
}

// nextByTime returns what the days after s.AsOf bring first.
func (t Terms) nextByTime(s State) (Entry, bool, error) {
	held, settles, err := t.heldSettlement(s)
	if err != nil {
		return Entry{}, false, err
	}
	charge, charges, err := t.nextLateCharge(s)
	if err != nil {
		return Entry{}, false, err
	}
	if settles && (!charges || held.EffectiveOn <= charge.EffectiveOn) {
		return held, true, nil
	}
	return charge, charges, nil
}

// heldSettlement satisfies the next installment from suspense, on its due date.
func (t Terms) heldSettlement(s State) (Entry, bool, error) {
	on := max(s.NextDueOn, s.AsOf+1)
	in, ok, err := t.InstallmentOn(s, on)
	if err != nil || !ok || s.Suspense < in.Total() {
		return Entry{}, false, err
	}
	return settlement(s, in, 0, in.Total(), on), true, nil
}

// nextLateCharge returns the late charge that is assessed next if nobody pays.
// An installment that will be left out once those before it have repaid all
// principal bears none, and neither does one whose charge is waived.
func (t Terms) nextLateCharge(s State) (Entry, bool, error) {
	p := t.LateCharge
	if p.Rate == 0 && p.Minimum == 0 {
		return Entry{}, false, nil
	}
	paid := s // as if the installments before were
	for {
		in, ok, err := t.NextInstallment(paid)
		if err != nil || !ok {
			return Entry{}, false, err
		}
		if in.DueOn > s.LateChargedThrough && p.AssessedOn(in.DueOn) > max(t.BoardedOn, s.AsOf) && !t.waived(in.DueOn) {
			if charge, ok, err := t.lateCharge(in); ok || err != nil {
				return charge, ok, err
			}
		}
		paid, err = t.After(paid, settlement(paid, in, in.Total(), 0, in.DueOn))
		if err != nil {
			return Entry{}, false, err
		}
	}
}

// lateCharge assesses the late charge for an installment, if the policy's comes
// to a cent. The note charges a
// monthly payment that is overdue, so that a balloon counts as one and no more.
func (t Terms) lateCharge(in Installment) (Entry, bool, error) {
	amount, err := t.LateCharge.Amount(min(in.Interest+in.Principal, t.PrincipalAndInterestFor(in.DueOn)))
	if err != nil || amount == 0 {
		return Entry{}, false, err
	}
	return Entry{
		Kind: KindLateCharge, EffectiveOn: t.LateCharge.AssessedOn(in.DueOn), DueOn: in.DueOn,
		Rule:     RuleLateChargeAssessed,
		Postings: Postings{LateChargesReceivable: amount, LateChargeIncome: -amount},
	}, true, nil
}
