package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"loanserve/backup"
	"loanserve/queries"
)

// walMetrics tell of the archive of WAL, as far as this process makes it.
type walMetrics struct {
	archiving   prometheus.Gauge
	covered     prometheus.Gauge
	pieces      prometheus.Counter
	bytes       prometheus.Counter
	storedBytes prometheus.Counter
	gaps        prometheus.Counter
	failures    *prometheus.CounterVec
}

func newWALMetrics(reg prometheus.Registerer) walMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "loanserve_wal_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "loanserve_wal_" + name, Help: help})
	}
	m := walMetrics{
		archiving: gauge("archiving", "1 in the process that archives the server's WAL, and 0 in those that wait."),
		covered: gauge("archived_timestamp_seconds",
			"Up to when all WAL is known to be in the store; 0 in a process that has not archived. "+
				"Use max: that is what is left of a lost site."),
		pieces:      counter("pieces_total", "Pieces of WAL that this process has stored."),
		bytes:       counter("archived_bytes_total", "Bytes of WAL that this process has stored."),
		storedBytes: counter("stored_bytes_total", "Bytes that they took in the store."),
		gaps:        counter("gaps_total", "Gaps: WAL that the server had removed before it was archived."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_wal_failures_total", Help: "Attempts at archiving WAL that failed, by where.",
		}, []string{"stage"}),
	}
	reg.MustRegister(m.archiving, m.covered, m.pieces, m.bytes, m.storedBytes, m.gaps, m.failures)
	for _, stage := range []backup.Stage{backup.StageConnect, backup.StageRead, backup.StageStore, "other"} {
		m.failures.WithLabelValues(string(stage))
	}
	return m
}

// unixSeconds is an instant as Prometheus takes it.
func unixSeconds(at time.Time) float64 { return float64(at.UnixMilli()) / millis }

// WALCollector shows what the server keeps for the archive. The figures are of the
// server: equal on every process, so a query takes their maximum and never their sum.
type WALCollector struct {
	q      *queries.Queries
	log    *slog.Logger
	kept   *prometheus.Desc
	active *prometheus.Desc
	lost   *prometheus.Desc
	ok     *prometheus.Desc
}

// NewWALCollector returns a collector that reads through db.
func NewWALCollector(db queries.DBTX, log *slog.Logger) *WALCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("loanserve_wal_"+name, help+" The same on every process: use max, not sum.", nil, nil)
	}
	return &WALCollector{
		q: queries.New(db), log: log,
		kept: desc("unarchived_bytes",
			"Bytes of WAL that the server keeps because they are not archived; no series where there is no slot."),
		active: desc("slot_active", "Whether somebody archives by the slot; no series where there is none."),
		lost: desc("slot_lost",
			"Whether the server has given the slot up, so that WAL may be missing; no series where there is none."),
		ok: prometheus.NewDesc("loanserve_wal_scrape_success",
			"Whether the state of the slot could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *WALCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.kept, c.active, c.lost, c.ok} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *WALCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
	defer cancel()
	slot, err := c.q.GetArchiveSlot(ctx, backup.ArchiveSlot)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		c.log.Warn("cannot read the state of the replication slot for its metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	gauge := func(d *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	gauge(c.ok, 1)
	if err != nil {
		return
	}
	gauge(c.kept, float64(slot.KeptBytes))
	gauge(c.active, oneIf(slot.Active))
	gauge(c.lost, oneIf(slot.Lost))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
