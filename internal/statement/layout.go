package statement

import (
	"fmt"
	"slices"

	"loanserve/mortgage"
)

// Page lays the statement out. It returns ErrNoContent for what is no statement.
func (s *Statement) Page() (Page, error) {
	if err := s.check(); err != nil {
		return Page{}, err
	}
	p := Page{
		Title: s.Title(), Servicer: s.Servicer, Facts: s.facts(), Lead: s.lead() + s.questions(), Figures: s.figures(),
	}
	sections := [...]func() (Section, bool){
		s.payment, s.settlement, s.charges, s.comingYear, s.pastYear, s.paidOut, s.differences,
	}
	for _, section := range sections {
		if sec, there := section(); there {
			p.Sections = append(p.Sections, sec)
		}
	}
	return p, nil
}

func (s *Statement) facts() []Fact {
	facts := []Fact{
		{"Prepared", day(s.AsOf)},
		{"Loan number", s.LoanNumber},
		{"Borrower", and(s.Borrowers)},
		{"Property", s.Property},
	}
	if a := s.Annual; a != nil {
		facts = append(facts, Fact{"Past year", span(a)})
	}
	return slices.DeleteFunc(facts, func(f Fact) bool { return f.Value == "" })
}

// span names the months of the year that has ended.
func span(a *mortgage.AnnualEscrowStatement) string {
	first, last := a.History[0].MonthOn, a.History[len(a.History)-1].MonthOn
	if first == last {
		return month(first)
	}
	return month(first) + " through " + month(last)
}

func (s *Statement) lead() string {
	const what = "We pay property taxes, insurance and similar bills for your home out of your escrow account. "
	switch s.Kind {
	case mortgage.EscrowInitial:
		if s.transferred() {
			return what + "We have taken over your loan and the account from another company. This statement shows what we " +
				"expect to pay in the coming year, and what you pay each month for it."
		}
		return what + "This statement shows what we expect to pay in the first year, and what you pay each month for it."
	case mortgage.EscrowPayoff:
		return "Your loan is paid off. This statement shows what went into your escrow account and what we paid " +
			"out of it since the last statement, and what becomes of the balance."
	default:
		return what + "This statement shows what went in and out during the past year, what we expect in the coming " +
			"year, and your new monthly payment."
	}
}

// payments returns the monthly payment from now on, the one until now, and from
// when on the new one is due.
func (s *Statement) payments() (now, before mortgage.MonthlyPayment, from mortgage.Date) {
	if s.Initial != nil {
		return s.Initial.Payment, mortgage.MonthlyPayment{}, s.EffectiveOn()
	}
	return s.Annual.Current, s.Annual.Past, s.Annual.EffectiveOn
}

// EffectiveOn returns the due date of the first payment of the new amount.
func (s *Statement) EffectiveOn() mortgage.Date {
	if s.Initial != nil {
		return s.Initial.EffectiveOn
	}
	return s.Annual.EffectiveOn
}

// found returns what is done about what the account has too much or too little of.
func (s *Statement) found() (surplus, shortage, deficiency, deposit mortgage.EscrowHandling) {
	if i := s.Initial; i != nil {
		return i.Surplus, i.Shortage, i.Deficiency, i.Deposit
	}
	return s.Annual.Surplus, s.Annual.Shortage, s.Annual.Deficiency, mortgage.EscrowHandling{}
}

// figures are what a borrower looks for first: what to pay, and what is amiss.
func (s *Statement) figures() []Figure {
	var figures []Figure
	if s.Kind != mortgage.EscrowPayoff {
		now, before, from := s.payments()
		note := "due " + day(from) + ", of which " + money(now.Escrow) + " is for escrow"
		if s.Annual != nil {
			note = "from " + day(from) + ", of which " + money(now.Escrow) + " is for escrow. Until then: " +
				money(before.Total()) + "."
		}
		figures = append(figures, Figure{"Your monthly payment", money(now.Total()), note})
	}
	surplus, shortage, deficiency, deposit := s.found()
	for _, f := range [...]struct {
		name string
		h    mortgage.EscrowHandling
	}{
		{"Your first deposit", deposit},
		{"Surplus in your account", surplus},
		{"Shortage in your account", shortage},
		{"Deficiency in your account", deficiency},
	} {
		if f.h.Amount > 0 {
			figures = append(figures, Figure{f.name, money(f.h.Amount), s.inShort(f.h)})
		}
	}
	if s.Kind == mortgage.EscrowPayoff && len(figures) == 0 {
		figures = append(figures, Figure{
			"Balance of your account", money(s.Annual.EndingBalance), "Nothing is owed either way.",
		})
	} else if len(figures) == 1 && s.Kind != mortgage.EscrowPayoff {
		figures = append(figures, Figure{
			"Balance expected on " + day(s.projection().StartOn), money(s.projection().StartBalance),
			"That is what the account needs: there is no surplus and no shortage.",
		})
	}
	return figures
}

// inShort says in a few words what is done about an amount.
func (s *Statement) inShort(h mortgage.EscrowHandling) string {
	switch h.Action {
	case mortgage.EscrowRefund:
		return "We pay it back to you by " + day(h.DueOn) + "."
	case mortgage.EscrowCredit:
		return "We take it off your coming payments."
	case mortgage.EscrowRetain:
		return "It stays in the account for now."
	case mortgage.EscrowSpread:
		return "It is part of your payment for " + plural(h.Months, "month") + "."
	case mortgage.EscrowAtOnce:
		return "Please pay it by " + day(h.DueOn) + "."
	case mortgage.EscrowDeposit:
		return "It is paid on " + day(h.DueOn) + ", when the account is opened."
	case mortgage.EscrowInPayoff:
		return "It was part of the amount that paid off your loan."
	default:
		return "You need not do anything about it."
	}
}

// payment is the section on the monthly payment.
func (s *Statement) payment() (Section, bool) {
	if s.Kind == mortgage.EscrowPayoff {
		return s.lastPayment(), true
	}
	now, before, from := s.payments()
	t := Table{
		Caption: "What your monthly payment is made of",
		Columns: []Column{label("Part").wide(4), number("Until now"), number("From " + day(from))},
		Rows: []Row{
			row("Principal and interest", money(before.PrincipalAndInterest), money(now.PrincipalAndInterest)),
			row("Escrow", money(before.Escrow), money(now.Escrow)),
		},
	}
	if before.Discretionary != 0 || now.Discretionary != 0 {
		t.Rows = append(t.Rows,
			row("What else you chose to pay with it", money(before.Discretionary), money(now.Discretionary)))
	}
	t.Rows = append(t.Rows, strong("Total each month", money(before.Total()), money(now.Total())))
	if s.Initial != nil { // There is no payment before the first.
		t.Columns = slices.Delete(t.Columns, 1, 2)
		for i := range t.Rows {
			t.Rows[i].Cells = slices.Delete(t.Rows[i].Cells, 1, 2)
		}
	}
	blocks := []Block{table(t)}
	if payments := s.steps(); len(payments) > 1 || len(payments) == 1 && payments[0].Total() != payments[0].Base {
		blocks = append(blocks, table(stepsTable(payments)))
	}
	return Section{ID: "payment", Heading: "Your monthly payment", Blocks: blocks}, true
}

func (s *Statement) steps() []mortgage.EscrowPayment {
	if s.Initial != nil {
		return s.Initial.Payments
	}
	return s.Annual.Payments
}

// stepsTable shows what the escrow part is made of, and when it changes.
func stepsTable(payments []mortgage.EscrowPayment) Table {
	var shortage, deficiency, credit bool
	for _, p := range payments {
		shortage, deficiency, credit = shortage || p.Shortage != 0, deficiency || p.Deficiency != 0, credit || p.Credit != 0
	}
	t := Table{
		Caption: "What the escrow part is made of",
		Columns: []Column{whole("From"), number("One twelfth of a year\u2019s bills").wide(3)},
	}
	add := func(there bool, head string) {
		if there {
			t.Columns = append(t.Columns, number(head))
		}
	}
	add(shortage, "Toward the shortage")
	add(deficiency, "Toward the deficiency")
	add(credit, "Less surplus")
	t.Columns = append(t.Columns, number("Escrow part"))
	for _, p := range payments {
		cells := []string{day(p.FromOn), money(p.Base)}
		if shortage {
			cells = append(cells, orDash(p.Shortage))
		}
		if deficiency {
			cells = append(cells, orDash(p.Deficiency))
		}
		if credit {
			cells = append(cells, orDash(-p.Credit))
		}
		t.Rows = append(t.Rows, row(append(cells, money(p.Total()))...))
	}
	if len(payments) > 1 {
		t.Note = "Each amount is due from the day shown until the next one."
	}
	return t
}

// lastPayment is the section on the payment of a loan that is paid off.
func (s *Statement) lastPayment() Section {
	past := s.Annual.Past
	return Section{ID: "payment", Heading: "Your monthly payment", Blocks: []Block{text(fmt.Sprintf(
		"Until the payoff your monthly payment was %s, of which %s went into escrow. No more payments are due.",
		money(past.Total()), money(past.Escrow)))}}
}

// questions says whom to turn to; the head of the page says how.
func (s *Statement) questions() string {
	ways := "write to us"
	if s.Servicer.Phone != "" {
		ways = "call us at " + s.Servicer.Phone + " or write to us"
	}
	return " If you have a question, or think that something is wrong, please " + ways + ". Please keep this statement."
}
