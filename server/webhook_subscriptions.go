package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/webhook"
	"loanserve/queries"
)

const (
	webhookSubscriptionsPath = "/v1/webhook-subscriptions"
	webhookSubscriptionPath  = webhookSubscriptionsPath + "/{subscription_id}"
	// maxWebhookSubscriptions bounds how many deliveries one event leads to.
	maxWebhookSubscriptions = 50
)

func (s *Server) routeWebhookSubscriptions() {
	tags := []string{"webhooks"}
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "create-webhook-subscription", Method: http.MethodPost, Path: webhookSubscriptionsPath, Tags: tags,
		Summary: "Subscribe to events",
		Description: "Messages are signed by Standard Webhooks. The secret is shown only this once: a repeated request " +
			"gets the same answer without it. Who lost it has it replaced.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.createWebhookSubscription)
	register(s, ScopeWebhooksRead, huma.Operation{
		OperationID: "list-webhook-subscriptions", Method: http.MethodGet, Path: webhookSubscriptionsPath, Tags: tags,
		Summary: "List subscriptions, the latest first",
	}, s.listWebhookSubscriptions)
	register(s, ScopeWebhooksRead, huma.Operation{
		OperationID: "get-webhook-subscription", Method: http.MethodGet, Path: webhookSubscriptionPath, Tags: tags,
		Summary: "Get a subscription", Errors: []int{http.StatusNotFound},
	}, s.getWebhookSubscription)
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "change-webhook-subscription", Method: http.MethodPatch, Path: webhookSubscriptionPath, Tags: tags,
		Summary: "Change, disable or enable a subscription",
		Description: "What is left out stays. What happens while a subscription is disabled is not sent later; what waits " +
			"to be sent when it is disabled fails, and can be replayed.",
		Errors: []int{http.StatusNotFound},
	}, s.changeWebhookSubscription)
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "delete-webhook-subscription", Method: http.MethodDelete, Path: webhookSubscriptionPath, Tags: tags,
		Summary:       "Delete a subscription",
		Description:   "Its secrets go. What was sent to it stays known. To delete one again is no mistake.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.deleteWebhookSubscription)
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "rotate-webhook-secret", Method: http.MethodPost, Path: webhookSubscriptionPath + "/secret", Tags: tags,
		Summary: "Replace a subscription's secret",
		Description: "The new secret is shown only this once: a repeated request replaces nothing, and gets the " +
			"subscription without it. For a day messages are signed by the old one too, so that the receiver can " +
			"change over.",
		Errors: []int{http.StatusNotFound},
	}, s.rotateWebhookSecret)
}

// webhookSubscription is one as the API shows it.
type webhookSubscription struct {
	SubscriptionID uuid.UUID                         `json:"subscription_id" format:"uuid"`
	URL            string                            `json:"url"`
	EventTypes     []string                          `json:"event_types"`
	Description    string                            `json:"description"`
	Status         queries.WebhookSubscriptionStatus `json:"status" enum:"active,disabled"`
	Secret         string                            `json:"secret,omitzero" doc:"What messages are signed with; shown only this once."`
	RequestedBy    string                            `json:"requested_by"`
	CreatedAt      time.Time                         `json:"created_at"`
	UpdatedAt      time.Time                         `json:"updated_at"`
	DisabledAt     time.Time                         `json:"disabled_at,omitzero"`
	DisabledReason string                            `json:"disabled_reason,omitzero" enum:"requested,gone,failing" doc:"gone: the receiver has answered 410. failing: it has done nothing but fail for five days."`
}

func webhookSubscriptionOf(row queries.WebhookSubscription) webhookSubscription {
	return webhookSubscription{
		SubscriptionID: row.ID, URL: row.Url, EventTypes: row.EventTypes, Description: row.Description, Status: row.Status,
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
		DisabledAt: instantOf(row.EndedAt), DisabledReason: textOf(row.EndReason),
	}
}

type createWebhookSubscriptionInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body newWebhookSubscription
}

type newWebhookSubscription struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2000" doc:"Where messages are sent: https, without user and password."`
	EventTypes  []string `json:"event_types" minItems:"1" maxItems:"50" enum:"payment.posted,payment.rejected,payment.reversed,escrow_analysis.completed,backup.verified,backup.failed,integrity.finding"`
	Description string   `json:"description,omitzero" maxLength:"200" doc:"What it is for, for people."`
}

type createWebhookSubscriptionOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     webhookSubscription
}

func (s *Server) createWebhookSubscription(
	ctx context.Context, in *createWebhookSubscriptionInput,
) (*createWebhookSubscriptionOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	if wrong := webhook.CheckURL(in.Body.URL, s.webhookNetworks); wrong != "" {
		return nil, invalid(inBody("/url", wrong))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make subscription id: %w", err)
	}
	hash, err := fingerprint("create-webhook-subscription", webhookSubscriptionsPath, &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertWebhookSubscriptionParams{
		ID: id, Url: in.Body.URL, EventTypes: distinct(in.Body.EventTypes), Description: in.Body.Description,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	secret := webhook.NewSecret()
	row, replayed, err := once(
		func() (queries.WebhookSubscription, error) { return s.subscribe(ctx, arg, secret) },
		func() (queries.WebhookSubscription, error) {
			return s.q.GetWebhookSubscriptionByKey(ctx, arg.RequestedBy, arg.IdempotencyKey)
		},
		func(row queries.WebhookSubscription) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	out := &createWebhookSubscriptionOutput{
		Location: webhookSubscriptionsPath + "/" + row.ID.String(), Replayed: replayed, Body: webhookSubscriptionOf(row),
	}
	if replayed == "" {
		out.Body.Secret = webhook.FormatSecret(secret)
	} else if row.Status == queries.WebhookSubscriptionStatusDeleted {
		return nil, notFound("The subscription that was made under this key was deleted.")
	}
	return out, nil
}

func distinct(texts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(texts)))
}

// subscribe stores a subscription with its first secret.
func (s *Server) subscribe(
	ctx context.Context, arg queries.InsertWebhookSubscriptionParams, secret []byte,
) (row queries.WebhookSubscription, err error) {
	actor := actorOf(ctx)
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		row, err = q.InsertWebhookSubscription(ctx, arg)
		if errors.Is(err, pgx.ErrNoRows) {
			return errKeyTaken
		}
		if err != nil {
			return fmt.Errorf("insert subscription: %w", err)
		}
		if n, err := q.CountWebhookSubscriptions(ctx); err != nil {
			return fmt.Errorf("count subscriptions: %w", err)
		} else if n > maxWebhookSubscriptions {
			return conflict(fmt.Sprintf("There are %d subscriptions, which is the most.", maxWebhookSubscriptions))
		}
		if err := q.InsertWebhookSecret(ctx, row.ID, secret); err != nil {
			return fmt.Errorf("insert secret: %w", err)
		}
		return tellOfSubscription(ctx, q, actor, "webhook_subscription_created", row)
	})
	return row, err
}

// tellOfSubscription tells the audit trail what was done to a subscription, and what it
// is since.
func tellOfSubscription(
	ctx context.Context, q *queries.Queries, actor Actor, kind string, row queries.WebhookSubscription,
) error {
	return actor.tell(ctx, q, kind, target{}, map[string]any{
		"subscription_id": row.ID.String(), "url": row.Url, "event_types": row.EventTypes, "status": row.Status,
	})
}

// WebhookSubscriptionPath names a subscription.
type WebhookSubscriptionPath struct {
	SubscriptionID uuid.UUID `path:"subscription_id" format:"uuid"`
}

type webhookSubscriptionOutput struct{ Body webhookSubscription }

func (s *Server) getWebhookSubscription(
	ctx context.Context, in *WebhookSubscriptionPath,
) (*webhookSubscriptionOutput, error) {
	row, err := s.q.GetWebhookSubscription(ctx, in.SubscriptionID)
	if err != nil {
		return nil, noSubscription(err)
	}
	return &webhookSubscriptionOutput{Body: webhookSubscriptionOf(row)}, nil
}

// noSubscription is what a query that found none is answered with.
func noSubscription(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound("There is no such subscription.")
	}
	return fmt.Errorf("get subscription: %w", err)
}

type listWebhookSubscriptionsInput struct{ Page }

type listWebhookSubscriptionsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body webhookSubscriptionPage
}

type webhookSubscriptionPage struct {
	Data       []webhookSubscription `json:"data"`
	NextCursor string                `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listWebhookSubscriptions(
	ctx context.Context, in *listWebhookSubscriptionsInput,
) (*listWebhookSubscriptionsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListWebhookSubscriptions(ctx, before, in.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.WebhookSubscription) string { return r.ID.String() })
	out := &listWebhookSubscriptionsOutput{
		Body: webhookSubscriptionPage{Data: make([]webhookSubscription, len(rows)), NextCursor: next},
	}
	for i, row := range rows {
		out.Body.Data[i] = webhookSubscriptionOf(row)
	}
	if next != "" {
		out.Link = in.linkToNext(webhookSubscriptionsPath, next, nil)
	}
	return out, nil
}
