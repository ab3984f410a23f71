package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

type createEscrowBillInput struct {
	BilledLinePath
	Body escrowBillEntry
}

// escrowBillEntry is a bill as it came: one sum, and what paying in installments
// would ask for instead.
type escrowBillEntry struct {
	DueOn             date           `json:"due_on" doc:"Within half a cycle of the line's next_due_on."`
	AmountCents       mortgage.Cents `json:"amount_cents" minimum:"1" maximum:"10000000000" doc:"In one sum, before the discount."`
	DiscountOn        date           `json:"discount_on,omitzero" doc:"The last day for the discount."`
	DiscountCents     mortgage.Cents `json:"discount_cents,omitzero" minimum:"0" maximum:"10000000000" doc:"What paying by discount_on takes off."`
	PenaltyOn         date           `json:"penalty_on,omitzero" doc:"The last day without a penalty; without it, due_on."`
	InsuranceCanceled bool           `json:"insurance_canceled,omitzero" doc:"The policy is canceled, or not renewed, for another reason than an unpaid premium (12 CFR 1024.17(k)(5)(ii)(A))."`

	Installments   []taxInstallment           `json:"installments,omitempty" minItems:"2" maxItems:"12" doc:"Of a property tax that may be paid in installments, in order of their dates."`
	AgreedBasis    mortgage.DisbursementBasis `json:"agreed_basis,omitzero" enum:"installments,one_sum" doc:"What the borrower has freely agreed to, for this case (12 CFR 1024.17(k)(4))."`
	PreferredBasis mortgage.DisbursementBasis `json:"preferred_basis,omitzero" enum:"installments,one_sum" doc:"What the borrower prefers, where the servicer may choose."`
}

type taxInstallment struct {
	DueOn       date           `json:"due_on"`
	PenaltyOn   date           `json:"penalty_on,omitzero"`
	AmountCents mortgage.Cents `json:"amount_cents" minimum:"1" maximum:"10000000000" doc:"With its share of a fee for installments."`
}

type createEscrowBillOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     escrowBillsEntered
}

type escrowBillsEntered struct {
	Data []escrowBill `json:"data" doc:"One bill, or one for each installment."`
}

func (s *Server) createEscrowBill(
	ctx context.Context, in *createEscrowBillInput,
) (*createEscrowBillOutput, error) {
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	var rows []queries.EscrowBill
	replayed := ""
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		q := queries.New(tx)
		line, loan, err := lockLine(ctx, q, in.LineID)
		if err != nil {
			return err
		}
		wanted, err := in.Body.bills(line, PrincipalOf(ctx).ID)
		if err != nil {
			return err
		}
		if rows, err = enteredBefore(ctx, q, line, wanted); err != nil || rows != nil {
			replayed = "true"
			return err
		}
		if err := mayEnter(ctx, q, line, loan, wanted); err != nil {
			return err
		}
		for _, arg := range wanted {
			row, err := q.InsertEscrowBill(ctx, arg)
			if errors.Is(err, pgx.ErrNoRows) {
				return conflict("The line has a bill for this due date already.")
			}
			if err != nil {
				return fmt.Errorf("insert escrow bill: %w", err)
			}
			rows = append(rows, row)
		}
		line.NextDueOn = wanted[0].CycleOn
		return followBills(ctx, q, line, rows)
	})
	if err != nil {
		return nil, err
	}
	out := &createEscrowBillOutput{Replayed: replayed}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, escrowBillOf(row))
	}
	return out, nil
}

// lockLine locks a line and, before it, its loan.
func lockLine(ctx context.Context, q *queries.Queries, id int64) (*queries.EscrowLine, *queries.Loan, error) {
	line, err := q.GetEscrowLine(ctx, id)
	if err != nil {
		return nil, nil, noEscrowLine(err)
	}
	loan, err := q.LockLoan(ctx, line.LoanID)
	if err != nil {
		return nil, nil, fmt.Errorf("lock loan: %w", err)
	}
	if line, err = q.LockEscrowLine(ctx, id); err != nil {
		return nil, nil, fmt.Errorf("lock escrow line: %w", err)
	}
	return &line, &loan, nil
}

// farthest is how many days a deadline may lie from its bill.
const farthest = 366

// check refuses a bill that makes no sense by itself.
func (b *escrowBillEntry) check() error {
	var faults []fault
	if b.DiscountCents > b.AmountCents {
		faults = append(faults, inBody("/discount_cents", "must not be more than amount_cents"))
	}
	if (b.DiscountCents > 0) != (b.DiscountOn.Date != 0) {
		faults = append(faults, inBody("/discount_on", "is needed with a discount, and with none of it left out"))
	}
	for name, on := range map[string]mortgage.Date{"/discount_on": b.DiscountOn.Date, "/penalty_on": b.PenaltyOn.Date} {
		if on != 0 && max(on-b.DueOn.Date, b.DueOn.Date-on) > farthest {
			faults = append(faults, inBody(name, "must be within a year of due_on"))
		}
	}
	var sum mortgage.Cents
	for i, part := range b.Installments {
		sum += part.AmountCents
		at := fmt.Sprintf("/installments/%d", i)
		if i > 0 && part.DueOn.Date <= b.Installments[i-1].DueOn.Date {
			faults = append(faults, inBody(at+"/due_on", "must be after the one before"))
		}
		if on := part.PenaltyOn.Date; on != 0 && (on < part.DueOn.Date || on > part.DueOn.Date+farthest) {
			faults = append(faults, inBody(at+"/penalty_on", "must be due_on or within a year after it"))
		}
	}
	if len(b.Installments) > 0 && sum < b.AmountCents {
		faults = append(faults, inBody("/installments", "must not sum to less than amount_cents"))
	}
	if len(faults) > 0 {
		return invalid(faults...)
	}
	return nil
}

// bills returns the rows that the entry leads to: one, or one for each installment.
func (b *escrowBillEntry) bills(line *queries.EscrowLine, by string) ([]queries.InsertEscrowBillParams, error) {
	one := queries.InsertEscrowBillParams{
		ID: uuid.Nil, LineID: line.ID, LoanID: line.LoanID, DueOn: b.DueOn.Date, DiscountOn: b.DiscountOn.Date,
		PenaltyOn: b.PenaltyOn.Date, AmountCents: b.AmountCents, DiscountCents: b.DiscountCents,
		InsuranceCanceled: b.InsuranceCanceled, RequestedBy: by, CycleOn: b.DueOn.Date, BasisRule: nil,
	}
	rows := []queries.InsertEscrowBillParams{one}
	if len(b.Installments) > 0 {
		if !mortgage.EscrowItemKind(line.Kind).PropertyTax() {
			return nil, invalid(inBody("/installments", "are only of a property tax"))
		}
		var sum mortgage.Cents
		for _, part := range b.Installments {
			sum += part.AmountCents
		}
		basis, rule := mortgage.TaxOffer{
			Discount: b.DiscountCents, InstallmentFee: sum - b.AmountCents, Agreed: b.AgreedBasis, Preferred: b.PreferredBasis,
		}.Basis()
		why := string(rule)
		rows[0].BasisRule = &why
		if basis == mortgage.InInstallments {
			rows = rows[:0]
			for _, part := range b.Installments {
				row := one
				row.DueOn, row.PenaltyOn, row.AmountCents = part.DueOn.Date, part.PenaltyOn.Date, part.AmountCents
				row.DiscountOn, row.DiscountCents, row.BasisRule = 0, 0, &why
				row.CycleOn = b.Installments[0].DueOn.Date
				rows = append(rows, row)
			}
		}
	}
	for i := range rows {
		var err error
		if rows[i].ID, err = uuid.NewV7(); err != nil {
			return nil, fmt.Errorf("make bill id: %w", err)
		}
	}
	return rows, nil
}

// enteredBefore returns the bills of a request that was made before, or nil.
func enteredBefore(
	ctx context.Context, q *queries.Queries, line *queries.EscrowLine, wanted []queries.InsertEscrowBillParams,
) ([]queries.EscrowBill, error) {
	rows, err := q.ListEscrowBillsOfCycle(ctx, line.ID, wanted[0].CycleOn)
	if err != nil {
		return nil, fmt.Errorf("list bills of cycle: %w", err)
	}
	if len(rows) != len(wanted) {
		return nil, nil
	}
	for i := range rows {
		a, b := &rows[i], &wanted[i]
		if a.Expected || a.DueOn != b.DueOn || a.DiscountOn != b.DiscountOn || a.PenaltyOn != b.PenaltyOn ||
			a.AmountCents != b.AmountCents || a.DiscountCents != b.DiscountCents || a.InsuranceCanceled != b.InsuranceCanceled {
			return nil, nil
		}
	}
	return rows, nil
}

// mayEnter refuses bills that are not of the line's cycle, or come when it has some.
func mayEnter(
	ctx context.Context, q *queries.Queries, line *queries.EscrowLine, loan *queries.Loan,
	wanted []queries.InsertEscrowBillParams,
) error {
	if loan.Status != queries.LoanStatusActive {
		return conflict("The loan is " + string(loan.Status) + ": nothing is paid from its escrow.")
	}
	if line.EndedAt != nil {
		return conflict("The line has ended: nothing is paid for it any more.")
	}
	after, before := loanrow.CycleBounds(line, line.NextDueOn)
	taken, err := q.CountEscrowBillsBetween(ctx, queries.CountEscrowBillsBetweenParams{
		LineID: line.ID, AfterOn: after, BeforeOn: before,
	})
	if err != nil {
		return fmt.Errorf("count bills of cycle: %w", err)
	}
	if taken > 0 {
		return conflict("The line has a bill for this cycle already. Change that one, or cancel it.")
	}
	if !loanrow.SameCycle(line, wanted[0].CycleOn, line.NextDueOn) {
		return invalid(inBody("/due_on", "must be within half a cycle of the line's next_due_on"))
	}
	next, err := wanted[0].CycleOn.AddMonths(int(line.EveryMonths), 1)
	if err != nil || wanted[len(wanted)-1].DueOn >= next {
		return invalid(inBody("/installments", "must be due before the line's next cycle"))
	}
	return nil
}

// followBills makes a line say what its cycle's bills say: when the first that is not
// paid is due, and what of them is to come.
func followBills(
	ctx context.Context, q *queries.Queries, line *queries.EscrowLine, bills []queries.EscrowBill,
) error {
	var known *mortgage.Cents
	for i := range bills {
		b := &bills[i]
		if b.Status != queries.EscrowBillStatusOpen && b.Status != queries.EscrowBillStatusHeld {
			continue
		}
		if known == nil {
			known = new(mortgage.Cents)
			line.NextDiscountOn, line.NextPenaltyOn, line.DiscountCents = b.DiscountOn, b.PenaltyOn, b.DiscountCents
		}
		*known += b.AmountCents
	}
	line.KnownCents = known
	return markLine(ctx, q, line)
}

// markLine writes what bills change of a line.
func markLine(ctx context.Context, q *queries.Queries, line *queries.EscrowLine) error {
	day := loanrow.DueDay(line)
	err := q.MarkEscrowLine(ctx, queries.MarkEscrowLineParams{
		ID: line.ID, NextDueOn: line.NextDueOn, NextDiscountOn: line.NextDiscountOn, NextPenaltyOn: line.NextPenaltyOn,
		DiscountCents: line.DiscountCents, AmountCents: line.AmountCents, KnownCents: line.KnownCents,
		LastPaidOn: line.LastPaidOn, DueDay: &day,
	})
	if err != nil {
		return fmt.Errorf("mark escrow line: %w", err)
	}
	return nil
}
