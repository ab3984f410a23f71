package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"loanserve/queries"
)

func (s *Server) routeBatchLists() {
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "list-payment-batches", Method: http.MethodGet, Path: "/v1/payment-batches",
		Tags: []string{"payment batches"}, Summary: "List batches, the latest first, without their counts",
	}, s.listPaymentBatches)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "list-exceptions", Method: http.MethodGet, Path: "/v1/payment-batch-items",
		Tags: []string{"payment batches"}, Summary: "List the exceptions of all batches, the oldest batch first",
		Description: "Items that wait for a person to resolve them.",
	}, s.listExceptions)
}

type listPaymentBatchesInput struct {
	Page
	Status queries.PaymentBatchStatus `query:"status" enum:"received,posting,finished"`
}

type listPaymentBatchesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body paymentBatchPage
}

type paymentBatchPage struct {
	Data       []paymentBatch `json:"data"`
	NextCursor string         `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listPaymentBatches(
	ctx context.Context, in *listPaymentBatchesInput,
) (*listPaymentBatchesOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListPaymentBatches(ctx, queries.ListPaymentBatchesParams{
		BeforeID: before, Status: string(in.Status), RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(b queries.PaymentBatch) string { return b.ID.String() })
	out := &listPaymentBatchesOutput{}
	for _, row := range rows {
		shown := acceptedBatch(row)
		shown.Status = row.Status
		if row.FinishedAt != nil {
			shown.FinishedAt = row.FinishedAt.UTC()
		}
		out.Body.Data = append(out.Body.Data, shown)
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/payment-batches", next, filters("status", string(in.Status)))
	}
	return out, nil
}

type listExceptionsInput struct{ Page }

type listExceptionsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body batchItemPage
}

func (s *Server) listExceptions(ctx context.Context, in *listExceptionsInput) (*listExceptionsOutput, error) {
	batch, line, err := in.afterItem()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListExceptions(ctx, queries.ListExceptionsParams{
		AfterBatch: batch, AfterLine: line, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list exceptions: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(i queries.PaymentBatchItem) string {
		return i.BatchID.String() + ":" + strconv.Itoa(int(i.Line))
	})
	out := &listExceptionsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, batchItemOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/payment-batch-items", next, nil)
	}
	return out, nil
}

// afterItem is after for lists of items, by batch and line; before all of them without
// a cursor.
func (p Page) afterItem() (batch uuid.UUID, line int32, err error) {
	key, ok, err := p.after()
	if err != nil || !ok {
		return uuid.Nil, 0, err
	}
	id, number, _ := strings.Cut(key, ":")
	batch, err = uuid.Parse(id)
	if err != nil {
		return uuid.Nil, 0, badCursor()
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 0 {
		return uuid.Nil, 0, badCursor()
	}
	return batch, int32(n), nil
}
