package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// batchItem is one payment of a file, as the API shows it.
type batchItem struct {
	BatchID       uuid.UUID                      `json:"batch_id" format:"uuid"`
	Line          int32                          `json:"line" doc:"Of the file, from 1."`
	Status        queries.PaymentBatchItemStatus `json:"status" enum:"stored,posted,rejected,exception,returned,reversed,closed" doc:"stored: its payment waits to be posted, or its reversal. posted: it is in the loan's books; should it be reversed later, the payment says so. rejected: refused by a rule. exception: waits for a person to resolve it. returned: the money goes back. reversed: it is a return, and its payment was taken out of the loan's books. closed: it is a return that a person has seen to."`
	Reason        string                         `json:"reason,omitzero" doc:"Why it is an exception or was one, or the rule that refused it."`
	LoanNumber    string                         `json:"loan_number" doc:"As the file has it."`
	LoanID        int64                          `json:"loan_id,omitzero"`
	PaymentID     *uuid.UUID                     `json:"payment_id,omitzero" nullable:"false" format:"uuid" doc:"The payment that it is, or of a return the payment that it returns."`
	ReversalID    *uuid.UUID                     `json:"reversal_id,omitzero" nullable:"false" format:"uuid" doc:"The reversal that was made of a return."`
	ReturnCode    string                         `json:"return_code,omitzero" doc:"R01 to R85: it is a return, and why."`
	OriginalTrace string                         `json:"original_trace,omitzero" doc:"The trace number of the entry that came back."`
	AmountCents   mortgage.Cents                 `json:"amount_cents"`
	ReceivedOn    date                           `json:"received_on"`
	Channel       queries.PaymentChannel         `json:"channel"`
	Designation   mortgage.Designation           `json:"designation"`
	ExternalRef   string                         `json:"external_ref"`
	Note          string                         `json:"note,omitzero"`
	ResolvedBy    string                         `json:"resolved_by,omitzero"`
	ResolvedAt    time.Time                      `json:"resolved_at,omitzero"`
}

func batchItemOf(row queries.PaymentBatchItem) batchItem {
	shown := batchItem{
		BatchID: row.BatchID, Line: row.Line, Status: row.Status, LoanNumber: row.LoanNumber,
		PaymentID: cmp.Or(row.PaymentID, row.ReturnedPaymentID), ReversalID: row.ReversalID,
		AmountCents: row.AmountCents, ReceivedOn: date{row.ReceivedOn}, Channel: row.Channel,
		Designation: row.Designation, ExternalRef: row.ExternalRef,
	}
	if row.Reason != nil {
		shown.Reason = *row.Reason
	}
	if row.ReturnCode != nil {
		shown.ReturnCode, shown.OriginalTrace = *row.ReturnCode, *row.OriginalTrace
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
	Status  queries.PaymentBatchItemStatus `query:"status" enum:"stored,posted,rejected,exception,returned,reversed,closed"`
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

type getPaymentBatchItemInput struct {
	BatchID uuid.UUID `path:"batch_id" format:"uuid"`
	Line    int32     `path:"line" minimum:"1" maximum:"2147483647"`
}

type getPaymentBatchItemOutput struct{ Body batchItem }

func (s *Server) getPaymentBatchItem(
	ctx context.Context, in *getPaymentBatchItemInput,
) (*getPaymentBatchItemOutput, error) {
	row, err := s.q.GetPaymentBatchItem(ctx, in.BatchID, in.Line)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("There is no such batch, or it has no such line.")
	}
	if err != nil {
		return nil, fmt.Errorf("get item: %w", err)
	}
	return &getPaymentBatchItemOutput{Body: batchItemOf(row)}, nil
}
