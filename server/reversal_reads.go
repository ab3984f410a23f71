package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeReversalReads() {
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "get-payment-reversal", Method: http.MethodGet, Path: reversalPath,
		Tags: []string{"payments"}, Summary: "Get a reversal",
		Description: "With Prefer: wait=N the answer comes when the reversal is posted, rejected or refused, or after N " +
			"seconds, of which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getReversal)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "list-payment-reversals", Method: http.MethodGet, Path: reversalsPath,
		Tags: []string{"payments"}, Summary: "List reversals, the latest first",
		Description: "With status=pending_approval, what waits for another principal.",
	}, s.listReversals)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "list-reversals-of-payment", Method: http.MethodGet, Path: "/v1/payments/{payment_id}/reversals",
		Tags: []string{"payments"}, Summary: "List a payment's reversals, the latest first",
		Errors: []int{http.StatusNotFound},
	}, s.listReversalsOfPayment)
}

// pendingRetrySeconds is when to look again at what a person has to decide.
const pendingRetrySeconds = 60

// lookAgainAfter returns after how many seconds to look at a reversal again, 0
// when it is over.
func lookAgainAfter(status queries.ReversalStatus) int {
	switch status {
	case queries.ReversalStatusPendingApproval:
		return pendingRetrySeconds
	case queries.ReversalStatusRequested:
		return 1
	default:
		return 0
	}
}

type getReversalInput struct {
	ReversalID uuid.UUID `path:"reversal_id" format:"uuid"`
	Prefer     string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getReversalOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is not over."`
	Body       reversal
}

func (s *Server) getReversal(ctx context.Context, in *getReversalInput) (*getReversalOutput, error) {
	row, err := s.findReversal(ctx, in.ReversalID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if lookAgainAfter(row.Status) > 0 && atMost > 0 {
		s.reversals.wait(ctx, row.ID, atMost)
		if row, err = s.findReversal(ctx, in.ReversalID); err != nil {
			return nil, err
		}
	}
	out := &getReversalOutput{Applied: applied, RetryAfter: "", Body: reversalOf(row)}
	if after := lookAgainAfter(row.Status); after > 0 {
		out.RetryAfter = strconv.Itoa(after)
	}
	return out, nil
}

func (s *Server) findReversal(ctx context.Context, id uuid.UUID) (queries.PaymentReversal, error) {
	row, err := s.q.GetPaymentReversal(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, noReversal()
	}
	if err != nil {
		return row, fmt.Errorf("get reversal: %w", err)
	}
	return row, nil
}

func noReversal() *problem { return notFound("There is no such reversal.") }

type listReversalsInput struct {
	Status queries.ReversalStatus `query:"status" enum:"pending_approval,requested,posted,rejected,refused"`
	Page
}

type listReversalsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body reversalPage
}

type reversalPage struct {
	Data       []reversal `json:"data"`
	NextCursor string     `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listReversals(ctx context.Context, in *listReversalsInput) (*listReversalsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	var rows []queries.PaymentReversal
	more := url.Values{}
	if in.Status == "" {
		rows, err = s.q.ListPaymentReversals(ctx, before, in.Limit+1)
	} else {
		more.Set("status", string(in.Status))
		rows, err = s.q.ListPaymentReversalsByStatus(ctx, queries.ListPaymentReversalsByStatusParams{
			Status: in.Status, BeforeID: before, RowLimit: in.Limit + 1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list reversals: %w", err)
	}
	return pageOfReversals(in.Page, rows, reversalsPath, more), nil
}

type listReversalsOfPaymentInput struct {
	PaymentID uuid.UUID `path:"payment_id" format:"uuid"`
	Page
}

func (s *Server) listReversalsOfPayment(
	ctx context.Context, in *listReversalsOfPaymentInput,
) (*listReversalsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListReversalsOfPayment(ctx, queries.ListReversalsOfPaymentParams{
		PaymentID: in.PaymentID, BeforeID: before, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list reversals of payment: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findPayment(ctx, in.PaymentID); err != nil {
			return nil, err
		}
	}
	return pageOfReversals(in.Page, rows, "/v1/payments/"+in.PaymentID.String()+"/reversals", nil), nil
}

// pageOfReversals shows rows, of which one more than the limit was asked for.
func pageOfReversals(in Page, rows []queries.PaymentReversal, path string, more url.Values) *listReversalsOutput {
	rows, next := cut(rows, in.Limit, func(r queries.PaymentReversal) string { return r.ID.String() })
	out := &listReversalsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, reversalOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext(path, next, more)
	}
	return out
}
