package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"loanserve/internal/drift"
	"loanserve/queries"
)

// SchemaCollector shows what the last check of the schema has found, by whichever
// process it was made. The figures are of the whole database: equal on every process.
type SchemaCollector struct {
	q        *queries.Queries
	log      *slog.Logger
	findings *prometheus.Desc
	at       *prometheus.Desc
	ok       *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	last   schemaCheck
	err    error
}

// schemaCheck is a check that was made.
type schemaCheck struct {
	at     time.Time // zero for never
	counts map[drift.Severity]int
}

// NewSchemaCollector returns a collector that reads through db.
func NewSchemaCollector(db queries.DBTX, log *slog.Logger) *SchemaCollector {
	return &SchemaCollector{
		q: queries.New(db), log: log,
		findings: prometheus.NewDesc("loanserve_schema_drift_findings",
			"How the database differed from what the migrations make, at the last check. "+
				"The same on every process: use max, not sum.", []string{"severity"}, nil),
		at: prometheus.NewDesc("loanserve_schema_check_timestamp_seconds",
			"When the schema was last checked to the end; 0 for never. The same on every process: use max, not sum.", nil, nil),
		ok: prometheus.NewDesc("loanserve_schema_check_scrape_success",
			"Whether the last check could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *SchemaCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.findings
	ch <- c.at
	ch <- c.ok
}

// Collect implements prometheus.Collector.
func (c *SchemaCollector) Collect(ch chan<- prometheus.Metric) {
	last, err := c.read()
	if err != nil {
		c.log.Warn("cannot read the last check of the schema for its metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)
	at := 0.0
	if !last.at.IsZero() {
		at = float64(last.at.UnixMilli()) / 1000
	}
	ch <- prometheus.MustNewConstMetric(c.at, prometheus.GaugeValue, at)
	for _, s := range drift.Severities() {
		ch <- prometheus.MustNewConstMetric(c.findings, prometheus.GaugeValue, float64(last.counts[s]), string(s))
	}
}

// read returns the last check, at most queueCacheFor old.
func (c *SchemaCollector) read() (schemaCheck, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= queueCacheFor { //nolint:forbidigo // The age of a cache.
		ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
		defer cancel()
		c.last, c.err = c.latest(ctx)
		c.readAt = now
	}
	return c.last, c.err
}

func (c *SchemaCollector) latest(ctx context.Context) (schemaCheck, error) {
	last := schemaCheck{at: time.Time{}, counts: map[drift.Severity]int{}}
	row, err := c.q.GetLatestSchemaCheck(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return last, nil
	}
	if err != nil {
		return last, fmt.Errorf("get last check: %w", err)
	}
	var findings []schemaFinding
	if err := json.Unmarshal(row.Findings, &findings); err != nil {
		return last, fmt.Errorf("read findings: %w", err)
	}
	for _, f := range findings {
		last.counts[f.Severity]++
	}
	last.at = *row.FinishedAt
	return last, nil
}
