package jobs_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// loanOf returns a loan as it is.
func loanOf(t *testing.T, db *testdb.DB, id int64) queries.Loan {
	t.Helper()
	loan, err := queries.New(db.App).GetLoan(t.Context(), id)
	require.NoError(t, err)
	return loan
}

// rollBack makes a loan and its payments what they were, as if its last payment had never
// come: all that is left agrees with itself.
func rollBack(t *testing.T, db *testdb.DB, was queries.Loan) {
	t.Helper()
	for _, sql := range []string{
		`DELETE FROM transactions WHERE loan_id = $1 AND seq > $2`,
		`DELETE FROM payments WHERE loan_id = $1 AND last_seq > $2`,
	} {
		_, err := db.Super.Exec(t.Context(), sql, was.ID, was.LastSeq)
		require.NoError(t, err)
	}
	_, err := db.Super.Exec(t.Context(), `
UPDATE loans SET principal_cents = $2, escrow_cents = $3, suspense_cents = $4, next_due_on = $5, as_of_on = $6,
  last_effective_on = $7, last_receipt_id = $8, last_seq = $9, last_hash = $10 WHERE id = $1`,
		was.ID, was.PrincipalCents, was.EscrowCents, was.SuspenseCents, was.NextDueOn, was.AsOfOn,
		was.LastEffectiveOn, was.LastReceiptID, was.LastSeq, was.LastHash)
	require.NoError(t, err)
}

// A tail is cut off, and everything that points to it is made to agree. What an earlier
// check has seen is the only witness, and every check asks it.
func TestACutTailThatAgreesWithEverythingIsFound(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	ids := serviced(t, db, 6, 3)
	requireInOrder(t, db)
	was := loanOf(t, db, ids[2])
	payAll(t, db, []queries.Loan{was}, 3)
	require.Equal(t, int64(1), check(t, db, false).Check.Loans, "it is the one that has changed")
	disarm(t, db)
	rollBack(t, db, was)

	want := map[int64][]queries.IntegrityKind{was.ID: {queries.IntegrityKindChainCut}}
	require.Equal(t, want, named(check(t, db, false).Findings))
	require.Equal(t, want, named(check(t, db, true).Findings))
}

// The last transaction is written anew with another amount, and sealed anew, and payment
// and loan are made to agree: again only the earlier check knows.
func TestARewrittenTailThatAgreesWithEverythingIsFound(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	ids := serviced(t, db, 6, 3)
	requireInOrder(t, db)
	disarm(t, db)
	loan := loanOf(t, db, ids[1])
	for _, sql := range []string{
		`UPDATE payments SET received_on = received_on + 1 WHERE loan_id = $1 AND last_seq = (SELECT last_seq FROM loans WHERE id = $1)`,
		`UPDATE transactions SET effective_on = effective_on + 1 WHERE loan_id = $1 AND seq = (SELECT last_seq FROM loans WHERE id = $1)`,
		`UPDATE transactions t SET hash = sha256(p.hash || transaction_text(t)) FROM transactions p
WHERE t.loan_id = $1 AND p.loan_id = $1 AND p.seq = t.seq - 1 AND t.seq = (SELECT last_seq FROM loans WHERE id = $1)`,
		`UPDATE loans l SET last_hash = t.hash, last_effective_on = t.effective_on, as_of_on = greatest(as_of_on, t.effective_on)
FROM transactions t WHERE t.loan_id = $1 AND l.id = $1 AND t.seq = l.last_seq`,
	} {
		_, err := db.Super.Exec(t.Context(), sql, loan.ID)
		require.NoError(t, err)
	}
	want := map[int64][]queries.IntegrityKind{loan.ID: {queries.IntegrityKindChainCut}}
	require.Equal(t, want, named(check(t, db, false).Findings))
	require.Equal(t, want, named(check(t, db, true).Findings))
}

// What a later check no longer finds is resolved, and comes as a new finding when it is
// there again.
func TestFindingsAreResolved(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	ids := serviced(t, db, 3, 1)
	requireInOrder(t, db)
	tamper := func(cents mortgage.Cents) {
		_, err := db.Super.Exec(t.Context(),
			`UPDATE loans SET suspense_cents = suspense_cents + $2 WHERE id = $1`, ids[0], cents)
		require.NoError(t, err)
	}
	tamper(5)
	first := check(t, db, false).Findings
	require.Len(t, first, 2, "the balance, and what the payments lead to")
	again := check(t, db, false).Findings
	require.Equal(t, first[0].ID, again[0].ID)
	require.Equal(t, first[0].FirstSeenAt, again[0].FirstSeenAt)
	require.Greater(t, again[0].LastSeenAt, first[0].LastSeenAt)

	tamper(-5)
	require.Empty(t, check(t, db, false).Findings)
	var open, resolved int
	require.NoError(t, db.App.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE resolved_at IS NULL),
  count(*) FILTER (WHERE resolved_at IS NOT NULL) FROM integrity_findings`).Scan(&open, &resolved))
	require.Equal(t, [2]int{0, 2}, [2]int{open, resolved})

	tamper(5)
	require.NotEqual(t, first[0].ID, check(t, db, true).Findings[0].ID)
}

// The whole portfolio is looked at in steps, and loans in chunks; each counts once,
// however often it is worked.
func TestCheckIsARun(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	ids := serviced(t, db, 4, 1)
	disarm(t, db)
	_, err := db.Super.Exec(t.Context(), `UPDATE loans SET escrow_cents = escrow_cents - 1 WHERE id = $1`, ids[3])
	require.NoError(t, err)
	p := newProcess(t, db)
	run := p.requestCheck(t, db, true)
	job := &river.Job[jobs.CheckIntegrityArgs]{Args: jobs.CheckIntegrityArgs{RunID: run.ID}}
	plan := &jobs.CheckIntegrity{DB: db.App, Jobs: p.inserter}
	require.NoError(t, plan.Work(t.Context(), job))
	require.NoError(t, plan.Work(t.Context(), job))

	q := queries.New(db.App)
	chunk := &river.Job[jobs.CheckIntegrityChunkArgs]{Args: jobs.CheckIntegrityChunkArgs{
		RunID: run.ID, FirstLoanID: ids[0], LastLoanID: ids[3],
	}}
	for range 2 {
		require.NoError(t, (&jobs.CheckIntegrityChunk{DB: db.App}).Work(t.Context(), chunk))
	}
	run, err = q.GetRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, queries.RunStatusFinished, run.Status)
	require.Equal(t, [4]int64{4, 4, 1, 0}, [4]int64{run.Total, run.Done, run.Changed, run.FailedCount})
	require.Contains(t, string(run.Findings), "balance_mismatch")
	done, err := q.GetIntegrityCheck(t.Context(), run.ID)
	require.NoError(t, err)
	require.NotNil(t, done.FinishedAt)
	require.Equal(t, int64(4), done.Loans)
	keys, err := q.ListForeignKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, done.Steps, len(keys)+4)
}

// requestCheck asks for a check by whoever works the queue.
func (p process) requestCheck(t *testing.T, db *testdb.DB, complete bool) queries.Run {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	var run queries.Run
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) (err error) {
		run, err = jobs.InsertCheck(t.Context(), tx, queries.InsertRunParams{
			ID: id, Kind: queries.RunKindCheckIntegrity, AsOfOn: testdb.Date("2026-06-01"),
			RequestedBy: "testdb", IdempotencyKey: id.String(), RequestHash: make([]byte, 32),
		}, complete)
		if err != nil {
			return err
		}
		_, err = p.inserter.InsertTx(t.Context(), tx, jobs.CheckIntegrityArgs{RunID: run.ID}, nil)
		return err
	})
	require.NoError(t, err)
	return run
}

// startChecking starts a worker that checks by itself.
func (p process) startChecking(t *testing.T, db *testdb.DB) *jobs.Worker {
	t.Helper()
	worker, err := jobs.NewWorker(db.App, jobs.Config{
		ID: "", PaymentWorkers: 2, Checks: true, Metrics: p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	return worker
}

// A worker checks what it is asked for, and by itself: the loans of the week once.
func TestWorkerChecks(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	serviced(t, db, 3, 1)
	p := newProcess(t, db)
	run := p.requestCheck(t, db, false)
	worker := p.startChecking(t, db)
	untilOver(t, db, run)
	q := queries.New(db.App)
	require.Eventually(t, func() bool {
		last, err := q.ListLastIntegrityChecks(t.Context())
		return err == nil && len(last) == 2 && last[0].Loans == 3 && last[1].Loans == 3
	}, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return metric(t, p.registry, "loanserve_loans_registered") == 3 },
		patience, 10*time.Millisecond)
	require.NoError(t, worker.Stop(t.Context()))
	require.Zero(t, metric(t, p.registry, "loanserve_loans_missing"))

	var asked []string
	rows, err := db.App.Query(t.Context(),
		`SELECT split_part(idempotency_key, ' ', 2) FROM runs WHERE requested_by = 'schedule'`)
	require.NoError(t, err)
	asked, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"week"}, asked, "on the day of the week's check there is no day's")
}
