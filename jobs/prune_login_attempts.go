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
	pruneEvery = 24 * time.Hour
	// DefaultAttemptRetention is how long attempts to log in stay.
	DefaultAttemptRetention = 90 * 24 * time.Hour
	// LockoutWindow is how far back the throttle of logins counts failures.
	// Attempts within it are never pruned: that would let somebody guess anew.
	LockoutWindow = 24 * time.Hour
)

// PruneLoginAttemptsArgs names the run that deletes attempts to log in. Without
// one the clock asks, and says after how many seconds an attempt goes.
type PruneLoginAttemptsArgs struct {
	RunID      uuid.UUID `json:"run_id"`
	AgeSeconds int32     `json:"age_seconds,omitempty"`
}

// Kind is stored with every job, so it never changes.
func (PruneLoginAttemptsArgs) Kind() string { return "prune_login_attempts" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a PruneLoginAttemptsArgs) InsertOpts() river.InsertOpts { return purgeOpts(a.RunID, pruneEvery) }

// PruneLoginAttempts deletes attempts to log in of before the moment that its
// run says, and keeps how many there were of each outcome on each day.
type PruneLoginAttempts struct {
	river.WorkerDefaults[PruneLoginAttemptsArgs]

	DB      DB
	Metrics *Metrics
	Batches int // of one job; 0 is purgeBatches
}

// Timeout implements river.Worker.
func (*PruneLoginAttempts) Timeout(*river.Job[PruneLoginAttemptsArgs]) time.Duration {
	return purgeTimeout
}

// Work deletes a part of what is to go, and leaves the rest to the next job.
func (w *PruneLoginAttempts) Work(ctx context.Context, job *river.Job[PruneLoginAttemptsArgs]) error {
	return attemptPurge.work(ctx, &purgeJob{
		db: w.DB, metrics: w.Metrics, row: job.JobRow, run: job.Args.RunID, ageSeconds: job.Args.AgeSeconds,
		batches: cmp.Or(w.Batches, purgeBatches),
	})
}

var attemptPurge = purge{
	kind: queries.RunKindPruneLoginAttempts, period: pruneEvery, minAge: LockoutWindow,
	count: func(ctx context.Context, q *queries.Queries, before time.Time) (int64, error) {
		return q.CountOldLoginAttempts(ctx, before)
	},
	steps: []purgeStep{
		func(ctx context.Context, q *queries.Queries, after, before time.Time) (int64, time.Time, error) {
			row, err := q.DeleteLoginAttemptsBatch(ctx, queries.DeleteLoginAttemptsBatchParams{
				AfterAt: after, BeforeAt: before, RowLimit: purgeRows,
			})
			return row.Deleted, row.ThroughAt, err
		},
	},
	oldest: func(ctx context.Context, q *queries.Queries) (time.Time, error) { return q.GetOldestLoginAttempt(ctx) },
	next:   func(run uuid.UUID) river.JobArgs { return PruneLoginAttemptsArgs{RunID: run, AgeSeconds: 0} },
}
