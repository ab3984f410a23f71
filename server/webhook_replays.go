package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/jobs"
	"loanserve/queries"
)

func (s *Server) routeWebhookReplays() {
	tags := []string{"webhooks"}
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "test-webhook-subscription", Method: http.MethodPost, Path: webhookSubscriptionPath + "/test",
		Tags: tags, Summary: "Send a test message",
		Description:   "A message of the type webhook.test, which needs no subscription to it.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.testWebhookSubscription)
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "replay-webhook-subscription", Method: http.MethodPost, Path: webhookSubscriptionPath + "/replay",
		Tags: tags, Summary: "Send what failed again",
		Description: "Of messages since the moment, those that were given up, or with all those that were delivered as " +
			"well. At most 1000 for each request, the oldest first: repeat it until nothing is left. With all, give " +
			"the moment behind that of the last one instead: what was sent again has not moved.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.replayWebhookSubscription)
	register(s, ScopeWebhooksWrite, huma.Operation{
		OperationID: "replay-webhook-delivery", Method: http.MethodPost, Path: webhookDeliveryPath + "/replay", Tags: tags,
		Summary: "Send a message again",
		Description: "Now, whatever became of it, and with the attempts of a new one. The receiver knows it by its " +
			"webhook-id. A repeated request sends nothing, and gets the delivery as it is then.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.replayWebhookDelivery)
}

var errSubscriptionInactive = conflict("The subscription is not active.")

// lockActiveSubscription locks a subscription that can be sent to.
func lockActiveSubscription(ctx context.Context, q *queries.Queries, at WebhookSubscriptionPath) error {
	row, err := q.LockWebhookSubscription(ctx, at.SubscriptionID)
	if err != nil {
		return noSubscription(err)
	}
	if row.Status != queries.WebhookSubscriptionStatusActive {
		return errSubscriptionInactive
	}
	return nil
}

type testWebhookSubscriptionInput struct {
	WebhookSubscriptionPath

	Key string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
}

type testWebhookSubscriptionOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     webhookMessage
}

func (s *Server) testWebhookSubscription(
	ctx context.Context, in *testWebhookSubscriptionInput,
) (*testWebhookSubscriptionOutput, error) {
	var source string
	var message queries.WebhookMessage
	row, replayed, err := s.onceForWebhooks(ctx, webhookRequest{
		operation: "test-webhook-subscription", key: in.Key, body: nil,
		path: webhookSubscriptionsPath + "/" + in.SubscriptionID.String() + "/test",
	}, func(tx pgx.Tx, record *queries.InsertWebhookRequestParams) (err error) {
		record.SubscriptionID = in.SubscriptionID
		if err := lockActiveSubscription(ctx, queries.New(tx), in.WebhookSubscriptionPath); err != nil {
			return err
		}
		source = testSource(in.SubscriptionID, record.RequestedBy, record.IdempotencyKey)
		message, err = jobs.SendTestWebhook(ctx, tx, s.jobs, in.SubscriptionID, source)
		return err
	})
	if err != nil {
		return nil, err
	}
	if replayed != "" {
		source = testSource(in.SubscriptionID, row.RequestedBy, row.IdempotencyKey)
		message, err = s.q.GetWebhookMessageBySource(ctx, jobs.EventTest, source)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, notFound("The message that was sent under this key was deleted, because it is old.")
		}
		if err != nil {
			return nil, fmt.Errorf("get message: %w", err)
		}
	}
	shown, err := webhookMessageOf(message)
	if err != nil {
		return nil, err
	}
	return &testWebhookSubscriptionOutput{Replayed: replayed, Body: shown}, nil
}

// testSource says which wish for a test message it is.
func testSource(subscription uuid.UUID, by, key string) string {
	return subscription.String() + " " + by + " " + key
}

type replayWebhookSubscriptionInput struct {
	WebhookSubscriptionPath

	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body webhookReplay
}

type webhookReplay struct {
	Since time.Time `json:"since" doc:"Of messages of this moment or later."`
	All   bool      `json:"all,omitzero" doc:"Those that were delivered as well."`
}

type replayWebhookSubscriptionOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     webhookReplayed
}

type webhookReplayed struct {
	Replayed int32     `json:"replayed" doc:"How many messages are sent again."`
	LastAt   time.Time `json:"last_at,omitzero" doc:"The moment of the last one of them."`
}

// maxReplayed bounds how many deliveries one request has sent again.
const maxReplayed = 1000

func (s *Server) replayWebhookSubscription(
	ctx context.Context, in *replayWebhookSubscriptionInput,
) (*replayWebhookSubscriptionOutput, error) {
	row, replayed, err := s.onceForWebhooks(ctx, webhookRequest{
		operation: "replay-webhook-subscription", key: in.Key, body: &in.Body,
		path: webhookSubscriptionsPath + "/" + in.SubscriptionID.String() + "/replay",
	}, func(tx pgx.Tx, record *queries.InsertWebhookRequestParams) error {
		return s.replaySince(ctx, tx, in, record)
	})
	if err != nil {
		return nil, err
	}
	return &replayWebhookSubscriptionOutput{
		Replayed: replayed, Body: webhookReplayed{Replayed: orZero(row.Replayed), LastAt: instantOf(row.LastAt)},
	}, nil
}

// replaySince has deliveries sent again, and notes how many and up to when.
func (s *Server) replaySince(
	ctx context.Context, tx pgx.Tx, in *replayWebhookSubscriptionInput, record *queries.InsertWebhookRequestParams,
) error {
	q := queries.New(tx)
	if err := lockActiveSubscription(ctx, q, in.WebhookSubscriptionPath); err != nil {
		return err
	}
	rows, err := q.MarkWebhooksReplayed(ctx, queries.MarkWebhooksReplayedParams{
		SubscriptionID: in.SubscriptionID, Since: in.Body.Since, AllOfThem: in.Body.All, RowLimit: maxReplayed,
	})
	if err != nil {
		return fmt.Errorf("replay deliveries: %w", err)
	}
	n := int32(len(rows))
	record.SubscriptionID, record.Replayed = in.SubscriptionID, &n
	params := make([]river.InsertManyParams, len(rows))
	for i, row := range rows {
		params[i].Args = jobs.DeliverWebhookArgs{DeliveryID: row.ID, Round: row.Round, Attempt: 1}
		if record.LastAt == nil || row.CreatedAt.After(*record.LastAt) {
			record.LastAt = &row.CreatedAt
		}
	}
	if n == 0 {
		return nil
	}
	if _, err := s.jobs.InsertManyTx(ctx, tx, params); err != nil {
		return fmt.Errorf("enqueue deliveries: %w", err)
	}
	return nil
}

type replayWebhookDeliveryInput struct {
	WebhookDeliveryPath

	Key string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
}

type replayWebhookDeliveryOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when it was sent again before, by this request."`
	Body     webhookDelivery
}

func (s *Server) replayWebhookDelivery(
	ctx context.Context, in *replayWebhookDeliveryInput,
) (*replayWebhookDeliveryOutput, error) {
	var row queries.WebhookDelivery
	_, replayed, err := s.onceForWebhooks(ctx, webhookRequest{
		operation: "replay-webhook-delivery", key: in.Key, body: nil,
		path: webhookDeliveriesPath + "/" + strconv.FormatInt(in.DeliveryID, 10) + "/replay",
	}, func(tx pgx.Tx, record *queries.InsertWebhookRequestParams) (err error) {
		row, err = s.replayOne(ctx, tx, in.DeliveryID)
		one := int32(1)
		record.SubscriptionID, record.Replayed, record.LastAt = row.SubscriptionID, &one, &row.CreatedAt
		return err
	})
	if err != nil {
		return nil, err
	}
	if replayed != "" {
		if row, err = s.q.GetWebhookDelivery(ctx, in.DeliveryID); err != nil {
			return nil, noDelivery(err)
		}
	}
	return &replayWebhookDeliveryOutput{Replayed: replayed, Body: webhookDeliveryOf(row)}, nil
}

// replayOne has a delivery sent again.
func (s *Server) replayOne(ctx context.Context, tx pgx.Tx, id int64) (queries.WebhookDelivery, error) {
	q := queries.New(tx)
	row, err := q.GetWebhookDelivery(ctx, id)
	if err != nil {
		return row, noDelivery(err)
	}
	if err := lockActiveSubscription(ctx, q, WebhookSubscriptionPath{row.SubscriptionID}); err != nil {
		return row, err
	}
	if row, err = q.MarkWebhookReplayed(ctx, row.ID); err != nil {
		return row, noDelivery(err)
	}
	args := jobs.DeliverWebhookArgs{DeliveryID: row.ID, Round: row.Round, Attempt: 1}
	if _, err := s.jobs.InsertTx(ctx, tx, args, nil); err != nil {
		return row, fmt.Errorf("enqueue delivery: %w", err)
	}
	return row, nil
}
