package server

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

type changeEscrowBillInput struct {
	EscrowBillPath
	Body escrowBillChange
}

type escrowBillChange struct {
	AmountCents       *mortgage.Cents `json:"amount_cents,omitzero" nullable:"false" minimum:"1" maximum:"10000000000"`
	DiscountOn        *date           `json:"discount_on,omitzero" nullable:"false"`
	DiscountCents     *mortgage.Cents `json:"discount_cents,omitzero" nullable:"false" minimum:"0" maximum:"10000000000"`
	PenaltyOn         *date           `json:"penalty_on,omitzero" nullable:"false"`
	InsuranceCanceled *bool           `json:"insurance_canceled,omitzero" nullable:"false"`
}

func (s *Server) changeEscrowBill(ctx context.Context, in *changeEscrowBillInput) (*escrowBillOutput, error) {
	row, err := s.onBill(ctx, in.EscrowBillPath, func(q *queries.Queries, b queries.EscrowBill) (billRow, error) {
		if err := mustBeUnpaid(b); err != nil {
			return b, err
		}
		in.Body.apply(&b)
		entry := escrowBillEntry{
			DueOn: date{b.DueOn}, AmountCents: b.AmountCents, DiscountOn: date{b.DiscountOn},
			DiscountCents: b.DiscountCents, PenaltyOn: date{b.PenaltyOn},
		}
		if err := entry.check(); err != nil {
			return b, err
		}
		changed, err := q.MarkEscrowBillChanged(ctx, queries.MarkEscrowBillChangedParams{
			ID: b.ID, AmountCents: b.AmountCents, DiscountOn: b.DiscountOn, PenaltyOn: b.PenaltyOn,
			DiscountCents: b.DiscountCents, InsuranceCanceled: b.InsuranceCanceled,
		})
		if err != nil {
			return b, fmt.Errorf("mark bill changed: %w", err)
		}
		return changed, followCycle(ctx, q, changed, false)
	})
	if err != nil {
		return nil, err
	}
	return &escrowBillOutput{Body: escrowBillOf(row)}, nil
}

func (c *escrowBillChange) apply(b *queries.EscrowBill) {
	if c.AmountCents != nil {
		b.AmountCents = *c.AmountCents
	}
	if c.DiscountOn != nil {
		b.DiscountOn = c.DiscountOn.Date
	}
	if c.DiscountCents != nil {
		b.DiscountCents = *c.DiscountCents
		if b.DiscountCents == 0 && c.DiscountOn == nil {
			b.DiscountOn = 0
		}
	}
	if c.PenaltyOn != nil {
		b.PenaltyOn = c.PenaltyOn.Date
	}
	if c.InsuranceCanceled != nil {
		b.InsuranceCanceled = *c.InsuranceCanceled
	}
}

type cancelEscrowBillInput struct {
	EscrowBillPath
	Body struct {
		Reason      string `json:"reason" minLength:"1" maxLength:"200" doc:"For the record."`
		LineMovesOn bool   `json:"line_moves_on" doc:"Nothing is to be paid for this cycle."`
	}
}

func (s *Server) cancelEscrowBill(ctx context.Context, in *cancelEscrowBillInput) (*escrowBillOutput, error) {
	row, err := s.onBill(ctx, in.EscrowBillPath, func(q *queries.Queries, b queries.EscrowBill) (billRow, error) {
		if b.Status == queries.EscrowBillStatusCanceled {
			return b, nil
		}
		if err := mustBeUnpaid(b); err != nil {
			return b, err
		}
		canceled, err := q.MarkEscrowBillCanceled(ctx, queries.MarkEscrowBillCanceledParams{
			ID: b.ID, CanceledBy: PrincipalOf(ctx).ID, CancelReason: in.Body.Reason,
		})
		if err != nil {
			return b, fmt.Errorf("mark bill canceled: %w", err)
		}
		return canceled, followCycle(ctx, q, canceled, in.Body.LineMovesOn)
	})
	if err != nil {
		return nil, err
	}
	return &escrowBillOutput{Body: escrowBillOf(row)}, nil
}

type releaseEscrowBillInput struct{ EscrowBillPath }

func (s *Server) releaseEscrowBill(ctx context.Context, in *releaseEscrowBillInput) (*escrowBillOutput, error) {
	row, err := s.onBill(ctx, in.EscrowBillPath, func(q *queries.Queries, b queries.EscrowBill) (billRow, error) {
		if b.Status == queries.EscrowBillStatusOpen && b.ReleasedBy != nil {
			return b, nil
		}
		if b.Status != queries.EscrowBillStatusHeld {
			return b, conflict("Only a held bill can be released; this one is " + string(b.Status) + ".")
		}
		return release(ctx, q, b)
	})
	if err != nil {
		return nil, err
	}
	return &escrowBillOutput{Body: escrowBillOf(row)}, nil
}

// release says that a person wants a held bill paid, and what came back for it sent
// again.
func release(ctx context.Context, q *queries.Queries, b queries.EscrowBill) (queries.EscrowBill, error) {
	by := PrincipalOf(ctx).ID
	released, err := q.MarkEscrowBillReleased(ctx, by, b.ID)
	if err != nil {
		return b, fmt.Errorf("mark bill released: %w", err)
	}
	if err := q.MarkReturnsOfBillReleased(ctx, by, &b.ID); err != nil {
		return b, fmt.Errorf("mark returns released: %w", err)
	}
	return released, nil
}

// billRow is a bill as it is stored.
type billRow = queries.EscrowBill

// onBill does something to a bill under its locks: the loan's, and its own.
func (s *Server) onBill(
	ctx context.Context, path EscrowBillPath, do func(*queries.Queries, queries.EscrowBill) (billRow, error),
) (row queries.EscrowBill, err error) {
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if row, err = q.GetEscrowBill(ctx, path.BillID); err != nil {
			return noEscrowBill(err)
		}
		if _, err = q.LockLoan(ctx, row.LoanID); err != nil {
			return fmt.Errorf("lock loan: %w", err)
		}
		if row, err = q.LockEscrowBill(ctx, path.BillID); err != nil {
			return fmt.Errorf("lock escrow bill: %w", err)
		}
		row, err = do(q, row)
		return err
	})
	return row, err
}

func mustBeUnpaid(b queries.EscrowBill) error {
	if b.Status == queries.EscrowBillStatusOpen || b.Status == queries.EscrowBillStatusHeld {
		return nil
	}
	return conflict("Only a bill that is not paid can be changed; this one is " + string(b.Status) + ".")
}

// followCycle makes the bill's line say what the bills of its cycle say, if that is the
// line's. When nothing of it is left to be paid and something was, or the line is to
// move on, it goes on to its next cycle.
func followCycle(ctx context.Context, q *queries.Queries, b queries.EscrowBill, moveOn bool) error {
	line, err := q.LockEscrowLine(ctx, b.LineID)
	if err != nil {
		return fmt.Errorf("lock escrow line: %w", err)
	}
	if !loanrow.SameCycle(&line, b.CycleOn, line.NextDueOn) {
		return nil
	}
	cycle, err := q.ListEscrowBillsOfCycle(ctx, b.LineID, b.CycleOn)
	if err != nil {
		return fmt.Errorf("list bills of cycle: %w", err)
	}
	var came, open mortgage.Cents
	for i := range cycle {
		came += cycle[i].AmountCents
		if cycle[i].Status != queries.EscrowBillStatusPaid {
			open += cycle[i].AmountCents
		}
	}
	if open > 0 || came == 0 && !moveOn {
		return followBills(ctx, q, &line, cycle)
	}
	if came == 0 {
		came = line.AmountCents // What the last one came to is still the best that is known.
	}
	if line, err = loanrow.NextCycle(line, came); err != nil {
		return err
	}
	return markLine(ctx, q, &line)
}
