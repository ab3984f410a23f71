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
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: subscription id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	q := queries.New(db)
	row, err := q.InsertWebhookSubscription(t.Context(), queries.InsertWebhookSubscriptionParams{
		ID: id, Url: url, EventTypes: types, Description: "", RequestedBy: "testdb",
		IdempotencyKey: id.String(), RequestHash: hash[:],
	})
	if err != nil {
		t.Fatalf("testdb: insert subscription: %v", err)
	}
	secret := webhook.NewSecret()
	if err := q.InsertWebhookSecret(t.Context(), row.ID, secret); err != nil {
		t.Fatalf("testdb: insert secret: %v", err)
	}
	return row, secret
}
