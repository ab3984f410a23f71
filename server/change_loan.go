package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

type changeRateInput struct {
	LoanPath
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body rateChange
}

type rateChange struct {
	DueOn                     date            `json:"due_on" doc:"The first installment that bears interest at the new rate."`
	IndexPpm                  *mortgage.Rate  `json:"index_ppm,omitzero" nullable:"false" minimum:"-1000000" maximum:"1000000" doc:"The index of the change date, for a loan with an adjustable rate. It takes the place of the other two."`
	RatePpm                   *mortgage.Rate  `json:"rate_ppm,omitzero" nullable:"false" minimum:"0" maximum:"1000000"`
	PrincipalAndInterestCents *mortgage.Cents `json:"principal_and_interest_cents,omitzero" nullable:"false" minimum:"1" maximum:"100000000000" doc:"The payment from the same installment on."`
	Reason                    string          `json:"reason" minLength:"1" maxLength:"200" doc:"For the record."`
}

type changePaymentInput struct {
	LoanPath
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body paymentChange
}

type paymentChange struct {
	DueOn                     date            `json:"due_on" doc:"The first installment that is changed."`
	PrincipalAndInterestCents *mortgage.Cents `json:"principal_and_interest_cents,omitzero" nullable:"false" minimum:"1" maximum:"100000000000"`
	EscrowPaymentCents        *mortgage.Cents `json:"escrow_payment_cents,omitzero" nullable:"false" minimum:"0" maximum:"10000000000"`
	Reason                    string          `json:"reason" minLength:"1" maxLength:"200" doc:"For the record."`
}

type waiveLateChargeInput struct {
	LoanPath
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body lateChargeWaiver
}

type lateChargeWaiver struct {
	DueOn  date   `json:"due_on" doc:"The installment that is not charged."`
	Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"For the record."`
}

// changeWish is what any of the three asks for.
type changeWish struct {
	kind            queries.LoanChangeKind
	dueOn           date
	index, rate     *mortgage.Rate
	payment, escrow *mortgage.Cents
	reason          string
}

type changeLoanOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       loanChange
}

func (s *Server) changeRate(ctx context.Context, in *changeRateInput) (*changeLoanOutput, error) {
	b := &in.Body
	stated := b.RatePpm != nil
	if stated != (b.PrincipalAndInterestCents != nil) || stated == (b.IndexPpm != nil) {
		const either = "either rate_ppm and principal_and_interest_cents, or index_ppm"
		return nil, invalid(inBody("/rate_ppm", either), inBody("/index_ppm", either))
	}
	return s.changeLoan(ctx, in.LoanPath, in.Key, b, changeWish{
		kind: queries.LoanChangeKindRateChange, dueOn: b.DueOn, index: b.IndexPpm, rate: b.RatePpm,
		payment: b.PrincipalAndInterestCents, reason: b.Reason,
	})
}

func (s *Server) changePayment(ctx context.Context, in *changePaymentInput) (*changeLoanOutput, error) {
	b := &in.Body
	if b.PrincipalAndInterestCents == nil && b.EscrowPaymentCents == nil {
		const one = "principal_and_interest_cents or escrow_payment_cents is needed"
		return nil, invalid(inBody("/principal_and_interest_cents", one), inBody("/escrow_payment_cents", one))
	}
	return s.changeLoan(ctx, in.LoanPath, in.Key, b, changeWish{
		kind: queries.LoanChangeKindPaymentChange, dueOn: b.DueOn,
		payment: b.PrincipalAndInterestCents, escrow: b.EscrowPaymentCents, reason: b.Reason,
	})
}

func (s *Server) waiveLateCharge(ctx context.Context, in *waiveLateChargeInput) (*changeLoanOutput, error) {
	b := &in.Body
	return s.changeLoan(ctx, in.LoanPath, in.Key, b, changeWish{
		kind: queries.LoanChangeKindLateChargeWaiver, dueOn: b.DueOn, reason: b.Reason,
	})
}

// changeLoan stores a wish that the loan be changed and enqueues the work. The
// same key of the same principal is the same wish.
func (s *Server) changeLoan(
	ctx context.Context, path LoanPath, key string, body any, wish changeWish,
) (*changeLoanOutput, error) {
	arg := queries.InsertLoanChangeParams{
		ID: uuid.Nil, LoanID: path.LoanID, Kind: wish.kind, ApprovalRequired: s.changeApproval,
		DueOn: wish.dueOn.Date, IndexPpm: wish.index, RatePpm: wish.rate,
		PrincipalAndInterestCents: wish.payment, EscrowPaymentCents: wish.escrow, Reason: wish.reason,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: "", RequestHash: nil,
	}
	var err error
	if arg.IdempotencyKey, err = parseKey(key); err != nil {
		return nil, err
	}
	if arg.ID, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("make change id: %w", err)
	}
	if arg.RequestHash, err = fingerprint("change-loan "+string(arg.Kind), path.path(""), body); err != nil {
		return nil, err
	}
	row, replayed, err := once(
		func() (row queries.LoanChange, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptLoanChange(ctx, tx, arg)
				return err
			})
			return row, err
		},
		func() (queries.LoanChange, error) {
			return s.q.GetLoanChangeByKey(ctx, arg.RequestedBy, arg.IdempotencyKey)
		},
		func(row queries.LoanChange) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return changeAccepted(acceptedChange(row), replayed), nil
}

func (s *Server) acceptLoanChange(
	ctx context.Context, tx pgx.Tx, arg queries.InsertLoanChangeParams,
) (queries.LoanChange, error) {
	q := queries.New(tx)
	loan, err := q.GetLoan(ctx, arg.LoanID)
	if errors.Is(err, pgx.ErrNoRows) {
		return queries.LoanChange{}, notFound("There is no such loan.")
	}
	if err != nil {
		return queries.LoanChange{}, fmt.Errorf("get loan: %w", err)
	}
	row, err := q.InsertLoanChange(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert loan change: %w", err)
	}
	if err := checkDueOn(&loan, arg.DueOn); err != nil {
		return row, err
	}
	if row.Status == queries.LoanChangeStatusPendingApproval {
		return row, nil
	}
	return row, s.enqueueChange(ctx, tx, row.ID)
}

func (s *Server) enqueueChange(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.ChangeLoanArgs{ChangeID: id}, nil); err != nil {
		return fmt.Errorf("enqueue loan change: %w", err)
	}
	return nil
}

func changeAccepted(shown loanChange, replayed string) *changeLoanOutput {
	out := &changeLoanOutput{
		Location: "/v1/loan-changes/" + shown.ChangeID.String(), RetryAfter: 1, Replayed: replayed, Body: shown,
	}
	if shown.Status == queries.LoanChangeStatusPendingApproval {
		out.RetryAfter = pendingRetrySeconds
	}
	return out
}

// checkDueOn refuses a day on which no installment of the loan falls due, or one
// that was satisfied before the loan was boarded.
func checkDueOn(loan *queries.Loan, dueOn mortgage.Date) error {
	on, err := dueOn.AddMonths(0, int(loan.DueDay))
	if err != nil || on != dueOn || dueOn < loan.BoardedNextDueOn || dueOn > loan.MaturityOn {
		return invalid(inBody("/due_on",
			"must be a due date of the loan, from the first since it was boarded to its maturity"))
	}
	return nil
}
