package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"loanserve/queries"
)

func (s *Server) routeJobs() {
	register(s, ScopeJobsRead, huma.Operation{
		OperationID: "list-jobs", Method: http.MethodGet, Path: "/v1/jobs", Tags: []string{"jobs"},
		Summary: "List jobs in a state, the latest first", Description: "Without what they are about.",
	}, s.listJobs)
	register(s, ScopeJobsRead, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/v1/jobs/{job_id}", Tags: []string{"jobs"},
		Summary: "Get a job, without what it is about", Errors: []int{http.StatusNotFound},
	}, s.getJob)
	register(s, ScopeJobsControl, huma.Operation{
		OperationID: "retry-job", Method: http.MethodPost, Path: "/v1/jobs/{job_id}/retry", Tags: []string{"jobs"},
		Summary: "Have a job tried again now",
		Description: "One that failed for the last time, was canceled, or waits for its next attempt. Working a job twice " +
			"changes nothing twice, so this needs no key.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.retryJob)
	register(s, ScopeJobsControl, huma.Operation{
		OperationID: "cancel-job", Method: http.MethodPost, Path: "/v1/jobs/{job_id}/cancel", Tags: []string{"jobs"},
		Summary:     "Have a job not worked any more",
		Description: "One that runs is asked to stop, and rolls back. What it was to do is left undone.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.cancelJob)
}

// job is a job as the API shows it: never what it is about.
type job struct {
	JobID       int64     `json:"job_id"`
	Queue       string    `json:"queue"`
	Kind        string    `json:"kind"`
	State       string    `json:"state" enum:"available,cancelled,completed,discarded,pending,retryable,running,scheduled"`
	Attempt     int16     `json:"attempt"`
	MaxAttempts int16     `json:"max_attempts"`
	CreatedAt   time.Time `json:"created_at"`
	ScheduledAt time.Time `json:"scheduled_at" doc:"When it is due, or was."`
	AttemptedAt time.Time `json:"attempted_at,omitzero"`
	FinalizedAt time.Time `json:"finalized_at,omitzero" doc:"When it was over."`
	LastError   string    `json:"last_error,omitzero" doc:"The first line of it, cut off."`
}

func jobOf(row queries.GetJobRow) job {
	return job{
		JobID: row.ID, Queue: row.Queue, Kind: row.Kind, State: row.State, Attempt: row.Attempt, MaxAttempts: row.MaxAttempts,
		CreatedAt: row.CreatedAt.UTC(), ScheduledAt: row.ScheduledAt.UTC(), AttemptedAt: orZero(row.AttemptedAt).UTC(),
		FinalizedAt: orZero(row.FinalizedAt).UTC(), LastError: row.LastError,
	}
}

type listJobsInput struct {
	Page
	State string `query:"state" enum:"available,cancelled,completed,discarded,pending,retryable,running,scheduled" default:"discarded"`
	Queue string `query:"queue" maxLength:"64" doc:"Only those of this queue."`
	Kind  string `query:"kind" maxLength:"64" doc:"Only those of this kind."`
}

type listJobsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body jobPage
}

type jobPage struct {
	Data       []job  `json:"data"`
	NextCursor string `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listJobs(ctx context.Context, in *listJobsInput) (*listJobsOutput, error) {
	before, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	rows, err := s.q.ListLatestJobs(ctx, queries.ListLatestJobsParams{
		State: in.State, BeforeID: before, Queue: in.Queue, Kind: in.Kind, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(j queries.ListLatestJobsRow) string { return strconv.FormatInt(j.ID, 10) })
	out := &listJobsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, jobOf(queries.GetJobRow(row)))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/jobs", next, filters("state", in.State, "queue", in.Queue, "kind", in.Kind))
	}
	return out, nil
}

type jobPath struct {
	JobID int64 `path:"job_id" minimum:"1" maximum:"9007199254740991"`
}

type jobOutput struct{ Body job }

func (s *Server) getJob(ctx context.Context, in *jobPath) (*jobOutput, error) {
	row, err := s.q.GetJob(ctx, in.JobID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("There is no such job: those that are over are forgotten after a while.")
	}
	if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	return &jobOutput{Body: jobOf(row)}, nil
}

func (s *Server) retryJob(ctx context.Context, in *jobPath) (*jobOutput, error) {
	control := QueueControl{Jobs: s.jobs, Actor: actorOf(ctx)}
	return s.controlJob(ctx, in, func(tx pgx.Tx) error {
		_, err := control.Retry(ctx, tx, in.JobID)
		return err
	})
}

func (s *Server) cancelJob(ctx context.Context, in *jobPath) (*jobOutput, error) {
	control := QueueControl{Jobs: s.jobs, Actor: actorOf(ctx)}
	return s.controlJob(ctx, in, func(tx pgx.Tx) error { return control.Cancel(ctx, tx, in.JobID) })
}

// controlJob does something about a job, and shows it then.
func (s *Server) controlJob(ctx context.Context, in *jobPath, act func(pgx.Tx) error) (*jobOutput, error) {
	if _, err := s.getJob(ctx, in); err != nil {
		return nil, err
	}
	err := pgx.BeginFunc(ctx, s.db, act)
	if refused, ok := errors.AsType[*RetryRefusedError](err); ok {
		return nil, conflict("This is not done to the job: " + refused.Reason + ".")
	}
	if err != nil {
		return nil, err
	}
	return s.getJob(ctx, in)
}

// Cancel keeps a job from being worked any more; one that runs is asked to stop. It
// returns a *RetryRefusedError for one that is over.
func (c QueueControl) Cancel(ctx context.Context, tx pgx.Tx, id int64) error {
	q := queries.New(tx)
	job, err := q.LockJob(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return &RetryRefusedError{JobID: id, Reason: "there is no such job"}
	}
	if err != nil {
		return fmt.Errorf("lock job %d: %w", id, err)
	}
	switch rivertype.JobState(job.State) {
	case rivertype.JobStateCompleted, rivertype.JobStateCancelled, rivertype.JobStateDiscarded:
		return &RetryRefusedError{JobID: id, Reason: "it is over"}
	case rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning,
		rivertype.JobStateScheduled:
	}
	if _, err := c.Jobs.JobCancelTx(ctx, tx, id); err != nil {
		return fmt.Errorf("cancel job %d: %w", id, err)
	}
	return c.Actor.tell(ctx, q, "job_canceled", target{}, map[string]any{
		"job_id": id, "kind": job.Kind, "queue": job.Queue, "state": job.State,
	})
}
