package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// transaction is one row of a loan's books.
type transaction struct {
	Seq         int32         `json:"seq" doc:"1, 2, 3 … without a gap."`
	Kind        mortgage.Kind `json:"kind"`
	EffectiveOn date          `json:"effective_on" doc:"As of when the borrower is credited or charged."`
	PostedAt    time.Time     `json:"posted_at" doc:"When the books changed."`
	DueOn       date          `json:"due_on,omitzero" doc:"The installment that it satisfies."`
	PaymentID   *uuid.UUID    `json:"payment_id,omitzero" nullable:"false" format:"uuid"`
	Reverses    *int32        `json:"reverses,omitzero" nullable:"false" doc:"The seq of the transaction that it undoes."`

	CashCents                  mortgage.Cents `json:"cash_cents"`
	PrincipalCents             mortgage.Cents `json:"principal_cents"`
	InterestIncomeCents        mortgage.Cents `json:"interest_income_cents"`
	EscrowCents                mortgage.Cents `json:"escrow_cents"`
	SuspenseCents              mortgage.Cents `json:"suspense_cents"`
	LateChargesReceivableCents mortgage.Cents `json:"late_charges_receivable_cents"`
	LateChargeIncomeCents      mortgage.Cents `json:"late_charge_income_cents"`
	FeesReceivableCents        mortgage.Cents `json:"fees_receivable_cents"`
	FeeIncomeCents             mortgage.Cents `json:"fee_income_cents"`
	EscrowAdvanceCents         mortgage.Cents `json:"escrow_advance_cents"`
	BoardingClearingCents      mortgage.Cents `json:"boarding_clearing_cents"`

	Rule     string `json:"rule" doc:"What put the money there."`
	CausedBy string `json:"caused_by"`
	Hash     string `json:"hash" doc:"SHA-256 over the transaction and the hash of the one before, in hexadecimal."`
}

func transactionOf(t queries.Transaction) transaction {
	return transaction{
		Seq: t.Seq, Kind: t.Kind, EffectiveOn: date{t.EffectiveOn}, PostedAt: t.PostedAt.UTC(), DueOn: date{t.DueOn},
		PaymentID: t.PaymentID, Reverses: t.Reverses,
		CashCents: t.CashCents, PrincipalCents: t.PrincipalCents, InterestIncomeCents: t.InterestIncomeCents,
		EscrowCents: t.EscrowCents, SuspenseCents: t.SuspenseCents,
		LateChargesReceivableCents: t.LateChargesReceivableCents, LateChargeIncomeCents: t.LateChargeIncomeCents,
		FeesReceivableCents: t.FeesReceivableCents, FeeIncomeCents: t.FeeIncomeCents,
		EscrowAdvanceCents: t.EscrowAdvanceCents, BoardingClearingCents: t.BoardingClearingCents,
		Rule: t.Rule, CausedBy: t.CausedBy, Hash: hex.EncodeToString(t.Hash),
	}
}

type listTransactionsInput struct {
	LoanPath
	Page
	Order string `query:"order" enum:"oldest,newest" default:"oldest" doc:"Which come first."`
}

// newest says whether the latest come first.
func (in *listTransactionsInput) newest() bool { return in.Order == "newest" }

type listTransactionsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body transactionPage
}

type transactionPage struct {
	Data       []transaction `json:"data"`
	NextCursor string        `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listTransactions(ctx context.Context, in *listTransactionsInput) (*listTransactionsOutput, error) {
	rows, err := s.readTransactions(ctx, in)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 { // A loan that exists has at least one.
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	rows, next := cut(rows, in.Limit, func(t queries.Transaction) string { return strconv.Itoa(int(t.Seq)) })
	out := &listTransactionsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, transactionOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		more := url.Values{}
		if in.newest() {
			more.Set("order", in.Order)
		}
		out.Link = in.linkToNext(in.path("/transactions"), next, more)
	}
	return out, nil
}

// readTransactions reads one more than a page of them.
func (s *Server) readTransactions(
	ctx context.Context, in *listTransactionsInput,
) (rows []queries.Transaction, err error) {
	after, err := in.afterNumber(32)
	if err != nil {
		return nil, err
	}
	if in.newest() {
		if in.Cursor == "" {
			after = math.MaxInt32
		}
		rows, err = s.q.ListLatestTransactions(ctx, queries.ListLatestTransactionsParams{
			LoanID: in.LoanID, BeforeSeq: int32(after), RowLimit: in.Limit + 1,
		})
	} else {
		rows, err = s.q.ListTransactions(ctx, queries.ListTransactionsParams{
			LoanID: in.LoanID, AfterSeq: int32(after), UpToSeq: math.MaxInt32, RowLimit: in.Limit + 1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	return rows, nil
}

type getScheduleInput struct {
	LoanPath
	Count int `query:"count" minimum:"1" maximum:"480" default:"12" doc:"How many installments at most."`
}

type getScheduleOutput struct{ Body schedule }

type schedule struct {
	Data []installment `json:"data"`
}

// installment is one coming periodic payment.
type installment struct {
	DueOn               date           `json:"due_on"`
	InterestCents       mortgage.Cents `json:"interest_cents"`
	PrincipalCents      mortgage.Cents `json:"principal_cents"`
	EscrowCents         mortgage.Cents `json:"escrow_cents"`
	TotalCents          mortgage.Cents `json:"total_cents"`
	PrincipalAfterCents mortgage.Cents `json:"principal_after_cents" doc:"Unpaid principal once it is paid."`
}

func (s *Server) getSchedule(ctx context.Context, in *getScheduleInput) (*getScheduleOutput, error) {
	row, err := s.findLoan(ctx, in.LoanID)
	if err != nil {
		return nil, err
	}
	lines, err := loanrow.Terms(&row).Schedule(loanrow.State(&row), in.Count)
	if err != nil {
		return nil, fmt.Errorf("compute schedule of loan %d: %w", row.ID, err)
	}
	out := &getScheduleOutput{}
	for _, l := range lines {
		out.Body.Data = append(out.Body.Data, installment{
			DueOn: date{l.DueOn}, InterestCents: l.Interest, PrincipalCents: l.Principal, EscrowCents: l.Escrow,
			TotalCents: l.Total(), PrincipalAfterCents: l.PrincipalAfter,
		})
	}
	return out, nil
}
