package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routePaymentBatches() {
	registerUpload(s, ScopePaymentsWrite, huma.Operation{
		OperationID: "create-payment-batch", Method: http.MethodPost, Path: "/v1/payment-batches",
		Tags: []string{"payment batches"}, Summary: "Submit a file of payments",
		Description: "The body is the file as it is. All of it is checked, counts and totals included, and stored, or " +
			"nothing is: then errors lists what is wrong, with line and column. The payments of loans that exist are " +
			"posted, and those that came back are reversed, which takes the scope payments:reverse as well; every other " +
			"item is an exception that waits for a person. A file is taken once.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusConflict},
	}, s.createPaymentBatch)
	operationAt(s.api.OpenAPI(), http.MethodPost, "/v1/payment-batches").
		Responses[strconv.Itoa(http.StatusConflict)].Headers = map[string]*huma.Param{
		"Location": {Description: "The batch as which it was taken.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "get-payment-batch", Method: http.MethodGet, Path: "/v1/payment-batches/{batch_id}",
		Tags: []string{"payment batches"}, Summary: "Get a batch and what became of its items",
		Description: "With Prefer: wait=N the answer comes when none of its items waits to be posted or reversed, or after " +
			"N seconds, of which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getPaymentBatch)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "list-payment-batch-items", Method: http.MethodGet, Path: "/v1/payment-batches/{batch_id}/items",
		Tags: []string{"payment batches"}, Summary: "List a batch's items in the order of the file",
		Errors: []int{http.StatusNotFound},
	}, s.listPaymentBatchItems)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "get-payment-batch-item", Method: http.MethodGet,
		Path: "/v1/payment-batches/{batch_id}/items/{line}", Tags: []string{"payment batches"},
		Summary: "Get one item of a batch", Errors: []int{http.StatusNotFound},
	}, s.getPaymentBatchItem)
	register(s, ScopePaymentsWrite, huma.Operation{
		OperationID: "resolve-payment-batch-item", Method: http.MethodPost,
		Path: "/v1/payment-batches/{batch_id}/items/{line}/resolution",
		Tags: []string{"payment batches"}, Summary: "Say what becomes of an exception",
		Description: "Of a payment: assign names the loan and starts the posting; return records that the money goes back. " +
			"Of a return: reverse names the payment that it returns, of the same amount, and has it reversed, which takes the " +
			"scope payments:reverse as well; close records that it was seen to otherwise. An item is resolved once: the same " +
			"resolution again gets the item as it is, another one is a conflict.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.resolvePaymentBatchItem)
}

// paymentBatch is a file of payments, as the API shows it.
type paymentBatch struct {
	BatchID     uuid.UUID                  `json:"batch_id" format:"uuid"`
	Format      queries.PaymentFileFormat  `json:"format" enum:"csv,bai_lockbox,nacha"`
	Status      queries.PaymentBatchStatus `json:"status" enum:"received,posting,finished" doc:"received: stored. posting: under way. finished: none of its payments waits to be posted, and none of its returns to be reversed; exceptions may wait for a person, and one that is resolved so that something is posted takes the batch back to posting until it is."`
	Items       int32                      `json:"items"`
	TotalCents  mortgage.Cents             `json:"total_cents"`
	SHA256      string                     `json:"sha256" doc:"Of the file, in hexadecimal."`
	RequestedBy string                     `json:"requested_by"`
	CreatedAt   time.Time                  `json:"created_at"`
	FinishedAt  time.Time                  `json:"finished_at,omitzero"`
	Counts      *batchCounts               `json:"counts,omitzero" nullable:"false" doc:"What became of the items; not in the first answer. They sum to the batch."`
}

// batchCounts is the items of a batch by status.
type batchCounts struct {
	Stored    batchCount `json:"stored"`
	Posted    batchCount `json:"posted"`
	Rejected  batchCount `json:"rejected"`
	Exception batchCount `json:"exception"`
	Returned  batchCount `json:"returned"`
	Reversed  batchCount `json:"reversed"`
	Closed    batchCount `json:"closed"`
}

// batchCount is how many items there are, and how much money.
type batchCount struct {
	Items      int32          `json:"items"`
	TotalCents mortgage.Cents `json:"total_cents"`
}

// acceptedBatch shows a batch as it was when it was accepted, for ever.
func acceptedBatch(row queries.PaymentBatch) paymentBatch {
	return paymentBatch{
		BatchID: row.ID, Format: row.Format, Status: queries.PaymentBatchStatusReceived,
		Items: row.Items, TotalCents: row.TotalCents, SHA256: fmt.Sprintf("%x", row.Sha256),
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

type getPaymentBatchInput struct {
	BatchID uuid.UUID `path:"batch_id" format:"uuid"`
	Prefer  string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getPaymentBatchOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is not finished."`
	Body       paymentBatch
}

func (s *Server) getPaymentBatch(ctx context.Context, in *getPaymentBatchInput) (*getPaymentBatchOutput, error) {
	row, err := s.findBatch(ctx, in.BatchID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if row.Status != queries.PaymentBatchStatusFinished && atMost > 0 {
		s.batches.wait(ctx, row.ID, atMost)
		if row, err = s.findBatch(ctx, in.BatchID); err != nil {
			return nil, err
		}
	}
	out := &getPaymentBatchOutput{Applied: applied, RetryAfter: "", Body: acceptedBatch(row)}
	out.Body.Status = row.Status
	if row.FinishedAt != nil {
		out.Body.FinishedAt = row.FinishedAt.UTC()
	} else {
		out.RetryAfter = "1"
	}
	out.Body.Counts, err = s.countItems(ctx, in.BatchID)
	return out, err
}

func (s *Server) findBatch(ctx context.Context, id uuid.UUID) (queries.PaymentBatch, error) {
	row, err := s.q.GetPaymentBatch(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such payment batch.")
	}
	if err != nil {
		return row, fmt.Errorf("get payment batch: %w", err)
	}
	return row, nil
}

func (s *Server) countItems(ctx context.Context, id uuid.UUID) (*batchCounts, error) {
	rows, err := s.q.CountPaymentBatchItems(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("count items: %w", err)
	}
	var counts batchCounts
	for _, row := range rows {
		count := batchCount{Items: row.Items, TotalCents: mortgage.Cents(row.TotalCents)}
		switch row.Status {
		case queries.PaymentBatchItemStatusStored:
			counts.Stored = count
		case queries.PaymentBatchItemStatusPosted:
			counts.Posted = count
		case queries.PaymentBatchItemStatusRejected:
			counts.Rejected = count
		case queries.PaymentBatchItemStatusException:
			counts.Exception = count
		case queries.PaymentBatchItemStatusReturned:
			counts.Returned = count
		case queries.PaymentBatchItemStatusReversed:
			counts.Reversed = count
		case queries.PaymentBatchItemStatusClosed:
			counts.Closed = count
		}
	}
	return &counts, nil
}
