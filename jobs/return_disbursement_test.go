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

func bookBack(t *testing.T, db jobs.DB, id uuid.UUID) {
	t.Helper()
	job := &river.Job[jobs.ReturnDisbursementArgs]{Args: jobs.ReturnDisbursementArgs{ReturnID: id}}
	require.NoError(t, (&jobs.ReturnDisbursement{DB: db}).Work(t.Context(), job))
}

func returnOf(t *testing.T, tx pgx.Tx, id uuid.UUID) queries.EscrowReturn {
	t.Helper()
	row, err := queries.New(tx).GetEscrowReturn(t.Context(), id)
	require.NoError(t, err)
	return row
}

// Money that came back is in escrow again as of that day, into the advance first; the
// bill waits for a person and is then paid by another disbursement, and the line goes
// back and forth with it. What was posted in the meantime stays.
func TestReturnDisbursement(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	loan := testdb.Loan(t, tx)
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-02-10"))
	disburse(t, tx, "2026-02-10")
	post(t, tx, loan, 2_346_20, "2026-02-16") // 450.00 of it repays the advance of 600.00.
	out := disbursements(t, tx, loan)[0]

	back := testdb.EscrowReturn(t, tx, out.ID, "2026-02-12")
	for range 2 { // The second time finds nothing to do.
		bookBack(t, tx, back.ID)
		require.Equal(t, queries.EscrowReturnStatusPosted, returnOf(t, tx, back.ID).Status)
		got := state(t, tx, loan.ID)
		require.Equal(t, []mortgage.Cents{1_650_00, 0}, []mortgage.Cents{got.Escrow, got.EscrowAdvance})
		returned := disbursements(t, tx, loan)[0]
		require.Equal(t, queries.EscrowDisbursementStatusReturned, returned.Status)
		require.Equal(t, "R04", *returned.ReturnReason)
		held := bills(t, tx, id)[0]
		require.Equal(t, []any{queries.EscrowBillStatusHeld, "disbursement_returned"}, []any{held.Status, *held.HeldRule})
		require.Equal(t, testdb.Date("2026-02-10"), line(t, tx, id).NextDueOn)
		requireSoundBooks(t, tx, loan.ID)
	}
	again := testdb.EscrowReturn(t, tx, out.ID, "2026-02-13")
	bookBack(t, tx, again.ID)
	require.Equal(t, "already_returned", *returnOf(t, tx, again.ID).Refusal)

	run := disburse(t, tx, "2026-02-17")
	require.Contains(t, string(run.Findings), "disbursement_returned")
	require.Len(t, disbursements(t, tx, loan), 1, "nobody has looked at it")
	_, err := q.MarkEscrowBillReleased(t.Context(), "test", bills(t, tx, id)[0].ID)
	require.NoError(t, err)
	disburse(t, tx, "2026-02-18")
	all := disbursements(t, tx, loan)
	require.Len(t, all, 2)
	require.Equal(t, out.BillID, all[0].BillID)
	require.Equal(t, testdb.Date("2026-08-10"), line(t, tx, id).NextDueOn)
	require.Equal(t, mortgage.Cents(150_00), state(t, tx, loan.ID).EscrowAdvance)
	require.Len(t, bills(t, tx, id), 1)
	requireSoundBooks(t, tx, loan.ID)

	// A payment that is found late goes before both.
	post(t, tx, loan, 100_00, "2026-02-03")
	require.Equal(t, mortgage.Cents(150_00), state(t, tx, loan.ID).EscrowAdvance)
	requireSoundBooks(t, tx, loan.ID)
}

// A return whose last statement fails has done nothing; tried again it does all.
func TestReturnDisbursementRollsBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	testdb.EscrowLine(t, db.App, loan, dueOn("2026-02-10"))
	require.NoError(t, raceToPay(t, db.App, loan, "2026-02-10")())
	out := disbursements(t, db.App, loan)[0]
	back := testdb.EscrowReturn(t, db.App, out.ID, "2026-02-12")
	before := settled(t, db.App, loan)

	_, err := db.Super.Exec(t.Context(), "ALTER TABLE escrow_returns ADD CONSTRAINT bad CHECK (status <> 'posted')")
	require.NoError(t, err)
	job := &river.Job[jobs.ReturnDisbursementArgs]{Args: jobs.ReturnDisbursementArgs{ReturnID: back.ID}}
	require.Error(t, (&jobs.ReturnDisbursement{DB: db.App}).Work(t.Context(), job))
	require.Equal(t, before, settled(t, db.App, loan))
	require.Equal(t, queries.EscrowDisbursementStatusScheduled, disbursements(t, db.App, loan)[0].Status)

	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE escrow_returns DROP CONSTRAINT bad")
	require.NoError(t, err)
	bookBack(t, db.App, back.ID)
	require.Equal(t, queries.EscrowDisbursementStatusReturned, disbursements(t, db.App, loan)[0].Status)
	requireSoundBooks(t, db.App, loan.ID)
}

// The return of an older bill leaves a line alone that has gone on to a later one.
func TestReturnOfAnOlderBill(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) {
		p.EscrowCents, p.NextDueOn = 9_000_00, testdb.Date("2026-12-01")
	})
	id := testdb.EscrowLine(t, tx, loan, dueOn("2026-02-10"))
	disburse(t, tx, "2026-02-10")
	first := disbursements(t, tx, loan)[0]
	disburse(t, tx, "2026-08-10")
	bookBack(t, tx, testdb.EscrowReturn(t, tx, first.ID, "2026-08-11").ID)
	require.Equal(t, testdb.Date("2027-02-10"), line(t, tx, id).NextDueOn)
	_, err := queries.New(tx).MarkEscrowBillReleased(t.Context(), "test", *first.BillID)
	require.NoError(t, err)
	disburse(t, tx, "2026-08-12")
	require.Len(t, disbursements(t, tx, loan), 3)
	require.Equal(t, testdb.Date("2027-02-10"), line(t, tx, id).NextDueOn)
	require.Equal(t, mortgage.Cents(5_400_00), state(t, tx, loan.ID).Escrow)
	requireSoundBooks(t, tx, loan.ID)
}

// A payoff refund that came back is not sent again by itself.
func TestReturnOfARefund(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) { p.PrincipalCents, p.MaturityOn = 100_00, p.NextDueOn })
	post(t, tx, loan, 1_000_00, "2026-02-02")
	disburse(t, tx, "2026-03-03")
	refund := disbursements(t, tx, loan)[0]
	bookBack(t, tx, testdb.EscrowReturn(t, tx, refund.ID, "2026-03-03").ID)
	require.Equal(t, refund.AmountCents, state(t, tx, loan.ID).Escrow)
	disburse(t, tx, "2026-03-04")
	require.Len(t, disbursements(t, tx, loan), 1)
	_, err := queries.New(tx).MarkDisbursementReleased(t.Context(), "test", refund.ID)
	require.NoError(t, err)
	disburse(t, tx, "2026-03-04")
	require.Len(t, disbursements(t, tx, loan), 2)
	require.Zero(t, state(t, tx, loan.ID).Escrow)
	requireSoundBooks(t, tx, loan.ID)
}

// What was sent and is not confirmed is stale after the days that the servicer sets.
func TestDisbursementsBecomeStale(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx)
	testdb.EscrowLine(t, tx, loan, dueOn("2026-02-10"))
	disburse(t, tx, "2026-02-10")
	_, err := tx.Exec(t.Context(), `UPDATE escrow_disbursements SET status = 'sent', sent_at = '2026-02-10T23:00:00Z'
		WHERE loan_id = $1`, loan.ID)
	require.NoError(t, err)
	disburse(t, tx, "2026-02-19")
	require.Equal(t, queries.EscrowDisbursementStatusSent, disbursements(t, tx, loan)[0].Status)
	disburse(t, tx, "2026-02-20")
	require.Equal(t, queries.EscrowDisbursementStatusStale, disbursements(t, tx, loan)[0].Status)
}
