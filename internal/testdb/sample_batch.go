package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// PaymentBatch stores a file of which each payment is an item, on lines 2, 3
// and so on, and returns its row. Only the payments' loans must exist. Without
// payments it is for Return to fill.
func PaymentBatch(t testing.TB, db queries.DBTX, payments ...queries.Payment) queries.PaymentBatch {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: batch id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	var items []queries.InsertPaymentBatchItemsParams
	var total mortgage.Cents
	for i, p := range payments {
		total += p.AmountCents
		items = append(items, queries.InsertPaymentBatchItemsParams{
			BatchID: id, Line: int32(i) + 2, LoanNumber: "sample", AmountCents: p.AmountCents, ReceivedOn: p.ReceivedOn,
			Channel: p.Channel, Designation: p.Designation, ExternalRef: p.ID.String(),
			Status: queries.PaymentBatchItemStatusStored, Reason: nil, LoanID: &p.LoanID, PaymentID: &p.ID,
			ReturnCode: nil, OriginalTrace: nil, ReturnedPaymentID: nil,
		})
	}
	q := queries.New(db)
	batch, err := q.InsertPaymentBatch(t.Context(), queries.InsertPaymentBatchParams{
		ID: id, Format: queries.PaymentFileFormatCsv, Sha256: hash[:],
		Items: int32(max(1, len(payments))), TotalCents: max(1, total),
		RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	})
	if err != nil {
		t.Fatalf("testdb: insert batch: %v", err)
	}
	if _, err := q.InsertPaymentBatchItems(t.Context(), items); err != nil {
		t.Fatalf("testdb: insert batch items: %v", err)
	}
	return batch
}

// Return stores an item of the batch, on the given line, that returns the
// payment for want of funds, and waits.
func Return(t testing.TB, db queries.DBTX, batch queries.PaymentBatch, line int32, payment queries.Payment) {
	t.Helper()
	code, trace := "R01", "123456780000001"
	item := queries.InsertPaymentBatchItemsParams{
		BatchID: batch.ID, Line: line, LoanNumber: "sample", AmountCents: payment.AmountCents,
		ReceivedOn: payment.ReceivedOn, Channel: payment.Channel, Designation: payment.Designation,
		ExternalRef: Unique("return"), Status: queries.PaymentBatchItemStatusStored, Reason: nil,
		LoanID: &payment.LoanID, PaymentID: nil, ReturnCode: &code, OriginalTrace: &trace, ReturnedPaymentID: &payment.ID,
	}
	_, err := queries.New(db).InsertPaymentBatchItems(t.Context(), []queries.InsertPaymentBatchItemsParams{item})
	if err != nil {
		t.Fatalf("testdb: insert return: %v", err)
	}
}
