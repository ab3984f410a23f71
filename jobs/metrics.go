package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/requestid"
)

// The outcomes of one attempt at a job.
const (
	outcomeSucceeded = "succeeded"
	outcomeRetried   = "retried"   // failed, and will be tried again
	outcomeDiscarded = "discarded" // failed for the last time
	outcomeCancelled = "cancelled" // given up by the job itself: trying again cannot help
)

// kinds lists every kind of job with its queue, so that its series exist
// before its first job does: a counter that is born at one hides its first
// increase from an alert.
func kinds() map[string]string {
	return map[string]string{
		PostPaymentArgs{}.Kind():      QueuePayments,
		PostPaymentChunkArgs{}.Kind(): QueuePayments,
		ReversePaymentArgs{}.Kind():   QueueCorrections,
		ChangeLoanArgs{}.Kind():       QueueCorrections,
		PostBatchChunkArgs{}.Kind():   QueueBatches,
		ReverseReturnsArgs{}.Kind():   QueueBatches,
		CloseDayArgs{}.Kind():         QueueCycle,
		CloseDayChunkArgs{}.Kind():    QueueCycle,
		ScheduleDayCloseArgs{}.Kind(): QueueCycle,

		CleanUpSessionsArgs{}.Kind():      QueueHousekeeping,
		PruneLoginAttemptsArgs{}.Kind():   QueueHousekeeping,
		PruneWebhookMessagesArgs{}.Kind(): QueueHousekeeping,
		CheckSchemaArgs{}.Kind():          QueueSchema,
		PruneHistoryArgs{}.Kind():         QueueHousekeeping,

		DisburseEscrowArgs{}.Kind():      QueueCycle,
		DisburseEscrowChunkArgs{}.Kind(): QueueCycle,
		ReturnDisbursementArgs{}.Kind():  QueueCorrections,

		AnalyzeEscrowArgs{}.Kind():      QueueEscrow,
		AnalyzePortfolioArgs{}.Kind():   QueueEscrow,
		AnalyzeEscrowChunkArgs{}.Kind(): QueueEscrow,

		MakeEscrowStatementArgs{}.Kind(): QueueStatements,

		CheckIntegrityArgs{}.Kind():      QueueIntegrity,
		CheckIntegrityChunkArgs{}.Kind(): QueueIntegrity,
		WatchLoansArgs{}.Kind():          QueueAlarm,
		ScheduleBackupsArgs{}.Kind():     QueueCycle,
		BackUpDatabaseArgs{}.Kind():      QueueOps,
		VerifyBackupArgs{}.Kind():        QueueOps,
		PruneBackupsArgs{}.Kind():        QueueOps,
		DeliverWebhookArgs{}.Kind():      QueueWebhooks,
	}
}

// Metrics counts and times jobs. One value serves a whole process: it is a
// River plugin, both when jobs are inserted and when they are worked.
type Metrics struct {
	river.PluginDefaults

	log      *slog.Logger
	inserted *prometheus.CounterVec
	attempts *prometheus.CounterVec
	run      *prometheus.HistogramVec
	wait     *prometheus.HistogramVec
	payments *prometheus.CounterVec
	closed   *prometheus.CounterVec
	rescued  *prometheus.CounterVec
	purges   purgeMetrics
	analyzed *prometheus.CounterVec
	watch    watchMetrics

	backupFailures *prometheus.CounterVec
	wal            walMetrics
	webhooks       *prometheus.CounterVec
}

// NewMetrics registers the job metrics.
func NewMetrics(reg prometheus.Registerer, log *slog.Logger) *Metrics {
	byKind := []string{"kind", "queue"}
	m := &Metrics{
		log: log,
		inserted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_jobs_inserted_total",
			Help: "Jobs handed to the queue, including those whose transaction then rolled back.",
		}, byKind),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_job_attempts_total",
			Help: "Finished attempts at a job, by outcome.",
		}, append(byKind, "outcome")),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "loanserve_job_run_duration_seconds",
			Help:    "How long one attempt at a job took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, byKind),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "loanserve_job_wait_duration_seconds",
			Help:    "How long a job was due before an attempt at it began.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, byKind),
		payments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_payments_total",
			Help: "Payments that were posted, or rejected by a rule.",
		}, []string{"status"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_loans_closed_total",
			Help: "Loans whose day was closed: with or without new transactions, or not, because the loan failed.",
		}, []string{"outcome"}),
		rescued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_jobs_rescued_total",
			Help: "Jobs given back to the queue because the worker that ran them died.",
		}, byKind),
		analyzed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_escrow_analyses_total",
			Help: "Escrow analyses that were finished, or rejected by a rule, or could not be made in a run.",
		}, []string{"outcome"}),
	}
	m.purges, m.watch = newPurgeMetrics(reg), newWatchMetrics(reg)
	m.backupFailures, m.wal = newBackupFailures(reg), newWALMetrics(reg)
	m.webhooks = newWebhookAttempts(reg)
	reg.MustRegister(m.inserted, m.attempts, m.run, m.wait, m.payments, m.closed, m.rescued, m.analyzed)
	m.create()
	return m
}

// create makes every series exist at zero.
func (m *Metrics) create() {
	for kind, queue := range kinds() {
		m.inserted.WithLabelValues(kind, queue)
		m.rescued.WithLabelValues(kind, queue)
		m.run.WithLabelValues(kind, queue)
		m.wait.WithLabelValues(kind, queue)
		for _, outcome := range []string{outcomeSucceeded, outcomeRetried, outcomeDiscarded, outcomeCancelled} {
			m.attempts.WithLabelValues(kind, queue, outcome)
		}
	}
	m.countPayments(postOutcome{})
	m.countClosed(loansOutcome{})
	m.countAnalyzed(0, 0, 0)
}

func (m *Metrics) countPayments(o postOutcome) {
	m.payments.WithLabelValues("posted").Add(float64(o.posted))
	m.payments.WithLabelValues("rejected").Add(float64(o.rejected))
}

// countAnswers counts what became of payments, and returns those that failed.
func (m *Metrics) countAnswers(answers []mergeAnswer) (failed []mergeAnswer) {
	for _, a := range answers {
		m.countPayments(a.outcome)
		if a.err != nil {
			failed = append(failed, a)
		}
	}
	return failed
}

func (m *Metrics) countClosed(o loansOutcome) {
	m.closed.WithLabelValues("changed").Add(float64(o.changed))
	m.closed.WithLabelValues("unchanged").Add(float64(o.unchanged))
	m.closed.WithLabelValues("failed").Add(float64(o.failed))
}

func (m *Metrics) countAnalyzed(finished, rejected, failed int) {
	m.analyzed.WithLabelValues("finished").Add(float64(finished))
	m.analyzed.WithLabelValues("rejected").Add(float64(rejected))
	m.analyzed.WithLabelValues("failed").Add(float64(failed))
}

// InsertBegin implements rivertype.HookInsertBegin.
func (m *Metrics) InsertBegin(_ context.Context, p *rivertype.JobInsertParams) error {
	m.inserted.WithLabelValues(p.Kind, p.Queue).Inc()
	return nil
}

// Work implements rivertype.WorkerMiddleware: it times the attempt, counts its
// outcome and writes the job's one line to the log.
func (m *Metrics) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) (err error) {
	start := time.Now()
	m.wait.WithLabelValues(job.Kind, job.Queue).Observe(max(0, start.Sub(job.ScheduledAt).Seconds()))

	panicked := true
	defer func() {
		took := time.Since(start)
		m.run.WithLabelValues(job.Kind, job.Queue).Observe(took.Seconds())
		m.finish(ctx, job, took, err, panicked)
	}()
	err = inner(ctx)
	panicked = false
	return err
}

// finish counts and logs one attempt. It is the only place that logs a job's
// error.
func (m *Metrics) finish(ctx context.Context, job *rivertype.JobRow, took time.Duration, err error, panicked bool) {
	if panicked {
		err = errors.New("panic; the job's error record has the trace")
	}
	outcome := outcomeOf(job, err)
	m.attempts.WithLabelValues(job.Kind, job.Queue, outcome).Inc()

	attrs := []slog.Attr{
		slog.Int64("job_id", job.ID), slog.String("kind", job.Kind), slog.String("queue", job.Queue),
		slog.Int("attempt", job.Attempt), slog.String("outcome", outcome), slog.Duration("took", took),
	}
	attrs = append(attrs, subjectOf(job)...)
	if id := requestid.Of(ctx); id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		attrs = append(attrs, slog.String("trace_id", span.TraceID().String()))
	}
	level := slog.LevelInfo
	switch outcome {
	case outcomeRetried:
		level = slog.LevelWarn
	case outcomeDiscarded, outcomeCancelled:
		level = slog.LevelError
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	m.log.LogAttrs(ctx, level, "job", attrs...)
}

func outcomeOf(job *rivertype.JobRow, err error) string {
	var cancel *river.JobCancelError
	switch {
	case err == nil:
		return outcomeSucceeded
	case errors.As(err, &cancel):
		return outcomeCancelled
	case job.Attempt >= job.MaxAttempts:
		return outcomeDiscarded
	default:
		return outcomeRetried
	}
}
