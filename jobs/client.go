package jobs

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// Schema is the database schema of the queue's own tables.
const Schema = "river"

// NewInserter returns a client that hands jobs to the queue, inside the
// caller's transaction, and works none. Plugins are besides the metrics and the ids of
// requests.
func NewInserter(
	pool *pgxpool.Pool, m *Metrics, log *slog.Logger, plugins ...rivertype.Plugin,
) (*river.Client[pgx.Tx], error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: Schema, Logger: quiet(log), Plugins: append(plugins, &requestIDs{}, m),
	})
	if err != nil {
		return nil, fmt.Errorf("queue client: %w", err)
	}
	return client, nil
}

// quiet keeps River's own log to what an operator must know: each job's line
// is written by Metrics.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(&atLeast{Handler: log.Handler(), level: slog.LevelWarn})
}

// The pauses before a job is tried again.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// retryPolicy doubles the pause from one second to five minutes, so that a
// passing fault costs seconds and a lasting one does not hammer the database.
type retryPolicy struct{}

// NextRetry implements river.ClientRetryPolicy. A little of the pause depends
// on the job, so that jobs that failed together do not come back together.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	pause := lastPause
	if n := len(job.Errors); n < 9 { // 2^9 s is past the last pause
		pause = min(lastPause, firstPause<<n)
	}
	spread := pause / 10 * time.Duration(job.ID%10) / 10
	return time.Now().UTC().Add(pause + spread) //nolint:forbidigo // When to look again; no result depends on it.
}
