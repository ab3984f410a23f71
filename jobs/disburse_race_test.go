package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// raceToPay is a chunk of a run for the day, and the loan's chunk alone.
func raceToPay(t *testing.T, db *pgxpool.Pool, loan queries.Loan, on string) func() error {
	t.Helper()
	run := testdb.Run(t, db, disbursing(on))
	testdb.RunChunk(t, db, run, loan, loan)
	_, err := db.Exec(t.Context(),
		"UPDATE runs SET status = 'running', total = 1, started_at = now() WHERE id = $1", run.ID)
	require.NoError(t, err)
	return func() error {
		return disburseChunk(t.Context(), db, jobs.DisburseEscrowChunkArgs{
			RunID: run.ID, FirstLoanID: loan.ID, LastLoanID: loan.ID,
		})
	}
}

// Three runs that pay a bill, two of them for one day, meet payments, a reversal and
// the close of a day on one loan, again and again. The bill is paid once whatever
// their order; where it is paid as of the same day as in calm, so are the books.
func TestRunsRaceToPayABill(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }
	prepare := func() (queries.Loan, []func() error) {
		loan := testdb.Loan(t, db.App, withCharges)
		line := testdb.EscrowLine(t, db.App, loan, dueOn("2026-02-17"))
		testdb.EscrowBill(t, db.App, line)
		testdb.EscrowLine(t, db.App, loan, dueOn("2026-02-17")) // One bill has come, the other is expected.
		return loan, raceOf(t, db.App, loan)
	}
	calm, work := prepare()
	for _, one := range append(work, raceToPay(t, db.App, calm, "2026-02-17")) {
		require.NoError(t, one())
	}
	want := settled(t, db.App, calm)

	for round := range testdb.Scale(25, 100) {
		loan, work := prepare()
		var all errgroup.Group
		for range 3 {
			all.Go(raceToPay(t, db.App, loan, "2026-02-17"))
		}
		for _, one := range work {
			all.Go(one)
		}
		require.NoError(t, all.Wait(), "round %d", round)
		require.Equal(t, want, settled(t, db.App, loan), "round %d", round)
		require.Len(t, disbursements(t, db.App, loan), 2, "round %d", round)
		requireSoundBooks(t, db.App, loan.ID)
	}
}

// Money that comes back, twice reported, meets a run that pays another bill, payments,
// a reversal and the close of a day, again and again: the books are those of calm.
func TestMoneyComesBackInARace(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	withCharges := func(p *queries.InsertLoanParams) { regZ(p); p.LateChargeRatePpm = 50_000 }
	prepare := func() (queries.Loan, []func() error) {
		loan := testdb.Loan(t, db.App, withCharges)
		testdb.EscrowLine(t, db.App, loan, dueOn("2026-02-10"))
		require.NoError(t, raceToPay(t, db.App, loan, "2026-02-10")())
		testdb.EscrowLine(t, db.App, loan, dueOn("2026-02-17"))
		work := append(raceOf(t, db.App, loan), raceToPay(t, db.App, loan, "2026-02-17"))
		out := disbursements(t, db.App, loan)[0]
		for range 2 {
			back := testdb.EscrowReturn(t, db.App, out.ID, "2026-02-12")
			work = append(work, func() error {
				job := &river.Job[jobs.ReturnDisbursementArgs]{Args: jobs.ReturnDisbursementArgs{ReturnID: back.ID}}
				return (&jobs.ReturnDisbursement{DB: db.App}).Work(t.Context(), job)
			})
		}
		return loan, work
	}
	calm, work := prepare()
	for _, one := range work {
		require.NoError(t, one())
	}
	want := settled(t, db.App, calm)

	for round := range testdb.Scale(25, 100) {
		loan, work := prepare()
		var all errgroup.Group
		for _, one := range work {
			all.Go(one)
		}
		require.NoError(t, all.Wait(), "round %d", round)
		require.Equal(t, want, settled(t, db.App, loan), "round %d", round)
		require.Len(t, disbursements(t, db.App, loan), 2, "round %d", round)
		requireSoundBooks(t, db.App, loan.ID)
	}
}

// A chunk that is cut off at its very end has done nothing; one that is worked again
// does it all, and once more does nothing.
func TestDisburseChunkIsKilled(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	testdb.EscrowLine(t, db.App, loan, dueOn("2026-02-10"))
	run := testdb.Run(t, db.App, disbursing("2026-02-10"))
	chunks := planDisbursing(t, db.App, run)
	require.Len(t, chunks, 1)

	blocker, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "SELECT FROM runs FOR UPDATE")
	require.NoError(t, err)
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- disburseChunk(ctx, db.App, chunks[0]) }()
	require.Eventually(t, func() bool {
		var waiting bool
		err := db.Super.QueryRow(context.Background(), `
SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
  WHERE NOT granted AND a.datname = current_database())`).Scan(&waiting)
		return err == nil && waiting
	}, patience, 5*time.Millisecond)
	kill()
	require.Error(t, <-ended)
	require.NoError(t, blocker.Rollback(t.Context()))
	requireRun(t, db, run.ID, queries.RunStatusRunning, [3]int64{1, 0, 0})
	require.Empty(t, disbursements(t, db.App, loan))

	for range 2 {
		require.NoError(t, disburseChunk(t.Context(), db.App, chunks[0]))
		requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{1, 1, 0})
		require.Len(t, disbursements(t, db.App, loan), 1)
	}
	requireSoundBooks(t, db.App, loan.ID)
}

// Every third loan of a portfolio has a bill that is due. They are paid by two runs at
// once and by the close of the day, which has several chunks; a loan that fails is named,
// and its neighbors are paid.
func TestDisburseAPortfolio(t *testing.T) {
	t.Parallel()
	loans := testdb.Scale(600, 1500)
	db := testdb.Clone(t)
	var refused queries.Loan
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		for i := range loans {
			loan := testdb.Loan(t, tx)
			if i%3 == 0 {
				testdb.EscrowLine(t, tx, loan, dueOn("2026-02-17"))
				refused = loan
			}
		}
		return nil
	})
	require.NoError(t, err)
	_, err = db.Super.Exec(t.Context(), fmt.Sprintf(
		"ALTER TABLE loans ADD CONSTRAINT bad CHECK (id <> %d OR escrow_cents > 0) NOT VALID", refused.ID))
	require.NoError(t, err)
	p := newProcess(t, db)
	day := p.requestClose(t, db)
	var runs []queries.Run
	for range 2 {
		run := testdb.Run(t, db.App, disbursing("2026-02-17"))
		_, err := p.inserter.Insert(t.Context(), jobs.DisburseEscrowArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
		runs = append(runs, run)
	}
	worker, other := p.start(t, db), p.start(t, db)
	untilOver(t, db, day)
	for _, run := range runs {
		untilOver(t, db, run)
	}
	require.Eventually(t, func() bool {
		var open int
		err := db.App.QueryRow(context.Background(), "SELECT count(*) FROM runs WHERE finished_at IS NULL").Scan(&open)
		return err == nil && open == 0
	}, patience, 10*time.Millisecond)
	require.NoError(t, worker.Stop(t.Context()))
	require.NoError(t, other.Stop(t.Context()))

	for name, query := range map[string]string{
		"broken seals":       "SELECT count(*) FROM broken_seals",
		"unreconciled loans": "SELECT count(*) FROM unreconciled_loans",
		"not paid": fmt.Sprintf(`SELECT %d - count(*) FROM escrow_disbursements
			WHERE amount_cents = 180000 AND advanced_cents = 60000`, loans/3-1),
		"wrong balances": fmt.Sprintf(`SELECT %d - count(*) FROM loans
			WHERE escrow_cents = 0 AND escrow_advance_cents = 60000`, loans/3-1),
		"bills not paid": "SELECT count(*) FROM escrow_bills WHERE status <> 'paid'",
		"runs of the close": `SELECT count(*) - 1 FROM runs
			WHERE kind = 'disburse_escrow' AND requested_by LIKE 'run:%'`,
		"runs that name no loan": fmt.Sprintf(`SELECT count(*) FROM runs
			WHERE kind = 'disburse_escrow' AND NOT findings @> '[{"loan_id": %d}]'`, refused.ID),
		"runs that failed otherwise": "SELECT count(*) FROM runs WHERE failed_count > 1 OR done <> total",
	} {
		var n int64
		require.NoError(t, db.Super.QueryRow(t.Context(), query).Scan(&n), name)
		require.Zero(t, n, name)
	}
}
