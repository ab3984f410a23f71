package jobs

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// What holds a bill beside the rules of the arithmetic, and what pays one in spite of
// them. docs/problems.md explains each.
const (
	heldReturned   = "disbursement_returned"
	heldLineEnded  = "line_ended"
	heldLongAgo    = "expected_long_ago"
	heldPaidOff    = reasonLoanPaidOff
	heldArchived   = reasonLoanArchived
	ruleReleased   = "released"
	refundTooLarge = "refund_exceeds_escrow"
)

// longestExpected is how many days after its due date a bill that never came is still
// paid without asking. A line that is further behind was boarded or changed with a wrong
// date more likely than it was forgotten by every run since.
const longestExpected = 60

// escrowDecision is what is done for one loan.
type escrowDecision struct {
	payments []escrowPayment // in the order in which the account is used
	changed  []*payBill      // stored bills of another status than before
	added    []*payBill      // expected bills to be stored
	lines    []queries.EscrowLine
	findings []finding
}

// escrowPayment is money that leaves.
type escrowPayment struct {
	id       uuid.UUID
	kind     queries.EscrowDisbursementKind
	bill     *payBill   // nil for a refund
	analysis *uuid.UUID // nil but for a surplus
	payee    string
	amount   mortgage.Cents
	rule     string
	dueOn    mortgage.Date
	advanced mortgage.Cents
}

// decide says what is done for a loan on the day. What it knows of the borrower is
// what the books say of that day, whether it was closed or not.
func (d disbursing) decide(a *account) (*escrowDecision, error) {
	if d.on < a.terms.BoardedOn {
		return &escrowDecision{}, nil
	}
	now, _, err := a.terms.Advance(a.state, d.on)
	if err != nil {
		return nil, err
	}
	out := &escrowDecision{}
	if a.row.Status == queries.LoanStatusActive {
		for _, l := range a.lines {
			if err := l.expect(d); err != nil {
				return nil, err
			}
		}
	}
	if err := d.decideBills(a, now); err != nil {
		return nil, err
	}
	var paid []*payBill
	for _, l := range a.lines {
		some, err := l.settle(out, d.on)
		if err != nil {
			return nil, err
		}
		paid = append(paid, some...)
	}
	slices.SortStableFunc(paid, func(x, y *payBill) int {
		return cmp.Or(cmp.Compare(x.step.PayOn, y.step.PayOn), cmp.Compare(x.step.Ref, y.step.Ref))
	})
	for _, b := range paid {
		if b.step.Amount == 0 {
			continue // The discount, or the charge, left nothing.
		}
		out.payments = append(out.payments, escrowPayment{
			kind: queries.EscrowDisbursementKindBill, bill: b, payee: b.line.row.Payee,
			amount: b.step.Amount, rule: string(b.step.Rule), dueOn: b.row.DueOn,
		})
	}
	d.decideRefunds(out, a, now)
	return out, out.draw(now.Escrow)
}

// decideBills fills in the step of every bill that is not paid.
func (d disbursing) decideBills(a *account, now mortgage.State) error {
	var due []mortgage.EscrowDue
	byRef := map[string]*payBill{}
	for _, l := range a.lines {
		for _, b := range l.bills {
			if b.row.Status == queries.EscrowBillStatusPaid {
				continue
			}
			if rule := d.heldAnyway(a, b); rule != "" {
				b.step = mortgage.EscrowDisbursement{Step: mortgage.EscrowHold, Rule: mortgage.EscrowRule(rule)}
				continue
			}
			byRef[b.row.ID.String()] = b
			due = append(due, dueOf(b, d.on))
		}
	}
	steps, err := mortgage.EscrowDisbursing{
		On: d.on, Balance: now.Escrow, NextDueOn: now.NextDueOn, Vacant: a.row.Vacant, Small: false,
		LeadDays: d.leadDays, Overdue: d.overdue,
	}.Decide(due)
	if err != nil {
		return err
	}
	for _, step := range steps {
		b := byRef[step.Ref]
		if step.Step == mortgage.EscrowHold && b.row.ReleasedBy != nil {
			step.Step, step.Rule = mortgage.EscrowPay, ruleReleased
		}
		b.step = step
	}
	return nil
}

// heldAnyway returns what holds a bill before the arithmetic is asked, or "".
func (d disbursing) heldAnyway(a *account, b *payBill) string {
	switch {
	case a.row.Status == queries.LoanStatusPaidOff:
		return heldPaidOff
	case a.row.Status == queries.LoanStatusArchived:
		return heldArchived
	case b.row.HeldRule != nil && *b.row.HeldRule == heldReturned:
		return heldReturned
	case b.line.row.EndedAt != nil:
		return heldLineEnded
	case b.row.Expected && b.row.ReleasedBy == nil && d.on-b.row.DueOn > longestExpected:
		return heldLongAgo
	}
	return ""
}

// dueOf is the bill as the arithmetic knows it. A policy whose bill had not come when
// it expired may be taken for canceled (comment 17(k)(5)(ii)(A)-1).
func dueOf(b *payBill, on mortgage.Date) mortgage.EscrowDue {
	return mortgage.EscrowDue{
		Ref: b.row.ID.String(), Kind: mortgage.EscrowItemKind(b.line.row.Kind),
		Amount: b.row.AmountCents, DueOn: b.row.DueOn, DiscountOn: b.row.DiscountOn, PenaltyOn: b.row.PenaltyOn,
		Discount: b.row.DiscountCents, Canceled: b.row.InsuranceCanceled || b.row.Expected && on > b.row.DueOn,
		ForcePlaced: nil,
	}
}

// settle returns the line's bills that are paid, and enters into out what becomes of
// the others and of the line. Cycles are paid in their order: what is expected after
// one that is not paid is left for another day.
func (l *payLine) settle(out *escrowDecision, on mortgage.Date) ([]*payBill, error) {
	var paid []*payBill
	row, moved := *l.row, false
	for cycle := l.cycle(row.NextDueOn); len(cycle) > 0; cycle = l.cycle(row.NextDueOn) {
		came, open, now := settleCycle(out, cycle)
		paid = append(paid, now...)
		if came > 0 && len(now) > 0 {
			row.LastPaidOn, moved = on, true
		}
		if open > 0 {
			row.KnownCents = &open
			break
		}
		if came == 0 {
			came = row.AmountCents // It is known that nothing is charged this time.
		}
		var err error
		if row, err = loanrow.NextCycle(row, came); err != nil {
			return nil, err
		}
		moved = true
	}
	for _, b := range l.bills { // What came back, of cycles that the line has left behind.
		if b.stored && !b.settled {
			_, _, now := settleCycle(out, []*payBill{b})
			paid = append(paid, now...)
		}
	}
	if moved {
		out.lines = append(out.lines, row)
	}
	return paid, nil
}

// settleCycle enters into out what becomes of bills, and returns what they come to,
// what of that is not paid, and those that are paid now.
func settleCycle(out *escrowDecision, bills []*payBill) (came, open mortgage.Cents, now []*payBill) {
	for _, b := range bills {
		b.settled = true
		came += b.row.AmountCents
		if b.row.Status == queries.EscrowBillStatusPaid {
			continue
		}
		if b.step.Step == mortgage.EscrowPay {
			now = append(now, b)
		} else {
			open += b.row.AmountCents
		}
		out.keep(b)
	}
	return came, open, now
}

// cycle returns the bills of a cycle on which something is to be done now.
func (l *payLine) cycle(on mortgage.Date) []*payBill {
	var bills []*payBill
	for _, b := range l.bills {
		if !b.settled && loanrow.SameCycle(l.row, b.row.CycleOn, on) && (b.stored || b.step.Step != mortgage.EscrowWait) {
			bills = append(bills, b)
		}
	}
	return bills
}

// keep enters what becomes of a bill, and what a person has to know of it.
func (out *escrowDecision) keep(b *payBill) {
	if b.row.Status == queries.EscrowBillStatusPaid {
		return
	}
	status, rule := queries.EscrowBillStatusOpen, ""
	switch b.step.Step {
	case mortgage.EscrowPay:
		status = queries.EscrowBillStatusPaid
	case mortgage.EscrowHold:
		status, rule = queries.EscrowBillStatusHeld, string(b.step.Rule)
		out.findings = append(out.findings, finding{
			LoanID: b.row.LoanID, Detail: fmt.Sprintf("bill %s is held: %s", b.row.ID, rule),
		})
	case mortgage.EscrowWait:
	}
	same := b.row.HeldRule == nil && rule == "" || b.row.HeldRule != nil && *b.row.HeldRule == rule
	switch {
	case !b.stored && b.row.AmountCents == 0:
	case !b.stored:
		b.row.Status, b.row.HeldRule = status, heldRule(rule)
		out.added = append(out.added, b)
	case status != b.row.Status || !same:
		b.row.Status, b.row.HeldRule = status, heldRule(rule)
		out.changed = append(out.changed, b)
	}
}

func heldRule(rule string) *string {
	if rule == "" {
		return nil
	}
	return &rule
}

// decideRefunds adds what goes back to the borrower: a surplus, where the account
// holds that much after its bills, and all of it after a payoff.
func (d disbursing) decideRefunds(out *escrowDecision, a *account, now mortgage.State) {
	left := now.Escrow
	for _, p := range out.payments {
		left -= min(left, p.amount)
	}
	if s := a.surplus; s != nil && a.row.Status == queries.LoanStatusActive &&
		mortgage.EscrowPayOn(s.RefundDueOn, d.leadDays) <= d.on {
		if s.RefundCents > left {
			out.findings = append(out.findings, finding{
				LoanID: a.id, Detail: fmt.Sprintf("the surplus of analysis %s is not refunded: %s", s.ID, refundTooLarge),
			})
			return
		}
		out.payments = append(out.payments, escrowPayment{
			kind: queries.EscrowDisbursementKindSurplusRefund, analysis: &s.ID, payee: a.borrower,
			amount: s.RefundCents, rule: string(mortgage.EscrowRuleSurplus), dueOn: s.RefundDueOn,
		})
	}
	if a.row.Status != queries.LoanStatusPaidOff || left == 0 || a.refundWaits {
		return
	}
	dueOn := mortgage.RefundDueOn(now.PaidOffOn)
	if mortgage.EscrowPayOn(dueOn, d.leadDays) <= d.on {
		out.payments = append(out.payments, escrowPayment{
			kind: queries.EscrowDisbursementKindPayoffRefund, payee: a.borrower,
			amount: min(left, mortgage.MaxPayment), rule: string(mortgage.EscrowRulePayoff), dueOn: dueOn,
		})
	}
}

// draw gives the payments their ids, in their order, and says what of each the
// servicer advances.
func (out *escrowDecision) draw(balance mortgage.Cents) error {
	left := max(balance, 0)
	for i := range out.payments {
		p := &out.payments[i]
		var err error
		if p.id, err = uuid.NewV7(); err != nil {
			return fmt.Errorf("make disbursement id: %w", err)
		}
		held := min(left, p.amount)
		p.advanced = p.amount - held
		left -= held
		if p.advanced > 0 && p.rule == string(mortgage.EscrowRuleTimely) {
			p.rule = string(mortgage.EscrowRuleAdvance)
		}
		if p.advanced == 0 && p.rule == string(mortgage.EscrowRuleAdvance) {
			p.rule = string(mortgage.EscrowRuleTimely)
		}
	}
	return nil
}
