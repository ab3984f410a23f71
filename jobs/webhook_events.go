package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// The types of events that somebody can subscribe to. docs/webhooks.md says what each
// of them holds.
const (
	EventPaymentPosted   = "payment.posted"
	EventPaymentRejected = "payment.rejected"
	EventPaymentReversed = "payment.reversed"
	// EventTest is sent to one subscription when somebody asks for it.
	EventTest = "webhook.test"
)

// EventTypes lists what can be subscribed to.
func EventTypes() []string {
	return []string{EventPaymentPosted, EventPaymentRejected, EventPaymentReversed}
}

// webhookEvent is something that happened and that somebody may want to be told of.
type webhookEvent struct {
	kind string
	// source names what happened, once of its kind: told twice, it makes one message.
	source string
	data   any // ids, days and amounts, and nothing about a person
}

// paymentEvent is what is told of a payment.
type paymentEvent struct {
	PaymentID   uuid.UUID      `json:"payment_id"`
	LoanID      int64          `json:"loan_id"`
	AmountCents mortgage.Cents `json:"amount_cents"`
	ReceivedOn  mortgage.Date  `json:"received_on"`
	Reason      string         `json:"reason,omitempty"`      // of a rejection or a reversal
	ReversalID  *uuid.UUID     `json:"reversal_id,omitempty"` // of a reversal
}

func paymentEventOf(loan int64, w wish) paymentEvent {
	return paymentEvent{
		PaymentID: w.id, LoanID: loan, AmountCents: w.receipt.Amount, ReceivedOn: w.receipt.ReceivedOn,
		Reason: "", ReversalID: nil,
	}
}

// postedEvent tells that a payment counts in its loan's books. The place in the ledger
// tells the first time from another, after a reversal was undone.
func postedEvent(loan int64, w wish, seq int32) webhookEvent {
	return webhookEvent{
		kind: EventPaymentPosted, source: fmt.Sprintf("%s/%d", w.id, seq), data: paymentEventOf(loan, w),
	}
}

func rejectedEvent(loan int64, w wish, reason string) webhookEvent {
	data := paymentEventOf(loan, w)
	data.Reason = reason
	return webhookEvent{kind: EventPaymentRejected, source: w.id.String(), data: data}
}

func reversedEvent(row *queries.LockReversalToPostRow) webhookEvent {
	return webhookEvent{
		kind: EventPaymentReversed, source: row.ReversalID.String(), data: paymentEvent{
			PaymentID: row.PaymentID, LoanID: row.Loan.ID, AmountCents: row.AmountCents, ReceivedOn: row.ReceivedOn,
			Reason: row.Reason, ReversalID: &row.ReversalID,
		},
	}
}

// announce tells whoever is subscribed of what the transaction does, when it commits.
// Where nobody is it writes nothing.
func announce(ctx context.Context, q *queries.Queries, events ...webhookEvent) error {
	for set := range slices.Chunk(events, announceRows) {
		p := queries.InsertWebhookMessagesParams{
			JobKind: DeliverWebhookArgs{}.Kind(), JobQueue: QueueWebhooks, JobAttempts: deliverAttempts,
		}
		for _, e := range set {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make message id: %w", err)
			}
			data, err := json.Marshal(e.data)
			if err != nil {
				return fmt.Errorf("write %s: %w", e.kind, err)
			}
			p.ID, p.Type = append(p.ID, id), append(p.Type, e.kind)
			p.Source, p.Data = append(p.Source, e.source), append(p.Data, string(data))
		}
		if _, err := q.InsertWebhookMessages(ctx, p); err != nil {
			return fmt.Errorf("store webhook messages: %w", err)
		}
	}
	return nil
}

// announceRows bounds the events of one statement.
const announceRows = 1000
