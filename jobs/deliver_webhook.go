package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/internal/webhook"
	"loanserve/queries"
)

const (
	// QueueWebhooks is the queue of what is told by HTTP.
	QueueWebhooks = "webhooks"
	// webhookWorkers is how many deliveries a process makes at a time. They wait for
	// others' servers, and hold no connection to the database meanwhile.
	webhookWorkers = 16
	// deliverTimeout leaves time to read and to record.
	deliverTimeout = webhook.Timeout + 15*time.Second
	// deliverAttempts is how often one attempt's job is tried: it fails only by a fault
	// of ours or of the database. That a receiver fails is a finished job.
	deliverAttempts = 50
	// recordTimeout bounds the recording of what became of an attempt. A worker that
	// stops waits a little longer than that.
	recordTimeout = 4 * time.Second
	// failingAfter is how long a receiver may do nothing but fail before its
	// subscription is disabled.
	failingAfter = 5 * 24 * time.Hour
)

// webhookPauses are the pauses before the attempts after the first, as the
// specification proposes them: with that, ten attempts in a little more than three days.
func webhookPauses() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// The outcomes of an attempt at a delivery.
const (
	webhookDelivered = "delivered"
	webhookRetried   = "retried" // failed, and will be tried again
	webhookFailed    = "failed"  // failed for the last time
)

// DeliverWebhookArgs name an attempt at a delivery.
type DeliverWebhookArgs struct {
	DeliveryID int64 `json:"delivery_id"`
	Round      int32 `json:"round"`
	Attempt    int32 `json:"attempt"`
}

// Kind is stored with every job, so it never changes.
func (DeliverWebhookArgs) Kind() string { return "deliver_webhook" }

// InsertOpts implements river.JobArgsWithInsertOpts. The first job of a delivery is
// inserted by the statement that makes the delivery, and has the same options.
func (DeliverWebhookArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueWebhooks, MaxAttempts: deliverAttempts}
}

// DeliverWebhook makes one attempt at a delivery, and records what became of it together
// with the job of the next attempt. When it dies between sending and recording it sends
// again, with the same id: receivers may get a message twice, and lose none.
type DeliverWebhook struct {
	river.WorkerDefaults[DeliverWebhookArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx] // takes the next attempt
	Client  *webhook.Client
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*DeliverWebhook) Timeout(*river.Job[DeliverWebhookArgs]) time.Duration { return deliverTimeout }

// Work makes the attempt, unless it was made before.
func (w *DeliverWebhook) Work(ctx context.Context, job *river.Job[DeliverWebhookArgs]) error {
	row, err := w.get(ctx, job.Args)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier job made it, or the delivery was replayed or purged.
	}
	if err != nil {
		return fmt.Errorf("get delivery %d: %w", job.Args.DeliveryID, err)
	}
	now := time.Now().UTC() //nolint:forbidigo // The moment of the attempt, which is signed.
	var result webhook.Result
	switch {
	case row.SubscriptionStatus != queries.WebhookSubscriptionStatusActive:
		result.Failure = "the subscription is not active"
	case len(row.Secrets) == 0:
		return broken(fmt.Errorf("subscription %s has no secret", row.SubscriptionID))
	default:
		body, err := webhookBody(&row)
		if err != nil {
			return err
		}
		result = w.Client.Send(ctx, row.Url, webhook.Message{
			ID: row.MessageID.String(), Body: body, Secrets: row.Secrets,
		}, now)
	}
	if err := ctx.Err(); err != nil && !result.Delivered {
		return fmt.Errorf("send delivery %d: %w", job.Args.DeliveryID, err) // The worker stops: not the receiver's fault.
	}
	// What was delivered is recorded even when the worker stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	var outcome string
	err = pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) (err error) {
		outcome, err = w.record(ctx, tx, job.Args, &row, result, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("record delivery %d: %w", job.Args.DeliveryID, err)
	}
	if outcome != "" {
		w.Metrics.webhooks.WithLabelValues(outcome).Inc()
	}
	return nil
}

func (w *DeliverWebhook) get(ctx context.Context, a DeliverWebhookArgs) (row queries.GetWebhookToSendRow, err error) {
	err = pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		row, err = queries.New(tx).GetWebhookToSend(ctx, queries.GetWebhookToSendParams{
			ID: a.DeliveryID, Round: a.Round, Attempt: a.Attempt,
		})
		return err
	})
	return row, err
}

// webhookBody is the same bytes in every attempt.
func webhookBody(row *queries.GetWebhookToSendRow) ([]byte, error) {
	body, err := json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{row.Type, row.OccurredAt.UTC(), row.Data})
	if err != nil {
		return nil, fmt.Errorf("write message: %w", err)
	}
	return body, nil
}

// record notes what became of the attempt, and what follows from it. It returns the
// outcome, or "" where it was recorded before.
func (w *DeliverWebhook) record(
	ctx context.Context, tx pgx.Tx, a DeliverWebhookArgs, row *queries.GetWebhookToSendRow, r webhook.Result, at time.Time,
) (string, error) {
	q := queries.New(tx)
	next := nextWebhookAttempt(a, r, at)
	if row.SubscriptionStatus != queries.WebhookSubscriptionStatusActive {
		next = nil
	}
	_, err := q.MarkWebhookAttempted(ctx, queries.MarkWebhookAttemptedParams{
		ID: a.DeliveryID, Round: a.Round, Attempt: a.Attempt, AttemptedAt: &at, Delivered: r.Delivered,
		NextAttemptAt: next, StatusCode: int32(r.StatusCode), Error: r.Failure,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil // Somebody was faster.
	}
	if err != nil {
		return "", fmt.Errorf("mark attempted: %w", err)
	}
	switch {
	case r.Delivered:
		return webhookDelivered, nil
	case next != nil:
		again := DeliverWebhookArgs{DeliveryID: a.DeliveryID, Round: a.Round, Attempt: a.Attempt + 1}
		if _, err := w.Jobs.InsertTx(ctx, tx, again, &river.InsertOpts{ScheduledAt: *next}); err != nil {
			return "", fmt.Errorf("enqueue next attempt: %w", err)
		}
		return webhookRetried, nil
	default:
		return webhookFailed, endFailing(ctx, q, row, r, at)
	}
}

// nextWebhookAttempt returns when a delivery is tried again, or nil. A little of the
// pause depends on the delivery, so that those that failed together do not come back
// together; a receiver that asks to be left alone for longer is.
func nextWebhookAttempt(a DeliverWebhookArgs, r webhook.Result, at time.Time) *time.Time {
	pauses := webhookPauses()
	if r.Delivered || r.Gone || int(a.Attempt) > len(pauses) {
		return nil
	}
	pause := pauses[a.Attempt-1]
	pause += pause / 100 * time.Duration(a.DeliveryID%10)
	next := at.Add(max(pause, r.RetryAfter))
	return &next
}

// endFailing disables the subscription of a receiver that is gone, or that has done
// nothing but fail for days, and tells the audit trail.
func endFailing(
	ctx context.Context, q *queries.Queries, row *queries.GetWebhookToSendRow, r webhook.Result, at time.Time,
) error {
	reason := "gone"
	if !r.Gone {
		n, err := q.CountFailingWebhooks(ctx, row.SubscriptionID, at.Add(-failingAfter))
		if err != nil {
			return fmt.Errorf("look for what arrived: %w", err)
		}
		if n == 0 {
			return nil
		}
		reason = "failing"
	}
	_, err := q.MarkWebhookSubscriptionDisabled(ctx, reason, row.SubscriptionID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // It is not active any more.
	}
	if err != nil {
		return fmt.Errorf("disable subscription: %w", err)
	}
	details, err := json.Marshal(map[string]string{"subscription_id": row.SubscriptionID.String(), "reason": reason})
	if err != nil {
		return fmt.Errorf("write details of event: %w", err)
	}
	err = q.InsertAuthEvent(ctx, queries.InsertAuthEventParams{
		Kind: "webhook_subscription_disabled", Actor: scheduledBy, ActorName: "the deliveries of webhooks",
		ActorUserID: nil, Target: nil, TargetName: nil, TargetUserID: nil, Ip: nil, RequestID: nil, Details: details,
	})
	if err != nil {
		return fmt.Errorf("tell the audit trail: %w", err)
	}
	return nil
}

// SendTestWebhook stores a message for one subscription, whatever it is subscribed to,
// and its delivery. The source says which wish it is: the same one makes one message.
func SendTestWebhook(
	ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], subscription uuid.UUID, source string,
) (queries.WebhookMessage, error) {
	q := queries.New(tx)
	id, err := uuid.NewV7()
	if err != nil {
		return queries.WebhookMessage{}, fmt.Errorf("make message id: %w", err)
	}
	data, err := json.Marshal(map[string]uuid.UUID{"subscription_id": subscription})
	if err != nil {
		return queries.WebhookMessage{}, fmt.Errorf("write test message: %w", err)
	}
	delivery, err := q.InsertWebhookMessage(ctx, queries.InsertWebhookMessageParams{
		ID: id, Type: EventTest, Source: source, Data: data, SubscriptionID: subscription,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return q.GetWebhookMessageBySource(ctx, EventTest, source)
	}
	if err != nil {
		return queries.WebhookMessage{}, fmt.Errorf("insert message: %w", err)
	}
	args := DeliverWebhookArgs{DeliveryID: delivery.ID, Round: delivery.Round, Attempt: 1}
	if _, err := client.InsertTx(ctx, tx, args, nil); err != nil {
		return queries.WebhookMessage{}, fmt.Errorf("enqueue delivery: %w", err)
	}
	return q.GetWebhookMessage(ctx, id)
}
