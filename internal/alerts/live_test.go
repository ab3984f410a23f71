package alerts_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/promserver"
	"loanserve/internal/testdb"
)

// live is the program, one that serves and two that work, watched by a Prometheus.
type live struct {
	*program

	prom               *promserver.Server
	serve, work, other *process
	token              string
}

var waits = regexp.MustCompile(`(?m)^( +for:) \w+$`)

// A backup that failed is told for as long as the rule looks back: so long in the test.
const failures, failuresInTest = "loanserve_backup_failures_total[1h]", "loanserve_backup_failures_total[10s]"

// startLive starts everything. Prometheus looks every second, by the rules as they are,
// except that an alert waits for a second wherever it waits, and that of a failed backup
// looks back ten seconds and no hour: thresholds are untouched.
func startLive(t *testing.T) *live {
	t.Helper()
	programs := programs(t)
	l := &live{program: buildProgram(t)}
	l.keepWAL()
	l.token = l.output("token", "create", "--name", "test", "--scope", "loans:read", "--scope", "housekeeping:run",
		"--scope", "webhooks:write", "--scope", "integrity:run", "--scope", "backups:run")
	l.serve = l.start("serve", "127.0.0.1:0", "--listen", "127.0.0.1:0")
	l.work, l.other = l.start("work", "127.0.0.1:0"), l.start("work", "127.0.0.1:0")

	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "rules"), 0o750))
	for _, path := range glob(t, "deploy/prometheus/rules/*.yml") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		text = waits.ReplaceAll(text, []byte("$1 1s"))
		if filepath.Base(path) == "backups.yml" {
			require.Contains(t, string(text), failures)
			text = []byte(strings.ReplaceAll(string(text), failures, failuresInTest))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rules", filepath.Base(path)), text, 0o600))
	}
	settings := strings.NewReplacer("_interval: 15s", "_interval: 1s",
		`"127.0.0.1:8081"`, fmt.Sprintf("%q, %q, %q", l.serve.adminAddress, l.work.adminAddress, l.other.adminAddress))
	prom, err := programs.Start(t.Context(), dir, settings.Replace(readFile(t, "deploy/prometheus/prometheus.yml")))
	require.NoError(t, err)
	t.Cleanup(func() {
		if said := prom.Stop(); t.Failed() {
			t.Logf("Prometheus said:\n%s", said)
		}
	})
	l.prom = prom
	l.await("up == 1", 3)
	return l
}

// slot is the one by which the server keeps WAL for the archive.
const slot = "loanserve_archive"

// keepWAL has the server keep WAL for an archive that nobody makes, so that there are
// series of it.
func (l *live) keepWAL() {
	l.t.Helper()
	_, err := l.db.Super.Exec(l.t.Context(), `SELECT pg_create_physical_replication_slot($1, true)`, slot)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { l.dropSlot(context.Background()) })
}

// dropSlot has the server forget it, if it is still there.
func (l *live) dropSlot(ctx context.Context) {
	l.t.Helper()
	_, err := l.db.Super.Exec(ctx, `
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, slot)
	require.NoError(l.t, err)
}

// await waits until the expression has so many samples.
func (l *live) await(expr string, samples int) {
	l.t.Helper()
	var got []promserver.Sample
	enough := func() bool {
		var err error
		got, err = l.prom.Query(l.t.Context(), expr)
		return err == nil && len(got) == samples
	}
	if !eventually(enough) {
		require.Len(l.t, got, samples, expr)
	}
}

// eventually polls until it is so.
func eventually(is func() bool) bool {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); ; <-ticker.C {
		if is() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// firing returns the alert of the name if it fires.
func (l *live) firing(name string) *promserver.Alert {
	l.t.Helper()
	all, err := l.prom.Alerts(l.t.Context())
	require.NoError(l.t, err)
	for _, a := range all {
		if a.Labels["alertname"] == name && a.State == "firing" {
			return &a
		}
	}
	return nil
}

// fires waits until the alert fires, and returns it.
func (l *live) fires(name string) *promserver.Alert {
	l.t.Helper()
	var a *promserver.Alert
	require.True(l.t, eventually(func() bool { a = l.firing(name); return a != nil }), "%s does not fire", name)
	return a
}

// resolves waits until it does not.
func (l *live) resolves(name string) {
	l.t.Helper()
	require.True(l.t, eventually(func() bool { return l.firing(name) == nil }), "%s does not resolve", name)
}

// enqueue has a worker do now what the clock would have it do within minutes.
func (l *live) enqueue(kind, queue string) {
	l.t.Helper()
	_, err := l.db.Super.Exec(l.t.Context(), `
INSERT INTO river.river_job (args, kind, max_attempts, queue, state)
VALUES ('{}', $1, 2, $2, 'available')`, kind, queue)
	require.NoError(l.t, err)
}

// A real Prometheus scrapes one process that serves and two that work, while payments
// come in: all metrics are there as docs/metrics.md has them, every rule and every query
// can be evaluated, and faults are told and, when they are mended as the runbook says,
// forgotten. The payments are posted all the same.
func TestLive(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	loan := testdb.Loan(t, l.db.App)
	status, _ := l.serve.request(http.MethodGet, l.serve.API+"/v1/loans", l.token, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = l.serve.request(http.MethodPost, l.serve.API+"/v1/loans", l.token, "{}")
	require.Equal(t, http.StatusForbidden, status)
	payments := startLoad(t, l)

	for _, step := range []struct {
		name string
		test func(*testing.T, *live)
	}{
		{"metrics are as documented", testMetricsAreAsDocumented},
		{"exposition is well formed", testExposition},
		{"rules and queries are evaluated", testQueries},
		{"loss", func(t *testing.T, l *live) { t.Helper(); testLoss(t, l, loan.ID) }},
		{"one cent", func(t *testing.T, l *live) { t.Helper(); testOneCent(t, l, loan.ID) }},
		{"backup that fails", testFailingBackup},
		{"drift", testDrift},
		{"discarded job", testDiscardedJob},
		{"WAL that nobody archives", testWALThatNobodyArchives},
		{"receiver that is gone", testReceiverThatIsGone},
		{"stopped worker", testStoppedWorker},
		{"payments", func(t *testing.T, l *live) { t.Helper(); testPayments(t, l, payments) }},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.test(t, l) }) {
			break
		}
	}
}

func testMetricsAreAsDocumented(t *testing.T, l *live) {
	t.Helper()
	for name, m := range readMetrics(t) {
		series := name
		if m.kind == "histogram" {
			series += "_count"
		}
		l.await(fmt.Sprintf("count({__name__=%q}) > 0", series), 1)
		samples, err := l.prom.Query(t.Context(), fmt.Sprintf("{__name__=%q}", series))
		require.NoError(t, err)
		for _, sample := range samples {
			var labels []string
			for label := range sample.Labels {
				if label != "__name__" && label != "instance" && label != "job" {
					labels = append(labels, label)
				}
			}
			require.ElementsMatch(t, m.labels, labels, name)
		}
		if m.kind == "histogram" {
			series = name
		}
		_, text := l.serve.request(http.MethodGet, l.serve.Admin+"/metrics", "", "")
		for _, w := range []*process{l.work, l.other} { // Of what only a worker has seen.
			if !strings.Contains(text, "# TYPE "+series+" ") {
				_, text = w.request(http.MethodGet, w.Admin+"/metrics", "", "")
			}
		}
		require.Contains(t, text, fmt.Sprintf("# TYPE %s %s\n", series, m.kind))
	}
}

// promtool knows the conventions of names, units and help texts.
func testExposition(t *testing.T, l *live) {
	t.Helper()
	p := programs(t)
	for _, proc := range []*process{l.serve, l.work, l.other} {
		_, text := proc.request(http.MethodGet, proc.Admin+"/metrics", "", "")
		cmd := exec.CommandContext(t.Context(), p.Promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Empty(t, string(out))
	}
}

// filters are queries that may well have no result: a comparison, or a rate of errors.
var filters = regexp.MustCompile(`[><=]=? ?[0-9]|5\.\.`)

func testQueries(t *testing.T, l *live) {
	t.Helper()
	evaluated := func() bool {
		rules, err := l.prom.Rules(t.Context())
		require.NoError(t, err)
		for _, r := range rules {
			require.NotEqual(t, "err", r.Health, "%s: %s", r.Name, r.Error)
			if r.Health != "ok" {
				return false
			}
		}
		return len(rules) == len(readAlerts(t))
	}
	require.True(t, eventually(evaluated), "not all rules are evaluated")
	all, err := l.prom.Alerts(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, all, "there is no backup, for one")
	for _, a := range all {
		for _, text := range a.Annotations {
			require.NotContains(t, text, "error expanding template")
			require.NotContains(t, text, "no value")
		}
	}
	shown := 0
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			var samples []promserver.Sample
			some := func() bool { // A rate takes two scrapes.
				var err error
				samples, err = l.prom.Query(t.Context(), query(target.Expr))
				require.NoError(t, err, panel.Title)
				return len(samples) > 0
			}
			if filters.MatchString(target.Expr) {
				some()
			} else {
				require.True(t, eventually(some), "%s shows nothing: %s", panel.Title, target.Expr)
				shown++
			}
		}
	}
	require.Greater(t, shown, 40)
}
