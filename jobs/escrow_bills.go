package jobs

import (
	"context"
	"fmt"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// readItems gives the analyses what their loans' escrow pays: the next bill of each
// line, and bills that stand apart from their lines.
func readItems(
	ctx context.Context, q *queries.Queries, ids []int64, accountOn []mortgage.Date, byLoan map[int64]*analysis,
) error {
	lines, err := q.ListEscrowLinesOf(ctx, ids)
	if err != nil {
		return fmt.Errorf("list escrow lines: %w", err)
	}
	paid, err := q.ListEscrowBillsPaidAfter(ctx, ids, accountOn)
	if err != nil {
		return fmt.Errorf("list bills paid since: %w", err)
	}
	paidSince := make(map[int64]mortgage.Date, len(paid))
	for _, p := range paid {
		paidSince[p.LineID] = p.CycleOn
	}
	apart, err := q.ListEscrowBillsApart(ctx, ids)
	if err != nil {
		return fmt.Errorf("list bills: %w", err)
	}
	bills := make(map[int64][]*queries.ListEscrowBillsApartRow, len(apart))
	for i := range apart {
		b := &apart[i]
		bills[b.EscrowBill.LineID] = append(bills[b.EscrowBill.LineID], b)
	}
	for i := range lines {
		line := &lines[i]
		a := byLoan[line.LoanID]
		if err := a.addLine(line, bills[line.ID], paidSince[line.ID]); err != nil {
			return broken(fmt.Errorf("escrow line %d: %w", line.ID, err))
		}
		delete(bills, line.ID)
	}
	for i := range apart { // What is left is of lines that have ended.
		b := &apart[i]
		if bills[b.EscrowBill.LineID] != nil && b.PaidOn == 0 {
			byLoan[b.EscrowBill.LoanID].addBill(b)
		}
	}
	return nil
}

// addLine adds the bills of a line: those that were left unpaid in cycles that it has
// left behind, and those that are to come. While the installments of a tax are being
// paid, the line stands at their cycle, and what is to come of it are those that were
// not paid on the day of the balance, each on its own day; then comes the next cycle.
func (a *analysis) addLine(
	line *queries.EscrowLine, bills []*queries.ListEscrowBillsApartRow, paidSince mortgage.Date,
) error {
	var current []*queries.ListEscrowBillsApartRow
	var came mortgage.Cents
	for _, b := range bills {
		if loanrow.SameCycle(line, b.EscrowBill.CycleOn, line.NextDueOn) {
			current, came = append(current, b), came+b.EscrowBill.AmountCents
		} else {
			a.addBill(b)
		}
	}
	row := *line
	one := len(current) == 0 || len(current) == 1 && current[0].PaidOn == 0
	if !one && line.EveryMonths <= 12 && cyclesSince(line, paidSince) == 0 {
		var err error
		if row, err = loanrow.NextCycle(row, came); err != nil {
			return err
		}
		for _, b := range current {
			if b.PaidOn == 0 || b.PaidOn > a.accountOn {
				a.addBill(b)
			}
		}
		paidSince = 0
	}
	bill, err := billOf(&row, paidSince)
	if err != nil {
		return err
	}
	a.request.Items = withBill(a.request.Items, mortgage.EscrowItem{
		Kind: mortgage.EscrowItemKind(row.Kind), Payee: row.Payee, EveryMonths: int(row.EveryMonths),
		OutsideCushion: row.OutsideCushion,
	}, bill)
	return nil
}

// addBill adds a bill that comes once. One that was paid after the day of the balance
// left on that day; one whose day has passed unpaid may leave at any time.
func (a *analysis) addBill(b *queries.ListEscrowBillsApartRow) {
	row, amount := &b.EscrowBill, b.EscrowBill.AmountCents
	bill := mortgage.EscrowBill{
		DueOn: row.DueOn, DiscountOn: row.DiscountOn, PenaltyOn: row.PenaltyOn, Discount: row.DiscountCents,
		Known: &amount, Last: amount,
	}
	switch {
	case b.PaidOn != 0:
		*bill.Known = mortgage.Cents(b.PaidCents)
		bill.DueOn, bill.DiscountOn, bill.PenaltyOn, bill.Discount = b.PaidOn, 0, 0, 0
	case bill.Deadline() < a.accountOn:
		bill.DueOn, bill.DiscountOn, bill.PenaltyOn, bill.Discount = a.accountOn, 0, 0, 0
	}
	bill.EndsOn = bill.DueOn
	a.request.Items = withBill(a.request.Items, mortgage.EscrowItem{
		Kind: mortgage.EscrowItemKind(b.Kind), Payee: b.Payee, EveryMonths: min(int(b.EveryMonths), 12),
		OutsideCushion: b.OutsideCushion,
	}, bill)
}

// withBill adds a bill: to the item of the same payee, kind and cycle, since several
// payments to one payee remain one item (12 CFR 1024.17(b)), or as another.
func withBill(items []mortgage.EscrowItem, of mortgage.EscrowItem, bill mortgage.EscrowBill) []mortgage.EscrowItem {
	for i := range items {
		item := &items[i]
		if item.Kind == of.Kind && item.Payee == of.Payee && item.EveryMonths == of.EveryMonths &&
			item.OutsideCushion == of.OutsideCushion && len(item.Bills) < mortgage.MaxEscrowBills {
			item.Bills = append(item.Bills, bill)
			return items
		}
	}
	of.Bills = []mortgage.EscrowBill{bill}
	return append(items, of)
}

// cyclesSince returns how many cycles a line has left behind that were paid after the
// day of the balance, of which the first is paidSince.
func cyclesSince(line *queries.EscrowLine, paidSince mortgage.Date) int {
	if paidSince == 0 {
		return 0
	}
	every := int(line.EveryMonths)
	months := mortgage.MonthNumber(line.NextDueOn) - mortgage.MonthNumber(paidSince)
	return max((months+every/2)/every, 0)
}

// billOf returns a line's first bill that was not paid on the day of the balance.
// Where bills were paid since then, of which the first cycle is paidSince, that is an
// earlier one than the line has now, and what it came to is known.
func billOf(line *queries.EscrowLine, paidSince mortgage.Date) (mortgage.EscrowBill, error) {
	bill := mortgage.EscrowBill{
		DueOn: line.NextDueOn, DiscountOn: line.NextDiscountOn, PenaltyOn: line.NextPenaltyOn, EndsOn: line.EndsOn,
		Known: line.KnownCents, Last: line.AmountCents, Comparable: line.Comparable, Discount: line.DiscountCents,
		LastPaidOn: line.LastPaidOn,
	}
	cycles := cyclesSince(line, paidSince)
	if cycles == 0 {
		return bill, nil
	}
	for _, on := range []*mortgage.Date{&bill.DueOn, &bill.DiscountOn, &bill.PenaltyOn} {
		if *on == 0 {
			continue
		}
		_, _, day := on.Civil()
		var err error
		if *on, err = on.AddMonths(-cycles*int(line.EveryMonths), day); err != nil {
			return bill, err
		}
	}
	amount := line.AmountCents
	bill.Known, bill.Comparable = &amount, false
	bill.LastPaidOn = 0 // When the one before that was paid, the line does not say any more.
	return bill, nil
}
