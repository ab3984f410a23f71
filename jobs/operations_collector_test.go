package jobs_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// samples are the series of a scrape, as Prometheus reads them.
func samples(t *testing.T, c prometheus.Collector, names ...string) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	families, err := registry.Gather()
	require.NoError(t, err)
	var lines []string
	for _, family := range families {
		if len(names) > 0 && !slices.Contains(names, family.GetName()) {
			continue
		}
		for _, m := range family.GetMetric() {
			line := family.GetName()
			for _, label := range m.GetLabel() { // None has two.
				line += fmt.Sprintf("{%s=%q}", label.GetName(), label.GetValue())
			}
			lines = append(lines, fmt.Sprintf("%s %.0f", line, m.GetGauge().GetValue()))
		}
	}
	return lines
}

// What waits is counted with its beginning, and every series is there while nothing does.
func TestWaitingCollector(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	scrape := func(names ...string) []string {
		return samples(t, jobs.NewWaitingCollector(db.App, slog.New(slog.DiscardHandler)), names...)
	}
	const waiting, oldest = "loanserve_waiting", "loanserve_waiting_oldest_timestamp_seconds"
	for _, line := range scrape(waiting, oldest, "loanserve_suspense_cents") {
		require.True(t, strings.HasSuffix(line, " 0"), line)
	}
	require.Len(t, scrape(waiting), 6)

	loan := testdb.Loan(t, db.App)
	testdb.Reversal(t, db.App, testdb.Payment(t, db.App, loan), func(p *queries.InsertPaymentReversalParams) {
		p.ApprovalRequired = true
	})
	testdb.Reversal(t, db.App, testdb.Payment(t, db.App, loan)) // Nobody has to approve it.
	testdb.LoanChange(t, db.App, loan, func(p *queries.InsertLoanChangeParams) { p.ApprovalRequired = true })
	for _, on := range []string{"2026-02-11", "2026-02-10"} {
		testdb.EscrowBill(t, db.App, testdb.EscrowLine(t, db.App, loan, dueOn(on)))
	}
	batch := testdb.PaymentBatch(t, db.App, testdb.Payment(t, db.App, loan), testdb.Payment(t, db.App, loan))
	_, err := db.Super.Exec(t.Context(), `
UPDATE payment_batch_items SET status = 'exception', reason = 'unknown_loan', payment_id = NULL, loan_id = NULL
  WHERE batch_id = $1 AND line = 3`, batch.ID)
	require.NoError(t, err)
	_, err = db.Super.Exec(t.Context(), `
UPDATE payment_batches SET created_at = 'epoch'::timestamptz + interval '80 s';
UPDATE payment_reversals SET created_at = 'epoch'::timestamptz + interval '60 s';
UPDATE loan_changes SET created_at = 'epoch'::timestamptz + interval '70 s';
UPDATE loans SET suspense_cents = 1234, last_effective_on = '1970-01-03'`)
	require.NoError(t, err)
	require.Equal(t, []string{
		`loanserve_suspense_cents 1234`,
		`loanserve_waiting{what="bill_to_pay"} 2`,
		`loanserve_waiting{what="disbursement_to_send"} 0`,
		`loanserve_waiting{what="loan_change_approval"} 1`,
		`loanserve_waiting{what="money_in_suspense"} 1`,
		`loanserve_waiting{what="payment_exception"} 1`,
		`loanserve_waiting{what="reversal_approval"} 1`,
		`loanserve_waiting_oldest_timestamp_seconds{what="bill_to_pay"} 1770681600`,
		`loanserve_waiting_oldest_timestamp_seconds{what="disbursement_to_send"} 0`,
		`loanserve_waiting_oldest_timestamp_seconds{what="loan_change_approval"} 70`,
		`loanserve_waiting_oldest_timestamp_seconds{what="money_in_suspense"} 172800`,
		`loanserve_waiting_oldest_timestamp_seconds{what="payment_exception"} 80`,
		`loanserve_waiting_oldest_timestamp_seconds{what="reversal_approval"} 60`,
		`loanserve_waiting_scrape_success 1`,
	}, scrape())

	run := testdb.Run(t, db.App, disbursing("2026-02-11"))
	for _, chunk := range planDisbursing(t, db.App, run) {
		require.NoError(t, disburseChunk(t.Context(), db.App, chunk))
	}
	after := scrape(waiting)
	require.Contains(t, after, `loanserve_waiting{what="bill_to_pay"} 0`)
	require.Contains(t, after, `loanserve_waiting{what="disbursement_to_send"} 2`)
}

// Only what was done to its end counts as done, and what was only counted does not.
func TestActivityCollector(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	scrape := func(names ...string) []string {
		return samples(t, jobs.NewActivityCollector(db.App, slog.New(slog.DiscardHandler)), names...)
	}
	require.Equal(t, []string{
		`loanserve_purge_finished_timestamp_seconds{kind="clean_up_sessions"} 0`,
		`loanserve_purge_finished_timestamp_seconds{kind="prune_history"} 0`,
		`loanserve_purge_finished_timestamp_seconds{kind="prune_login_attempts"} 0`,
		`loanserve_purge_finished_timestamp_seconds{kind="prune_webhook_messages"} 0`,
	}, scrape("loanserve_purge_finished_timestamp_seconds"))
	const through = "loanserve_day_close_through_timestamp_seconds"
	require.Equal(t, []string{through + " 0"}, scrape(through))

	end := func(run queries.Run, status string, seconds int) {
		_, err := db.Super.Exec(t.Context(), `
UPDATE runs SET status = $2::run_status, created_at = 'epoch', started_at = 'epoch',
  finished_at = 'epoch'::timestamptz + make_interval(secs => $3) WHERE id = $1`, run.ID, status, seconds)
		require.NoError(t, err)
	}
	closing := func(on string) queries.Run {
		return testdb.Run(t, db.App, func(p *queries.InsertRunParams) { p.AsOfOn = testdb.Date(on) })
	}
	end(closing("1970-01-02"), "finished", 10)
	end(closing("1970-01-03"), "failed", 20)
	closing("1970-01-04")
	end(ask(t, db, queries.RunKindCleanUpSessions, aDay, false), "finished", 30)
	end(ask(t, db, queries.RunKindCleanUpSessions, aDay, true), "finished", 40)
	sessions(t, db, 8, 5) // Of four of them two have expired, and two were revoked.
	attempts(t, db, 3, 0, "throttled")
	attempts(t, db, 2, 0, "wrong_password")
	attempts(t, db, 4, 1, "wrong_password")
	require.Equal(t, []string{
		`loanserve_activity_scrape_success 1`,
		`loanserve_day_close_through_timestamp_seconds 86400`,
		`loanserve_login_attempts{outcome="abandoned"} 0`,
		`loanserve_login_attempts{outcome="address_refused"} 0`,
		`loanserve_login_attempts{outcome="disabled"} 0`,
		`loanserve_login_attempts{outcome="started"} 0`,
		`loanserve_login_attempts{outcome="succeeded"} 0`,
		`loanserve_login_attempts{outcome="throttled"} 3`,
		`loanserve_login_attempts{outcome="unknown_name"} 0`,
		`loanserve_login_attempts{outcome="wrong_password"} 2`,
		`loanserve_purge_finished_timestamp_seconds{kind="clean_up_sessions"} 30`,
		`loanserve_purge_finished_timestamp_seconds{kind="prune_history"} 0`,
		`loanserve_purge_finished_timestamp_seconds{kind="prune_login_attempts"} 0`,
		`loanserve_purge_finished_timestamp_seconds{kind="prune_webhook_messages"} 0`,
		`loanserve_sessions 4`,
	}, scrape())
}

// Collectors that cannot read say so, and break no scrape.
func TestCollectorsWithoutDatabase(t *testing.T) {
	t.Parallel()
	pool := testdb.Clone(t).Pool(t, testdb.RoleApp)
	pool.Close()
	log := slog.New(slog.DiscardHandler)
	require.Equal(t, []string{"loanserve_waiting_scrape_success 0"}, samples(t, jobs.NewWaitingCollector(pool, log)))
	require.Equal(t, []string{"loanserve_activity_scrape_success 0"}, samples(t, jobs.NewActivityCollector(pool, log)))
	require.Equal(t, []string{"loanserve_webhook_scrape_success 0"}, samples(t, jobs.NewWebhookCollector(pool, log)))
}

func TestPausedQueues(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	_, err := db.Super.Exec(t.Context(), `
INSERT INTO river.river_queue (name, created_at, updated_at, paused_at)
VALUES ('escrow', now(), now(), now()), ('cycle', now(), now(), NULL)`)
	require.NoError(t, err)
	paused := samples(t, jobs.NewQueueCollector(db.App, slog.New(slog.DiscardHandler)), "loanserve_queue_paused")
	require.Len(t, paused, 12)
	require.Contains(t, paused, `loanserve_queue_paused{queue="escrow"} 1`)
	require.Contains(t, paused, `loanserve_queue_paused{queue="cycle"} 0`)
}
