package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// messages stores n messages of that many days ago, after a second, with a delivery in
// the status to each subscription.
func messages(t *testing.T, db *testdb.DB, n, days int, status string, to ...queries.WebhookSubscription) {
	t.Helper()
	for i, s := range to {
		_, err := db.Super.Exec(t.Context(), `
			WITH told AS (
				SELECT md5(concat_ws(' ', $2::int, $3::text, k))::uuid AS id, now() - make_interval(days => $2, secs => 1) AS at
				FROM generate_series(1, $1::int) k
			), messages AS (
				INSERT INTO webhook_messages (id, type, source, occurred_at, data)
				SELECT id, 'payment.posted', id::text, at, '{}' FROM told WHERE $5::int = 0
			)
			INSERT INTO webhook_deliveries (message_id, subscription_id, status, created_at, next_attempt_at, delivered_at)
			SELECT id, $4, $3::webhook_delivery_status, at, CASE WHEN $3 = 'waiting' THEN at END,
				CASE WHEN $3 = 'delivered' THEN at END
			FROM told`, n, days, status, s.ID, i)
		require.NoError(t, err)
	}
}

func TestPruneWebhookMessages(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	one, _ := testdb.WebhookSubscription(t, db.App, "https://example.com/1", jobs.EventPaymentPosted)
	two, _ := testdb.WebhookSubscription(t, db.App, "https://example.com/2", jobs.EventPaymentPosted)
	messages(t, db, 3_000, 31, "delivered", one, two)
	messages(t, db, 200, 40, "failed", one)
	messages(t, db, 20, 90, "waiting", one) // Their jobs wait for their time, or are lost.
	messages(t, db, 10, 29, "delivered", one)
	messages(t, db, 10, 8, "failed", one)
	// Of ten messages one receiver has taken its copy, and the other has not.
	messages(t, db, 10, 60, "waiting", one, two)
	_, err := db.Super.Exec(t.Context(), `UPDATE webhook_deliveries
		SET status = 'delivered', next_attempt_at = NULL, delivered_at = created_at
		WHERE subscription_id = $1 AND status = 'waiting'`, two.ID)
	require.NoError(t, err)
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(t.Context())) }()
	work := func(age time.Duration, dry bool) queries.Run {
		run := ask(t, db, queries.RunKindPruneWebhookMessages, age, dry)
		_, err := p.inserter.Insert(t.Context(), jobs.PruneWebhookMessagesArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
		untilOver(t, db, run)
		return run
	}
	left := func() [3]int64 {
		return [3]int64{
			count(t, db, `SELECT count(*) FROM webhook_messages`), count(t, db, `SELECT count(*) FROM webhook_deliveries`),
			count(t, db, `SELECT count(*) FROM webhook_deliveries WHERE status = 'waiting'`),
		}
	}
	before := left()
	require.Equal(t, [3]int64{3_250, 6_260, 30}, before)

	const old = 3_000 + 6_000 + 200 + 200 + 10
	requireRun(t, db, work(30*aDay, true).ID, queries.RunStatusFinished, [3]int64{old, 0, 0})
	require.Equal(t, before, left(), "a dry run deletes nothing")
	run := work(30*aDay, false)
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{old, old, 0})
	require.Equal(t, [3]int64{50, 50, 30}, left(), "what waits stays, with its message")
	require.Zero(t, *purgeOf(t, db, run).Remaining)
	require.NotNil(t, purgeOf(t, db, run).OldestAt)
	requireRun(t, db, work(30*aDay, false).ID, queries.RunStatusFinished, [3]int64{0, 0, 0})

	// What is still tried, or a receiver judged by, does not go, whoever asks.
	failed := requireRun(t, db, work(6*aDay, false).ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
	require.Contains(t, string(failed.Findings), "still needed")
	requireRun(t, db, work(7*aDay, false).ID, queries.RunStatusFinished, [3]int64{40, 40, 0})
	require.Equal(t, [3]int64{30, 30, 30}, left())
}

// Somebody has a delivery sent again while it is to be deleted: it stays.
func TestPruneWebhookMessagesPassesOverWhatIsHeld(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	to, _ := testdb.WebhookSubscription(t, db.App, "https://example.com/", jobs.EventPaymentPosted)
	messages(t, db, 10, 31, "failed", to)
	hold, err := db.App.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = hold.Rollback(context.Background()) }()
	replayed, err := queries.New(hold).MarkWebhooksReplayed(t.Context(), queries.MarkWebhooksReplayedParams{
		SubscriptionID: to.ID, Since: time.Time{}, AllOfThem: false, RowLimit: 3,
	})
	require.NoError(t, err)
	require.Len(t, replayed, 3)
	run := ask(t, db, queries.RunKindPruneWebhookMessages, 30*aDay, false)
	_, err = p.inserter.Insert(t.Context(), jobs.PruneWebhookMessagesArgs{RunID: run.ID}, nil)
	require.NoError(t, err)
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(context.Background())) }()
	untilOver(t, db, run)
	require.NoError(t, hold.Commit(t.Context()))
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{14, 14, 0})
	require.EqualValues(t, 6, *purgeOf(t, db, run).Remaining)
	require.EqualValues(t, 3, count(t, db, `SELECT count(*) FROM webhook_deliveries d
		JOIN webhook_messages m ON m.id = d.message_id WHERE d.status = 'waiting'`))
}

// The batches go by an index, however large the tables are, and whatever stays; and so
// do the metrics, however much waits.
func TestPruneWebhookMessagesUsesIndexes(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	to, _ := testdb.WebhookSubscription(t, db.App, "https://example.com/", jobs.EventPaymentPosted)
	for days := range 40 {
		messages(t, db, 500, 20+days, "delivered", to)
	}
	messages(t, db, 5_000, 10, "waiting", to)
	_, err := db.Super.Exec(t.Context(), `ANALYZE webhook_messages, webhook_deliveries`)
	require.NoError(t, err)
	for sql, index := range map[string]string{
		`SELECT d.id FROM webhook_deliveries d
			WHERE d.status <> 'waiting' AND d.created_at >= '-infinity' AND d.created_at < now() - interval '30 days'
			ORDER BY d.created_at LIMIT 500 FOR UPDATE SKIP LOCKED`: "webhook_deliveries_ended_idx",
		`SELECT min(next_attempt_at) FROM webhook_deliveries WHERE status = 'waiting'`: "webhook_deliveries_waiting_idx",
		`SELECT extract(epoch FROM now() - min(next_attempt_at)), extract(epoch FROM now() - min(created_at))
			FROM webhook_deliveries WHERE status = 'waiting'`: "webhook_deliveries_waiting_since_idx",
		`SELECT m.id FROM webhook_messages m
			WHERE m.occurred_at >= '-infinity' AND m.occurred_at < now() - interval '30 days'
			AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.message_id = m.id OFFSET 0)
			ORDER BY m.occurred_at LIMIT 500`: "webhook_messages_occurred_at_idx",
	} {
		rows, err := db.App.Query(t.Context(), "EXPLAIN "+sql)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(plan), index)
		require.NotContains(t, fmt.Sprint(plan), "Sort")
		require.NotContains(t, fmt.Sprint(plan), "Seq Scan")
	}
}
