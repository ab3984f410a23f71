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

// CloseDayChunkArgs names the loans of a run that one job closes.
type CloseDayChunkArgs struct {
	RunID       uuid.UUID `json:"run_id"`
	FirstLoanID int64     `json:"first_loan_id"`
	LastLoanID  int64     `json:"last_loan_id"`
}

// Kind is stored with every job, so it never changes.
func (CloseDayChunkArgs) Kind() string { return "close_day_chunk" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// chunk it names is counted once.
func (CloseDayChunkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueCycle, MaxAttempts: postPaymentAttempts}
}

// CloseDayChunk lets time pass for a range of loans up to the run's business
// date. The loans' books, the chunk and the run's count change in one
// transaction, so a job that is killed has done nothing and one that runs twice
// counts once. How far a loan's own books reach decides what is left to do for
// it, whoever asks: two runs for one day do the work of one.
type CloseDayChunk struct {
	river.WorkerDefaults[CloseDayChunkArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx] // takes what follows the close
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*CloseDayChunk) Timeout(*river.Job[CloseDayChunkArgs]) time.Duration { return closeTimeout }

// Work closes the chunk. A loan that fails is a finding of the run, and does
// not stop its neighbors.
func (w *CloseDayChunk) Work(ctx context.Context, job *river.Job[CloseDayChunkArgs]) error {
	var outcome loansOutcome
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) (err error) {
		if outcome, err = closeChunk(ctx, tx, job.Args); err != nil {
			return err
		}
		return startAnalyses(ctx, tx, w.Jobs, job.Args.RunID)
	})
	if err != nil {
		return fmt.Errorf("run %s, loans from %d to %d: %w",
			job.Args.RunID, job.Args.FirstLoanID, job.Args.LastLoanID, err)
	}
	w.Metrics.countClosed(outcome)
	return nil
}

func closeChunk(ctx context.Context, tx pgx.Tx, args CloseDayChunkArgs) (loansOutcome, error) {
	q := queries.New(tx)
	chunk, err := q.LockRunChunk(ctx, args.RunID, args.FirstLoanID)
	if errors.Is(err, pgx.ErrNoRows) {
		return loansOutcome{}, nil // An earlier attempt committed.
	}
	if err != nil {
		return loansOutcome{}, fmt.Errorf("lock chunk: %w", err)
	}
	rows, err := q.LockLoansToClose(ctx, queries.LockLoansToCloseParams{
		FirstLoanID: args.FirstLoanID, LastLoanID: chunk.LastLoanID, AsOfOn: chunk.AsOfOn,
	})
	if err != nil {
		return loansOutcome{}, fmt.Errorf("lock loans: %w", err)
	}
	c := closing{at: chunk.PostedAt, asOfOn: chunk.AsOfOn, causedBy: runCause(args.RunID)}
	outcome, err := workLoans(rows, func(some []queries.Loan) (loansOutcome, error) { return c.tryLoans(ctx, tx, some) })
	if err != nil {
		return loansOutcome{}, err
	}
	if err := finishChunk(ctx, q, args.RunID, args.FirstLoanID, outcome); err != nil {
		return loansOutcome{}, err
	}
	return outcome, nil
}

// closing is what one chunk's loans have in common.
type closing struct {
	at       time.Time
	asOfOn   mortgage.Date
	causedBy string
}

// tryLoans closes all of the loans whose arithmetic holds, or, when it returns
// an error, none.
func (c closing) tryLoans(ctx context.Context, tx pgx.Tx, rows []queries.Loan) (loansOutcome, error) {
	var outcome loansOutcome
	w := newWriting(c.at)
	var quiet []int64 // The days brought them nothing.
	for i := range rows {
		l := newLoanInHand(&rows[i])
		state, entries, err := l.terms.Advance(l.state, c.asOfOn)
		switch {
		case err != nil:
			outcome.fail(l.id, err)
		case len(entries) == 0:
			quiet = append(quiet, l.id)
		default:
			c.enter(w, l, state, entries)
			outcome.changed++
		}
	}
	outcome.unchanged = len(quiet)
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return c.write(ctx, queries.New(tx), w, quiet) })
	if err != nil {
		return loansOutcome{}, err
	}
	return outcome, nil
}

// enter puts what the days brought into the loan's books.
func (c closing) enter(w *writing, l *loanInHand, state mortgage.State, entries []mortgage.Entry) {
	for _, e := range entries {
		w.add(l, mortgage.Correction{Reverses: 0, Entry: e}, c.causedBy)
		if e.EffectiveOn > l.lastOn { // Of two on one day, a receipt's order is kept.
			l.lastOn, l.lastRef = e.EffectiveOn, ""
		}
	}
	l.state = state
	w.keep(l)
}

func (c closing) write(ctx context.Context, q *queries.Queries, w *writing, quiet []int64) error {
	if len(w.params.LoanID) > 0 {
		if err := w.write(ctx, q); err != nil {
			return err
		}
	}
	if len(quiet) == 0 {
		return nil
	}
	if err := AllowRows(ctx, q, len(quiet)); err != nil {
		return err
	}
	moved, err := q.MarkDayPassed(ctx, c.asOfOn, quiet)
	if err != nil {
		return fmt.Errorf("mark day passed: %w", err)
	}
	if moved != int64(len(quiet)) {
		return broken(fmt.Errorf("%d of %d loans were moved on", moved, len(quiet)))
	}
	return nil
}
