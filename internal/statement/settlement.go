package statement

import (
	"fmt"

	"loanserve/mortgage"
)

// settlement is the section on what the account has and needs, and what is done
// about the difference: 12 CFR 1024.17(i)(1)(vi) and (vii).
func (s *Statement) settlement() (Section, bool) {
	sec := Section{ID: "balance", Heading: "What the account has and what it needs"}
	surplus, shortage, deficiency, deposit := s.found()
	if s.Kind == mortgage.EscrowPayoff {
		sec.Heading = "What becomes of the balance"
		sec.Blocks = append(sec.Blocks, text(fmt.Sprintf(
			"When your loan was paid off, the balance of your escrow account was %s.", money(s.Annual.EndingBalance))))
	}
	for _, h := range [...]struct {
		say func(mortgage.EscrowHandling) string
		mortgage.EscrowHandling
	}{{s.sayDeposit, deposit}, {s.saySurplus, surplus}, {s.sayShortage, shortage}, {s.sayDeficiency, deficiency}} {
		if h.Amount > 0 {
			sec.Blocks = append(sec.Blocks, text(h.say(h.EscrowHandling)))
		}
	}
	if surplus.Amount+shortage.Amount+deficiency.Amount+deposit.Amount == 0 && s.Kind != mortgage.EscrowPayoff {
		sec.Blocks = append(sec.Blocks, text(
			"The account has what it needs. There is no surplus, no shortage and no deficiency."))
	}
	if s.Kind != mortgage.EscrowPayoff {
		sec.Blocks = append(sec.Blocks, table(s.balanceTable()))
	}
	return sec, true
}

// balanceTable derives the difference.
func (s *Statement) balanceTable() Table {
	p := s.projection()
	surplus, shortage, deficiency, deposit := s.found()
	expected := "Balance that we expect the account to have"
	if s.Initial != nil && !s.transferred() {
		expected = "Balance before your first deposit"
	}
	t := Table{
		Caption: "Balance at the start of the coming year, " + day(p.StartOn),
		Columns: []Column{label("").wide(5), number("Amount")},
		Rows: []Row{
			row(expected, money(p.StartBalance)),
			row("Balance that it needs", money(p.RequiredStart)),
		},
	}
	for _, r := range [...]struct {
		name string
		h    mortgage.EscrowHandling
	}{
		{"First deposit", deposit},
		{"Surplus: more than is needed", surplus},
		{"Shortage: less than is needed", shortage},
		{"Deficiency: the account is below zero", deficiency},
	} {
		if r.h.Amount > 0 {
			t.Rows = append(t.Rows, strong(r.name, money(r.h.Amount)))
		}
	}
	if s.Annual != nil && s.PaidAhead > 0 {
		t.Note = "Your account also holds " + money(s.PaidAhead) + " that you paid ahead for months of the coming year. " +
			"It is not counted here, because those payments will not come again."
	}
	return t
}

// transferred says whether the account was another servicer's before.
func (s *Statement) transferred() bool {
	return s.Initial != nil && s.Initial.Rule == mortgage.EscrowRuleTransferStatement
}

func (s *Statement) sayDeposit(h mortgage.EscrowHandling) string {
	return fmt.Sprintf("To open the account you pay %s on %s. With your monthly payments, that is just enough for the "+
		"bills and the cushion.", money(h.Amount), day(h.DueOn))
}

func (s *Statement) saySurplus(h mortgage.EscrowHandling) string {
	amount := money(h.Amount)
	switch {
	case h.Action == mortgage.EscrowRefund && s.Kind == mortgage.EscrowPayoff:
		return "We pay all of it, " + amount + ", back to you by " + day(h.DueOn) + "."
	case h.Action == mortgage.EscrowRefund:
		return "Your account has a surplus of " + amount + ". We pay it back to you by " + day(h.DueOn) +
			". You need not do anything."
	case h.Action == mortgage.EscrowCredit:
		return "Your account has a surplus of " + amount + ". We take it off your escrow payments: " + overMonths(h) + "."
	default:
		return "Your account has a surplus of " + amount + ". Because we had not received a payment within 30 days of its " +
			"due date when we looked at the account, the surplus stays in it, as your loan documents provide."
	}
}

func (s *Statement) sayShortage(h mortgage.EscrowHandling) string {
	amount := money(h.Amount)
	switch h.Action {
	case mortgage.EscrowSpread:
		return "Your account has a shortage of " + amount + ". It is made up with your monthly payments: " + overMonths(h) +
			". This is in the new payment already."
	case mortgage.EscrowAtOnce:
		return "Your account has a shortage of " + amount + ". Please pay it by " + day(h.DueOn) + "."
	default:
		return "Your account has a shortage of " + amount + ". We do not ask you to make it up: the account may hold less " +
			"than it should for now."
	}
}

func (s *Statement) sayDeficiency(h mortgage.EscrowHandling) string {
	amount := money(h.Amount)
	const what = "Your account is below zero: we paid bills for you with our own money, and "
	switch h.Action {
	case mortgage.EscrowSpread:
		return what + amount + " of it is not repaid. You repay it with your monthly payments: " + overMonths(h) +
			". This is in the new payment already."
	case mortgage.EscrowAtOnce:
		return what + amount + " of it is not repaid. Please pay it by " + day(h.DueOn) + "."
	case mortgage.EscrowInPayoff:
		return what + amount + " of it was part of the amount that paid off your loan."
	case mortgage.EscrowLeave:
		if !s.Current {
			return what + amount + " of it is not repaid. Because we had not received a payment within 30 days of its due " +
				"date when we looked at the account, your loan documents say how it is repaid."
		}
	default:
	}
	return what + amount + " of it is not repaid. We do not ask you for it now."
}

// overMonths says how an amount is spread: the last month takes what rounding left.
func overMonths(h mortgage.EscrowHandling) string {
	if h.Months == 1 {
		return money(h.Last) + " in one month"
	}
	if h.Monthly == h.Last {
		return money(h.Monthly) + " a month for " + plural(h.Months, "month")
	}
	return fmt.Sprintf("%s a month for %s and %s in the last one",
		money(h.Monthly), plural(h.Months-1, "month"), money(h.Last))
}
