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

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeReversals() {
	register(s, ScopePaymentsReverse, huma.Operation{
		OperationID: "reverse-payment", Method: http.MethodPost, Path: "/v1/payments/{payment_id}/reversals",
		Tags: []string{"payments"}, Summary: "Reverse a payment",
		Description: "Undoes a posted payment as of the day it was credited: its transactions are reversed, and what was " +
			"posted on top of it is reversed and posted again. Nothing is edited. The outcome is at the Location.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.reversePayment)
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "get-payment-reversal", Method: http.MethodGet, Path: "/v1/payment-reversals/{reversal_id}",
		Tags: []string{"payments"}, Summary: "Get a reversal",
		Description: "With Prefer: wait=N the answer comes when the reversal is posted or rejected, or after N seconds, " +
			"of which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getReversal)
}

// reversal is a wish that a payment be undone, as the API shows it.
type reversal struct {
	ReversalID  uuid.UUID              `json:"reversal_id" format:"uuid"`
	PaymentID   uuid.UUID              `json:"payment_id" format:"uuid"`
	Status      queries.ReversalStatus `json:"status" enum:"requested,posted,rejected" doc:"requested: stored, and waiting. posted: in the loan's books. rejected: refused by a rule; the loan is unchanged."`
	Reason      string                 `json:"reason"`
	ReturnedOn  date                   `json:"returned_on,omitzero" doc:"The day on which the payment came back, if it was said."`
	Refusal     string                 `json:"refusal,omitzero" doc:"The rule that refused it; only with status rejected."`
	RequestedBy string                 `json:"requested_by"`
	CreatedAt   time.Time              `json:"created_at"`
	PostedAt    time.Time              `json:"posted_at,omitzero"`
	FeeCents    mortgage.Cents         `json:"fee_cents,omitzero" doc:"Charged because the payment came back for want of money."`
	FeeOn       date                   `json:"fee_on,omitzero"`
}

func reversalOf(row queries.PaymentReversal) reversal {
	shown := acceptedReversal(row)
	shown.Status = row.Status
	if row.Refusal != nil {
		shown.Refusal = *row.Refusal
	}
	if row.PostedAt != nil {
		shown.PostedAt = row.PostedAt.UTC()
	}
	shown.FeeCents, shown.FeeOn = row.FeeCents, date{row.FeeOn}
	return shown
}

// acceptedReversal shows a reversal as it was first answered, for ever.
func acceptedReversal(row queries.PaymentReversal) reversal {
	return reversal{
		ReversalID: row.ID, PaymentID: row.PaymentID, Status: queries.ReversalStatusRequested, Reason: row.Reason,
		ReturnedOn:  date{row.ReturnedOn},
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

type reversePaymentInput struct {
	PaymentID uuid.UUID `path:"payment_id" format:"uuid"`
	Key       string    `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body      struct {
		Reason     string `json:"reason" maxLength:"20" pattern:"^(R[0-9]{2}|misapplied|duplicate|stop)$" patternDescription:"a NACHA return code (R01 …), misapplied, duplicate or stop"`
		ReturnedOn date   `json:"returned_on,omitzero" doc:"The day on which the payment came back; without it, today (UTC). A fee is charged on it. Not after today."`
	}
}

type reversePaymentOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       reversal
}

func (s *Server) reversePayment(ctx context.Context, in *reversePaymentInput) (*reversePaymentOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	if in.Body.ReturnedOn.Date > mortgage.DateOf(time.Now()) {
		return nil, invalid(inBody("/returned_on", "must not be after today"))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make reversal id: %w", err)
	}
	hash, err := fingerprint("reverse-payment", in.PaymentID.String(), &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertPaymentReversalParams{
		ID: id, PaymentID: in.PaymentID, Reason: in.Body.Reason, ReturnedOn: in.Body.ReturnedOn.Date,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.PaymentReversal, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptReversal(ctx, tx, arg)
				return err
			})
			return row, err
		},
		func() (queries.PaymentReversal, error) {
			return s.q.GetPaymentReversalByKey(ctx, arg.RequestedBy, arg.IdempotencyKey)
		},
		func(row queries.PaymentReversal) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return reversalAccepted(row, replayed), nil
}

func reversalAccepted(row queries.PaymentReversal, replayed string) *reversePaymentOutput {
	return &reversePaymentOutput{
		Location: "/v1/payment-reversals/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: acceptedReversal(row),
	}
}

// acceptReversal stores the wish and enqueues the work. It returns errKeyTaken,
// and stores nothing, when the idempotency key is taken.
func (s *Server) acceptReversal(
	ctx context.Context, tx pgx.Tx, arg queries.InsertPaymentReversalParams,
) (queries.PaymentReversal, error) {
	q := queries.New(tx)
	paid, err := q.GetPayment(ctx, arg.PaymentID)
	if errors.Is(err, pgx.ErrNoRows) {
		return queries.PaymentReversal{}, notFound("There is no such payment.")
	}
	if err != nil {
		return queries.PaymentReversal{}, fmt.Errorf("get payment: %w", err)
	}
	row, err := q.InsertPaymentReversal(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert reversal: %w", err)
	}
	if paid.Status != queries.PaymentStatusPosted {
		return row, conflict("Only a posted payment can be reversed; this one is " + string(paid.Status) + ".")
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.ReversePaymentArgs{ReversalID: row.ID}, nil); err != nil {
		return row, fmt.Errorf("enqueue reversal: %w", err)
	}
	return row, nil
}

type getReversalInput struct {
	ReversalID uuid.UUID `path:"reversal_id" format:"uuid"`
	Prefer     string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getReversalOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is requested."`
	Body       reversal
}

func (s *Server) getReversal(ctx context.Context, in *getReversalInput) (*getReversalOutput, error) {
	row, err := s.findReversal(ctx, in.ReversalID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if row.Status == queries.ReversalStatusRequested && atMost > 0 {
		s.reversals.wait(ctx, row.ID, atMost)
		if row, err = s.findReversal(ctx, in.ReversalID); err != nil {
			return nil, err
		}
	}
	out := &getReversalOutput{Applied: applied, RetryAfter: "", Body: reversalOf(row)}
	if row.Status == queries.ReversalStatusRequested {
		out.RetryAfter = "1"
	}
	return out, nil
}

func (s *Server) findReversal(ctx context.Context, id uuid.UUID) (queries.PaymentReversal, error) {
	row, err := s.q.GetPaymentReversal(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such reversal.")
	}
	if err != nil {
		return row, fmt.Errorf("get reversal: %w", err)
	}
	return row, nil
}
