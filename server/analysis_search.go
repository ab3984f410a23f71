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

func (s *Server) routeAnalysisSearch() {
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "search-escrow-analyses", Method: http.MethodGet, Path: "/v1/escrow-analyses",
		Tags: []string{"escrow"}, Summary: "List the escrow analyses of all loans, the latest first",
		Description: windowNote,
	}, s.searchAnalyses)
}

type searchAnalysesInput struct {
	Page
	Status     queries.EscrowAnalysisStatus `query:"status" enum:"requested,finished,rejected"`
	LoanNumber string                       `query:"loan_number" maxLength:"40" doc:"Only those of the loan with this number, whatever their status."`
}

func (s *Server) searchAnalyses(ctx context.Context, in *searchAnalysesInput) (*listEscrowAnalysesOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, next, err := s.findAnalyses(ctx, in, before)
	if err != nil {
		return nil, err
	}
	if len(rows) > int(in.Limit) {
		rows, next = cut(rows, in.Limit, func(a queries.EscrowAnalysis) string { return a.ID.String() })
	}
	out := &listEscrowAnalysesOutput{Body: escrowAnalysisPage{Data: []escrowAnalysis{}}}
	for i := range rows {
		out.Body.Data = append(out.Body.Data, escrowAnalysisOf(&rows[i], false))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/escrow-analyses", next,
			filters("status", string(in.Status), "loan_number", in.LoanNumber))
	}
	return out, nil
}

func (s *Server) findAnalyses(
	ctx context.Context, in *searchAnalysesInput, before uuid.UUID,
) (rows []queries.EscrowAnalysis, next string, err error) {
	if in.LoanNumber != "" {
		loan, found, err := s.loanOfNumber(ctx, in.LoanNumber)
		if err != nil || !found {
			return nil, "", err
		}
		rows, err = s.q.ListEscrowAnalyses(ctx, queries.ListEscrowAnalysesParams{
			LoanID: loan, BeforeID: before, RowLimit: in.Limit + 1,
		})
		return rows, "", err
	}
	arg := queries.ListAnalysesInWindowParams{
		BeforeID: before, FromID: uuid.Nil, Status: string(in.Status), RowLimit: in.Limit + 1,
	}
	last, err := s.q.GetAnalysisWindow(ctx, before, searchWindow-1)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, "", fmt.Errorf("get window: %w", err)
	}
	if err == nil {
		arg.FromID, next = last, cursorText(last.String())
	}
	if rows, err = s.q.ListAnalysesInWindow(ctx, arg); err != nil {
		return nil, "", fmt.Errorf("find analyses: %w", err)
	}
	return rows, next, nil
}
