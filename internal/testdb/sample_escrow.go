package testdb

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// EscrowBill stores the bill of a line's cycle, as the line has it, and returns its
// row.
func EscrowBill(
	t testing.TB, db queries.DBTX, line int64, edits ...func(*queries.InsertEscrowBillParams),
) queries.EscrowBill {
	t.Helper()
	q := queries.New(db)
	of, err := q.GetEscrowLine(t.Context(), line)
	if err != nil {
		t.Fatalf("testdb: get escrow line: %v", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: bill id: %v", err)
	}
	arg := queries.InsertEscrowBillParams{
		ID: id, LineID: line, LoanID: of.LoanID, DueOn: of.NextDueOn, DiscountOn: 0, PenaltyOn: 0,
		AmountCents: of.AmountCents, DiscountCents: 0, InsuranceCanceled: false, RequestedBy: "testdb",
		CycleOn: of.NextDueOn, BasisRule: nil,
	}
	for _, edit := range edits {
		edit(&arg)
	}
	bill, err := q.InsertEscrowBill(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert escrow bill: %v", err)
	}
	return bill
}

// Analysis stores a finished analysis that found a surplus to be refunded by the day,
// and returns its id.
func Analysis(t testing.TB, db queries.DBTX, loan queries.Loan, refund mortgage.Cents, dueOn string) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: analysis id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	_, err = db.Exec(t.Context(), `
INSERT INTO escrow_analyses (id, loan_id, kind, status, dry_run, as_of_on, requested_by, idempotency_key, request_hash,
  finished_at, request, result, refund_cents, refund_due_on)
VALUES ($1, $2, 'on_demand', 'finished', false, $4::date - 30, 'testdb', $6, $5, now(), '{}', '{}', $3, $4)`,
		id, loan.ID, refund, Date(dueOn), hash[:], id.String())
	if err != nil {
		t.Fatalf("testdb: insert analysis: %v", err)
	}
	return id
}

// EscrowReturn stores a wish that a disbursement be booked back as of the day, and
// returns its row.
func EscrowReturn(t testing.TB, db queries.DBTX, disbursement uuid.UUID, on string) queries.EscrowReturn {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: return id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	row, err := queries.New(db).InsertEscrowReturn(t.Context(), queries.InsertEscrowReturnParams{
		ID: id, DisbursementID: disbursement, ReturnedOn: Date(on), Reason: "R04", RequestedBy: "testdb",
		IdempotencyKey: id.String(), RequestHash: hash[:],
	})
	if err != nil {
		t.Fatalf("testdb: insert return: %v", err)
	}
	return row
}

// EscrowPayments stores what follows a bill: that it was paid, in a file, and came
// back, the payee's account and the servicer's policy.
func EscrowPayments(t testing.TB, db queries.DBTX, bill queries.EscrowBill) {
	t.Helper()
	q := queries.New(db)
	_, err := q.InsertEscrowPayee(t.Context(), queries.InsertEscrowPayeeParams{
		Name: Unique("County"), RoutingNumber: "021000021", AccountNumber: "123456789", AccountKind: "checking",
		RequestedBy: "testdb",
	})
	if err != nil {
		t.Fatalf("testdb: insert payee: %v", err)
	}
	err = q.InsertEscrowPaymentPolicy(t.Context(), queries.InsertEscrowPaymentPolicyParams{
		Overdue: "advance", StaleAfterDays: 10, BankRouting: "", BankName: "", CompanyID: "", CompanyName: "",
		RequestedBy: "testdb",
	})
	if err != nil {
		t.Fatalf("testdb: insert payment policy: %v", err)
	}
	content := []byte("file\n")
	sum := sha256.Sum256(content)
	file, err := q.InsertEscrowFile(t.Context(), queries.InsertEscrowFileParams{
		ID: uuid.New(), Format: "csv", Content: content, Sha256: sum[:], Items: 1, TotalCents: bill.AmountCents,
		RequestedBy: "testdb", IdempotencyKey: Unique("file"), RequestHash: sum[:], CreatedAt: BoardedAt,
	})
	if err != nil {
		t.Fatalf("testdb: insert file: %v", err)
	}
	var disbursement uuid.UUID
	err = db.QueryRow(t.Context(), `
INSERT INTO escrow_disbursements (id, loan_id, kind, bill_id, status, payee, amount_cents, rule, due_on, paid_on,
  file_id, sent_at, caused_by, posted_at)
VALUES (gen_random_uuid(), $1, 'bill', $2, 'sent', 'County', $3, 'test', $4, $4, $5, now(), 'testdb', now())
RETURNING id`, bill.LoanID, bill.ID, bill.AmountCents, bill.DueOn, file.ID).Scan(&disbursement)
	if err != nil {
		t.Fatalf("testdb: insert disbursement: %v", err)
	}
	EscrowReturn(t, db, disbursement, "2026-02-20")
}
