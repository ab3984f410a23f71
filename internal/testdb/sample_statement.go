package testdb

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// EscrowRequest is the account of 12 CFR 1024, appendix E, with a balance on the last
// day of June 2026: it needs 1,040.00, and 130.00 a month. Until then 125.00 were paid.
func EscrowRequest(balance mortgage.Cents) mortgage.EscrowRequest {
	bill := func(on string, cents mortgage.Cents) mortgage.EscrowBill {
		return mortgage.EscrowBill{DueOn: Date(on), Known: &cents}
	}
	return mortgage.EscrowRequest{
		Kind: mortgage.EscrowAnnual, AsOf: Date("2026-06-30"), Policy: mortgage.DefaultEscrowPolicy(),
		Items: []mortgage.EscrowItem{
			{
				Kind: mortgage.EscrowCountyTax, Payee: "Sangamon County", EveryMonths: 12,
				Bills: []mortgage.EscrowBill{bill("2026-07-25", 500_00), bill("2026-12-10", 700_00)},
			},
			{
				Kind: mortgage.EscrowSchoolTax, Payee: "School District 186", EveryMonths: 12,
				Bills: []mortgage.EscrowBill{bill("2026-09-20", 360_00)},
			},
		},
		StartOn: Date("2026-07-01"), DueDay: 1, NextDueOn: Date("2026-07-01"), Payment: 125_00,
		Account: mortgage.EscrowAccount{On: Date("2026-06-30"), Balance: balance, NextDueOn: Date("2026-07-01")},
	}
}

// AnalyzedEscrow stores a finished analysis of the loan, and returns its row. The
// edits change the row before it is stored.
func AnalyzedEscrow(
	t testing.TB, db queries.DBTX, loan queries.Loan, r mortgage.EscrowRequest, edits ...func(*queries.EscrowAnalysis),
) queries.EscrowAnalysis {
	t.Helper()
	a, err := mortgage.AnalyzeEscrow(r)
	if err != nil {
		t.Fatalf("testdb: analyze escrow: %v", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("testdb: analysis id: %v", err)
	}
	row := queries.EscrowAnalysis{
		ID: id, LoanID: loan.ID, Kind: queries.EscrowAnalysisKind(r.Kind), AsOfOn: r.AsOf, StartOn: r.StartOn,
		StatementDueOn: a.StatementDueOn, Request: &r, Result: &a,
	}
	for _, edit := range edits {
		edit(&row)
	}
	request, err := json.Marshal(row.Request)
	if err == nil {
		var result []byte
		if result, err = json.Marshal(row.Result); err == nil {
			err = insertAnalysis(t.Context(), db, &row, request, result)
		}
	}
	if err != nil {
		t.Fatalf("testdb: insert analysis: %v", err)
	}
	return row
}

func insertAnalysis(
	ctx context.Context, db queries.DBTX, row *queries.EscrowAnalysis, request, result []byte,
) error {
	hash := sha256.Sum256(row.ID[:])
	_, err := db.Exec(ctx, `
INSERT INTO escrow_analyses (id, loan_id, kind, status, dry_run, as_of_on, start_on, requested_by, idempotency_key,
  request_hash, finished_at, request, result, statement_due_on)
VALUES ($1, $2, $3, 'finished', $4, $5, $6, 'testdb', $7, $8, clock_timestamp(), $9, $10, $11)`,
		row.ID, row.LoanID, row.Kind, row.DryRun, row.AsOfOn, row.StartOn, row.ID.String(), hash[:],
		request, result, row.StatementDueOn)
	return err
}

// EscrowStatement stores a statement of an analysis whose three forms are one small
// document each.
func EscrowStatement(t testing.TB, db queries.DBTX, analysis queries.EscrowAnalysis) {
	t.Helper()
	loan := queries.Loan{ID: analysis.LoanID}
	err := queries.New(db).InsertEscrowStatement(t.Context(), queries.InsertEscrowStatementParams{
		AnalysisID: analysis.ID, LoanID: loan.ID,
		HtmlID: Document(t, db, loan), PdfID: Document(t, db, loan), JsonID: Document(t, db, loan),
	})
	if err != nil {
		t.Fatalf("testdb: insert statement: %v", err)
	}
}

// Disburse takes money from the loan's escrow account, and what it lacks from the
// servicer, as of a day.
func Disburse(t testing.TB, db Beginner, loan int64, d mortgage.Disbursement) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error { return disburse(t.Context(), tx, loan, d) })
	if err != nil {
		t.Fatalf("testdb: disburse: %v", err)
	}
}

func disburse(ctx context.Context, tx pgx.Tx, id int64, d mortgage.Disbursement) error {
	loan, err := queries.New(tx).GetLoan(ctx, id)
	if err != nil {
		return fmt.Errorf("get loan: %w", err)
	}
	s := mortgage.State{
		Principal: loan.PrincipalCents, Escrow: loan.EscrowCents, EscrowAdvance: loan.EscrowAdvanceCents,
		NextDueOn: loan.NextDueOn,
	}
	after, entries, err := d.Happen(mortgage.Terms{}, s)
	if err != nil {
		return err
	}
	e := entries[0]
	at := time.Now().UTC().Truncate(time.Microsecond)
	row := mortgage.Transaction{
		LoanID: id, Seq: loan.LastSeq + 1, PostedAt: at.UnixMicro(), CausedBy: "testdb", Entry: e,
	}
	hash := row.Seal(mortgage.Hash(loan.LastHash))
	_, err = tx.Exec(ctx, `
INSERT INTO transactions (loan_id, seq, kind, effective_on, posted_at, cash_cents, principal_cents,
  interest_income_cents, escrow_cents, suspense_cents, late_charges_receivable_cents, late_charge_income_cents,
  fees_receivable_cents, fee_income_cents, escrow_advance_cents, boarding_clearing_cents, rule, caused_by, hash)
VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, 0, 0, 0, 0, 0, $8, 0, $9, 'testdb', $10)`,
		id, row.Seq, e.Kind, e.EffectiveOn, at, e.Cash, e.Escrow, e.EscrowAdvance, e.Rule, hash[:])
	if err != nil {
		return fmt.Errorf("insert transaction: %w", err)
	}
	_, err = tx.Exec(ctx, `
UPDATE loans SET escrow_cents = $2, escrow_advance_cents = $3, last_seq = $4, last_hash = $5 WHERE id = $1`,
		id, after.Escrow, after.EscrowAdvance, row.Seq, hash[:])
	if err != nil {
		return fmt.Errorf("update loan: %w", err)
	}
	return nil
}
