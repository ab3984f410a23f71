package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routePayments() {
	register(s, ScopePaymentsWrite, huma.Operation{
		OperationID: "create-payment", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/payments",
		Tags: []string{"payments"}, Summary: "Submit a payment",
		Description: "Stores the payment and starts its posting, both or neither. The answer comes once they are " +
			"stored, and the outcome is at the Location. A repeated request gets the first answer again.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.createPayment)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "get-payment", Method: http.MethodGet, Path: "/v1/payments/{payment_id}",
		Tags: []string{"payments"}, Summary: "Get a payment",
		Description: "With Prefer: wait=N the answer comes when the payment is posted or rejected, or after N seconds, " +
			"of which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getPayment)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "list-payments", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/payments",
		Tags: []string{"payments"}, Summary: "List a loan's payments, the latest first",
		Errors: []int{http.StatusNotFound},
	}, s.listPayments)
}

// submission is what a client says of money that it received.
type submission struct {
	AmountCents mortgage.Cents         `json:"amount_cents" minimum:"1" maximum:"10000000000"`
	ReceivedOn  date                   `json:"received_on,omitzero" doc:"The day the money reached the servicer; the borrower is credited as of it. Not before 1970 and not after tomorrow where the deployment is. Either this or received_at is required."`
	ReceivedAt  instant                `json:"received_at,omitzero" doc:"The instant the money reached the servicer, instead of received_on: the borrower is credited as of its calendar day where the deployment is, or as of the next day from the deployment's cut-off hour on."`
	Channel     queries.PaymentChannel `json:"channel" enum:"portal,ach,lockbox,wire,check,phone,branch"`
	Designation mortgage.Designation   `json:"designation,omitzero" enum:"periodic,principal,escrow,late_charge,payoff" default:"periodic" doc:"What the money is for. periodic: what the note asks for, installments first. principal: installments that are due, then principal. escrow and late_charge: just that. payoff: everything that is owed, or it is rejected."`
	ExternalRef string                 `json:"external_ref,omitzero" minLength:"1" maxLength:"100" doc:"The sender's own reference: one payment for each loan, channel and reference."`
}

type createPaymentInput struct {
	LoanPath
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body submission
}

type createPaymentOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       payment
}

// createPayment accepts a payment for posting. The same key of the same
// principal is the same payment, however often and at whatever moment it comes.
func (s *Server) createPayment(ctx context.Context, in *createPaymentInput) (*createPaymentOutput, error) {
	arg, err := s.paymentParams(ctx, in)
	if err != nil {
		return nil, err
	}
	row, replayed, err := once(
		func() (queries.Payment, error) {
			row, err := s.intake.accept(ctx, arg)
			if errors.Is(err, errStoreAlone) {
				return s.storePayment(ctx, arg)
			}
			return row, err
		},
		func() (queries.Payment, error) { return s.q.GetPaymentByKey(ctx, arg.RequestedBy, arg.IdempotencyKey) },
		func(row queries.Payment) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return accepted(row, replayed), nil
}

func accepted(row queries.Payment, replayed string) *createPaymentOutput {
	return &createPaymentOutput{
		Location: "/v1/payments/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: acceptedPayment(row),
	}
}

// paymentParams checks what the schema cannot and returns the row to store.
func (s *Server) paymentParams(ctx context.Context, in *createPaymentInput) (queries.InsertPaymentParams, error) {
	b := &in.Body
	arg := queries.InsertPaymentParams{
		ID: uuid.Nil, LoanID: in.LoanID, AmountCents: b.AmountCents, ReceivedOn: 0, ReceivedAt: nil,
		Channel: b.Channel, Designation: b.Designation, ExternalRef: nil,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: "", RequestHash: nil,
	}
	if b.ExternalRef != "" {
		arg.ExternalRef = &b.ExternalRef
	}
	var err error
	if arg.IdempotencyKey, err = parseKey(in.Key); err != nil {
		return arg, err
	}
	received, err := s.receiving.receiptOf(b, time.Now())
	if err != nil {
		return arg, err
	}
	arg.ReceivedOn, arg.ReceivedAt = received.on, received.at
	if arg.ID, err = uuid.NewV7(); err != nil {
		return arg, fmt.Errorf("make payment id: %w", err)
	}
	arg.RequestHash, err = fingerprint("create-payment", in.path("/payments"), b)
	return arg, err
}

type getPaymentInput struct {
	PaymentID uuid.UUID `path:"payment_id" format:"uuid"`
	Prefer    string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getPaymentOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is received."`
	Body       payment
}

func (s *Server) getPayment(ctx context.Context, in *getPaymentInput) (*getPaymentOutput, error) {
	row, err := s.findPayment(ctx, in.PaymentID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if row.Status == queries.PaymentStatusReceived && atMost > 0 {
		s.payments.wait(ctx, row.ID, atMost)
		if row, err = s.findPayment(ctx, in.PaymentID); err != nil {
			return nil, err
		}
	}
	shown := []payment{paymentOf(row)}
	if err := s.addReversals(ctx, shown); err != nil {
		return nil, err
	}
	out := &getPaymentOutput{Applied: applied, Body: shown[0]}
	if row.Status == queries.PaymentStatusReceived {
		out.RetryAfter = "1"
	}
	if err := s.addParts(ctx, &out.Body, row); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Server) findPayment(ctx context.Context, id uuid.UUID) (queries.Payment, error) {
	row, err := s.q.GetPayment(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such payment.")
	}
	if err != nil {
		return row, fmt.Errorf("get payment: %w", err)
	}
	return row, nil
}

type listPaymentsInput struct {
	LoanPath
	Page
}

type listPaymentsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body paymentPage
}

type paymentPage struct {
	Data       []payment `json:"data"`
	NextCursor string    `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listPayments(ctx context.Context, in *listPaymentsInput) (*listPaymentsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListPayments(ctx, queries.ListPaymentsParams{
		LoanID: in.LoanID, BeforeID: before, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	rows, next := cut(rows, in.Limit, func(p queries.Payment) string { return p.ID.String() })
	out := &listPaymentsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, paymentOf(row))
	}
	if err := s.addReversals(ctx, out.Body.Data); err != nil {
		return nil, err
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext(in.path("/payments"), next, nil)
	}
	return out, nil
}
