package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

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

	EventEscrowAnalysisCompleted = "escrow_analysis.completed"
	EventBackupVerified          = "backup.verified"
	EventBackupFailed            = "backup.failed"
	EventIntegrityFinding        = "integrity.finding"
	// EventTest is sent to one subscription when somebody asks for it.
	EventTest = "webhook.test"
)

// EventTypes lists what can be subscribed to.
func EventTypes() []string {
	return []string{
		EventPaymentPosted, EventPaymentRejected, EventPaymentReversed, EventEscrowAnalysisCompleted,
		EventBackupVerified, EventBackupFailed, EventIntegrityFinding,
	}
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

// analysisEvent tells that an escrow analysis was made and counts.
func analysisEvent(a *analysis) webhookEvent {
	return webhookEvent{
		kind: EventEscrowAnalysisCompleted, source: a.id.String(), data: struct {
			AnalysisID      uuid.UUID      `json:"analysis_id"`
			LoanID          int64          `json:"loan_id"`
			Kind            string         `json:"kind"`
			StartOn         mortgage.Date  `json:"start_on,omitzero"` // of a payoff there is none
			SurplusCents    mortgage.Cents `json:"surplus_cents"`
			ShortageCents   mortgage.Cents `json:"shortage_cents"`
			DeficiencyCents mortgage.Cents `json:"deficiency_cents"`
		}{a.id, a.loan.id, string(a.kind), a.startOn, a.result.Surplus, a.result.Shortage, a.result.Deficiency},
	}
}

// backupEvent tells what became of a backup, once in each state and verification.
func backupEvent(kind string, row *queries.Backup) webhookEvent {
	source := row.ID.String()
	if row.VerifiedAt != nil {
		source += "/" + row.VerifiedAt.UTC().Format(time.RFC3339Nano)
	}
	return webhookEvent{
		kind: kind, source: source, data: struct {
			BackupID    uuid.UUID            `json:"backup_id"`
			Kind        queries.BackupKind   `json:"kind"`
			Status      queries.BackupStatus `json:"status"`
			FailedStage *string              `json:"failed_stage,omitempty"`
		}{row.ID, row.Kind, row.Status, row.FailedStage},
	}
}

// verifiedEvent tells what a verification has found.
func verifiedEvent(row *queries.Backup) webhookEvent {
	if row.Status == queries.BackupStatusVerified {
		return backupEvent(EventBackupVerified, row)
	}
	return backupEvent(EventBackupFailed, row)
}

// findingEvent tells of something that is not in order in the stored data, when it is
// found for the first time.
func findingEvent(row *queries.InsertIntegrityFindingsRow) webhookEvent {
	return webhookEvent{
		kind: EventIntegrityFinding, source: strconv.FormatInt(row.ID, 10), data: struct {
			FindingID int64                     `json:"finding_id"`
			Kind      queries.IntegrityKind     `json:"kind"`
			Severity  queries.IntegritySeverity `json:"severity"`
			LoanID    *int64                    `json:"loan_id,omitempty"`
		}{row.ID, row.Kind, row.Severity, row.LoanID},
	}
}

// announce tells whoever is subscribed of what the transaction does, when it commits.
// Where nobody is it writes nothing.
func announce(ctx context.Context, q *queries.Queries, events ...webhookEvent) error {
	for set := range slices.Chunk(events, announceRows) {
		p := queries.InsertWebhookMessagesParams{
			ID: nil, Type: nil, Source: nil, Data: nil,
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
