package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"loanserve/internal/drift"
	"loanserve/internal/statement"
)

const (
	// fetchCooldown bounds how often a busy queue is asked; with the default of
	// 100 ms one process could not drain more than ten fetches a second.
	fetchCooldown = 5 * time.Millisecond
	// fetchPoll finds jobs whose notification was lost.
	fetchPoll = 500 * time.Millisecond
	// rescueAfter is when River gives a running job back by itself, should the
	// faster way of orphans.go not have seen it. It exceeds every job's timeout.
	rescueAfter = 5 * time.Minute
	// defaultTimeout is for kinds that state none of their own.
	defaultTimeout = time.Minute
	// hardStop is how long cancelled jobs may take to return.
	hardStop = 5 * time.Second
)

// Config says how a process works jobs.
type Config struct {
	// ID names the process among all workers; it must be unique among those
	// alive. Empty takes host, process and time.
	ID string
	// PaymentWorkers is how many payment jobs run at the same time. They are
	// posted in sets, so that more of them need no more connections.
	PaymentWorkers int
	// DayCloses says when days are closed by themselves; nil leaves it to others
	// to ask for it.
	DayCloses *DayCloseSchedule
	// Housekeeping says how long what is purged by itself stays; nil leaves it to
	// others to ask for it.
	Housekeeping *Housekeeping
	// Checks says whether the stored data is checked by the clock, and lost loans are
	// looked for; otherwise it is left to others to ask for it.
	Checks bool
	// Schema checks by the clock that the database is what the migrations make of it;
	// nil leaves it to others to ask for it.
	Schema *drift.Checker
	// Servicer is who sends the statements that this process makes. Without a name it
	// makes none, and leaves them to others.
	Servicer statement.Servicer
	// Backups says where and when backups are made; nil leaves them to others.
	Backups *Backups
	// WebhookNetworks are networks that are not public and that webhooks may be sent to.
	WebhookNetworks []netip.Prefix

	Metrics *Metrics
	// Tracing makes a span of each attempt at a job; none is made where it is nil.
	Tracing *Tracing
	Log     *slog.Logger
}

// queues returns the queues that the process works, and how many jobs of each at a
// time.
func (c *Config) queues() map[string]river.QueueConfig {
	queues := map[string]river.QueueConfig{
		QueuePayments:    {MaxWorkers: c.PaymentWorkers},
		QueueCorrections: {MaxWorkers: correctionWorkers},
		QueueBatches:     {MaxWorkers: batchWorkers},
		QueueCycle:       {MaxWorkers: cycleWorkers},

		QueueHousekeeping: {MaxWorkers: housekeepingWorkers},
		QueueEscrow:       {MaxWorkers: escrowWorkers},

		QueueIntegrity: {MaxWorkers: integrityWorkers},
		QueueAlarm:     {MaxWorkers: alarmWorkers},
		QueueSchema:    {MaxWorkers: schemaWorkers},
		QueueWebhooks:  {MaxWorkers: webhookWorkers},
	}
	if c.Servicer.Name != "" {
		queues[QueueStatements] = river.QueueConfig{MaxWorkers: statementWorkers}
	}
	if c.Backups != nil {
		queues[QueueOps] = river.QueueConfig{MaxWorkers: opsWorkers}
	}
	return queues
}

// Worker works the queues until it is stopped.
type Worker struct {
	client *river.Client[pgx.Tx]
	post   *PostPayment
	chunk  *PostPaymentChunk
	alive  *aliveness
	log    *slog.Logger
	cancel context.CancelFunc
}

// NewWorker returns a worker that has not started.
func NewWorker(pool *pgxpool.Pool, c Config) (*Worker, error) {
	known := newWorkers(pool, &c)
	if known.err != nil {
		return nil, known.err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		ID:                   c.ID,
		Schema:               Schema,
		Logger:               quiet(c.Log),
		Plugins:              c.Tracing.plugins(&requestIDs{}, c.Metrics),
		Workers:              known.workers,
		PeriodicJobs:         c.periodicJobs(),
		Queues:               c.queues(),
		RetryPolicy:          retryPolicy{},
		FetchCooldown:        fetchCooldown,
		FetchPollInterval:    fetchPoll,
		JobTimeout:           defaultTimeout,
		RescueStuckJobsAfter: rescueAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("queue client: %w", err)
	}
	known.give(client)
	return &Worker{
		client: client, post: known.post, chunk: known.chunk, log: c.Log,
		alive: &aliveness{
			name: client.ID(), pool: pool, log: c.Log, metrics: c.Metrics,
			ender: &ender{pool: pool, metrics: c.Metrics, log: c.Log},
		},
	}, nil
}

// periodicJobs is the table of what is done by the clock.
func (c Config) periodicJobs() []*river.PeriodicJob {
	var table []*river.PeriodicJob
	if c.DayCloses != nil {
		table = append(table, c.DayCloses.periodic())
	}
	if c.Housekeeping != nil {
		table = append(table, c.Housekeeping.periodic()...)
	}
	if c.Checks {
		table = append(table, periodicChecks()...)
	}
	if c.Schema != nil {
		table = append(table, periodicSchemaCheck())
	}
	if c.Backups != nil {
		table = append(table, c.Backups.periodic())
	}
	return table
}

// schemaChecker returns who checks the schema when somebody asks for it.
func (c *Config) schemaChecker(pool *pgxpool.Pool) *drift.Checker {
	if c.Schema != nil {
		return c.Schema
	}
	return drift.NewChecker(pool, pool.Config().ConnString())
}

// Start begins to work jobs and returns once the worker is known to be alive.
// It goes on until Stop, whatever becomes of ctx.
func (w *Worker) Start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.cancel = cancel
	if err := w.alive.start(ctx, run); err != nil {
		cancel()
		return err
	}
	w.post.merger = startMerger(ctx, w.post.DB)
	w.chunk.merger = w.post.merger
	if err := w.client.Start(run); err != nil {
		w.post.merger.stop()
		cancel()
		w.alive.wait()
		return fmt.Errorf("start worker: %w", err)
	}
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first it
// cancels them: their transactions roll back, and the jobs go back to the
// queue. Either way nothing is lost and nothing done twice.
func (w *Worker) Stop(ctx context.Context) error {
	defer w.alive.wait()
	defer w.cancel()
	defer w.post.merger.stop()
	err := w.client.Stop(ctx)
	if err == nil {
		return nil
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("stop worker: %w", err)
	}
	w.log.WarnContext(ctx, "jobs are still running at the end of the grace period and are cancelled")
	w.post.merger.cancel()
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	if err := w.client.StopAndCancel(hard); err != nil {
		return fmt.Errorf("cancel jobs: %w", err)
	}
	return nil
}
