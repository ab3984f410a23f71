package statement

import (
	"fmt"

	"loanserve/mortgage"
)

// charges is the section on the bills to come: each, with its date and payee (12
// CFR 1024.17(h)(3)).
func (s *Statement) charges() (Section, bool) {
	if s.Kind == mortgage.EscrowPayoff {
		return Section{}, false
	}
	p := s.projection()
	t := Table{
		Caption: "Bills that we expect to pay in the coming year",
		Columns: []Column{
			whole("Pay by"), label("For").wide(4), label("Paid to").wide(5), number("Amount").wide(1),
			label("How we know").wide(4),
		},
	}
	var total mortgage.Cents
	for _, c := range p.Charges {
		total += c.Amount
		t.Rows = append(t.Rows, row(day(c.PayOn), kindName(c.Kind), c.Payee, money(c.Amount), basisWords[c.Basis]))
	}
	t.Rows = append(t.Rows, strong("Total", "", "", money(total), ""))
	base := money(p.Months[0].Deposit)
	say := fmt.Sprintf("One twelfth of a year\u2019s bills, %s, is what you pay in each month for them.", base)
	if p.CycleMonths > 12 {
		say = fmt.Sprintf("Some bills come less often than every year. We save for them over all the months between two of "+
			"them, so that their part of each month\u2019s payment stays the same. With that, one twelfth of a year\u2019s "+
			"bills is %s, which is what you pay in each month.", base)
	}
	return Section{ID: "bills", Heading: "Bills in the coming year", Blocks: []Block{table(t), text(say)}}, true
}

// comingYear is the section with the trial running balance.
func (s *Statement) comingYear() (Section, bool) {
	if s.Kind == mortgage.EscrowPayoff {
		return Section{}, false
	}
	p := s.projection()
	t := Table{
		Caption: "The coming year, month by month",
		Columns: []Column{
			whole("Month"), number("You pay in"), number("We pay out"), number("Balance that is needed"),
			number("Balance we project"),
		},
		Rows: []Row{row("At the start", "", "", money(p.RequiredStart), money(p.StartBalance+s.firstDeposit()))},
		Note: "Balances are those at the end of the month. This table counts one twelfth of the bills each month, and " +
			"neither refunds nor what is paid toward a shortage or deficiency.",
	}
	if s.firstDeposit() > 0 {
		t.Note = "Balances are those at the end of the month, with your first deposit."
	}
	for _, m := range p.Months {
		r := row(shortMonth(m.MonthOn), money(m.Deposit), orDash(m.Disbursement), money(m.Target),
			money(m.Projected+s.firstDeposit()))
		if m.MonthOn == p.LowMonthOn {
			r.Strong = true
			r.Cells[0] += " (lowest)"
		}
		t.Rows = append(t.Rows, r)
	}
	return Section{ID: "coming-year", Heading: "The coming year", Blocks: []Block{
		text(sayCushion(p)), picture(s.balancePicture()), table(t),
	}}, true
}

// firstDeposit is what a new account is opened with. With it the balance that is
// projected is the one that is needed.
func (s *Statement) firstDeposit() mortgage.Cents {
	if s.Initial == nil {
		return 0
	}
	return s.Initial.Deposit.Amount
}

// sayCushion explains the lowest balance.
func sayCushion(p *mortgage.EscrowProjection) string {
	var say string
	switch p.CushionRule {
	case mortgage.EscrowRuleCushion:
		say = "the most that federal law allows, one sixth of a year\u2019s bills, or about two monthly escrow payments"
	case mortgage.EscrowRuleLowerCushion:
		say = "as much as your loan documents or the law of your state allow"
	default:
		say = "less than federal law allows"
	}
	if p.Cushion == 0 {
		say = "We keep no cushion in your account for bills that are larger than expected."
	} else {
		say = fmt.Sprintf("We keep a cushion of %s in your account, for bills that are larger than expected: %s.",
			money(p.Cushion), say)
	}
	if p.CycleMonths > 12 {
		return say + fmt.Sprintf(" Because some bills come less often than every year, the account gets down to the cushion "+
			"only once in %d years, and not in each. In the coming year the lowest balance that is needed is %s, at the end "+
			"of %s.", p.CycleMonths/12, money(p.LowTarget), month(p.LowMonthOn))
	}
	return say + fmt.Sprintf(" The lowest balance that is needed is %s, at the end of %s.",
		money(p.LowTarget), month(p.LowMonthOn))
}
