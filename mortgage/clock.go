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
	in, ok, err := t.NextInstallment(s)
	if err != nil || !ok || s.Suspense < in.Total() {
		return Entry{}, false, err
	}
	on := max(in.DueOn, s.AsOf+1)
	return settlement(in, 0, in.Total(), on), true, nil
}

// nextLateCharge returns the late charge that is assessed next if nobody pays.
func (t Terms) nextLateCharge(s State) (Entry, bool, error) {
	p := t.LateCharge
	if p.Rate == 0 && p.Minimum == 0 {
		return Entry{}, false, nil
	}
	dueOn := s.NextDueOn
	for dueOn <= s.LateChargedThrough || p.AssessedOn(dueOn) <= max(t.BoardedOn, s.AsOf) {
		next, err := dueOn.AddMonths(1, t.DueDay)
		if err != nil || next > t.MaturityOn {
			return Entry{}, false, nil //nolint:nilerr // After the last date there is none.
		}
		dueOn = next
	}
	overdue, err := t.overdue(s, dueOn)
	if err != nil {
		return Entry{}, false, err
	}
	amount, err := p.Amount(overdue)
	if err != nil || amount == 0 {
		return Entry{}, false, err
	}
	return Entry{
		Kind: KindLateCharge, EffectiveOn: p.AssessedOn(dueOn), DueOn: dueOn, Rule: RuleLateChargeAssessed,
		Postings: Postings{LateChargesReceivable: amount, LateChargeIncome: -amount},
	}, true, nil
}

// overdue returns the principal and interest of the unpaid installment. Of one
// after the oldest it is the note's payment: what it will divide into depends on
// those before it.
func (t Terms) overdue(s State, dueOn Date) (Cents, error) {
	in, ok, err := t.NextInstallment(s)
	if err != nil || !ok {
		return 0, err
	}
	if dueOn == in.DueOn {
		return in.Interest + in.Principal, nil
	}
	return min(t.PrincipalAndInterest, s.Principal), nil
}
