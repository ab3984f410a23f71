package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) confirmDisbursement(ctx context.Context, in *disbursementInput) (*disbursementOutput, error) {
	row, err := s.q.MarkDisbursementConfirmed(ctx, in.DisbursementID)
	if err == nil {
		return &disbursementOutput{Body: disbursementOf(row)}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("mark disbursement confirmed: %w", err)
	}
	if row, err = s.q.GetDisbursement(ctx, in.DisbursementID); err != nil {
		return nil, noDisbursement(err)
	}
	if row.Status != queries.EscrowDisbursementStatusConfirmed {
		return nil, conflict("Only money that was sent can be confirmed; this is " + string(row.Status) + ".")
	}
	return &disbursementOutput{Body: disbursementOf(row)}, nil
}

func (s *Server) releaseDisbursement(ctx context.Context, in *disbursementInput) (*disbursementOutput, error) {
	var row queries.EscrowDisbursement
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		q := queries.New(tx)
		if row, err = q.GetDisbursement(ctx, in.DisbursementID); err != nil {
			return noDisbursement(err)
		}
		if _, err = q.LockLoan(ctx, row.LoanID); err != nil {
			return fmt.Errorf("lock loan: %w", err)
		}
		row, err = releaseReturned(ctx, q, in.DisbursementID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &disbursementOutput{Body: disbursementOf(row)}, nil
}

// releaseReturned says that a person wants returned money sent again, and the bill
// that it was for paid.
func releaseReturned(ctx context.Context, q *queries.Queries, id uuid.UUID) (queries.EscrowDisbursement, error) {
	row, err := q.LockDisbursement(ctx, id)
	if err != nil {
		return row, fmt.Errorf("lock disbursement: %w", err)
	}
	if row.Status != queries.EscrowDisbursementStatusReturned {
		return row, conflict("Only money that came back can be sent again; this is " + string(row.Status) + ".")
	}
	if row.ReleasedBy != nil {
		return row, nil
	}
	if row.BillID != nil {
		bill, err := q.LockEscrowBill(ctx, *row.BillID)
		if err != nil {
			return row, fmt.Errorf("lock escrow bill: %w", err)
		}
		if bill.Status != queries.EscrowBillStatusHeld {
			return row, conflict("Its bill is " + string(bill.Status) + ": nothing is to be sent again.")
		}
		if _, err := release(ctx, q, bill); err != nil {
			return row, err
		}
		if row, err = q.GetDisbursement(ctx, id); err != nil {
			return row, fmt.Errorf("get disbursement: %w", err)
		}
		return row, nil
	}
	if row, err = q.MarkDisbursementReleased(ctx, PrincipalOf(ctx).ID, id); err != nil {
		return row, fmt.Errorf("mark disbursement released: %w", err)
	}
	return row, nil
}

// escrowReturn is money that came back, as the API shows it.
type escrowReturn struct {
	ReturnID       uuid.UUID                  `json:"return_id" format:"uuid"`
	DisbursementID uuid.UUID                  `json:"disbursement_id" format:"uuid"`
	Status         queries.EscrowReturnStatus `json:"status" enum:"requested,posted,rejected" doc:"requested: stored, and waiting. posted: the money is in escrow again. rejected: refused by a rule; nothing has changed."`
	ReturnedOn     date                       `json:"returned_on"`
	Reason         string                     `json:"reason"`
	Refusal        string                     `json:"refusal,omitzero" doc:"The rule that refused it; only with status rejected."`
	RequestedBy    string                     `json:"requested_by"`
	CreatedAt      time.Time                  `json:"created_at"`
	PostedAt       time.Time                  `json:"posted_at,omitzero"`
}

// acceptedReturn shows a return as it was first answered, for ever.
func acceptedReturn(row queries.EscrowReturn) escrowReturn {
	return escrowReturn{
		ReturnID: row.ID, DisbursementID: row.DisbursementID, Status: queries.EscrowReturnStatusRequested,
		ReturnedOn: date{row.ReturnedOn}, Reason: row.Reason, RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

type returnDisbursementInput struct {
	DisbursementPath
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body moneyBack
}

type moneyBack struct {
	ReturnedOn date   `json:"returned_on" doc:"The day on which the money came back; not before it left, and not after today (UTC)."`
	Reason     string `json:"reason" minLength:"1" maxLength:"200" doc:"A NACHA return code, or why: for the record."`
}

type returnDisbursementOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       escrowReturn
}

func (s *Server) returnDisbursement(
	ctx context.Context, in *returnDisbursementInput,
) (*returnDisbursementOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	if in.Body.ReturnedOn.Date > mortgage.DateOf(time.Now()) {
		return nil, invalid(inBody("/returned_on", "must not be after today"))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make return id: %w", err)
	}
	hash, err := fingerprint("return-escrow-disbursement", in.DisbursementID.String(), &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertEscrowReturnParams{
		ID: id, DisbursementID: in.DisbursementID, ReturnedOn: in.Body.ReturnedOn.Date, Reason: in.Body.Reason,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.EscrowReturn, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptReturn(ctx, tx, arg)
				return err
			})
			return row, err
		},
		func() (queries.EscrowReturn, error) {
			return s.q.GetEscrowReturnByKey(ctx, arg.RequestedBy, arg.IdempotencyKey)
		},
		func(row queries.EscrowReturn) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return &returnDisbursementOutput{
		Location: "/v1/escrow-returns/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: acceptedReturn(row),
	}, nil
}

// acceptReturn stores the wish and enqueues the work. It returns errKeyTaken, and
// stores nothing, when the idempotency key is taken.
func (s *Server) acceptReturn(
	ctx context.Context, tx pgx.Tx, arg queries.InsertEscrowReturnParams,
) (queries.EscrowReturn, error) {
	q := queries.New(tx)
	out, err := q.GetDisbursement(ctx, arg.DisbursementID)
	if err != nil {
		return queries.EscrowReturn{}, noDisbursement(err)
	}
	row, err := q.InsertEscrowReturn(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert return: %w", err)
	}
	if out.Status == queries.EscrowDisbursementStatusReturned {
		return row, conflict("The money came back before.")
	}
	if arg.ReturnedOn < out.PaidOn {
		return row, invalid(inBody("/returned_on", "must not be before the money left"))
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.ReturnDisbursementArgs{ReturnID: row.ID}, nil); err != nil {
		return row, fmt.Errorf("enqueue return: %w", err)
	}
	return row, nil
}

type getEscrowReturnInput struct {
	ReturnID uuid.UUID `path:"return_id" format:"uuid"`
	Prefer   string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getEscrowReturnOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is requested."`
	Body       escrowReturn
}

func (s *Server) getEscrowReturn(ctx context.Context, in *getEscrowReturnInput) (*getEscrowReturnOutput, error) {
	row, err := s.findEscrowReturn(ctx, in.ReturnID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if row.Status == queries.EscrowReturnStatusRequested && atMost > 0 {
		s.escrowReturns.wait(ctx, row.ID, atMost)
		if row, err = s.findEscrowReturn(ctx, in.ReturnID); err != nil {
			return nil, err
		}
	}
	out := &getEscrowReturnOutput{Applied: applied, RetryAfter: "", Body: acceptedReturn(row)}
	out.Body.Status, out.Body.Refusal = row.Status, textOr(row.Refusal)
	if row.PostedAt != nil {
		out.Body.PostedAt = row.PostedAt.UTC()
	}
	if row.Status == queries.EscrowReturnStatusRequested {
		out.RetryAfter = "1"
	}
	return out, nil
}

func (s *Server) findEscrowReturn(ctx context.Context, id uuid.UUID) (queries.EscrowReturn, error) {
	row, err := s.q.GetEscrowReturn(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such return.")
	}
	if err != nil {
		return row, fmt.Errorf("get return: %w", err)
	}
	return row, nil
}
