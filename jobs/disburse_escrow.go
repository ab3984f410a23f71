package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

// disburseChunkLoans is how many loans one transaction pays the bills of.
const disburseChunkLoans = 500

// businessDaySlack is how many days before its deadline a bill may have to be paid,
// beside the lead, because those between are no business days: three at most, when
// a holiday meets a weekend, and a few more to be safe.
const businessDaySlack = 7

// DisburseEscrowArgs names the run that pays what is due from escrow on a day.
type DisburseEscrowArgs struct {
	RunID uuid.UUID `json:"run_id"`
}

// Kind is stored with every job, so it never changes.
func (DisburseEscrowArgs) Kind() string { return "disburse_escrow" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// run it names is planned once.
func (DisburseEscrowArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCycle, MaxAttempts: postPaymentAttempts}
}

// DisburseEscrow cuts the loans that may have something to be paid from escrow into
// chunks and enqueues a job for each, and notices money that was sent and of which
// nobody has said that it arrived. It pays nothing itself.
type DisburseEscrow struct {
	river.WorkerDefaults[DisburseEscrowArgs]

	DB   DB
	Jobs *river.Client[pgx.Tx] // takes the chunks
}

// Timeout implements river.Worker.
func (*DisburseEscrow) Timeout(*river.Job[DisburseEscrowArgs]) time.Duration { return closeTimeout }

// Work plans the run, once.
func (w *DisburseEscrow) Work(ctx context.Context, job *river.Job[DisburseEscrowArgs]) error {
	plan := runPlan{jobs: w.Jobs, cut: cutToDisburse, chunk: func(c queries.RunChunk) river.JobArgs {
		return DisburseEscrowChunkArgs{RunID: c.RunID, FirstLoanID: c.FirstLoanID, LastLoanID: c.LastLoanID}
	}, also: markStale}
	return plan.work(ctx, w.DB, job.Args.RunID)
}

func cutToDisburse(ctx context.Context, q *queries.Queries, run *queries.Run) ([]queries.RunChunk, error) {
	policy, err := q.GetEscrowPaymentPolicy(ctx)
	if err != nil {
		return nil, fmt.Errorf("get payment policy: %w", err)
	}
	return q.InsertDisburseChunks(ctx, queries.InsertDisburseChunksParams{
		RunID: run.ID, ChunkLoans: disburseChunkLoans, AsOfOn: run.AsOfOn, UpToOn: horizon(run.AsOfOn, policy),
	})
}

// horizon is the latest deadline of what may have to be paid on a day.
func horizon(on mortgage.Date, policy queries.GetEscrowPaymentPolicyRow) mortgage.Date {
	return on + mortgage.Date(policy.LeadDays) + businessDaySlack
}

// markStale marks what was sent so many days before the run's day, and not confirmed.
func markStale(ctx context.Context, tx pgx.Tx, run *queries.Run) error {
	q := queries.New(tx)
	policy, err := q.GetEscrowPaymentPolicy(ctx)
	if err != nil {
		return fmt.Errorf("get payment policy: %w", err)
	}
	if err := AllowRows(ctx, q, EveryRow); err != nil {
		return err
	}
	_, err = q.MarkDisbursementsStale(ctx, run.AsOfOn-mortgage.Date(policy.StaleAfterDays))
	if err != nil {
		return fmt.Errorf("mark disbursements stale: %w", err)
	}
	return nil
}
