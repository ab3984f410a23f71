package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/queries"
)

// What the findings of a run say that its jobs did not finish.
const (
	planGivenUp  = "the run could not be planned, and its job was given up: the log has the reason"
	chunkGivenUp = "the job that was to %s was given up: the log has the reason"
)

// ender ends what no job is going to end: runs over loans of which a job has
// used up its attempts, gave up by itself, died with its worker in the last
// attempt, or was removed. The tables of runs say what is to be done and the
// queue by whom; where nobody is left, whoever waits for the run would wait for
// ever. A run without a plan has failed. Of a chunk, the loans that are still
// not done become findings, and the run goes on or ends as if its job had
// found them.
//
// That the job is gone decides, and not how often it was tried: a last attempt
// that is killed tells nobody that it was the last.
type ender struct {
	pool    *pgxpool.Pool
	metrics *Metrics
	log     *slog.Logger
}

// look ends what has no job any more. Several workers may look at once.
func (e *ender) look(ctx context.Context) error {
	q := queries.New(e.pool)
	runs, err := q.ListGivenUpRuns(ctx)
	if err != nil {
		return fmt.Errorf("list runs without a job: %w", err)
	}
	for _, id := range runs {
		if err := e.endRun(ctx, q, id); err != nil {
			return fmt.Errorf("end run %s: %w", id, err)
		}
	}
	chunks, err := q.ListGivenUpRunChunks(ctx)
	if err != nil {
		return fmt.Errorf("list chunks without a job: %w", err)
	}
	for _, c := range chunks {
		if err := e.endChunk(ctx, c.RunID, c.FirstLoanID); err != nil {
			return fmt.Errorf("end chunk of run %s, loans from %d: %w", c.RunID, c.FirstLoanID, err)
		}
	}
	return nil
}

func (e *ender) endRun(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	findings, err := json.Marshal([]finding{{LoanID: 0, Detail: planGivenUp}})
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	ended, err := q.MarkRunGivenUp(ctx, findings, id)
	if ended > 0 {
		e.log.ErrorContext(ctx, "ended a run that could not be planned", slog.String("run_id", id.String()))
	}
	return err
}

func (e *ender) endChunk(ctx context.Context, run uuid.UUID, firstLoan int64) error {
	var outcome loansOutcome
	var kind queries.RunKind
	err := pgx.BeginFunc(ctx, e.pool, func(tx pgx.Tx) (err error) {
		kind, outcome, err = giveUpChunk(ctx, queries.New(tx), run, firstLoan)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // Somebody else has ended it.
	}
	if err != nil {
		return err
	}
	switch kind {
	case queries.RunKindCloseDay:
		e.metrics.countClosed(outcome)
	case queries.RunKindAnalyzeEscrow:
		e.metrics.countAnalyzed(0, 0, outcome.failed)
	case queries.RunKindDisburseEscrow, queries.RunKindCheckIntegrity, queries.RunKindCheckSchema,
		queries.RunKindCleanUpSessions, queries.RunKindPruneLoginAttempts, queries.RunKindPruneHistory,
		queries.RunKindPruneWebhookMessages:
		// What was paid is counted from the tables, and the others have no chunks.
	}
	e.log.ErrorContext(ctx, "ended a part of a run that was given up", slog.String("run_id", run.String()),
		slog.Int64("first_loan_id", firstLoan), slog.Int("failed", len(outcome.findings)))
	return nil
}

// giveUpChunk counts the chunk into its run with those of its loans that are not
// done as findings. It returns pgx.ErrNoRows when the chunk is finished.
func giveUpChunk(
	ctx context.Context, q *queries.Queries, run uuid.UUID, firstLoan int64,
) (queries.RunKind, loansOutcome, error) {
	chunk, err := q.LockRunChunk(ctx, run, firstLoan)
	if err != nil {
		return "", loansOutcome{}, fmt.Errorf("lock chunk: %w", err)
	}
	left, what, err := leftOf(ctx, q, run, firstLoan, &chunk)
	if err != nil {
		return "", loansOutcome{}, fmt.Errorf("list loans that are not done: %w", err)
	}
	var outcome loansOutcome
	for _, loan := range left {
		outcome.failed++
		outcome.findings = append(outcome.findings, finding{LoanID: loan, Detail: fmt.Sprintf(chunkGivenUp, what)})
	}
	return chunk.Kind, outcome, finishChunk(ctx, q, run, firstLoan, outcome)
}

// leftOf returns the loans of a chunk that its run is still to do something for, and
// what.
func leftOf(
	ctx context.Context, q *queries.Queries, run uuid.UUID, firstLoan int64, chunk *queries.LockRunChunkRow,
) (loans []int64, what string, err error) {
	switch chunk.Kind {
	case queries.RunKindAnalyzeEscrow:
		loans, err = leftToAnalyze(ctx, q, run, firstLoan, chunk)
		return loans, "analyze its escrow account", err
	case queries.RunKindDisburseEscrow:
		policy, err := q.GetEscrowPaymentPolicy(ctx)
		if err != nil {
			return nil, "", fmt.Errorf("get payment policy: %w", err)
		}
		rows, err := q.LockLoansToDisburse(ctx, queries.LockLoansToDisburseParams{
			FirstLoanID: firstLoan, LastLoanID: chunk.LastLoanID, AsOfOn: chunk.AsOfOn,
			UpToOn: horizon(chunk.AsOfOn, policy),
		})
		return idsOf(rows), "pay its bills", err
	case queries.RunKindCheckIntegrity:
		check, err := q.GetIntegrityCheck(ctx, run)
		if err != nil {
			return nil, "", fmt.Errorf("get check: %w", err)
		}
		loans, err = q.ListIDsOfLoansToCheck(ctx, queries.ListIDsOfLoansToCheckParams{
			FirstLoanID: firstLoan, LastLoanID: chunk.LastLoanID, Complete: check.Complete,
		})
		return loans, "check it", err
	case queries.RunKindCloseDay, queries.RunKindCleanUpSessions, queries.RunKindPruneLoginAttempts,
		queries.RunKindPruneHistory, queries.RunKindPruneWebhookMessages, queries.RunKindCheckSchema:
	}
	loans, err = q.ListLoansToClose(ctx, queries.ListLoansToCloseParams{
		FirstLoanID: firstLoan, LastLoanID: chunk.LastLoanID, AsOfOn: chunk.AsOfOn,
	})
	return loans, "close it", err
}

func leftToAnalyze(
	ctx context.Context, q *queries.Queries, run uuid.UUID, firstLoan int64, chunk *queries.LockRunChunkRow,
) ([]int64, error) {
	dueMonthOn, err := q.GetRunDueMonth(ctx, run)
	if err != nil {
		return nil, fmt.Errorf("get run: %w", err)
	}
	z, err := startAnalyzing(ctx, q, chunk.PostedAt)
	if err != nil {
		return nil, err
	}
	upTo, only := z.months(chunk.AsOfOn, dueMonthOn)
	rows, err := q.LockLoansToAnalyze(ctx, queries.LockLoansToAnalyzeParams{
		FirstLoanID: firstLoan, LastLoanID: chunk.LastLoanID, UpToMonth: upTo, OnlyMonth: only,
	})
	return idsOf(rows), err
}

func idsOf(rows []queries.Loan) []int64 {
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids
}
