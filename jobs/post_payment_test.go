package jobs_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// regZ is a loan whose periodic payment is 1,000.00, as in comment 41(d)(3)-1.
func regZ(p *queries.InsertLoanParams) {
	p.RatePpm, p.OriginalPrincipalCents, p.PrincipalCents = 35_000, 187_500_00, 187_500_00
	p.PrincipalAndInterestCents, p.EscrowPaymentCents, p.EscrowCents = 841_96, 158_04, 0
	p.NextDueOn = testdb.Date("2026-02-01")
	p.LateChargeRatePpm = 0 // The example has no late charges.
}

func work(t *testing.T, tx pgx.Tx, payment uuid.UUID) error {
	t.Helper()
	worker := rivertest.NewWorker(t, riverpgxv5.New(nil), &river.Config{Schema: jobs.Schema},
		&jobs.PostPayment{DB: tx, Metrics: newMetrics()})
	_, err := worker.Work(t.Context(), t, tx, jobs.PostPaymentArgs{PaymentID: payment}, nil)
	return err
}

func newMetrics() *jobs.Metrics {
	return jobs.NewMetrics(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
}

// jobFor is a job without its row, which posting does not read.
func jobFor(payment uuid.UUID) *river.Job[jobs.PostPaymentArgs] {
	return &river.Job[jobs.PostPaymentArgs]{Args: jobs.PostPaymentArgs{PaymentID: payment}}
}

func received(amount mortgage.Cents, on string) func(*queries.InsertPaymentParams) {
	return func(p *queries.InsertPaymentParams) { p.AmountCents, p.ReceivedOn = amount, testdb.Date(on) }
}

func TestPostPayment(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	loan := testdb.Loan(t, tx, regZ)

	steps := []struct {
		amount       mortgage.Cents
		on           string
		suspense     mortgage.Cents // of the payment
		held         mortgage.Cents // by the loan, afterwards
		transactions int32          // of the loan, afterwards
		nextDueOn    string
	}{
		{amount: 600_00, on: "2026-02-05", suspense: 600_00, held: 600_00, transactions: 2, nextDueOn: "2026-02-01"},
		{amount: 300_00, on: "2026-03-05", suspense: 300_00, held: 900_00, transactions: 3, nextDueOn: "2026-02-01"},
		{amount: 400_00, on: "2026-04-05", suspense: -600_00, held: 300_00, transactions: 5, nextDueOn: "2026-03-01"},
	}
	for _, step := range steps {
		payment := testdb.Payment(t, tx, loan, received(step.amount, step.on))
		for range 2 { // The second time finds nothing to do.
			require.NoError(t, work(t, tx, payment.ID))
			got, err := q.GetPayment(t.Context(), payment.ID)
			require.NoError(t, err)
			require.Equal(t, queries.PaymentStatusPosted, got.Status)
			require.Equal(t, step.suspense, got.SuspenseCents)
			after, err := q.GetLoan(t.Context(), loan.ID)
			require.NoError(t, err)
			require.Equal(t, step.held, after.SuspenseCents)
			require.Equal(t, step.transactions, after.LastSeq)
			require.Equal(t, testdb.Date(step.nextDueOn), after.NextDueOn)
		}
	}
	requireSoundBooks(t, tx, loan.ID)
}

func TestPostPaymentRejects(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		loan   func(*testing.T, pgx.Tx) queries.Loan
		reason string
	}{
		"a loan that is archived": {
			loan: func(t *testing.T, tx pgx.Tx) queries.Loan {
				t.Helper()
				loan := testdb.Loan(t, tx)
				_, err := tx.Exec(t.Context(), "UPDATE loans SET status = 'archived' WHERE id = $1", loan.ID)
				require.NoError(t, err)
				return loan
			}, reason: "loan_archived",
		},
		"a loan that is paid off": {
			loan: func(t *testing.T, tx pgx.Tx) queries.Loan {
				t.Helper()
				loan := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) {
					p.MaturityOn, p.PrincipalCents = p.NextDueOn, 100_00
				})
				last := testdb.Payment(t, tx, loan, received(1_000_00, "2026-02-01"))
				require.NoError(t, work(t, tx, last.ID))
				return loan
			}, reason: "loan_paid_off",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := testdb.Tx(t)
			q := queries.New(tx)
			loan := tt.loan(t, tx)
			before, err := q.GetLoan(t.Context(), loan.ID)
			require.NoError(t, err)
			payment := testdb.Payment(t, tx, loan, received(500_00, "2026-03-01"))

			require.NoError(t, work(t, tx, payment.ID), "a refused payment is a finished job")

			got, err := q.GetPayment(t.Context(), payment.ID)
			require.NoError(t, err)
			require.Equal(t, queries.PaymentStatusRejected, got.Status)
			require.Equal(t, tt.reason, *got.Reason)
			after, err := q.GetLoan(t.Context(), loan.ID)
			require.NoError(t, err)
			require.Equal(t, before.LastSeq, after.LastSeq)
			require.Equal(t, before.SuspenseCents, after.SuspenseCents)
			requireSoundBooks(t, tx, loan.ID)
		})
	}
}

// A write that fails at its end leaves nothing of its beginning.
func TestPostPaymentRollsBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	payment := testdb.Payment(t, db.App, loan, received(500_00, "2026-03-01"))
	_, err := db.Super.Exec(t.Context(), `
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = '53100'; END $$;
CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON payments DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION fail()`)
	require.NoError(t, err)

	worker := &jobs.PostPayment{DB: db.App, Metrics: newMetrics()}
	job := jobFor(payment.ID)
	require.Error(t, worker.Work(t.Context(), job))

	q := queries.New(db.App)
	got, err := q.GetPayment(t.Context(), payment.ID)
	require.NoError(t, err)
	require.Equal(t, queries.PaymentStatusReceived, got.Status)
	after, err := q.GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, loan, after)

	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "DROP TRIGGER fail ON payments")
	require.NoError(t, err)
	require.NoError(t, worker.Work(t.Context(), job), "the next attempt succeeds")
	requireSoundBooks(t, db.App, loan.ID)
}

// Payments of one loan that are worked at the same moment follow one another.
func TestPostPaymentsOfOneLoanAtOnce(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App, regZ)
	const count = 40
	payments := make([]uuid.UUID, count)
	for i := range payments {
		payments[i] = testdb.Payment(t, db.App, loan, received(mortgage.Cents(100_00+i), "2026-02-01")).ID
	}
	worker := &jobs.PostPayment{DB: db.App, Metrics: newMetrics()}

	var done sync.WaitGroup
	for _, id := range append(payments, payments...) { // Each twice: two workers with the same job.
		done.Go(func() {
			if err := worker.Work(t.Context(), jobFor(id)); err != nil {
				t.Errorf("Work: %v", err)
			}
		})
	}
	done.Wait()

	var cash, posted int64
	err := db.App.QueryRow(t.Context(), `SELECT sum(cash_cents), (SELECT count(*) FROM payments WHERE status = 'posted')
FROM transactions WHERE loan_id = $1`, loan.ID).Scan(&cash, &posted)
	require.NoError(t, err)
	require.EqualValues(t, count, posted)
	require.EqualValues(t, count*100_00+count*(count-1)/2, cash, "every cent once")
	requireSoundBooks(t, db.App, loan.ID)
}

// requireSoundBooks checks a loan's chain, its gapless numbering, and that its
// balances are the sum of its ledger.
func requireSoundBooks(t *testing.T, db queries.DBTX, loan int64) {
	t.Helper()
	var broken, unreconciled, gaps int
	err := db.QueryRow(t.Context(), `SELECT
  (SELECT count(*) FROM broken_seals WHERE loan_id = $1),
  (SELECT count(*) FROM unreconciled_loans WHERE loan_id = $1),
  (SELECT max(seq) - count(*) FROM transactions WHERE loan_id = $1)`, loan).Scan(&broken, &unreconciled, &gaps)
	require.NoError(t, err)
	require.Zero(t, broken, "broken seals")
	require.Zero(t, unreconciled, "loans that are not the sum of their ledger")
	require.Zero(t, gaps, "gaps in seq")
}
