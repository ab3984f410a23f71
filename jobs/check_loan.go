package jobs

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// loanToCheck is a loan with all that its books follow from, as one snapshot has it.
type loanToCheck struct {
	row       *queries.Loan
	stateHash int64

	ledger        []queries.Transaction // in order of seq
	payments      []queries.ListPaymentsToCheckRow
	fees          []queries.ListFeesToCheckRow
	disbursements []queries.ListDisbursementsToCheckRow

	found []found
}

func (l *loanToCheck) add(kind queries.IntegrityKind, subject string, details map[string]any) {
	l.found = append(l.found, found{kind: kind, loanID: l.row.ID, subject: subject, details: details})
}

// check looks at everything that the loan alone can tell.
func (l *loanToCheck) check() {
	l.checkChain()
	l.checkBalances()
	live := l.live()
	l.checkPayments(live)
	l.checkReplay(live)
}

// checkChain computes every seal anew, and looks at the places and the end.
func (l *loanToCheck) checkChain() {
	var broken, missing seqs
	var previous mortgage.Hash
	next := int32(1)
	for i := range l.ledger {
		t := &l.ledger[i]
		if t.Seq > next {
			missing.addRange(next, t.Seq-1)
		}
		next = t.Seq + 1
		if seal := sealOf(t, previous); !bytes.Equal(seal[:], t.Hash) {
			broken.addRange(t.Seq, t.Seq)
		}
		previous = mortgage.Hash(t.Hash)
	}
	if l.row.LastSeq >= next {
		missing.addRange(next, l.row.LastSeq)
	}
	if broken.count > 0 {
		l.add(queries.IntegrityKindChainBroken, "", broken.details())
	}
	if missing.count > 0 {
		l.add(queries.IntegrityKindChainGap, "", missing.details())
	}
	if next-1 != l.row.LastSeq || !bytes.Equal(previous[:], l.row.LastHash) {
		l.add(queries.IntegrityKindChainHead, "", map[string]any{"loan_last_seq": l.row.LastSeq, "ledger_last_seq": next - 1})
	}
}

// sealOf computes a stored transaction's seal.
func sealOf(t *queries.Transaction, previous mortgage.Hash) mortgage.Hash {
	var reverses int32
	if t.Reverses != nil {
		reverses = *t.Reverses
	}
	return mortgage.Transaction{
		LoanID: t.LoanID, Seq: t.Seq, PostedAt: t.PostedAt.UnixMicro(), Reverses: reverses, CausedBy: t.CausedBy,
		Entry: postedOf(t).Entry,
	}.Seal(previous)
}

// checkBalances compares what the loan says with the sums of its ledger.
func (l *loanToCheck) checkBalances() {
	var sum mortgage.Postings
	for i := range l.ledger {
		sum = sum.Plus(postedOf(&l.ledger[i]).Postings)
	}
	for _, b := range []struct {
		name           string
		stored, ledger mortgage.Cents
	}{
		{"principal_cents", l.row.PrincipalCents, sum.Principal},
		{"escrow_cents", l.row.EscrowCents, -sum.Escrow},
		{"escrow_advance_cents", l.row.EscrowAdvanceCents, sum.EscrowAdvance},
		{"suspense_cents", l.row.SuspenseCents, -sum.Suspense},
		{"late_charges_due_cents", l.row.LateChargesDueCents, sum.LateChargesReceivable},
		{"fees_due_cents", l.row.FeesDueCents, sum.FeesReceivable},
	} {
		if b.stored != b.ledger {
			l.add(queries.IntegrityKindBalanceMismatch, b.name, map[string]any{"loan_cents": b.stored, "ledger_cents": b.ledger})
		}
	}
	if total := sum.Sum(); total != 0 {
		l.add(queries.IntegrityKindBalanceMismatch, "sum", map[string]any{"loan_cents": 0, "ledger_cents": total})
	}
}

// live returns the transactions after the boarding that stand: neither reversals nor
// reversed.
func (l *loanToCheck) live() []mortgage.Posted {
	reversed := map[int32]bool{}
	for i := range l.ledger {
		if r := l.ledger[i].Reverses; r != nil {
			reversed[*r] = true
		}
	}
	all := make([]mortgage.Posted, 0, len(l.ledger))
	for i := range l.ledger {
		if t := &l.ledger[i]; t.Seq > 1 && t.Kind != mortgage.KindReversal && !reversed[t.Seq] {
			all = append(all, postedOf(t))
		}
	}
	return all
}

// ofPayment is what the ledger holds of one payment.
type ofPayment struct {
	span  span
	split mortgage.Postings
}

// checkPayments compares the payments with the transactions that name them: a posted
// one has some that come to what it says, any other one none.
func (l *loanToCheck) checkPayments(live []mortgage.Posted) {
	booked := map[string]ofPayment{}
	for _, p := range live {
		if p.Ref == "" {
			continue
		}
		b := booked[p.Ref]
		booked[p.Ref] = ofPayment{span: b.span.with(p.Seq), split: b.split.Plus(p.Postings)}
	}
	var without []uuid.UUID
	for i := range l.payments {
		p := &l.payments[i]
		b, ok := booked[p.ID.String()]
		if p.Status != queries.PaymentStatusPosted {
			continue // What the ledger holds of it stays in booked.
		}
		delete(booked, p.ID.String())
		switch {
		case !ok || p.FirstSeq == nil || p.LastSeq == nil || b.span != span{first: *p.FirstSeq, last: *p.LastSeq}:
			without = append(without, p.ID)
		case !splitsAlike(p, b.split):
			l.add(queries.IntegrityKindPaymentSplitMismatch, p.ID.String(), map[string]any{
				"first_seq": b.span.first, "last_seq": b.span.last,
			})
		}
	}
	if len(without) > 0 {
		l.add(queries.IntegrityKindPaymentWithoutTransactions, "", map[string]any{
			"count": len(without), "payment_ids": without[:min(len(without), maxExamples)],
		})
	}
	if len(booked) > 0 {
		var left seqs
		for _, b := range booked {
			left.addRange(b.span.first, b.span.first)
		}
		l.add(queries.IntegrityKindTransactionWithoutPayment, "", left.details())
	}
}

// splitsAlike says whether a payment says what its transactions do.
func splitsAlike(p *queries.ListPaymentsToCheckRow, s mortgage.Postings) bool {
	return p.InterestCents == -s.InterestIncome && p.PrincipalCents == -s.Principal &&
		p.EscrowCents == -s.Escrow-s.EscrowAdvance && p.LateChargeCents == -s.LateChargesReceivable &&
		p.FeeCents == -s.FeesReceivable && p.SuspenseCents == -s.Suspense && p.AmountCents == s.Cash
}

// checkReplay lets all that happened to the loan happen again, by the arithmetic alone,
// and compares the outcome with the books and with what the loan says.
func (l *loanToCheck) checkReplay(live []mortgage.Posted) {
	if len(l.ledger) == 0 || l.ledger[0].Seq != 1 {
		return // There is nothing to begin with, which is a gap.
	}
	state, want, err := l.replay()
	if err != nil {
		l.add(queries.IntegrityKindReplayMismatch, "", map[string]any{"error": err.Error()})
		return
	}
	details := map[string]any{}
	if now := loanrow.State(l.row); now != state {
		details["state"] = differingColumns(state, now)
	}
	paidOff := l.row.Status == queries.LoanStatusPaidOff
	if l.row.Status != queries.LoanStatusArchived && paidOff != (state.Principal == 0) {
		details["status"] = true
	}
	if steps := mortgage.Correct(live, want); len(steps) > 0 {
		details["steps"] = len(steps)
		if i := slices.IndexFunc(live, func(p mortgage.Posted) bool { return p.Seq == firstReversed(steps) }); i >= 0 {
			details["first_seq"], details["effective_on"] = live[i].Seq, live[i].EffectiveOn.String()
		}
	}
	if len(details) > 0 {
		l.add(queries.IntegrityKindReplayMismatch, "", details)
	}
}

// differingColumns names the columns of the loan that would hold something else.
func differingColumns(a, b mortgage.State) (names []string) {
	for _, column := range []struct {
		name   string
		differ bool
	}{
		{"principal_cents", a.Principal != b.Principal},
		{"escrow_cents", a.Escrow != b.Escrow},
		{"escrow_advance_cents", a.EscrowAdvance != b.EscrowAdvance},
		{"suspense_cents", a.Suspense != b.Suspense},
		{"late_charges_due_cents", a.LateChargesDue != b.LateChargesDue},
		{"fees_due_cents", a.FeesDue != b.FeesDue},
		{"next_due_on", a.NextDueOn != b.NextDueOn},
		{"paid_off_on", a.PaidOffOn != b.PaidOffOn},
		{"interest_accrued_to_on", a.InterestAccruedTo != b.InterestAccruedTo},
		{"accrued_interest_cents", a.AccruedInterest != b.AccruedInterest},
		{"as_of_on", a.AsOf != b.AsOf},
		{"late_charged_through_on", a.LateChargedThrough != b.LateChargedThrough},
	} {
		if column.differ {
			names = append(names, column.name)
		}
	}
	return names
}

// replay computes the books. Stored data that somebody has changed may be such that the
// arithmetic, which is written for what the program stores, panics on it.
func (l *loanToCheck) replay() (state mortgage.State, want []mortgage.Entry, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("replay: %v", r)
		}
	}()
	return loanrow.Terms(l.row).Books(l.history())
}

// firstReversed returns the earliest transaction that the steps take back, or 0.
func firstReversed(steps []mortgage.Correction) int32 {
	var first int32
	for _, s := range steps {
		if s.Reverses != 0 && (first == 0 || s.Reverses < first) {
			first = s.Reverses
		}
	}
	return first
}

// history is all that happened to the loan.
func (l *loanToCheck) history() mortgage.History {
	h := mortgage.History{Boarded: loanrow.Boarded(l.row, &l.ledger[0]), Through: l.row.AsOfOn}
	for i := range l.payments {
		if p := &l.payments[i]; p.Status == queries.PaymentStatusPosted {
			h.Receipts = append(h.Receipts, mortgage.Receipt{
				Ref: p.ID.String(), Amount: p.AmountCents, ReceivedOn: p.ReceivedOn, Designation: p.Designation,
			})
		}
	}
	for _, f := range l.fees {
		h.Fees = append(h.Fees, returnedPaymentFee(f.ID, f.FeeCents, f.FeeOn))
	}
	for i := range l.disbursements {
		d := &l.disbursements[i]
		h.Disbursements = append(h.Disbursements, disbursementsOf(&queries.ListDisbursementsRow{
			ID: d.ID, Kind: d.Kind, AmountCents: d.AmountCents, PaidOn: d.PaidOn, ReturnedOn: d.ReturnedOn,
		})...)
	}
	return h
}

// seqs counts places in a ledger, and names the first of them.
type seqs struct {
	count int64
	named []int32
}

func (s *seqs) addRange(first, last int32) {
	s.count += int64(last) - int64(first) + 1
	for seq := first; seq <= last && len(s.named) < maxExamples; seq++ {
		s.named = append(s.named, seq)
	}
}

func (s *seqs) details() map[string]any {
	slices.Sort(s.named)
	return map[string]any{"count": s.count, "seqs": s.named}
}
