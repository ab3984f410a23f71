package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

// statementsCacheFor keeps scrapes from each counting all analyses. What is counted
// changes with the day.
const statementsCacheFor = time.Minute

// StatementCollector shows how many escrow statements are owed and not delivered.
// The figures are of the whole database: equal on every process, so a query takes
// their maximum and never their sum.
type StatementCollector struct {
	q    *queries.Queries
	log  *slog.Logger
	owed *prometheus.Desc
	ok   *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	counts []queries.CountOwedEscrowStatementsRow
	err    error
}

// NewStatementCollector returns a collector that reads through db.
func NewStatementCollector(db queries.DBTX, log *slog.Logger) *StatementCollector {
	return &StatementCollector{
		q: queries.New(db), log: log,
		owed: prometheus.NewDesc("loanserve_escrow_statements_owed",
			"Escrow statements that are not delivered: not made yet or made, due or overdue. The same on every process: "+
				"use max, not sum.", []string{"stage", "state"}, nil),
		ok: prometheus.NewDesc("loanserve_escrow_statements_scrape_success",
			"Whether the statements could be counted for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *StatementCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.owed
	ch <- c.ok
}

// Collect implements prometheus.Collector.
func (c *StatementCollector) Collect(ch chan<- prometheus.Metric) {
	counts, err := c.read()
	if err != nil {
		c.log.Warn("cannot count the statements for their metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)

	type key struct{ stage, state string }
	owed := map[key]float64{
		{"to_make", "due"}: 0, {"to_make", "overdue"}: 0, {"to_deliver", "due"}: 0, {"to_deliver", "overdue"}: 0,
	}
	for _, n := range counts {
		k := key{"to_make", "due"}
		if n.Made {
			k.stage = "to_deliver"
		}
		if n.Overdue {
			k.state = "overdue"
		}
		owed[k] = float64(n.Statements)
	}
	for k, n := range owed {
		ch <- prometheus.MustNewConstMetric(c.owed, prometheus.GaugeValue, n, k.stage, k.state)
	}
}

// read returns the counts, at most statementsCacheFor old.
func (c *StatementCollector) read() ([]queries.CountOwedEscrowStatementsRow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= statementsCacheFor { //nolint:forbidigo // The age of a cache.
		ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
		defer cancel()
		c.counts, c.err = c.q.CountOwedEscrowStatements(ctx)
		c.readAt = now
	}
	return c.counts, c.err
}
