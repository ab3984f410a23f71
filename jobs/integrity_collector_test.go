package jobs_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

func TestIntegrityCollector(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	scrape := func() *prometheus.Registry {
		registry := prometheus.NewRegistry()
		registry.MustRegister(jobs.NewIntegrityCollector(db.App, slog.New(slog.DiscardHandler)))
		return registry
	}
	before := scrape()
	series, err := testutil.GatherAndCount(before, "loanserve_integrity_findings")
	require.NoError(t, err)
	require.Len(t, queries.AllIntegrityKindValues(), series, "each kind has its series before it is found")
	require.Zero(t, metric(t, before, "loanserve_integrity_findings"))
	require.Zero(t, metric(t, before, "loanserve_integrity_check_timestamp_seconds"))

	ids := serviced(t, db, 3, 1)
	_, err = db.Super.Exec(t.Context(), `UPDATE loans SET suspense_cents = suspense_cents + 1 WHERE id = $1`, ids[1])
	require.NoError(t, err)
	report := check(t, db, true)
	after := scrape()
	require.InDelta(t, 3, metric(t, after, "loanserve_integrity_findings"), 0)
	require.InDelta(t, 3, metric(t, after, "loanserve_integrity_check_loans"), 0)
	require.InDelta(t, report.Check.FinishedAt.Unix(), metric(t, after, "loanserve_integrity_check_timestamp_seconds"), 0)
	problems, err := testutil.GatherAndLint(after)
	require.NoError(t, err)
	require.Empty(t, problems)
}
