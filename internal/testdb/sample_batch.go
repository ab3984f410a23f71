package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// PaymentBatch stores a file of which each payment is an item, on lines 2, 3
// and so on, and returns its row. Only the payments' loans must exist.
func PaymentBatch(t testing.TB, db queries.DBTX, payments ...queries.Payment) queries.PaymentBatch {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: batch id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	var items queries.InsertPaymentBatchItemsParams
	items.BatchID = id
	var total mortgage.Cents
	for i, p := range payments {
		total += p.AmountCents
		items.Lines = append(items.Lines, int32(i)+2)
		items.LoanNumbers = append(items.LoanNumbers, "sample")
		items.Amounts = append(items.Amounts, int64(p.AmountCents))
		items.ReceivedOn = append(items.ReceivedOn, p.ReceivedOn)
		items.Channels = append(items.Channels, string(p.Channel))
		items.Designations = append(items.Designations, string(p.Designation))
		items.ExternalRefs = append(items.ExternalRefs, p.ID.String())
		items.Statuses = append(items.Statuses, string(queries.PaymentBatchItemStatusStored))
		items.Reasons = append(items.Reasons, "")
		items.LoanIds = append(items.LoanIds, p.LoanID)
		items.PaymentIds = append(items.PaymentIds, p.ID.String())
	}
	q := queries.New(db)
	batch, err := q.InsertPaymentBatch(t.Context(), queries.InsertPaymentBatchParams{
		ID: id, Format: queries.PaymentFileFormatCsv, Sha256: hash[:], Items: int32(len(payments)), TotalCents: total,
		RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	})
	if err != nil {
		t.Fatalf("testdb: insert batch: %v", err)
	}
	if err := q.InsertPaymentBatchItems(t.Context(), items); err != nil {
		t.Fatalf("testdb: insert batch items: %v", err)
	}
	return batch
}
