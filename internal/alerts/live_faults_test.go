package alerts_test

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// quietMoment locks what payments are posted into once nobody posts one: without it,
// whoever alters the tables one after the other could be in a deadlock with a worker.
const quietMoment = `
DO $$
BEGIN
  LOOP
    BEGIN
      LOCK TABLE payments, loans, transactions IN ACCESS EXCLUSIVE MODE NOWAIT;
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.01);
    END;
  END LOOP;
END
$$;`

// Somebody with the rights of a superuser switches off the guards and deletes a loan.
func testLoss(t *testing.T, l *live, loan int64) {
	t.Helper()
	l.enqueue("watch_loans", "alarm")
	l.await(fmt.Sprintf("max(loanserve_loans_registered) == %d", payingLoans+1), 1)
	l.resolves("LoanServeLoansMissing")
	l.resolves("LoanServeLoanWatchStalled")
	l.db.Tamper(t, fmt.Sprintf(quietMoment+`
ALTER TABLE transactions DISABLE TRIGGER refuse_rewriting; ALTER TABLE loans DISABLE TRIGGER refuse_removal;
DELETE FROM transactions WHERE loan_id = %[1]d; DELETE FROM loans WHERE id = %[1]d;
ALTER TABLE transactions ENABLE ALWAYS TRIGGER refuse_rewriting;
ALTER TABLE loans ENABLE ALWAYS TRIGGER refuse_removal`, loan))
	l.enqueue("watch_loans", "alarm")
	a := l.fires("LoanServeLoansMissing")
	require.Equal(t, "page", a.Labels["severity"])
	require.Equal(t, "1 loans are in the register of loans and not in the table.", a.Annotations["description"])
	require.Nil(t, l.firing("LoanServeIntegrityFinding"))

	var xid int64
	require.NoError(t, l.db.Super.QueryRow(t.Context(), `
SELECT DISTINCT xid::text::bigint FROM history WHERE operation = 'DELETE'`).Scan(&xid))
	l.output("undelete", "--xid", fmt.Sprint(xid))
	l.enqueue("watch_loans", "alarm")
	l.resolves("LoanServeLoansMissing")
}

// Somebody with the rights of a superuser adds a cent to a loan, while payments for others
// are posted.
func testOneCent(t *testing.T, l *live, loan int64) {
	t.Helper()
	check := func(key string) {
		var before float64
		const last = `SELECT coalesce(max(extract(epoch FROM finished_at)), 0)::float8 FROM integrity_checks WHERE complete`
		require.NoError(t, l.db.Super.QueryRow(t.Context(), last).Scan(&before))
		status, body := l.serve.request(http.MethodPost, l.serve.API+"/v1/integrity-checks", l.token, `{"full":true}`,
			"Idempotency-Key", key)
		require.Equal(t, http.StatusAccepted, status, body)
		l.await(fmt.Sprintf(`max(loanserve_integrity_check_timestamp_seconds{extent="all"}) > %f`, before), 1)
	}
	balance := func(edit string) {
		_, err := l.db.Super.Exec(t.Context(), `UPDATE loans SET escrow_cents = escrow_cents `+edit+` WHERE id = $1`, loan)
		require.NoError(t, err)
	}
	check(`"cent-before"`)
	l.await("max(loanserve_integrity_findings) == 0", 1)
	require.Nil(t, l.firing("LoanServeIntegrityFinding"))
	balance("+ 1")
	check(`"cent-during"`)
	a := l.fires("LoanServeIntegrityFinding")
	require.Equal(t, "page", a.Labels["severity"])
	l.await(`ALERTS{alertname="LoanServeIntegrityFinding", kind="balance_mismatch", alertstate="firing"}`, 1)
	require.Nil(t, l.firing("LoanServeLoansMissing"))
	balance("- 1")
	check(`"cent-after"`)
	l.resolves("LoanServeIntegrityFinding")
}

// The store is away while a backup is made, as when a mount is lost, and comes back: the
// same backup is then made and verified without anybody's doing.
func testFailingBackup(t *testing.T, l *live) {
	t.Helper()
	require.Nil(t, l.firing("LoanServeBackupFailing"))
	l.fires("LoanServeBackupNone")
	away := l.offsite + ".away"
	require.NoError(t, os.Rename(l.offsite, away))
	require.NoError(t, os.WriteFile(l.offsite, nil, 0o600))
	status, body := l.serve.request(http.MethodPost, l.serve.API+"/v1/backups", l.token, `{"kind":"logical"}`,
		"Idempotency-Key", `"backup"`)
	require.Equal(t, http.StatusAccepted, status, body)
	a := l.fires("LoanServeBackupFailing")
	require.Equal(t, "logical", a.Labels["kind"])
	require.Equal(t, "store", a.Labels["stage"])
	require.Equal(t, "warning", a.Labels["severity"])

	require.NoError(t, os.Remove(l.offsite))
	require.NoError(t, os.Rename(away, l.offsite))
	l.await(`max(loanserve_backup_last_verified_timestamp_seconds{kind="logical"}) > 0`, 1)
	l.resolves("LoanServeBackupFailing")
	l.resolves("LoanServeBackupNone")
	l.resolves("LoanServeBackupNeverVerified")
}

// A guard is switched off and an index is gone, and they are back by the statements that
// check schema names.
func testDrift(t *testing.T, l *live) {
	t.Helper()
	check := func(key string) {
		status, body := l.serve.request(http.MethodPost, l.serve.API+"/v1/schema-checks", l.token, "{}",
			"Idempotency-Key", key)
		require.Equal(t, http.StatusAccepted, status, body)
	}
	check(`"before"`)
	l.await(`sum(max by (severity) (loanserve_schema_drift_findings{severity=~"breaking|protection"})) == 0`, 1)
	require.Nil(t, l.firing("LoanServeSchemaDrift"))
	l.db.Tamper(t, `ALTER TABLE loans DISABLE TRIGGER refuse_removal; DROP INDEX webhook_messages_occurred_at_idx`)
	check(`"during"`)
	l.await(`ALERTS{alertname="LoanServeSchemaDrift", severity="page", alertstate="firing"}`, 2)
	for _, drift := range []string{"protection", "breaking"} {
		l.await(fmt.Sprintf(`ALERTS{alertname="LoanServeSchemaDrift", drift=%q}`, drift), 1)
	}

	out, err := l.command(t.Context(), "check", "schema").CombinedOutput()
	require.Error(t, err)
	for _, remedy := range []string{
		`ALTER TABLE public.loans ENABLE ALWAYS TRIGGER refuse_removal`,
		`CREATE INDEX webhook_messages_occurred_at_idx ON public.webhook_messages USING btree (occurred_at)`,
	} {
		require.Contains(t, string(out), remedy)
		_, err = l.db.Super.Exec(t.Context(), remedy)
		require.NoError(t, err)
	}
	check(`"after"`)
	l.resolves("LoanServeSchemaDrift")
}

// A job that was given up is told, and forgotten once it is tried again.
func testDiscardedJob(t *testing.T, l *live) {
	t.Helper()
	require.Nil(t, l.firing("LoanServeJobsDiscarded"))
	var id int64
	require.NoError(t, l.db.Super.QueryRow(t.Context(), `
INSERT INTO river.river_job (args, kind, attempt, max_attempts, queue, state, finalized_at)
VALUES ('{}', 'watch_loans', 2, 2, 'alarm', 'discarded', now()) RETURNING id`).Scan(&id))
	a := l.fires("LoanServeJobsDiscarded")
	require.Equal(t, "Jobs were given up: watch_loans", a.Annotations["summary"])

	const remedy = "\nloanserve queue retry 4711\n"
	require.Contains(t, readFile(t, "docs/runbook.md"), remedy)
	out, err := l.command(t.Context(), "queue", "retry", fmt.Sprint(id)).CombinedOutput()
	require.NoError(t, err, "%s", out)
	l.resolves("LoanServeJobsDiscarded")
	var state string
	done := func() bool {
		err := l.db.Super.QueryRow(t.Context(), `SELECT state FROM river.river_job WHERE id = $1`, id).Scan(&state)
		return err == nil && state == "completed"
	}
	require.True(t, eventually(done), "it was worked and is %s", state)
}

// The server keeps WAL, and no process archives it; then it is told to forget it.
func testWALThatNobodyArchives(t *testing.T, l *live) {
	t.Helper()
	a := l.fires("LoanServeWALNotArchived")
	require.Equal(t, "page", a.Labels["severity"])
	require.Nil(t, l.firing("LoanServeWALGap"))
	l.dropSlot(t.Context())
	l.resolves("LoanServeWALNotArchived")
}

// A receiver is gone, and its subscription with it, until somebody enables it.
func testReceiverThatIsGone(t *testing.T, l *live) {
	t.Helper()
	require.Nil(t, l.firing("LoanServeWebhookDisabled"))
	subscription, _ := testdb.WebhookSubscription(t, l.db.App, "https://example.com/", jobs.EventPaymentPosted)
	_, err := queries.New(l.db.App).MarkWebhookSubscriptionDisabled(t.Context(), "gone", subscription.ID)
	require.NoError(t, err)
	a := l.fires("LoanServeWebhookDisabled")
	require.Equal(t, "gone", a.Labels["status"])
	path := "/v1/webhook-subscriptions/" + subscription.ID.String()
	status, body := l.serve.request(http.MethodPatch, l.serve.API+path, l.token, `{"status":"active"}`)
	require.Equal(t, http.StatusOK, status, body)
	l.resolves("LoanServeWebhookDisabled")
}

// A worker is killed, and another one takes its place. The one that is left posts the
// payments meanwhile.
func testStoppedWorker(t *testing.T, l *live) {
	t.Helper()
	require.Nil(t, l.firing("LoanServeDown"))
	l.work.stop(syscall.SIGKILL)
	a := l.fires("LoanServeDown")
	require.Equal(t, l.work.adminAddress, a.Labels["instance"])
	before := l.posted(t)
	require.True(t, eventually(func() bool { return l.posted(t) >= before+5 }), "payments are not posted")
	require.NotNil(t, l.firing("LoanServeDown"))
	require.Nil(t, l.firing("LoanServePaymentsStalled"))
	l.work = l.start("work", l.work.adminAddress)
	l.resolves("LoanServeDown")
}
