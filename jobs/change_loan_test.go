package jobs_test

import (
	"context"
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

// changeEdit makes a sample change another one.
type changeEdit = func(*queries.InsertLoanChangeParams)

func rateChange(dueOn string, rate mortgage.Rate, payment mortgage.Cents) changeEdit {
	return func(p *queries.InsertLoanChangeParams) {
		p.Kind, p.DueOn, p.EscrowPaymentCents = queries.LoanChangeKindRateChange, testdb.Date(dueOn), nil
		p.RatePpm, p.PrincipalAndInterestCents = &rate, &payment
	}
}

func indexChange(dueOn string, index mortgage.Rate) changeEdit {
	return func(p *queries.InsertLoanChangeParams) {
		p.Kind, p.DueOn, p.EscrowPaymentCents = queries.LoanChangeKindRateChange, testdb.Date(dueOn), nil
		p.IndexPpm = &index
	}
}

func paymentChange(dueOn string, payment mortgage.Cents) changeEdit {
	return func(p *queries.InsertLoanChangeParams) {
		p.DueOn, p.EscrowPaymentCents, p.PrincipalAndInterestCents = testdb.Date(dueOn), nil, &payment
	}
}

func escrowChange(dueOn string, escrow mortgage.Cents) changeEdit {
	return func(p *queries.InsertLoanChangeParams) { p.DueOn, p.EscrowPaymentCents = testdb.Date(dueOn), &escrow }
}

func waiver(dueOn string) changeEdit {
	return func(p *queries.InsertLoanChangeParams) {
		p.Kind, p.DueOn, p.EscrowPaymentCents = queries.LoanChangeKindLateChargeWaiver, testdb.Date(dueOn), nil
	}
}

func workChange(ctx context.Context, db jobs.DB, change uuid.UUID) error {
	job := &river.Job[jobs.ChangeLoanArgs]{Args: jobs.ChangeLoanArgs{ChangeID: change}}
	return (&jobs.ChangeLoan{DB: db}).Work(ctx, job)
}

// change carries a change out, twice, and returns what became of it.
func change(t *testing.T, tx pgx.Tx, loan queries.Loan, edit changeEdit) queries.LoanChange {
	t.Helper()
	row := testdb.LoanChange(t, tx, loan, edit)
	require.NoError(t, workChange(t.Context(), tx, row.ID))
	before := state(t, tx, loan.ID)
	require.NoError(t, workChange(t.Context(), tx, row.ID))
	require.Equal(t, before, state(t, tx, loan.ID), "the second time finds nothing to do")
	requireSoundBooks(t, tx, loan.ID)
	row, err := queries.New(tx).GetLoanChange(t.Context(), row.ID)
	require.NoError(t, err)
	return row
}

// split is what a payment paid: interest, principal, escrow, late charges, fees, suspense.
func splitOf(t *testing.T, tx pgx.Tx, payment queries.Payment) [6]mortgage.Cents {
	t.Helper()
	p, err := queries.New(tx).GetPayment(t.Context(), payment.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusPosted, p.Status)
	return [6]mortgage.Cents{
		p.InterestCents, p.PrincipalCents, p.EscrowCents, p.LateChargeCents, p.FeeCents, p.SuspenseCents,
	}
}

// hundredAt6 is a loan of 100,000.00 at 6 % that pays 800.00 and 200.00 of escrow.
func hundredAt6(p *queries.InsertLoanParams) {
	p.PrincipalCents, p.RatePpm, p.PrincipalAndInterestCents, p.EscrowPaymentCents = 100_000_00, 60_000, 800_00, 200_00
	p.ExcessPolicy = mortgage.ExcessToSuspense
}

func TestChangePayment(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, hundredAt6)

	escrow := change(t, tx, loan, escrowChange("2026-03-01", 210_00))
	require.Equal(t, queries.LoanChangeStatusPosted, escrow.Status)
	require.NotNil(t, escrow.PostedAt)
	change(t, tx, loan, paymentChange("2026-03-01", 900_00))

	feb, mar := post(t, tx, loan, 1000_00, "2026-02-01"), post(t, tx, loan, 1110_00, "2026-03-01")
	require.Equal(t, [6]mortgage.Cents{500_00, 300_00, 200_00}, splitOf(t, tx, feb), "before the change")
	require.Equal(t, [6]mortgage.Cents{498_50, 401_50, 210_00}, splitOf(t, tx, mar), "from it on")
}

// A rate that is known late: what was posted at the old one is posted again.
func TestChangeRateOfThePast(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, hundredAt6)
	feb, mar := post(t, tx, loan, 1000_00, "2026-02-01"), post(t, tx, loan, 1000_00, "2026-03-01")
	require.Equal(t, [6]mortgage.Cents{498_50, 301_50, 200_00}, splitOf(t, tx, mar))

	change(t, tx, loan, rateChange("2026-03-01", 72_000, 800_00))
	require.Equal(t, [6]mortgage.Cents{500_00, 300_00, 200_00}, splitOf(t, tx, feb))
	require.Equal(t, [6]mortgage.Cents{598_20, 201_80, 200_00}, splitOf(t, tx, mar), "99,700.00 at 7.2 %")

	// The rate was wrong: a later change for the same installment takes its place.
	change(t, tx, loan, rateChange("2026-03-01", 60_000, 800_00))
	require.Equal(t, [6]mortgage.Cents{498_50, 301_50, 200_00}, splitOf(t, tx, mar))

	var rates, payments int
	err := tx.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM rate_changes WHERE loan_id = $1),
  (SELECT count(*) FROM payment_changes WHERE loan_id = $1)`, loan.ID).Scan(&rates, &payments)
	require.NoError(t, err)
	require.Equal(t, [2]int{1, 2}, [2]int{rates, payments})
}

func TestChangeRateByItsIndex(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, hundredAt6, func(p *queries.InsertLoanParams) { p.MaturityOn = testdb.Date("2042-06-01") })
	testdb.ARMTerms(t, tx, loan)
	// 4.36 % and 2.75 % are nearest to 7.125 %. From July 2026 to June 2042 are 192
	// payments; February to June are still to come.
	got := change(t, tx, loan, indexChange("2026-07-01", 43_600))
	require.Equal(t, queries.LoanChangeStatusPosted, got.Status)
	require.Equal(t, mortgage.Rate(71_250), *got.RatePpm)

	terms := mortgage.Terms{
		Rate: 60_000, PrincipalAndInterest: 800_00, DueDay: 1, MaturityOn: testdb.Date("2042-06-01"),
		Rounding: mortgage.RoundHalfUp,
	}
	lines, err := terms.Schedule(mortgage.State{Principal: 100_000_00, NextDueOn: testdb.Date("2026-02-01")}, 5)
	require.NoError(t, err)
	want, err := mortgage.LevelPayment(lines[4].PrincipalAfter, 71_250, 192, mortgage.RoundHalfUp)
	require.NoError(t, err)
	require.Equal(t, want, *got.PrincipalAndInterestCents)
}

func TestWaiveLateCharge(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, hundredAt6)
	closeDay(t, tx, "2026-02-20")
	paid := post(t, tx, loan, 1040_00, "2026-02-20")
	require.Equal(t, [6]mortgage.Cents{500_00, 300_00, 200_00, 40_00}, splitOf(t, tx, paid))

	change(t, tx, loan, waiver("2026-02-01"))
	require.Equal(t, [6]mortgage.Cents{500_00, 300_00, 200_00, 0, 0, 40_00}, splitOf(t, tx, paid), "excess is held")
	change(t, tx, loan, waiver("2026-03-01"))
	closeDay(t, tx, "2026-03-20")
	require.Zero(t, state(t, tx, loan.ID).LateChargesDue, "a charge that was still to come is not assessed")
	closeDay(t, tx, "2026-04-20")
	require.Equal(t, mortgage.Cents(40_00), state(t, tx, loan.ID).LateChargesDue, "April's is")
}

func TestChangeLoanIsRejected(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(*testing.T, pgx.Tx, queries.Loan)
		edit   changeEdit
		want   string
	}{
		"an index without adjustable terms": {edit: indexChange("2026-07-01", 40_000), want: "no_arm_terms"},
		"an index for what is satisfied": {
			before: func(t *testing.T, tx pgx.Tx, l queries.Loan) {
				t.Helper()
				testdb.ARMTerms(t, tx, l)
				post(t, tx, l, 1000_00, "2026-02-01")
			},
			edit: indexChange("2026-02-01", 40_000), want: "change_passed",
		},
		"a payment below a month's interest":     {edit: paymentChange("2026-03-01", 400_00), want: "payment_too_small"},
		"a rate that the payment does not cover": {edit: rateChange("2026-02-01", 120_000, 900_00), want: "payment_too_small"},
		"a waiver of what was not charged": {
			before: func(t *testing.T, tx pgx.Tx, l queries.Loan) {
				t.Helper()
				post(t, tx, l, 1000_00, "2026-02-01")
				closeDay(t, tx, "2026-02-20")
			},
			edit: waiver("2026-02-01"), want: "not_charged",
		},
		"a loan that is paid off": {
			before: func(t *testing.T, tx pgx.Tx, l queries.Loan) {
				t.Helper()
				p := testdb.Payment(t, tx, l, received(100_000_00+493_15, "2026-01-31"), func(p *queries.InsertPaymentParams) {
					p.Designation = mortgage.ForPayoff
				})
				require.NoError(t, work(t, tx, p.ID))
			},
			edit: escrowChange("2026-03-01", 1), want: "loan_paid_off",
		},
		"a loan that is archived": {
			before: func(t *testing.T, tx pgx.Tx, l queries.Loan) {
				t.Helper()
				_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", l.ID)
				require.NoError(t, err)
			},
			edit: escrowChange("2026-03-01", 1), want: "loan_archived",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := testdb.Tx(t)
			loan := testdb.Loan(t, tx, hundredAt6)
			if tt.before != nil {
				tt.before(t, tx, loan)
			}
			before := state(t, tx, loan.ID)
			got := change(t, tx, loan, tt.edit)
			require.Equal(t, queries.LoanChangeStatusRejected, got.Status)
			require.Equal(t, tt.want, *got.Refusal)
			require.Equal(t, before, state(t, tx, loan.ID))
		})
	}
}

// When the last statement fails, nothing of the change is left.
func TestChangeLoanRollsBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App, hundredAt6)
	row := testdb.LoanChange(t, db.App, loan, escrowChange("2026-03-01", 210_00))
	_, err := db.Super.Exec(t.Context(), `
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER fail BEFORE UPDATE OF terms_changes ON loans FOR EACH ROW EXECUTE FUNCTION fail()`)
	require.NoError(t, err)
	require.Error(t, workChange(t.Context(), db.App, row.ID))
	row, err = queries.New(db.App).GetLoanChange(t.Context(), row.ID)
	require.NoError(t, err)
	require.Equal(t, queries.LoanChangeStatusRequested, row.Status)

	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "DROP TRIGGER fail ON loans")
	require.NoError(t, err)
	require.NoError(t, workChange(t.Context(), db.App, row.ID))
	got, err := queries.New(db.App).GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, mortgage.Changes{Payments: []mortgage.PaymentChange{
		{DueOn: testdb.Date("2026-03-01"), EscrowPayment: row.EscrowPaymentCents},
	}}, got.TermsChanges)
}

func TestPostDailyInterest(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, hundredAt6, func(p *queries.InsertLoanParams) {
		p.InterestMethod, p.InterestAccruedToOn = mortgage.DailySimpleInterest, testdb.Date("2026-01-01")
	})
	late, next := post(t, tx, loan, 1000_00, "2026-02-20"), post(t, tx, loan, 1000_00, "2026-03-01")
	require.Equal(t, [6]mortgage.Cents{800_00, 0, 200_00}, splitOf(t, tx, late), "50 days are 821.92")
	require.Equal(t, [6]mortgage.Cents{169_87, 630_13, 200_00}, splitOf(t, tx, next), "21.92 and 9 days are 169.87")

	// One that was there on 1 February is found: both are posted again.
	found := post(t, tx, loan, 1000_00, "2026-02-01")
	require.Equal(t, [6]mortgage.Cents{509_59, 290_41, 200_00}, splitOf(t, tx, found), "31 days")
	requireSoundBooks(t, tx, loan.ID)
	got, err := queries.New(tx).GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, testdb.Date("2026-02-20"), got.InterestAccruedToOn, "the last day that paid principal; more is held")
}

// A payment comes back for want of money: the loan's terms charge for that, after
// late charges, and not for one that was entered by mistake.
func TestReturnedPaymentFee(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	loan := testdb.Loan(t, tx, hundredAt6, func(p *queries.InsertLoanParams) { p.ReturnedPaymentFeeCents = 25_00 })
	first := post(t, tx, loan, 1000_00, "2026-02-01")
	reversal := testdb.Reversal(t, tx, first)
	reverse(t, tx, reversal.ID)
	requireSoundBooks(t, tx, loan.ID)
	require.Equal(t, mortgage.Cents(25_00), state(t, tx, loan.ID).FeesDue)
	reversal, err := q.GetPaymentReversal(t.Context(), reversal.ID)
	require.NoError(t, err)
	require.Equal(t, mortgage.Cents(25_00), reversal.FeeCents)
	require.Equal(t, mortgage.DateOf(reversal.CreatedAt), reversal.FeeOn, "no other day was said")

	// The fee is charged today; money of an earlier day does not pay it.
	early := post(t, tx, loan, 1030_00, "2026-02-03")
	require.Equal(t, [6]mortgage.Cents{500_00, 300_00, 200_00, 0, 0, 30_00}, splitOf(t, tx, early))
	later := post(t, tx, loan, 40_00, (reversal.FeeOn + 1).String())
	require.Equal(t, mortgage.Cents(0), splitOf(t, tx, later)[4], "installments are due, and go before fees")
	requireSoundBooks(t, tx, loan.ID)
}
