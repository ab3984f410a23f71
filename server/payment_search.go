package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// searchWindow is how many rows a search reads at most that no index narrows.
const searchWindow = 20_000

// windowNote is said of lists that are searched window by window.
const windowNote = "What has no index is looked for among the latest 20,000 at a time: such a page may have fewer " +
	"items than the limit, or none, and more follow by its next_cursor."

func (s *Server) routePaymentSearch() {
	register(s, ScopePaymentsRead, huma.Operation{
		OperationID: "search-payments", Method: http.MethodGet, Path: "/v1/payments", Tags: []string{"payments"},
		Summary: "List the payments of all loans, the latest first", Description: windowNote,
	}, s.searchPayments)
}

type searchPaymentsInput struct {
	Page
	Status       queries.PaymentStatus  `query:"status" enum:"received,posted,rejected,reversed"`
	Channel      queries.PaymentChannel `query:"channel" enum:"portal,ach,lockbox,wire,check,phone,branch"`
	LoanNumber   string                 `query:"loan_number" maxLength:"40" doc:"Only those of the loan with this number."`
	ExternalRef  string                 `query:"external_ref" maxLength:"100" doc:"Only those with this reference."`
	ReceivedFrom date                   `query:"received_from" doc:"Only those received on this day or later."`
	ReceivedTo   date                   `query:"received_to" doc:"Only those received on this day or earlier."`
}

// filters are the parameters that narrow the list, for the address of the next page.
func (in *searchPaymentsInput) filters() url.Values {
	return filters("status", string(in.Status), "channel", string(in.Channel), "loan_number", in.LoanNumber,
		"external_ref", in.ExternalRef, "received_from", dayText(in.ReceivedFrom), "received_to", dayText(in.ReceivedTo))
}

// dayText is a day as a parameter; nothing where there is none.
func dayText(d date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func (s *Server) searchPayments(ctx context.Context, in *searchPaymentsInput) (*listPaymentsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, next, err := s.findPayments(ctx, in, before)
	if err != nil {
		return nil, err
	}
	if len(rows) > int(in.Limit) {
		rows, next = cut(rows, in.Limit, func(p queries.Payment) string { return p.ID.String() })
	}
	out := &listPaymentsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, paymentOf(row))
	}
	if err := s.addReversals(ctx, out.Body.Data); err != nil {
		return nil, err
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/payments", next, in.filters())
	}
	return out, nil
}

// The days between which a payment can be received.
var firstDay, lastDay = mustDay(1970, 1, 1), mustDay(2199, 12, 31)

func mustDay(year, month, day int) mortgage.Date {
	d, err := mortgage.NewDate(year, month, day)
	if err != nil {
		panic(err) // It is in the calendar.
	}
	return d
}

// findPayments reads at most one more than a page of the payments that are wanted, by
// the index that narrows them most. Where none does it reads a window of them, and next
// is where the next window begins.
func (s *Server) findPayments(
	ctx context.Context, in *searchPaymentsInput, before uuid.UUID,
) (rows []queries.Payment, next string, err error) {
	from, to := cmp.Or(in.ReceivedFrom.Date, firstDay), cmp.Or(in.ReceivedTo.Date, lastDay)
	status, channel, most := string(in.Status), string(in.Channel), in.Limit+1
	loan, found, err := s.loanOfNumber(ctx, in.LoanNumber)
	if err != nil || in.LoanNumber != "" && !found {
		return nil, "", err
	}
	switch {
	case in.ExternalRef != "":
		rows, err = s.q.ListPaymentsByReference(ctx, queries.ListPaymentsByReferenceParams{
			ExternalRef: in.ExternalRef, LoanID: loan, BeforeID: before, Status: status, Channel: channel,
			ReceivedFrom: from, ReceivedTo: to, RowLimit: most,
		})
	case in.LoanNumber != "":
		rows, err = s.q.ListPaymentsOfLoan(ctx, queries.ListPaymentsOfLoanParams{
			LoanID: loan, BeforeID: before, Status: status, Channel: channel, ReceivedFrom: from, ReceivedTo: to, RowLimit: most,
		})
	case in.Status == queries.PaymentStatusRejected:
		rows, err = s.q.ListRejectedPayments(ctx, queries.ListRejectedPaymentsParams{
			BeforeID: before, Channel: channel, ReceivedFrom: from, ReceivedTo: to, RowLimit: most,
		})
	case in.Status == queries.PaymentStatusReversed:
		rows, err = s.q.ListReversedPayments(ctx, queries.ListReversedPaymentsParams{
			BeforeID: before, Channel: channel, ReceivedFrom: from, ReceivedTo: to, RowLimit: most,
		})
	default:
		return s.findPaymentsInWindow(ctx, queries.ListPaymentsInWindowParams{
			BeforeID: before, FromID: uuid.Nil, Status: status, Channel: channel, ReceivedFrom: from, ReceivedTo: to,
			RowLimit: most,
		})
	}
	if err != nil {
		return nil, "", fmt.Errorf("find payments: %w", err)
	}
	return rows, "", nil
}

// loanOfNumber returns the id of the loan with the number, and whether there is one.
func (s *Server) loanOfNumber(ctx context.Context, number string) (id int64, found bool, err error) {
	if number == "" {
		return 0, false, nil
	}
	rows, err := s.q.ListLoans(ctx, queries.ListLoansParams{AfterID: 0, LoanNumber: &number, RowLimit: 1})
	if err != nil {
		return 0, false, fmt.Errorf("find loan: %w", err)
	}
	if len(rows) == 0 {
		return 0, false, nil
	}
	return rows[0].ID, true, nil
}

func (s *Server) findPaymentsInWindow(
	ctx context.Context, arg queries.ListPaymentsInWindowParams,
) (rows []queries.Payment, next string, err error) {
	last, err := s.q.GetPaymentWindow(ctx, arg.BeforeID, searchWindow-1)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, "", fmt.Errorf("get window: %w", err)
	}
	if err == nil {
		arg.FromID, next = last, cursorText(last.String())
	}
	if rows, err = s.q.ListPaymentsInWindow(ctx, arg); err != nil {
		return nil, "", fmt.Errorf("find payments: %w", err)
	}
	return rows, next, nil
}
