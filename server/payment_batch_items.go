package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// batchItem is one payment of a file, as the API shows it.
type batchItem struct {
	Line        int32                          `json:"line" doc:"Of the file, from 1."`
	Status      queries.PaymentBatchItemStatus `json:"status" enum:"stored,posted,rejected,exception,returned" doc:"stored: its payment waits to be posted. posted: it is in the loan's books; should it be reversed later, the payment says so. rejected: refused by a rule. exception: waits for a person to resolve it. returned: the money goes back."`
	Reason      string                         `json:"reason,omitzero" doc:"Why it is an exception or was one, or the rule that refused it."`
	LoanNumber  string                         `json:"loan_number" doc:"As the file has it."`
	LoanID      int64                          `json:"loan_id,omitzero"`
	PaymentID   *uuid.UUID                     `json:"payment_id,omitzero" nullable:"false" format:"uuid"`
	AmountCents mortgage.Cents                 `json:"amount_cents"`
	ReceivedOn  date                           `json:"received_on"`
	Channel     queries.PaymentChannel         `json:"channel"`
	Designation mortgage.Designation           `json:"designation"`
	ExternalRef string                         `json:"external_ref"`
	Note        string                         `json:"note,omitzero"`
	ResolvedBy  string                         `json:"resolved_by,omitzero"`
	ResolvedAt  time.Time                      `json:"resolved_at,omitzero"`
}

func batchItemOf(row queries.PaymentBatchItem) batchItem {
	shown := batchItem{
		Line: row.Line, Status: row.Status, LoanNumber: row.LoanNumber, PaymentID: row.PaymentID,
		AmountCents: row.AmountCents, ReceivedOn: date{row.ReceivedOn}, Channel: row.Channel,
		Designation: row.Designation, ExternalRef: row.ExternalRef,
	}
	if row.Reason != nil {
		shown.Reason = *row.Reason
	}
	if row.LoanID != nil {
		shown.LoanID = *row.LoanID
	}
	if row.Note != nil {
		shown.Note = *row.Note
	}
	if row.ResolvedBy != nil {
		shown.ResolvedBy, shown.ResolvedAt = *row.ResolvedBy, row.ResolvedAt.UTC()
	}
	return shown
}

type listPaymentBatchItemsInput struct {
	BatchID uuid.UUID                      `path:"batch_id" format:"uuid"`
	Status  queries.PaymentBatchItemStatus `query:"status" enum:"stored,posted,rejected,exception,returned"`
	Page
}

type listPaymentBatchItemsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body batchItemPage
}

type batchItemPage struct {
	Data       []batchItem `json:"data"`
	NextCursor string      `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listPaymentBatchItems(
	ctx context.Context, in *listPaymentBatchItemsInput,
) (*listPaymentBatchItemsOutput, error) {
	after, err := in.afterNumber(32)
	if err != nil {
		return nil, err
	}
	var rows []queries.PaymentBatchItem
	more := url.Values{}
	if in.Status == "" {
		rows, err = s.q.ListPaymentBatchItems(ctx, queries.ListPaymentBatchItemsParams{
			BatchID: in.BatchID, AfterLine: int32(after), RowLimit: in.Limit + 1,
		})
	} else {
		more.Set("status", string(in.Status))
		rows, err = s.q.ListPaymentBatchItemsByStatus(ctx, queries.ListPaymentBatchItemsByStatusParams{
			BatchID: in.BatchID, Status: in.Status, AfterLine: int32(after), RowLimit: in.Limit + 1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list items: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findBatch(ctx, in.BatchID); err != nil {
			return nil, err
		}
	}
	rows, next := cut(rows, in.Limit, func(row queries.PaymentBatchItem) string { return strconv.Itoa(int(row.Line)) })
	out := &listPaymentBatchItemsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, batchItemOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext(batchPath(in.BatchID)+"/items", next, more)
	}
	return out, nil
}

// The resolutions of an exception.
const (
	resolutionAssign = "assign"
	resolutionReturn = "return"
)

// resolution is what a person says of an exception.
type resolution struct {
	Action string `json:"action" enum:"assign,return"`
	LoanID int64  `json:"loan_id,omitzero" minimum:"1" maximum:"9007199254740991" doc:"The loan whose money it is; with assign, and only there."`
	Note   string `json:"note,omitzero" minLength:"1" maxLength:"500" doc:"For the record; needed with return."`
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
	switch r := in.Body; {
	case (r.Action == resolutionAssign) != (r.LoanID != 0):
		return nil, invalid(inBody("/loan_id", "goes with assign, and only with it"))
	case r.Action == resolutionReturn && r.Note == "":
		return nil, invalid(inBody("/note", "is needed with return"))
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
	if in.Body.Action == resolutionAssign {
		return s.assign(ctx, tx, row, in.Body.LoanID, note, by)
	}
	row, err = q.MarkBatchItemReturned(ctx, queries.MarkBatchItemReturnedParams{
		BatchID: row.BatchID, Line: row.Line, Note: note, ResolvedBy: &by,
	})
	if err != nil {
		return row, fmt.Errorf("mark item returned: %w", err)
	}
	return row, nil
}

// resolvedAs says whether an item was resolved before, and in the same way.
func resolvedAs(row queries.PaymentBatchItem, r resolution) bool {
	shown := batchItemOf(row)
	if row.ResolvedAt == nil || shown.Note != r.Note {
		return false
	}
	if row.Status == queries.PaymentBatchItemStatusReturned {
		return r.Action == resolutionReturn
	}
	return r.Action == resolutionAssign && shown.LoanID == r.LoanID
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
		ID: id, LoanID: loan, AmountCents: item.AmountCents, ReceivedOn: item.ReceivedOn, Channel: item.Channel,
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
	if err := q.LockPaymentBatch(ctx, item.BatchID); err != nil {
		return item, fmt.Errorf("lock batch: %w", err)
	}
	if err := q.MarkPaymentBatch(ctx, item.BatchID); err != nil {
		return item, fmt.Errorf("mark batch: %w", err)
	}
	chunk := jobs.PostBatchChunkArgs{BatchID: item.BatchID, FirstLine: line, LastLine: line}
	if _, err := s.jobs.InsertTx(ctx, tx, chunk, nil); err != nil {
		return item, fmt.Errorf("enqueue posting: %w", err)
	}
	return item, nil
}
