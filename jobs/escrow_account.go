package jobs

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// account is the escrow account of a locked loan, as a run finds it.
type account struct {
	*loanInHand

	borrower    string
	dayTaken    bool // the books hold a disbursement or a return of the day
	refundWaits bool // a payoff refund came back and waits for a person
	lines       []*payLine
	surplus     *queries.ListSurplusRefundsDueRow // nil for none
}

// payLine is a line with its bills: those of its cycle and those that are not paid.
type payLine struct {
	row   *queries.EscrowLine
	bills []*payBill
}

// payBill is a bill, or what a bill that has not come is expected to be.
type payBill struct {
	row     queries.EscrowBill
	line    *payLine
	stored  bool
	step    mortgage.EscrowDisbursement // what was decided, unless it is paid already
	settled bool                        // what becomes of it was entered
}

// read returns the accounts of locked loans, in a constant number of statements.
func (d disbursing) read(ctx context.Context, q *queries.Queries, rows []queries.Loan) ([]*account, error) {
	ids := make([]int64, len(rows))
	accounts := make([]*account, len(rows))
	byLoan := make(map[int64]*account, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
		accounts[i] = &account{loanInHand: newLoanInHand(&rows[i])}
		byLoan[rows[i].ID] = accounts[i]
	}
	lines, err := q.LockEscrowLinesToPay(ctx, ids, d.upTo)
	if err != nil {
		return nil, fmt.Errorf("lock escrow lines: %w", err)
	}
	lineIDs := make([]int64, len(lines))
	byLine := make(map[int64]*payLine, len(lines))
	for i := range lines {
		l := &payLine{row: &lines[i]}
		lineIDs[i] = l.row.ID
		byLine[l.row.ID] = l
		a := byLoan[l.row.LoanID]
		a.lines = append(a.lines, l)
	}
	bills, err := q.LockEscrowBillsToPay(ctx, lineIDs)
	if err != nil {
		return nil, fmt.Errorf("lock escrow bills: %w", err)
	}
	for _, b := range bills {
		l := byLine[b.LineID]
		l.bills = append(l.bills, &payBill{row: b, line: l, stored: true})
	}
	refunds, err := q.ListSurplusRefundsDue(ctx, ids, d.upTo)
	if err != nil {
		return nil, fmt.Errorf("list surplus refunds: %w", err)
	}
	for i := range refunds {
		byLoan[refunds[i].LoanID].surplus = &refunds[i]
	}
	about, err := q.ListEscrowContext(ctx, d.on, ids)
	if err != nil {
		return nil, fmt.Errorf("list escrow context: %w", err)
	}
	for _, c := range about {
		a := byLoan[c.ID]
		a.borrower, a.dayTaken, a.refundWaits = c.Borrower, c.DayTaken, c.RefundWaits
	}
	return accounts, nil
}

// expect adds to an active line the bills that have not come for cycles whose day may
// have: what the line says they should be.
func (l *payLine) expect(d disbursing) error {
	row := *l.row
	if row.EndedAt != nil {
		return nil
	}
	for first := true; ; first = false {
		if row.EndsOn != 0 && row.NextDueOn > row.EndsOn || deadlineOf(&row) > d.upTo {
			return nil
		}
		if !first || !l.hasBillOf(row.NextDueOn) {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make bill id: %w", err)
			}
			l.bills = append(l.bills, &payBill{row: expectedBill(id, &row), line: l, stored: false})
		}
		var err error
		if row, err = loanrow.NextCycle(row, row.AmountCents); err != nil {
			return err
		}
	}
}

// hasBillOf says whether a bill of the cycle is stored.
func (l *payLine) hasBillOf(cycleOn mortgage.Date) bool {
	for _, b := range l.bills {
		if b.stored && loanrow.SameCycle(l.row, b.row.CycleOn, cycleOn) {
			return true
		}
	}
	return false
}

// deadlineOf is the day by which the line's next bill is paid.
func deadlineOf(row *queries.EscrowLine) mortgage.Date {
	return mortgage.EscrowBill{
		DueOn: row.NextDueOn, DiscountOn: row.NextDiscountOn, PenaltyOn: row.NextPenaltyOn,
	}.Deadline()
}

// expectedBill is the line's next bill as the line has it. Its charge is the known
// one, or else the last.
func expectedBill(id uuid.UUID, row *queries.EscrowLine) queries.EscrowBill {
	amount := row.AmountCents
	if row.KnownCents != nil {
		amount = *row.KnownCents
	}
	discount := min(row.DiscountCents, amount)
	if row.NextDiscountOn == 0 {
		discount = 0
	}
	return queries.EscrowBill{
		ID: id, LineID: row.ID, LoanID: row.LoanID, Status: queries.EscrowBillStatusOpen,
		DueOn: row.NextDueOn, DiscountOn: row.NextDiscountOn, PenaltyOn: row.NextPenaltyOn, CycleOn: row.NextDueOn,
		AmountCents: amount, DiscountCents: discount, Expected: true,
	}
}
