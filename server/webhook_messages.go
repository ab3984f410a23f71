package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

const (
	webhookMessagesPath   = "/v1/webhook-messages"
	webhookDeliveriesPath = "/v1/webhook-deliveries"
	webhookDeliveryPath   = webhookDeliveriesPath + "/{delivery_id}"
)

func (s *Server) routeWebhookMessages() {
	tags := []string{"webhooks"}
	register(s, ScopeWebhooksRead, huma.Operation{
		OperationID: "list-webhook-messages", Method: http.MethodGet, Path: webhookMessagesPath, Tags: tags,
		Summary:     "List messages, the latest first",
		Description: "There is a message for each event that somebody was subscribed to.",
	}, s.listWebhookMessages)
	register(s, ScopeWebhooksRead, huma.Operation{
		OperationID: "list-webhook-deliveries", Method: http.MethodGet, Path: webhookDeliveriesPath, Tags: tags,
		Summary: "List deliveries, the latest first",
	}, s.listWebhookDeliveries)
	register(s, ScopeWebhooksRead, huma.Operation{
		OperationID: "get-webhook-delivery", Method: http.MethodGet, Path: webhookDeliveryPath, Tags: tags,
		Summary: "Get a delivery", Errors: []int{http.StatusNotFound},
	}, s.getWebhookDelivery)
	s.routeWebhookReplays()
}

// webhookMessage is what was sent, as the API shows it.
type webhookMessage struct {
	MessageID  uuid.UUID      `json:"message_id" format:"uuid" doc:"What receivers get as webhook-id."`
	Type       string         `json:"type"`
	OccurredAt time.Time      `json:"occurred_at"`
	Data       map[string]any `json:"data" doc:"docs/webhooks.md says what each type holds."`
}

func webhookMessageOf(row queries.WebhookMessage) (webhookMessage, error) {
	m := webhookMessage{MessageID: row.ID, Type: row.Type, OccurredAt: row.OccurredAt.UTC()}
	if err := json.Unmarshal(row.Data, &m.Data); err != nil {
		return m, fmt.Errorf("read data of message %s: %w", row.ID, err)
	}
	return m, nil
}

type listWebhookMessagesInput struct {
	Page

	Type string `query:"type" enum:"payment.posted,payment.rejected,payment.reversed,escrow_analysis.completed,backup.verified,backup.failed,integrity.finding,webhook.test"`
}

type listWebhookMessagesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body webhookMessagePage
}

type webhookMessagePage struct {
	Data       []webhookMessage `json:"data"`
	NextCursor string           `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listWebhookMessages(
	ctx context.Context, in *listWebhookMessagesInput,
) (*listWebhookMessagesOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListWebhookMessages(ctx, queries.ListWebhookMessagesParams{
		BeforeID: before, Type: in.Type, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.WebhookMessage) string { return r.ID.String() })
	out := &listWebhookMessagesOutput{Body: webhookMessagePage{Data: make([]webhookMessage, len(rows)), NextCursor: next}}
	for i, row := range rows {
		if out.Body.Data[i], err = webhookMessageOf(row); err != nil {
			return nil, err
		}
	}
	if next != "" {
		more := url.Values{}
		if in.Type != "" {
			more.Set("type", in.Type)
		}
		out.Link = in.linkToNext(webhookMessagesPath, next, more)
	}
	return out, nil
}

// webhookDelivery is what became of sending a message to a receiver.
type webhookDelivery struct {
	DeliveryID     int64                         `json:"delivery_id"`
	MessageID      uuid.UUID                     `json:"message_id" format:"uuid"`
	SubscriptionID uuid.UUID                     `json:"subscription_id" format:"uuid"`
	Status         queries.WebhookDeliveryStatus `json:"status" enum:"waiting,delivered,failed" doc:"waiting: for its first or next attempt. failed: given up, until somebody has it sent again."`
	Attempts       int32                         `json:"attempts" doc:"Since it was made, or last replayed."`
	Replays        int32                         `json:"replays"`
	CreatedAt      time.Time                     `json:"created_at"`
	NextAttemptAt  time.Time                     `json:"next_attempt_at,omitzero"`
	AttemptedAt    time.Time                     `json:"attempted_at,omitzero" doc:"Of the latest attempt."`
	DeliveredAt    time.Time                     `json:"delivered_at,omitzero"`
	LastStatusCode int32                         `json:"last_status_code,omitzero" doc:"The receiver's latest answer; left out where there was none."`
	LastError      string                        `json:"last_error,omitzero" doc:"Why the latest attempt failed."`
}

func webhookDeliveryOf(row queries.WebhookDelivery) webhookDelivery {
	return webhookDelivery{
		DeliveryID: row.ID, MessageID: row.MessageID, SubscriptionID: row.SubscriptionID, Status: row.Status,
		Attempts: row.Attempts, Replays: row.Round - 1, CreatedAt: row.CreatedAt.UTC(),
		NextAttemptAt: instantOf(row.NextAttemptAt), AttemptedAt: instantOf(row.AttemptedAt),
		DeliveredAt: instantOf(row.DeliveredAt), LastStatusCode: orZero(row.LastStatusCode), LastError: textOf(row.LastError),
	}
}

type listWebhookDeliveriesInput struct {
	Page

	SubscriptionID uuid.UUID `query:"subscription_id" format:"uuid" doc:"Those to this one alone."`
	MessageID      uuid.UUID `query:"message_id" format:"uuid" doc:"Those of this message alone."`
	Status         string    `query:"status" enum:"waiting,delivered,failed"`
}

type listWebhookDeliveriesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body webhookDeliveryPage
}

type webhookDeliveryPage struct {
	Data       []webhookDelivery `json:"data"`
	NextCursor string            `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listWebhookDeliveries(
	ctx context.Context, in *listWebhookDeliveriesInput,
) (*listWebhookDeliveriesOutput, error) {
	before, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	arg := queries.ListWebhookDeliveriesParams{
		BeforeID: before, SubscriptionID: nil, MessageID: nil, Status: nil, RowLimit: in.Limit + 1,
	}
	more := url.Values{}
	if in.SubscriptionID != uuid.Nil {
		arg.SubscriptionID = &in.SubscriptionID
		more.Set("subscription_id", in.SubscriptionID.String())
	}
	if in.MessageID != uuid.Nil {
		arg.MessageID = &in.MessageID
		more.Set("message_id", in.MessageID.String())
	}
	if in.Status != "" {
		status := queries.WebhookDeliveryStatus(in.Status)
		arg.Status = &status
		more.Set("status", in.Status)
	}
	rows, err := s.q.ListWebhookDeliveries(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.WebhookDelivery) string { return strconv.FormatInt(r.ID, 10) })
	out := &listWebhookDeliveriesOutput{
		Body: webhookDeliveryPage{Data: make([]webhookDelivery, len(rows)), NextCursor: next},
	}
	for i, row := range rows {
		out.Body.Data[i] = webhookDeliveryOf(row)
	}
	if next != "" {
		out.Link = in.linkToNext(webhookDeliveriesPath, next, more)
	}
	return out, nil
}

// WebhookDeliveryPath names a delivery.
type WebhookDeliveryPath struct {
	DeliveryID int64 `path:"delivery_id" minimum:"1" maximum:"9007199254740991"`
}

type webhookDeliveryOutput struct{ Body webhookDelivery }

func (s *Server) getWebhookDelivery(ctx context.Context, in *WebhookDeliveryPath) (*webhookDeliveryOutput, error) {
	row, err := s.q.GetWebhookDelivery(ctx, in.DeliveryID)
	if err != nil {
		return nil, noDelivery(err)
	}
	return &webhookDeliveryOutput{Body: webhookDeliveryOf(row)}, nil
}

func noDelivery(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound("There is no such delivery.")
	}
	return fmt.Errorf("get delivery: %w", err)
}
