package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeReversalDecisions() {
	register(s, ScopePaymentsApprove, huma.Operation{
		OperationID: "approve-payment-reversal", Method: http.MethodPost, Path: reversalPath + "/approval",
		Tags: []string{"payments"}, Summary: "Approve a reversal that waits for it",
		Description: "By another principal than asked for it. The reversal is then carried out, and the outcome is at the " +
			"Location. A reversal is decided once: the same principal may repeat the same decision.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.approveReversal)
	register(s, ScopePaymentsApprove, huma.Operation{
		OperationID: "refuse-payment-reversal", Method: http.MethodPost, Path: reversalPath + "/refusal",
		Tags: []string{"payments"}, Summary: "Refuse a reversal that waits for approval",
		Description: "By another principal than asked for it. That is the end of the reversal, and the payment can be " +
			"asked to be reversed anew. A reversal is decided once: the same principal may repeat the same decision.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.refuseReversal)
}

type approveReversalInput struct {
	ReversalID uuid.UUID `path:"reversal_id" format:"uuid"`
	Body       *approval
}

func (s *Server) approveReversal(ctx context.Context, in *approveReversalInput) (*reversePaymentOutput, error) {
	d := decisionOf(ctx, true, "")
	if in.Body != nil {
		d.note = in.Body.Note
	}
	row, replayed, err := s.decideReversal(ctx, in.ReversalID, d)
	if err != nil {
		return nil, err
	}
	return reversalAccepted(decidedReversal(row), replayed), nil
}

type refuseReversalInput struct {
	ReversalID uuid.UUID `path:"reversal_id" format:"uuid"`
	Body       refusal
}

type refuseReversalOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     reversal
}

func (s *Server) refuseReversal(ctx context.Context, in *refuseReversalInput) (*refuseReversalOutput, error) {
	d := decisionOf(ctx, false, in.Body.Note)
	row, replayed, err := s.decideReversal(ctx, in.ReversalID, d)
	if err != nil {
		return nil, err
	}
	return &refuseReversalOutput{Replayed: replayed, Body: decidedReversal(row)}, nil
}

// decideReversal records the decision, and enqueues the work of what is
// approved in the same transaction. It needs no idempotency key: a reversal is
// decided once.
func (s *Server) decideReversal(
	ctx context.Context, id uuid.UUID, d decision,
) (row queries.PaymentReversal, replayed string, err error) {
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		q := queries.New(tx)
		row, err = q.LockPaymentReversal(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return noReversal()
		}
		if err != nil {
			return fmt.Errorf("lock reversal: %w", err)
		}
		person, err := personBehind(ctx, q, row.RequestedBy)
		if err != nil {
			return err
		}
		replayed, err = d.check(asked{
			status: string(row.Status), requestedBy: row.RequestedBy, person: person,
			decidedBy: row.DecidedBy, decisionNote: row.DecisionNote,
		})
		if err != nil || replayed != "" {
			return err
		}
		row, err = q.MarkReversalDecided(ctx, queries.MarkReversalDecidedParams{
			ID: id, Status: decidedStatus(d.approved), DecidedBy: &d.by, DecisionNote: textOrNil(d.note),
		})
		if err != nil {
			return fmt.Errorf("mark reversal decided: %w", err)
		}
		if !d.approved {
			return nil
		}
		return s.enqueueReversal(ctx, tx, id)
	})
	return row, replayed, err
}

func decidedStatus(approved bool) queries.ReversalStatus {
	if approved {
		return queries.ReversalStatusRequested
	}
	return queries.ReversalStatusRefused
}

// decidedReversal shows a reversal as it was when it was decided, or, where
// nobody did, as it was first answered.
func decidedReversal(row queries.PaymentReversal) reversal {
	shown := acceptedReversal(row)
	if row.DecidedBy == nil {
		return shown
	}
	shown.Status = decidedStatus(row.Status != queries.ReversalStatusRefused)
	shown.DecidedBy, shown.DecidedAt = *row.DecidedBy, instantOf(row.DecidedAt)
	shown.DecisionNote = textOf(row.DecisionNote)
	return shown
}
