package jobs

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

const (
	// QueueCycle is the queue of work on the whole portfolio.
	QueueCycle = "cycle"
	// cycleWorkers is how many such jobs run at the same time in one process:
	// few, so that payments do not wait for them.
	cycleWorkers = 2

	// closeChunkLoans is how many loans one transaction closes. Beyond a few
	// hundred the statement costs what the rows cost, and payments to a locked
	// loan only wait longer.
	closeChunkLoans = 500

	// closeTimeout is many times what a chunk takes; it leaves time for loans
	// that other transactions hold, and for planning a large portfolio.
	closeTimeout = 2 * time.Minute
)

// CloseDayArgs names the run that closes a day.
type CloseDayArgs struct {
	RunID uuid.UUID `json:"run_id"`
}

// Kind is stored with every job, so it never changes.
func (CloseDayArgs) Kind() string { return "close_day" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// run it names is planned once.
func (CloseDayArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCycle, MaxAttempts: postPaymentAttempts}
}

// CloseDay cuts the loans whose books do not reach a business date into chunks
// and enqueues a job for each, all in one transaction. It closes nothing itself.
type CloseDay struct {
	river.WorkerDefaults[CloseDayArgs]

	DB   DB
	Jobs *river.Client[pgx.Tx] // takes the chunks
}

// Timeout implements river.Worker.
func (*CloseDay) Timeout(*river.Job[CloseDayArgs]) time.Duration { return closeTimeout }

// Work plans the run, once, and asks for the day's bills to be paid.
func (w *CloseDay) Work(ctx context.Context, job *river.Job[CloseDayArgs]) error {
	plan := runPlan{jobs: w.Jobs, cut: cutToClose, chunk: func(c queries.RunChunk) river.JobArgs {
		return CloseDayChunkArgs{RunID: c.RunID, FirstLoanID: c.FirstLoanID, LastLoanID: c.LastLoanID}
	}, also: w.followUp}
	return plan.work(ctx, w.DB, job.Args.RunID)
}

func cutToClose(ctx context.Context, q *queries.Queries, run *queries.Run) ([]queries.RunChunk, error) {
	return q.InsertCloseChunks(ctx, queries.InsertCloseChunksParams{
		RunID: run.ID, ChunkLoans: closeChunkLoans, AsOfOn: run.AsOfOn,
	})
}

// startDisbursing asks for what is due on the closed day to be paid, by a run of its
// own that is named by this one.
func (w *CloseDay) startDisbursing(ctx context.Context, tx pgx.Tx, run *queries.Run) error {
	return startRun(ctx, tx, w.Jobs, queries.RunKindDisburseEscrow, run, func(id uuid.UUID) river.JobArgs {
		return DisburseEscrowArgs{RunID: id}
	})
}

// followUp starts what follows a close: the payment of the day's bills and the
// statements that are owed at once, and, where there is nothing to close, the
// analyses that are due.
func (w *CloseDay) followUp(ctx context.Context, tx pgx.Tx, run *queries.Run) error {
	if err := w.startDisbursing(ctx, tx, run); err != nil {
		return err
	}
	if err := makeOwedStatements(ctx, tx, w.Jobs); err != nil {
		return err
	}
	return startAnalyses(ctx, tx, w.Jobs, run.ID)
}
