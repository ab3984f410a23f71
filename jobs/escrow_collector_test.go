package jobs_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
)

// What waits is counted, every status from the first scrape on; what is settled is not.
func TestEscrowCollector(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	for _, on := range []string{"2026-02-10", "2026-02-11", "2026-02-12", "2026-02-13", "2026-03-10"} {
		testdb.EscrowBill(t, db.App, testdb.EscrowLine(t, db.App, loan, dueOn(on)))
	}
	run := testdb.Run(t, db.App, disbursing("2026-02-13"))
	for _, chunk := range planDisbursing(t, db.App, run) {
		require.NoError(t, disburseChunk(t.Context(), db.App, chunk))
	}
	paid := disbursements(t, db.App, loan)
	require.Len(t, paid, 4)
	bookBack(t, db.App, testdb.EscrowReturn(t, db.App, paid[0].ID, "2026-02-13").ID)
	for i, status := range []string{"sent", "stale", "confirmed"} {
		_, err := db.App.Exec(t.Context(), `UPDATE escrow_disbursements SET status = $1, sent_at = now() WHERE id = $2`,
			status, paid[i+1].ID)
		require.NoError(t, err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(jobs.NewEscrowCollector(db.App, slog.New(slog.DiscardHandler)))
	help := "Disbursements that wait to be sent, confirmed or, returned, decided on. " +
		"The same on every process: use max, not sum."
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP loanserve_escrow_disbursements `+help+`
# TYPE loanserve_escrow_disbursements gauge
loanserve_escrow_disbursements{status="returned"} 1
loanserve_escrow_disbursements{status="scheduled"} 0
loanserve_escrow_disbursements{status="sent"} 1
loanserve_escrow_disbursements{status="stale"} 1
`), "loanserve_escrow_disbursements"))
	require.InDelta(t, 3*180000, metric(t, registry, "loanserve_escrow_disbursements_cents"), 0)
	require.InDelta(t, 2, metric(t, registry, "loanserve_escrow_bills"), 0)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}
