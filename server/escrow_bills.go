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

func (s *Server) routeEscrowBills() {
	tags := []string{"escrow bills"}
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "create-escrow-bill", Method: http.MethodPost, Path: "/v1/escrow-lines/{line_id}/bills", Tags: tags,
		Summary: "Enter a line's bill as it came",
		Description: "A line has one cycle of bills at a time, named by its next_due_on, which the bill's date becomes. " +
			"A property tax may be offered in installments beside one sum: what is paid follows 12 CFR 1024.17(k)(3) " +
			"and (4), and the answer has a bill for each installment. The same bill again gets the first answer again.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.createEscrowBill)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-line-bills", Method: http.MethodGet, Path: "/v1/escrow-lines/{line_id}/bills", Tags: tags,
		Summary: "List a line's bills, the latest first", Errors: []int{http.StatusNotFound},
	}, s.listLineBills)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-escrow-bills", Method: http.MethodGet, Path: "/v1/escrow-bills", Tags: tags,
		Summary:     "List bills of all loans, the latest first",
		Description: "With status=held: what waits for a person.",
	}, s.listEscrowBills)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "get-escrow-bill", Method: http.MethodGet, Path: "/v1/escrow-bills/{bill_id}", Tags: tags,
		Summary: "Get a bill", Errors: []int{http.StatusNotFound},
	}, s.getEscrowBill)
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "change-escrow-bill", Method: http.MethodPatch, Path: "/v1/escrow-bills/{bill_id}", Tags: tags,
		Summary:     "Change a bill that is not paid",
		Description: "What is left out stays. A discount of nothing takes the date of the discount away.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.changeEscrowBill)
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "cancel-escrow-bill", Method: http.MethodPost, Path: "/v1/escrow-bills/{bill_id}/cancellation",
		Tags: tags, Summary: "Cancel a bill that is not to be paid",
		Description: "With line_moves_on the line goes on to its next cycle: somebody else has paid this one. Without, " +
			"the bill was a mistake, and another one is entered or expected in its place. Canceling twice is canceling once.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.cancelEscrowBill)
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "release-escrow-bill", Method: http.MethodPost, Path: "/v1/escrow-bills/{bill_id}/release", Tags: tags,
		Summary:     "Have a held bill paid",
		Description: "The next run pays it in spite of the rule that held it, unless the loan or the line has ended.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.releaseEscrowBill)
}

// escrowBill is a bill, as the API shows it.
type escrowBill struct {
	BillID            uuid.UUID                `json:"bill_id" format:"uuid"`
	LineID            int64                    `json:"line_id"`
	LoanID            int64                    `json:"loan_id"`
	Status            queries.EscrowBillStatus `json:"status" enum:"open,held,paid,canceled" doc:"open: it is paid when its day comes. held: held_rule keeps it from being paid, and a person decides. paid: a disbursement pays it."`
	CycleOn           date                     `json:"cycle_on" doc:"Names the cycle of the line that it is of."`
	DueOn             date                     `json:"due_on"`
	DiscountOn        date                     `json:"discount_on,omitzero"`
	PenaltyOn         date                     `json:"penalty_on,omitzero"`
	AmountCents       mortgage.Cents           `json:"amount_cents"`
	DiscountCents     mortgage.Cents           `json:"discount_cents"`
	Expected          bool                     `json:"expected" doc:"No bill had come when it had to be paid; the line said what it should be."`
	InsuranceCanceled bool                     `json:"insurance_canceled"`
	HeldRule          string                   `json:"held_rule,omitzero"`
	BasisRule         string                   `json:"basis_rule,omitzero" doc:"Why a tax is paid in installments, or in one sum."`
	ReleasedBy        string                   `json:"released_by,omitzero"`
	CanceledBy        string                   `json:"canceled_by,omitzero"`
	CancelReason      string                   `json:"cancel_reason,omitzero"`
	RequestedBy       string                   `json:"requested_by"`
	CreatedAt         time.Time                `json:"created_at"`
}

func escrowBillOf(row queries.EscrowBill) escrowBill {
	return escrowBill{
		BillID: row.ID, LineID: row.LineID, LoanID: row.LoanID, Status: row.Status, CycleOn: date{row.CycleOn},
		DueOn: date{row.DueOn}, DiscountOn: date{row.DiscountOn}, PenaltyOn: date{row.PenaltyOn},
		AmountCents: row.AmountCents, DiscountCents: row.DiscountCents, Expected: row.Expected,
		InsuranceCanceled: row.InsuranceCanceled, HeldRule: textOr(row.HeldRule), BasisRule: textOr(row.BasisRule),
		ReleasedBy: textOr(row.ReleasedBy), CanceledBy: textOr(row.CanceledBy), CancelReason: textOr(row.CancelReason),
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

// textOr is what a column says that may say nothing.
func textOr(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// BilledLinePath is the part of a request's path that names a line whose bills are
// meant.
type BilledLinePath struct {
	LineID int64 `path:"line_id" minimum:"1" maximum:"9007199254740991"`
}

// EscrowBillPath is the part of a request's path that names a bill.
type EscrowBillPath struct {
	BillID uuid.UUID `path:"bill_id" format:"uuid"`
}

type listLineBillsInput struct {
	BilledLinePath
	Page
}

type listEscrowBillsInput struct {
	LoanID int64                    `query:"loan_id" minimum:"1" maximum:"9007199254740991"`
	Status queries.EscrowBillStatus `query:"status" enum:"open,held,paid,canceled"`
	Page
}

type listEscrowBillsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body escrowBillPage
}

type escrowBillPage struct {
	Data       []escrowBill `json:"data"`
	NextCursor string       `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listLineBills(ctx context.Context, in *listLineBillsInput) (*listEscrowBillsOutput, error) {
	if _, err := s.q.GetEscrowLine(ctx, in.LineID); err != nil {
		return nil, noEscrowLine(err)
	}
	path := fmt.Sprintf("/v1/escrow-lines/%d/bills", in.LineID)
	return s.listBills(ctx, in.Page, queries.ListEscrowBillsParams{
		BeforeID: uuid.Max, LineID: &in.LineID, LoanID: nil, Status: nil, RowLimit: in.Limit + 1,
	}, path, url.Values{})
}

func (s *Server) listEscrowBills(ctx context.Context, in *listEscrowBillsInput) (*listEscrowBillsOutput, error) {
	arg := queries.ListEscrowBillsParams{
		BeforeID: uuid.Max, LineID: nil, LoanID: nil, Status: nil, RowLimit: in.Limit + 1,
	}
	more := url.Values{}
	if in.LoanID != 0 {
		arg.LoanID = &in.LoanID
		more.Set("loan_id", strconv.FormatInt(in.LoanID, 10))
	}
	if in.Status != "" {
		arg.Status = &in.Status
		more.Set("status", string(in.Status))
	}
	return s.listBills(ctx, in.Page, arg, "/v1/escrow-bills", more)
}

func (s *Server) listBills(
	ctx context.Context, page Page, arg queries.ListEscrowBillsParams, path string, more url.Values,
) (*listEscrowBillsOutput, error) {
	var err error
	if arg.BeforeID, err = page.beforeID(); err != nil {
		return nil, err
	}
	rows, err := s.q.ListEscrowBills(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("list escrow bills: %w", err)
	}
	rows, next := cut(rows, page.Limit, func(b queries.EscrowBill) string { return b.ID.String() })
	out := &listEscrowBillsOutput{Body: escrowBillPage{Data: []escrowBill{}}}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, escrowBillOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = page.linkToNext(path, next, more)
	}
	return out, nil
}

type escrowBillOutput struct{ Body escrowBill }

type getEscrowBillInput struct{ EscrowBillPath }

func (s *Server) getEscrowBill(ctx context.Context, in *getEscrowBillInput) (*escrowBillOutput, error) {
	row, err := s.q.GetEscrowBill(ctx, in.BillID)
	if err != nil {
		return nil, noEscrowBill(err)
	}
	return &escrowBillOutput{Body: escrowBillOf(row)}, nil
}

func noEscrowBill(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound("There is no such bill.")
	}
	return fmt.Errorf("get escrow bill: %w", err)
}

func noEscrowLine(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound("There is no such escrow line.")
	}
	return fmt.Errorf("get escrow line: %w", err)
}
