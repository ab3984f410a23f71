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
	apart, err := q.ListEscrowBillsApart(ctx, ids, accountOn)
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
		if err := byLoan[line.LoanID].addLine(line, bills[line.ID]); err != nil {
			return broken(fmt.Errorf("escrow line %d: %w", line.ID, err))
		}
		delete(bills, line.ID)
	}
	for i := range apart { // What is left is of lines that have ended.
		b := &apart[i]
		if a := byLoan[b.EscrowBill.LoanID]; bills[b.EscrowBill.LineID] != nil && a.isToCome(b) {
			a.addBill(b)
		}
	}
	return nil
}

// isToCome says whether a bill was still to be paid at the end of the day of the
// balance.
func (a *analysis) isToCome(b *queries.ListEscrowBillsApartRow) bool {
	return b.PaidOn == 0 || b.PaidOn > a.accountOn
}

// addLine adds what is to come of a line: the bills of cycles that it has left behind,
// where they were not paid on the day of the balance, and from its own cycle on what it
// expects. While the installments of a tax are being paid, the line stands at their
// cycle: those that are left come each on its own day, and then the next cycle.
func (a *analysis) addLine(line *queries.EscrowLine, bills []*queries.ListEscrowBillsApartRow) error {
	row := *line
	var current []*queries.ListEscrowBillsApartRow
	var came mortgage.Cents
	for _, b := range bills {
		switch {
		case loanrow.SameCycle(line, b.EscrowBill.CycleOn, line.NextDueOn):
			current, came = append(current, b), came+b.EscrowBill.AmountCents
		case b.PaidOn != 0 && line.EveryMonths > longestShortCycle:
			backTo(&row, &b.EscrowBill)
		default:
			a.addBill(b)
		}
	}
	single := len(current) == 0 || len(current) == 1 && current[0].PaidOn == 0 // The line says what it says.
	if !single && line.EveryMonths <= longestShortCycle {
		var err error
		if row, err = loanrow.NextCycle(row, came); err != nil {
			return err
		}
		for _, b := range current {
			if a.isToCome(b) {
				a.addBill(b)
			}
		}
	}
	a.request.Items = withBill(a.request.Items, mortgage.EscrowItem{
		Kind: mortgage.EscrowItemKind(row.Kind), Payee: row.Payee, EveryMonths: int(row.EveryMonths),
		OutsideCushion: row.OutsideCushion,
	}, mortgage.EscrowBill{
		DueOn: row.NextDueOn, DiscountOn: row.NextDiscountOn, PenaltyOn: row.NextPenaltyOn, EndsOn: row.EndsOn,
		Known: row.KnownCents, Last: row.AmountCents, Comparable: row.Comparable, Discount: row.DiscountCents,
		LastPaidOn: row.LastPaidOn,
	})
	return nil
}

// longestShortCycle is the months of the longest cycle whose bills a year pays. Those
// of a longer one are saved for over all of it, so that none of them is counted alone.
const longestShortCycle = 12

// backTo takes a line back to a bill that was paid since: what it came to is known.
func backTo(row *queries.EscrowLine, bill *queries.EscrowBill) {
	row.NextDueOn, row.NextDiscountOn, row.NextPenaltyOn = bill.DueOn, bill.DiscountOn, bill.PenaltyOn
	row.KnownCents, row.DiscountCents = &bill.AmountCents, bill.DiscountCents
	row.LastPaidOn = 0 // When the one before that was paid, the line does not say any more.
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
		Kind: mortgage.EscrowItemKind(b.Kind), Payee: b.Payee, EveryMonths: min(int(b.EveryMonths), longestShortCycle),
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
