package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// writing gathers what a set of payments leads to, for one write.
type writing struct {
	at      time.Time
	params  queries.PostPaymentsParams
	outcome postOutcome
	events  []webhookEvent
}

func newWriting(at time.Time) *writing {
	w := &writing{at: at}
	w.params.PostedAt = at
	return w
}

// add gives an entry its place in the loan's books and seals it.
func (w *writing) add(l *loanInHand, c mortgage.Correction, causedBy string) {
	l.seq++
	seal := mortgage.Transaction{
		LoanID: l.id, Seq: l.seq, PostedAt: w.at.UnixMicro(), Reverses: c.Reverses, CausedBy: causedBy, Entry: c.Entry,
	}.Seal(l.head)
	l.head = seal

	p := &w.params
	p.TxLoanID = append(p.TxLoanID, l.id)
	p.TxSeq = append(p.TxSeq, l.seq)
	p.TxKind = append(p.TxKind, string(c.Kind))
	p.TxEffectiveOn = append(p.TxEffectiveOn, c.EffectiveOn)
	p.TxDueOn = append(p.TxDueOn, c.DueOn)
	p.TxPaymentID = append(p.TxPaymentID, c.Ref)
	p.TxReverses = append(p.TxReverses, c.Reverses)
	p.TxCash = append(p.TxCash, int64(c.Cash))
	p.TxPrincipal = append(p.TxPrincipal, int64(c.Principal))
	p.TxInterestIncome = append(p.TxInterestIncome, int64(c.InterestIncome))
	p.TxEscrow = append(p.TxEscrow, int64(c.Escrow))
	p.TxSuspense = append(p.TxSuspense, int64(c.Suspense))
	p.TxLateChargesReceivable = append(p.TxLateChargesReceivable, int64(c.LateChargesReceivable))
	p.TxLateChargeIncome = append(p.TxLateChargeIncome, int64(c.LateChargeIncome))
	p.TxFeesReceivable = append(p.TxFeesReceivable, int64(c.FeesReceivable))
	p.TxFeeIncome = append(p.TxFeeIncome, int64(c.FeeIncome))
	p.TxEscrowAdvance = append(p.TxEscrowAdvance, int64(c.EscrowAdvance))
	p.TxRule = append(p.TxRule, string(c.Rule))
	p.TxCausedBy = append(p.TxCausedBy, causedBy)
	p.TxHash = append(p.TxHash, seal[:])
}

func (w *writing) post(loan int64, wish wish, split mortgage.Postings, first, last int32) {
	w.end(wish.id, queries.PaymentStatusPosted, "", split, first, last)
	w.outcome.posted++
	w.events = append(w.events, postedEvent(loan, wish, first))
}

func (w *writing) reject(loan int64, wish wish, reason string) {
	w.end(wish.id, queries.PaymentStatusRejected, reason, mortgage.Postings{}, 0, 0)
	w.outcome.rejected++
	w.events = append(w.events, rejectedEvent(loan, wish, reason))
}

// end records what became of a payment. What a posting takes from an account
// of the ledger, the payment has paid.
func (w *writing) end(
	id uuid.UUID, status queries.PaymentStatus, reason string, split mortgage.Postings, first, last int32,
) {
	p := &w.params
	p.PaymentID = append(p.PaymentID, id)
	p.PaymentStatus = append(p.PaymentStatus, string(status))
	p.PaymentReason = append(p.PaymentReason, reason)
	p.PaymentInterest = append(p.PaymentInterest, int64(-split.InterestIncome))
	p.PaymentPrincipal = append(p.PaymentPrincipal, int64(-split.Principal))
	p.PaymentEscrow = append(p.PaymentEscrow, int64(-split.Escrow-split.EscrowAdvance))
	p.PaymentLateCharge = append(p.PaymentLateCharge, int64(-split.LateChargesReceivable))
	p.PaymentFee = append(p.PaymentFee, int64(-split.FeesReceivable))
	p.PaymentSuspense = append(p.PaymentSuspense, int64(-split.Suspense))
	p.PaymentFirstSeq = append(p.PaymentFirstSeq, first)
	p.PaymentLastSeq = append(p.PaymentLastSeq, last)
}

// keep records the loan as it is now.
func (w *writing) keep(l *loanInHand) {
	status := queries.LoanStatusActive
	if l.state.Principal == 0 {
		status = queries.LoanStatusPaidOff
	}
	p := &w.params
	p.LoanID = append(p.LoanID, l.id)
	p.LoanStatus = append(p.LoanStatus, string(status))
	p.LoanPrincipal = append(p.LoanPrincipal, int64(l.state.Principal))
	p.LoanEscrow = append(p.LoanEscrow, int64(l.state.Escrow))
	p.LoanEscrowAdvance = append(p.LoanEscrowAdvance, int64(l.state.EscrowAdvance))
	p.LoanSuspense = append(p.LoanSuspense, int64(l.state.Suspense))
	p.LoanLateChargesDue = append(p.LoanLateChargesDue, int64(l.state.LateChargesDue))
	p.LoanFeesDue = append(p.LoanFeesDue, int64(l.state.FeesDue))
	p.LoanInterestAccruedToOn = append(p.LoanInterestAccruedToOn, l.state.InterestAccruedTo)
	p.LoanAccruedInterest = append(p.LoanAccruedInterest, int64(l.state.AccruedInterest))
	p.LoanPaidOffOn = append(p.LoanPaidOffOn, l.state.PaidOffOn)
	p.LoanNextDueOn = append(p.LoanNextDueOn, l.state.NextDueOn)
	p.LoanAsOfOn = append(p.LoanAsOfOn, l.state.AsOf)
	p.LoanLateChargedThroughOn = append(p.LoanLateChargedThroughOn, l.state.LateChargedThrough)
	p.LoanLastEffectiveOn = append(p.LoanLastEffectiveOn, l.lastOn)
	p.LoanLastReceiptID = append(p.LoanLastReceiptID, l.lastRef)
	p.LoanLastSeq = append(p.LoanLastSeq, l.seq)
	p.LoanLastHash = append(p.LoanLastHash, l.head[:])
}

// write writes all that was gathered, and tells of it whoever wants to be told.
func (w *writing) write(ctx context.Context, q *queries.Queries) error {
	if err := AllowRows(ctx, q, max(len(w.params.LoanID), len(w.params.PaymentID))); err != nil {
		return err
	}
	row, err := q.PostPayments(ctx, w.params)
	if err != nil {
		return fmt.Errorf("write postings: %w", err)
	}
	if row.Changed != int64(len(w.params.PaymentID)) {
		return broken(fmt.Errorf("%d of %d payments were changed", row.Changed, len(w.params.PaymentID)))
	}
	if !row.Wanted {
		return nil
	}
	return announce(ctx, q, w.events...)
}
