package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

// integrityCacheFor keeps scrapes by several servers from each counting findings.
const integrityCacheFor = 10 * time.Second

// IntegrityCollector shows what checks of the stored data have found, and when the last
// ones were over. The figures are of the whole database: equal on every process, so a
// query takes their maximum and never their sum.
type IntegrityCollector struct {
	q        *queries.Queries
	log      *slog.Logger
	findings *prometheus.Desc
	at       *prometheus.Desc
	took     *prometheus.Desc
	loans    *prometheus.Desc
	ok       *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	seen   integritySeen
	err    error
}

// integritySeen is what one reading found.
type integritySeen struct {
	open   []queries.CountOpenFindingsRow
	checks []queries.ListLastIntegrityChecksRow
}

// NewIntegrityCollector returns a collector that reads through db.
func NewIntegrityCollector(db queries.DBTX, log *slog.Logger) *IntegrityCollector {
	const same = " The same on every process: use max, not sum."
	byExtent := []string{"extent"}
	return &IntegrityCollector{
		q: queries.New(db), log: log,
		findings: prometheus.NewDesc("loanserve_integrity_findings",
			"What checks of the stored data have found and still find."+same, []string{"kind", "severity"}, nil),
		at: prometheus.NewDesc("loanserve_integrity_check_timestamp_seconds",
			"When the last check was finished, of all loans or of those that had changed; 0 for never."+same, byExtent, nil),
		took: prometheus.NewDesc("loanserve_integrity_check_seconds",
			"How long that check took, from when it was asked for."+same, byExtent, nil),
		loans: prometheus.NewDesc("loanserve_integrity_check_loans",
			"Loans that check looked at."+same, byExtent, nil),
		ok: prometheus.NewDesc("loanserve_integrity_scrape_success",
			"Whether findings could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *IntegrityCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.findings
	ch <- c.at
	ch <- c.took
	ch <- c.loans
	ch <- c.ok
}

// Collect implements prometheus.Collector.
func (c *IntegrityCollector) Collect(ch chan<- prometheus.Metric) {
	seen, err := c.read()
	if err != nil {
		c.log.Warn("cannot read findings for their metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)

	open := map[queries.IntegrityKind]float64{}
	for _, n := range seen.open {
		open[n.Kind] += float64(n.Findings)
	}
	for kind, k := range findingKinds {
		ch <- prometheus.MustNewConstMetric(c.findings, prometheus.GaugeValue, open[kind], string(kind), string(k.severity))
	}
	last := map[string]queries.ListLastIntegrityChecksRow{"changed": {}, "all": {}}
	for _, check := range seen.checks {
		last[extentOf(check.Complete)] = check
	}
	for extent, check := range last {
		at := 0.0
		if check.FinishedAt != nil {
			at = float64(check.FinishedAt.Unix())
		}
		ch <- prometheus.MustNewConstMetric(c.at, prometheus.GaugeValue, at, extent)
		ch <- prometheus.MustNewConstMetric(c.took, prometheus.GaugeValue, check.TookSeconds, extent)
		ch <- prometheus.MustNewConstMetric(c.loans, prometheus.GaugeValue, float64(check.Loans), extent)
	}
}

func extentOf(complete bool) string {
	if complete {
		return "all"
	}
	return "changed"
}

// read returns what there is, at most integrityCacheFor old.
func (c *IntegrityCollector) read() (integritySeen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= integrityCacheFor { //nolint:forbidigo // The age of a cache.
		ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
		defer cancel()
		c.seen.open, c.err = c.q.CountOpenFindings(ctx)
		if c.err == nil {
			c.seen.checks, c.err = c.q.ListLastIntegrityChecks(ctx)
		}
		c.readAt = now
	}
	return c.seen, c.err
}
