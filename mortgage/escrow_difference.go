package mortgage

import (
	"cmp"
	"slices"
)

// EscrowDifferenceKind says in what a year differed from its projection.
type EscrowDifferenceKind string

// The kinds of differences.
const (
	OpeningHigher  EscrowDifferenceKind = "opening_higher"
	OpeningLower   EscrowDifferenceKind = "opening_lower"
	DepositMore    EscrowDifferenceKind = "deposit_more"
	DepositLess    EscrowDifferenceKind = "deposit_less"
	BillLarger     EscrowDifferenceKind = "bill_larger"
	BillSmaller    EscrowDifferenceKind = "bill_smaller"
	BillEarlier    EscrowDifferenceKind = "bill_earlier"
	BillLater      EscrowDifferenceKind = "bill_later"
	BillUnforeseen EscrowDifferenceKind = "bill_unforeseen" // paid, and not projected
	BillMissing    EscrowDifferenceKind = "bill_missing"    // projected, and not paid
	RefundMade     EscrowDifferenceKind = "refund_made"
)

// EscrowDifference is one difference between a year and its projection. A bill
// that is both later and larger makes two.
type EscrowDifference struct {
	Kind        EscrowDifferenceKind
	MonthOn     Date // in which it shows: the actual month, or the projected one when there is none
	Item        EscrowItemKind
	Payee       string
	Projected   Cents
	Actual      Cents
	ProjectedOn Date // no date when it was not projected, or for a month's deposits
	ActualOn    Date // no date when it did not happen, or for a month's deposits
}

// differences lists how the year differed from its projection, by month. The
// bills of one purpose are compared in the order of their dates, the first paid
// with the first projected.
//
// Source: 12 CFR 1024.17(i)(1)(viii), reasons are indicated "by noting
// differences between the most recent account history and last year's
// projection".
func (y EscrowYear) differences() []EscrowDifference {
	var all []EscrowDifference
	first := firstOfMonth(monthNumber(y.FromOn))
	if y.Opening != y.ProjectedOpening {
		all = append(all, EscrowDifference{
			Kind: moreOrLess(y.ProjectedOpening, y.Opening, OpeningHigher, OpeningLower), MonthOn: first,
			Projected: y.ProjectedOpening, Actual: y.Opening,
		})
	}
	for _, m := range y.history(monthNumber(y.FromOn), monthNumber(y.ToOn)) {
		if m.ProjectedDeposit != m.ActualDeposit {
			all = append(all, EscrowDifference{
				Kind:    moreOrLess(m.ProjectedDeposit, m.ActualDeposit, DepositMore, DepositLess),
				MonthOn: m.MonthOn, Projected: m.ProjectedDeposit, Actual: m.ActualDeposit,
			})
		}
	}
	for _, c := range y.categories() {
		all = append(all, compareBills(c, y.Projected, y.Actual)...)
	}
	for i := range y.Actual {
		if e := &y.Actual[i]; e.Refund && e.Disbursement != 0 {
			all = append(all, EscrowDifference{
				Kind: RefundMade, MonthOn: monthOf(e.On), Actual: e.Disbursement, ActualOn: e.On,
			})
		}
	}
	slices.SortStableFunc(all, func(a, b EscrowDifference) int { return cmp.Compare(a.MonthOn, b.MonthOn) })
	return all
}

// compareBills compares the bills of one purpose.
func compareBills(c EscrowCategory, projected, actual []EscrowActivity) []EscrowDifference {
	was, is := billsOf(c, projected), billsOf(c, actual)
	var all []EscrowDifference
	for i := range max(len(was), len(is)) {
		d := EscrowDifference{Item: c.Kind, Payee: c.Payee}
		if i < len(was) {
			d.Projected, d.ProjectedOn, d.MonthOn = was[i].Disbursement, was[i].On, monthOf(was[i].On)
		}
		if i < len(is) {
			d.Actual, d.ActualOn, d.MonthOn = is[i].Disbursement, is[i].On, monthOf(is[i].On)
		}
		add := func(kind EscrowDifferenceKind) {
			d.Kind = kind
			all = append(all, d)
		}
		switch {
		case i >= len(is):
			add(BillMissing)
			continue
		case i >= len(was):
			add(BillUnforeseen)
			continue
		case monthOf(d.ActualOn) < monthOf(d.ProjectedOn):
			add(BillEarlier)
		case monthOf(d.ActualOn) > monthOf(d.ProjectedOn):
			add(BillLater)
		}
		if d.Actual != d.Projected {
			add(moreOrLess(d.Projected, d.Actual, BillLarger, BillSmaller))
		}
	}
	return all
}

// billsOf returns the bills of one purpose by date.
func billsOf(c EscrowCategory, activity []EscrowActivity) []EscrowActivity {
	var bills []EscrowActivity
	for i := range activity {
		if e := &activity[i]; e.isBill() && e.Kind == c.Kind && e.Payee == c.Payee {
			bills = append(bills, *e)
		}
	}
	slices.SortStableFunc(bills, func(a, b EscrowActivity) int { return cmp.Compare(a.On, b.On) })
	return bills
}

func moreOrLess(projected, actual Cents, more, less EscrowDifferenceKind) EscrowDifferenceKind {
	if actual > projected {
		return more
	}
	return less
}

func monthOf(d Date) Date { return firstOfMonth(monthNumber(d)) }
