package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeEscrowLines() {
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-escrow-lines", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/escrow-lines",
		Tags: []string{"escrow"}, Summary: "List a loan's escrow lines, with those that have ended",
		Errors: []int{http.StatusNotFound},
	}, s.listEscrowLines)
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "add-escrow-line", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/escrow-lines",
		Tags: []string{"escrow"}, Summary: "Add an escrow line to a loan",
		Description: "The payment stays as it is until the account is analyzed.", DefaultStatus: http.StatusCreated,
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.addEscrowLine)
	const matching = " If-Match must be the line's ETag, so that nobody's change is lost."
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "change-escrow-line", Method: http.MethodPatch, Path: "/v1/escrow-lines/{line_id}",
		Tags: []string{"escrow"}, Summary: "Change an escrow line",
		Description: "What is left out stays; null takes an optional member away. A line's kind does not change." + matching,
		Errors: []int{
			http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired,
		},
	}, s.changeEscrowLine)
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "end-escrow-line", Method: http.MethodDelete, Path: "/v1/escrow-lines/{line_id}",
		Tags: []string{"escrow"}, Summary: "End an escrow line", DefaultStatus: http.StatusOK,
		Description: "Nothing is collected or paid for it any more. It stays on record." + matching,
		Errors: []int{
			http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired,
		},
	}, s.endEscrowLine)
}

type listEscrowLinesInput struct {
	LoanPath
	Page
}

type listEscrowLinesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body escrowLinePage
}

type escrowLinePage struct {
	Data       []storedLine `json:"data"`
	NextCursor string       `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listEscrowLines(ctx context.Context, in *listEscrowLinesInput) (*listEscrowLinesOutput, error) {
	after, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListAllEscrowLines(ctx, queries.ListAllEscrowLinesParams{
		LoanID: in.LoanID, AfterID: after, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list escrow lines: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	rows, next := cut(rows, in.Limit, func(e queries.EscrowLine) string { return strconv.FormatInt(e.ID, 10) })
	out := &listEscrowLinesOutput{Body: escrowLinePage{Data: []storedLine{}}}
	for i := range rows {
		out.Body.Data = append(out.Body.Data, storedLineOf(&rows[i]))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext(in.path("/escrow-lines"), next, nil)
	}
	return out, nil
}

type addEscrowLineInput struct {
	LoanPath
	Body EscrowLine
}

type escrowLineOutput struct {
	ETag string `header:"Etag" doc:"For If-Match."`
	Body storedLine
}

func escrowLineAnswer(row *queries.EscrowLine) *escrowLineOutput {
	shown := storedLineOf(row)
	return &escrowLineOutput{ETag: shown.etag(), Body: shown}
}

func (s *Server) addEscrowLine(ctx context.Context, in *addEscrowLineInput) (*escrowLineOutput, error) {
	if faults := in.Body.check(""); len(faults) > 0 {
		return nil, invalid(faults...)
	}
	var row queries.EscrowLine
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		loan, err := q.LockLoanToAddEscrowLine(ctx, in.LoanID)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return notFound("There is no such loan.")
		case err != nil:
			return fmt.Errorf("lock loan: %w", err)
		case loan.Status != queries.LoanStatusActive:
			return conflict("The loan is not active.")
		case loan.Lines >= mortgage.MaxEscrowItems:
			return conflict("The loan has as many escrow lines as an account may have.")
		}
		if row, err = q.InsertEscrowLine(ctx, in.Body.insertParams(in.LoanID)); err != nil {
			return fmt.Errorf("insert escrow line: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return escrowLineAnswer(&row), nil
}

// LinePath is the part of a request's path that names a line.
type LinePath struct {
	LineID int64 `path:"line_id" minimum:"1" maximum:"9007199254740991"`
}

type changeEscrowLineInput struct {
	LinePath
	IfMatch string `header:"If-Match" maxLength:"100" doc:"The line's ETag."`
	Body    escrowLinePatch
}

// escrowLinePatch is what may change of a line.
type escrowLinePatch struct {
	Payee          *string               `json:"payee,omitzero" nullable:"false" minLength:"1" maxLength:"200"`
	AmountCents    *mortgage.Cents       `json:"amount_cents,omitzero" nullable:"false" minimum:"1" maximum:"10000000000"`
	EveryMonths    *int16                `json:"every_months,omitzero" nullable:"false" minimum:"1" maximum:"60"`
	NextDueOn      *date                 `json:"next_due_on,omitzero" nullable:"false"`
	KnownCents     patch[mortgage.Cents] `json:"known_cents,omitzero" minimum:"0" maximum:"10000000000"`
	Comparable     *bool                 `json:"comparable,omitzero" nullable:"false"`
	NextDiscountOn patch[date]           `json:"next_discount_on,omitzero"`
	NextPenaltyOn  patch[date]           `json:"next_penalty_on,omitzero"`
	DiscountCents  *mortgage.Cents       `json:"discount_cents,omitzero" nullable:"false" minimum:"0" maximum:"10000000000"`
	EndsOn         patch[date]           `json:"ends_on,omitzero"`
	LastPaidOn     patch[date]           `json:"last_paid_on,omitzero"`
	OutsideCushion *bool                 `json:"outside_cushion,omitzero" nullable:"false"`
}

// apply returns the line as it will be.
func (p *escrowLinePatch) apply(e EscrowLine) EscrowLine {
	replace(&e.Payee, p.Payee)
	replace(&e.AmountCents, p.AmountCents)
	replace(&e.EveryMonths, p.EveryMonths)
	replace(&e.NextDueOn, p.NextDueOn)
	p.KnownCents.to(&e.KnownCents)
	replace(&e.Comparable, p.Comparable)
	p.NextDiscountOn.toValue(&e.NextDiscountOn)
	p.NextPenaltyOn.toValue(&e.NextPenaltyOn)
	replace(&e.DiscountCents, p.DiscountCents)
	p.EndsOn.toValue(&e.EndsOn)
	p.LastPaidOn.toValue(&e.LastPaidOn)
	replace(&e.OutsideCushion, p.OutsideCushion)
	return e
}

func replace[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

func (s *Server) changeEscrowLine(ctx context.Context, in *changeEscrowLineInput) (*escrowLineOutput, error) {
	return s.withEscrowLine(ctx, in.LineID, in.IfMatch, func(
		q *queries.Queries, row *queries.EscrowLine,
	) (queries.EscrowLine, error) {
		e := in.Body.apply(escrowLineOf(row))
		if faults := e.check(""); len(faults) > 0 {
			return queries.EscrowLine{}, invalid(faults...)
		}
		if err := keepsBills(ctx, q, row, &e); err != nil {
			return queries.EscrowLine{}, err
		}
		return q.MarkEscrowLineChanged(ctx, queries.MarkEscrowLineChangedParams{
			ID: row.ID, Payee: e.Payee, AmountCents: e.AmountCents, EveryMonths: e.EveryMonths,
			NextDueOn: e.NextDueOn.Date, KnownCents: e.KnownCents, Comparable: e.Comparable,
			NextDiscountOn: e.NextDiscountOn.Date, NextPenaltyOn: e.NextPenaltyOn.Date, DiscountCents: e.DiscountCents,
			EndsOn: e.EndsOn.Date, LastPaidOn: e.LastPaidOn.Date, OutsideCushion: e.OutsideCushion,
		})
	})
}

// keepsBills refuses to move a line away from the cycle whose bill is not paid: the
// line would expect another bill, and both would be paid.
func keepsBills(ctx context.Context, q *queries.Queries, old *queries.EscrowLine, e *EscrowLine) error {
	if e.NextDueOn.Date == old.NextDueOn && e.EveryMonths == old.EveryMonths {
		return nil
	}
	moved := *old
	moved.NextDueOn, moved.EveryMonths = e.NextDueOn.Date, e.EveryMonths
	after, before := loanrow.CycleBounds(old, old.NextDueOn)
	newAfter, newBefore := loanrow.CycleBounds(&moved, moved.NextDueOn)
	left, err := q.CountEscrowBillsLeftBehind(ctx, queries.CountEscrowBillsLeftBehindParams{
		LineID: old.ID, AfterOn: after, BeforeOn: before, NewAfterOn: newAfter, NewBeforeOn: newBefore,
	})
	if err != nil {
		return fmt.Errorf("count bills: %w", err)
	}
	if left > 0 {
		return conflict("A bill of the cycle is not paid. Pay or cancel it, or change its dates, before the line moves.")
	}
	return nil
}

type endEscrowLineInput struct {
	LinePath
	IfMatch string `header:"If-Match" maxLength:"100" doc:"The line's ETag."`
}

func (s *Server) endEscrowLine(ctx context.Context, in *endEscrowLineInput) (*escrowLineOutput, error) {
	return s.withEscrowLine(ctx, in.LineID, in.IfMatch, func(
		q *queries.Queries, row *queries.EscrowLine,
	) (queries.EscrowLine, error) {
		return q.MarkEscrowLineEnded(ctx, PrincipalOf(ctx).ID, row.ID)
	})
}

// withEscrowLine changes a line that is as its ETag says and has not ended.
func (s *Server) withEscrowLine(
	ctx context.Context, id int64, ifMatch string,
	change func(*queries.Queries, *queries.EscrowLine) (queries.EscrowLine, error),
) (*escrowLineOutput, error) {
	var row queries.EscrowLine
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		locked, err := q.LockEscrowLineToChange(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("There is no such escrow line.")
		}
		if err != nil {
			return fmt.Errorf("lock escrow line: %w", err)
		}
		shown := storedLineOf(&locked.EscrowLine)
		if err := matches(ifMatch, shown.etag()); err != nil {
			return err
		}
		if locked.EscrowLine.EndedAt != nil {
			return conflict("The escrow line has ended.")
		}
		if row, err = change(q, &locked.EscrowLine); err != nil {
			return fmt.Errorf("change escrow line: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return escrowLineAnswer(&row), nil
}

// matches refuses a change of something that is not as its ETag says.
//
// Source: RFC 9110, section 13.1.1.
func matches(ifMatch, etag string) error {
	if ifMatch == "" {
		return newProblem(kindPreconditionNeeded, "Send the ETag of what you have read: it may have changed since.",
			inHeader("If-Match", "is required"))
	}
	for one := range strings.SplitSeq(ifMatch, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == etag {
			return nil
		}
	}
	return newProblem(kindPreconditionFailed, "It has changed since you read it.",
		inHeader("If-Match", "is not the ETag of what is stored"))
}
