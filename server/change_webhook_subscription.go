package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/webhook"
	"loanserve/queries"
)

// secretOverlap is how long a secret signs beside the one that has replaced it.
const secretOverlap = 24 * time.Hour

type changeWebhookSubscriptionInput struct {
	WebhookSubscriptionPath
	Body webhookSubscriptionChange
}

type webhookSubscriptionChange struct {
	URL         *string                            `json:"url,omitzero" nullable:"false" minLength:"1" maxLength:"2000"`
	EventTypes  []string                           `json:"event_types,omitzero" minItems:"1" maxItems:"50" enum:"payment.posted,payment.rejected,payment.reversed,escrow_analysis.completed,backup.verified,backup.failed,integrity.finding"`
	Description *string                            `json:"description,omitzero" nullable:"false" maxLength:"200"`
	Status      *queries.WebhookSubscriptionStatus `json:"status,omitzero" nullable:"false" enum:"active,disabled"`
}

func (s *Server) changeWebhookSubscription(
	ctx context.Context, in *changeWebhookSubscriptionInput,
) (*webhookSubscriptionOutput, error) {
	if in.Body.URL != nil {
		if wrong := webhook.CheckURL(*in.Body.URL, s.webhookNetworks); wrong != "" {
			return nil, invalid(inBody("/url", wrong))
		}
	}
	row, err := s.onSubscription(ctx, in.WebhookSubscriptionPath, "webhook_subscription_changed",
		func(q *queries.Queries, row queries.WebhookSubscription) (queries.WebhookSubscription, error) {
			return in.Body.apply(ctx, q, row)
		})
	if err != nil {
		return nil, err
	}
	return &webhookSubscriptionOutput{Body: webhookSubscriptionOf(row)}, nil
}

// onSubscription does something to a subscription under its lock, and tells the audit
// trail of it.
func (s *Server) onSubscription(
	ctx context.Context, at WebhookSubscriptionPath, event string,
	do func(*queries.Queries, queries.WebhookSubscription) (queries.WebhookSubscription, error),
) (row queries.WebhookSubscription, err error) {
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		row, err = onLockedSubscription(ctx, queries.New(tx), at, event, do)
		return err
	})
	return row, err
}

// onLockedSubscription is onSubscription in a transaction that there is.
func onLockedSubscription(
	ctx context.Context, q *queries.Queries, at WebhookSubscriptionPath, event string,
	do func(*queries.Queries, queries.WebhookSubscription) (queries.WebhookSubscription, error),
) (row queries.WebhookSubscription, err error) {
	if row, err = q.LockWebhookSubscription(ctx, at.SubscriptionID); err != nil {
		return row, noSubscription(err)
	}
	if row, err = do(q, row); err != nil {
		return row, err
	}
	return row, tellOfSubscription(ctx, q, actorOf(ctx), event, row)
}

// apply changes the subscription as it was asked for.
func (b *webhookSubscriptionChange) apply(
	ctx context.Context, q *queries.Queries, row queries.WebhookSubscription,
) (queries.WebhookSubscription, error) {
	arg := queries.MarkWebhookSubscriptionChangedParams{
		ID: row.ID, Url: row.Url, EventTypes: row.EventTypes, Description: row.Description,
	}
	if b.URL != nil {
		arg.Url = *b.URL
	}
	if b.EventTypes != nil {
		arg.EventTypes = distinct(b.EventTypes)
	}
	if b.Description != nil {
		arg.Description = *b.Description
	}
	changed, err := q.MarkWebhookSubscriptionChanged(ctx, arg)
	if err != nil {
		return row, fmt.Errorf("change subscription: %w", err)
	}
	if b.Status == nil || *b.Status == changed.Status {
		return changed, nil
	}
	if *b.Status == queries.WebhookSubscriptionStatusActive {
		changed, err = q.MarkWebhookSubscriptionActive(ctx, row.ID)
	} else {
		changed, err = q.MarkWebhookSubscriptionDisabled(ctx, "requested", row.ID)
	}
	if err != nil {
		return row, fmt.Errorf("change status of subscription: %w", err)
	}
	return changed, nil
}

func (s *Server) deleteWebhookSubscription(ctx context.Context, in *WebhookSubscriptionPath) (*struct{}, error) {
	_, err := s.onSubscription(ctx, *in, "webhook_subscription_deleted",
		func(q *queries.Queries, row queries.WebhookSubscription) (queries.WebhookSubscription, error) {
			if err := q.MarkWebhookSecretsExpiring(ctx, time.Time{}, row.ID); err != nil {
				return row, fmt.Errorf("expire secrets: %w", err)
			}
			if err := q.DeleteExpiredWebhookSecretsBatch(ctx, row.ID); err != nil {
				return row, fmt.Errorf("delete secrets: %w", err)
			}
			row, err := q.MarkWebhookSubscriptionDeleted(ctx, row.ID)
			if err != nil {
				return row, fmt.Errorf("delete subscription: %w", err)
			}
			return row, nil
		})
	return nil, err
}

type rotateWebhookSecretInput struct {
	WebhookSubscriptionPath

	Key string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
}

type rotateWebhookSecretOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when the secret was replaced before, by this request; it is not shown again."`
	Body     webhookSubscription
}

func (s *Server) rotateWebhookSecret(
	ctx context.Context, in *rotateWebhookSecretInput,
) (*rotateWebhookSecretOutput, error) {
	secret := webhook.NewSecret()
	var subscription queries.WebhookSubscription
	_, replayed, err := s.onceForWebhooks(ctx, webhookRequest{
		operation: "rotate-webhook-secret", key: in.Key, body: nil,
		path: webhookSubscriptionsPath + "/" + in.SubscriptionID.String() + "/secret",
	}, func(tx pgx.Tx, record *queries.InsertWebhookRequestParams) (err error) {
		record.SubscriptionID = in.SubscriptionID
		subscription, err = onLockedSubscription(ctx, queries.New(tx), in.WebhookSubscriptionPath, "webhook_secret_rotated",
			func(q *queries.Queries, row queries.WebhookSubscription) (queries.WebhookSubscription, error) {
				return row, replaceSecret(ctx, q, row.ID, secret)
			})
		return err
	})
	if err != nil {
		return nil, err
	}
	if replayed != "" {
		if subscription, err = s.q.GetWebhookSubscription(ctx, in.SubscriptionID); err != nil {
			return nil, noSubscription(err)
		}
		return &rotateWebhookSecretOutput{Replayed: replayed, Body: webhookSubscriptionOf(subscription)}, nil
	}
	out := &rotateWebhookSecretOutput{Replayed: "", Body: webhookSubscriptionOf(subscription)}
	out.Body.Secret = webhook.FormatSecret(secret)
	return out, nil
}

// replaceSecret adds the secret that deliveries are signed with from now on. Those before
// it sign for a while longer.
func replaceSecret(ctx context.Context, q *queries.Queries, subscription uuid.UUID, secret []byte) error {
	if err := q.DeleteExpiredWebhookSecretsBatch(ctx, subscription); err != nil {
		return fmt.Errorf("delete secrets: %w", err)
	}
	if err := q.MarkWebhookSecretsExpiring(ctx, time.Now().Add(secretOverlap), subscription); err != nil {
		return fmt.Errorf("expire secrets: %w", err)
	}
	if err := q.InsertWebhookSecret(ctx, subscription, secret); err != nil {
		return fmt.Errorf("insert secret: %w", err)
	}
	return nil
}
