package jobs

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/backup"
	"loanserve/queries"
)

// BackupCollector shows the newest backups. The figures are of the whole database:
// equal on every process, so a query takes their maximum and never their sum.
type BackupCollector struct {
	q        *queries.Queries
	log      *slog.Logger
	stored   *prometheus.Desc
	verified *prometheus.Desc
	size     *prometheus.Desc
	took     *prometheus.Desc
	restore  *prometheus.Desc
	ok       *prometheus.Desc
}

// NewBackupCollector returns a collector that reads through db.
func NewBackupCollector(db queries.DBTX, log *slog.Logger) *BackupCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("loanserve_backup_"+name,
			help+" The same on every process: use max, not sum.", []string{"kind"}, nil)
	}
	return &BackupCollector{
		q: queries.New(db), log: log,
		stored: desc("last_success_timestamp_seconds",
			"When the newest backup in the store was begun; 0 where there is none."),
		verified: desc("last_verified_timestamp_seconds",
			"When the newest backup was begun that was restored and found as it should be; 0 where there is none."),
		size:    desc("size_bytes", "How large the newest backup is in the store."),
		took:    desc("duration_seconds", "How long the newest backup took."),
		restore: desc("restore_seconds", "How long it took to restore the newest verified backup into a scratch server."),
		ok: prometheus.NewDesc("loanserve_backup_scrape_success",
			"Whether the catalog of backups could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *BackupCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.stored, c.verified, c.size, c.took, c.restore, c.ok} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What it reads are two rows by index.
func (c *BackupCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
	defer cancel()
	states, err := c.q.ListBackupStates(ctx)
	if err != nil {
		c.log.Warn("cannot read the backups for their metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)
	for _, s := range states {
		gauge := func(d *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, string(s.Kind))
		}
		gauge(c.stored, s.StoredEpoch)
		gauge(c.verified, s.VerifiedEpoch)
		gauge(c.size, float64(s.SizeBytes))
		gauge(c.took, s.TookSeconds)
		gauge(c.restore, float64(s.RestoreMs)/millis)
	}
}

// newBackupFailures makes the counter of failures, with every series at zero.
func newBackupFailures(reg prometheus.Registerer) *prometheus.CounterVec {
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "loanserve_backup_failures_total",
		Help: "Attempts at making or verifying a backup that failed, by where; compare also counts refused backups.",
	}, []string{"kind", "stage"})
	reg.MustRegister(failures)
	for _, kind := range backup.Kinds() {
		for _, stage := range backup.Stages() {
			failures.WithLabelValues(string(kind), string(stage))
		}
		failures.WithLabelValues(string(kind), "other")
	}
	return failures
}
