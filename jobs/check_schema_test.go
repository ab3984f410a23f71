package jobs_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"loanserve/internal/drift"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// checkJob is a job that the clock has asked for at the instant, or one of a run.
func checkJob(run uuid.UUID, at string, attempt int) *river.Job[jobs.CheckSchemaArgs] {
	created, _ := time.Parse(time.RFC3339, at)
	return &river.Job[jobs.CheckSchemaArgs]{
		JobRow: &rivertype.JobRow{CreatedAt: created, Attempt: attempt, MaxAttempts: 3},
		Args:   jobs.CheckSchemaArgs{RunID: run},
	}
}

func TestCheckSchema(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	worker := &jobs.CheckSchema{DB: db.App, Checker: drift.NewChecker(db.App, db.URL)}
	runs := func() int64 { return count(t, db, `SELECT count(*) FROM runs WHERE kind = 'check_schema'`) }

	// However many workers and restarts there are, a period has one run.
	for range 2 {
		require.NoError(t, worker.Work(t.Context(), checkJob(uuid.Nil, "2026-03-01T10:01:00Z", 1)))
		require.NoError(t, worker.Work(t.Context(), checkJob(uuid.Nil, "2026-03-01T10:04:59Z", 1)))
		require.EqualValues(t, 1, runs())
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(jobs.NewSchemaCollector(db.App, slog.New(slog.DiscardHandler)))
	names := []string{"loanserve_schema_drift_findings", "loanserve_schema_check_scrape_success"}
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(metricsOf(0, 0, 0)), names...))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)

	db.Tamper(t, `ALTER TABLE loans DISABLE TRIGGER refuse_removal; CREATE TABLE one (id bigint);
		CREATE TABLE two (id bigint)`)
	require.NoError(t, worker.Work(t.Context(), checkJob(uuid.Nil, "2026-03-01T10:04:00Z", 1)))
	require.EqualValues(t, 1, runs(), "the run of the period is over")
	require.NoError(t, worker.Work(t.Context(), checkJob(uuid.Nil, "2026-03-01T10:05:00Z", 1)))
	require.EqualValues(t, 2, runs())
	require.EqualValues(t, 3, count(t, db, `SELECT jsonb_array_length(findings) FROM runs ORDER BY id DESC LIMIT 1`))

	fresh := prometheus.NewRegistry() // The other one still has what it read.
	fresh.MustRegister(jobs.NewSchemaCollector(db.App, slog.New(slog.DiscardHandler)))
	require.NoError(t, testutil.GatherAndCompare(fresh, strings.NewReader(metricsOf(0, 1, 2)), names...))
	n, err := testutil.GatherAndCount(fresh, "loanserve_schema_check_timestamp_seconds")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func metricsOf(breaking, protection, extra int) string {
	return fmt.Sprintf(`
# HELP loanserve_schema_check_scrape_success Whether the last check could be read for this scrape.
# TYPE loanserve_schema_check_scrape_success gauge
loanserve_schema_check_scrape_success 1
# HELP loanserve_schema_drift_findings `+"How the database differed from what the migrations make, at the last check. "+
		"The same on every process: use max, not sum."+`
# TYPE loanserve_schema_drift_findings gauge
loanserve_schema_drift_findings{severity="breaking"} %d
loanserve_schema_drift_findings{severity="extra"} %d
loanserve_schema_drift_findings{severity="protection"} %d
`, breaking, extra, protection)
}

// A run whose database cannot be read is tried again, and failed in the end.
func TestCheckSchemaThatFails(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	run := testdb.Run(t, db.App, func(arg *queries.InsertRunParams) { arg.Kind = queries.RunKindCheckSchema })
	closed := db.Pool(t, testdb.RoleApp)
	closed.Close()
	worker := &jobs.CheckSchema{DB: db.App, Checker: drift.NewChecker(closed, db.URL)}
	require.Error(t, worker.Work(t.Context(), checkJob(run.ID, "2026-03-01T10:01:00Z", 1)))
	requireRun(t, db, run.ID, queries.RunStatusRequested, [3]int64{0, 0, 0})
	require.Error(t, worker.Work(t.Context(), checkJob(run.ID, "2026-03-01T10:01:00Z", 3)))
	got := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
	require.Contains(t, string(got.Findings), "too often")

	// Once it is over it stays so, whoever works it again.
	worker.Checker = drift.NewChecker(db.App, db.URL)
	require.NoError(t, worker.Work(t.Context(), checkJob(run.ID, "2026-03-01T10:01:00Z", 1)))
	requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
}

func TestSchemaChecksAreUniqueByTheClock(t *testing.T) {
	t.Parallel()
	opts := jobs.CheckSchemaArgs{}.InsertOpts()
	require.Equal(t, jobs.QueueSchema, opts.Queue)
	require.Equal(t, 5*time.Minute, opts.UniqueOpts.ByPeriod)
	require.Zero(t, jobs.CheckSchemaArgs{RunID: uuid.New()}.InsertOpts().UniqueOpts.ByPeriod)
}
