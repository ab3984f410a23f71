package jobs_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// planDisbursing cuts the run into chunks, as its job does, and returns the chunks' jobs.
func planDisbursing(t *testing.T, db jobs.DB, run queries.Run) []jobs.DisburseEscrowChunkArgs {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{
		Schema: jobs.Schema, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	job := &river.Job[jobs.DisburseEscrowArgs]{Args: jobs.DisburseEscrowArgs{RunID: run.ID}}
	require.NoError(t, (&jobs.DisburseEscrow{DB: db, Jobs: client}).Work(t.Context(), job))
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	rows, err := tx.Query(t.Context(), `
SELECT run_id, first_loan_id, last_loan_id FROM run_chunks WHERE run_id = $1 ORDER BY first_loan_id`, run.ID)
	require.NoError(t, err)
	chunks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.DisburseEscrowChunkArgs])
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	return chunks
}

func disburseChunk(ctx context.Context, db jobs.DB, args jobs.DisburseEscrowChunkArgs) error {
	return (&jobs.DisburseEscrowChunk{DB: db}).Work(ctx, &river.Job[jobs.DisburseEscrowChunkArgs]{Args: args})
}

func disbursing(on string) func(*queries.InsertRunParams) {
	return func(p *queries.InsertRunParams) {
		p.Kind, p.AsOfOn = queries.RunKindDisburseEscrow, testdb.Date(on)
	}
}

// disburse pays what is due on the day and returns the run as it ended.
func disburse(t *testing.T, tx pgx.Tx, on string) queries.Run {
	t.Helper()
	run := testdb.Run(t, tx, disbursing(on))
	for range 2 { // The second time finds nothing to do.
		for _, chunk := range planDisbursing(t, tx, run) {
			require.NoError(t, disburseChunk(t.Context(), tx, chunk))
		}
	}
	run, err := queries.New(tx).GetRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, queries.RunStatusFinished, run.Status, string(run.Findings))
	require.Equal(t, run.Total, run.Done)
	return run
}

// dueOn makes the sample line due on the day.
func dueOn(on string) func(*queries.InsertEscrowLineParams) {
	return func(p *queries.InsertEscrowLineParams) { p.NextDueOn = testdb.Date(on) }
}

func disbursements(t *testing.T, db queries.DBTX, loan queries.Loan) []queries.EscrowDisbursement {
	t.Helper()
	rows, err := queries.New(db).ListEscrowDisbursements(t.Context(), queries.ListEscrowDisbursementsParams{
		BeforeID: uuid.Max, LoanID: &loan.ID, Status: nil, Kind: nil, FileID: nil, RowLimit: 1000,
	})
	require.NoError(t, err)
	return rows
}

func bills(t *testing.T, db queries.DBTX, line int64) []queries.EscrowBill {
	t.Helper()
	rows, err := queries.New(db).ListEscrowBills(t.Context(), queries.ListEscrowBillsParams{
		BeforeID: uuid.Max, LineID: &line, LoanID: nil, Status: nil, RowLimit: 1000,
	})
	require.NoError(t, err)
	return rows
}

func line(t *testing.T, db queries.DBTX, id int64) queries.EscrowLine {
	t.Helper()
	row, err := queries.New(db).GetEscrowLine(t.Context(), id)
	require.NoError(t, err)
	return row
}

// A bill that has not come is paid as the line expects it, on its day and once; what
// escrow lacks the servicer advances, and the next deposit repays it.
func TestDisburseEscrow(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-02-10"))

	disburse(t, tx, "2026-02-09")
	require.Empty(t, disbursements(t, tx, loan), "the day before")
	run := disburse(t, tx, "2026-02-10")
	require.Equal(t, [3]int64{1, 1, 0}, counts(run))
	for range 2 {
		got := state(t, tx, loan.ID)
		require.Equal(t, []mortgage.Cents{0, 600_00}, []mortgage.Cents{got.Escrow, got.EscrowAdvance})
		paid := disbursements(t, tx, loan)
		require.Len(t, paid, 1)
		require.Equal(t, []any{
			queries.EscrowDisbursementKindBill, queries.EscrowDisbursementStatusScheduled, "Sangamon County",
			mortgage.Cents(1_800_00), mortgage.Cents(600_00), "12 CFR 1024.17(k)(2)", testdb.Date("2026-02-10"),
			testdb.Date("2026-02-10"), "run:" + run.ID.String(),
		}, []any{
			paid[0].Kind, paid[0].Status, paid[0].Payee, paid[0].AmountCents, paid[0].AdvancedCents, paid[0].Rule,
			paid[0].DueOn, paid[0].PaidOn, paid[0].CausedBy,
		})
		came := bills(t, tx, id)
		require.Len(t, came, 1)
		require.True(t, came[0].Expected)
		require.Equal(t, queries.EscrowBillStatusPaid, came[0].Status)
		after := line(t, tx, id)
		require.Equal(t, testdb.Date("2026-08-10"), after.NextDueOn)
		require.Equal(t, testdb.Date("2026-02-10"), after.LastPaidOn)
		require.Equal(t, int32(2), after.Version)
		requireSoundBooks(t, tx, loan.ID)
		disburse(t, tx, "2026-02-10") // Another run for the same day.
		disburse(t, tx, "2026-02-11")
	}
	post(t, tx, loan, 2_346_20, "2026-02-12")
	require.Equal(t, mortgage.Cents(150_00), state(t, tx, loan.ID).EscrowAdvance, "450.00 of escrow repaid")
	requireSoundBooks(t, tx, loan.ID)
}

// A bill that has come counts, not what the line expected; it is paid on the last
// business day for its discount, less the lead, and the line learns what it came to.
func TestDisburseEscrowPaysTheBillThatCame(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) { p.EscrowCents = 5_000_00 })
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-03-31"))
	testdb.EscrowBill(t, tx, id, func(p *queries.InsertEscrowBillParams) {
		p.AmountCents, p.DiscountCents, p.DiscountOn = 2_000_00, 40_00, testdb.Date("2026-02-23") // a Monday
	})
	_, err := tx.Exec(t.Context(), `INSERT INTO escrow_policies (policy, cpi_change_ppm, requested_by)
		VALUES ('{"lead_days": 2}', 0, 'test')`)
	require.NoError(t, err)

	disburse(t, tx, "2026-02-19")
	require.Empty(t, disbursements(t, tx, loan))
	require.Equal(t, [3]int64{1, 1, 0}, counts(disburse(t, tx, "2026-02-20"))) // Saturday the 21st goes back to Friday.
	paid := disbursements(t, tx, loan)
	require.Len(t, paid, 1)
	require.Equal(t, mortgage.Cents(1_960_00), paid[0].AmountCents)
	require.Equal(t, "12 CFR 1024.17(k)(1)", paid[0].Rule)
	require.Equal(t, mortgage.Cents(3_040_00), state(t, tx, loan.ID).Escrow)
	after := line(t, tx, id)
	require.Equal(t, mortgage.Cents(2_000_00), after.AmountCents, "before the discount")
	require.Equal(t, testdb.Date("2026-09-30"), after.NextDueOn)
	require.Equal(t, int16(31), *after.DueDay)
	requireSoundBooks(t, tx, loan.ID)
}

// A line whose bills fall on a month's last day keeps to it, and all cycles that are
// due are paid in one run.
func TestDisburseEscrowMakesUpForMissedCycles(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) {
		p.EscrowCents, p.NextDueOn = 5_000_00, testdb.Date("2026-06-01")
	})
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-01-31"), func(p *queries.InsertEscrowLineParams) {
		p.Kind, p.EveryMonths, p.AmountCents = queries.EscrowLineKindMortgageInsurance, 1, 100_00
	})
	require.Equal(t, [3]int64{1, 1, 0}, counts(disburse(t, tx, "2026-03-31")))
	var days []string
	for _, b := range bills(t, tx, id) {
		days = append(days, b.DueOn.String())
	}
	require.Equal(t, []string{"2026-03-31", "2026-02-28", "2026-01-31"}, days)
	require.Equal(t, testdb.Date("2026-04-30"), line(t, tx, id).NextDueOn)
	require.Equal(t, mortgage.Cents(4_700_00), state(t, tx, loan.ID).Escrow)
	require.Len(t, disbursements(t, tx, loan), 3)
	disburse(t, tx, "2026-03-31")
	require.Len(t, disbursements(t, tx, loan), 3)

	// What is expected since longer than that, a person looks at first.
	run := disburse(t, tx, "2026-06-30")
	require.Contains(t, string(run.Findings), "expected_long_ago")
	require.Len(t, bills(t, tx, id), 4, "one of them is enough to ask about")
	_, err := queries.New(tx).MarkEscrowBillReleased(t.Context(), "test", bills(t, tx, id)[0].ID)
	require.NoError(t, err)
	disburse(t, tx, "2026-06-30")
	require.Equal(t, testdb.Date("2026-07-31"), line(t, tx, id).NextDueOn)
	require.Len(t, disbursements(t, tx, loan), 6)
	requireSoundBooks(t, tx, loan.ID)
}

// Hazard insurance of a borrower who is more than 30 days overdue is paid; his tax
// follows the servicer's policy, and is held until a person wants it paid.
func TestDisburseEscrowHoldsBills(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	require.NoError(t, q.InsertEscrowPaymentPolicy(t.Context(), queries.InsertEscrowPaymentPolicyParams{
		Overdue: "hold", StaleAfterDays: 10, BankRouting: "", BankName: "", CompanyID: "", CompanyName: "",
		RequestedBy: "test",
	}))
	loan := testdb.Loan(t, tx)
	tax := testdb.EscrowLine(t, tx, loan, dueOn("2026-03-10"))
	testdb.EscrowLine(t, tx, loan, dueOn("2026-03-10"), func(p *queries.InsertEscrowLineParams) {
		p.Kind, p.AmountCents, p.EveryMonths = queries.EscrowLineKindHazardInsurance, 1_300_00, 12
	})
	for range 2 {
		run := disburse(t, tx, "2026-03-10") // 37 days after 2026-02-01
		held := bills(t, tx, tax)
		require.Len(t, held, 1)
		require.Equal(t, "overdue_policy", *held[0].HeldRule)
		require.Contains(t, string(run.Findings), "bill "+held[0].ID.String()+" is held: overdue_policy")
		paid := disbursements(t, tx, loan)
		require.Len(t, paid, 1)
		require.Equal(t, "12 CFR 1024.17(k)(5)(i)", paid[0].Rule)
		require.Equal(t, mortgage.Cents(100_00), state(t, tx, loan.ID).EscrowAdvance)
		require.Equal(t, testdb.Date("2026-03-10"), line(t, tx, tax).NextDueOn)
	}
	_, err := q.MarkEscrowBillReleased(t.Context(), "test", bills(t, tx, tax)[0].ID)
	require.NoError(t, err)
	disburse(t, tx, "2026-03-10")
	paid := disbursements(t, tx, loan)
	require.Len(t, paid, 2)
	require.Equal(t, "released", paid[0].Rule)
	require.Equal(t, mortgage.Cents(1_900_00), state(t, tx, loan.ID).EscrowAdvance)
	requireSoundBooks(t, tx, loan.ID)
}

// A run for a day that has payments behind it leaves the books that it would have
// left on that day.
func TestDisburseEscrowBehindLaterPayments(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	inTime, late := testdb.Loan(t, tx), testdb.Loan(t, tx)
	testdb.EscrowLine(t, tx, inTime, dueOn("2026-02-10"))
	disburse(t, tx, "2026-02-10")
	for _, loan := range []queries.Loan{inTime, late} {
		post(t, tx, loan, 2_346_20, "2026-02-10")
		post(t, tx, loan, 2_346_20, "2026-03-05")
	}
	testdb.EscrowLine(t, tx, late, dueOn("2026-02-10"))
	require.Equal(t, [3]int64{1, 1, 0}, counts(disburse(t, tx, "2026-02-10")))
	require.Equal(t, state(t, tx, inTime.ID), state(t, tx, late.ID))
	require.Equal(t, mortgage.Cents(300_00), state(t, tx, late.ID).Escrow, "1,200 - 1,800 + 2 x 450")
	requireSoundBooks(t, tx, inTime.ID)
	requireSoundBooks(t, tx, late.ID)

	// A payment that is found later yet keeps the disbursement where it is.
	for _, loan := range []queries.Loan{inTime, late} {
		post(t, tx, loan, 100_00, "2026-02-05")
		requireSoundBooks(t, tx, loan.ID)
	}
	require.Equal(t, state(t, tx, inTime.ID), state(t, tx, late.ID))
}

// A surplus goes back before it is due, once, and only what the last analysis found;
// a loan that is paid off gets all that is left, on the last business day within twenty.
func TestDisburseEscrowRefunds(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) { p.PrincipalCents, p.MaturityOn = 100_00, p.NextDueOn })
	testdb.Borrower(t, tx, loan, queries.BorrowerRolePrimary)
	testdb.Analysis(t, tx, loan, 700_00, "2026-01-27")
	surplus := testdb.Analysis(t, tx, loan, 75_00, "2026-01-28")
	for range 2 {
		disburse(t, tx, "2026-01-28")
		require.Equal(t, mortgage.Cents(1_125_00), state(t, tx, loan.ID).Escrow)
	}
	paid := disbursements(t, tx, loan)
	require.Len(t, paid, 1)
	require.Equal(t, surplus, *paid[0].AnalysisID)
	require.Equal(t, []any{"Pat Sample", "12 CFR 1024.17(f)(2)(i)"}, []any{paid[0].Payee, paid[0].Rule})

	post(t, tx, loan, 1_000_00, "2026-02-02") // pays off; the last installment's escrow is in it
	held := state(t, tx, loan.ID).Escrow
	require.Equal(t, testdb.Date("2026-03-03"), mortgage.RefundDueOn(testdb.Date("2026-02-02")))
	disburse(t, tx, "2026-03-02")
	require.Equal(t, held, state(t, tx, loan.ID).Escrow)
	for range 2 {
		disburse(t, tx, "2026-03-03")
		require.Zero(t, state(t, tx, loan.ID).Escrow)
		paid = disbursements(t, tx, loan)
		require.Len(t, paid, 2)
		require.Equal(t, []any{queries.EscrowDisbursementKindPayoffRefund, held, "12 CFR 1024.34(b)(1)"},
			[]any{paid[0].Kind, paid[0].AmountCents, paid[0].Rule})
	}
	requireSoundBooks(t, tx, loan.ID)
}

// A surplus that the account no longer holds is not refunded with the servicer's
// money, but shown to a person.
func TestDisburseEscrowRefundsNoAdvance(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	testdb.Analysis(t, tx, loan, 1_200_01, "2026-01-27")
	run := disburse(t, tx, "2026-01-27")
	require.Contains(t, string(run.Findings), "refund_exceeds_escrow")
	require.Empty(t, disbursements(t, tx, loan))
	require.Equal(t, [3]int64{1, 0, 0}, counts(run))
}

// Installments are paid each on its day; the line moves on when all are paid.
func TestDisburseEscrowPaysInstallments(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) {
		p.EscrowCents, p.NextDueOn = 5_000_00, testdb.Date("2026-12-01")
	})
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-03-02"), func(p *queries.InsertEscrowLineParams) {
		p.EveryMonths = 12
	})
	for _, on := range []string{"2026-03-02", "2026-09-01"} {
		testdb.EscrowBill(t, tx, id, func(p *queries.InsertEscrowBillParams) {
			p.DueOn, p.AmountCents = testdb.Date(on), 950_00
		})
	}
	disburse(t, tx, "2026-03-02")
	half := line(t, tx, id)
	require.Equal(t, testdb.Date("2026-03-02"), half.NextDueOn)
	require.Equal(t, mortgage.Cents(950_00), *half.KnownCents, "what of it is to come")
	disburse(t, tx, "2026-06-01")
	require.Len(t, disbursements(t, tx, loan), 1)
	disburse(t, tx, "2026-09-01")
	whole := line(t, tx, id)
	require.Equal(t, []any{testdb.Date("2027-03-02"), mortgage.Cents(1_900_00)}, []any{whole.NextDueOn, whole.AmountCents})
	require.Nil(t, whole.KnownCents)
	require.Len(t, disbursements(t, tx, loan), 2)
	requireSoundBooks(t, tx, loan.ID)
}

// Loans that are not active pay no bills; those that wait are held, with the reason.
func TestDisburseEscrowLeavesEndedLoansAlone(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-02-10"))
	bill := testdb.EscrowBill(t, tx, id)
	_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", loan.ID)
	require.NoError(t, err)
	disburse(t, tx, "2026-02-10")
	require.Empty(t, disbursements(t, tx, loan))
	held := bills(t, tx, id)
	require.Equal(t, bill.ID, held[0].ID)
	require.Equal(t, "loan_archived", *held[0].HeldRule)
}
