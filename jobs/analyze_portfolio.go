package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

// analyzeChunkLoans is how many loans one transaction analyzes. Beyond a few
// hundred the statements cost what the rows cost, and payments to a locked loan
// only wait longer.
const analyzeChunkLoans = 500

// AnalyzePortfolioArgs names the run that analyzes the escrow accounts whose
// computation year is over.
type AnalyzePortfolioArgs struct {
	RunID uuid.UUID `json:"run_id"`
}

// Kind is stored with every job, so it never changes.
func (AnalyzePortfolioArgs) Kind() string { return "analyze_portfolio" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// run it names is planned once.
func (AnalyzePortfolioArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEscrow, MaxAttempts: postPaymentAttempts}
}

// AnalyzePortfolio cuts the loans whose next computation year is to be analyzed into
// chunks and enqueues a job for each, all in one transaction. It analyzes nothing
// itself.
type AnalyzePortfolio struct {
	river.WorkerDefaults[AnalyzePortfolioArgs]

	DB   DB
	Jobs *river.Client[pgx.Tx] // takes the chunks
}

// Timeout implements river.Worker.
func (*AnalyzePortfolio) Timeout(*river.Job[AnalyzePortfolioArgs]) time.Duration { return closeTimeout }

// Work plans the run, once.
func (w *AnalyzePortfolio) Work(ctx context.Context, job *river.Job[AnalyzePortfolioArgs]) error {
	plan := runPlan{jobs: w.Jobs, cut: cutToAnalyze, chunk: func(c queries.RunChunk) river.JobArgs {
		return AnalyzeEscrowChunkArgs{RunID: c.RunID, FirstLoanID: c.FirstLoanID, LastLoanID: c.LastLoanID}
	}, also: func(context.Context, pgx.Tx, *queries.Run) error { return nil }}
	return plan.work(ctx, w.DB, job.Args.RunID)
}

func cutToAnalyze(ctx context.Context, q *queries.Queries, run *queries.Run) ([]queries.RunChunk, error) {
	z, err := startAnalyzing(ctx, q, run.CreatedAt)
	if err != nil {
		return nil, err
	}
	upTo, only := z.months(run.AsOfOn, run.DueMonthOn)
	return q.InsertEscrowChunks(ctx, queries.InsertEscrowChunksParams{
		RunID: run.ID, ChunkLoans: analyzeChunkLoans, UpToMonth: upTo, OnlyMonth: only,
	})
}

// months returns the numbers of the last month and, where a run is for one month
// alone, of the only one in which the computation years begin that a run is to
// analyze. A run for a month may come as early as the regulation allows; otherwise a
// loan is analyzed when its year is over, less the policy's days of notice.
func (z *analyzing) months(asOf, dueMonthOn mortgage.Date) (upTo, only int32) {
	if dueMonthOn == 0 {
		return int32(mortgage.LastEscrowMonth(asOf, z.policy.NoticeDays)), 0
	}
	only = int32(mortgage.MonthNumber(dueMonthOn))
	return only, only
}

// CountAnalysesDue returns how many loans a run would analyze that is asked for at the
// moment and for the business date.
func CountAnalysesDue(ctx context.Context, q *queries.Queries, at time.Time, asOf mortgage.Date) (int64, error) {
	z, err := startAnalyzing(ctx, q, at)
	if err != nil {
		return 0, err
	}
	upTo, _ := z.months(asOf, 0)
	return q.CountAnalysesDue(ctx, upTo)
}

// startAnalyses starts the run that analyzes the escrow accounts that fall due on
// the business date of another run, when that is over and has not started it yet.
func startAnalyses(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], after uuid.UUID) error {
	run, err := queries.New(tx).GetRunToFollow(ctx, queries.GetRunToFollowParams{
		ID: after, Follower: runCause(after), Key: string(queries.RunKindAnalyzeEscrow),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the end of the run: %w", err)
	}
	return startRun(ctx, tx, client, queries.RunKindAnalyzeEscrow, &run, func(id uuid.UUID) river.JobArgs {
		return AnalyzePortfolioArgs{RunID: id}
	})
}
