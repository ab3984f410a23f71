package jobs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

const (
	// queueCacheFor keeps scrapes by several servers from each counting the queue.
	queueCacheFor = 10 * time.Second
	// queueReadTimeout is well under the usual timeout of a scrape.
	queueReadTimeout = 3 * time.Second
)

// QueueCollector shows how deep the queues are and how old their oldest jobs.
// The figures are of the whole database: equal on every process, so a query
// takes their maximum and never their sum.
type QueueCollector struct {
	q    *queries.Queries
	log  *slog.Logger
	jobs *prometheus.Desc
	age  *prometheus.Desc
	held *prometheus.Desc
	ok   *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	seen   queueSeen
	err    error
}

// queueSeen is what one reading found.
type queueSeen struct {
	counts []queries.CountJobsRow
	paused []string
}

// NewQueueCollector returns a collector that reads through db.
func NewQueueCollector(db queries.DBTX, log *slog.Logger) *QueueCollector {
	return &QueueCollector{
		q: queries.New(db), log: log,
		jobs: prometheus.NewDesc("loanserve_queue_jobs",
			"Jobs in the queue, by state. The same on every process: use max, not sum.",
			[]string{"queue", "kind", "state"}, nil),
		age: prometheus.NewDesc("loanserve_queue_oldest_job_age_seconds",
			"How long the oldest job that could be worked has been due. The same on every process: use max, not sum.",
			[]string{"queue"}, nil),
		held: prometheus.NewDesc("loanserve_queue_paused",
			"1 while nobody takes jobs from the queue because it was paused. The same on every process: use max, not sum.",
			[]string{"queue"}, nil),
		ok: prometheus.NewDesc("loanserve_queue_scrape_success",
			"Whether the queue could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *QueueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.jobs
	ch <- c.age
	ch <- c.held
	ch <- c.ok
}

// Collect implements prometheus.Collector.
func (c *QueueCollector) Collect(ch chan<- prometheus.Metric) {
	seen, err := c.read()
	if err != nil {
		c.log.Warn("cannot read the queue for its metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)

	type key struct{ queue, kind, state string }
	jobs, age := map[key]float64{}, map[string]float64{}
	for kind, queue := range kinds() {
		age[queue] = 0
		for _, state := range []string{"available", "running", "retryable", "scheduled", "discarded"} {
			jobs[key{queue, kind, state}] = 0
		}
	}
	for _, n := range seen.counts {
		jobs[key{n.Queue, n.Kind, n.State}] = float64(n.Jobs)
		if n.State == "available" || n.State == "retryable" {
			age[n.Queue] = max(age[n.Queue], n.OldestSeconds)
		}
	}
	for k, n := range jobs {
		ch <- prometheus.MustNewConstMetric(c.jobs, prometheus.GaugeValue, n, k.queue, k.kind, k.state)
	}
	for queue, seconds := range age {
		ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, seconds, queue)
		paused := 0.0
		if slices.Contains(seen.paused, queue) {
			paused = 1
		}
		ch <- prometheus.MustNewConstMetric(c.held, prometheus.GaugeValue, paused, queue)
	}
}

// read returns what there is, at most queueCacheFor old.
func (c *QueueCollector) read() (queueSeen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= queueCacheFor { //nolint:forbidigo // The age of a cache.
		ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
		defer cancel()
		c.seen.counts, c.err = c.q.CountJobs(ctx)
		if c.err == nil {
			c.seen.paused, c.err = c.q.ListPausedQueues(ctx)
		}
		c.readAt = now
	}
	return c.seen, c.err
}
