package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

const patience = 30 * time.Second

// process is what a serving and working process has.
type process struct {
	registry *prometheus.Registry
	metrics  *jobs.Metrics
	inserter *river.Client[pgx.Tx]
}

func newProcess(t *testing.T, db *testdb.DB) process {
	t.Helper()
	registry := prometheus.NewRegistry()
	metrics := jobs.NewMetrics(registry, slog.New(slog.DiscardHandler))
	inserter, err := jobs.NewInserter(db.App, metrics, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return process{registry: registry, metrics: metrics, inserter: inserter}
}

func (p process) start(t *testing.T, db *testdb.DB) *jobs.Worker {
	t.Helper()
	return p.startWith(t, db, nil)
}

// startWith starts a worker that keeps house by itself.
func (p process) startWith(t *testing.T, db *testdb.DB, housekeeping *jobs.Housekeeping) *jobs.Worker {
	t.Helper()
	worker, err := jobs.NewWorker(db.App, jobs.Config{
		ID: "", PaymentWorkers: 8, Housekeeping: housekeeping, Metrics: p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	return worker
}

func (p process) enqueue(t *testing.T, db *testdb.DB, loan queries.Loan) queries.Payment {
	t.Helper()
	payment := testdb.Payment(t, db.App, loan, received(500_00, "2026-03-01"))
	_, err := p.inserter.Insert(t.Context(), jobs.PostPaymentArgs{PaymentID: payment.ID}, nil)
	require.NoError(t, err)
	return payment
}

func untilPosted(t *testing.T, db *testdb.DB, payment queries.Payment) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := queries.New(db.App).GetPayment(context.Background(), payment.ID)
		return err == nil && got.Status == queries.PaymentStatusPosted
	}, patience, 5*time.Millisecond)
}

func TestWorkerPostsAndStops(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	worker := p.start(t, db)

	untilPosted(t, db, p.enqueue(t, db, loan))

	require.NoError(t, worker.Stop(t.Context()))
	require.InDelta(t, 1, metric(t, p.registry, "loanserve_jobs_inserted_total"), 0)
	require.InDelta(t, 1, metric(t, p.registry, "loanserve_payments_total"), 0)
	require.InDelta(t, 1, metric(t, p.registry, "loanserve_job_attempts_total"), 0)
	var running int
	err := db.App.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE state <> 'completed'").Scan(&running)
	require.NoError(t, err)
	require.Zero(t, running, "jobs that a stopped worker left unfinished")
}

// Payments that are posted together do not share a misfortune.
func TestOneBadPaymentFallsOut(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan, other := testdb.Loan(t, db.App), testdb.Loan(t, db.App)
	p := newProcess(t, db)
	var good []queries.Payment
	for range 20 {
		good = append(good, p.enqueue(t, db, loan), p.enqueue(t, db, other))
	}
	bad := p.enqueue(t, db, loan)
	_, err := db.Super.Exec(t.Context(), fmt.Sprintf(
		"ALTER TABLE payments ADD CONSTRAINT bad CHECK (id <> '%s' OR status = 'received') NOT VALID", bad.ID))
	require.NoError(t, err)

	worker := p.start(t, db)
	for _, payment := range good {
		untilPosted(t, db, payment)
	}
	require.NoError(t, worker.Stop(t.Context()))

	got, err := queries.New(db.App).GetPayment(t.Context(), bad.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusReceived, got.Status, "it waits for its next attempt")
	requireSoundBooks(t, db.App, loan.ID)
	requireSoundBooks(t, db.App, other.ID)
}

// A job cut off by the end of the grace period goes back to the queue, and its
// transaction leaves nothing.
func TestWorkerStopsHard(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	blocker, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "SELECT FROM loans WHERE id = $1 FOR NO KEY UPDATE", loan.ID)
	require.NoError(t, err)

	worker := p.start(t, db)
	payment := p.enqueue(t, db, loan)
	require.Eventually(t, func() bool { return waiting(t, db) > 0 }, patience, 5*time.Millisecond)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, worker.Stop(over))
	require.NoError(t, blocker.Rollback(t.Context()))

	got, err := queries.New(db.App).GetPayment(t.Context(), payment.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusReceived, got.Status)

	again := p.start(t, db)
	untilPosted(t, db, payment)
	require.NoError(t, again.Stop(t.Context()))
	requireSoundBooks(t, db.App, loan.ID)
}

// waiting counts sessions of the database that wait for a row lock.
func waiting(t *testing.T, db *testdb.DB) (n int) {
	t.Helper()
	err := db.Super.QueryRow(context.Background(),
		"SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", db.Name).Scan(&n)
	require.NoError(t, err)
	return n
}

// A worker that was killed holds no lock any more: the next one gives its jobs
// back and posts them.
func TestOrphanedJobsAreGivenBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	payment := p.enqueue(t, db, loan)
	_, err := db.App.Exec(t.Context(), `UPDATE river.river_job
SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['a worker that was killed']`)
	require.NoError(t, err)

	worker := p.start(t, db)
	untilPosted(t, db, payment)
	require.NoError(t, worker.Stop(t.Context()))
	require.InDelta(t, 1, metric(t, p.registry, "loanserve_jobs_rescued_total"), 0)
}

// The jobs of a worker that lives are its own.
func TestJobsOfTheLivingAreLeftAlone(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	p.enqueue(t, db, loan)
	_, err := db.App.Exec(t.Context(), `UPDATE river.river_job
SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['alive']`)
	require.NoError(t, err)
	conn, err := db.App.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	q := queries.New(conn)
	require.NoError(t, q.LockWorkerName(t.Context(), "alive"))
	own, err := q.MarkOrphanedJobsAvailable(t.Context(), []string{"post_payment"}, "alive")
	require.NoError(t, err)
	require.Empty(t, own, "who looks for the dead lives")

	other, err := db.App.Acquire(t.Context())
	require.NoError(t, err)
	defer other.Release()
	given, err := queries.New(other).MarkOrphanedJobsAvailable(t.Context(), []string{"post_payment"}, "other")
	require.NoError(t, err)
	require.Empty(t, given)

	_, err = conn.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
	require.NoError(t, err)
	given, err = queries.New(other).MarkOrphanedJobsAvailable(t.Context(), []string{"post_payment"}, "other")
	require.NoError(t, err)
	require.Len(t, given, 1)
}

func TestMetricsExistBeforeTheFirstJob(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	registry := prometheus.NewRegistry()
	jobs.NewMetrics(registry, slog.New(slog.DiscardHandler))
	registry.MustRegister(jobs.NewQueueCollector(db.App, slog.New(slog.DiscardHandler)))

	const kinds = 29
	for name, series := range map[string]int{
		"loanserve_jobs_inserted_total":          kinds,
		"loanserve_job_attempts_total":           4 * kinds,
		"loanserve_job_run_duration_seconds":     kinds,
		"loanserve_job_wait_duration_seconds":    kinds,
		"loanserve_jobs_rescued_total":           kinds,
		"loanserve_payments_total":               2,
		"loanserve_loans_closed_total":           3,
		"loanserve_escrow_analyses_total":        3,
		"loanserve_queue_jobs":                   5 * kinds,
		"loanserve_queue_oldest_job_age_seconds": 12,
		"loanserve_webhook_attempts_total":       3,
		"loanserve_purge_deleted_rows_total":     4,
		"loanserve_backup_failures_total":        2 * (len(backup.Stages()) + 1),
		"loanserve_queue_scrape_success":         1,
	} {
		got, err := testutil.GatherAndCount(registry, name)
		require.NoError(t, err)
		require.Equal(t, series, got, name)
	}
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// A queue that cannot be read is said so, and breaks no scrape.
func TestQueueCollectorWithoutDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	pool := db.Pool(t, testdb.RoleApp)
	pool.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(jobs.NewQueueCollector(pool, slog.New(slog.DiscardHandler)))

	require.Zero(t, metric(t, registry, "loanserve_queue_scrape_success"))
}

// metric returns the sum of a metric's series.
func metric(t *testing.T, g prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}
