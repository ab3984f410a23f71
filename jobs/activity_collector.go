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
	// activityCacheFor keeps scrapes by several servers from each reading runs.
	activityCacheFor = 30 * time.Second
	// loginWindow is how far back attempts to log in are counted: as far as those
	// that count against a network.
	loginWindow = 15 * time.Minute
)

// purgeKinds are the runs that delete what would grow without end.
func purgeKinds() []queries.RunKind {
	return []queries.RunKind{
		queries.RunKindCleanUpSessions, queries.RunKindPruneLoginAttempts, queries.RunKindPruneHistory,
		queries.RunKindPruneWebhookMessages,
	}
}

// ActivityCollector shows what the clock last had done, and who comes and goes. The
// figures are of the whole database: equal on every process, so a query takes their
// maximum and never their sum.
type ActivityCollector struct {
	q        *queries.Queries
	log      *slog.Logger
	closed   *prometheus.Desc
	purged   *prometheus.Desc
	sessions *prometheus.Desc
	logins   *prometheus.Desc
	ok       *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	seen   activity
	err    error
}

// activity is what one reading found.
type activity struct {
	runs     []queries.ListLastRunsRow
	sessions int64
	logins   []queries.CountRecentLoginAttemptsRow
}

// NewActivityCollector returns a collector that reads through db.
func NewActivityCollector(db queries.DBTX, log *slog.Logger) *ActivityCollector {
	const same = " The same on every process: use max, not sum."
	return &ActivityCollector{
		q: queries.New(db), log: log,
		closed: prometheus.NewDesc("loanserve_day_close_through_timestamp_seconds",
			"Midnight (UTC) of the business date of the newest close that left no loan over; 0 for never."+same, nil, nil),
		purged: prometheus.NewDesc("loanserve_purge_finished_timestamp_seconds",
			"When the last run that deletes what has had its time was over; 0 for never."+same, []string{"kind"}, nil),
		sessions: prometheus.NewDesc("loanserve_sessions",
			"Sessions of people that are neither revoked nor expired."+same, nil, nil),
		logins: prometheus.NewDesc("loanserve_login_attempts",
			"Attempts to log in of the last 15 minutes, by what became of them; of one account, or one network, "+
				"at most one a second counts as throttled."+same, []string{"outcome"}, nil),
		ok: prometheus.NewDesc("loanserve_activity_scrape_success",
			"Whether runs, sessions and attempts to log in could be read for this scrape.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *ActivityCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.closed, c.purged, c.sessions, c.logins, c.ok} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *ActivityCollector) Collect(ch chan<- prometheus.Metric) {
	seen, err := c.read()
	if err != nil {
		c.log.Warn("cannot read runs and logins for their metrics", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1)
	ch <- prometheus.MustNewConstMetric(c.sessions, prometheus.GaugeValue, float64(seen.sessions))
	for _, run := range seen.runs {
		if run.Kind == string(queries.RunKindCloseDay) {
			ch <- prometheus.MustNewConstMetric(c.closed, prometheus.GaugeValue, run.AsOfEpoch)
			continue
		}
		ch <- prometheus.MustNewConstMetric(c.purged, prometheus.GaugeValue, run.FinishedEpoch, run.Kind)
	}
	attempts := map[queries.LoginOutcome]int64{}
	for _, n := range seen.logins {
		attempts[n.Outcome] = n.Attempts
	}
	for _, outcome := range queries.AllLoginOutcomeValues() {
		ch <- prometheus.MustNewConstMetric(c.logins, prometheus.GaugeValue, float64(attempts[outcome]), string(outcome))
	}
}

// read returns what there is, at most activityCacheFor old.
func (c *ActivityCollector) read() (activity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= activityCacheFor { //nolint:forbidigo // The age of a cache.
		ctx, cancel := context.WithTimeout(context.Background(), queueReadTimeout)
		defer cancel()
		c.seen, c.err = c.look(ctx)
		c.readAt = now
	}
	return c.seen, c.err
}

func (c *ActivityCollector) look(ctx context.Context) (seen activity, err error) {
	kinds := []string{string(queries.RunKindCloseDay)}
	for _, kind := range purgeKinds() {
		kinds = append(kinds, string(kind))
	}
	if seen.runs, err = c.q.ListLastRuns(ctx, kinds); err != nil {
		return seen, err
	}
	if seen.sessions, err = c.q.CountOpenSessions(ctx); err != nil {
		return seen, err
	}
	seen.logins, err = c.q.CountRecentLoginAttempts(ctx, int32(loginWindow/time.Second))
	return seen, err
}
