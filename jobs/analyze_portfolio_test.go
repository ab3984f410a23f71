package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// planAnalyses cuts a run of analyses into chunks, as its job does, and returns the
// chunks' jobs.
func planAnalyses(t *testing.T, db jobs.DB, q queries.DBTX, run queries.Run) []jobs.AnalyzeEscrowChunkArgs {
	t.Helper()
	job := &river.Job[jobs.AnalyzePortfolioArgs]{Args: jobs.AnalyzePortfolioArgs{RunID: run.ID}}
	require.NoError(t, (&jobs.AnalyzePortfolio{DB: db, Jobs: inserter()}).Work(t.Context(), job))
	rows, err := q.Query(t.Context(), `
SELECT run_id, first_loan_id, last_loan_id FROM run_chunks WHERE run_id = $1 ORDER BY first_loan_id`, run.ID)
	require.NoError(t, err)
	chunks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.AnalyzeEscrowChunkArgs])
	require.NoError(t, err)
	return chunks
}

func analyzeChunk(ctx context.Context, db jobs.DB, args jobs.AnalyzeEscrowChunkArgs) error {
	worker := &jobs.AnalyzeEscrowChunk{DB: db, Jobs: inserter(), Metrics: newMetrics()}
	return worker.Work(ctx, &river.Job[jobs.AnalyzeEscrowChunkArgs]{Args: args})
}

// analysesAsOf makes a run one of analyses as of the day.
func analysesAsOf(on string) func(*queries.InsertRunParams) {
	return func(p *queries.InsertRunParams) {
		p.Kind, p.AsOfOn = queries.RunKindAnalyzeEscrow, testdb.Date(on)
	}
}

// analyzePortfolio works a run from its plan to its end, everything twice, and
// returns it.
func analyzePortfolio(t *testing.T, tx pgx.Tx, run queries.Run) queries.Run {
	t.Helper()
	for range 2 {
		for _, chunk := range planAnalyses(t, tx, tx, run) {
			require.NoError(t, analyzeChunk(t.Context(), tx, chunk))
		}
	}
	run, err := queries.New(tx).GetRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, run.Total, run.Done)
	require.NotNil(t, run.FinishedAt)
	return run
}

func countRows(t *testing.T, db queries.DBTX, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// A run analyzes what is due on its day, once, whatever runs come later; a loan
// whose year is not over and one without an account are left alone.
func TestPortfolioRunAnalyzesWhatIsDue(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	due := escrowedLoan(t, tx, 1_680_00)
	early := escrowedLoan(t, tx, 1_680_00)
	_, err := tx.Exec(t.Context(), "UPDATE loans SET escrow_year_starts_on = '2026-03-01' WHERE id = $1", early.ID)
	require.NoError(t, err)
	none := testdb.Loan(t, tx, func(p *queries.InsertLoanParams) { p.EscrowCents, p.EscrowPaymentCents = 0, 0 })

	run := analyzePortfolio(t, tx, testdb.Run(t, tx, analysesAsOf("2027-01-30")))
	require.Equal(t, [3]int64{0, 0, 0}, counts(run), "the year is not over")
	run = analyzePortfolio(t, tx, testdb.Run(t, tx, analysesAsOf("2027-01-31")))
	require.Equal(t, [3]int64{1, 1, 0}, counts(run))
	require.Equal(t, queries.RunStatusFinished, run.Status)
	run = analyzePortfolio(t, tx, testdb.Run(t, tx, analysesAsOf("2027-01-31")))
	require.Equal(t, [3]int64{0, 0, 0}, counts(run), "analyzed before")
	require.Equal(t, 1, countRows(t, tx, "SELECT count(*) FROM escrow_analyses WHERE loan_id = $1", due.ID))
	require.Equal(t, testdb.Date("2027-02-01"), getLoan(t, tx, due.ID).EscrowYearStartsOn)
	requireSoundBooks(t, tx, due.ID)

	run = analyzePortfolio(t, tx, testdb.Run(t, tx, analysesAsOf("2027-02-28")))
	require.Equal(t, [3]int64{1, 1, 0}, counts(run), "the other loan's year is over")
	require.Zero(t, countRows(t, tx, "SELECT count(*) FROM escrow_analyses WHERE loan_id = $1", none.ID))
	run = analyzePortfolio(t, tx, testdb.Run(t, tx, analysesAsOf("2028-01-31")))
	require.Equal(t, [3]int64{1, 1, 0}, counts(run), "the year after")
	require.Equal(t, 2, countRows(t, tx, "SELECT count(*) FROM escrow_analyses WHERE loan_id = $1", due.ID))
}

// In a run and alone an account comes to the same.
func TestPortfolioRunFindsWhatASingleAnalysisFinds(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	alone, together := escrowedLoan(t, tx, 1_680_00), escrowedLoan(t, tx, 1_680_00)
	want := analyze(t, tx, testdb.AnalysisWish(t, tx, alone).ID)
	run := analyzePortfolio(t, tx, testdb.Run(t, tx, analysesAsOf("2027-01-31")))
	require.Equal(t, [3]int64{1, 1, 0}, counts(run))
	rows, err := queries.New(tx).ListEscrowAnalyses(t.Context(), queries.ListEscrowAnalysesParams{
		LoanID: together.ID, BeforeID: uuid.Max, RowLimit: 10,
	})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, want.Request, rows[0].Request)
	require.Equal(t, want.Result, rows[0].Result)
	require.Equal(t, &run.ID, rows[0].RunID)
	require.Equal(t, getLoan(t, tx, alone.ID).TermsChanges, getLoan(t, tx, together.ID).TermsChanges)
}

// With days of notice a loan is analyzed before its year is over, and a run for a
// month as early as the regulation allows.
func TestPortfolioRunComesEarly(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	escrowedLoan(t, tx, 1_680_00)
	late := escrowedLoan(t, tx, 1_680_00)
	_, err := tx.Exec(t.Context(), "UPDATE loans SET escrow_year_starts_on = '2026-03-01' WHERE id = $1", late.ID)
	require.NoError(t, err)
	q := queries.New(tx)
	for want, month := range map[int64]string{0: "2027-01-01", 1: "2027-02-01"} {
		hash := make([]byte, 32)
		run, err := q.InsertEscrowRun(t.Context(), queries.InsertEscrowRunParams{
			ID: uuid.Must(uuid.NewV7()), AsOfOn: testdb.Date("2026-12-31"), DueMonthOn: testdb.Date(month),
			RequestedBy: "testdb", IdempotencyKey: month, RequestHash: hash,
		})
		require.NoError(t, err)
		require.Equal(t, want, analyzePortfolio(t, tx, run).Changed, month)
	}
}

// countingTx counts the statements that run in it.
type countingTx struct {
	pgx.Tx
	n *int
}

func (c countingTx) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := c.Tx.Begin(ctx)
	return countingTx{Tx: tx, n: c.n}, err
}

func (c countingTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	*c.n++
	return c.Tx.Exec(ctx, sql, args...)
}

func (c countingTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	*c.n++
	return c.Tx.Query(ctx, sql, args...)
}

func (c countingTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	*c.n++
	return c.Tx.QueryRow(ctx, sql, args...)
}

// A chunk takes as many statements for forty loans as for one.
func TestChunkOfAnalysesTakesAConstantNumberOfStatements(t *testing.T) {
	t.Parallel()
	statements := map[int]int{}
	for _, loans := range []int{11, 40} { // More than the rows that are free, so that both raise the limit.
		tx := testdb.Tx(t)
		for i := range loans { // Shortages of all sizes, and books with something later than the day.
			loan := escrowedLoan(t, tx, 1_200_00+mortgage.Cents(i))
			post(t, tx, loan, 2_346_20, "2027-01-20")
			_, err := tx.Exec(t.Context(), "UPDATE escrow_lines SET last_paid_on = '2027-02-02' WHERE loan_id = $1", loan.ID)
			require.NoError(t, err)
		}
		run := testdb.Run(t, tx, analysesAsOf("2027-01-31"))
		chunks := planAnalyses(t, tx, tx, run)
		require.Len(t, chunks, 1)
		n := 0
		require.NoError(t, analyzeChunk(t.Context(), countingTx{Tx: tx, n: &n}, chunks[0]))
		statements[loans] = n
		require.Equal(t, loans, countRows(t, tx, "SELECT count(*) FROM escrow_analyses WHERE status = 'finished'"))
	}
	require.Equal(t, statements[11], statements[40])
	t.Logf("%d statements", statements[11])
}

// A loan that cannot be analyzed is named with the rule, its neighbors are analyzed,
// and once it is mended the next run analyzes it.
func TestPortfolioRunNamesLoansThatFail(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	good, invalid, refused := escrowedLoan(t, db.App, 1_680_00), escrowedLoan(t, db.App, 1_680_00),
		escrowedLoan(t, db.App, 1_680_00)
	super := func(format string, args ...any) {
		_, err := db.Super.Exec(t.Context(), fmt.Sprintf(format, args...))
		require.NoError(t, err)
	}
	super("UPDATE escrow_lines SET every_months = 7 WHERE loan_id = %d", invalid.ID)
	super("ALTER TABLE loans ADD CONSTRAINT bad CHECK (id <> %d OR terms_changes = '{}') NOT VALID", refused.ID)
	run := testdb.Run(t, db.App, analysesAsOf("2027-01-31"))
	for _, chunk := range planAnalyses(t, db.App, db.App, run) {
		require.NoError(t, analyzeChunk(t.Context(), db.App, chunk))
	}
	got := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{3, 1, 2})
	require.JSONEq(t, fmt.Sprintf(`[
		{"loan_id": %d, "detail": "escrow_invalid: items[0].every_months"},
		{"loan_id": %d, "detail": "SQLSTATE 23514 bad"}]`, invalid.ID, refused.ID), string(got.Findings))
	require.Equal(t, 1, countRows(t, db.App, "SELECT count(*) FROM escrow_analyses WHERE loan_id = $1", good.ID))

	super("UPDATE escrow_lines SET every_months = 6 WHERE loan_id = %d", invalid.ID)
	db.SwitchOffDDLGuards(t)
	super("ALTER TABLE loans DROP CONSTRAINT bad")
	again := testdb.Run(t, db.App, analysesAsOf("2027-01-31"))
	for _, chunk := range planAnalyses(t, db.App, db.App, again) {
		require.NoError(t, analyzeChunk(t.Context(), db.App, chunk))
	}
	requireRun(t, db, again.ID, queries.RunStatusFinished, [3]int64{2, 2, 0})
}

// The close of a day starts the analyses that fall due on it: one run for each
// close, when all its loans are closed. Two closes and two workers analyze each loan
// once, while payments are posted.
func TestCloseDayStartsAnalyses(t *testing.T) {
	t.Parallel()
	const loans = 600
	db := testdb.Clone(t)
	err := pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		for range loans {
			escrowedLoan(t, tx, 1_680_00)
		}
		return nil
	})
	require.NoError(t, err)
	p := newProcess(t, db)
	var payments []queries.Payment
	for _, loan := range []int64{1, 2, 400, 600} {
		row := getLoan(t, db.App, loan)
		payment := testdb.Payment(t, db.App, row)
		_, err := p.inserter.Insert(t.Context(), jobs.PostPaymentArgs{PaymentID: payment.ID}, nil)
		require.NoError(t, err)
		payments = append(payments, payment)
	}
	for range 2 {
		run := testdb.Run(t, db.App, asOf("2027-01-31"))
		_, err := p.inserter.Insert(t.Context(), jobs.CloseDayArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
	}
	worker, other := p.start(t, db), p.start(t, db)
	require.Eventually(t, func() bool {
		var over int
		err := db.App.QueryRow(context.Background(), "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL").Scan(&over)
		return err == nil && over == 6 // Closes, what they pay, and what they analyze.
	}, patience, 10*time.Millisecond)
	for _, payment := range payments {
		untilPosted(t, db, payment)
	}
	require.NoError(t, worker.Stop(t.Context()))
	require.NoError(t, other.Stop(t.Context()))
	for name, query := range map[string]string{
		"runs that failed":   "SELECT count(*) FROM runs WHERE status <> 'finished' OR done <> total",
		"runs":               "SELECT abs(count(*) - 2) FROM runs WHERE kind = 'analyze_escrow' AND as_of_on = '2027-01-31'",
		"analyses":           fmt.Sprintf("SELECT abs(count(*) - %d) FROM escrow_analyses WHERE status = 'finished'", loans),
		"loans":              fmt.Sprintf("SELECT abs(count(DISTINCT loan_id) - %d) FROM escrow_analyses", loans),
		"months":             fmt.Sprintf("SELECT abs(count(*) - %d) FROM escrow_analysis_months", 12*loans),
		"changes":            fmt.Sprintf("SELECT abs(count(*) - %d) FROM loan_changes WHERE status = 'posted'", 2*loans),
		"broken seals":       "SELECT count(*) FROM broken_seals",
		"unreconciled loans": "SELECT count(*) FROM unreconciled_loans",
		"trial balance":      "SELECT sum(balance_cents) FROM trial_balance",
		"paid at the old rate": `SELECT count(*) FROM loans WHERE next_due_on = '2027-03-01'
			AND escrow_cents <> 168000 + 41000`,
	} {
		require.Zero(t, countRows(t, db.Super, query), name)
	}
}

// A chunk that is cut off at its very end has done nothing; one that is worked again
// does it all, and once more does nothing.
func TestChunkOfAnalysesIsKilled(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	escrowedLoan(t, db.App, 1_680_00)
	run := testdb.Run(t, db.App, analysesAsOf("2027-01-31"))
	chunks := planAnalyses(t, db.App, db.App, run)
	require.Len(t, chunks, 1)
	blocker, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "SELECT FROM runs FOR UPDATE")
	require.NoError(t, err)
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- analyzeChunk(ctx, db.App, chunks[0]) }()
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
	require.Zero(t, countRows(t, db.App, "SELECT count(*) FROM escrow_analyses"))
	for range 2 {
		require.NoError(t, analyzeChunk(t.Context(), db.App, chunks[0]))
		requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{1, 1, 0})
		require.Equal(t, 1, countRows(t, db.App, "SELECT count(*) FROM escrow_analyses"))
	}
}
