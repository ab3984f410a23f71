package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

// CheckIntegrityChunkArgs names the loans of a run that one job checks.
type CheckIntegrityChunkArgs struct {
	RunID       uuid.UUID `json:"run_id"`
	FirstLoanID int64     `json:"first_loan_id"`
	LastLoanID  int64     `json:"last_loan_id"`
}

// Kind is stored with every job, so it never changes.
func (CheckIntegrityChunkArgs) Kind() string { return "check_integrity_chunk" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// chunk it names is counted once.
func (CheckIntegrityChunkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueIntegrity, MaxAttempts: postPaymentAttempts}
}

// CheckIntegrityChunk checks a range of loans. It reads them as one snapshot has them
// and locks none, so that payments are posted meanwhile as ever. What it found, the
// chunk and the run's count change in one transaction, so a job that is killed has done
// nothing and one that runs twice counts once.
type CheckIntegrityChunk struct {
	river.WorkerDefaults[CheckIntegrityChunkArgs]

	DB *pgxpool.Pool
}

// Timeout implements river.Worker.
func (*CheckIntegrityChunk) Timeout(*river.Job[CheckIntegrityChunkArgs]) time.Duration {
	return integrityTimeout
}

// Work checks the chunk. That something is not in order is a finding and no error; of
// the run's own findings it is one, too, and so is a loan that could not be checked.
func (w *CheckIntegrityChunk) Work(ctx context.Context, job *river.Job[CheckIntegrityChunkArgs]) error {
	err := w.work(ctx, job.Args)
	if err != nil {
		return fmt.Errorf("run %s, loans from %d to %d: %w",
			job.Args.RunID, job.Args.FirstLoanID, job.Args.LastLoanID, err)
	}
	return nil
}

func (w *CheckIntegrityChunk) work(ctx context.Context, args CheckIntegrityChunkArgs) error {
	check, err := queries.New(w.DB).GetIntegrityCheck(ctx, args.RunID)
	if err != nil {
		return fmt.Errorf("get check: %w", err)
	}
	r := loanRange{first: args.FirstLoanID, last: args.LastLoanID, complete: check.Complete}
	checked, err := checkLoans(ctx, w.DB, r)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if _, err := q.LockRunChunk(ctx, args.RunID, args.FirstLoanID); errors.Is(err, pgx.ErrNoRows) {
			return nil // An earlier attempt committed.
		} else if err != nil {
			return fmt.Errorf("lock chunk: %w", err)
		}
		if err := checked.store(ctx, q, r); err != nil {
			return err
		}
		if err := q.MarkIntegrityLoansChecked(ctx, int64(len(checked.ids)), args.RunID); err != nil {
			return fmt.Errorf("count loans: %w", err)
		}
		if err := finishChunk(ctx, q, args.RunID, args.FirstLoanID, checked.outcome); err != nil {
			return err
		}
		return endCheck(ctx, q, args.RunID)
	})
}
