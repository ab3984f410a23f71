package jobs_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/loanrow"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// sendBack returns one of the payments that count, however old, for want of money.
func (l *life) sendBack(t *testing.T, db *pgxpool.Pool) error {
	t.Helper()
	if len(l.receipts) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, 0, len(l.receipts))
	for id := range l.receipts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	payment := pick(l.random, ids...)
	reversal := uuid.Must(uuid.NewV7())
	on := l.receipts[payment].ReceivedOn + mortgage.Date(l.random.IntN(60))
	_, err := queries.New(db).InsertPaymentReversal(t.Context(), queries.InsertPaymentReversalParams{
		ID: reversal, PaymentID: payment, Reason: "R01", ReturnedOn: on,
		RequestedBy: "replay", IdempotencyKey: reversal.String(), RequestHash: make([]byte, 32),
	})
	if err != nil {
		return err
	}
	job := &river.Job[jobs.ReversePaymentArgs]{Args: jobs.ReversePaymentArgs{ReversalID: reversal}}
	if err := (&jobs.ReversePayment{DB: db}).Work(t.Context(), job); err != nil {
		return err
	}
	l.back = append(l.back, takenBack{payment: payment, receipt: l.receipts[payment], reversal: reversal})
	delete(l.receipts, payment)
	if amount := l.loan.ReturnedPaymentFeeCents; amount > 0 {
		l.fees = append(l.fees, mortgage.Fee{
			Ref: reversal.String(), Amount: amount, ChargedOn: on, Rule: mortgage.RuleReturnedPaymentFee,
		})
	}
	l.happened[returned]++
	return nil
}

// takenBack is a payment that came back, and how.
type takenBack struct {
	payment, reversal uuid.UUID
	receipt           mortgage.Receipt
}

// countAgain undoes one of the reversals that are in force: it was a mistake, and
// so is its fee.
func (l *life) countAgain(t *testing.T, db *pgxpool.Pool) error {
	t.Helper()
	if len(l.back) == 0 {
		return nil
	}
	i := l.random.IntN(len(l.back))
	b := l.back[i]
	undoing := uuid.Must(uuid.NewV7())
	_, err := queries.New(db).InsertPaymentReversal(t.Context(), queries.InsertPaymentReversalParams{
		ID: undoing, PaymentID: b.payment, Reverses: &b.reversal, Reason: "mistaken",
		RequestedBy: "replay", IdempotencyKey: undoing.String(), RequestHash: make([]byte, 32),
	})
	if err != nil {
		return err
	}
	job := &river.Job[jobs.ReversePaymentArgs]{Args: jobs.ReversePaymentArgs{ReversalID: undoing}}
	if err := (&jobs.ReversePayment{DB: db}).Work(t.Context(), job); err != nil {
		return err
	}
	l.back = slices.Delete(l.back, i, i+1)
	l.receipts[b.payment] = b.receipt
	l.fees = slices.DeleteFunc(l.fees, func(f mortgage.Fee) bool { return f.Ref == b.reversal.String() })
	l.happened[restored]++
	return nil
}

// change changes the rate by agreement or by its index, the escrow payment, or
// waives a late charge, from an installment of the past or to come.
func (l *life) change(t *testing.T, db *pgxpool.Pool, month int) error {
	t.Helper()
	dueOn, err := l.boarded.NextDueOn.AddMonths(max(0, month-3+l.random.IntN(8)), l.terms.DueDay)
	if err != nil || dueOn > l.terms.MaturityOn {
		return err
	}
	// A payment that covers the interest of all principal at twelve percent does so
	// at every rate drawn here.
	most, err := mortgage.Rate(120_000).MonthInterest(l.boarded.Principal, mortgage.RoundUp)
	if err != nil {
		return err
	}
	edit := pick(l.random,
		rateChange(dueOn.String(), mortgage.Rate(l.random.Int64N(100_000)), most+mortgage.Cents(l.random.Int64N(500_00))),
		escrowChange(dueOn.String(), mortgage.Cents(l.random.Int64N(900_00))),
		waiver(dueOn.String()),
		indexChange(dueOn.String(), mortgage.Rate(l.random.Int64N(70_000))))
	row := testdb.LoanChange(t, db, l.loan, edit)
	if err := workChange(t.Context(), db, row.ID); err != nil {
		return err
	}
	row, err = queries.New(db).GetLoanChange(t.Context(), row.ID)
	if err != nil || row.Status != queries.LoanChangeStatusPosted {
		return err // Refused: no adjustable rate, not charged, paid off …
	}
	switch row.Kind {
	case queries.LoanChangeKindRateChange:
		l.terms = l.terms.WithRate(mortgage.RateChange{DueOn: row.DueOn, Rate: *row.RatePpm}).
			WithPayment(mortgage.PaymentChange{DueOn: row.DueOn, PrincipalAndInterest: row.PrincipalAndInterestCents})
	case queries.LoanChangeKindPaymentChange:
		l.terms = l.terms.WithPayment(mortgage.PaymentChange{DueOn: row.DueOn, EscrowPayment: row.EscrowPaymentCents})
	case queries.LoanChangeKindLateChargeWaiver:
		l.terms = l.terms.WithoutLateCharge(row.DueOn)
	}
	l.happened[changed]++
	return nil
}

// payBills pays what is due from escrow on a day for neighboring loans, in one chunk of
// a run.
func payBills(t *testing.T, db *pgxpool.Pool, lives []*life, on mortgage.Date) error {
	t.Helper()
	run := testdb.Run(t, db, disbursing(on.String()))
	testdb.RunChunk(t, db, run, lives[0].loan, lives[len(lives)-1].loan)
	_, err := db.Exec(t.Context(), `UPDATE runs SET status = 'running', started_at = now(),
  total = (SELECT sum(loans) FROM run_chunks WHERE run_id = $1) WHERE id = $1`, run.ID)
	if err != nil {
		return err
	}
	err = disburseChunk(t.Context(), db, jobs.DisburseEscrowChunkArgs{
		RunID: run.ID, FirstLoanID: lives[0].loan.ID, LastLoanID: lives[len(lives)-1].loan.ID,
	})
	if err != nil {
		return err
	}
	over, err := queries.New(db).GetRun(t.Context(), run.ID)
	if err == nil && over.Status != queries.RunStatusFinished {
		err = fmt.Errorf("the bills of %s are %s: %s", on, over.Status, over.Findings)
	}
	return err
}

// returnBill books back what paid one of the loan's bills, however old.
func (l *life) returnBill(t *testing.T, db *pgxpool.Pool) error {
	t.Helper()
	paid, err := queries.New(db).ListDisbursements(t.Context(), l.loan.ID)
	paid = slices.DeleteFunc(paid, func(d queries.ListDisbursementsRow) bool { return d.ReturnedOn != 0 })
	if err != nil || len(paid) == 0 {
		return err
	}
	d := pick(l.random, paid...)
	back := testdb.EscrowReturn(t, db, d.ID, (d.PaidOn + mortgage.Date(l.random.IntN(60))).String())
	bookBack(t, db, back.ID)
	row, err := queries.New(db).GetEscrowReturn(t.Context(), back.ID)
	if err == nil && row.Status == queries.EscrowReturnStatusPosted {
		l.happened[billReturned]++
	}
	return err
}

// moneyOut is what left the loan's escrow and came back, as its disbursements say.
func (l *life) moneyOut(t *testing.T, db *pgxpool.Pool) []mortgage.Disbursement {
	t.Helper()
	rows, err := queries.New(db).ListDisbursements(t.Context(), l.loan.ID)
	require.NoError(t, err)
	var all []mortgage.Disbursement
	for _, row := range rows {
		l.happened[billPaid]++
		out := mortgage.Disbursement{
			Ref: row.ID.String(), Amount: row.AmountCents, PaidOn: row.PaidOn,
			Kind: mortgage.KindEscrowDisbursement, Rule: mortgage.RuleEscrowDisbursement,
		}
		if row.Kind == queries.EscrowDisbursementKindPayoffRefund {
			out.Kind, out.Rule = mortgage.KindEscrowRefund, mortgage.RulePayoffRefund
		}
		all = append(all, out)
		if row.ReturnedOn != 0 {
			out.Ref, out.PaidOn, out.Returned = out.Ref+" returned", row.ReturnedOn, true
			out.Rule = mortgage.RuleDisbursementReturned
			all = append(all, out)
		}
	}
	return all
}

// closeFor closes a day for neighboring loans, in one chunk of a run.
func closeFor(t *testing.T, db *pgxpool.Pool, lives []*life, on mortgage.Date) error {
	t.Helper()
	run := testdb.Run(t, db, asOf(on.String()))
	testdb.RunChunk(t, db, run, lives[0].loan, lives[len(lives)-1].loan)
	_, err := db.Exec(t.Context(), `UPDATE runs SET status = 'running', started_at = now(),
  total = (SELECT sum(loans) FROM run_chunks WHERE run_id = $1) WHERE id = $1`, run.ID)
	if err != nil {
		return err
	}
	err = closeChunk(t.Context(), db, jobs.CloseDayChunkArgs{
		RunID: run.ID, FirstLoanID: lives[0].loan.ID, LastLoanID: lives[len(lives)-1].loan.ID,
	})
	if err != nil {
		return err
	}
	over, err := queries.New(db).GetRun(t.Context(), run.ID)
	if err == nil && over.Status != queries.RunStatusFinished {
		err = fmt.Errorf("the close of %s is %s: %s", on, over.Status, over.Findings)
	}
	for _, l := range lives {
		l.through = on
	}
	return err
}

// requireRebuilt compares the loan's row and the transactions that stand with
// what the arithmetic makes of the boarded state and all that happened.
func (l *life) requireRebuilt(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	q := queries.New(db)
	row, err := q.GetLoan(t.Context(), l.loan.ID)
	require.NoError(t, err)
	h := mortgage.History{
		Boarded: l.boarded, Fees: l.fees, Disbursements: l.moneyOut(t, db), Through: max(l.through, row.AsOfOn),
	}
	for _, r := range l.receipts {
		h.Receipts = append(h.Receipts, r)
	}
	if row.Status == queries.LoanStatusPaidOff {
		h.Through = row.AsOfOn // A close passes over what is paid off.
	}
	want, entries, err := l.terms.Books(h)
	require.NoError(t, err, "loan %d", l.loan.ID)
	require.Equal(t, want, loanrow.State(&row), "loan %d", l.loan.ID)
	require.Equal(t, l.terms.Changes, row.TermsChanges, "loan %d", l.loan.ID)

	live, err := q.ListLiveTransactions(t.Context(), l.loan.ID)
	require.NoError(t, err)
	require.Len(t, live, len(entries), "loan %d", l.loan.ID)
	for i, e := range entries {
		got := live[i]
		require.Equal(t, []any{
			e.Kind, e.EffectiveOn, e.DueOn, string(e.Rule), e.Cash, e.Principal, e.InterestIncome, e.Escrow, e.Suspense,
			e.LateChargesReceivable, e.FeesReceivable, e.EscrowAdvance,
		}, []any{
			got.Kind, got.EffectiveOn, got.DueOn, got.Rule, got.CashCents, got.PrincipalCents, got.InterestIncomeCents,
			got.EscrowCents, got.SuspenseCents, got.LateChargesReceivableCents, got.FeesReceivableCents,
			got.EscrowAdvanceCents,
		}, "loan %d, transaction %d", l.loan.ID, got.Seq)
	}
}
