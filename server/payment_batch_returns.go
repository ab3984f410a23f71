package server

import (
	"context"
	"fmt"
	"slices"

	"loanserve/internal/remittance"
	"loanserve/queries"
)

// Why a return is an exception because it is not certain which payment it means.
// Why that payment cannot be reversed is for jobs.RequestReversals to say.
const (
	exceptionUnknownPayment   = "unknown_payment"
	exceptionAmountDiffers    = "amount_differs"
	exceptionAmbiguousPayment = "ambiguous_payment"
)

// mayReverse refuses who may submit payments and not reverse them: what a bank
// sends back needs nobody's approval, but not everybody speaks for the bank.
func mayReverse(ctx context.Context) error {
	if slices.Contains(PrincipalOf(ctx).Scopes, ScopePaymentsReverse) {
		return nil
	}
	return newProblem(kindForbidden, "Returns take the scope "+ScopePaymentsReverse+" as well, which you lack.").
		with("WWW-Authenticate", `Bearer realm="loanserve", error="insufficient_scope", scope="`+ScopePaymentsReverse+`"`)
}

// returns stores items that return payments, with the payment that each of them
// means. What is made of it is decided behind, for all of the file: some may
// return payments of the same file, and two may return the same one.
func (s *storing) returns(ctx context.Context, items []remittance.Item) error {
	loanOf, err := s.findLoans(ctx, items)
	if err != nil {
		return err
	}
	var arg queries.ListReturnedPaymentsParams
	for i := range items {
		item := &items[i]
		if loan := loanOf[item.LoanNumber]; loan != 0 {
			arg.Lines = append(arg.Lines, int32(item.Line))
			arg.LoanIds = append(arg.LoanIds, loan)
			arg.OriginalTraces = append(arg.OriginalTraces, item.Return.OriginalTrace)
			arg.ReceivedOn = append(arg.ReceivedOn, item.ReceivedOn)
		}
	}
	found, err := s.q.ListReturnedPayments(ctx, arg)
	if err != nil {
		return fmt.Errorf("find returned payments: %w", err)
	}
	candidates := map[int32][]queries.ListReturnedPaymentsRow{}
	for _, c := range found {
		candidates[c.Line] = append(candidates[c.Line], c)
	}
	rows := make([]queries.InsertPaymentBatchItemsParams, len(items))
	for i := range items {
		item := &items[i]
		loan := loanOf[item.LoanNumber]
		rows[i] = s.row(item, loan)
		if loan == 0 {
			except(&rows[i], exceptionUnknownLoan)
			continue
		}
		payment, reason := meantBy(item, candidates[int32(item.Line)])
		if reason != "" {
			except(&rows[i], reason)
			continue
		}
		rows[i].ReturnedPaymentID = &payment.ID
		s.known = true
		if payment.Status == queries.PaymentStatusReceived {
			s.wait = append(s.wait, int32(item.Line))
		}
	}
	return s.storeItems(ctx, rows)
}

// meantBy returns the payment that a return means among those that it may mean,
// of which the newest comes first, or why that is not certain.
//
// Senders use their trace numbers again, often every month for the same loan and
// the same amount. A bank has two banking days for most returns: they mean the
// newest such payment, whatever became of it. What may come weeks later is
// certain only where there is one. In neither case is an older payment taken
// because the newest is reversed already: when a return is sent twice, the older
// one is not what it means.
func meantBy(
	item *remittance.Item, candidates []queries.ListReturnedPaymentsRow,
) (payment queries.ListReturnedPaymentsRow, reason string) {
	if len(candidates) == 0 {
		return payment, exceptionUnknownPayment
	}
	same := 0
	for _, c := range candidates {
		if c.AmountCents != item.AmountCents {
			continue
		}
		if same++; same == 1 {
			payment = c
		}
	}
	switch {
	case same == 0:
		return payment, exceptionAmountDiffers
	case same > 1 && item.Return.Late():
		return payment, exceptionAmbiguousPayment
	default:
		return payment, ""
	}
}
