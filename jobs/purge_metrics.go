package jobs

import (
	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

// purgeMetrics tell of what is deleted to keep tables from growing. The gauges
// are of the last run that this process has ended.
type purgeMetrics struct {
	deleted   *prometheus.CounterVec
	remaining *prometheus.GaugeVec
	oldest    *prometheus.GaugeVec
	took      *prometheus.GaugeVec
}

func newPurgeMetrics(reg prometheus.Registerer) purgeMetrics {
	byKind := []string{"kind"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, byKind)
	}
	m := purgeMetrics{
		deleted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loanserve_purge_deleted_rows_total",
			Help: "Rows that were deleted: ended sessions, old login attempts, history, messages and deliveries of webhooks.",
		}, byKind),
		remaining: gauge("loanserve_purge_remaining_rows", "Rows that the last run found and did not delete."),
		oldest: gauge("loanserve_purge_oldest_timestamp_seconds",
			"Of the oldest row that the last run left: when the session expires, the attempt was made, "+
				"the month of history began, or what the message tells of happened; 0 for none."),
		took: gauge("loanserve_purge_last_run_seconds", "How long the last run took, from its first job to its last."),
	}
	reg.MustRegister(m.deleted, m.remaining, m.oldest, m.took)
	for _, kind := range purgeKinds() {
		m.deleted.WithLabelValues(string(kind))
	}
	return m
}

// end tells of a run that is over.
func (m purgeMetrics) end(kind queries.RunKind, e purgeEnd) {
	m.remaining.WithLabelValues(string(kind)).Set(float64(e.remaining))
	m.took.WithLabelValues(string(kind)).Set(e.tookSeconds)
	oldest := 0.0
	if e.oldest != nil {
		oldest = float64(e.oldest.Unix())
	}
	m.oldest.WithLabelValues(string(kind)).Set(oldest)
}
