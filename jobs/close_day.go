package jobs

import (
	"context"
	"errors"
	"fmt"
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

// Work plans the run, once.
func (w *CloseDay) Work(ctx context.Context, job *river.Job[CloseDayArgs]) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		return w.plan(ctx, tx, job.Args.RunID)
	})
	if err != nil {
		return fmt.Errorf("plan run %s: %w", job.Args.RunID, err)
	}
	return nil
}

func (w *CloseDay) plan(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	q := queries.New(tx)
	run, err := q.LockRunToPlan(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt committed.
	}
	if err != nil {
		return fmt.Errorf("lock run: %w", err)
	}
	chunks, err := q.InsertCloseChunks(ctx, queries.InsertCloseChunksParams{
		RunID: id, ChunkLoans: closeChunkLoans, AsOfOn: run.AsOfOn,
	})
	if err != nil {
		return fmt.Errorf("insert chunks: %w", err)
	}
	var total int64
	params := make([]river.InsertManyParams, len(chunks))
	for i, c := range chunks {
		total += c.Loans
		params[i] = river.InsertManyParams{
			Args: CloseDayChunkArgs{RunID: id, FirstLoanID: c.FirstLoanID, LastLoanID: c.LastLoanID}, InsertOpts: nil,
		}
	}
	if err := q.MarkRunPlanned(ctx, total, id); err != nil {
		return fmt.Errorf("mark run planned: %w", err)
	}
	if len(params) == 0 {
		return nil
	}
	if _, err := w.Jobs.InsertManyTx(ctx, tx, params); err != nil {
		return fmt.Errorf("enqueue chunks: %w", err)
	}
	return nil
}
