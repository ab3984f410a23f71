package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

const (
	// waitingCacheFor keeps scrapes by several servers from each counting what waits.
	waitingCacheFor = 30 * time.Second
	// heldCacheFor is longer, since held money is told by reading all loans; it is
	// held for weeks.
	heldCacheFor = 5 * time.Minute
)

// heldMoney is what loans hold in suspense, among what waits.
const heldMoney = "money_in_suspense"

// waitingFor lists what ListWaiting tells of, so that its series exist while nothing
// waits.
func waitingFor() []string {
	return []string{
		"bill_to_pay", "disbursement_to_send", "loan_change_approval", "payment_exception", "reversal_approval", heldMoney,
	}
}

// WaitingCollector shows what waits for a person or for its day, and since when. The
// figures are of the whole database: equal on every process, so a query takes their
// maximum and never their sum.
type WaitingCollector struct {
	q        *queries.Queries
	log      *slog.Logger
	waiting  *prometheus.Desc
	oldest   *prometheus.Desc
	suspense *prometheus.Desc
	ok       *prometheus.Desc

	mu             sync.Mutex
	readAt, heldAt time.Time
	rows           []queries.ListWaitingRow
	held           queries.GetHeldMoneyRow
	err            error
}

// NewWaitingCollector returns a collector that reads through db.
func NewWaitingCollector(db queries.DBTX, log *slog.Logger) *WaitingCollector {
	const same = " The same on every process: use max, not sum."
	return &WaitingCollector{
		q: queries.New(db), log: log,
		waiting: prometheus.NewDesc("loanserve_waiting",
			"What waits for a person or for its day; of money in suspense, the loans that hold some."+same,
			[]string{"what"}, nil),
		oldest: prometheus.NewDesc("loanserve_waiting_oldest_timestamp_seconds",
			"Since when the oldest of it has waited: when it was asked for, when its file was taken, the day on which a bill "+
				"is due or a disbursement was to be sent, the last entry of a loan that holds money; 0 where nothing waits."+same,
			[]string{"what"}, nil),
		suspense: prometheus.NewDesc("loanserve_suspense_cents", "What all loans hold in suspense, in cents."+same, nil, nil),
		ok: prometheus.NewDesc("loanserve_waiting_scrape_success",
			"Whether what waits could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *WaitingCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.waiting
	ch <- c.oldest
	ch <- c.suspense
	ch <- c.ok
}

// Collect implements prometheus.Collector.
func (c *WaitingCollector) Collect(ch chan<- prometheus.Metric) {
	rows, held, err := c.read()
	if err != nil {
		c.log.Warn("cannot read what waits for its metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)
	ch <- prometheus.MustNewConstMetric(c.suspense, prometheus.GaugeValue, float64(held.Cents))

	seen := map[string]queries.ListWaitingRow{
		heldMoney: {What: heldMoney, Waiting: held.Loans, OldestEpoch: held.OldestEpoch},
	}
	for _, row := range rows {
		seen[row.What] = row
	}
	for _, what := range waitingFor() {
		ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(seen[what].Waiting), what)
		ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, seen[what].OldestEpoch, what)
	}
}

// read returns what waits, at most waitingCacheFor old, and what is held, at most
// heldCacheFor old.
func (c *WaitingCollector) read() ([]queries.ListWaitingRow, queries.GetHeldMoneyRow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now() //nolint:forbidigo // The age of a cache.
	if now.Sub(c.readAt) < waitingCacheFor {
		return c.rows, c.held, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
	defer cancel()
	c.readAt = now
	if c.rows, c.err = c.q.ListWaiting(ctx); c.err != nil || now.Sub(c.heldAt) < heldCacheFor {
		return c.rows, c.held, c.err
	}
	if c.held, c.err = c.q.GetHeldMoney(ctx); c.err == nil {
		c.heldAt = now
	}
	return c.rows, c.held, c.err
}
