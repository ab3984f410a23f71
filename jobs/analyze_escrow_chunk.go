package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

// AnalyzeEscrowChunkArgs names the loans of a run that one job analyzes.
type AnalyzeEscrowChunkArgs struct {
	RunID       uuid.UUID `json:"run_id"`
	FirstLoanID int64     `json:"first_loan_id"`
	LastLoanID  int64     `json:"last_loan_id"`
}

// Kind is stored with every job, so it never changes.
func (AnalyzeEscrowChunkArgs) Kind() string { return "analyze_escrow_chunk" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// chunk it names is counted once.
func (AnalyzeEscrowChunkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEscrow, MaxAttempts: postPaymentAttempts}
}

// AnalyzeEscrowChunk analyzes a range of loans as of the run's business date.
// Analyses, the loans' terms, the chunk and the run's count change in one
// transaction, so a job that is killed has done nothing and one that runs twice
// counts once. Which year of a loan was analyzed last decides what is left to do for
// it, whoever asks: two runs for one day do the work of one.
//
// Reading and writing take a constant number of statements, but for loans whose books
// would have been others with the new payment: those are corrected one by one, as by
// a change of terms.
type AnalyzeEscrowChunk struct {
	river.WorkerDefaults[AnalyzeEscrowChunkArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx] // takes the statements
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*AnalyzeEscrowChunk) Timeout(*river.Job[AnalyzeEscrowChunkArgs]) time.Duration {
	return closeTimeout
}

// Work analyzes the chunk. A loan that cannot be analyzed is a finding of the run,
// and does not stop its neighbors.
func (w *AnalyzeEscrowChunk) Work(ctx context.Context, job *river.Job[AnalyzeEscrowChunkArgs]) error {
	var outcome loansOutcome
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) (err error) {
		outcome, err = analyzeChunk(ctx, tx, w.Jobs, job.Args)
		return err
	})
	if err != nil {
		return fmt.Errorf("run %s, loans from %d to %d: %w",
			job.Args.RunID, job.Args.FirstLoanID, job.Args.LastLoanID, err)
	}
	w.Metrics.countAnalyzed(outcome.changed, 0, outcome.failed)
	return nil
}

func analyzeChunk(
	ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], args AnalyzeEscrowChunkArgs,
) (loansOutcome, error) {
	q := queries.New(tx)
	chunk, err := q.LockRunChunk(ctx, args.RunID, args.FirstLoanID)
	if errors.Is(err, pgx.ErrNoRows) {
		return loansOutcome{}, nil // An earlier attempt committed.
	}
	if err != nil {
		return loansOutcome{}, fmt.Errorf("lock chunk: %w", err)
	}
	dueMonthOn, err := q.GetRunDueMonth(ctx, args.RunID)
	if err != nil {
		return loansOutcome{}, fmt.Errorf("get run: %w", err)
	}
	z, err := startAnalyzing(ctx, q, chunk.PostedAt)
	if err != nil {
		return loansOutcome{}, err
	}
	c := chunkOfAnalyses{analyzing: z, jobs: client, run: args.RunID, asOf: chunk.AsOfOn}
	c.upTo, c.only = z.months(chunk.AsOfOn, dueMonthOn)
	rows, err := q.LockLoansToAnalyze(ctx, queries.LockLoansToAnalyzeParams{
		FirstLoanID: args.FirstLoanID, LastLoanID: chunk.LastLoanID, UpToMonth: c.upTo, OnlyMonth: c.only,
	})
	if err != nil {
		return loansOutcome{}, fmt.Errorf("lock loans: %w", err)
	}
	outcome, err := workLoans(rows, func(some []queries.Loan) (loansOutcome, error) { return c.tryLoans(ctx, tx, some) })
	if err != nil {
		return loansOutcome{}, err
	}
	return outcome, finishChunk(ctx, q, args.RunID, args.FirstLoanID, outcome)
}

// chunkOfAnalyses is what one chunk's loans have in common.
type chunkOfAnalyses struct {
	*analyzing

	jobs       *river.Client[pgx.Tx]
	run        uuid.UUID
	asOf       mortgage.Date
	upTo, only int32
}

// tryLoans analyzes all of the loans that can be, or, when it returns an error,
// none.
func (c *chunkOfAnalyses) tryLoans(
	ctx context.Context, tx pgx.Tx, rows []queries.Loan,
) (outcome loansOutcome, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		q := queries.New(tx)
		wanted := make([]*analysis, len(rows))
		for i := range rows {
			if wanted[i], err = c.wish(&rows[i]); err != nil {
				return err
			}
		}
		if err := c.analyze(ctx, q, wanted); err != nil {
			return err
		}
		w := newAnalysisWriting(c.analyzing)
		w.made.RunID = &c.run
		for _, a := range wanted {
			if a.refusal.reason != "" {
				outcome.fail(a.loan.id, a.refusal)
				continue
			}
			if err := w.enter(ctx, q, a); err != nil {
				return fmt.Errorf("loan %d: %w", a.loan.id, err)
			}
			outcome.changed++
		}
		if len(w.made.ID) == 0 {
			return nil
		}
		if err := w.write(ctx, q); err != nil {
			return err
		}
		return makeStatements(ctx, tx, c.jobs, w.owed)
	})
	if err != nil {
		return loansOutcome{}, err
	}
	return outcome, nil
}

// wish is the annual analysis of one of the loans.
func (c *chunkOfAnalyses) wish(row *queries.Loan) (*analysis, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make analysis id: %w", err)
	}
	loan := newLoanInHand(row)
	startOn, due := mortgage.NextEscrowYear(lastYear(row), int(row.DueDay), int(c.upTo))
	if !due {
		return nil, broken(fmt.Errorf("loan %d has no year that is to be analyzed", row.ID))
	}
	cause, key := runCause(c.run), strconv.FormatInt(row.ID, 10)
	hash := sha256.Sum256([]byte(cause + " " + key))
	return &analysis{
		loan: loan, id: id, kind: mortgage.EscrowAnnual, asOf: c.asOf, startOn: startOn,
		requestedBy: cause, key: key, requestHash: hash[:],
	}, nil
}

// Error implements error: a run shows a refusal as it shows what failed.
func (r refusalError) Error() string {
	if r.field == "" {
		return r.reason
	}
	return r.reason + ": " + r.field
}
