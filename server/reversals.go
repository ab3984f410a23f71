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
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeReversals() {
	register(s, ScopePaymentsReverse, huma.Operation{
		OperationID: "reverse-payment", Method: http.MethodPost, Path: "/v1/payments/{payment_id}/reversals",
		Tags: []string{"payments"}, Summary: "Reverse a payment",
		Description: "Undoes a posted payment as of the day it was credited: its transactions are reversed, and what was " +
			"posted on top of it is reversed and posted again. Nothing is edited. Where the deployment demands it, the " +
			"reversal first waits for another principal's approval. The outcome is at the Location.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.reversePayment)
	register(s, ScopePaymentsReverse, huma.Operation{
		OperationID: "undo-payment-reversal", Method: http.MethodPost, Path: reversalPath + "/reversals",
		Tags: []string{"payments"}, Summary: "Reverse a reversal",
		Description: "Counts the payment again as of the day it was credited, as if it had never been reversed. This is a " +
			"reversal of its own, which the payment's later reversals follow. The outcome is at the Location.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.undoReversal)
	s.routeReversalDecisions()
	s.routeReversalReads()
}

const (
	reversalsPath = "/v1/payment-reversals"
	reversalPath  = reversalsPath + "/{reversal_id}"
)

// reversal is a wish that a payment be undone, or count again, as the API shows
// it.
type reversal struct {
	ReversalID   uuid.UUID              `json:"reversal_id" format:"uuid"`
	PaymentID    uuid.UUID              `json:"payment_id" format:"uuid"`
	Reverses     *uuid.UUID             `json:"reverses,omitzero" nullable:"false" format:"uuid" doc:"The reversal that this one undoes, so that the payment counts again."`
	Status       queries.ReversalStatus `json:"status" enum:"pending_approval,requested,posted,rejected,refused" doc:"pending_approval: stored, and waiting for another principal. requested: waiting to be posted. posted: in the loan's books. rejected: refused by a rule; the loan is unchanged. refused: by the principal who decided; the loan is unchanged."`
	Reason       string                 `json:"reason"`
	ReturnedOn   date                   `json:"returned_on,omitzero" doc:"The day on which the payment came back, if it was said."`
	Note         string                 `json:"note,omitzero"`
	Refusal      string                 `json:"refusal,omitzero" doc:"The rule that refused it; only with status rejected."`
	RequestedBy  string                 `json:"requested_by"`
	CreatedAt    time.Time              `json:"created_at"`
	DecidedBy    string                 `json:"decided_by,omitzero" doc:"Who approved or refused it, where that was needed."`
	DecidedAt    time.Time              `json:"decided_at,omitzero"`
	DecisionNote string                 `json:"decision_note,omitzero"`
	PostedAt     time.Time              `json:"posted_at,omitzero"`
	FeeCents     mortgage.Cents         `json:"fee_cents,omitzero" doc:"Charged because the payment came back for want of money, and taken back when the reversal is undone."`
	FeeOn        date                   `json:"fee_on,omitzero"`
	UndoneAt     time.Time              `json:"undone_at,omitzero" doc:"When a reversal of it was posted: since then it is not in force."`
}

// reversalOf shows a reversal as it is now.
func reversalOf(row queries.PaymentReversal) reversal {
	shown := decidedReversal(row)
	shown.Status, shown.Refusal = row.Status, textOf(row.Refusal)
	shown.PostedAt, shown.UndoneAt = instantOf(row.PostedAt), instantOf(row.UndoneAt)
	shown.FeeCents, shown.FeeOn = row.FeeCents, date{row.FeeOn}
	return shown
}

// acceptedReversal shows a reversal as it was first answered, for ever.
func acceptedReversal(row queries.PaymentReversal) reversal {
	shown := reversal{
		ReversalID: row.ID, PaymentID: row.PaymentID, Reverses: row.Reverses, Status: queries.ReversalStatusRequested,
		Reason: row.Reason, ReturnedOn: date{row.ReturnedOn}, Note: textOf(row.Note),
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
	if row.ApprovalRequired {
		shown.Status = queries.ReversalStatusPendingApproval
	}
	return shown
}

// instantOf returns an instant that may be missing, which is then zero.
func instantOf(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.UTC()
}

type reversePaymentInput struct {
	PaymentID uuid.UUID `path:"payment_id" format:"uuid"`
	Key       string    `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body      struct {
		Reason     string `json:"reason" maxLength:"20" pattern:"^(R(0[1-9]|[12][0-9]|3[0-9]|5[0-3]|8[0-5])|misapplied|duplicate|stop)$" patternDescription:"a NACHA return code (R01 to R39, R50 to R53, R80 to R85), misapplied, duplicate or stop"`
		ReturnedOn date   `json:"returned_on,omitzero" doc:"The day on which the payment came back; without it, today (UTC). A fee is charged on it. Not after today."`
		Note       string `json:"note,omitzero" minLength:"1" maxLength:"500" doc:"For the record."`
	}
}

type undoReversalInput struct {
	ReversalID uuid.UUID `path:"reversal_id" format:"uuid"`
	Key        string    `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body       struct {
		Reason string `json:"reason" enum:"mistaken,dishonored" doc:"mistaken: the payment should not have been reversed. dishonored: the bank that returned it was not entitled to, and its return came back (R61 to R77)."`
		Note   string `json:"note,omitzero" minLength:"1" maxLength:"500" doc:"For the record."`
	}
}

type reversePaymentOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       reversal
}

func reversalAccepted(shown reversal, replayed string) *reversePaymentOutput {
	return &reversePaymentOutput{
		Location: reversalsPath + "/" + shown.ReversalID.String(), RetryAfter: lookAgainAfter(shown.Status),
		Replayed: replayed, Body: shown,
	}
}

func (s *Server) reversePayment(ctx context.Context, in *reversePaymentInput) (*reversePaymentOutput, error) {
	if in.Body.ReturnedOn.Date > mortgage.DateOf(time.Now()) {
		return nil, invalid(inBody("/returned_on", "must not be after today"))
	}
	hash, err := fingerprint("reverse-payment", in.PaymentID.String(), &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertPaymentReversalParams{
		ID: uuid.Nil, PaymentID: in.PaymentID, Reverses: nil, Reason: in.Body.Reason,
		ReturnedOn: in.Body.ReturnedOn.Date, Note: textOrNil(in.Body.Note),
		ApprovalRequired: s.reversalApproval, RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: in.Key, RequestHash: hash,
	}
	return s.askForReversal(ctx, arg)
}

func (s *Server) undoReversal(ctx context.Context, in *undoReversalInput) (*reversePaymentOutput, error) {
	target, err := s.findReversal(ctx, in.ReversalID)
	if err != nil {
		return nil, err
	}
	hash, err := fingerprint("undo-payment-reversal", in.ReversalID.String(), &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertPaymentReversalParams{
		ID: uuid.Nil, PaymentID: target.PaymentID, Reverses: &target.ID, Reason: in.Body.Reason,
		ReturnedOn: 0, Note: textOrNil(in.Body.Note), ApprovalRequired: s.reversalApproval, RequestedBy: PrincipalOf(ctx).ID,
		IdempotencyKey: in.Key, RequestHash: hash,
	}
	return s.askForReversal(ctx, arg)
}

// askForReversal stores the wish once, however often it is sent. The key is
// still as the header has it.
func (s *Server) askForReversal(
	ctx context.Context, arg queries.InsertPaymentReversalParams,
) (_ *reversePaymentOutput, err error) {
	if arg.IdempotencyKey, err = parseKey(arg.IdempotencyKey); err != nil {
		return nil, err
	}
	if arg.ID, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("make reversal id: %w", err)
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
	return reversalAccepted(acceptedReversal(row), replayed), nil
}

// acceptReversal stores the wish and enqueues the work, unless it has to be
// approved first. It returns errKeyTaken, and stores nothing, when the
// idempotency key is taken.
//
// The wish is stored before it is looked at what it is about: while it is open,
// nothing else changes whether the payment is reversed.
func (s *Server) acceptReversal(
	ctx context.Context, tx pgx.Tx, arg queries.InsertPaymentReversalParams,
) (queries.PaymentReversal, error) {
	q := queries.New(tx)
	row, err := q.InsertPaymentReversal(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, reversalNotStored(err)
	}
	if row.Reverses == nil {
		err = checkReversible(ctx, q, row.PaymentID)
	} else {
		err = checkUndoable(ctx, q, *row.Reverses)
	}
	if err != nil || row.ApprovalRequired {
		return row, err
	}
	return row, s.enqueueReversal(ctx, tx, row.ID)
}

func (s *Server) enqueueReversal(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.ReversePaymentArgs{ReversalID: id}, nil); err != nil {
		return fmt.Errorf("enqueue reversal: %w", err)
	}
	return nil
}

// reversalNotStored says what is in the way of a wish. The cause stays with the
// problem, because the request may be a repeated one.
func reversalNotStored(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && pg.ConstraintName == "payment_reversals_payment_id_fkey":
		return notFound("There is no such payment.")
	case ok && pg.ConstraintName == "payment_reversals_open_idx":
		p := conflict("Another reversal of the payment is not over yet.")
		p.cause = err
		return p
	default:
		return fmt.Errorf("insert reversal: %w", err)
	}
}

// checkReversible refuses what is not in the loan's books.
func checkReversible(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	paid, err := q.GetPayment(ctx, id)
	if err != nil {
		return fmt.Errorf("get payment: %w", err)
	}
	if paid.Status != queries.PaymentStatusPosted {
		return conflict("Only a posted payment can be reversed; this one is " + string(paid.Status) + ".")
	}
	return nil
}

// checkUndoable refuses a reversal that is not the one by which its payment is
// reversed.
func checkUndoable(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	row, err := q.GetPaymentReversal(ctx, id)
	if err != nil {
		return fmt.Errorf("get reversal: %w", err)
	}
	switch {
	case row.Status != queries.ReversalStatusPosted:
		return conflict("Only a posted reversal can be reversed; this one is " + string(row.Status) + ".")
	case row.Reverses != nil:
		return conflict("It made the payment count again: reverse the payment.")
	case row.UndoneAt != nil:
		return conflict("It was reversed before.")
	default:
		return nil
	}
}
