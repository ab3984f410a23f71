package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"loanserve/internal/remittance"
	"loanserve/queries"
)

// Why an item of a file is an exception, by the code that is stored with it and
// explained in docs/problems.md.
const (
	exceptionUnknownLoan = "unknown_loan"
	exceptionDuplicate   = "duplicate"
)

// storeItems stores items of a file, and payments for those whose loan exists,
// and returns the lines of the payments. A loan is found by its number, letter
// for letter, or not at all: nothing is guessed.
func storeItems(
	ctx context.Context, q *queries.Queries, batch queries.PaymentBatch, items []remittance.Item,
) ([]int32, error) {
	numbers := make([]string, len(items))
	for i := range items {
		numbers[i] = items[i].LoanNumber
	}
	loans, err := q.ListLoanIDs(ctx, numbers)
	if err != nil {
		return nil, fmt.Errorf("find loans: %w", err)
	}
	loanOf := make(map[string]int64, len(loans))
	for _, l := range loans {
		loanOf[l.LoanNumber] = l.ID
	}
	ids, stored, err := storePayments(ctx, q, batch, items, loanOf)
	if err != nil {
		return nil, err
	}
	var lines []int32
	var arg queries.InsertPaymentBatchItemsParams
	arg.BatchID = batch.ID
	for i := range items {
		item := &items[i]
		status, reason, payment := queries.PaymentBatchItemStatusException, "", ""
		switch loan := loanOf[item.LoanNumber]; {
		case loan == 0:
			reason = exceptionUnknownLoan
		case !stored[ids[i]]:
			reason = exceptionDuplicate
		default:
			status, payment = queries.PaymentBatchItemStatusStored, ids[i].String()
			lines = append(lines, int32(item.Line))
		}
		arg.Lines = append(arg.Lines, int32(item.Line))
		arg.LoanNumbers = append(arg.LoanNumbers, item.LoanNumber)
		arg.Amounts = append(arg.Amounts, int64(item.AmountCents))
		arg.ReceivedOn = append(arg.ReceivedOn, item.ReceivedOn)
		arg.Channels = append(arg.Channels, item.Channel)
		arg.Designations = append(arg.Designations, item.Designation)
		arg.ExternalRefs = append(arg.ExternalRefs, item.ExternalRef)
		arg.Statuses = append(arg.Statuses, string(status))
		arg.Reasons = append(arg.Reasons, reason)
		arg.LoanIds = append(arg.LoanIds, loanOf[item.LoanNumber])
		arg.PaymentIds = append(arg.PaymentIds, payment)
	}
	if err := q.InsertPaymentBatchItems(ctx, arg); err != nil {
		return nil, fmt.Errorf("insert items: %w", err)
	}
	return lines, nil
}

// storePayments stores payments for the items whose loan exists. It returns the
// id made for each item, and which of them were stored: a payment whose loan
// has its reference from this channel was not.
func storePayments(
	ctx context.Context, q *queries.Queries, batch queries.PaymentBatch, items []remittance.Item, loanOf map[string]int64,
) (ids []uuid.UUID, stored map[uuid.UUID]bool, err error) {
	ids = make([]uuid.UUID, len(items))
	var arg queries.InsertBatchPaymentsParams
	arg.RequestedBy, arg.BatchID, arg.RequestHash = batch.RequestedBy, batch.ID, batch.Sha256
	for i := range items {
		item := &items[i]
		loan, known := loanOf[item.LoanNumber]
		if !known {
			continue
		}
		// Ids grow with the lines, and so a loan's payments of one day are
		// posted in the order of the file.
		if ids[i], err = uuid.NewV7(); err != nil {
			return nil, nil, fmt.Errorf("make payment id: %w", err)
		}
		arg.Ids = append(arg.Ids, ids[i])
		arg.Lines = append(arg.Lines, int32(item.Line))
		arg.LoanIds = append(arg.LoanIds, loan)
		arg.Amounts = append(arg.Amounts, int64(item.AmountCents))
		arg.ReceivedOn = append(arg.ReceivedOn, item.ReceivedOn)
		arg.Channels = append(arg.Channels, item.Channel)
		arg.Designations = append(arg.Designations, item.Designation)
		arg.ExternalRefs = append(arg.ExternalRefs, item.ExternalRef)
	}
	rows, err := q.InsertBatchPayments(ctx, arg)
	if err != nil {
		return nil, nil, fmt.Errorf("insert payments: %w", err)
	}
	stored = make(map[uuid.UUID]bool, len(rows))
	for _, id := range rows {
		stored[id] = true
	}
	return ids, stored, nil
}
