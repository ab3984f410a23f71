package jobs

import "github.com/prometheus/client_golang/prometheus"

// watchMetrics tell of the last look at the loans that this process took. Where there
// are several, the one with the latest timestamp counts.
type watchMetrics struct {
	missing    prometheus.Gauge
	registered prometheus.Gauge
	highest    prometheus.Gauge
	at         prometheus.Gauge
}

func newWatchMetrics(reg prometheus.Registerer) watchMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := watchMetrics{
		missing: gauge("loanserve_loans_missing",
			"Loans that were boarded and were not there at this process's last look."),
		registered: gauge("loanserve_loans_registered", "Loans that were boarded, at this process's last look."),
		highest:    gauge("loanserve_loans_highest_id", "The highest id of a loan, at this process's last look."),
		at: gauge("loanserve_loan_watch_timestamp_seconds",
			"When this process last looked for lost loans; 0 for never. Alert when the maximum is minutes old."),
	}
	reg.MustRegister(m.missing, m.registered, m.highest, m.at)
	return m
}

// watched tells of a look.
func (m *Metrics) watched(seen LoanWatch) {
	m.watch.missing.Set(float64(seen.Missing))
	m.watch.registered.Set(float64(seen.Registered))
	m.watch.highest.Set(float64(seen.HighestLoanID))
	m.watch.at.Set(float64(seen.atSeconds))
}
