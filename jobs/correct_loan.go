package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// QueueCorrections is the queue of what changes the past of a loan.
	QueueCorrections = "corrections"
	// correctionWorkers is few: each holds a connection while it works, and while
	// it waits for its loan. A file of returns asks for thousands of corrections at
	// once, and the queue itself, the probes and the payments need connections too.
	correctionWorkers = 4
)

// postBehind posts payments of which one belongs before what the books hold:
// what was posted too early is reversed and posted again after it.
func (l *loanInHand) postBehind(ctx context.Context, q *queries.Queries, w *writing, wishes []wish) error {
	h, err := l.history(ctx, q)
	if err != nil {
		return err
	}
	for _, wish := range wishes {
		h.Receipts = append(h.Receipts, wish.receipt)
	}
	ends, err := l.correct(ctx, q, w, h, wishes[0].requestedBy)
	if err != nil {
		return err
	}
	for _, wish := range wishes {
		end, ok := ends[wish.id]
		if !ok {
			return broken(fmt.Errorf("payment %s is not in the books it was added to", wish.id))
		}
		w.outcome.posted++
		w.events = append(w.events, postedEvent(l.id, wish, end.first))
	}
	return nil
}

// withdraw takes a posted payment out of the loan's history, and charges the fees
// for that.
func (l *loanInHand) withdraw(
	ctx context.Context, q *queries.Queries, w *writing, payment uuid.UUID, fees []mortgage.Fee, causedBy string,
) error {
	h, err := l.history(ctx, q)
	if err != nil {
		return err
	}
	before := len(h.Receipts)
	h.Receipts = slices.DeleteFunc(h.Receipts, func(r mortgage.Receipt) bool { return r.Ref == payment.String() })
	if len(h.Receipts) != before-1 {
		return broken(fmt.Errorf("payment %s is not in the books it should leave", payment))
	}
	h.Fees = append(h.Fees, fees...)
	if _, err := l.correct(ctx, q, w, h, causedBy); err != nil {
		return err
	}
	w.end(payment, queries.PaymentStatusReversed, "", mortgage.Postings{}, 0, 0)
	return nil
}

// history reads all that happened to the loan.
func (l *loanInHand) history(ctx context.Context, q *queries.Queries) (mortgage.History, error) {
	opening, err := q.GetBoarding(ctx, l.id)
	if err != nil {
		return mortgage.History{}, fmt.Errorf("get boarding: %w", err)
	}
	rows, err := q.ListReceipts(ctx, l.id)
	if err != nil {
		return mortgage.History{}, fmt.Errorf("list receipts: %w", err)
	}
	charged, err := q.ListFees(ctx, l.id)
	if err != nil {
		return mortgage.History{}, fmt.Errorf("list fees: %w", err)
	}
	left, err := q.ListDisbursements(ctx, l.id)
	if err != nil {
		return mortgage.History{}, fmt.Errorf("list disbursements: %w", err)
	}
	h := mortgage.History{
		Boarded:  loanrow.Boarded(l.row, &opening),
		Receipts: make([]mortgage.Receipt, len(rows)),
		Fees:     make([]mortgage.Fee, len(charged)),
		Through:  l.state.AsOf,
	}
	for i := range left {
		h.Disbursements = append(h.Disbursements, disbursementsOf(&left[i])...)
	}
	for i, f := range charged {
		h.Fees[i] = returnedPaymentFee(f.ID, f.FeeCents, f.FeeOn)
	}
	for i, r := range rows {
		h.Receipts[i] = mortgage.Receipt{
			Ref: r.ID.String(), Amount: r.AmountCents, ReceivedOn: r.ReceivedOn, Designation: r.Designation,
		}
	}
	return h, nil
}

// returnedPaymentFee is what the loan's terms charge for a payment that came back
// by the reversal.
func returnedPaymentFee(reversal uuid.UUID, amount mortgage.Cents, on mortgage.Date) mortgage.Fee {
	return mortgage.Fee{Ref: reversal.String(), Amount: amount, ChargedOn: on, Rule: mortgage.RuleReturnedPaymentFee}
}

// correct makes the loan's books those of the history, and returns where the
// payments stand in the ledger that moved there.
func (l *loanInHand) correct(
	ctx context.Context, q *queries.Queries, w *writing, h mortgage.History, causedBy string,
) (map[uuid.UUID]span, error) {
	have, err := l.live(ctx, q)
	if err != nil {
		return nil, err
	}
	state, want, err := l.terms.Books(h)
	if err != nil {
		return nil, broken(err)
	}
	spans := map[uuid.UUID]span{}
	for _, step := range mortgage.Correct(have, want) {
		w.add(l, step, causedBy)
		if step.Reverses != 0 || step.Ref == "" {
			continue
		}
		id, err := uuid.Parse(step.Ref)
		if err != nil {
			return nil, broken(fmt.Errorf("payment reference: %w", err))
		}
		spans[id] = spans[id].with(l.seq)
	}
	for id, s := range spans {
		w.end(id, queries.PaymentStatusPosted, "", splitOf(want, id.String()), s.first, s.last)
	}
	l.state = state
	l.lastOn, l.lastRef = endOf(h, want)
	w.keep(l)
	return spans, nil
}

// live reads the transactions that stand.
func (l *loanInHand) live(ctx context.Context, q *queries.Queries) ([]mortgage.Posted, error) {
	rows, err := q.ListLiveTransactions(ctx, l.id)
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	have := make([]mortgage.Posted, len(rows))
	for i := range rows {
		have[i] = postedOf(&rows[i])
	}
	return have, nil
}

// postedOf returns a stored transaction as the arithmetic knows it.
func postedOf(row *queries.Transaction) mortgage.Posted {
	p := mortgage.Posted{Seq: row.Seq, Entry: mortgage.Entry{
		Kind: row.Kind, EffectiveOn: row.EffectiveOn, DueOn: row.DueOn, Rule: mortgage.Rule(row.Rule), Ref: "",
		Postings: mortgage.Postings{
			Cash: row.CashCents, Principal: row.PrincipalCents, InterestIncome: row.InterestIncomeCents,
			Escrow: row.EscrowCents, Suspense: row.SuspenseCents,
			LateChargesReceivable: row.LateChargesReceivableCents, LateChargeIncome: row.LateChargeIncomeCents,
			FeesReceivable: row.FeesReceivableCents, FeeIncome: row.FeeIncomeCents,
			EscrowAdvance: row.EscrowAdvanceCents, BoardingClearing: row.BoardingClearingCents,
		},
	}}
	if row.PaymentID != nil {
		p.Ref = row.PaymentID.String()
	}
	return p
}

// endOf returns the last day with an entry, and the last payment of that day.
func endOf(h mortgage.History, entries []mortgage.Entry) (on mortgage.Date, ref string) {
	for _, e := range entries {
		on = max(on, e.EffectiveOn)
	}
	for _, r := range h.Receipts {
		if r.ReceivedOn == on {
			ref = max(ref, r.Ref)
		}
	}
	return on, ref
}

// span is where a payment's transactions stand among its loan's.
type span struct {
	first, last int32
}

func (s span) with(seq int32) span {
	if s.first == 0 {
		s.first = seq
	}
	s.last = seq
	return s
}
