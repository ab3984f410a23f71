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

func (s *Server) routeLoanChangeDecisions() {
	register(s, ScopeLoansApprove, huma.Operation{
		OperationID: "approve-loan-change", Method: http.MethodPost, Path: loanChangePath + "/approval",
		Tags: []string{"loan changes"}, Summary: "Approve a change that waits for it",
		Description: "By another principal than asked for it. The change is then carried out, and the outcome is at the " +
			"Location. A change is decided once: the same principal may repeat the same decision.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.approveLoanChange)
	register(s, ScopeLoansApprove, huma.Operation{
		OperationID: "refuse-loan-change", Method: http.MethodPost, Path: loanChangePath + "/refusal",
		Tags: []string{"loan changes"}, Summary: "Refuse a change that waits for approval",
		Description: "By another principal than asked for it. That is the end of the change. A change is decided once: the " +
			"same principal may repeat the same decision.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.refuseLoanChange)
}

type approveLoanChangeInput struct {
	ChangeID uuid.UUID `path:"change_id" format:"uuid"`
	Body     *approval
}

func (s *Server) approveLoanChange(ctx context.Context, in *approveLoanChangeInput) (*changeLoanOutput, error) {
	d := decisionOf(ctx, true, "")
	if in.Body != nil {
		d.note = in.Body.Note
	}
	row, replayed, err := s.decideLoanChange(ctx, in.ChangeID, d)
	if err != nil {
		return nil, err
	}
	return changeAccepted(decidedChange(row), replayed), nil
}

type refuseLoanChangeInput struct {
	ChangeID uuid.UUID `path:"change_id" format:"uuid"`
	Body     refusal
}

type refuseLoanChangeOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     loanChange
}

func (s *Server) refuseLoanChange(ctx context.Context, in *refuseLoanChangeInput) (*refuseLoanChangeOutput, error) {
	d := decisionOf(ctx, false, in.Body.Note)
	row, replayed, err := s.decideLoanChange(ctx, in.ChangeID, d)
	if err != nil {
		return nil, err
	}
	return &refuseLoanChangeOutput{Replayed: replayed, Body: decidedChange(row)}, nil
}

// decideLoanChange records the decision, and enqueues the work of what is
// approved in the same transaction. It needs no idempotency key: a change is
// decided once.
func (s *Server) decideLoanChange(
	ctx context.Context, id uuid.UUID, d decision,
) (row queries.LoanChange, replayed string, err error) {
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		q := queries.New(tx)
		row, err = q.LockLoanChange(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return noLoanChange()
		}
		if err != nil {
			return fmt.Errorf("lock loan change: %w", err)
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
		row, err = q.MarkLoanChangeDecided(ctx, queries.MarkLoanChangeDecidedParams{
			ID: id, Status: decidedChangeStatus(d.approved), DecidedBy: &d.by, DecisionNote: textOrNil(d.note),
		})
		if err != nil {
			return fmt.Errorf("mark loan change decided: %w", err)
		}
		if !d.approved {
			return nil
		}
		return s.enqueueChange(ctx, tx, id)
	})
	return row, replayed, err
}

func decidedChangeStatus(approved bool) queries.LoanChangeStatus {
	if approved {
		return queries.LoanChangeStatusRequested
	}
	return queries.LoanChangeStatusRefused
}

// decidedChange shows a change as it was when it was decided, or, where nobody
// did, as it was first answered.
func decidedChange(row queries.LoanChange) loanChange {
	shown := acceptedChange(row)
	if row.DecidedBy == nil {
		return shown
	}
	shown.Status = decidedChangeStatus(row.Status != queries.LoanChangeStatusRefused)
	shown.DecidedBy, shown.DecidedAt = *row.DecidedBy, instantOf(row.DecidedAt)
	shown.DecisionNote = textOf(row.DecisionNote)
	return shown
}
