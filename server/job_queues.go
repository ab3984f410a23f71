package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

func (s *Server) routeQueues() {
	register(s, ScopeJobsRead, huma.Operation{
		OperationID: "list-queues", Method: http.MethodGet, Path: "/v1/queues", Tags: []string{"jobs"},
		Summary: "List the queues of jobs", Description: "With how many jobs are in each that ask for attention.",
	}, s.listQueues)
	register(s, ScopeJobsControl, huma.Operation{
		OperationID: "pause-queue", Method: http.MethodPost, Path: "/v1/queues/{queue}/pause", Tags: []string{"jobs"},
		Summary: "Keep every worker from taking jobs from a queue",
		Description: "Jobs that run go on to their end. To pause a paused queue is no mistake, and needs no key. The queue " +
			"of the alarm for lost loans can be paused at the command line only.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.pauseQueue)
	register(s, ScopeJobsControl, huma.Operation{
		OperationID: "resume-queue", Method: http.MethodPost, Path: "/v1/queues/{queue}/resume", Tags: []string{"jobs"},
		Summary: "Let workers take jobs from a queue again", Errors: []int{http.StatusNotFound},
	}, s.resumeQueue)
}

// jobQueue is a queue as the API shows it.
type jobQueue struct {
	Queue            string    `json:"queue"`
	PausedAt         time.Time `json:"paused_at,omitzero" doc:"Since when nobody takes jobs from it; left out while it works."`
	Worked           bool      `json:"worked" doc:"Whether a process has reported within the last half hour to work it."`
	Available        int64     `json:"available" doc:"Jobs that could be worked now."`
	Running          int64     `json:"running"`
	Scheduled        int64     `json:"scheduled" doc:"Jobs of later."`
	Retryable        int64     `json:"retryable" doc:"Jobs that failed and wait for their next attempt."`
	Discarded        int64     `json:"discarded" doc:"Jobs that failed for the last time, and wait for a person."`
	OldestAgeSeconds int64     `json:"oldest_age_seconds" doc:"How long the oldest job has been due that could be worked."`
}

type listQueuesOutput struct {
	Body struct {
		Data []jobQueue `json:"data"`
	}
}

func (s *Server) listQueues(ctx context.Context, _ *struct{}) (*listQueuesOutput, error) {
	data, err := s.readQueues(ctx)
	if err != nil {
		return nil, err
	}
	out := &listQueuesOutput{}
	out.Body.Data = data
	return out, nil
}

// readQueues returns the queues of this program, and those that another release works
// or has left jobs in, by name.
func (s *Server) readQueues(ctx context.Context) ([]jobQueue, error) {
	rows, err := s.q.ListQueues(ctx)
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	counts, err := s.q.CountJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	found := map[string]*jobQueue{}
	of := func(name string) *jobQueue {
		if found[name] == nil {
			found[name] = &jobQueue{Queue: name}
		}
		return found[name]
	}
	for _, name := range jobs.Queues() {
		of(name)
	}
	for _, row := range rows {
		q := of(row.Name)
		q.Worked = row.Worked
		if row.PausedAt != nil {
			q.PausedAt = row.PausedAt.UTC()
		}
	}
	for _, n := range counts {
		of(n.Queue).add(n)
	}
	data := make([]jobQueue, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		data = append(data, *found[name])
	}
	return data, nil
}

func (q *jobQueue) add(n queries.CountJobsRow) {
	switch n.State {
	case "available":
		q.Available += n.Jobs
	case "running":
		q.Running += n.Jobs
	case "scheduled":
		q.Scheduled += n.Jobs
	case "retryable":
		q.Retryable += n.Jobs
	case "discarded":
		q.Discarded += n.Jobs
	}
	if n.State == "available" || n.State == "retryable" {
		q.OldestAgeSeconds = max(q.OldestAgeSeconds, int64(n.OldestSeconds))
	}
}

type queuePath struct {
	Queue string `path:"queue" maxLength:"64" pattern:"^[a-z][a-z0-9_]*$" patternDescription:"the name of a queue"`
}

type queueOutput struct{ Body jobQueue }

func (s *Server) pauseQueue(ctx context.Context, in *queuePath) (*queueOutput, error) {
	if in.Queue == jobs.QueueAlarm {
		return nil, conflict("The alarm for lost loans is not paused from here: use loanserve queue pause.")
	}
	return s.controlQueue(ctx, in.Queue, QueueControl.Pause)
}

func (s *Server) resumeQueue(ctx context.Context, in *queuePath) (*queueOutput, error) {
	return s.controlQueue(ctx, in.Queue, QueueControl.Resume)
}

func (s *Server) controlQueue(ctx context.Context, name string,
	act func(QueueControl, context.Context, pgx.Tx, []string) error,
) (*queueOutput, error) {
	control := QueueControl{Jobs: s.jobs, Actor: actorOf(ctx)}
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error { return act(control, ctx, tx, []string{name}) })
	if errors.Is(err, ErrNoQueue) {
		return nil, notFound("There is no such queue, or no process has reported within the last day to work it.")
	}
	if err != nil {
		return nil, err
	}
	all, err := s.readQueues(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(q jobQueue) bool { return q.Queue == name })
	if i < 0 {
		return nil, notFound("There is no such queue.")
	}
	return &queueOutput{Body: all[i]}, nil
}
