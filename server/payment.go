package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// payment is money received for a loan, as the API shows it.
type payment struct {
	PaymentID   uuid.UUID              `json:"payment_id" format:"uuid"`
	LoanID      int64                  `json:"loan_id"`
	Status      queries.PaymentStatus  `json:"status" enum:"received,posted,rejected,reversed" doc:"received: stored, and waiting to be posted. posted: in the loan's books. rejected: refused by a rule; the loan is unchanged. reversed: posted and then undone."`
	Reason      string                 `json:"reason,omitzero" doc:"The rule that refused it; only with status rejected."`
	AmountCents mortgage.Cents         `json:"amount_cents"`
	ReceivedOn  date                   `json:"received_on" doc:"The day the borrower is credited as of."`
	ReceivedAt  time.Time              `json:"received_at,omitzero" doc:"The instant from which received_on was told, where the client gave that."`
	Channel     queries.PaymentChannel `json:"channel"`
	Designation mortgage.Designation   `json:"designation"`
	ExternalRef string                 `json:"external_ref,omitzero"`
	RequestedBy string                 `json:"requested_by"`
	CreatedAt   time.Time              `json:"created_at"`
	PostedAt    time.Time              `json:"posted_at,omitzero"`
	Split       *split                 `json:"split,omitzero" nullable:"false" doc:"Where the money went; only with status posted."`

	ReversedAt     time.Time  `json:"reversed_at,omitzero" doc:"Only with status reversed."`
	ReversalID     *uuid.UUID `json:"reversal_id,omitzero" nullable:"false" format:"uuid" doc:"The reversal that is in force; only with status reversed."`
	ReversalReason string     `json:"reversal_reason,omitzero" doc:"Its reason: a NACHA return code, misapplied, duplicate or stop."`
}

// split is where a posted payment went. The amounts sum to the payment's; only
// suspense may be negative, where money held before was used as well.
type split struct {
	InterestCents   mortgage.Cents `json:"interest_cents"`
	PrincipalCents  mortgage.Cents `json:"principal_cents"`
	EscrowCents     mortgage.Cents `json:"escrow_cents"`
	LateChargeCents mortgage.Cents `json:"late_charge_cents"`
	FeeCents        mortgage.Cents `json:"fee_cents"`
	SuspenseCents   mortgage.Cents `json:"suspense_cents"`

	InstallmentsSatisfied []date `json:"installments_satisfied,omitzero" doc:"Their due dates; not in lists of payments."`
	Parts                 []part `json:"parts,omitzero" doc:"The same amounts by transaction, each with its rule; not in lists of payments."`
}

// part is what one transaction did with the money of a payment.
type part struct {
	Seq             int32          `json:"seq" doc:"Of the transaction in the loan's books."`
	Kind            mortgage.Kind  `json:"kind"`
	Rule            string         `json:"rule" doc:"What put the money there."`
	DueOn           date           `json:"due_on,omitzero" doc:"The installment that was satisfied."`
	InterestCents   mortgage.Cents `json:"interest_cents"`
	PrincipalCents  mortgage.Cents `json:"principal_cents"`
	EscrowCents     mortgage.Cents `json:"escrow_cents"`
	LateChargeCents mortgage.Cents `json:"late_charge_cents"`
	FeeCents        mortgage.Cents `json:"fee_cents"`
	SuspenseCents   mortgage.Cents `json:"suspense_cents"`
}

// acceptedPayment shows a payment as it was when it was accepted, whatever has
// become of it since: a repeated request gets the same bytes.
func acceptedPayment(p queries.Payment) payment {
	shown := payment{
		PaymentID: p.ID, LoanID: p.LoanID, Status: queries.PaymentStatusReceived, AmountCents: p.AmountCents,
		ReceivedOn: date{p.ReceivedOn}, Channel: p.Channel, Designation: p.Designation,
		RequestedBy: p.RequestedBy, CreatedAt: p.CreatedAt.UTC(),
	}
	if p.ReceivedAt != nil {
		shown.ReceivedAt = p.ReceivedAt.UTC()
	}
	if p.ExternalRef != nil {
		shown.ExternalRef = *p.ExternalRef
	}
	return shown
}

// paymentOf shows a payment as it is now, without its parts.
func paymentOf(p queries.Payment) payment {
	shown := acceptedPayment(p)
	shown.Status = p.Status
	if p.Reason != nil {
		shown.Reason = *p.Reason
	}
	if p.PostedAt != nil {
		shown.PostedAt = p.PostedAt.UTC()
	}
	shown.ReversedAt = instantOf(p.ReversedAt)
	if p.Status == queries.PaymentStatusPosted {
		shown.Split = &split{
			InterestCents: p.InterestCents, PrincipalCents: p.PrincipalCents, EscrowCents: p.EscrowCents,
			LateChargeCents: p.LateChargeCents, FeeCents: p.FeeCents, SuspenseCents: p.SuspenseCents,
		}
	}
	return shown
}

// addReversals completes reversed payments with the reversals that are in force.
func (s *Server) addReversals(ctx context.Context, shown []payment) error {
	var reversed []uuid.UUID
	for i := range shown {
		if shown[i].Status == queries.PaymentStatusReversed {
			reversed = append(reversed, shown[i].PaymentID)
		}
	}
	if reversed == nil {
		return nil
	}
	rows, err := s.q.ListReversalsInForce(ctx, reversed)
	if err != nil {
		return fmt.Errorf("list reversals in force: %w", err)
	}
	inForce := make(map[uuid.UUID]queries.PaymentReversal, len(rows))
	for _, row := range rows {
		inForce[row.PaymentID] = row
	}
	for i := range shown {
		if row, ok := inForce[shown[i].PaymentID]; ok {
			shown[i].ReversalID, shown[i].ReversalReason = &row.ID, row.Reason
		}
	}
	return nil
}

// maxParts bounds the transactions of one payment that are shown: more
// installments than a loan can have.
const maxParts = 1_000

// addParts completes a posted payment with what each of its transactions did.
// A credit in the loan's books is money of the payment, so signs turn.
func (s *Server) addParts(ctx context.Context, shown *payment, p queries.Payment) error {
	if shown.Split == nil || p.FirstSeq == nil || p.LastSeq == nil {
		return nil
	}
	rows, err := s.q.ListTransactions(ctx, queries.ListTransactionsParams{
		LoanID: p.LoanID, AfterSeq: *p.FirstSeq - 1, UpToSeq: *p.LastSeq, RowLimit: maxParts,
	})
	if err != nil {
		return fmt.Errorf("list transactions of payment: %w", err)
	}
	shown.Split.InstallmentsSatisfied = []date{}
	for _, t := range rows {
		shown.Split.Parts = append(shown.Split.Parts, part{
			Seq: t.Seq, Kind: t.Kind, Rule: t.Rule, DueOn: date{t.DueOn},
			InterestCents: -t.InterestIncomeCents, PrincipalCents: -t.PrincipalCents,
			EscrowCents:     -t.EscrowCents - t.EscrowAdvanceCents,
			LateChargeCents: -t.LateChargesReceivableCents, FeeCents: -t.FeesReceivableCents, SuspenseCents: -t.SuspenseCents,
		})
		if t.Kind == mortgage.KindInstallment {
			shown.Split.InstallmentsSatisfied = append(shown.Split.InstallmentsSatisfied, date{t.DueOn})
		}
	}
	return nil
}
