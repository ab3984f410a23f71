package testdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// BoardedAt is when Loan boards unless told otherwise. The first installment
// after it falls due on 2026-02-01.
var BoardedAt = time.Date(2026, time.January, 15, 16, 30, 0, 123456000, time.UTC)

// Beginner begins a transaction: Tx or a pool.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Loan boards a plausible loan with its property and its first transaction, and
// returns its row. It is a thirty-year loan at 6.5 % that came over after five
// years: 300,000.00 originally, of which 280,000.00 is unpaid, with 1,200.00 in
// escrow and nothing in suspense. The edits change what is inserted, before the
// books are opened with what they leave.
func Loan(t testing.TB, db Beginner, edits ...func(*queries.InsertLoanParams)) queries.Loan {
	t.Helper()
	var loan queries.Loan
	err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) (err error) {
		loan, err = board(t.Context(), queries.New(tx), edits)
		return err
	})
	if err != nil {
		t.Fatalf("testdb: board loan: %v", err)
	}
	return loan
}

func board(ctx context.Context, q *queries.Queries, edits []func(*queries.InsertLoanParams)) (queries.Loan, error) {
	property, err := q.InsertProperty(ctx, queries.InsertPropertyParams{
		Street: "1 Main Street", City: "Springfield", State: "IL", PostalCode: "62701",
	})
	if err != nil {
		return queries.Loan{}, fmt.Errorf("insert property: %w", err)
	}
	arg := sampleLoan(property)
	for _, edit := range edits {
		edit(&arg)
	}
	arg.BoardedAt = arg.BoardedAt.Truncate(time.Microsecond) // As the database keeps it.
	loan, err := q.InsertLoan(ctx, arg)
	if err != nil {
		return queries.Loan{}, fmt.Errorf("insert loan: %w", err)
	}
	first := mortgage.Transaction{
		LoanID: loan.ID, Seq: 1, PostedAt: arg.BoardedAt.UnixMicro(), CausedBy: arg.BoardedBy,
		Entry: mortgage.Boarding(mortgage.State{
			Principal: arg.PrincipalCents, Escrow: arg.EscrowCents, EscrowAdvance: arg.EscrowAdvanceCents,
			Suspense:       arg.SuspenseCents,
			LateChargesDue: arg.LateChargesDueCents, FeesDue: arg.FeesDueCents, NextDueOn: arg.NextDueOn,
		}, mortgage.DateOf(arg.BoardedAt)),
	}
	hash := first.Seal(mortgage.Hash{})
	err = q.OpenBooks(ctx, queries.OpenBooksParams{
		LoanID: loan.ID, EffectiveOn: first.EffectiveOn, PostedAt: arg.BoardedAt,
		PrincipalCents: first.Principal, EscrowCents: first.Escrow, SuspenseCents: first.Suspense,
		LateChargesReceivableCents: first.LateChargesReceivable, FeesReceivableCents: first.FeesReceivable,
		EscrowAdvanceCents:    first.EscrowAdvance,
		BoardingClearingCents: first.BoardingClearing,
		Rule:                  string(first.Rule), CausedBy: first.CausedBy, Hash: hash[:],
	})
	if err != nil {
		return queries.Loan{}, fmt.Errorf("open books: %w", err)
	}
	return q.GetLoan(ctx, loan.ID)
}

func sampleLoan(property int64) queries.InsertLoanParams {
	number := Unique("T")
	hash := sha256.Sum256([]byte(number))
	return queries.InsertLoanParams{
		LoanNumber:                number,
		Name:                      "Sample loan " + number,
		PropertyID:                property,
		OriginalPrincipalCents:    300_000_00,
		RatePpm:                   65_000,
		PrincipalAndInterestCents: 1_896_20, // What the formula gives for 360 months.
		EscrowPaymentCents:        450_00,
		OriginatedOn:              Date("2020-12-18"),
		MaturityOn:                Date("2051-01-01"),
		DueDay:                    1,
		InterestMethod:            mortgage.ScheduledInterest,
		ApplicationOrder:          mortgage.ConventionalOrder,
		ExcessPolicy:              mortgage.ExcessToPrincipal,
		Rounding:                  mortgage.RoundHalfUp,
		LateChargeGraceDays:       15,
		LateChargeRatePpm:         50_000,
		LateChargeMinimumCents:    0,
		LateChargeMaximumCents:    nil,
		LateChargeExtends:         false,
		ShortPayoffPolicy:         mortgage.RefuseShortPayoff,
		NextDueOn:                 Date("2026-02-01"),
		BoardedAt:                 BoardedAt,
		BoardedBy:                 "testdb",
		IdempotencyKey:            nil,
		RequestHash:               hash[:],
		PrincipalCents:            280_000_00,
		EscrowCents:               1_200_00,
		EscrowAdvanceCents:        0,
		SuspenseCents:             0,
		LateChargesDueCents:       0,
		FeesDueCents:              0,
		ReturnedPaymentFeeCents:   0,
		InterestAccruedToOn:       0,
		AccruedInterestCents:      0,
	}
}

// Payment stores a payment that waits to be posted and returns its row: what a
// sample loan's installment comes to, received by ACH on the loan's next due
// date.
func Payment(
	t testing.TB, db queries.DBTX, loan queries.Loan, edits ...func(*queries.InsertPaymentParams),
) queries.Payment {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: payment id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	arg := queries.InsertPaymentParams{
		ID: id, LoanID: loan.ID, AmountCents: loan.PrincipalAndInterestCents + loan.EscrowPaymentCents,
		ReceivedOn: loan.NextDueOn, ReceivedAt: nil, Channel: queries.PaymentChannelAch, Designation: mortgage.ForPeriodic,
		ExternalRef: nil, RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	}
	for _, edit := range edits {
		edit(&arg)
	}
	payment, err := queries.New(db).InsertPayment(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert payment: %v", err)
	}
	return payment
}

// Reversal stores a wish to reverse the payment, because it came back for want
// of funds, and returns its row.
func Reversal(
	t testing.TB, db queries.DBTX, payment queries.Payment, edits ...func(*queries.InsertPaymentReversalParams),
) queries.PaymentReversal {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: reversal id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	arg := queries.InsertPaymentReversalParams{
		ID: id, PaymentID: payment.ID, Reverses: nil, Reason: "R01", ReturnedOn: 0, Note: nil, ApprovalRequired: false,
		RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	}
	for _, edit := range edits {
		edit(&arg)
	}
	reversal, err := queries.New(db).InsertPaymentReversal(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert reversal: %v", err)
	}
	return reversal
}

// Undoing makes of a reversal one that undoes the other.
func Undoing(other queries.PaymentReversal) func(*queries.InsertPaymentReversalParams) {
	return func(p *queries.InsertPaymentReversalParams) { p.Reverses, p.Reason = &other.ID, "mistaken" }
}

// Run stores a wish that the day 2026-02-17 be closed, and returns its row.
func Run(t testing.TB, db queries.DBTX, edits ...func(*queries.InsertRunParams)) queries.Run {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: run id: %v", err)
	}
	hash := sha256.Sum256(id[:])
	arg := queries.InsertRunParams{
		ID: id, Kind: queries.RunKindCloseDay, AsOfOn: Date("2026-02-17"),
		RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: hash[:],
	}
	for _, edit := range edits {
		edit(&arg)
	}
	run, err := queries.New(db).InsertRun(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert run: %v", err)
	}
	return run
}

// RunChunk stores a part of the run: the loans from the first to the last.
func RunChunk(t testing.TB, db queries.DBTX, run queries.Run, first, last queries.Loan) {
	t.Helper()
	_, err := db.Exec(t.Context(), `
INSERT INTO run_chunks (run_id, first_loan_id, last_loan_id, loans)
VALUES ($1, $2::bigint, $3::bigint, $3::bigint - $2::bigint + 1)`,
		run.ID, first.ID, last.ID)
	if err != nil {
		t.Fatalf("testdb: insert run chunk: %v", err)
	}
}

// RunPurge stores that the run deletes what ended a day before it.
func RunPurge(t testing.TB, db queries.DBTX, run queries.Run) {
	t.Helper()
	const day = 24 * 60 * 60
	_, err := queries.New(db).InsertRunPurge(t.Context(), queries.InsertRunPurgeParams{
		RunID: run.ID, AgeSeconds: day, DryRun: false,
	})
	if err != nil {
		t.Fatalf("testdb: insert run purge: %v", err)
	}
}

// Borrower stores a person who is liable on the loan, and returns the id.
func Borrower(t testing.TB, db queries.DBTX, loan queries.Loan, role queries.BorrowerRole) int64 {
	t.Helper()
	q := queries.New(db)
	email := Unique("borrower") + "@example.com"
	id, err := q.InsertBorrower(t.Context(), queries.InsertBorrowerParams{
		FullName: "Pat Sample", Email: &email, Phone: nil,
	})
	if err != nil {
		t.Fatalf("testdb: insert borrower: %v", err)
	}
	err = q.InsertLoanBorrower(t.Context(), queries.InsertLoanBorrowerParams{
		LoanID: loan.ID, BorrowerID: id, Role: role,
	})
	if err != nil {
		t.Fatalf("testdb: insert loan borrower: %v", err)
	}
	return id
}

// EscrowLine stores a county tax of 1,800.00 that escrow pays twice a year, and
// returns the id.
func EscrowLine(
	t testing.TB, db queries.DBTX, loan queries.Loan, edits ...func(*queries.InsertEscrowLineParams),
) int64 {
	t.Helper()
	arg := queries.InsertEscrowLineParams{
		LoanID: loan.ID, Kind: queries.EscrowLineKindCountyTax, Payee: "Sangamon County",
		AmountCents: 1_800_00, EveryMonths: 6, NextDueOn: Date("2026-06-01"),
		KnownCents: nil, Comparable: false, NextDiscountOn: 0, NextPenaltyOn: 0, DiscountCents: 0, EndsOn: 0,
		LastPaidOn: 0, OutsideCushion: false,
	}
	for _, edit := range edits {
		edit(&arg)
	}
	line, err := queries.New(db).InsertEscrowLine(t.Context(), arg)
	if err != nil {
		t.Fatalf("testdb: insert escrow line: %v", err)
	}
	return line.ID
}

// Document stores a small document of the loan, and returns the id.
func Document(t testing.TB, db queries.DBTX, loan queries.Loan) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: document id: %v", err)
	}
	_, err = db.Exec(t.Context(), `
INSERT INTO documents (id, loan_id, kind, title, media_type, content, sha256)
SELECT $1, $2, 'note', 'Note', 'text/plain', c, sha256(c) FROM convert_to('A promise to pay.', 'UTF8') c`, id, loan.ID)
	if err != nil {
		t.Fatalf("testdb: insert document: %v", err)
	}
	return id
}

// Date reads YYYY-MM-DD and panics at anything else.
func Date(s string) mortgage.Date {
	d, err := mortgage.ParseDate(s)
	if err != nil {
		panic(fmt.Sprintf("testdb: date %q: %v", s, err))
	}
	return d
}

// Unique returns the prefix with something after it that no other call gives,
// for what must be unique in a database that tests share.
func Unique(prefix string) string { return prefix + "-" + rand.Text() }
