package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// The rules that refuse a return, by the code that is stored with it and explained in
// docs/problems.md.
const refusalAlreadyReturned = "already_returned"

// ReturnDisbursementArgs names the return to carry out.
type ReturnDisbursementArgs struct {
	ReturnID uuid.UUID `json:"return_id"`
}

// Kind is stored with every job, so it never changes.
func (ReturnDisbursementArgs) Kind() string { return "return_disbursement" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// return it names is posted once.
func (ReturnDisbursementArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCorrections, MaxAttempts: postPaymentAttempts}
}

// ReturnDisbursement books money back that had left escrow, as of the day on which it
// came back. Its bill is unpaid again, and held until a person has looked at it; its
// line goes back to it. All of it is one transaction.
type ReturnDisbursement struct {
	river.WorkerDefaults[ReturnDisbursementArgs]

	DB DB
}

// Timeout implements river.Worker.
func (*ReturnDisbursement) Timeout(*river.Job[ReturnDisbursementArgs]) time.Duration {
	return postPaymentTimeout
}

// Work carries the return out, once. One that a rule refuses is rejected, and that
// completes the job.
func (w *ReturnDisbursement) Work(ctx context.Context, job *river.Job[ReturnDisbursementArgs]) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		return bookBack(ctx, queries.New(tx), job.Args.ReturnID)
	})
	if err != nil {
		return fmt.Errorf("return of a disbursement %s: %w", job.Args.ReturnID, err)
	}
	return nil
}

func bookBack(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	row, err := q.LockEscrowReturnToPost(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt committed.
	}
	if err != nil {
		return fmt.Errorf("lock return: %w", err)
	}
	out, back := &row.EscrowDisbursement, &row.EscrowReturn
	if refusal := returnRefusal(&row); refusal != "" {
		if err := q.MarkEscrowReturnRejected(ctx, &refusal, id); err != nil {
			return fmt.Errorf("mark return rejected: %w", err)
		}
		return nil
	}
	loan, w := newLoanInHand(&row.Loan), newWriting(row.PostedAt)
	d := incoming(out.ID.String(), out.Kind, out.AmountCents, back.ReturnedOn)
	// That the day has no other disbursement is not known: then the books are rebuilt.
	if err := loan.disburse(ctx, q, w, []mortgage.Disbursement{d}, true, back.RequestedBy); err != nil {
		return fmt.Errorf("loan %d: %w", loan.id, err)
	}
	if err := w.write(ctx, q); err != nil {
		return err
	}
	marked, err := q.MarkDisbursementReturned(ctx, queries.MarkDisbursementReturnedParams{
		ID: out.ID, ReturnedOn: back.ReturnedOn, ReturnReason: back.Reason,
	})
	if err != nil {
		return fmt.Errorf("mark disbursement returned: %w", err)
	}
	if marked != 1 {
		return broken(fmt.Errorf("%d disbursements were returned", marked))
	}
	if out.BillID != nil {
		if err := reopen(ctx, q, *out.BillID); err != nil {
			return err
		}
	}
	if err := q.MarkEscrowReturnPosted(ctx, &row.PostedAt, id); err != nil {
		return fmt.Errorf("mark return posted: %w", err)
	}
	return nil
}

func returnRefusal(row *queries.LockEscrowReturnToPostRow) string {
	switch {
	case row.EscrowDisbursement.Status == queries.EscrowDisbursementStatusReturned:
		return refusalAlreadyReturned
	case row.Loan.Status == queries.LoanStatusArchived:
		return refusalLoanArchived
	default:
		return ""
	}
}

// reopen takes a paid bill back to be unpaid. Where no later bill has come, its line
// goes back to its cycle, so that an analysis reckons with it.
func reopen(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	bill, err := q.MarkEscrowBillReturned(ctx, heldReturned, id)
	if err != nil {
		return fmt.Errorf("mark bill returned: %w", err)
	}
	line, err := q.LockEscrowLine(ctx, bill.LineID)
	if err != nil {
		return fmt.Errorf("lock escrow line: %w", err)
	}
	later, err := q.CountLaterEscrowBills(ctx, bill.LineID, bill.CycleOn)
	if err != nil {
		return fmt.Errorf("count later bills: %w", err)
	}
	cycle, err := q.ListEscrowBillsOfCycle(ctx, bill.LineID, bill.CycleOn)
	if err != nil {
		return fmt.Errorf("list bills of cycle: %w", err)
	}
	if later > 0 || len(cycle) == 0 {
		return nil
	}
	var open mortgage.Cents
	for i := range cycle {
		if cycle[i].Status != queries.EscrowBillStatusPaid {
			open += cycle[i].AmountCents
		}
	}
	day := loanrow.DueDay(&line)
	first := &cycle[0]
	err = q.MarkEscrowLine(ctx, queries.MarkEscrowLineParams{
		ID: line.ID, NextDueOn: bill.CycleOn, NextDiscountOn: first.DiscountOn, NextPenaltyOn: first.PenaltyOn,
		DiscountCents: line.DiscountCents, AmountCents: line.AmountCents, KnownCents: &open,
		LastPaidOn: line.LastPaidOn, DueDay: &day,
	})
	if err != nil {
		return fmt.Errorf("take the line back: %w", err)
	}
	return nil
}
