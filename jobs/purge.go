package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// QueueHousekeeping is the queue of work that keeps tables from growing.
	QueueHousekeeping = "housekeeping"
	// housekeepingWorkers is one: nobody waits for such work, and everybody else
	// for the disk that it keeps busy.
	housekeepingWorkers = 1

	// purgeRows is how many rows one statement deletes. The locks on them are held
	// for some ten milliseconds, and are of rows that nobody else wants.
	purgeRows = 2_000
	// purgeRest is how many times as long as each took a job rests after it, so that
	// disk and processor are everybody else's for four fifths of the time, and for
	// longer when they are busy and it took long.
	purgeRest = 4
	// purgeRestMost bounds the rest after one that took very long, such as a count.
	purgeRestMost = 5 * time.Second
	// purgeBatches is how many such statements one job makes, unless purgeSpan is
	// over before. Then it enqueues another one, behind whatever else waits, and
	// ends: a table of any size is purged in jobs that are short and take no memory.
	purgeBatches = 500
	purgeSpan    = time.Minute
	// purgeTimeout leaves the last statement of a job much time.
	purgeTimeout = 4 * time.Minute
	// purgeAttempts is how often in a row a part of a purge may fail.
	purgeAttempts = 10
)

// Housekeeping says how long what is purged by itself stays.
type Housekeeping struct {
	// SessionGrace is how long a session stays after it has ended.
	SessionGrace time.Duration
	// AttemptRetention is how long an attempt to log in stays. It is not shorter
	// than LockoutWindow.
	AttemptRetention time.Duration
	// HistoryRetention is how long what rows were before stays: a month goes when all
	// of it is older. It is not shorter than MinHistoryRetention.
	HistoryRetention time.Duration
	// WebhookRetention is how long messages of webhooks stay. It is not shorter than
	// MinWebhookRetention.
	WebhookRetention time.Duration
}

// periodic is what is purged by the clock: sessions every hour, attempts,
// history and webhooks every day, and all when a worker begins to lead, so that what was missed is made up.
// Uniqueness by period keeps that from being more often.
func (h Housekeeping) periodic() []*river.PeriodicJob {
	every := func(period time.Duration, args river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(period),
			func() (river.JobArgs, *river.InsertOpts) { return args, nil },
			&river.PeriodicJobOpts{ID: args.Kind(), RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(cleanUpEvery, CleanUpSessionsArgs{RunID: uuid.Nil, AgeSeconds: int32(h.SessionGrace.Seconds())}),
		every(pruneEvery, PruneLoginAttemptsArgs{RunID: uuid.Nil, AgeSeconds: int32(h.AttemptRetention.Seconds())}),
		every(pruneEvery, PruneHistoryArgs{RunID: uuid.Nil, AgeSeconds: int32(h.HistoryRetention.Seconds())}),
		every(pruneEvery, PruneWebhookMessagesArgs{RunID: uuid.Nil, AgeSeconds: int32(h.WebhookRetention.Seconds())}),
	}
}

// purgeOpts are the options of a job that purges. One without a run comes from
// the clock and is made once in a period; one with a run is not unique, because
// its run is.
func purgeOpts(run uuid.UUID, period time.Duration) river.InsertOpts {
	opts := river.InsertOpts{Queue: QueueHousekeeping, MaxAttempts: purgeAttempts}
	if run == uuid.Nil {
		opts.UniqueOpts = river.UniqueOpts{ByQueue: true, ByPeriod: period}
	}
	return opts
}

// purge is what a kind of job deletes, and how.
type purge struct {
	kind   queries.RunKind
	period time.Duration // in which the clock asks for one
	minAge time.Duration // younger rows are never deleted
	count  func(ctx context.Context, q *queries.Queries, before time.Time) (int64, error)
	// steps each delete some rows of one sort, the oldest first.
	steps []purgeStep
	// oldest returns the time of the oldest row that is left, or pgx.ErrNoRows.
	oldest func(ctx context.Context, q *queries.Queries) (time.Time, error)
	// next is the job that goes on with the run.
	next func(run uuid.UUID) river.JobArgs
}

// purgeStep deletes at most purgeRows rows of before the moment, beginning with
// after, and returns how many, and where to go on. Without that each statement
// would walk over what those before it have left in the index.
type purgeStep func(ctx context.Context, q *queries.Queries, after, before time.Time) (int64, time.Time, error)

// purgeJob is one job's part of a purge, and how far it has come.
type purgeJob struct {
	db         DB
	metrics    *Metrics
	row        *rivertype.JobRow
	run        uuid.UUID // nil until the run that the clock asks for is stored
	ageSeconds int32     // of such a run
	batches    int

	step  int
	after time.Time
	over  bool
}

// work goes on with a run, or with the one that the clock asks for by this job.
// Where its last attempt fails it ends the run, so that nobody waits for it.
func (p purge) work(ctx context.Context, j *purgeJob) error {
	err := p.part(ctx, j)
	if err != nil && j.row.Attempt >= j.row.MaxAttempts && j.run != uuid.Nil {
		err = errors.Join(err, giveUp(context.WithoutCancel(ctx), j))
	}
	return err
}

func (p purge) part(ctx context.Context, j *purgeJob) error {
	if j.run == uuid.Nil {
		var err error
		if j.run, err = p.ask(ctx, j.db, j.row.CreatedAt, j.ageSeconds); err != nil {
			return fmt.Errorf("ask for a run of %s: %w", p.kind, err)
		}
	}
	now := time.Now //nolint:forbidigo // How long to work and to rest; no result depends on it.
	for n, end := 0, now().Add(purgeSpan); n < j.batches && now().Before(end); n++ {
		began := now()
		if err := p.batch(ctx, j); err != nil {
			return fmt.Errorf("run %s: %w", j.run, err)
		}
		if j.over {
			return nil
		}
		select {
		case <-time.After(min(purgeRest*now().Sub(began), purgeRestMost)):
		case <-ctx.Done():
			return fmt.Errorf("run %s: %w", j.run, ctx.Err())
		}
	}
	client, err := river.ClientFromContextSafely[pgx.Tx](ctx)
	if err != nil {
		return fmt.Errorf("go on with run %s: %w", j.run, err)
	}
	if _, err := client.Insert(ctx, p.next(j.run), nil); err != nil {
		return fmt.Errorf("go on with run %s: %w", j.run, err)
	}
	return nil
}

// ask stores the run that the clock asks for in the period of the instant, once,
// and returns it.
func (p purge) ask(ctx context.Context, db DB, at time.Time, age int32) (run uuid.UUID, err error) {
	key := string(p.kind) + " " + at.UTC().Truncate(p.period).Format(time.RFC3339)
	hash := sha256.Sum256([]byte(key))
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("make run id: %w", err)
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		row, err := q.InsertRun(ctx, queries.InsertRunParams{
			ID: id, Kind: p.kind, AsOfOn: mortgage.DateOf(at),
			RequestedBy: scheduledBy, IdempotencyKey: key, RequestHash: hash[:],
		})
		if errors.Is(err, pgx.ErrNoRows) { // An earlier attempt, or an earlier job of the period.
			row, err = q.GetRunByKey(ctx, scheduledBy, key)
			run = row.ID
			return err
		}
		if err != nil {
			return fmt.Errorf("insert run: %w", err)
		}
		run = row.ID
		_, err = q.InsertRunPurge(ctx, queries.InsertRunPurgeParams{RunID: run, AgeSeconds: age, DryRun: false})
		return err
	})
	return run, err
}

// batch deletes one batch, in one transaction with its count in the run. The
// run's lock keeps others from the same run; a run that is over ends the job.
func (p purge) batch(ctx context.Context, j *purgeJob) error {
	var deleted int64
	var end purgeEnd
	err := pgx.BeginFunc(ctx, j.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if err := q.YieldToOthers(ctx); err != nil {
			return fmt.Errorf("yield to others: %w", err)
		}
		row, err := q.LockRunPurge(ctx, j.run)
		if errors.Is(err, pgx.ErrNoRows) {
			j.over = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock run: %w", err)
		}
		if row.Run.Status == queries.RunStatusRequested {
			end, err = p.begin(ctx, q, row)
			j.over = end.over
			return err
		}
		if j.step == len(p.steps) {
			end, err = p.finish(ctx, q, row.Run)
			j.over = true
			return err
		}
		var through time.Time
		deleted, through, err = p.steps[j.step](ctx, q, j.after, row.BeforeAt)
		if err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		j.after = through
		if deleted < purgeRows {
			j.step, j.after = j.step+1, time.Time{}
		}
		return q.MarkPurgeProgress(ctx, queries.MarkPurgeProgressParams{ID: j.run, Seen: deleted, Deleted: deleted})
	})
	if err != nil {
		return err
	}
	j.metrics.purges.deleted.WithLabelValues(string(p.kind)).Add(float64(deleted))
	if end.over {
		j.metrics.purges.end(p.kind, end)
	}
	return nil
}

// purgeEnd is what a run left.
type purgeEnd struct {
	over        bool
	remaining   int64
	oldest      *time.Time
	tookSeconds float64
}

// begin counts what is to go. A run that is only to tell is over with that, and
// so is one that may not do what it was told.
func (p purge) begin(ctx context.Context, q *queries.Queries, row queries.LockRunPurgeRow) (purgeEnd, error) {
	if row.Run.CreatedAt.Sub(row.BeforeAt) < p.minAge {
		return purgeEnd{over: true}, fail(ctx, q, row.Run.ID, "it would delete what is still needed")
	}
	total, err := p.count(ctx, q, row.BeforeAt)
	if err != nil {
		return purgeEnd{}, fmt.Errorf("count: %w", err)
	}
	if err := q.MarkPurgeStarted(ctx, total, row.Run.ID); err != nil {
		return purgeEnd{}, fmt.Errorf("start: %w", err)
	}
	if !row.DryRun {
		return purgeEnd{}, nil
	}
	err = q.MarkPurgeProgress(ctx, queries.MarkPurgeProgressParams{ID: row.Run.ID, Seen: total, Deleted: 0})
	if err != nil {
		return purgeEnd{}, fmt.Errorf("count as seen: %w", err)
	}
	row.Run.Total = total
	return p.finish(ctx, q, row.Run)
}

// finish ends the run with what it found and did not delete: somebody else held
// it, or has deleted it.
func (p purge) finish(ctx context.Context, q *queries.Queries, run queries.Run) (purgeEnd, error) {
	end := purgeEnd{over: true, remaining: max(0, run.Total-run.Changed)}
	oldest, err := p.oldest(ctx, q)
	if err == nil {
		end.oldest = &oldest
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return end, fmt.Errorf("get oldest: %w", err)
	}
	end.tookSeconds, err = q.MarkPurgeFinished(ctx, queries.MarkPurgeFinishedParams{
		ID: run.ID, Remaining: &end.remaining, OldestAt: end.oldest,
	})
	if err != nil {
		return end, fmt.Errorf("finish: %w", err)
	}
	return end, nil
}

// giveUp ends a run whose last attempt has failed.
func giveUp(ctx context.Context, j *purgeJob) error {
	return pgx.BeginFunc(ctx, j.db, func(tx pgx.Tx) error {
		return fail(ctx, queries.New(tx), j.run, "it was tried too often: the log has the reason")
	})
}

// fail ends a run that does not do what was asked, with the reason.
func fail(ctx context.Context, q *queries.Queries, run uuid.UUID, why string) error {
	findings, err := json.Marshal([]finding{{LoanID: 0, Detail: why}})
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	if err := q.MarkPurgeFailed(ctx, findings, run); err != nil {
		return fmt.Errorf("end run: %w", err)
	}
	return nil
}
