package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/internal/webhook"
	"loanserve/queries"
)

// WebhookSubscription stores one to the types, with a secret, and returns both.
func WebhookSubscription(
	t testing.TB, db queries.DBTX, url string, types ...string,
) (queries.WebhookSubscription, []byte) {
	t.Helper()
	row := subscription(t, db, url, types)
	secret := webhook.NewSecret()
	if err := queries.New(db).InsertWebhookSecret(t.Context(), row.ID, secret); err != nil {
		t.Fatalf("testdb: insert secret: %v", err)
	}
	return row, secret
}

func subscription(t testing.TB, db queries.DBTX, url string, types []string) queries.WebhookSubscription {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: subscription id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	row, err := queries.New(db).InsertWebhookSubscription(t.Context(), queries.InsertWebhookSubscriptionParams{
		ID: id, Url: url, EventTypes: types, Description: "", RequestedBy: "testdb",
		IdempotencyKey: id.String(), RequestHash: hash[:],
	})
	if err != nil {
		t.Fatalf("testdb: insert subscription: %v", err)
	}
	return row
}

// WebhookRequest stores a subscription, without a secret, for which somebody has asked
// for something.
func WebhookRequest(t testing.TB, db queries.DBTX) queries.WebhookRequest {
	t.Helper()
	to := subscription(t, db, "https://example.com/", []string{"payment.posted"})
	row, err := queries.New(db).InsertWebhookRequest(t.Context(), queries.InsertWebhookRequestParams{
		RequestedBy: to.RequestedBy, IdempotencyKey: uuid.NewString(), RequestHash: to.RequestHash,
		SubscriptionID: to.ID, Replayed: nil, LastAt: nil,
	})
	if err != nil {
		t.Fatalf("testdb: insert request: %v", err)
	}
	return row
}
