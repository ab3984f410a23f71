package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// analysisWriting gathers what analyses lead to, for one write.
type analysisWriting struct {
	made     queries.WriteEscrowAnalysesParams
	payments queries.PostEscrowPaymentsParams
	terms    queries.WriteEscrowTermsParams
	ledger   *writing
	changed  map[int64]mortgage.Changes // what the loans' terms will be
	owed     []uuid.UUID                // analyses that owe a statement
	events   []webhookEvent
}

func newAnalysisWriting(z *analyzing) *analysisWriting {
	w := &analysisWriting{ledger: newWriting(z.at), changed: map[int64]mortgage.Changes{}}
	w.made.PolicyID = z.policyID
	w.payments.PostedAt, w.terms.PostedAt = &z.at, z.at
	return w
}

// enter records an analysis and, unless it is only tried, what follows from it.
func (w *analysisWriting) enter(ctx context.Context, q *queries.Queries, a *analysis) error {
	if err := w.record(a); err != nil {
		return err
	}
	if !a.dryRun {
		w.events = append(w.events, analysisEvent(a))
	}
	if a.dryRun || a.kind == mortgage.EscrowPayoff { // No payment comes any more, and no year.
		return nil
	}
	return w.apply(ctx, q, a)
}

// record stores the analysis, whole.
func (w *analysisWriting) record(a *analysis) error {
	request, err := json.Marshal(&a.request)
	if err != nil {
		return broken(fmt.Errorf("write request: %w", err))
	}
	result, err := json.Marshal(&a.result)
	if err != nil {
		return broken(fmt.Errorf("write result: %w", err))
	}
	refund, refundDueOn := a.refund()
	p, r := &w.made, &a.result
	p.ID = append(p.ID, a.id)
	p.LoanID = append(p.LoanID, a.loan.id)
	p.Kind = append(p.Kind, string(a.kind))
	p.DryRun = append(p.DryRun, a.dryRun)
	p.AsOfOn = append(p.AsOfOn, a.asOf)
	p.StartOn = append(p.StartOn, a.startOn)
	p.RequestedBy = append(p.RequestedBy, a.requestedBy)
	p.IdempotencyKey = append(p.IdempotencyKey, a.key)
	p.RequestHash = append(p.RequestHash, a.requestHash)
	p.Request = append(p.Request, request)
	p.Result = append(p.Result, result)
	p.BasePayment = append(p.BasePayment, int64(r.BasePayment))
	p.Cushion = append(p.Cushion, int64(r.Cushion))
	p.RequiredStart = append(p.RequiredStart, int64(r.RequiredStart))
	p.StartBalance = append(p.StartBalance, int64(r.StartBalance))
	p.Surplus = append(p.Surplus, int64(r.Surplus))
	p.Shortage = append(p.Shortage, int64(r.Shortage))
	p.Deficiency = append(p.Deficiency, int64(r.Deficiency))
	p.NewEscrowPayment = append(p.NewEscrowPayment, int64(r.NewPayment))
	p.EffectiveOn = append(p.EffectiveOn, r.EffectiveOn)
	p.Refund = append(p.Refund, int64(refund))
	p.RefundDueOn = append(p.RefundDueOn, refundDueOn)
	p.StatementDueOn = append(p.StatementDueOn, r.StatementDueOn)
	if r.StatementDueOn != 0 && !a.dryRun {
		w.owed = append(w.owed, a.id)
	}
	if a.kind == mortgage.EscrowPayoff {
		return nil // There is no coming year.
	}
	for i := range r.Months {
		m := &r.Months[i]
		p.MonthAnalysisID = append(p.MonthAnalysisID, a.id)
		p.MonthOn = append(p.MonthOn, m.MonthOn)
		p.MonthDeposit = append(p.MonthDeposit, int64(m.Deposit))
		p.MonthDisbursement = append(p.MonthDisbursement, int64(m.Disbursement))
		p.MonthTarget = append(p.MonthTarget, int64(m.Target))
		p.MonthProjected = append(p.MonthProjected, int64(m.Projected))
		p.MonthPayment = append(p.MonthPayment, int64(m.Payment))
		p.MonthExpected = append(p.MonthExpected, int64(m.Expected))
	}
	return nil
}

// refund returns what is to be paid to the borrower because of the analysis. What
// is left when a loan is paid off is refunded because of that, with or without an
// analysis.
func (a *analysis) refund() (mortgage.Cents, mortgage.Date) {
	h := &a.result.SurplusHandling
	if a.dryRun || a.kind == mortgage.EscrowPayoff || h.Action != mortgage.EscrowRefund {
		return 0, 0
	}
	return h.Amount, h.DueOn
}

// apply makes the new payment part of the loan's terms. What was posted before and
// would have been otherwise is reversed and posted again.
func (w *analysisWriting) apply(ctx context.Context, q *queries.Queries, a *analysis) error {
	l := a.loan
	terms, changes := l.terms.WithEscrowPayments(a.result.Payments)
	for _, c := range changes {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make change id: %w", err)
		}
		p := &w.payments
		p.ID = append(p.ID, id)
		p.LoanID = append(p.LoanID, l.id)
		p.DueOn = append(p.DueOn, c.DueOn)
		p.EscrowPayment = append(p.EscrowPayment, int64(*c.EscrowPayment))
		p.RequestedBy = append(p.RequestedBy, a.cause())
	}
	w.terms.LoanID = append(w.terms.LoanID, l.id)
	w.terms.StartOn = append(w.terms.StartOn, a.startOn)
	w.terms.Changed = append(w.terms.Changed, len(changes) > 0)
	if len(changes) == 0 {
		return nil
	}
	l.terms = terms
	w.changed[l.id] = terms.Changes
	if !a.reaches(changes[0].DueOn) {
		return nil
	}
	h, err := l.history(ctx, q)
	if err != nil {
		return err
	}
	_, err = l.correct(ctx, q, w.ledger, h, a.cause())
	return err
}

// reaches says whether the books may be others with a change from the installment
// on: it is satisfied already, or money that is there, or was, might have satisfied
// it. It errs on the side of looking.
func (a *analysis) reaches(dueOn mortgage.Date) bool {
	s := &a.loan.state
	return dueOn < s.NextDueOn || dueOn == s.NextDueOn && (a.tried || s.Suspense > 0)
}

// write writes all that was gathered, in a constant number of statements.
func (w *analysisWriting) write(ctx context.Context, q *queries.Queries) error {
	if err := AllowRows(ctx, q, len(w.made.ID)); err != nil {
		return err
	}
	made, err := q.WriteEscrowAnalyses(ctx, w.made)
	if err != nil {
		return fmt.Errorf("write analyses: %w", err)
	}
	if made != int64(len(w.made.ID)) {
		return broken(fmt.Errorf("%d of %d analyses were written", made, len(w.made.ID)))
	}
	if err := announce(ctx, q, w.events...); err != nil {
		return err
	}
	if len(w.ledger.params.LoanID) > 0 {
		if err := w.ledger.write(ctx, q); err != nil {
			return err
		}
	}
	if len(w.payments.ID) > 0 {
		if _, err := q.PostEscrowPayments(ctx, w.payments); err != nil {
			return fmt.Errorf("post escrow payments: %w", err)
		}
	}
	if len(w.terms.LoanID) == 0 {
		return nil
	}
	if err := AllowRows(ctx, q, len(w.terms.LoanID)); err != nil {
		return err
	}
	stored, err := q.WriteEscrowTerms(ctx, w.terms)
	if err != nil {
		return fmt.Errorf("write terms: %w", err)
	}
	if len(stored) != len(w.terms.LoanID) {
		return broken(fmt.Errorf("the terms of %d of %d loans were written", len(stored), len(w.terms.LoanID)))
	}
	for _, row := range stored {
		if want, ok := w.changed[row.ID]; ok && !reflect.DeepEqual(row.TermsChanges, want) {
			return broken(fmt.Errorf("the terms of loan %d would be stored as %+v, and are %+v",
				row.ID, row.TermsChanges, want))
		}
	}
	return nil
}
