package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"loanserve/jobs"
	"loanserve/server"
)

// metricsCommand prints what the program exports for Prometheus: docs/metrics.md is
// what it prints.
type metricsCommand struct{}

// Run implements the command. It needs no database.
func (*metricsCommand) Run(ctx context.Context, p *program) error {
	list, err := listMetrics(ctx)
	if err != nil {
		return err
	}
	text, err := metricsPage(list)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(p.stdout, text); err != nil {
		return fmt.Errorf("print metrics: %w", err)
	}
	return nil
}

// metric is one that the program exports.
type metric struct {
	name, help, kind string
	labels           []string
	serveOnly        bool // A process that serves no API does not export it.
}

// yesOrNo are the ends of names of what is 1 or 0.
var yesOrNo = []string{"_success", "_info", "_paused", "_allowed", "_archiving", "_active", "_lost"}

// unit is told from the name, as Prometheus has it.
func (m *metric) unit() string {
	base := strings.TrimSuffix(m.name, "_total")
	switch {
	case strings.HasSuffix(base, "_timestamp_seconds"):
		return "Unix time"
	case strings.HasSuffix(base, "_seconds"):
		return "seconds"
	case strings.HasSuffix(base, "_bytes"):
		return "bytes"
	case strings.HasSuffix(base, "_cents"):
		return "cents"
	case slices.ContainsFunc(yesOrNo, func(end string) bool { return strings.HasSuffix(base, end) }):
		return "0 or 1"
	default:
		return "number"
	}
}

// listMetrics registers what serve and work register, and reads it back.
func listMetrics(ctx context.Context) ([]metric, error) {
	log := slog.New(slog.DiscardHandler)
	pool, err := pgxpool.New(ctx, "postgres://127.0.0.1:1/none") // Connects when it is first used: never.
	if err != nil {
		return nil, fmt.Errorf("make pool: %w", err)
	}
	defer pool.Close()
	both := &catalog{Registry: newRegistry(pool), kinds: map[string]string{}}
	both.MustRegister(driftGauge(false))
	both.MustRegister(databaseCollectors(pool, log)...)
	jobs.NewMetrics(both, log)
	serve := &catalog{Registry: prometheus.NewRegistry(), kinds: map[string]string{}}
	if _, err := server.New(server.Options{Log: log, Registerer: serve}); err != nil {
		return nil, fmt.Errorf("make API: %w", err)
	}
	list := both.list()
	for _, m := range serve.list() {
		m.serveOnly = true
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return list, nil
}

// catalog is a registry that knows of what kind the metrics are: descriptions do not
// say it.
type catalog struct {
	*prometheus.Registry

	kinds map[string]string // by name
}

// MustRegister implements prometheus.Registerer.
func (c *catalog) MustRegister(collectors ...prometheus.Collector) {
	for _, collector := range collectors {
		kind := ""
		switch of := collector.(type) {
		case *prometheus.HistogramVec:
			kind = "histogram"
		case *prometheus.CounterVec:
			kind = "counter"
		case *prometheus.GaugeVec:
			kind = "gauge"
		case prometheus.Metric:
			var written dto.Metric
			if of.Write(&written) == nil && written.GetCounter() != nil {
				kind = "counter"
			}
		}
		for _, m := range described(collector) {
			c.kinds[m.name] = kind
		}
	}
	c.Registry.MustRegister(collectors...)
}

// list returns what was registered. What has no kind by itself is made for each
// scrape, from the database or the pool: gauges, unless the name says otherwise.
func (c *catalog) list() []metric {
	var list []metric
	for _, m := range described(c.Registry) {
		if strings.HasPrefix(m.name, "go_") || strings.HasPrefix(m.name, "process_") {
			continue // The client library's own: they differ by platform.
		}
		m.kind = cmp.Or(c.kinds[m.name], "gauge")
		if strings.HasSuffix(m.name, "_total") {
			m.kind = "counter"
		}
		list = append(list, m)
	}
	return list
}

// descriptionText is how the client library prints a description, the only way in
// which it tells what is in one.
var descriptionText = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), ` +
	`unit: "[^"]*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

func described(c prometheus.Collector) []metric {
	ch := make(chan *prometheus.Desc)
	go func() { defer close(ch); c.Describe(ch) }()
	var list []metric
	for d := range ch {
		m := descriptionText.FindStringSubmatch(d.String())
		if m == nil {
			panic("the client library prints descriptions in another way: " + d.String())
		}
		name, _ := strconv.Unquote(m[1]) // Quoted, by the pattern.
		help, _ := strconv.Unquote(m[2])
		var labels []string
		for pair := range strings.SplitSeq(m[3], ",") {
			if label, _, ok := strings.Cut(pair, "="); ok {
				labels = append(labels, label)
			}
		}
		if m[4] != "" {
			labels = append(labels, strings.Split(m[4], ",")...)
		}
		list = append(list, metric{name: name, help: help, labels: labels})
	}
	return list
}

// metricGroups are the sections of the page. A metric is in the first that has a
// beginning of its name.
var metricGroups = []struct {
	title    string
	prefixes []string
}{
	{"Requests", []string{"http_server_", "loanserve_auth_events_"}},
	{"Jobs and queues", []string{"loanserve_job_", "loanserve_jobs_", "loanserve_queue_"}},
	{"Payments and days", []string{
		"loanserve_payments_", "loanserve_suspense_", "loanserve_waiting", "loanserve_loans_closed_", "loanserve_day_close_",
	}},
	{"Escrow", []string{"loanserve_escrow_"}},
	{"Losses and integrity", []string{"loanserve_loans_", "loanserve_loan_watch_", "loanserve_integrity_"}},
	{"Schema", []string{"loanserve_schema_"}},
	{"Backups", []string{"loanserve_backup_", "loanserve_wal_"}},
	{"Webhooks", []string{"loanserve_webhook_"}},
	{"People", []string{"loanserve_sessions", "loanserve_login_", "loanserve_activity_"}},
	{"Purges", []string{"loanserve_purge_"}},
	{"The process", []string{"loanserve_build_", "loanserve_database_"}},
}

// labelValues says what a label may be: none is ever a loan, a job or a person.
var labelValues = map[string]string{
	"extent":                    "`all` or `changed`: which loans a check looked at",
	"http_request_method":       "a method of HTTP, or `_OTHER`",
	"http_response_status_code": "the status of the answer",
	"http_route":                "the pattern of the contract (`/v1/loans/{loan_id}`), or `unmatched`",
	"kind":                      "of a job, a finding, a backup or a run: the names that the program has for them",
	"outcome":                   "what became of an attempt, a loan or an analysis: the names that the program has for it",
	"queue":                     "a queue of the program",
	"severity":                  "of a finding, or of a difference in the schema",
	"stage":                     "of a backup: where it failed; of a statement: `to_make` or `to_deliver`",
	"state":                     "of a job, as the queue has it; of a statement: `due` or `overdue`",
	"status":                    "of a payment, a bill, a disbursement or a subscription",
	"version":                   "of the program",
	"what":                      "what waits, one of a handful of names",
}

//go:embed metrics_list.md
var metricsIntroduction string

// metricsPage writes the list as Markdown.
func metricsPage(list []metric) (string, error) {
	var page strings.Builder
	page.WriteString(metricsIntroduction)
	labels, left := map[string]bool{}, slices.Clone(list)
	for _, group := range metricGroups {
		belongs := func(m metric) bool {
			return slices.ContainsFunc(group.prefixes, func(p string) bool { return strings.HasPrefix(m.name, p) })
		}
		if !slices.ContainsFunc(left, belongs) {
			continue
		}
		fmt.Fprintf(&page, "\n## %s\n\n| metric | labels | type | unit | |\n|---|---|---|---|---|\n", group.title)
		for _, m := range left {
			if belongs(m) {
				page.WriteString(metricRow(&m, labels))
			}
		}
		left = slices.DeleteFunc(left, belongs)
	}
	if len(left) > 0 {
		return "", fmt.Errorf("%s is in no section of the page", left[0].name)
	}
	page.WriteString("\n## Labels\n\n| label | values |\n|---|---|\n")
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		values, ok := labelValues[label]
		if !ok {
			return "", fmt.Errorf("nothing says what the label %s may be", label)
		}
		fmt.Fprintf(&page, "| `%s` | %s |\n", label, values)
	}
	return page.String(), nil
}

func metricRow(m *metric, labels map[string]bool) string {
	var quoted []string
	for _, label := range m.labels {
		labels[label] = true
		quoted = append(quoted, "`"+label+"`")
	}
	help := m.help
	if m.serveOnly {
		help += " Only `serve` exports it."
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n",
		m.name, strings.Join(quoted, ", "), m.kind, m.unit(), strings.ReplaceAll(help, "|", `\|`))
}
