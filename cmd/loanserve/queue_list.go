package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"loanserve/jobs"
	"loanserve/queries"
)

type queueListCommand struct {
	databaseFlags

	JSON bool `name:"json" help:"Print JSON."`
}

// queueShown is a queue as it is printed.
type queueShown struct {
	Queue      string           `json:"queue"`
	PausedAt   *time.Time       `json:"paused_at,omitempty"`
	ReportedAt *time.Time       `json:"reported_at,omitempty"`
	Worked     bool             `json:"worked"`
	Jobs       map[string]int64 `json:"jobs"`
	// OldestJobAgeSeconds is how long the oldest has been due that could be worked.
	OldestJobAgeSeconds float64 `json:"oldest_job_age_seconds"`
}

// shownStates are the states of jobs that ask for attention, in the order in which a
// job goes through them.
func shownStates() []string {
	return []string{"scheduled", "available", "running", "retryable", "discarded"}
}

// Run implements the command.
func (c *queueListCommand) Run(ctx context.Context, p *program) error {
	pool, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	shown, err := queuesShown(ctx, queries.New(pool))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, map[string]any{"queues": shown})
	}
	list := newTable("QUEUE", "STATE", " SCHEDULED", " AVAILABLE", " RUNNING", " RETRYABLE", " DISCARDED",
		" OLDEST", "REPORTED")
	for _, s := range shown {
		row := []string{s.Queue, s.state()}
		for _, state := range shownStates() {
			row = append(row, strconv.FormatInt(s.Jobs[state], 10))
		}
		reported := "never"
		if s.ReportedAt != nil {
			reported = s.ReportedAt.Format(time.RFC3339)
		}
		list.add(append(row, ageOf(s.OldestJobAgeSeconds), reported)...)
	}
	return list.print(p.stdout)
}

// ageOf is an age in words, to the second.
func ageOf(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Truncate(time.Second).String()
}

func (s *queueShown) state() string {
	switch {
	case s.PausedAt != nil:
		return "paused " + s.PausedAt.Format(time.RFC3339)
	case s.Worked:
		return "worked"
	default:
		return "not worked"
	}
}

// queuesShown returns the queues of this program, and those besides that another
// release works or has left jobs in.
func queuesShown(ctx context.Context, q *queries.Queries) ([]*queueShown, error) {
	rows, err := q.ListQueues(ctx)
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	counts, err := q.CountJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	shown := map[string]*queueShown{}
	get := func(name string) *queueShown {
		if shown[name] == nil {
			shown[name] = &queueShown{Queue: name, Jobs: map[string]int64{}}
			for _, state := range shownStates() {
				shown[name].Jobs[state] = 0
			}
		}
		return shown[name]
	}
	for _, name := range jobs.Queues() {
		get(name)
	}
	for _, row := range rows {
		s := get(row.Name)
		s.ReportedAt, s.Worked = new(row.UpdatedAt.UTC()), row.Worked
		if row.PausedAt != nil {
			s.PausedAt = new(row.PausedAt.UTC())
		}
	}
	for _, n := range counts {
		s := get(n.Queue)
		s.Jobs[n.State] += n.Jobs
		if n.State == "available" || n.State == "retryable" {
			s.OldestJobAgeSeconds = max(s.OldestJobAgeSeconds, n.OldestSeconds)
		}
	}
	return slices.SortedFunc(maps.Values(shown), func(a, b *queueShown) int { return cmp.Compare(a.Queue, b.Queue) }), nil
}

type queueJobsCommand struct {
	databaseFlags

	Queue string `placeholder:"QUEUE" help:"Only jobs of this queue: ${queues}."`
	Kind  string `placeholder:"KIND" help:"Only jobs of this kind."`
	State string `enum:",available,cancelled,completed,discarded,pending,retryable,running,scheduled" default:"" placeholder:"STATE" help:"Only jobs in this state: available, cancelled, completed, discarded, pending, retryable, running or scheduled; otherwise all but completed and cancelled ones."`
	Limit count  `default:"50" placeholder:"N" help:"Most jobs, the oldest first; 50 otherwise."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Validate implements kong.Validatable.
func (c *queueJobsCommand) Validate() error {
	if c.Queue != "" {
		if err := knownQueue(c.Queue); err != nil {
			return fmt.Errorf("--queue: %w", err)
		}
	}
	if c.Kind != "" {
		return knownKind(c.Kind)
	}
	return nil
}

// jobShown is a job as it is printed: never with what it is about.
type jobShown struct {
	ID          int64      `json:"job_id"`
	Queue       string     `json:"queue"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Attempt     int16      `json:"attempt"`
	MaxAttempts int16      `json:"max_attempts"`
	CreatedAt   time.Time  `json:"created_at"`
	ScheduledAt time.Time  `json:"scheduled_at"`
	AttemptedAt *time.Time `json:"attempted_at,omitempty"`
	FinalizedAt *time.Time `json:"finalized_at,omitempty"`
	LastError   string     `json:"last_error,omitempty"`
}

// Run implements the command.
func (c *queueJobsCommand) Run(ctx context.Context, p *program) error {
	pool, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	rows, err := queries.New(pool).ListJobs(ctx, queries.ListJobsParams{
		Queue: c.Queue, Kind: c.Kind, State: c.State, RowLimit: int32(c.Limit),
	})
	if err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	if c.JSON {
		shown := make([]jobShown, len(rows))
		for i, row := range rows {
			shown[i] = jobShown(row)
		}
		return printJSON(p.stdout, map[string]any{"jobs": shown})
	}
	list := newTable(" ID", "QUEUE", "KIND", "STATE", " ATTEMPT", "DUE", "LAST ERROR")
	for _, row := range rows {
		list.add(strconv.FormatInt(row.ID, 10), row.Queue, row.Kind, row.State,
			fmt.Sprintf("%d/%d", row.Attempt, row.MaxAttempts), row.ScheduledAt.UTC().Format(time.RFC3339), row.LastError)
	}
	return list.print(p.stdout)
}
