package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"loanserve/jobs"
	"loanserve/queries"
	"loanserve/server"
)

type queueCommand struct {
	List   queueListCommand   `cmd:"" help:"List the queues: whether they are worked or paused, and how many jobs wait."`
	Jobs   queueJobsCommand   `cmd:"" help:"List jobs with their last error, without what they are about."`
	Pause  queuePauseCommand  `cmd:"" help:"Keep every worker from taking jobs from queues. Jobs that run go on to their end."`
	Resume queueResumeCommand `cmd:"" help:"Let workers take jobs from queues again."`
	Retry  queueRetryCommand  `cmd:"" help:"Have jobs tried again that have failed, at once."`
}

// queueControl opens the database, and what acts on the queue as the operator at the
// command line.
func (f *databaseFlags) queueControl(ctx context.Context) (*pgxpool.Pool, server.QueueControl, error) {
	pool, err := f.open(ctx)
	if err != nil {
		return nil, server.QueueControl{}, err
	}
	log := slog.New(slog.DiscardHandler)
	client, err := jobs.NewInserter(pool, jobs.NewMetrics(prometheus.NewRegistry(), log), log)
	if err != nil {
		pool.Close()
		return nil, server.QueueControl{}, err
	}
	return pool, server.QueueControl{Jobs: client, Actor: server.Operator}, nil
}

// knownQueue returns an error for a queue that the program does not have.
func knownQueue(name string) error {
	if slices.Contains(jobs.Queues(), name) {
		return nil
	}
	return fmt.Errorf("there is no queue %q, only %s", name, strings.Join(jobs.Queues(), ", "))
}

// knownKind returns an error for a kind of job that the program does not have.
func knownKind(name string) error {
	if slices.Contains(jobs.Kinds(), name) {
		return nil
	}
	return fmt.Errorf("--kind: there is no kind of job %q, only %s", name, strings.Join(jobs.Kinds(), ", "))
}

// queueNames are the queues that a command acts on.
type queueNames struct {
	databaseFlags

	Queues []string `arg:"" optional:"" name:"queue" help:"Queues, by their names: ${queues}."`
	All    bool     `help:"All queues that are worked, in place of names; also that of the alarm for lost loans."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// Validate implements kong.Validatable.
func (n *queueNames) Validate() error {
	if n.All == (len(n.Queues) > 0) {
		return fmt.Errorf("give names of queues, or --all: %s", strings.Join(jobs.Queues(), ", "))
	}
	for _, name := range n.Queues {
		if err := knownQueue(name); err != nil {
			return err
		}
	}
	return nil
}

// act does something to the queues in one transaction, and prints them.
func (n *queueNames) act(ctx context.Context, p *program, done string,
	act func(server.QueueControl, context.Context, pgx.Tx, []string) error,
) error {
	pool, control, err := n.queueControl(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	names := slices.Clone(n.Queues)
	if n.All {
		rows, err := queries.New(pool).ListQueues(ctx)
		if err != nil {
			return fmt.Errorf("list queues: %w", err)
		}
		for _, row := range rows {
			names = append(names, row.Name)
		}
	}
	slices.Sort(names) // In one order everywhere, as they are locked one after another.
	names = slices.Compact(names)
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return act(control, ctx, tx, names) })
	if err != nil {
		return err
	}
	if n.JSON {
		return printJSON(p.stdout, map[string]any{"queues": notNil(names), done: true})
	}
	if len(names) == 0 {
		_, err = fmt.Fprintln(p.stdout, "nothing to do: no process has reported to work a queue within the last day")
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s\n", done, strings.Join(names, ", "))
	return err
}

type queuePauseCommand struct{ queueNames }

// Run implements the command.
func (c *queuePauseCommand) Run(ctx context.Context, p *program) error {
	return c.act(ctx, p, "paused", server.QueueControl.Pause)
}

type queueResumeCommand struct{ queueNames }

// Run implements the command.
func (c *queueResumeCommand) Run(ctx context.Context, p *program) error {
	return c.act(ctx, p, "resumed", server.QueueControl.Resume)
}

type queueRetryCommand struct {
	databaseFlags

	IDs   []int64 `arg:"" optional:"" name:"job_id" help:"Jobs, by their numbers in queue jobs. When one cannot be tried again, none is."`
	Kind  string  `placeholder:"KIND" help:"All jobs of this kind in the state of --state, in place of numbers."`
	State string  `enum:",discarded,retryable" default:"" placeholder:"STATE" help:"With --kind: discarded, or retryable for those that wait for their next attempt."`
	Limit count   `default:"1000" placeholder:"N" help:"With --kind: most jobs at once, the oldest first; 1000 otherwise."`
	JSON  bool    `name:"json" help:"Print JSON."`
}

// Validate implements kong.Validatable.
func (c *queueRetryCommand) Validate() error {
	if (c.Kind == "") == (len(c.IDs) == 0) || (c.Kind == "") != (c.State == "") {
		return errors.New("give numbers of jobs, or --kind together with --state")
	}
	for _, id := range c.IDs {
		if id <= 0 {
			return fmt.Errorf("there is no job %d", id)
		}
	}
	if c.Kind != "" {
		return knownKind(c.Kind)
	}
	return nil
}

// retried is what came of retrying jobs, as it is printed.
type retried struct {
	JobIDs  []int64      `json:"retried"`
	Refused []refusedJob `json:"refused"`
}

type refusedJob struct {
	JobID  int64  `json:"job_id"`
	Reason string `json:"reason"`
}

// Run implements the command.
func (c *queueRetryCommand) Run(ctx context.Context, p *program) error {
	pool, control, err := c.queueControl(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	result := retried{JobIDs: []int64{}, Refused: []refusedJob{}}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return c.retry(ctx, tx, control, &result) })
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p.stdout, result)
	} else {
		err = result.print(p)
	}
	if err == nil && len(result.Refused) > 0 {
		return errFinding
	}
	return err
}

// retry has the jobs tried again that were named, all or none, or all of a kind that
// can be.
func (c *queueRetryCommand) retry(ctx context.Context, tx pgx.Tx, control server.QueueControl, result *retried) error {
	ids := slices.Clone(c.IDs)
	if c.Kind != "" {
		rows, err := queries.New(tx).ListJobs(ctx, queries.ListJobsParams{
			Queue: "", Kind: c.Kind, State: c.State, RowLimit: int32(c.Limit),
		})
		if err != nil {
			return fmt.Errorf("list jobs: %w", err)
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		_, err := control.Retry(ctx, tx, id)
		refusal, refused := errors.AsType[*server.RetryRefusedError](err)
		switch {
		case err == nil:
			result.JobIDs = append(result.JobIDs, id)
		case refused && c.Kind != "":
			result.Refused = append(result.Refused, refusedJob{JobID: id, Reason: refusal.Reason})
		default:
			return err
		}
	}
	return nil
}

func (r *retried) print(p *program) error {
	for _, refused := range r.Refused {
		fmt.Fprintf(p.stderr, "job %d is left alone: %s\n", refused.JobID, refused.Reason)
	}
	ids := make([]string, len(r.JobIDs))
	for i, id := range r.JobIDs {
		ids[i] = strconv.FormatInt(id, 10)
	}
	switch len(ids) {
	case 0:
		_, err := fmt.Fprintln(p.stdout, "no job is tried again")
		return err
	case 1:
		_, err := fmt.Fprintf(p.stdout, "tried again: job %s\n", ids[0])
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "tried again: %d jobs: %s\n", len(ids), strings.Join(ids, " "))
	return err
}
