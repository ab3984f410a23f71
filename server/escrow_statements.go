package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeEscrowStatements() {
	s.routeEscrowStatement()
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-escrow-statements", Method: http.MethodGet, Path: "/v1/escrow-statements",
		Tags: []string{"escrow"}, Summary: "List the escrow statements that are owed",
		Description: "Those that are due first come first, made or not: with delivered=false what is still to be done, and " +
			"with due_before today what is late.",
	}, s.listEscrowStatements)
	register(s, ScopeEscrowDeliver, huma.Operation{
		OperationID: "record-escrow-statement-delivery", Method: http.MethodPost,
		Path: "/v1/escrow-statements/{analysis_id}/delivery", Tags: []string{"escrow"},
		Summary: "Record that a statement was delivered",
		Description: "Delivered is what was mailed first-class, or handed over. It is recorded once: the same day again " +
			"changes nothing, and another day is refused (409).",
		Errors: []int{http.StatusNotFound, http.StatusConflict}, DefaultStatus: http.StatusOK,
	}, s.recordStatementDelivery)
}

// escrowStatement is a statement that is owed, as the API shows it.
type escrowStatement struct {
	AnalysisID  uuid.UUID                  `json:"analysis_id" format:"uuid"`
	LoanID      int64                      `json:"loan_id"`
	Kind        queries.EscrowAnalysisKind `json:"kind" enum:"annual,short_year,on_demand,initial,payoff"`
	PreparedOn  date                       `json:"prepared_on" doc:"The day of the analysis."`
	DueOn       date                       `json:"due_on" doc:"The last day for its delivery."`
	MadeAt      time.Time                  `json:"made_at,omitzero" doc:"Left out until it is made."`
	DeliveredOn date                       `json:"delivered_on,omitzero" doc:"Left out until it is delivered."`
	DeliveredBy string                     `json:"delivered_by,omitzero" doc:"Who said so."`
}

func escrowStatementOf(r queries.OwedEscrowStatement) escrowStatement {
	shown := escrowStatement{
		AnalysisID: r.AnalysisID, LoanID: r.LoanID, Kind: r.Kind, PreparedOn: date{r.AsOfOn}, DueOn: date{r.DueOn},
		DeliveredOn: date{r.DeliveredOn},
	}
	if r.MadeAt != nil {
		shown.MadeAt = r.MadeAt.UTC()
	}
	if r.DeliveredBy != nil {
		shown.DeliveredBy = *r.DeliveredBy
	}
	return shown
}

type listEscrowStatementsInput struct {
	Page
	DueBefore date   `query:"due_before" doc:"Only those that are due before this day."`
	Delivered string `query:"delivered" enum:"true,false" doc:"Only those that were delivered, or that were not."`
}

type listEscrowStatementsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body escrowStatementPage
}

type escrowStatementPage struct {
	Data       []escrowStatement `json:"data"`
	NextCursor string            `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listEscrowStatements(
	ctx context.Context, in *listEscrowStatementsInput,
) (*listEscrowStatementsOutput, error) {
	arg := queries.ListOwedEscrowStatementsParams{
		AfterDueOn: mortgage.MinDate, AfterID: uuid.Nil, DueBefore: mortgage.MaxDate, Delivered: nil, RowLimit: in.Limit + 1,
	}
	more := url.Values{}
	if in.DueBefore.Date != 0 {
		arg.DueBefore = in.DueBefore.Date
		more.Set("due_before", in.DueBefore.String())
	}
	if in.Delivered != "" {
		arg.Delivered = new(in.Delivered == "true")
		more.Set("delivered", in.Delivered)
	}
	key, ok, err := in.after()
	if err != nil {
		return nil, err
	}
	if ok {
		on, id, _ := strings.Cut(key, " ")
		if arg.AfterDueOn, err = mortgage.ParseDate(on); err != nil {
			return nil, badCursor()
		}
		if arg.AfterID, err = uuid.Parse(id); err != nil {
			return nil, badCursor()
		}
	}
	rows, err := s.q.ListOwedEscrowStatements(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("list statements: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.OwedEscrowStatement) string {
		return r.DueOn.String() + " " + r.AnalysisID.String()
	})
	out := &listEscrowStatementsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, escrowStatementOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/escrow-statements", next, more)
	}
	return out, nil
}

type recordDeliveryInput struct {
	AnalysisID uuid.UUID `path:"analysis_id" format:"uuid"`
	Body       statementDelivery
}

type statementDelivery struct {
	DeliveredOn date `json:"delivered_on" doc:"The day on which it was mailed or handed over: not after today (UTC), and not before the analysis."`
}

type recordDeliveryOutput struct{ Body escrowStatement }

func (s *Server) recordStatementDelivery(
	ctx context.Context, in *recordDeliveryInput,
) (*recordDeliveryOutput, error) {
	on := in.Body.DeliveredOn.Date
	row, err := s.q.GetOwedEscrowStatement(ctx, in.AnalysisID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("No statement of such an analysis is owed.")
	}
	if err != nil {
		return nil, fmt.Errorf("get statement: %w", err)
	}
	if on > mortgage.DateOf(time.Now()) || on < row.AsOfOn {
		return nil, invalid(inBody("/delivered_on", "must not be after today, and not before the day of the analysis"))
	}
	if row.MadeAt == nil {
		return nil, conflict("The statement is not made yet.")
	}
	by := PrincipalOf(ctx).ID
	_, err = s.q.MarkEscrowStatementDelivered(ctx, queries.MarkEscrowStatementDeliveredParams{
		AnalysisID: in.AnalysisID, DeliveredOn: on, DeliveredBy: &by,
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("mark statement delivered: %w", err)
	}
	if row, err = s.q.GetOwedEscrowStatement(ctx, in.AnalysisID); err != nil {
		return nil, fmt.Errorf("get statement: %w", err)
	}
	if row.DeliveredOn != on {
		return nil, conflict("The statement was delivered on another day.",
			inBody("/delivered_on", "is not the day that was recorded before"))
	}
	return &recordDeliveryOutput{Body: escrowStatementOf(row)}, nil
}
