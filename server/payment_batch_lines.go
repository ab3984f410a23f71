package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"loanserve/internal/remittance"
	"loanserve/mortgage"
	"loanserve/queries"
)

// Why an item of a file is an exception, by the code that is stored with it and
// explained in docs/problems.md. Those of a return are with the returns.
const (
	exceptionUnknownLoan = "unknown_loan"
	exceptionDuplicate   = "duplicate"
)

// storing is a file on its way into the database, within one transaction.
type storing struct {
	q     *queries.Queries
	batch queries.PaymentBatch

	post  []int32 // lines of payments that are to be posted
	known bool    // some returns mean a payment that is known
	wait  []int32 // lines of those returns whose payment is to be posted first
}

// row returns an item as it is stored with what was made of it, before that is
// known. A loan is 0 where there is none of the item's number.
func (s *storing) row(item *remittance.Item, loan int64) queries.InsertPaymentBatchItemsParams {
	row := queries.InsertPaymentBatchItemsParams{
		BatchID: s.batch.ID, Line: int32(item.Line), LoanNumber: item.LoanNumber, AmountCents: item.AmountCents,
		ReceivedOn: item.ReceivedOn, Channel: queries.PaymentChannel(item.Channel),
		Designation: mortgage.Designation(item.Designation), ExternalRef: item.ExternalRef,
		Status: queries.PaymentBatchItemStatusStored, Reason: nil, LoanID: nil, PaymentID: nil,
		ReturnCode: nil, OriginalTrace: nil, ReturnedPaymentID: nil,
	}
	if loan != 0 {
		row.LoanID = &loan
	}
	if item.Return != nil {
		row.ReturnCode, row.OriginalTrace = &item.Return.Code, &item.Return.OriginalTrace
	}
	return row
}

// except makes an item one that a person decides.
func except(row *queries.InsertPaymentBatchItemsParams, reason string) {
	row.Status, row.Reason = queries.PaymentBatchItemStatusException, &reason
}

// payments stores items that are payments, with the payments of those whose loan
// exists.
func (s *storing) payments(ctx context.Context, items []remittance.Item) error {
	loanOf, err := s.findLoans(ctx, items)
	if err != nil {
		return err
	}
	ids, stored, err := s.storePayments(ctx, items, loanOf)
	if err != nil {
		return err
	}
	rows := make([]queries.InsertPaymentBatchItemsParams, len(items))
	for i := range items {
		item := &items[i]
		loan := loanOf[item.LoanNumber]
		rows[i] = s.row(item, loan)
		switch {
		case loan == 0:
			except(&rows[i], exceptionUnknownLoan)
		case !stored[ids[i]]:
			except(&rows[i], exceptionDuplicate)
		default:
			rows[i].PaymentID = &ids[i]
			s.post = append(s.post, int32(item.Line))
		}
	}
	return s.storeItems(ctx, rows)
}

func (s *storing) storeItems(ctx context.Context, rows []queries.InsertPaymentBatchItemsParams) error {
	if _, err := s.q.InsertPaymentBatchItems(ctx, rows); err != nil {
		return fmt.Errorf("insert items: %w", err)
	}
	return nil
}

// findLoans returns the loans of the items by number. A loan is found letter for
// letter, or not at all: nothing is guessed.
func (s *storing) findLoans(ctx context.Context, items []remittance.Item) (map[string]int64, error) {
	numbers := make([]string, len(items))
	for i := range items {
		numbers[i] = items[i].LoanNumber
	}
	loans, err := s.q.ListLoanIDs(ctx, numbers)
	if err != nil {
		return nil, fmt.Errorf("find loans: %w", err)
	}
	loanOf := make(map[string]int64, len(loans))
	for _, l := range loans {
		loanOf[l.LoanNumber] = l.ID
	}
	return loanOf, nil
}

// storePayments stores payments for the items whose loan exists. It returns the
// id made for each item, and which of them were stored: a payment whose loan
// has its reference from this channel was not.
func (s *storing) storePayments(
	ctx context.Context, items []remittance.Item, loanOf map[string]int64,
) (ids []uuid.UUID, stored map[uuid.UUID]bool, err error) {
	ids = make([]uuid.UUID, len(items))
	var arg queries.InsertBatchPaymentsParams
	arg.RequestedBy, arg.BatchID, arg.RequestHash = s.batch.RequestedBy, s.batch.ID, s.batch.Sha256
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
	rows, err := s.q.InsertBatchPayments(ctx, arg)
	if err != nil {
		return nil, nil, fmt.Errorf("insert payments: %w", err)
	}
	stored = make(map[uuid.UUID]bool, len(rows))
	for _, id := range rows {
		stored[id] = true
	}
	return ids, stored, nil
}
