package jobs_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func reversalJob(reversal queries.PaymentReversal) *river.Job[jobs.ReversePaymentArgs] {
	return &river.Job[jobs.ReversePaymentArgs]{Args: jobs.ReversePaymentArgs{ReversalID: reversal.ID}}
}

// ended is how a reversal has ended.
func ended(
	t *testing.T, db queries.DBTX, reversal queries.PaymentReversal,
) (status queries.ReversalStatus, refusal string) {
	t.Helper()
	got, err := queries.New(db).GetPaymentReversal(t.Context(), reversal.ID)
	require.NoError(t, err)
	if got.Refusal != nil {
		refusal = *got.Refusal
	}
	return got.Status, refusal
}

// A payment counts again when its reversal is undone, and its loan is where it
// was. What is not in force is not undone.
func TestUndoReversal(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }
	loan := testdb.Loan(t, tx, withCharges)
	first := post(t, tx, loan, 1000_00, "2026-02-05")
	post(t, tx, loan, 600_00, "2026-03-05")
	post(t, tx, loan, 700_00, "2026-04-20")
	before := state(t, tx, loan.ID)
	posted, err := queries.New(tx).GetPayment(t.Context(), first.ID)
	require.NoError(t, err)

	reversal := testdb.Reversal(t, tx, first)
	reverse(t, tx, reversal.ID)
	require.NotEqual(t, before, state(t, tx, loan.ID))
	undoing := testdb.Reversal(t, tx, first, testdb.Undoing(reversal))
	for range 2 { // The second time finds nothing to do.
		reverse(t, tx, undoing.ID)
		require.Equal(t, before, state(t, tx, loan.ID))
		requireSoundBooks(t, tx, loan.ID)
		status, _ := ended(t, tx, undoing)
		require.Equal(t, queries.ReversalStatusPosted, status)
	}
	again, err := queries.New(tx).GetPayment(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusPosted, again.Status)
	require.Equal(t, posted.PostedAt, again.PostedAt, "the payment was posted then")
	require.Nil(t, again.ReversedAt)
	parts := func(p queries.Payment) [4]mortgage.Cents {
		return [4]mortgage.Cents{p.InterestCents, p.PrincipalCents, p.EscrowCents, p.SuspenseCents}
	}
	require.Equal(t, parts(posted), parts(again))

	for why, refused := range map[string]queries.PaymentReversal{
		"it was undone": reversal, "it is an undoing": undoing,
	} {
		wish := testdb.Reversal(t, tx, first, testdb.Undoing(refused))
		reverse(t, tx, wish.ID)
		status, refusal := ended(t, tx, wish)
		require.Equal(t, queries.ReversalStatusRejected, status, why)
		require.Equal(t, "payment_not_reversed", refusal, why)
	}
	second := testdb.Reversal(t, tx, first)
	reverse(t, tx, second.ID)
	stale := testdb.Reversal(t, tx, first, testdb.Undoing(reversal))
	reverse(t, tx, stale.ID)
	_, refusal := ended(t, tx, stale)
	require.Equal(t, "payment_not_reversed", refusal, "another reversal is in force")

	_, err = tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", loan.ID)
	require.NoError(t, err)
	late := testdb.Reversal(t, tx, first, testdb.Undoing(second))
	reverse(t, tx, late.ID)
	_, refusal = ended(t, tx, late)
	require.Equal(t, "loan_archived", refusal)
	requireSoundBooks(t, tx, loan.ID)
}

// The fee for a payment that came back goes with the reversal that was a mistake,
// and the next one brings another.
func TestUndoReversalTakesItsFeeBack(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, regZ, func(p *queries.InsertLoanParams) { p.ReturnedPaymentFeeCents = 25_00 })
	first := post(t, tx, loan, 1000_00, "2026-02-05")
	post(t, tx, loan, 1000_00, "2026-03-05")
	before := state(t, tx, loan.ID)
	returned := func(p *queries.InsertPaymentReversalParams) { p.ReturnedOn = testdb.Date("2026-02-09") }
	for range 2 {
		reversal := testdb.Reversal(t, tx, first, returned)
		reverse(t, tx, reversal.ID)
		require.Equal(t, mortgage.Cents(25_00), state(t, tx, loan.ID).FeesDue)
		reverse(t, tx, testdb.Reversal(t, tx, first, testdb.Undoing(reversal)).ID)
		require.Equal(t, before, state(t, tx, loan.ID))
		requireSoundBooks(t, tx, loan.ID)
		got, err := queries.New(tx).GetPaymentReversal(t.Context(), reversal.ID)
		require.NoError(t, err)
		require.Equal(t, mortgage.Cents(25_00), got.FeeCents, "what it charged stays on record")
	}
}

// When its last statement fails, nothing of an undoing stays.
func TestUndoReversalRollsBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App, regZ)
	payment := testdb.Payment(t, db.App, loan, received(1000_00, "2026-02-05"))
	require.NoError(t, (&jobs.PostPayment{DB: db.App, Metrics: newMetrics()}).Work(t.Context(), jobFor(payment.ID)))
	worker := &jobs.ReversePayment{DB: db.App}
	reversal := testdb.Reversal(t, db.App, payment)
	require.NoError(t, worker.Work(t.Context(), reversalJob(reversal)))
	before := settled(t, db.App, loan)

	undoing := testdb.Reversal(t, db.App, payment, testdb.Undoing(reversal))
	_, err := db.Super.Exec(t.Context(), fmt.Sprintf(
		"ALTER TABLE payment_reversals ADD CONSTRAINT bad CHECK (id <> '%s' OR status <> 'posted')", undoing.ID))
	require.NoError(t, err)
	require.Error(t, worker.Work(t.Context(), reversalJob(undoing)))
	require.Equal(t, before, settled(t, db.App, loan))
	status, _ := ended(t, db.App, undoing)
	require.Equal(t, queries.ReversalStatusRequested, status)
	in, err := queries.New(db.App).GetPaymentReversal(t.Context(), reversal.ID)
	require.NoError(t, err)
	require.Nil(t, in.UndoneAt)

	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE payment_reversals DROP CONSTRAINT bad")
	require.NoError(t, err)
	require.NoError(t, worker.Work(t.Context(), reversalJob(undoing)))
	require.NotEqual(t, before, settled(t, db.App, loan))
	requireSoundBooks(t, db.App, loan.ID)
}

// Six workers hold the same job, as when one that was taken for dead is not: it
// is done once, whether it takes the payment out or puts it back.
func TestReversalsWorkedAtOnce(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App, regZ)
	payment := testdb.Payment(t, db.App, loan, received(1000_00, "2026-02-05"))
	later := testdb.Payment(t, db.App, loan, received(700_00, "2026-03-05"))
	for _, p := range []queries.Payment{payment, later} {
		require.NoError(t, (&jobs.PostPayment{DB: db.App, Metrics: newMetrics()}).Work(t.Context(), jobFor(p.ID)))
	}
	with := settled(t, db.App, loan)
	var without []any
	var last queries.PaymentReversal
	for round := range 20 {
		if round%2 == 0 {
			last = testdb.Reversal(t, db.App, payment)
		} else {
			last = testdb.Reversal(t, db.App, payment, testdb.Undoing(last))
		}
		var all errgroup.Group
		for range 6 {
			all.Go(func() error {
				return (&jobs.ReversePayment{DB: db.App}).Work(t.Context(), reversalJob(last))
			})
		}
		require.NoError(t, all.Wait())
		got := settled(t, db.App, loan)
		switch {
		case round == 0:
			without = got
			require.NotEqual(t, with, without)
		case round%2 == 0:
			require.Equal(t, without, got)
		default:
			require.Equal(t, with, got)
		}
		requireSoundBooks(t, db.App, loan.ID)
		after, err := queries.New(db.App).GetLoan(t.Context(), loan.ID)
		require.NoError(t, err)
		// Each time what two payments did is reversed or added again, and once more what the later one did.
		require.Equal(t, 3+3*int32(round+1), after.LastSeq, "transactions")
	}
}

// Payments arrive in any order, are reversed, and reversed again; in the end the
// loan is where one is that got those that count, in the order of their days.
func TestBooksForgetWhatWasReversed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(testdb.Scale(5, 12)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			tx := testdb.Tx(t)
			random := rand.New(rand.NewPCG(seed, 3))
			withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }
			loan, plain := testdb.Loan(t, tx, withCharges), testdb.Loan(t, tx, withCharges)
			days := random.Perm(240)
			inForce := map[int]*queries.PaymentReversal{} // nil where the payment counts
			var payments []queries.Payment
			for range 40 {
				if len(payments) < 8 && random.IntN(2) == 0 {
					on := testdb.Date("2026-01-20") + mortgage.Date(days[len(payments)])
					amount := mortgage.Cents(random.IntN(2500_00) + 1)
					inForce[len(payments)] = nil
					payments = append(payments, post(t, tx, loan, amount, on.String()))
					continue
				}
				if len(payments) == 0 {
					continue
				}
				i := random.IntN(len(payments))
				if inForce[i] == nil {
					reversal := testdb.Reversal(t, tx, payments[i])
					reverse(t, tx, reversal.ID)
					inForce[i] = &reversal
				} else {
					reverse(t, tx, testdb.Reversal(t, tx, payments[i], testdb.Undoing(*inForce[i])).ID)
					inForce[i] = nil
				}
				requireSoundBooks(t, tx, loan.ID)
			}
			requireSame(t, tx, loan, plain, payments, inForce)
		})
	}
}

// requireSame posts to the plain loan what counts of the other's payments, lets
// time pass for both, and compares them.
func requireSame(
	t *testing.T, tx pgx.Tx, loan, plain queries.Loan, payments []queries.Payment,
	inForce map[int]*queries.PaymentReversal,
) {
	t.Helper()
	byDay := map[mortgage.Date]queries.Payment{}
	for i, p := range payments {
		if inForce[i] == nil {
			byDay[p.ReceivedOn] = p
		}
	}
	for on := testdb.Date("2026-01-20"); on < testdb.Date("2026-01-20")+240; on++ {
		if p, ok := byDay[on]; ok {
			post(t, tx, plain, p.AmountCents, on.String())
		}
	}
	closeDay(t, tx, "2026-10-20")
	require.Equal(t, state(t, tx, plain.ID), state(t, tx, loan.ID))
	require.Equal(t, liveOf(t, tx, plain), liveOf(t, tx, loan))
	requireSoundBooks(t, tx, loan.ID)
}

// liveOf is what stands in a loan's books, without whose money it was.
func liveOf(t *testing.T, tx pgx.Tx, loan queries.Loan) []string {
	t.Helper()
	rows, err := queries.New(tx).ListLiveTransactions(t.Context(), loan.ID)
	require.NoError(t, err)
	all := make([]string, len(rows))
	for i, r := range rows {
		all[i] = fmt.Sprint(r.Kind, r.EffectiveOn, r.DueOn, r.CashCents, r.PrincipalCents, r.InterestIncomeCents,
			r.EscrowCents, r.SuspenseCents, r.LateChargesReceivableCents, r.LateChargeIncomeCents, r.Rule)
	}
	return all
}
