package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"loanserve/queries"
)

const (
	// QueueAlarm is the queue of what looks for losses. It has workers of its own, so
	// that it never waits for other work.
	QueueAlarm = "alarm"
	// alarmWorkers is one, since the next look makes up for one that took long.
	alarmWorkers = 1
	// watchEvery is how soon a loss is known.
	watchEvery = time.Minute
	// watchAttempts is few: the next look does what this one could not.
	watchAttempts = 2
	// watchTimeout is many times what a look takes at a hundred thousand loans.
	watchTimeout = 50 * time.Second
)

// WatchLoansArgs names nothing: it is about all loans.
type WatchLoansArgs struct{}

// Kind is stored with every job, so it never changes.
func (WatchLoansArgs) Kind() string { return "watch_loans" }

// InsertOpts implements river.JobArgsWithInsertOpts. One job waits or runs at a time,
// however many ticks there are.
func (WatchLoansArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueAlarm, MaxAttempts: watchAttempts,
		UniqueOpts: river.UniqueOpts{ByQueue: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
}

// WatchLoans is the loss alarm: it compares the loans with the register of loans. What
// is missing is a finding of the severity critical, a metric, and a line in the log.
type WatchLoans struct {
	river.WorkerDefaults[WatchLoansArgs]

	DB      *pgxpool.Pool
	Metrics *Metrics
	Log     *slog.Logger
}

// Timeout implements river.Worker.
func (*WatchLoans) Timeout(*river.Job[WatchLoansArgs]) time.Duration { return watchTimeout }

// Work looks once.
func (w *WatchLoans) Work(ctx context.Context, _ *river.Job[WatchLoansArgs]) error {
	seen, err := Watch(ctx, w.DB)
	if err != nil {
		return fmt.Errorf("watch loans: %w", err)
	}
	w.Metrics.watched(seen)
	if seen.wrong() {
		w.Log.ErrorContext(ctx, "loans are not those that were boarded", slog.Int64("missing", seen.Missing),
			slog.Any("first_missing_loan_ids", seen.FirstMissing), slog.Int64("unregistered", seen.Unregistered),
			slog.Int64("register_entries_missing", seen.EntriesMissing), slog.Int64("loans", seen.Loans),
			slog.Int64("registered", seen.Registered), slog.Int64("highest_loan_id", seen.HighestLoanID))
	}
	return nil
}

// LoanWatch is what one look at the loans and their register came to.
type LoanWatch struct {
	Registered     int64   `json:"registered"`
	Loans          int64   `json:"loans"`
	HighestLoanID  int64   `json:"highest_loan_id"`
	Missing        int64   `json:"missing"`
	FirstMissing   []int64 `json:"first_missing_loan_ids"`
	Unregistered   int64   `json:"unregistered"`
	EntriesMissing int64   `json:"register_entries_missing"`

	atSeconds int64 // when, in seconds since 1970
}

func (l *LoanWatch) wrong() bool { return l.Missing+l.Unregistered+l.EntriesMissing > 0 }

// Watch looks for lost loans, stores what it finds and remembers how far the register
// reached.
func Watch(ctx context.Context, pool *pgxpool.Pool) (LoanWatch, error) {
	var seen LoanWatch
	step := registerStep
	look := step.look
	step.look = func(ctx context.Context, q *queries.Queries) ([]found, error) {
		counts, err := q.CountRegisteredLoans(ctx)
		if err != nil {
			return nil, fmt.Errorf("count registered loans: %w", err)
		}
		seen.Registered, seen.Loans = counts.Registered, counts.Loans
		seen.HighestLoanID = max(counts.HighestRegisteredID, counts.HighestLoanID)
		seen.atSeconds = counts.SeenAt.Unix()
		return look(ctx, q)
	}
	all, err := step.work(ctx, pool, func(ctx context.Context, q *queries.Queries) error {
		return wrap("insert anchors of the register", q.InsertRegisterAnchors(ctx))
	})
	if err != nil {
		return seen, err
	}
	for _, f := range all {
		switch f.kind {
		case queries.IntegrityKindLoanMissing:
			if seen.Missing++; len(seen.FirstMissing) < maxExamples {
				seen.FirstMissing = append(seen.FirstMissing, f.loanID)
			}
		case queries.IntegrityKindLoanUnregistered:
			seen.Unregistered++
		default:
			seen.EntriesMissing++
		}
	}
	return seen, nil
}
