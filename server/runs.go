package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/drift"
	"loanserve/queries"
)

func (s *Server) routeRuns() {
	register(s, ScopeRunsRead, huma.Operation{
		OperationID: "get-run", Method: http.MethodGet, Path: "/v1/runs/{run_id}", Tags: []string{"runs"},
		Summary: "Get a run",
		Description: "With Prefer: wait=N the answer comes when the run is over, or after N seconds, of which 30 is " +
			"the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getRun)
	register(s, ScopeRunsRead, huma.Operation{
		OperationID: "list-runs", Method: http.MethodGet, Path: "/v1/runs", Tags: []string{"runs"},
		Summary: "List runs, the latest first",
	}, s.listRuns)
}

// run is work on the whole portfolio, or on all of a table, for a business date,
// as the API shows it.
type run struct {
	RunID       uuid.UUID         `json:"run_id" format:"uuid"`
	Kind        queries.RunKind   `json:"kind" enum:"close_day,analyze_escrow,disburse_escrow,clean_up_sessions,prune_login_attempts,prune_history,check_integrity,check_schema,prune_webhook_messages"`
	AsOfOn      date              `json:"as_of_on" doc:"The business date that it speaks for."`
	DueMonthOn  date              `json:"due_month_on,omitzero" doc:"Of a run of escrow analyses: the month that it is for, where that is not all that are due."`
	Status      queries.RunStatus `json:"status" enum:"requested,running,finished,failed" doc:"requested: stored, and waiting. running: total is known. finished: all loans are done. failed: over as well, but the loans in findings could not be done, or no loan because the run could not be planned; the next run tries them again."`
	Total       int64             `json:"total" doc:"Loans it has to look at; 0 while it is requested. Of a check of the schema: differences."`
	Done        int64             `json:"done" doc:"Loans it has looked at."`
	Changed     int64             `json:"changed" doc:"Loans that have something new: transactions, an escrow analysis, or of a check a finding."`
	FailedCount int64             `json:"failed_count" doc:"Loans that could not be done."`
	RequestedBy string            `json:"requested_by"`
	CreatedAt   time.Time         `json:"created_at"`
	StartedAt   time.Time         `json:"started_at,omitzero"`
	FinishedAt  time.Time         `json:"finished_at,omitzero"`
	Purge       *runPurge         `json:"purge,omitzero" nullable:"false" doc:"Of a run that deletes rows, which are what total, done and changed count then; not in lists of runs."`
	Findings    []runFinding      `json:"findings,omitzero" doc:"The loans that could not be done, and what else waits for a person, about a thousand at most; not in lists of runs."`
}

// runFinding is a loan that a run could not do, or about which a person has to know
// something else, or why a run did none.
type runFinding struct {
	LoanID int64  `json:"loan_id,omitzero" doc:"Left out where the run could not be planned."`
	Detail string `json:"detail"`

	Severity drift.Severity `json:"severity,omitzero" enum:"breaking,protection,extra" doc:"Of a check of the schema. breaking: a statement of the program fails or means something else. protection: what protects the data is gone, off or wider. extra: something that the program does not know, and that does not touch it."`
	Kind     string         `json:"kind,omitzero" doc:"Of a check of the schema: what sort of object, such as column."`
	Object   string         `json:"object,omitzero" doc:"Of a check of the schema: the object, such as public.loans.status."`
	Remedy   string         `json:"remedy,omitzero" doc:"Of a check of the schema: the SQL that would mend it, for a person to read first; left out where there is none."`
}

// requestedRun shows a run as it was when it was asked for, whatever has become
// of it since: a repeated request gets the same bytes.
func requestedRun(r queries.Run) run {
	return run{
		RunID: r.ID, Kind: r.Kind, AsOfOn: date{r.AsOfOn}, DueMonthOn: date{r.DueMonthOn},
		Status:      queries.RunStatusRequested,
		RequestedBy: r.RequestedBy, CreatedAt: r.CreatedAt.UTC(),
	}
}

// runOf shows a run as it is now, without its findings.
func runOf(r queries.Run) run {
	shown := requestedRun(r)
	shown.Status, shown.Total, shown.Done = r.Status, r.Total, r.Done
	shown.Changed, shown.FailedCount = r.Changed, r.FailedCount
	if r.StartedAt != nil {
		shown.StartedAt = r.StartedAt.UTC()
	}
	if r.FinishedAt != nil {
		shown.FinishedAt = r.FinishedAt.UTC()
	}
	return shown
}

type getRunInput struct {
	RunID  uuid.UUID `path:"run_id" format:"uuid"`
	Prefer string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the end (RFC 7240)."`
}

type getRunOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is not over."`
	Body       run
}

func (s *Server) getRun(ctx context.Context, in *getRunInput) (*getRunOutput, error) {
	row, err := s.findRun(ctx, in.RunID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if row.FinishedAt == nil && atMost > 0 {
		s.runs.wait(ctx, row.ID, atMost)
		if row, err = s.findRun(ctx, in.RunID); err != nil {
			return nil, err
		}
	}
	out := &getRunOutput{Applied: applied, RetryAfter: "", Body: runOf(row)}
	if row.FinishedAt == nil {
		out.RetryAfter = "1"
	}
	if err := json.Unmarshal(row.Findings, &out.Body.Findings); err != nil {
		return nil, fmt.Errorf("read findings of run %s: %w", row.ID, err)
	}
	return out, s.showPurge(ctx, &out.Body)
}

func (s *Server) findRun(ctx context.Context, id uuid.UUID) (queries.Run, error) {
	row, err := s.q.GetRun(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such run.")
	}
	if err != nil {
		return row, fmt.Errorf("get run: %w", err)
	}
	return row, nil
}

type listRunsInput struct {
	Page
	Kind   queries.RunKind   `query:"kind" enum:"close_day,analyze_escrow,disburse_escrow,clean_up_sessions,prune_login_attempts,prune_history,check_integrity,check_schema,prune_webhook_messages"`
	Status queries.RunStatus `query:"status" enum:"requested,running,finished,failed"`
}

// read reads one more than a page of the runs that are wanted.
func (in *listRunsInput) read(ctx context.Context, q *queries.Queries, before uuid.UUID) ([]queries.Run, error) {
	switch {
	case in.Kind != "":
		return q.ListRunsOfKind(ctx, queries.ListRunsOfKindParams{
			Kind: in.Kind, BeforeID: before, Status: string(in.Status), RowLimit: in.Limit + 1,
		})
	case in.Status == queries.RunStatusFinished:
		return q.ListFinishedRunsBefore(ctx, before, in.Limit+1)
	case in.Status != "":
		return q.ListUnfinishedRuns(ctx, queries.ListUnfinishedRunsParams{
			Status: string(in.Status), BeforeID: before, RowLimit: in.Limit + 1,
		})
	default:
		return q.ListRuns(ctx, before, in.Limit+1)
	}
}

type listRunsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body runPage
}

type runPage struct {
	Data       []run  `json:"data"`
	NextCursor string `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listRuns(ctx context.Context, in *listRunsInput) (*listRunsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := in.read(ctx, s.q, before)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.Run) string { return r.ID.String() })
	out := &listRunsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, runOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/runs", next, filters("kind", string(in.Kind), "status", string(in.Status)))
	}
	return out, nil
}
