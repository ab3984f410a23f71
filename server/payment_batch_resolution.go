package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"loanserve/jobs"
	"loanserve/queries"
)

// The resolutions of an exception: of one that is a payment, and of one that is a
// return.
const (
	resolutionAssign = "assign"
	resolutionReturn = "return"

	resolutionReverse = "reverse"
	resolutionClose   = "close"
)

// resolution is what a person says of an exception.
type resolution struct {
	Action    string     `json:"action" enum:"assign,return,reverse,close"`
	LoanID    int64      `json:"loan_id,omitzero" minimum:"1" maximum:"9007199254740991" doc:"The loan whose money it is; with assign, and only there."`
	PaymentID *uuid.UUID `json:"payment_id,omitzero" nullable:"false" format:"uuid" doc:"The payment that came back; with reverse, and only there."`
	Note      string     `json:"note,omitzero" minLength:"1" maxLength:"500" doc:"For the record; needed with return and close."`
}

// check refuses what goes with no item.
func (r *resolution) check() error {
	switch {
	case (r.Action == resolutionAssign) != (r.LoanID != 0):
		return invalid(inBody("/loan_id", "goes with assign, and only with it"))
	case (r.Action == resolutionReverse) != (r.PaymentID != nil):
		return invalid(inBody("/payment_id", "goes with reverse, and only with it"))
	case (r.Action == resolutionReturn || r.Action == resolutionClose) && r.Note == "":
		return invalid(inBody("/note", "is needed with return and close"))
	default:
		return nil
	}
}

// ofReturn says whether it is said of a return.
func (r *resolution) ofReturn() bool {
	return r.Action == resolutionReverse || r.Action == resolutionClose
}

type resolvePaymentBatchItemInput struct {
	BatchID uuid.UUID `path:"batch_id" format:"uuid"`
	Line    int32     `path:"line" minimum:"1" maximum:"2147483647"`
	Body    resolution
}

type resolvePaymentBatchItemOutput struct{ Body batchItem }

// resolvePaymentBatchItem needs no idempotency key: an item is resolved once.
func (s *Server) resolvePaymentBatchItem(
	ctx context.Context, in *resolvePaymentBatchItemInput,
) (*resolvePaymentBatchItemOutput, error) {
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	if in.Body.Action == resolutionReverse {
		if err := mayReverse(ctx); err != nil {
			return nil, err
		}
	}
	var row queries.PaymentBatchItem
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		row, err = s.resolve(ctx, tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &resolvePaymentBatchItemOutput{Body: batchItemOf(row)}, nil
}

func (s *Server) resolve(
	ctx context.Context, tx pgx.Tx, in *resolvePaymentBatchItemInput,
) (queries.PaymentBatchItem, error) {
	q := queries.New(tx)
	row, err := q.LockPaymentBatchItem(ctx, in.BatchID, in.Line)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such item.")
	}
	if err != nil {
		return row, fmt.Errorf("lock item: %w", err)
	}
	if in.Body.ofReturn() != (row.ReturnCode != nil) {
		return row, conflict("assign and return are of payments, reverse and close of returns.",
			inBody("/action", "is not one for this item"))
	}
	if row.Status != queries.PaymentBatchItemStatusException {
		if resolvedAs(row, in.Body) {
			return row, nil
		}
		return row, conflict("Only an exception can be resolved, once; this item is " + string(row.Status) + ".")
	}
	var note *string
	if in.Body.Note != "" {
		note = &in.Body.Note
	}
	by := PrincipalOf(ctx).ID
	switch in.Body.Action {
	case resolutionAssign:
		return s.assign(ctx, tx, row, in.Body.LoanID, note, by)
	case resolutionReverse:
		return s.reverseReturn(ctx, tx, row, *in.Body.PaymentID, note, by)
	}
	end := queries.PaymentBatchItemStatusReturned
	if row.ReturnCode != nil {
		end = queries.PaymentBatchItemStatusClosed
	}
	row, err = q.MarkBatchItemEnded(ctx, queries.MarkBatchItemEndedParams{
		BatchID: row.BatchID, Line: row.Line, Status: end, Note: note, ResolvedBy: &by,
	})
	if err != nil {
		return row, fmt.Errorf("mark item %s: %w", end, err)
	}
	return row, nil
}

// resolvedAs says whether an item was resolved before, and in the same way.
func resolvedAs(row queries.PaymentBatchItem, r resolution) bool {
	shown := batchItemOf(row)
	if row.ResolvedAt == nil || shown.Note != r.Note {
		return false
	}
	switch row.Status {
	case queries.PaymentBatchItemStatusReturned:
		return r.Action == resolutionReturn
	case queries.PaymentBatchItemStatusClosed:
		return r.Action == resolutionClose
	default:
		return r.Action == resolutionAssign && shown.LoanID == r.LoanID ||
			r.Action == resolutionReverse && *row.ReturnedPaymentID == *r.PaymentID
	}
}

// assign stores the payment of an exception for the loan that a person found,
// and the job that posts it.
func (s *Server) assign(
	ctx context.Context, tx pgx.Tx, item queries.PaymentBatchItem, loan int64, note *string, by string,
) (queries.PaymentBatchItem, error) {
	q := queries.New(tx)
	id, err := uuid.NewV7()
	if err != nil {
		return item, fmt.Errorf("make payment id: %w", err)
	}
	hash, err := fingerprint("resolve-payment-batch-item", batchPath(item.BatchID), []int64{int64(item.Line), loan})
	if err != nil {
		return item, err
	}
	_, err = q.InsertPayment(ctx, queries.InsertPaymentParams{
		ID: id, LoanID: loan, AmountCents: item.AmountCents, ReceivedOn: item.ReceivedOn, ReceivedAt: nil,
		Channel:     item.Channel,
		Designation: item.Designation, ExternalRef: &item.ExternalRef, RequestedBy: by,
		IdempotencyKey: fmt.Sprintf("batch %s line %d", item.BatchID, item.Line), RequestHash: hash,
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == uniqueViolation {
		return item, conflict("The loan has a payment of this reference from this channel: the item is a duplicate.",
			inBody("/loan_id", "has this payment already"))
	}
	if err != nil {
		return item, fmt.Errorf("insert payment: %w", err)
	}
	line := item.Line
	item, err = q.MarkBatchItemAssigned(ctx, queries.MarkBatchItemAssignedParams{
		BatchID: item.BatchID, Line: line, LoanID: &loan, PaymentID: &id, Note: note, ResolvedBy: &by,
	})
	if err != nil {
		return item, fmt.Errorf("mark item assigned: %w", err)
	}
	return item, s.reopen(ctx, tx, item.BatchID,
		river.InsertManyParams{Args: jobs.PostBatchChunkArgs{BatchID: item.BatchID, FirstLine: line, LastLine: line}})
}

// reverseReturn has the payment reversed that a person found for an exception.
// The amounts are the same, or the item would not tie to what it undoes.
func (s *Server) reverseReturn(
	ctx context.Context, tx pgx.Tx, item queries.PaymentBatchItem, payment uuid.UUID, note *string, by string,
) (queries.PaymentBatchItem, error) {
	q := queries.New(tx)
	paid, err := q.GetPayment(ctx, payment)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return item, notFound("There is no such payment.")
	case err != nil:
		return item, fmt.Errorf("get payment: %w", err)
	case paid.AmountCents != item.AmountCents:
		return item, conflict("A return is of the whole payment, and this payment has another amount.",
			inBody("/payment_id", "has another amount"))
	}
	line := item.Line
	_, err = q.MarkBatchReturnResolved(ctx, queries.MarkBatchReturnResolvedParams{
		BatchID: item.BatchID, Line: line, PaymentID: payment, Note: note, ResolvedBy: &by,
	})
	if err != nil {
		return item, fmt.Errorf("mark return resolved: %w", err)
	}
	if err := jobs.RequestReversals(ctx, tx, s.jobs, item.BatchID, line, line); err != nil {
		return item, err
	}
	if item, err = q.GetPaymentBatchItem(ctx, item.BatchID, line); err != nil {
		return item, fmt.Errorf("get item: %w", err)
	}
	if item.Status != queries.PaymentBatchItemStatusStored {
		return item, conflict("This payment cannot be reversed ("+*item.Reason+").",
			inBody("/payment_id", "cannot be reversed"))
	}
	if item.ReversalID != nil {
		return item, s.reopen(ctx, tx, item.BatchID)
	}
	return item, s.reopen(ctx, tx, item.BatchID, // The payment is not posted yet.
		river.InsertManyParams{Args: jobs.ReverseReturnsArgs{BatchID: item.BatchID, FirstLine: line, LastLine: line}})
}

// reopen takes a batch back to posting, because an item of it waits again, and
// stores the jobs for that.
func (s *Server) reopen(ctx context.Context, tx pgx.Tx, batch uuid.UUID, work ...river.InsertManyParams) error {
	q := queries.New(tx)
	if err := q.LockPaymentBatch(ctx, batch); err != nil {
		return fmt.Errorf("lock batch: %w", err)
	}
	if err := q.MarkPaymentBatch(ctx, batch); err != nil {
		return fmt.Errorf("mark batch: %w", err)
	}
	if len(work) == 0 {
		return nil
	}
	if _, err := s.jobs.InsertManyTx(ctx, tx, work); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}
