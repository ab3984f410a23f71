package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
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
			"webhook-id.",
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

type webhookMessageOutput struct{ Body webhookMessage }

func (s *Server) testWebhookSubscription(
	ctx context.Context, in *testWebhookSubscriptionInput,
) (*webhookMessageOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	source := in.SubscriptionID.String() + " " + PrincipalOf(ctx).ID + " " + key
	out := &webhookMessageOutput{}
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if err := lockActiveSubscription(ctx, queries.New(tx), in.WebhookSubscriptionPath); err != nil {
			return err
		}
		row, err := jobs.SendTestWebhook(ctx, tx, s.jobs, in.SubscriptionID, source)
		if err != nil {
			return err
		}
		out.Body, err = webhookMessageOf(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type replayWebhookSubscriptionInput struct {
	WebhookSubscriptionPath
	Body webhookReplay
}

type webhookReplay struct {
	Since time.Time `json:"since" doc:"Of messages of this moment or later."`
	All   bool      `json:"all,omitzero" doc:"Those that were delivered as well."`
}

type replayWebhookSubscriptionOutput struct{ Body webhookReplayed }

type webhookReplayed struct {
	Replayed int       `json:"replayed" doc:"How many messages are sent again."`
	LastAt   time.Time `json:"last_at,omitzero" doc:"The moment of the last one of them."`
}

// maxReplayed bounds how many deliveries one request has sent again.
const maxReplayed = 1000

func (s *Server) replayWebhookSubscription(
	ctx context.Context, in *replayWebhookSubscriptionInput,
) (*replayWebhookSubscriptionOutput, error) {
	out := &replayWebhookSubscriptionOutput{}
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
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
		if len(rows) == 0 {
			return nil
		}
		params := make([]river.InsertManyParams, len(rows))
		for i, row := range rows {
			params[i].Args = jobs.DeliverWebhookArgs{DeliveryID: row.ID, Round: row.Round, Attempt: 1}
			if at := row.CreatedAt.UTC(); at.After(out.Body.LastAt) {
				out.Body.LastAt = at
			}
		}
		if _, err := s.jobs.InsertManyTx(ctx, tx, params); err != nil {
			return fmt.Errorf("enqueue deliveries: %w", err)
		}
		out.Body.Replayed = len(rows)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Server) replayWebhookDelivery(ctx context.Context, in *WebhookDeliveryPath) (*webhookDeliveryOutput, error) {
	out := &webhookDeliveryOutput{}
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		row, err := q.GetWebhookDelivery(ctx, in.DeliveryID)
		if err != nil {
			return noDelivery(err)
		}
		if err := lockActiveSubscription(ctx, q, WebhookSubscriptionPath{row.SubscriptionID}); err != nil {
			return err
		}
		if row, err = q.MarkWebhookReplayed(ctx, row.ID); err != nil {
			return noDelivery(err)
		}
		args := jobs.DeliverWebhookArgs{DeliveryID: row.ID, Round: row.Round, Attempt: 1}
		if _, err := s.jobs.InsertTx(ctx, tx, args, nil); err != nil {
			return fmt.Errorf("enqueue delivery: %w", err)
		}
		out.Body = webhookDeliveryOf(row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
