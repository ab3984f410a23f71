package statement

import (
	"fmt"

	"loanserve/mortgage"
)

// assumedMark stands behind a month of which some is assumed.
const assumedMark = "*"

// pastYear is the section with the history beside the projection.
func (s *Statement) pastYear() (Section, bool) {
	a := s.Annual
	if a == nil {
		return Section{}, false
	}
	t := Table{Caption: "What was projected and what happened: " + span(a)}
	if s.Unprojected {
		t.Caption = "What happened: " + span(a)
		t.Columns = []Column{whole("Month"), number("Paid in"), number("Paid out"), number("Balance")}
		t.Rows = []Row{row("At the start", "", "", money(a.Opening))}
	} else {
		t.Columns = []Column{
			whole("Month"), number("Paid in, projected"), number("Paid in, actual"), number("Paid out, projected"),
			number("Paid out, actual"), number("Balance, projected"), number("Balance, actual"),
		}
		t.Rows = []Row{row("At the start", "", "", "", "", money(s.Annual.ProjectedOpening), money(a.Opening))}
	}
	assumed, differs := false, false
	for _, m := range a.History {
		r := s.historyRow(m)
		t.Rows = append(t.Rows, r)
		assumed, differs = assumed || m.Assumed, differs || r.Strong
	}
	if differs {
		t.Note = "What was paid in or out in the months in bold differs from what was projected. "
	}
	if assumed {
		t.Note += assumedMark + " This month was not over when we looked at the account. It counts what is scheduled."
	}
	blocks := []Block{table(t), table(sumTable(a))}
	if s.Unprojected {
		blocks = append([]Block{text("We have no projection of this year to show beside it, because this is the first time " +
			"that we have analyzed your account.")}, blocks...)
	}
	return Section{ID: "past-year", Heading: "The past year", Blocks: blocks}, true
}

func (s *Statement) historyRow(m mortgage.EscrowHistoryMonth) Row {
	name := shortMonth(m.MonthOn)
	if m.Assumed {
		name += assumedMark
	}
	if s.Unprojected {
		return row(name, orDash(m.ActualDeposit), orDash(m.ActualDisbursement), money(m.ActualBalance))
	}
	return Row{
		Cells: []string{
			name, orDash(m.ProjectedDeposit), orDash(m.ActualDeposit), orDash(m.ProjectedDisbursement),
			orDash(m.ActualDisbursement), money(m.ProjectedBalance), money(m.ActualBalance),
		},
		Strong: m.ProjectedDeposit != m.ActualDeposit || m.ProjectedDisbursement != m.ActualDisbursement,
	}
}

// sumTable adds the year up: 12 CFR 1024.17(i)(1)(iii) to (v).
func sumTable(a *mortgage.AnnualEscrowStatement) Table {
	t := Table{
		Caption: "The past year in sum",
		Columns: []Column{label("").wide(5), number("Amount")},
		Rows: []Row{
			row("Balance at the start", money(a.Opening)),
			row("Total paid into the account", money(a.PaidIn)),
			row("Total paid out for bills", money(-a.TotalPaidOut)),
		},
	}
	if a.Refunded != 0 {
		t.Rows = append(t.Rows, row("Total paid back to you", money(-a.Refunded)))
	}
	t.Rows = append(t.Rows, strong("Balance at the end", money(a.EndingBalance)))
	return t
}

// paidOut is the table of what was paid for each purpose.
func (s *Statement) paidOut() (Section, bool) {
	a := s.Annual
	if a == nil || len(a.PaidOut) == 0 {
		return Section{}, false
	}
	t := Table{Caption: "What we paid, by purpose", Columns: []Column{label("For").wide(3), label("Paid to").wide(4)}}
	var projected, actual mortgage.Cents
	for _, c := range a.PaidOut {
		projected, actual = projected+c.Projected, actual+c.Actual
		r := row(kindName(c.Kind), c.Payee, orDash(c.Projected), orDash(c.Actual))
		t.Rows = append(t.Rows, r)
	}
	t.Columns = append(t.Columns, number("Projected"), number("Actual"))
	t.Rows = append(t.Rows, strong("Total", "", money(projected), money(actual)))
	if s.Unprojected {
		t.Columns = append(t.Columns[:2:2], t.Columns[3])
		for i := range t.Rows {
			cells := t.Rows[i].Cells
			t.Rows[i].Cells = append(cells[:2:2], cells[3])
		}
	}
	return Section{ID: "paid-out", Heading: "What we paid in the past year", Blocks: []Block{table(t)}}, true
}

// differences explains why the year did not go as it was projected, above all why
// its lowest balance was not reached: 12 CFR 1024.17(i)(1)(viii).
func (s *Statement) differences() (Section, bool) {
	a := s.Annual
	if a == nil || s.Unprojected {
		return Section{}, false
	}
	sec := Section{ID: "differences", Heading: "Why the past year differed from its projection"}
	say := fmt.Sprintf("The lowest balance that we projected was %s, at the end of %s. The lowest that there was, "+
		"was %s, at the end of %s.", money(a.EstimatedLow), month(a.EstimatedLowOn), money(a.ActualLow), month(a.ActualLowOn))
	switch {
	case a.LowReached && len(a.Differences) == 0:
		sec.Heading = "The past year went as projected"
	case !a.LowReached:
		say += " So the balance did not get as low as projected. These are the differences that explain it:"
	default:
		say += " These are the differences between the projection and what happened:"
	}
	sec.Blocks = append(sec.Blocks, text(say))
	reasons := make([]string, 0, len(a.Differences)+1)
	for i := range a.Differences {
		reasons = append(reasons, sayDifference(&a.Differences[i]))
	}
	if len(reasons) > 0 {
		sec.Blocks = append(sec.Blocks, list(reasons))
	}
	if a.LongCycle {
		sec.Blocks = append(sec.Blocks, text("Some bills come less often than every year. We save for them over several "+
			"years, so that the account was not meant to reach its lowest balance in each of them."))
	}
	return sec, true
}

// sayDifference says one difference in a sentence.
func sayDifference(d *mortgage.EscrowDifference) string {
	in := month(d.MonthOn)
	bill := lower(d.Item)
	if d.Payee != "" {
		bill += " (" + d.Payee + ")"
	}
	projected, actual := money(d.Projected), money(d.Actual)
	switch d.Kind {
	case mortgage.OpeningHigher:
		return "The year began with " + actual + " in the account, more than the " + projected + " that were projected."
	case mortgage.OpeningLower:
		return "The year began with " + actual + " in the account, less than the " + projected + " that were projected."
	case mortgage.DepositMore:
		return fmt.Sprintf("%s: %s was paid into the account, more than the %s projected.", in, actual, projected)
	case mortgage.DepositLess:
		return fmt.Sprintf("%s: %s was paid into the account, less than the %s projected.", in, actual, projected)
	case mortgage.BillLarger:
		return fmt.Sprintf("%s: the bill for %s was %s, higher than the %s projected.", in, bill, actual, projected)
	case mortgage.BillSmaller:
		return fmt.Sprintf("%s: the bill for %s was %s, lower than the %s projected.", in, bill, actual, projected)
	case mortgage.BillEarlier:
		return fmt.Sprintf("%s: we paid for %s on %s, earlier than %s as projected.",
			in, bill, day(d.ActualOn), day(d.ProjectedOn))
	case mortgage.BillLater:
		return fmt.Sprintf("%s: we paid for %s on %s, later than %s as projected.",
			in, bill, day(d.ActualOn), day(d.ProjectedOn))
	case mortgage.BillUnforeseen:
		if d.Actual < 0 {
			return fmt.Sprintf("%s: %s that we had paid for %s came back to the account on %s.",
				in, money(-d.Actual), bill, day(d.ActualOn))
		}
		return fmt.Sprintf("%s: we paid %s for %s on %s, which was not projected.", in, actual, bill, day(d.ActualOn))
	case mortgage.BillMissing:
		return fmt.Sprintf("%s: the %s projected for %s was not paid.", in, projected, bill)
	case mortgage.RefundMade:
		return fmt.Sprintf("%s: we paid %s back to you.", in, actual)
	default:
		return in + ": " + actual + " instead of " + projected + "."
	}
}
