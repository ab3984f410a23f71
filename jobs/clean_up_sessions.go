package jobs

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

const (
	cleanUpEvery = time.Hour
	// DefaultSessionGrace is how long a session stays after it has ended, for
	// whoever looks into what happened.
	DefaultSessionGrace = 24 * time.Hour
)

// CleanUpSessionsArgs names the run that deletes sessions. Without one the clock
// asks, and says after how many seconds a session that has ended goes.
type CleanUpSessionsArgs struct {
	RunID      uuid.UUID `json:"run_id"`
	AgeSeconds int32     `json:"age_seconds,omitempty"`
}

// Kind is stored with every job, so it never changes.
func (CleanUpSessionsArgs) Kind() string { return "clean_up_sessions" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a CleanUpSessionsArgs) InsertOpts() river.InsertOpts { return purgeOpts(a.RunID, cleanUpEvery) }

// CleanUpSessions deletes sessions that expired or were revoked before the
// moment that its run says. One that nobody has used for long goes when it would
// have expired, which is half a day later at most.
type CleanUpSessions struct {
	river.WorkerDefaults[CleanUpSessionsArgs]

	DB      DB
	Metrics *Metrics
	Batches int // of one job; 0 is purgeBatches
}

// Timeout implements river.Worker.
func (*CleanUpSessions) Timeout(*river.Job[CleanUpSessionsArgs]) time.Duration { return purgeTimeout }

// Work deletes a part of what is to go, and leaves the rest to the next job.
func (w *CleanUpSessions) Work(ctx context.Context, job *river.Job[CleanUpSessionsArgs]) error {
	return sessionPurge.work(ctx, &purgeJob{
		db: w.DB, metrics: w.Metrics, row: job.JobRow, run: job.Args.RunID, ageSeconds: job.Args.AgeSeconds,
		batches: cmp.Or(w.Batches, purgeBatches),
	})
}

var sessionPurge = purge{
	kind: queries.RunKindCleanUpSessions, period: cleanUpEvery,
	count: func(ctx context.Context, q *queries.Queries, before time.Time) (int64, error) {
		return q.CountEndedSessions(ctx, before)
	},
	steps: []purgeStep{
		func(ctx context.Context, q *queries.Queries, after, before time.Time) (int64, time.Time, error) {
			row, err := q.DeleteExpiredSessionsBatch(ctx, queries.DeleteExpiredSessionsBatchParams{
				AfterAt: after, BeforeAt: before, RowLimit: purgeRows,
			})
			return row.Deleted, row.ThroughAt, err
		},
		func(ctx context.Context, q *queries.Queries, after, before time.Time) (int64, time.Time, error) {
			row, err := q.DeleteRevokedSessionsBatch(ctx, queries.DeleteRevokedSessionsBatchParams{
				AfterAt: &after, BeforeAt: before, RowLimit: purgeRows,
			})
			return row.Deleted, row.ThroughAt, err
		},
	},
	oldest: func(ctx context.Context, q *queries.Queries) (time.Time, error) { return q.GetOldestSession(ctx) },
	next:   func(run uuid.UUID) river.JobArgs { return CleanUpSessionsArgs{RunID: run, AgeSeconds: 0} },
}
