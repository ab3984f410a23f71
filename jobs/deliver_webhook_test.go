package jobs_test

import (
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/internal/webhook"
	"loanserve/internal/webhook/receiver"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// loopback is where the receivers of tests are.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// deliver works the job of an attempt, as a worker would that may send to the networks.
func deliver(t *testing.T, tx pgx.Tx, args jobs.DeliverWebhookArgs, allow ...netip.Prefix) {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{
		Schema: jobs.Schema, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	worker := rivertest.NewWorker(t, riverpgxv5.New(nil), &river.Config{Schema: jobs.Schema}, &jobs.DeliverWebhook{
		DB: tx, Jobs: client, Client: webhook.NewClient(allow), Metrics: newMetrics(),
	})
	_, err = worker.Work(t.Context(), t, tx, args, nil)
	require.NoError(t, err)
}

// deliveries are those of a subscription, the first one first.
func deliveries(t *testing.T, tx pgx.Tx, subscription uuid.UUID) []queries.WebhookDelivery {
	t.Helper()
	rows, err := tx.Query(t.Context(),
		`SELECT * FROM webhook_deliveries WHERE subscription_id = $1 ORDER BY id`, subscription)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queries.WebhookDelivery])
	require.NoError(t, err)
	return all
}

// waitingAttempts are the jobs of a delivery that are not worked yet.
func waitingAttempts(t *testing.T, tx pgx.Tx, delivery int64) (args []jobs.DeliverWebhookArgs) {
	t.Helper()
	rows, err := tx.Query(t.Context(), `SELECT args FROM river.river_job
		WHERE kind = 'deliver_webhook' AND queue = 'webhooks' AND state IN ('available', 'scheduled')
			AND (args->>'delivery_id')::bigint = $1 ORDER BY id`, delivery)
	require.NoError(t, err)
	args, err = pgx.CollectRows(rows, pgx.RowTo[jobs.DeliverWebhookArgs])
	require.NoError(t, err)
	return args
}

func rowsIn(t *testing.T, tx pgx.Tx, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, tx.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// Whoever is subscribed to it is told of a payment, once, in the transaction that posts
// it; and nobody else.
func TestPaymentsAreTold(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, regZ)
	require.NoError(t, work(t, tx, testdb.Payment(t, tx, loan, received(100_00, "2026-02-05")).ID))
	require.Zero(t, rowsIn(t, tx, `SELECT count(*) FROM webhook_messages`), "nobody is subscribed")

	to := receiver.New(t, receiver.Answer{Status: 204})
	all, secret := testdb.WebhookSubscription(t, tx, to.URL, jobs.EventTypes()...)
	other, _ := testdb.WebhookSubscription(t, tx, to.URL, jobs.EventPaymentReversed)
	off, _ := testdb.WebhookSubscription(t, tx, to.URL, jobs.EventTypes()...)
	_, err := queries.New(tx).MarkWebhookSubscriptionDisabled(t.Context(), "requested", off.ID)
	require.NoError(t, err)

	payment := testdb.Payment(t, tx, loan, received(600_00, "2026-02-06"))
	late := testdb.Payment(t, tx, loan, received(50_00, "2026-02-01")) // Behind the end of the books.
	for range 2 {
		require.NoError(t, work(t, tx, payment.ID))
		require.NoError(t, work(t, tx, late.ID))
	}
	reversal := testdb.Reversal(t, tx, payment)
	for range 2 {
		reverse(t, tx, reversal.ID)
	}
	reverse(t, tx, testdb.Reversal(t, tx, payment, testdb.Undoing(reversal)).ID)
	_, err = tx.Exec(t.Context(), `UPDATE loans SET status = 'archived' WHERE id = $1`, loan.ID)
	require.NoError(t, err)
	refused := testdb.Payment(t, tx, loan, received(10_00, "2026-02-07"))
	require.NoError(t, work(t, tx, refused.ID))

	require.Empty(t, deliveries(t, tx, off.ID))
	require.Len(t, deliveries(t, tx, other.ID), 1)
	want := []struct {
		kind    string
		payment uuid.UUID
		amount  mortgage.Cents
	}{
		{jobs.EventPaymentPosted, payment.ID, 600_00},
		{jobs.EventPaymentPosted, late.ID, 50_00},
		{jobs.EventPaymentReversed, payment.ID, 600_00},
		{jobs.EventPaymentPosted, payment.ID, 600_00},
		{jobs.EventPaymentRejected, refused.ID, 10_00},
	}
	told := deliveries(t, tx, all.ID)
	require.Len(t, told, len(want))
	for _, d := range told {
		attempts := waitingAttempts(t, tx, d.ID)
		require.Equal(t, []jobs.DeliverWebhookArgs{{DeliveryID: d.ID, Round: 1, Attempt: 1}}, attempts)
		for range 2 { // The second time finds nothing to do.
			deliver(t, tx, attempts[0], loopback()...)
		}
	}
	got := to.Messages()
	require.Len(t, got, len(want))
	for i, w := range want {
		require.Equal(t, w.kind, got[i].Type)
		require.Equal(t, w.payment.String(), got[i].Data["payment_id"])
		require.InDelta(t, loan.ID, got[i].Data["loan_id"], 0)
		require.InDelta(t, int64(w.amount), got[i].Data["amount_cents"], 0)
		require.Equal(t, told[i].MessageID.String(), got[i].ID)
		require.Equal(t, webhook.Sign([][]byte{secret}, got[i].ID, got[i].At, got[i].Raw), got[i].Signature)
		require.NotContains(t, string(got[i].Raw), loan.LoanNumber)
	}
	require.Equal(t, "R01", got[2].Data["reason"])
	require.Equal(t, reversal.ID.String(), got[2].Data["reversal_id"])
	require.Equal(t, "loan_archived", got[4].Data["reason"])
	for _, d := range deliveries(t, tx, all.ID) {
		require.Equal(t, queries.WebhookDeliveryStatusDelivered, d.Status)
		require.Equal(t, int32(1), d.Attempts)
		require.NotNil(t, d.DeliveredAt)
	}
}

// told has one message sent to a receiver, and returns its subscription and delivery.
func told(t *testing.T, tx pgx.Tx, to *receiver.Receiver) (queries.WebhookSubscription, queries.WebhookDelivery) {
	t.Helper()
	subscription, _ := testdb.WebhookSubscription(t, tx, to.URL, jobs.EventPaymentPosted)
	loan := testdb.Loan(t, tx, regZ)
	require.NoError(t, work(t, tx, testdb.Payment(t, tx, loan, received(100_00, "2026-02-05")).ID))
	all := deliveries(t, tx, subscription.ID)
	require.Len(t, all, 1)
	return subscription, all[0]
}

// A message that does not arrive is tried ten times, at the specification's pauses, with
// one id; then it has failed, until somebody has it sent again.
func TestDeliveryIsTriedAgain(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	to := receiver.New(t, receiver.Answer{Status: 500})
	_, first := told(t, tx, to)
	pauses := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	args := jobs.DeliverWebhookArgs{DeliveryID: first.ID, Round: 1, Attempt: 1}
	for n, pause := range pauses {
		deliver(t, tx, args, loopback()...)
		d, err := queries.New(tx).GetWebhookDelivery(t.Context(), first.ID)
		require.NoError(t, err)
		require.Equal(t, queries.WebhookDeliveryStatusWaiting, d.Status)
		require.Equal(t, int32(n+1), d.Attempts)
		require.Equal(t, []any{int32(500), "the answer is 500"}, []any{*d.LastStatusCode, *d.LastError})
		after := d.NextAttemptAt.Sub(*d.AttemptedAt)
		require.GreaterOrEqual(t, after, pause)
		require.Less(t, after, pause+pause/10)
		args.Attempt++
		require.Contains(t, waitingAttempts(t, tx, first.ID), args)
	}
	deliver(t, tx, args, loopback()...)
	d, err := queries.New(tx).GetWebhookDelivery(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queries.WebhookDeliveryStatusFailed, d.Status)
	require.Nil(t, d.NextAttemptAt)
	got := to.Messages()
	require.Len(t, got, 10)
	for _, m := range got {
		require.Equal(t, got[0].ID, m.ID)
		require.Equal(t, got[0].Raw, m.Raw)
	}

	d, err = queries.New(tx).MarkWebhookReplayed(t.Context(), first.ID)
	require.NoError(t, err)
	to.Then(receiver.Answer{Status: 200})
	deliver(t, tx, args, loopback()...) // An attempt of before is over.
	require.Len(t, to.Messages(), 10)
	deliver(t, tx, jobs.DeliverWebhookArgs{DeliveryID: d.ID, Round: d.Round, Attempt: 1}, loopback()...)
	require.Len(t, to.Messages(), 11)
	d, err = queries.New(tx).GetWebhookDelivery(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queries.WebhookDeliveryStatusDelivered, d.Status)
	require.Equal(t, []int32{2, 1}, []int32{d.Round, d.Attempts})
	require.Nil(t, d.LastError)
}

// A receiver that asks to be left alone is, for at least as long.
func TestDeliveryHeedsRetryAfter(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	to := receiver.New(t, receiver.Answer{Status: 429, RetryAfter: "3600"})
	_, d := told(t, tx, to)
	deliver(t, tx, jobs.DeliverWebhookArgs{DeliveryID: d.ID, Round: 1, Attempt: 1}, loopback()...)
	d, err := queries.New(tx).GetWebhookDelivery(t.Context(), d.ID)
	require.NoError(t, err)
	require.Equal(t, time.Hour, d.NextAttemptAt.Sub(*d.AttemptedAt))
}

// A receiver that is gone, or has done nothing but fail for five days, is sent no more.
func TestReceiversThatAreNoMore(t *testing.T) {
	t.Parallel()
	const deliveredAgo = `next_attempt_at = NULL, status = 'delivered', first_failed_at = now() - interval `
	const failedAgo = `next_attempt_at = NULL, status = 'failed', first_failed_at = now() - interval `
	for name, tt := range map[string]struct {
		code    int
		attempt int32
		before  string // happened to an earlier message
		reason  string // "" where it stays active
	}{
		"gone":                        {code: 410, attempt: 1, reason: "gone"},
		"failed for the first time":   {code: 502, attempt: 1},
		"failed for the last time":    {code: 502, attempt: 10},
		"failing for days":            {code: 502, attempt: 10, before: failedAgo + `'121 hours'`, reason: "failing"},
		"failing for not long enough": {code: 502, attempt: 10, before: failedAgo + `'119 hours'`},
		"failing, but for one":        {code: 502, attempt: 10, before: deliveredAgo + `'121 hours', delivered_at = now() - interval '100 hours'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := testdb.Tx(t)
			to := receiver.New(t, receiver.Answer{Status: tt.code})
			subscription, first := told(t, tx, to)
			loan := testdb.Loan(t, tx, regZ)
			require.NoError(t, work(t, tx, testdb.Payment(t, tx, loan, received(100_00, "2026-02-05")).ID))
			if tt.before != "" {
				_, err := tx.Exec(t.Context(), `UPDATE webhook_deliveries SET `+tt.before+` WHERE id = $1`, first.ID)
				require.NoError(t, err)
			}
			second := deliveries(t, tx, subscription.ID)[1]
			_, err := tx.Exec(t.Context(), `UPDATE webhook_deliveries SET attempts = $2 WHERE id = $1`, second.ID, tt.attempt-1)
			require.NoError(t, err)
			deliver(t, tx, jobs.DeliverWebhookArgs{DeliveryID: second.ID, Round: 1, Attempt: tt.attempt}, loopback()...)

			row, err := queries.New(tx).GetWebhookSubscription(t.Context(), subscription.ID)
			require.NoError(t, err)
			events := rowsIn(t, tx, `SELECT count(*) FROM auth_events WHERE kind = 'webhook_subscription_disabled'
				AND details @> jsonb_build_object('subscription_id', $1::text, 'reason', $2::text)`,
				subscription.ID.String(), tt.reason)
			if tt.reason == "" {
				require.Equal(t, queries.WebhookSubscriptionStatusActive, row.Status)
				require.Zero(t, events)
				return
			}
			require.Equal(t, queries.WebhookSubscriptionStatusDisabled, row.Status)
			require.Equal(t, tt.reason, *row.EndReason)
			require.Equal(t, 1, events)
			sent := len(to.Messages())
			if tt.before == "" { // What waited is not sent any more.
				deliver(t, tx, jobs.DeliverWebhookArgs{DeliveryID: first.ID, Round: 1, Attempt: 1}, loopback()...)
				require.Len(t, to.Messages(), sent)
				d, err := queries.New(tx).GetWebhookDelivery(t.Context(), first.ID)
				require.NoError(t, err)
				require.Equal(t, queries.WebhookDeliveryStatusFailed, d.Status)
			}
		})
	}
}

// Where nobody has allowed it, nothing is sent to an address inside.
func TestDeliveryStaysOutside(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	to := receiver.New(t, receiver.Answer{Status: 200})
	_, d := told(t, tx, to)
	deliver(t, tx, jobs.DeliverWebhookArgs{DeliveryID: d.ID, Round: 1, Attempt: 1})
	require.Empty(t, to.Messages())
	d, err := queries.New(tx).GetWebhookDelivery(t.Context(), d.ID)
	require.NoError(t, err)
	require.Equal(t, "the address is not a public one", *d.LastError)
	require.Nil(t, d.LastStatusCode)
}

// While a secret is replaced both sign; later the new one alone.
func TestDeliverySignsByBothSecrets(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	to := receiver.New(t, receiver.Answer{Status: 200})
	subscription, old := testdb.WebhookSubscription(t, tx, to.URL, jobs.EventPaymentPosted)
	fresh := webhook.NewSecret()
	require.NoError(t, q.MarkWebhookSecretsExpiring(t.Context(), time.Now().Add(time.Hour), subscription.ID))
	require.NoError(t, q.InsertWebhookSecret(t.Context(), subscription.ID, fresh))
	loan := testdb.Loan(t, tx, regZ)
	for i, secrets := range [][][]byte{{fresh, old}, {fresh}} {
		require.NoError(t, work(t, tx, testdb.Payment(t, tx, loan, received(100_00, "2026-02-05")).ID))
		d := deliveries(t, tx, subscription.ID)[i]
		deliver(t, tx, jobs.DeliverWebhookArgs{DeliveryID: d.ID, Round: 1, Attempt: 1}, loopback()...)
		m := to.Messages()[i]
		require.Equal(t, webhook.Sign(secrets, m.ID, m.At, m.Raw), m.Signature)
		require.NoError(t, q.MarkWebhookSecretsExpiring(t.Context(), time.Now().Add(-time.Hour), subscription.ID))
		require.NoError(t, q.DeleteExpiredWebhookSecretsBatch(t.Context(), subscription.ID))
		require.NoError(t, q.InsertWebhookSecret(t.Context(), subscription.ID, fresh))
	}
}

// A worker that dies after it has sent and before it has recorded sends again: the
// receiver gets the message twice, by the same id, and none is lost.
func TestDeliveryAfterACrash(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	var once sync.Once
	to := receiver.New(t, receiver.Answer{Status: 200, Before: func() {
		once.Do(func() { // As if its machine died: its connections break while it waits for the answer.
			_, err := db.Super.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			if err != nil {
				t.Error(err)
			}
		})
	}})
	testdb.WebhookSubscription(t, db.App, to.URL, jobs.EventPaymentPosted)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	worker, err := jobs.NewWorker(db.App, jobs.Config{
		ID: "", PaymentWorkers: 8, WebhookNetworks: loopback(), Metrics: p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	t.Cleanup(func() { _ = worker.Stop(t.Context()) })
	p.enqueue(t, db, loan)
	require.Eventually(t, func() bool {
		var n int
		err := db.Super.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`).Scan(&n)
		return err == nil && n == 1
	}, patience, 20*time.Millisecond)
	got := to.Messages()
	require.GreaterOrEqual(t, len(got), 1)
	for _, m := range got {
		require.Equal(t, got[0].ID, m.ID)
	}
}

// An analysis is told once, with what came out of it.
func TestAnalysesAreTold(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	subscription, _ := testdb.WebhookSubscription(t, tx, "https://example.com/", jobs.EventEscrowAnalysisCompleted)
	wish := testdb.AnalysisWish(t, tx, escrowedLoan(t, tx, 1_680_00))
	for range 2 {
		analyze(t, tx, wish.ID)
	}
	all := deliveries(t, tx, subscription.ID)
	require.Len(t, all, 1)
	m, err := queries.New(tx).GetWebhookMessage(t.Context(), all[0].MessageID)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), wish.ID.String())
	require.Contains(t, string(m.Data), `"shortage_cents": 12000`)
}
