package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/statement"
	"loanserve/queries"
)

// The forms of a statement, and their media types.
const (
	formJSON = "json"
	formHTML = "html"
	formPDF  = "pdf"
)

var formMediaTypes = map[string]string{
	formJSON: jsonMediaType, formHTML: "text/html", formPDF: "application/pdf",
}

func (s *Server) routeEscrowStatement() {
	op := huma.Operation{
		OperationID: "get-escrow-statement", Method: http.MethodGet, Path: "/v1/escrow-analyses/{analysis_id}/statement",
		Tags: []string{"escrow"}, Summary: "Get the statement of an escrow analysis",
		Description: "The escrow account disclosure statement that the analysis led to, as the borrower gets it: as data, " +
			"as one page of HTML that loads nothing, or as PDF. Which of them, format says, or else the header Accept; JSON " +
			"otherwise. It never changes, and ETag is its SHA-256. It is made soon after the analysis is finished; until " +
			"then, and for an analysis that owes none, there is nothing (404).",
		Errors: []int{http.StatusNotFound},
	}
	register(s, ScopeEscrowRead, op, s.getEscrowStatement)

	// Huma describes one media type for an answer that is bytes.
	api := s.api.OpenAPI()
	ok := operationAt(api, op.Method, op.Path).Responses[strconv.Itoa(http.StatusOK)]
	ok.Content = map[string]*huma.MediaType{
		jsonMediaType:            {Schema: api.Components.Schemas.Schema(reflect.TypeFor[statement.Disclosure](), true, "")},
		formMediaTypes[formHTML]: {Schema: &huma.Schema{Type: huma.TypeString}},
		formMediaTypes[formPDF]:  {Schema: &huma.Schema{Type: huma.TypeString, ContentEncoding: "binary"}},
	}
	operationAt(api, op.Method, op.Path).Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{
		Description: "The statement is the one of If-None-Match.", Headers: maps.Clone(ok.Headers),
	}
}

type getEscrowStatementInput struct {
	AnalysisID  uuid.UUID `path:"analysis_id" format:"uuid"`
	Format      string    `query:"format" enum:"json,html,pdf" doc:"The form; without it the header Accept decides."`
	IfNoneMatch string    `header:"If-None-Match" maxLength:"1000" doc:"The ETag of what is there already."`
}

type getEscrowStatementOutput struct {
	Status      int
	ContentType string `header:"Content-Type"`
	ETag        string `header:"Etag" doc:"The SHA-256 of the statement in this form."`
	Vary        string `header:"Vary"`
	Disposition string `header:"Content-Disposition" doc:"Of a PDF: the name of the file."`
	Policy      string `header:"Content-Security-Policy" doc:"Of HTML: nothing but its own style."`
	Body        []byte
}

func (s *Server) getEscrowStatement(
	ctx context.Context, in *getEscrowStatementInput,
) (*getEscrowStatementOutput, error) {
	form := in.Format
	if form == "" {
		form = acceptedForm(requestOf(ctx).accept)
	}
	doc, err := s.q.GetEscrowStatementDocument(ctx, form, in.AnalysisID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("There is no statement of such an analysis, or it is not made yet.")
	}
	if err != nil {
		return nil, fmt.Errorf("get statement: %w", err)
	}
	out := &getEscrowStatementOutput{
		Status: http.StatusOK, ContentType: doc.MediaType, ETag: `"` + hex.EncodeToString(doc.Sha256) + `"`,
		Vary: "Accept", Policy: "default-src 'none'; frame-ancestors 'none'", Body: doc.Content,
	}
	switch form {
	case formHTML:
		out.Policy = statement.ContentSecurityPolicy(doc.Content)
	case formPDF:
		out.Disposition = dispositionOf(&doc)
	}
	if hasTag(in.IfNoneMatch, out.ETag) {
		out.Status, out.Body, out.ContentType = http.StatusNotModified, nil, ""
	}
	return out, nil
}

// dispositionOf names the file that a PDF is saved as, in letters that every system
// takes.
func dispositionOf(doc *queries.GetEscrowStatementDocumentRow) string {
	number := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' {
			return r
		}
		return '_'
	}, doc.LoanNumber)
	return `inline; filename="escrow-statement-` + number + "-" + doc.AsOfOn.String() + `.pdf"`
}

// hasTag says whether an If-None-Match header names the tag (RFC 9110, 13.1.2).
func hasTag(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

// acceptedForm returns the form that an Accept header prefers: the first of the
// highest quality. Whoever accepts none of them gets JSON all the same (RFC 9110,
// 12.4.1).
func acceptedForm(accept string) string {
	best, form := 0.0, formJSON
	for item := range strings.SplitSeq(accept, ",") {
		mediaType, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, named := params["q"]; named {
			if quality, err = strconv.ParseFloat(q, 64); err != nil || quality > 1 {
				continue
			}
		}
		for name, of := range formMediaTypes {
			if of == mediaType && quality > best {
				best, form = quality, name
			}
		}
	}
	return form
}
