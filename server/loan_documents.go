package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"loanserve/queries"
)

func (s *Server) routeDocuments() {
	register(s, ScopeLoansRead, huma.Operation{
		OperationID: "list-documents", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/documents",
		Tags: []string{"loans"}, Errors: []int{http.StatusNotFound},
		Summary: "List what is kept for a loan, the latest first, without its content",
	}, s.listDocuments)
}

type listDocumentsInput struct {
	LoanPath
	Page
}

type listDocumentsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body documentPage
}

type documentPage struct {
	Data       []document `json:"data"`
	NextCursor string     `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

// document is a document as lists show it.
type document struct {
	DocumentID uuid.UUID            `json:"document_id" format:"uuid"`
	Kind       queries.DocumentKind `json:"kind"`
	Title      string               `json:"title"`
	MediaType  string               `json:"media_type"`
	SizeBytes  int64                `json:"size_bytes"`
	SHA256     string               `json:"sha256" doc:"Of the content, in hexadecimal."`
	CreatedAt  time.Time            `json:"created_at"`
}

func (s *Server) listDocuments(ctx context.Context, in *listDocumentsInput) (*listDocumentsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListDocuments(ctx, queries.ListDocumentsParams{
		LoanID: in.LoanID, BeforeID: before, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	rows, next := cut(rows, in.Limit, func(d queries.ListDocumentsRow) string { return d.ID.String() })
	out := &listDocumentsOutput{}
	for _, d := range rows {
		out.Body.Data = append(out.Body.Data, document{
			DocumentID: d.ID, Kind: d.Kind, Title: d.Title, MediaType: d.MediaType, SizeBytes: d.SizeBytes,
			SHA256: hex.EncodeToString(d.Sha256), CreatedAt: d.CreatedAt.UTC(),
		})
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext(in.path("/documents"), next, nil)
	}
	return out, nil
}
