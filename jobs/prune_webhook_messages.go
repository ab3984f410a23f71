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
	// DefaultWebhookRetention is how long messages stay, with what became of them.
	DefaultWebhookRetention = 30 * 24 * time.Hour
	// MinWebhookRetention is more than the days for which a message is tried, and than
	// those by which a receiver is judged to do nothing but fail.
	MinWebhookRetention = 7 * 24 * time.Hour
)

// PruneWebhookMessagesArgs names the run that deletes messages and their deliveries.
// Without one the clock asks, and says after how many seconds a message goes.
type PruneWebhookMessagesArgs struct {
	RunID      uuid.UUID `json:"run_id"`
	AgeSeconds int32     `json:"age_seconds,omitempty"`
}

// Kind is stored with every job, so it never changes.
func (PruneWebhookMessagesArgs) Kind() string { return "prune_webhook_messages" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a PruneWebhookMessagesArgs) InsertOpts() river.InsertOpts {
	return purgeOpts(a.RunID, pruneEvery)
}

// PruneWebhookMessages deletes messages of before the moment that its run says, with
// their deliveries. A delivery that waits stays, and so does its message: what nobody
// has received yet is not old.
type PruneWebhookMessages struct {
	river.WorkerDefaults[PruneWebhookMessagesArgs]

	DB      DB
	Metrics *Metrics
	Batches int // of one job; 0 is purgeBatches
}

// Timeout implements river.Worker.
func (*PruneWebhookMessages) Timeout(*river.Job[PruneWebhookMessagesArgs]) time.Duration {
	return purgeTimeout
}

// Work deletes a part of what is to go, and leaves the rest to the next job.
func (w *PruneWebhookMessages) Work(ctx context.Context, job *river.Job[PruneWebhookMessagesArgs]) error {
	return webhookPurge.work(ctx, &purgeJob{
		db: w.DB, metrics: w.Metrics, row: job.JobRow, run: job.Args.RunID, ageSeconds: job.Args.AgeSeconds,
		batches: cmp.Or(w.Batches, purgeBatches),
	})
}

var webhookPurge = purge{
	kind: queries.RunKindPruneWebhookMessages, period: pruneEvery, minAge: MinWebhookRetention,
	count: func(ctx context.Context, q *queries.Queries, before time.Time) (int64, error) {
		return q.CountOldWebhookRows(ctx, before)
	},
	steps: []purgeStep{
		func(ctx context.Context, q *queries.Queries, after, before time.Time) (int64, time.Time, error) {
			row, err := q.DeleteWebhookDeliveriesBatch(ctx, queries.DeleteWebhookDeliveriesBatchParams{
				AfterAt: after, BeforeAt: before, RowLimit: purgeRows,
			})
			return row.Deleted, row.ThroughAt, err
		},
		func(ctx context.Context, q *queries.Queries, after, before time.Time) (int64, time.Time, error) {
			row, err := q.DeleteWebhookMessagesBatch(ctx, queries.DeleteWebhookMessagesBatchParams{
				AfterAt: after, BeforeAt: before, RowLimit: purgeRows,
			})
			return row.Deleted, row.ThroughAt, err
		},
	},
	oldest: func(ctx context.Context, q *queries.Queries) (time.Time, error) {
		return q.GetOldestWebhookMessage(ctx)
	},
	next: func(run uuid.UUID) river.JobArgs { return PruneWebhookMessagesArgs{RunID: run, AgeSeconds: 0} },
}
