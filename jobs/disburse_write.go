package jobs

import (
	"context"
	"fmt"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// disburseWriting gathers what a chunk of loans leads to, for two writes: bills and
// disbursements, and the ledger.
type disburseWriting struct {
	bills  queries.PayEscrowParams
	ledger *writing
}

// enter puts what was decided for a loan into its books and its bills.
func (w *disburseWriting) enter(
	ctx context.Context, q *queries.Queries, d disbursing, a *account, decided *escrowDecision,
) error {
	for _, b := range decided.added {
		w.addBill(b)
	}
	for _, b := range decided.changed {
		p := &w.bills
		p.BillID = append(p.BillID, b.row.ID)
		p.BillStatus = append(p.BillStatus, string(b.row.Status))
		p.BillHeldRule = append(p.BillHeldRule, textOf(b.row.HeldRule))
	}
	for i := range decided.lines {
		w.moveLine(&decided.lines[i])
	}
	leaves := make([]mortgage.Disbursement, len(decided.payments))
	for i := range decided.payments {
		p := &decided.payments[i]
		w.pay(a.id, p)
		leaves[i] = outgoing(p.id.String(), p.kind, p.amount, d.on)
	}
	if len(leaves) == 0 {
		return nil
	}
	return a.disburse(ctx, q, w.ledger, leaves, a.dayTaken, d.causedBy)
}

func (w *disburseWriting) addBill(b *payBill) {
	p := &w.bills
	p.NewID = append(p.NewID, b.row.ID)
	p.NewLineID = append(p.NewLineID, b.row.LineID)
	p.NewLoanID = append(p.NewLoanID, b.row.LoanID)
	p.NewStatus = append(p.NewStatus, string(b.row.Status))
	p.NewDueOn = append(p.NewDueOn, b.row.DueOn)
	p.NewDiscountOn = append(p.NewDiscountOn, b.row.DiscountOn)
	p.NewPenaltyOn = append(p.NewPenaltyOn, b.row.PenaltyOn)
	p.NewAmount = append(p.NewAmount, int64(b.row.AmountCents))
	p.NewDiscount = append(p.NewDiscount, int64(b.row.DiscountCents))
	p.NewHeldRule = append(p.NewHeldRule, textOf(b.row.HeldRule))
}

func (w *disburseWriting) pay(loan int64, e *escrowPayment) {
	p := &w.bills
	bill, analysis := "", ""
	if e.bill != nil {
		bill = e.bill.row.ID.String()
	}
	if e.analysis != nil {
		analysis = e.analysis.String()
	}
	p.ID = append(p.ID, e.id)
	p.LoanID = append(p.LoanID, loan)
	p.Kind = append(p.Kind, string(e.kind))
	p.PaidBillID = append(p.PaidBillID, bill)
	p.AnalysisID = append(p.AnalysisID, analysis)
	p.Payee = append(p.Payee, e.payee)
	p.Amount = append(p.Amount, int64(e.amount))
	p.Advanced = append(p.Advanced, int64(e.advanced))
	p.Rule = append(p.Rule, e.rule)
	p.DueOn = append(p.DueOn, e.dueOn)
}

func (w *disburseWriting) moveLine(row *queries.EscrowLine) {
	known := int64(-1)
	if row.KnownCents != nil {
		known = int64(*row.KnownCents)
	}
	p := &w.bills
	p.LineID = append(p.LineID, row.ID)
	p.LineNextDueOn = append(p.LineNextDueOn, row.NextDueOn)
	p.LineNextDiscountOn = append(p.LineNextDiscountOn, row.NextDiscountOn)
	p.LineNextPenaltyOn = append(p.LineNextPenaltyOn, row.NextPenaltyOn)
	p.LineAmount = append(p.LineAmount, int64(row.AmountCents))
	p.LineDiscount = append(p.LineDiscount, int64(row.DiscountCents))
	p.LineKnown = append(p.LineKnown, known)
	p.LineLastPaidOn = append(p.LineLastPaidOn, row.LastPaidOn)
	p.LineDueDay = append(p.LineDueDay, loanrow.DueDay(row))
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// write writes all that was gathered.
func (w *disburseWriting) write(ctx context.Context, q *queries.Queries) error {
	p := &w.bills
	if len(p.NewID)+len(p.BillID)+len(p.ID)+len(p.LineID) > 0 {
		if err := AllowRows(ctx, q, max(len(p.BillID), len(p.LineID))); err != nil {
			return err
		}
		changed, err := q.PayEscrow(ctx, *p)
		if err != nil {
			return fmt.Errorf("write bills and disbursements: %w", err)
		}
		if want := int64(len(p.BillID) + len(p.LineID)); changed != want {
			return broken(fmt.Errorf("%d of %d bills and lines were changed", changed, want))
		}
	}
	if len(w.ledger.params.LoanID) == 0 {
		return nil
	}
	return w.ledger.write(ctx, q)
}

// disburse puts disbursements of one day, in the order of their references, into the
// loan's books: at their end where they follow all that is there, and else by a
// correction of what was posted too early.
func (l *loanInHand) disburse(
	ctx context.Context, q *queries.Queries, w *writing, leaves []mortgage.Disbursement, dayTaken bool, causedBy string,
) error {
	if !leaves[0].Follows(l.lastOn, l.lastRef, dayTaken) {
		h, err := l.history(ctx, q)
		if err != nil {
			return err
		}
		h.Disbursements = append(h.Disbursements, leaves...)
		_, err = l.correct(ctx, q, w, h, causedBy)
		return err
	}
	for _, d := range leaves {
		state, entries, err := l.terms.Disburse(l.state, d)
		if err != nil {
			return broken(err)
		}
		for _, e := range entries {
			w.add(l, mortgage.Correction{Reverses: 0, Entry: e}, causedBy)
			if e.EffectiveOn > l.lastOn {
				l.lastOn, l.lastRef = e.EffectiveOn, ""
			}
		}
		l.state = state
	}
	w.keep(l)
	return nil
}

// disbursementsOf returns a stored disbursement as the arithmetic knows it, and its
// return, if it came back, after it.
func disbursementsOf(row *queries.ListDisbursementsRow) []mortgage.Disbursement {
	ref := row.ID.String()
	all := []mortgage.Disbursement{outgoing(ref, row.Kind, row.AmountCents, row.PaidOn)}
	if row.ReturnedOn != 0 {
		all = append(all, incoming(ref, row.Kind, row.AmountCents, row.ReturnedOn))
	}
	return all
}

// outgoing is money that leaves escrow.
func outgoing(
	ref string, kind queries.EscrowDisbursementKind, amount mortgage.Cents, on mortgage.Date,
) mortgage.Disbursement {
	d := mortgage.Disbursement{
		Ref: ref, Amount: amount, PaidOn: on, Kind: mortgage.KindEscrowRefund, Rule: "", Returned: false,
	}
	switch kind {
	case queries.EscrowDisbursementKindBill:
		d.Kind, d.Rule = mortgage.KindEscrowDisbursement, mortgage.RuleEscrowDisbursement
	case queries.EscrowDisbursementKindSurplusRefund:
		d.Rule = mortgage.RuleSurplusRefund
	case queries.EscrowDisbursementKindPayoffRefund:
		d.Rule = mortgage.RulePayoffRefund
	}
	return d
}

// incoming is the same money when it comes back: on one day after it has left.
func incoming(
	ref string, kind queries.EscrowDisbursementKind, amount mortgage.Cents, on mortgage.Date,
) mortgage.Disbursement {
	d := outgoing(ref+" returned", kind, amount, on)
	d.Rule, d.Returned = mortgage.RuleDisbursementReturned, true
	return d
}
