package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"loanserve/queries"
)

// QueueControl stops and starts queues and has jobs tried again, through the queue's
// own client, in the transaction that also tells the audit trail of it. Running
// workers are notified when that commits.
type QueueControl struct {
	Jobs  *river.Client[pgx.Tx]
	Actor Actor
}

// ErrNoQueue reports a queue that no process has ever worked, or none for so long that
// it was forgotten: there is nothing to stop or to start.
var ErrNoQueue = errors.New("no process has reported to work it within the last day")

// Pause keeps every worker from taking jobs from the queues, until they are resumed.
// Jobs that run go on to their end. To pause a queue again is no mistake.
func (c QueueControl) Pause(ctx context.Context, tx pgx.Tx, queues []string) error {
	return c.each(ctx, tx, "queue_paused", queues, c.Jobs.QueuePauseTx)
}

// Resume lets workers take jobs from the queues again. To resume a queue that works
// is no mistake.
func (c QueueControl) Resume(ctx context.Context, tx pgx.Tx, queues []string) error {
	return c.each(ctx, tx, "queue_resumed", queues, c.Jobs.QueueResumeTx)
}

func (c QueueControl) each(ctx context.Context, tx pgx.Tx, event string, queues []string,
	act func(context.Context, pgx.Tx, string, *river.QueuePauseOpts) error,
) error {
	q := queries.New(tx)
	for _, queue := range queues {
		err := act(ctx, tx, queue, nil)
		if errors.Is(err, rivertype.ErrNotFound) {
			err = ErrNoQueue
		}
		if err != nil {
			return fmt.Errorf("queue %s: %w", queue, err)
		}
		if err := c.Actor.tell(ctx, q, event, target{}, map[string]any{"queue": queue}); err != nil {
			return err
		}
	}
	return nil
}

// RetryRefusedError says why a job cannot be tried again.
type RetryRefusedError struct {
	JobID  int64
	Reason string
}

// Error implements error.
func (e *RetryRefusedError) Error() string { return fmt.Sprintf("job %d: %s", e.JobID, e.Reason) }

// Retry makes a job due now that failed for the last time, was cancelled, or waits for
// its next attempt. It returns a *RetryRefusedError for any other, and then tx goes on
// as if nothing had been tried.
func (c QueueControl) Retry(ctx context.Context, tx pgx.Tx, id int64) (queries.LockJobRow, error) {
	var job queries.LockJobRow
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		var err error
		job, err = c.retry(ctx, tx, id)
		return err
	})
	const uniqueViolation = "23505"
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == uniqueViolation {
		err = &RetryRefusedError{JobID: id, Reason: "another job that does the same is in the queue already"}
	}
	return job, err
}

func (c QueueControl) retry(ctx context.Context, tx pgx.Tx, id int64) (queries.LockJobRow, error) {
	q := queries.New(tx)
	job, err := q.LockJob(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return job, &RetryRefusedError{JobID: id, Reason: "there is no such job"}
	}
	if err != nil {
		return job, fmt.Errorf("lock job %d: %w", id, err)
	}
	if reason := notRetried(rivertype.JobState(job.State)); reason != "" {
		return job, &RetryRefusedError{JobID: id, Reason: reason}
	}
	if _, err := c.Jobs.JobRetryTx(ctx, tx, id); err != nil {
		return job, fmt.Errorf("retry job %d: %w", id, err)
	}
	return job, c.Actor.tell(ctx, q, "job_retried", target{}, map[string]any{
		"job_id": id, "kind": job.Kind, "queue": job.Queue, "state": job.State,
	})
}

// notRetried says why a job in this state is not tried again, or nothing.
func notRetried(state rivertype.JobState) string {
	switch state {
	case rivertype.JobStateDiscarded, rivertype.JobStateCancelled, rivertype.JobStateRetryable,
		rivertype.JobStateScheduled:
		return ""
	case rivertype.JobStateRunning:
		return "it is running"
	case rivertype.JobStateCompleted:
		return "it is completed: its work is done"
	case rivertype.JobStateAvailable, rivertype.JobStatePending:
		return "it waits to be worked already"
	}
	return "it is " + string(state)
}
