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

// DisburseEscrowChunkArgs names the loans of a run of which one job pays what is due.
type DisburseEscrowChunkArgs struct {
	RunID       uuid.UUID `json:"run_id"`
	FirstLoanID int64     `json:"first_loan_id"`
	LastLoanID  int64     `json:"last_loan_id"`
}

// Kind is stored with every job, so it never changes.
func (DisburseEscrowChunkArgs) Kind() string { return "disburse_escrow_chunk" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// chunk it names is counted once.
func (DisburseEscrowChunkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCycle, MaxAttempts: postPaymentAttempts}
}

// DisburseEscrowChunk pays what is due from escrow on the run's day for a range of
// loans. Bills, disbursements, the loans' books, the chunk and the run's count change
// in one transaction, so a job that is killed has done nothing and one that runs twice
// counts once. A bill that is paid is no longer open, whoever asks: two runs for one
// day do the work of one.
//
// Reading and writing take a constant number of statements, but for loans whose books
// hold something later than the day: those are corrected one by one, as by a payment
// that is found late.
type DisburseEscrowChunk struct {
	river.WorkerDefaults[DisburseEscrowChunkArgs]

	DB DB
}

// Timeout implements river.Worker.
func (*DisburseEscrowChunk) Timeout(*river.Job[DisburseEscrowChunkArgs]) time.Duration {
	return closeTimeout
}

// Work pays what is due. A loan that fails is a finding of the run, and does not stop
// its neighbors; what is held is a finding, too.
func (w *DisburseEscrowChunk) Work(ctx context.Context, job *river.Job[DisburseEscrowChunkArgs]) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error { return disburseChunk(ctx, tx, job.Args) })
	if err != nil {
		return fmt.Errorf("run %s, loans from %d to %d: %w",
			job.Args.RunID, job.Args.FirstLoanID, job.Args.LastLoanID, err)
	}
	return nil
}

func disburseChunk(ctx context.Context, tx pgx.Tx, args DisburseEscrowChunkArgs) error {
	q := queries.New(tx)
	chunk, err := q.LockRunChunk(ctx, args.RunID, args.FirstLoanID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt committed.
	}
	if err != nil {
		return fmt.Errorf("lock chunk: %w", err)
	}
	policy, err := q.GetEscrowPaymentPolicy(ctx)
	if err != nil {
		return fmt.Errorf("get payment policy: %w", err)
	}
	d := disbursing{
		at: chunk.PostedAt, on: chunk.AsOfOn, upTo: horizon(chunk.AsOfOn, policy),
		causedBy: runCause(args.RunID), leadDays: int(policy.LeadDays),
		overdue: mortgage.OverduePolicy(policy.Overdue),
	}
	rows, err := q.LockLoansToDisburse(ctx, queries.LockLoansToDisburseParams{
		FirstLoanID: args.FirstLoanID, LastLoanID: chunk.LastLoanID, AsOfOn: d.on, UpToOn: d.upTo,
	})
	if err != nil {
		return fmt.Errorf("lock loans: %w", err)
	}
	outcome, err := workLoans(rows, func(some []queries.Loan) (loansOutcome, error) { return d.tryLoans(ctx, tx, some) })
	if err != nil {
		return err
	}
	return finishChunk(ctx, q, args.RunID, args.FirstLoanID, outcome)
}

// disbursing is what one chunk's loans have in common.
type disbursing struct {
	at       time.Time
	on       mortgage.Date
	upTo     mortgage.Date // the latest deadline that is looked at
	causedBy string
	leadDays int
	overdue  mortgage.OverduePolicy
}

// tryLoans pays what is due for all of the loans whose arithmetic holds, or, when it
// returns an error, for none.
func (d disbursing) tryLoans(ctx context.Context, tx pgx.Tx, rows []queries.Loan) (outcome loansOutcome, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		q := queries.New(tx)
		accounts, err := d.read(ctx, q, rows)
		if err != nil {
			return err
		}
		w := &disburseWriting{ledger: newWriting(d.at)}
		w.bills.PaidOn, w.bills.PostedAt, w.bills.CausedBy = d.on, d.at, d.causedBy
		for _, a := range accounts {
			decided, err := d.decide(a)
			if err != nil {
				outcome.fail(a.id, err)
				continue
			}
			if err := w.enter(ctx, q, d, a, decided); err != nil {
				return fmt.Errorf("loan %d: %w", a.id, err)
			}
			outcome.findings = append(outcome.findings, decided.findings...)
			if len(decided.payments) > 0 {
				outcome.changed++
			} else {
				outcome.unchanged++
			}
		}
		return w.write(ctx, q)
	})
	if err != nil {
		return loansOutcome{}, err
	}
	return outcome, nil
}
