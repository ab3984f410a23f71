package jobs_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// What waits for its next attempt is not overdue, and what has ended is not old; who was
// disabled by somebody is told apart from whom the program has disabled.
func TestWebhookCollector(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t) // In one transaction it is one moment, so that ages are exact.
	scrape := func() []string {
		return samples(t, jobs.NewWebhookCollector(tx, slog.New(slog.DiscardHandler)))
	}
	require.Equal(t, []string{
		`loanserve_webhook_oldest_waiting_age_seconds 0`,
		`loanserve_webhook_overdue_seconds 0`,
		`loanserve_webhook_scrape_success 1`,
		`loanserve_webhook_subscriptions{status="active"} 0`,
		`loanserve_webhook_subscriptions{status="disabled"} 0`,
		`loanserve_webhook_subscriptions{status="failing"} 0`,
		`loanserve_webhook_subscriptions{status="gone"} 0`,
	}, scrape())

	q := queries.New(tx)
	subscribe := func() queries.WebhookSubscription {
		row, _ := testdb.WebhookSubscription(t, tx, "https://example.com/", jobs.EventPaymentPosted)
		return row
	}
	for reason, n := range map[string]int{"requested": 3, "gone": 1, "failing": 2} {
		for range n {
			_, err := q.MarkWebhookSubscriptionDisabled(t.Context(), reason, subscribe().ID)
			require.NoError(t, err)
		}
	}
	_, err := q.MarkWebhookSubscriptionDeleted(t.Context(), subscribe().ID)
	require.NoError(t, err)
	wait := func(status string, age, due int) {
		_, err := tx.Exec(t.Context(), `
			WITH message AS (
				INSERT INTO webhook_messages (id, type, source, occurred_at, data)
				SELECT gen_random_uuid(), 'payment.posted', gen_random_uuid()::text, now(), '{}' RETURNING id
			)
			INSERT INTO webhook_deliveries (message_id, subscription_id, status, created_at, next_attempt_at)
			SELECT id, $1, $2::webhook_delivery_status, now() - make_interval(secs => $3::int),
				CASE WHEN $2 = 'waiting' THEN now() - make_interval(secs => $4::int) END
			FROM message`, subscribe().ID, status, age, due)
		require.NoError(t, err)
	}
	wait("waiting", 500, -60)
	wait("failed", 9000, 0)
	require.Equal(t, []string{
		`loanserve_webhook_oldest_waiting_age_seconds 500`,
		`loanserve_webhook_overdue_seconds 0`,
		`loanserve_webhook_scrape_success 1`,
		`loanserve_webhook_subscriptions{status="active"} 2`,
		`loanserve_webhook_subscriptions{status="disabled"} 3`,
		`loanserve_webhook_subscriptions{status="failing"} 2`,
		`loanserve_webhook_subscriptions{status="gone"} 1`,
	}, scrape())
	wait("waiting", 300, 90)
	wait("waiting", 100, 30)
	require.Subset(t, scrape(), []string{
		`loanserve_webhook_oldest_waiting_age_seconds 500`, `loanserve_webhook_overdue_seconds 90`,
	})
}
