package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loanserve/queries"
)

// escrowCacheFor keeps scrapes by several servers from each counting disbursements.
const escrowCacheFor = 30 * time.Second

// EscrowCollector shows what of escrow waits: money that has not arrived, and bills
// that are not paid. The figures are of the whole database: equal on every process, so
// a query takes their maximum and never their sum.
type EscrowCollector struct {
	q             *queries.Queries
	log           *slog.Logger
	disbursements *prometheus.Desc
	cents         *prometheus.Desc
	bills         *prometheus.Desc
	ok            *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	counts escrowCounts
	err    error
}

// escrowCounts is what one reading found.
type escrowCounts struct {
	disbursements []queries.CountDisbursementsRow
	bills         []queries.CountEscrowBillsRow
}

// NewEscrowCollector returns a collector that reads through db.
func NewEscrowCollector(db queries.DBTX, log *slog.Logger) *EscrowCollector {
	const same = " The same on every process: use max, not sum."
	return &EscrowCollector{
		q: queries.New(db), log: log,
		disbursements: prometheus.NewDesc("loanserve_escrow_disbursements",
			"Disbursements that wait to be sent, confirmed or, returned, decided on."+same, []string{"status"}, nil),
		cents: prometheus.NewDesc("loanserve_escrow_disbursements_cents",
			"What they come to, in cents."+same, []string{"status"}, nil),
		bills: prometheus.NewDesc("loanserve_escrow_bills",
			"Bills that are not paid: open, or held for a person."+same, []string{"status"}, nil),
		ok: prometheus.NewDesc("loanserve_escrow_scrape_success",
			"Whether escrow could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *EscrowCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.disbursements
	ch <- c.cents
	ch <- c.bills
	ch <- c.ok
}

// Collect implements prometheus.Collector.
func (c *EscrowCollector) Collect(ch chan<- prometheus.Metric) {
	counts, err := c.read()
	if err != nil {
		c.log.Warn("cannot read escrow for its metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)

	number := map[string]float64{"scheduled": 0, "sent": 0, "stale": 0, "returned": 0}
	cents := map[string]float64{"scheduled": 0, "sent": 0, "stale": 0, "returned": 0}
	bills := map[string]float64{"open": 0, "held": 0}
	for _, n := range counts.disbursements {
		number[n.Status], cents[n.Status] = float64(n.Disbursements), float64(n.TotalCents)
	}
	for _, n := range counts.bills {
		bills[n.Status] = float64(n.Bills)
	}
	for desc, values := range map[*prometheus.Desc]map[string]float64{
		c.disbursements: number, c.cents: cents, c.bills: bills,
	} {
		for status, n := range values {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n, status)
		}
	}
}

// read returns the counts, at most escrowCacheFor old.
func (c *EscrowCollector) read() (escrowCounts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= escrowCacheFor { //nolint:forbidigo // The age of a cache.
		ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
		defer cancel()
		c.counts.disbursements, c.err = c.q.CountDisbursements(ctx)
		if c.err == nil {
			c.counts.bills, c.err = c.q.CountEscrowBills(ctx)
		}
		c.readAt = now
	}
	return c.counts, c.err
}
