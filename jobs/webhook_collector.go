package jobs

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

// WebhookCollector shows what waits to be delivered. The figures are of the whole
// database: equal on every process, so a query takes their maximum and never their sum.
type WebhookCollector struct {
	q             *queries.Queries
	log           *slog.Logger
	due           *prometheus.Desc
	oldest        *prometheus.Desc
	subscriptions *prometheus.Desc
	ok            *prometheus.Desc
}

// NewWebhookCollector returns a collector that reads through db.
func NewWebhookCollector(db queries.DBTX, log *slog.Logger) *WebhookCollector {
	return &WebhookCollector{
		q: queries.New(db), log: log,
		due: prometheus.NewDesc("loanserve_webhook_overdue_seconds",
			"How long the webhook delivery has been due that is most overdue; 0 where none is. "+
				"The same on every process: use max, not sum.",
			nil, nil),
		oldest: prometheus.NewDesc("loanserve_webhook_oldest_waiting_age_seconds",
			"How old the oldest webhook delivery is that waits for its next attempt; 0 where none does. "+
				"The same on every process: use max, not sum.",
			nil, nil),
		subscriptions: prometheus.NewDesc("loanserve_webhook_subscriptions",
			"Webhook subscriptions: active, disabled by somebody, or disabled because the receiver is gone or failing. "+
				"The same on every process: use max, not sum.",
			[]string{"status"}, nil),
		ok: prometheus.NewDesc("loanserve_webhook_scrape_success",
			"Whether the deliveries of webhooks could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *WebhookCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.due, c.oldest, c.subscriptions, c.ok} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It reads the deliveries that wait.
func (c *WebhookCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
	defer cancel()
	state, err := c.q.GetWebhookState(ctx)
	if err != nil {
		c.log.Warn("cannot read the webhooks for their metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)
	ch <- prometheus.MustNewConstMetric(c.due, prometheus.GaugeValue, state.DueSeconds)
	ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, state.OldestSeconds)
	for status, n := range map[string]int64{
		"active": state.Active, "disabled": state.Disabled, "gone": state.Gone, "failing": state.Failing,
	} {
		ch <- prometheus.MustNewConstMetric(c.subscriptions, prometheus.GaugeValue, float64(n), status)
	}
}

// newWebhookAttempts makes the counter of attempts at deliveries, with every series at
// zero.
func newWebhookAttempts(reg prometheus.Registerer) *prometheus.CounterVec {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "loanserve_webhook_attempts_total",
		Help: "Attempts at delivering a webhook: delivered, to be retried, or failed for the last time.",
	}, []string{"outcome"})
	reg.MustRegister(attempts)
	for _, outcome := range []string{webhookDelivered, webhookRetried, webhookFailed} {
		attempts.WithLabelValues(outcome)
	}
	return attempts
}
