package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeLoans() {
	register(s, ScopeLoansWrite, huma.Operation{
		OperationID: "board-loan", Method: http.MethodPost, Path: "/v1/loans", Tags: []string{"loans"},
		Summary: "Board a loan",
		Description: "Stores a loan with its opening balances and opens its books. Boarding moves no money. With an " +
			"Idempotency-Key a repeated request gets the first answer again.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.boardLoan)
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "list-loans", Method: http.MethodGet, Path: "/v1/loans", Tags: []string{"loans"},
		Summary: "List loans, in the order in which they were boarded",
	}, s.listLoans)
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "get-loan", Method: http.MethodGet, Path: "/v1/loans/{loan_id}", Tags: []string{"loans"},
		Summary: "Get a loan", Errors: []int{http.StatusNotFound},
	}, s.getLoan)
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "list-transactions", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/transactions",
		Tags: []string{"loans"}, Errors: []int{http.StatusNotFound},
		Summary:     "List a loan's transactions, the oldest or the newest first",
		Description: "The loan's books. Debits are positive, and the accounts of a transaction sum to zero.",
	}, s.listTransactions)
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "get-schedule", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/schedule", Tags: []string{"loans"},
		Summary: "Get a loan's coming installments",
		Description: "Computed from the balances of this moment, as if each installment were paid when due and nothing " +
			"else happened.",
		Errors: []int{http.StatusNotFound},
	}, s.getSchedule)
}

// LoanPath is the part of a request's path that names a loan.
type LoanPath struct {
	// 2^53-1 is the largest number that every client can hold.
	LoanID int64 `path:"loan_id" minimum:"1" maximum:"9007199254740991"`
}

// loan is the path of the loan, followed by what is below it.
func (p LoanPath) path(below string) string {
	return "/v1/loans/" + strconv.FormatInt(p.LoanID, 10) + below
}

type listLoansInput struct {
	Page
	LoanNumber string `query:"loan_number" maxLength:"40" doc:"Only the loan with this number."`
	Q          string `query:"q" minLength:"2" maxLength:"100" doc:"Only loans whose number, or whose own or a borrower's name, begins like this; capital letters in names do not count."`
}

// read reads one more than a page of the loans that are wanted.
func (in *listLoansInput) read(ctx context.Context, q *queries.Queries, after int64) ([]queries.Loan, error) {
	if in.Q == "" {
		arg := queries.ListLoansParams{AfterID: after, LoanNumber: nil, RowLimit: in.Limit + 1}
		if in.LoanNumber != "" {
			arg.LoanNumber = &in.LoanNumber
		}
		return q.ListLoans(ctx, arg)
	}
	if in.LoanNumber != "" {
		return nil, invalid(inParameter("q", "goes without loan_number"))
	}
	// Nothing that begins with a text comes after it and the last character there is.
	name := strings.ToLower(in.Q)
	ids, err := q.ListIDsOfLoansLike(ctx, queries.ListIDsOfLoansLikeParams{
		AfterID: after, NumberFrom: in.Q, NumberTo: in.Q + string(utf8.MaxRune), NameFrom: name,
		NameTo: name + string(utf8.MaxRune), RowLimit: in.Limit + 1,
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return q.ListLoansByID(ctx, ids)
}

type listLoansOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body loanPage
}

type loanPage struct {
	Data       []loan `json:"data"`
	NextCursor string `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listLoans(ctx context.Context, in *listLoansInput) (*listLoansOutput, error) {
	after, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	rows, err := in.read(ctx, s.q, after)
	if err != nil {
		return nil, fmt.Errorf("list loans: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(l queries.Loan) string { return strconv.FormatInt(l.ID, 10) })
	out := &listLoansOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, loanOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/loans", next, filters("loan_number", in.LoanNumber, "q", in.Q))
	}
	return out, nil
}

type getLoanInput struct{ LoanPath }

type getLoanOutput struct{ Body loan }

func (s *Server) getLoan(ctx context.Context, in *getLoanInput) (*getLoanOutput, error) {
	row, err := s.findLoan(ctx, in.LoanID)
	if err != nil {
		return nil, err
	}
	out := &getLoanOutput{Body: loanOf(row)}
	if err := s.addParties(ctx, &out.Body, row); err != nil {
		return nil, err
	}
	return out, nil
}

// findLoan returns the loan, or the problem that there is none.
func (s *Server) findLoan(ctx context.Context, id int64) (queries.Loan, error) {
	row, err := s.q.GetLoan(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such loan.")
	}
	if err != nil {
		return row, fmt.Errorf("get loan: %w", err)
	}
	return row, nil
}

// addParties completes a loan with its borrowers, its property and its escrow lines.
func (s *Server) addParties(ctx context.Context, l *loan, row queries.Loan) error {
	house, err := s.q.GetProperty(ctx, row.PropertyID)
	if err != nil {
		return fmt.Errorf("get property: %w", err)
	}
	l.Property = &property{Street: house.Street, City: house.City, State: house.State, PostalCode: house.PostalCode}
	people, err := s.q.ListLoanBorrowers(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list borrowers: %w", err)
	}
	for _, p := range people {
		l.Borrowers = append(l.Borrowers, borrower{FullName: p.FullName, Email: p.Email, Phone: p.Phone, Role: p.Role})
	}
	arm, err := s.q.GetARMTerms(ctx, row.ID)
	switch {
	case err == nil:
		l.ARM = armTermsOf(&arm)
	case !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("get adjustable-rate terms: %w", err)
	}
	lines, err := s.q.ListEscrowLines(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list escrow lines: %w", err)
	}
	l.EscrowLines = []storedLine{}
	for i := range lines {
		l.EscrowLines = append(l.EscrowLines, storedLineOf(&lines[i]))
	}
	return nil
}
