package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeEscrowDisbursements() {
	tags := []string{"escrow disbursements"}
	register(s, ScopeEscrowDisburse, huma.Operation{
		OperationID: "disburse-escrow", Method: http.MethodPost, Path: "/v1/escrow-disbursements", Tags: tags,
		Summary: "Pay what is due from escrow",
		Description: "Pays the bills of all loans that are to be paid by the day, those that were expected and have not " +
			"come as well, and refunds that are due. What an account lacks the servicer advances. The close of a day does " +
			"the same. A day may be paid again: nothing is paid twice. How far it has come is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.disburseEscrow)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-escrow-disbursements", Method: http.MethodGet, Path: "/v1/escrow-disbursements", Tags: tags,
		Summary: "List disbursements of all loans, the latest first",
	}, s.listDisbursements)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-loan-escrow-disbursements", Method: http.MethodGet,
		Path: "/v1/loans/{loan_id}/escrow-disbursements", Tags: tags,
		Summary: "List a loan's disbursements, the latest first", Errors: []int{http.StatusNotFound},
	}, s.listLoanDisbursements)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "get-escrow-disbursement", Method: http.MethodGet,
		Path: "/v1/escrow-disbursements/{disbursement_id}", Tags: tags,
		Summary: "Get a disbursement", Errors: []int{http.StatusNotFound},
	}, s.getDisbursement)
	register(s, ScopeEscrowDisburse, huma.Operation{
		OperationID: "confirm-escrow-disbursement", Method: http.MethodPost,
		Path: "/v1/escrow-disbursements/{disbursement_id}/confirmation", Tags: tags,
		Summary:     "Say that the money arrived",
		Description: "Of money that was sent. Saying so twice is saying so once.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.confirmDisbursement)
	register(s, ScopeEscrowDisburse, huma.Operation{
		OperationID: "return-escrow-disbursement", Method: http.MethodPost,
		Path: "/v1/escrow-disbursements/{disbursement_id}/return", Tags: tags,
		Summary: "Say that the money came back",
		Description: "It is booked back into the loan's escrow as of the day. Its bill is unpaid again, and held until a " +
			"person releases it; a refund is not sent again until it is released. The outcome is at the Location.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.returnDisbursement)
	register(s, ScopeEscrowDisburse, huma.Operation{
		OperationID: "release-escrow-disbursement", Method: http.MethodPost,
		Path: "/v1/escrow-disbursements/{disbursement_id}/release", Tags: tags,
		Summary:     "Have returned money sent again",
		Description: "By the next run, as another disbursement. The bill that it was for is released with it.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.releaseDisbursement)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "get-escrow-return", Method: http.MethodGet, Path: "/v1/escrow-returns/{return_id}", Tags: tags,
		Summary: "Get what became of returned money",
		Description: "With Prefer: wait=N the answer comes when it is booked back or rejected, or after N seconds, of " +
			"which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getEscrowReturn)
}

type disburseEscrowInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body disbursingDay
}

type disbursingDay struct {
	AsOfOn date `json:"as_of_on" doc:"The day on which the money leaves; not after today (UTC)."`
}

func (s *Server) disburseEscrow(ctx context.Context, in *disburseEscrowInput) (*closeDayOutput, error) {
	return s.requestRun(ctx, runWish{
		kind: queries.RunKindDisburseEscrow, operation: "disburse-escrow", path: "/v1/escrow-disbursements",
		key: in.Key, body: dayClose(in.Body),
		job: func(id uuid.UUID) river.JobArgs { return jobs.DisburseEscrowArgs{RunID: id} },
	})
}

// disbursement is money that leaves an escrow account, as the API shows it.
type disbursement struct {
	DisbursementID uuid.UUID                        `json:"disbursement_id" format:"uuid"`
	LoanID         int64                            `json:"loan_id"`
	Kind           queries.EscrowDisbursementKind   `json:"kind" enum:"bill,surplus_refund,payoff_refund"`
	Status         queries.EscrowDisbursementStatus `json:"status" enum:"scheduled,sent,confirmed,returned,stale" doc:"scheduled: in the loan's books, and in no file yet. sent: in a file. confirmed: it arrived. returned: it came back. stale: sent, and nobody has said for too long that it arrived."`
	BillID         *uuid.UUID                       `json:"bill_id,omitzero" nullable:"false" format:"uuid"`
	AnalysisID     *uuid.UUID                       `json:"analysis_id,omitzero" nullable:"false" format:"uuid" doc:"That found the surplus."`
	Payee          string                           `json:"payee"`
	AmountCents    mortgage.Cents                   `json:"amount_cents"`
	AdvancedCents  mortgage.Cents                   `json:"advanced_cents" doc:"The servicer's own money, as it was decided."`
	Rule           string                           `json:"rule" doc:"What asks for it."`
	DueOn          date                             `json:"due_on"`
	PaidOn         date                             `json:"paid_on" doc:"The day as of which it left the account."`
	FileID         *uuid.UUID                       `json:"file_id,omitzero" nullable:"false" format:"uuid"`
	SentAt         time.Time                        `json:"sent_at,omitzero"`
	ConfirmedAt    time.Time                        `json:"confirmed_at,omitzero"`
	ReturnedOn     date                             `json:"returned_on,omitzero"`
	ReturnReason   string                           `json:"return_reason,omitzero"`
	ReleasedBy     string                           `json:"released_by,omitzero" doc:"Who wants returned money sent again."`
	CausedBy       string                           `json:"caused_by" doc:"The run that paid it."`
	PostedAt       time.Time                        `json:"posted_at"`
}

func disbursementOf(row queries.EscrowDisbursement) disbursement {
	shown := disbursement{
		DisbursementID: row.ID, LoanID: row.LoanID, Kind: row.Kind, Status: row.Status, BillID: row.BillID,
		AnalysisID: row.AnalysisID, Payee: row.Payee, AmountCents: row.AmountCents, AdvancedCents: row.AdvancedCents,
		Rule: row.Rule, DueOn: date{row.DueOn}, PaidOn: date{row.PaidOn}, FileID: row.FileID,
		ReturnedOn: date{row.ReturnedOn}, ReturnReason: textOr(row.ReturnReason), ReleasedBy: textOr(row.ReleasedBy),
		CausedBy: row.CausedBy, PostedAt: row.PostedAt.UTC(),
	}
	if row.SentAt != nil {
		shown.SentAt = row.SentAt.UTC()
	}
	if row.ConfirmedAt != nil {
		shown.ConfirmedAt = row.ConfirmedAt.UTC()
	}
	return shown
}

type listDisbursementsInput struct {
	Status queries.EscrowDisbursementStatus `query:"status" enum:"scheduled,sent,confirmed,returned,stale"`
	Kind   queries.EscrowDisbursementKind   `query:"kind" enum:"bill,surplus_refund,payoff_refund"`
	FileID string                           `query:"file_id" format:"uuid" doc:"Only those in this file."`
	Page
}

type listLoanDisbursementsInput struct {
	LoanPath
	Status queries.EscrowDisbursementStatus `query:"status" enum:"scheduled,sent,confirmed,returned,stale"`
	Page
}

type listDisbursementsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body disbursementPage
}

type disbursementPage struct {
	Data       []disbursement `json:"data"`
	NextCursor string         `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listDisbursements(ctx context.Context, in *listDisbursementsInput) (*listDisbursementsOutput, error) {
	arg := queries.ListEscrowDisbursementsParams{
		BeforeID: uuid.Max, LoanID: nil, Status: nil, Kind: nil, FileID: nil, RowLimit: in.Limit + 1,
	}
	more := url.Values{}
	if in.Status != "" {
		arg.Status = &in.Status
		more.Set("status", string(in.Status))
	}
	if in.Kind != "" {
		arg.Kind = &in.Kind
		more.Set("kind", string(in.Kind))
	}
	if in.FileID != "" {
		file, err := uuid.Parse(in.FileID)
		if err != nil {
			return nil, invalid(inParameter("file_id", "must be a UUID"))
		}
		arg.FileID = &file
		more.Set("file_id", file.String())
	}
	return s.pageOfDisbursements(ctx, in.Page, arg, "/v1/escrow-disbursements", more)
}

func (s *Server) listLoanDisbursements(
	ctx context.Context, in *listLoanDisbursementsInput,
) (*listDisbursementsOutput, error) {
	if _, err := s.findLoan(ctx, in.LoanID); err != nil {
		return nil, err
	}
	arg := queries.ListEscrowDisbursementsParams{
		BeforeID: uuid.Max, LoanID: &in.LoanID, Status: nil, Kind: nil, FileID: nil, RowLimit: in.Limit + 1,
	}
	more := url.Values{}
	if in.Status != "" {
		arg.Status = &in.Status
		more.Set("status", string(in.Status))
	}
	path := "/v1/loans/" + strconv.FormatInt(in.LoanID, 10) + "/escrow-disbursements"
	return s.pageOfDisbursements(ctx, in.Page, arg, path, more)
}

func (s *Server) pageOfDisbursements(
	ctx context.Context, page Page, arg queries.ListEscrowDisbursementsParams, path string, more url.Values,
) (*listDisbursementsOutput, error) {
	var err error
	if arg.BeforeID, err = page.beforeID(); err != nil {
		return nil, err
	}
	rows, err := s.q.ListEscrowDisbursements(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("list disbursements: %w", err)
	}
	rows, next := cut(rows, page.Limit, func(d queries.EscrowDisbursement) string { return d.ID.String() })
	out := &listDisbursementsOutput{Body: disbursementPage{Data: []disbursement{}}}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, disbursementOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = page.linkToNext(path, next, more)
	}
	return out, nil
}

// DisbursementPath is the part of a request's path that names a disbursement.
type DisbursementPath struct {
	DisbursementID uuid.UUID `path:"disbursement_id" format:"uuid"`
}

type disbursementInput struct{ DisbursementPath }

type disbursementOutput struct{ Body disbursement }

func (s *Server) getDisbursement(ctx context.Context, in *disbursementInput) (*disbursementOutput, error) {
	row, err := s.q.GetDisbursement(ctx, in.DisbursementID)
	if err != nil {
		return nil, noDisbursement(err)
	}
	return &disbursementOutput{Body: disbursementOf(row)}, nil
}

func noDisbursement(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound("There is no such disbursement.")
	}
	return fmt.Errorf("get disbursement: %w", err)
}
