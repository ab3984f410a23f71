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

	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeLoanChanges() {
	const outcome = " A change is carried out by a job, and what was posted before and would have been otherwise is " +
		"reversed and posted again. Where the deployment demands it, the change first waits for another principal's " +
		"approval. The outcome is at the Location."
	register(s, ScopeLoansChange, huma.Operation{
		OperationID: "change-rate", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/rate-changes",
		Tags: []string{"loan changes"}, Summary: "Change a loan's rate",
		Description: "From an installment on. Its interest is that of the month before it, so that the rate accrues from " +
			"the due date before: the change date of an adjustable-rate note. Either rate_ppm with " +
			"principal_and_interest_cents, as they were disclosed, or index_ppm, from which they follow by the note." + outcome,
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound},
	}, s.changeRate)
	register(s, ScopeLoansChange, huma.Operation{
		OperationID: "change-payment", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/payment-changes",
		Tags: []string{"loan changes"}, Summary: "Change what a loan pays",
		Description:   "Principal and interest, escrow, or both, from an installment on. What is left out stays." + outcome,
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound},
	}, s.changePayment)
	register(s, ScopeLoansChange, huma.Operation{
		OperationID: "waive-late-charge", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/late-charge-waivers",
		Tags: []string{"loan changes"}, Summary: "Waive an installment's late charge",
		Description: "The books become those of a loan that was never charged it: money that paid it goes where it would " +
			"have gone. A charge that is still to come is not assessed." + outcome,
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound},
	}, s.waiveLateCharge)
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "get-loan-change", Method: http.MethodGet, Path: loanChangePath,
		Tags: []string{"loan changes"}, Summary: "Get a change of a loan",
		Description: "With Prefer: wait=N the answer comes when the change is posted, rejected or refused, or after N " +
			"seconds, of which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getLoanChange)
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "list-loan-changes-by-status", Method: http.MethodGet, Path: "/v1/loan-changes",
		Tags: []string{"loan changes"}, Summary: "List changes of all loans with a status, the latest first",
		Description: "With status=pending_approval, what waits for another principal.",
	}, s.listLoanChangesByStatus)
	s.routeLoanChangeDecisions()
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "list-loan-changes", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/changes",
		Tags: []string{"loan changes"}, Summary: "List a loan's changes, the latest first",
		Errors: []int{http.StatusNotFound},
	}, s.listLoanChanges)
}

const loanChangePath = "/v1/loan-changes/{change_id}"

// loanChange is a change of a loan's terms, as the API shows it.
type loanChange struct {
	ChangeID                  uuid.UUID                `json:"change_id" format:"uuid"`
	LoanID                    int64                    `json:"loan_id"`
	Kind                      queries.LoanChangeKind   `json:"kind" enum:"rate_change,payment_change,late_charge_waiver"`
	Status                    queries.LoanChangeStatus `json:"status" enum:"pending_approval,requested,posted,rejected,refused" doc:"pending_approval: stored, and waiting for another principal. requested: waiting to be posted. posted: it counts. rejected: refused by a rule; the loan is unchanged. refused: by the principal who decided; the loan is unchanged."`
	DueOn                     date                     `json:"due_on" doc:"The first installment that is changed, or the one that is not charged."`
	IndexPpm                  *mortgage.Rate           `json:"index_ppm,omitzero" nullable:"false"`
	RatePpm                   *mortgage.Rate           `json:"rate_ppm,omitzero" nullable:"false"`
	PrincipalAndInterestCents *mortgage.Cents          `json:"principal_and_interest_cents,omitzero" nullable:"false"`
	EscrowPaymentCents        *mortgage.Cents          `json:"escrow_payment_cents,omitzero" nullable:"false"`
	Reason                    string                   `json:"reason"`
	Refusal                   string                   `json:"refusal,omitzero" doc:"The rule that refused it; only with status rejected."`
	RequestedBy               string                   `json:"requested_by"`
	CreatedAt                 time.Time                `json:"created_at"`
	DecidedBy                 string                   `json:"decided_by,omitzero" doc:"Who approved or refused it, where that was needed."`
	DecidedAt                 time.Time                `json:"decided_at,omitzero"`
	DecisionNote              string                   `json:"decision_note,omitzero"`
	PostedAt                  time.Time                `json:"posted_at,omitzero"`
}

// acceptedChange shows a change as it was first answered, for ever: what an index
// leads to is not known then.
func acceptedChange(row queries.LoanChange) loanChange {
	shown := loanChange{
		ChangeID: row.ID, LoanID: row.LoanID, Kind: row.Kind, Status: queries.LoanChangeStatusRequested,
		DueOn: date{row.DueOn}, IndexPpm: row.IndexPpm, EscrowPaymentCents: row.EscrowPaymentCents, Reason: row.Reason,
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
	if row.ApprovalRequired {
		shown.Status = queries.LoanChangeStatusPendingApproval
	}
	if row.IndexPpm == nil {
		shown.RatePpm, shown.PrincipalAndInterestCents = row.RatePpm, row.PrincipalAndInterestCents
	}
	return shown
}

// loanChangeOf shows a change as it is now.
func loanChangeOf(row queries.LoanChange) loanChange {
	shown := decidedChange(row)
	shown.Status, shown.RatePpm, shown.PrincipalAndInterestCents = row.Status, row.RatePpm, row.PrincipalAndInterestCents
	shown.Refusal, shown.PostedAt = textOf(row.Refusal), instantOf(row.PostedAt)
	return shown
}

type getLoanChangeInput struct {
	ChangeID uuid.UUID `path:"change_id" format:"uuid"`
	Prefer   string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getLoanChangeOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is requested."`
	Body       loanChange
}

func (s *Server) getLoanChange(ctx context.Context, in *getLoanChangeInput) (*getLoanChangeOutput, error) {
	row, err := s.findLoanChange(ctx, in.ChangeID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if lookAtChangeAfter(row.Status) > 0 && atMost > 0 {
		s.changes.wait(ctx, row.ID, atMost)
		if row, err = s.findLoanChange(ctx, in.ChangeID); err != nil {
			return nil, err
		}
	}
	out := &getLoanChangeOutput{Applied: applied, RetryAfter: "", Body: loanChangeOf(row)}
	if after := lookAtChangeAfter(row.Status); after > 0 {
		out.RetryAfter = strconv.Itoa(after)
	}
	return out, nil
}

// lookAtChangeAfter returns after how many seconds to look at a change again, 0
// when it is over.
func lookAtChangeAfter(status queries.LoanChangeStatus) int {
	switch status {
	case queries.LoanChangeStatusPendingApproval:
		return pendingRetrySeconds
	case queries.LoanChangeStatusRequested:
		return 1
	default:
		return 0
	}
}

func (s *Server) findLoanChange(ctx context.Context, id uuid.UUID) (queries.LoanChange, error) {
	row, err := s.q.GetLoanChange(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, noLoanChange()
	}
	if err != nil {
		return row, fmt.Errorf("get loan change: %w", err)
	}
	return row, nil
}

func noLoanChange() *problem { return notFound("There is no such change.") }

type listLoanChangesInput struct {
	LoanPath
	Page
}

type listLoanChangesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body loanChangePage
}

type loanChangePage struct {
	Data       []loanChange `json:"data"`
	NextCursor string       `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listLoanChanges(ctx context.Context, in *listLoanChangesInput) (*listLoanChangesOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListLoanChanges(ctx, queries.ListLoanChangesParams{
		LoanID: in.LoanID, BeforeID: before, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list loan changes: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	return changesOf(rows, &in.Page, in.path("/changes"), nil), nil
}

type listLoanChangesByStatusInput struct {
	Status queries.LoanChangeStatus `query:"status" required:"true" enum:"pending_approval,requested,posted,rejected,refused"`
	Page
}

func (s *Server) listLoanChangesByStatus(
	ctx context.Context, in *listLoanChangesByStatusInput,
) (*listLoanChangesOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	var rows []queries.LoanChange
	if in.Status == queries.LoanChangeStatusPosted { // Nearly all are, and no index finds those by status.
		rows, err = s.q.ListPostedLoanChanges(ctx, before, in.Limit+1)
	} else {
		rows, err = s.q.ListOtherLoanChanges(ctx, queries.ListOtherLoanChangesParams{
			Status: in.Status, BeforeID: before, RowLimit: in.Limit + 1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list loan changes: %w", err)
	}
	return changesOf(rows, &in.Page, "/v1/loan-changes", url.Values{"status": {string(in.Status)}}), nil
}

// changesOf is a page of changes at the path.
func changesOf(rows []queries.LoanChange, page *Page, path string, filter url.Values) *listLoanChangesOutput {
	rows, next := cut(rows, page.Limit, func(row queries.LoanChange) string { return row.ID.String() })
	out := &listLoanChangesOutput{Body: loanChangePage{Data: []loanChange{}}}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, loanChangeOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = page.linkToNext(path, next, filter)
	}
	return out
}
