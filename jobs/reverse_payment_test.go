package jobs_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// state is what a loan owes and holds, without where its books stand.
func state(t *testing.T, tx pgx.Tx, loan int64) mortgage.State {
	t.Helper()
	l, err := queries.New(tx).GetLoan(t.Context(), loan)
	require.NoError(t, err)
	return mortgage.State{
		Principal: l.PrincipalCents, Escrow: l.EscrowCents, EscrowAdvance: l.EscrowAdvanceCents, Suspense: l.SuspenseCents,
		LateChargesDue: l.LateChargesDueCents, FeesDue: l.FeesDueCents, NextDueOn: l.NextDueOn,
		InterestAccruedTo: l.InterestAccruedToOn, AccruedInterest: l.AccruedInterestCents,
		AsOf: 0, LateChargedThrough: l.LateChargedThroughOn,
	}
}

func reverse(t *testing.T, tx pgx.Tx, reversal uuid.UUID) {
	t.Helper()
	worker := &jobs.ReversePayment{DB: tx}
	job := &river.Job[jobs.ReversePaymentArgs]{Args: jobs.ReversePaymentArgs{ReversalID: reversal}}
	require.NoError(t, worker.Work(t.Context(), job))
}

func post(t *testing.T, tx pgx.Tx, loan queries.Loan, amount mortgage.Cents, on string) queries.Payment {
	t.Helper()
	payment := testdb.Payment(t, tx, loan, received(amount, on))
	require.NoError(t, work(t, tx, payment.ID))
	return payment
}

// A payment comes back two months after two more were posted on top of it: the
// loan ends where it would be had the first never come, late charge included.
func TestReversePayment(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }

	never := testdb.Loan(t, tx, withCharges)
	post(t, tx, never, 1000_00, "2026-03-05")
	post(t, tx, never, 1000_00, "2026-04-05")

	loan := testdb.Loan(t, tx, withCharges)
	first := post(t, tx, loan, 1000_00, "2026-02-05")
	post(t, tx, loan, 1000_00, "2026-03-05")
	last := post(t, tx, loan, 1000_00, "2026-04-05")
	require.Equal(t, testdb.Date("2026-05-01"), state(t, tx, loan.ID).NextDueOn)

	reversal := testdb.Reversal(t, tx, first)
	for range 2 { // The second time finds nothing to do.
		reverse(t, tx, reversal.ID)
		require.Equal(t, state(t, tx, never.ID), state(t, tx, loan.ID))
		requireSoundBooks(t, tx, loan.ID)
	}
	require.Equal(t, mortgage.Cents(84_20), state(t, tx, loan.ID).LateChargesDue,
		"5 % of 841.96 for February, and for March, which was then paid a month late")

	q := queries.New(tx)
	got, err := q.GetPaymentReversal(t.Context(), reversal.ID)
	require.NoError(t, err)
	require.Equal(t, queries.ReversalStatusPosted, got.Status)
	gone, err := q.GetPayment(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusReversed, gone.Status)
	require.Nil(t, gone.FirstSeq)
	moved, err := q.GetPayment(t.Context(), last.ID)
	require.NoError(t, err)
	require.Equal(t, mortgage.Cents(1000_00), moved.InterestCents+moved.PrincipalCents+moved.EscrowCents)

	second := testdb.Payment(t, tx, loan, received(10_00, "2026-04-06"))
	refused := testdb.Reversal(t, tx, second)
	reverse(t, tx, refused.ID)
	got, err = q.GetPaymentReversal(t.Context(), refused.ID)
	require.NoError(t, err)
	require.Equal(t, queries.ReversalStatusRejected, got.Status, "a payment that is not posted yet")
	require.Equal(t, "payment_not_posted", *got.Refusal)
}

// A payment that is found late is credited as of the day it came: the loan ends
// as if it had been posted in time, and the late charge is taken back.
func TestPostBackDatedPayment(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }

	inTime := testdb.Loan(t, tx, withCharges)
	for _, on := range []string{"2026-02-16", "2026-03-02", "2026-04-02"} {
		post(t, tx, inTime, 1000_00, on)
	}

	loan := testdb.Loan(t, tx, withCharges)
	post(t, tx, loan, 1000_00, "2026-03-02")
	require.Equal(t, mortgage.Cents(42_10), state(t, tx, loan.ID).LateChargesDue, "February was not paid by the 16th")
	post(t, tx, loan, 1000_00, "2026-04-02")
	found := post(t, tx, loan, 1000_00, "2026-02-16")

	require.Equal(t, state(t, tx, inTime.ID), state(t, tx, loan.ID))
	requireSoundBooks(t, tx, loan.ID)
	var reversed int
	err := tx.QueryRow(t.Context(), `SELECT count(*) FROM transactions r JOIN transactions c
  ON c.loan_id = r.loan_id AND c.seq = r.reverses
WHERE r.loan_id = $1 AND c.kind = 'late_charge'`, loan.ID).Scan(&reversed)
	require.NoError(t, err)
	require.Equal(t, 2, reversed, "the charges of February and of March, which was credited to February")
	got, err := queries.New(tx).GetPayment(t.Context(), found.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusPosted, got.Status)
	require.Equal(t, mortgage.Cents(1000_00), got.InterestCents+got.PrincipalCents+got.EscrowCents)
}

// Money with a purpose goes there.
func TestPostDesignatedPayments(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, regZ)
	for _, tt := range []struct {
		designation mortgage.Designation
		change      func(*mortgage.State)
	}{
		{mortgage.ForPrincipal, func(s *mortgage.State) { s.Principal -= 100_00 }},
		{mortgage.ForEscrow, func(s *mortgage.State) { s.Escrow += 100_00 }},
		{mortgage.ForLateCharge, func(s *mortgage.State) { s.Suspense += 100_00 }},
	} {
		want := state(t, tx, loan.ID)
		tt.change(&want)
		payment := testdb.Payment(t, tx, loan, received(100_00, "2026-01-20"), func(p *queries.InsertPaymentParams) {
			p.Designation = tt.designation
		})
		require.NoError(t, work(t, tx, payment.ID))
		require.Equal(t, want, state(t, tx, loan.ID), tt.designation)
	}
	requireSoundBooks(t, tx, loan.ID)
}

// A payoff pays everything or is refused; and when it comes back, the loan is
// as it was.
func TestPostPayoff(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	loan := testdb.Loan(t, tx, regZ)
	before := state(t, tx, loan.ID)
	payOff := func(amount mortgage.Cents) queries.Payment {
		payment := testdb.Payment(t, tx, loan, received(amount, "2026-01-21"), func(p *queries.InsertPaymentParams) {
			p.Designation = mortgage.ForPayoff
		})
		require.NoError(t, work(t, tx, payment.ID))
		got, err := q.GetPayment(t.Context(), payment.ID)
		require.NoError(t, err)
		return got
	}
	const total = 187_500_00 + 359_59 // with 20 days of interest at 3.5 %

	short := payOff(total - 1)
	require.Equal(t, queries.PaymentStatusRejected, short.Status)
	require.Equal(t, "payoff_short", *short.Reason)
	require.Equal(t, before, state(t, tx, loan.ID))

	paid := payOff(total + 5_00)
	require.Equal(t, queries.PaymentStatusPosted, paid.Status)
	require.Equal(t, mortgage.Cents(359_59), paid.InterestCents)
	require.Equal(t, mortgage.Cents(5_00), paid.SuspenseCents)
	row, err := q.GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, queries.LoanStatusPaidOff, row.Status)
	require.Equal(t, testdb.Date("2026-01-21"), row.PaidOffOn)

	reverse(t, tx, testdb.Reversal(t, tx, paid).ID)
	require.Equal(t, before, state(t, tx, loan.ID))
	row, err = q.GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, queries.LoanStatusActive, row.Status)
	require.Zero(t, row.PaidOffOn)
	requireSoundBooks(t, tx, loan.ID)
}
