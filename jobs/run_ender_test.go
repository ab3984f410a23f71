package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// lost are the ways in which a job can be gone for good.
var lost = map[string]string{
	"discarded": `UPDATE river.river_job SET state = 'discarded', finalized_at = now(), attempt = max_attempts`,
	"cancelled": `UPDATE river.river_job SET state = 'cancelled', finalized_at = now()`,
	"removed":   `DELETE FROM river.river_job`,
}

// chunks plans the run into one chunk for each of the loans, with a job each.
func (p process) chunks(t *testing.T, db *testdb.DB, loans []queries.Loan, opts *river.InsertOpts) queries.Run {
	t.Helper()
	var run queries.Run
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		run = testdb.Run(t, tx)
		if err := queries.New(tx).MarkRunPlanned(t.Context(), int64(len(loans)), run.ID); err != nil {
			return err
		}
		for _, loan := range loans {
			testdb.RunChunk(t, tx, run, loan, loan)
			args := jobs.CloseDayChunkArgs{RunID: run.ID, FirstLoanID: loan.ID, LastLoanID: loan.ID}
			if _, err := p.inserter.InsertTx(t.Context(), tx, args, opts); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	return run
}

// A part of a run that fails for good is named, the others are closed, and the
// run is over; once what was wrong is mended the next run closes it.
func TestRunEndsWhenAChunkUsesUpItsAttempts(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loans := []queries.Loan{testdb.Loan(t, db.App), testdb.Loan(t, db.App), testdb.Loan(t, db.App)}
	super := func(sql string) {
		_, err := db.Super.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	// Not the fault of a loan: that would be found alone.
	super(fmt.Sprintf(`
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER fail BEFORE UPDATE ON loans FOR EACH ROW WHEN (NEW.id = %d) EXECUTE FUNCTION fail()`, loans[1].ID))
	p := newProcess(t, db)
	run := p.chunks(t, db, loans, &river.InsertOpts{MaxAttempts: 1})
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(t.Context())) }()

	untilOver(t, db, run)
	got := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{3, 2, 1})
	require.EqualValues(t, 3, got.Done)
	require.JSONEq(t, fmt.Sprintf(`[{"loan_id": %d,
		"detail": "the job that was to close it was given up: the log has the reason"}]`, loans[1].ID), string(got.Findings))
	require.Equal(t, 2, lateCharges(t, db))

	db.SwitchOffDDLGuards(t)
	super("DROP TRIGGER fail ON loans")
	again := p.requestClose(t, db)
	untilOver(t, db, again)
	requireRun(t, db, again.ID, queries.RunStatusFinished, [3]int64{1, 1, 0})
	require.Equal(t, 3, lateCharges(t, db))
}

// However a job is lost, also with the worker that made its last attempt, the
// run ends; and a job that comes back after that does nothing.
func TestRunEndsWithoutItsJobs(t *testing.T) {
	t.Parallel()
	for name, loss := range lost {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Clone(t)
			loans := []queries.Loan{testdb.Loan(t, db.App), testdb.Loan(t, db.App)}
			p := newProcess(t, db)
			unplanned := p.requestClose(t, db)
			running := p.chunks(t, db, loans, nil)
			_, err := db.Super.Exec(t.Context(), loss)
			require.NoError(t, err)

			worker, other := p.start(t, db), p.start(t, db)
			untilOver(t, db, unplanned)
			untilOver(t, db, running)
			got := requireRun(t, db, unplanned.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
			require.JSONEq(t, `[{
				"detail": "the run could not be planned, and its job was given up: the log has the reason"}]`, string(got.Findings))
			requireRun(t, db, running.ID, queries.RunStatusFailed, [3]int64{2, 0, 2})

			_, err = db.Super.Exec(t.Context(), `UPDATE river.river_job
				SET state = 'available', finalized_at = NULL, attempt = 0 WHERE state IN ('discarded', 'cancelled')`)
			require.NoError(t, err)
			require.Eventually(t, func() bool { return unfinished(t, db) == 0 }, patience, 10*time.Millisecond)
			require.NoError(t, worker.Stop(t.Context()))
			require.NoError(t, other.Stop(t.Context()))
			requireRun(t, db, running.ID, queries.RunStatusFailed, [3]int64{2, 0, 2})
			require.Zero(t, lateCharges(t, db))
		})
	}
}

// Runs that pay bills and runs that analyze escrow accounts end in the same way, and
// name the loans that are not done.
func TestEscrowRunsEndWithoutTheirJobs(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := escrowedLoan(t, db.App, 1_680_00)
	testdb.EscrowLine(t, db.App, loan, dueOn("2027-01-31"))
	p := newProcess(t, db)
	for _, edit := range []func(*queries.InsertRunParams){analysesAsOf("2027-01-31"), disbursing("2027-01-31")} {
		unplanned, run := testdb.Run(t, db.App, edit), testdb.Run(t, db.App, edit)
		if run.Kind == queries.RunKindAnalyzeEscrow {
			require.Len(t, planAnalyses(t, db.App, db.App, run), 1)
		} else {
			require.Len(t, planDisbursing(t, db.App, run), 1)
		}
		_, err := db.Super.Exec(t.Context(), lost["removed"])
		require.NoError(t, err)
		worker := p.start(t, db)
		untilOver(t, db, unplanned)
		untilOver(t, db, run)
		require.NoError(t, worker.Stop(t.Context()))
		requireRun(t, db, unplanned.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
		got := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{1, 0, 1})
		what := map[queries.RunKind]string{
			queries.RunKindAnalyzeEscrow: "analyze its escrow account", queries.RunKindDisburseEscrow: "pay its bills",
		}[run.Kind]
		require.JSONEq(t, fmt.Sprintf(`[{"loan_id": %d,
			"detail": "the job that was to %s was given up: the log has the reason"}]`, loan.ID, what), string(got.Findings))
	}
}

// What another run has closed meanwhile is no finding.
func TestRunWithoutJobsFinishesWhenItsLoansAreClosed(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	run := p.chunks(t, db, []queries.Loan{loan}, nil)
	_, err := db.Super.Exec(t.Context(), lost["removed"])
	require.NoError(t, err)
	_, err = db.Super.Exec(t.Context(), "UPDATE loans SET as_of_on = '2026-02-17'")
	require.NoError(t, err)

	worker := p.start(t, db)
	untilOver(t, db, run)
	require.NoError(t, worker.Stop(t.Context()))
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{1, 0, 0})
}

// A run whose jobs wait, run or are to be tried again is left alone.
func TestRunWithJobsIsLeftAlone(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	p.requestClose(t, db)
	p.chunks(t, db, []queries.Loan{loan}, nil)
	q := queries.New(db.App)
	for _, state := range []string{
		"state = 'available'", "state = 'pending'", "state = 'retryable'", "state = 'scheduled'",
		"state = 'running', attempted_at = now(), attempt = max_attempts, attempted_by = ARRAY['alive']",
	} {
		_, err := db.Super.Exec(t.Context(), "UPDATE river.river_job SET "+state)
		require.NoError(t, err)
		runs, err := q.ListGivenUpRuns(t.Context())
		require.NoError(t, err)
		require.Empty(t, runs, state)
		chunks, err := q.ListGivenUpRunChunks(t.Context())
		require.NoError(t, err)
		require.Empty(t, chunks, state)
	}
}

// unfinished counts the jobs that somebody is still to work.
func unfinished(t *testing.T, db *testdb.DB) (n int) {
	t.Helper()
	err := db.Super.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job
		WHERE state NOT IN ('completed', 'cancelled', 'discarded')`).Scan(&n)
	require.NoError(t, err)
	return n
}

// A check that the clock asks for is planned by a job that names no run: for as long as
// that is there the run is not given up.
func TestACheckByTheClockIsNotGivenUp(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	run := testdb.Run(t, db.App, func(r *queries.InsertRunParams) { r.Kind = queries.RunKindCheckIntegrity })
	q := queries.New(db.App)
	_, err := p.inserter.Insert(t.Context(), jobs.CheckIntegrityArgs{RunID: uuid.Nil, Complete: true}, nil)
	require.NoError(t, err)
	given, err := q.ListGivenUpRuns(t.Context())
	require.NoError(t, err)
	require.Empty(t, given)

	_, err = db.Super.Exec(t.Context(), `UPDATE river.river_job SET state = 'discarded', finalized_at = now()`)
	require.NoError(t, err)
	given, err = q.ListGivenUpRuns(t.Context())
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{run.ID}, given)
}
