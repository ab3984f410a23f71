package jobs

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

const (
	// DefaultHistoryRetention is how long what rows were before stays.
	DefaultHistoryRetention = 400 * 24 * time.Hour
	// MinHistoryRetention is what the database keeps whoever asks.
	MinHistoryRetention = 90 * 24 * time.Hour
	// monthsAhead is how many months have a partition before they come, so that a year
	// without a worker fills none that has to be split.
	monthsAhead = 12
)

// PruneHistoryArgs names the run that drops old months of the history. Without one the
// clock asks, and says after how many seconds a month goes.
type PruneHistoryArgs struct {
	RunID      uuid.UUID `json:"run_id"`
	AgeSeconds int32     `json:"age_seconds,omitempty"`
}

// Kind is stored with every job, so it never changes.
func (PruneHistoryArgs) Kind() string { return "prune_history" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a PruneHistoryArgs) InsertOpts() river.InsertOpts { return purgeOpts(a.RunID, pruneEvery) }

// PruneHistory makes the months of the history that are to come, and drops those that
// ended before the moment that its run says.
type PruneHistory struct {
	river.WorkerDefaults[PruneHistoryArgs]

	DB      DB
	Metrics *Metrics
	Batches int // of one job; 0 is purgeBatches
}

// Timeout implements river.Worker.
func (*PruneHistory) Timeout(*river.Job[PruneHistoryArgs]) time.Duration { return purgeTimeout }

// Work makes and drops months. One that a query holds is left to the next attempt.
func (w *PruneHistory) Work(ctx context.Context, job *river.Job[PruneHistoryArgs]) error {
	return historyPurge.work(ctx, &purgeJob{
		db: w.DB, metrics: w.Metrics, row: job.JobRow, run: job.Args.RunID, ageSeconds: job.Args.AgeSeconds,
		batches: cmp.Or(w.Batches, purgeBatches),
	})
}

var historyPurge = purge{
	kind: queries.RunKindPruneHistory, period: pruneEvery, minAge: MinHistoryRetention,
	count: func(ctx context.Context, q *queries.Queries, before time.Time) (int64, error) {
		return q.CountOldHistory(ctx, before)
	},
	steps: []purgeStep{
		func(ctx context.Context, q *queries.Queries, _, _ time.Time) (int64, time.Time, error) {
			if _, err := q.InsertHistoryParts(ctx, monthsAhead); err != nil {
				return 0, time.Time{}, fmt.Errorf("make months: %w", err)
			}
			return 0, time.Time{}, nil
		},
		func(ctx context.Context, q *queries.Queries, _, before time.Time) (int64, time.Time, error) {
			rows, err := q.DeleteOldHistoryBatch(ctx, before)
			return rows, time.Time{}, err
		},
	},
	oldest: func(ctx context.Context, q *queries.Queries) (time.Time, error) { return q.GetOldestHistory(ctx) },
	next:   func(run uuid.UUID) river.JobArgs { return PruneHistoryArgs{RunID: run, AgeSeconds: 0} },
}
