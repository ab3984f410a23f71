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
	// QueueEscrow is the queue of escrow analyses.
	QueueEscrow = "escrow"
	// escrowWorkers is how many such jobs run at the same time in one process:
	// few, so that payments do not wait for them.
	escrowWorkers = 2
)

// AnalyzeEscrowArgs names the analysis to make.
type AnalyzeEscrowArgs struct {
	AnalysisID uuid.UUID `json:"analysis_id"`
}

// Kind is stored with every job, so it never changes.
func (AnalyzeEscrowArgs) Kind() string { return "analyze_escrow" }

// InsertOpts implements river.JobArgsWithInsertOpts. The job is not unique: the
// analysis it names is made once.
func (AnalyzeEscrowArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEscrow, MaxAttempts: postPaymentAttempts}
}

// AnalyzeEscrow analyzes the escrow account of one loan. What it finds is stored
// whole, and, unless it is only tried, counts at once: the new payment as changes of
// the loan's terms, the computation year, and what is to be refunded, all in one
// transaction.
type AnalyzeEscrow struct {
	river.WorkerDefaults[AnalyzeEscrowArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx] // takes the statements
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*AnalyzeEscrow) Timeout(*river.Job[AnalyzeEscrowArgs]) time.Duration { return postPaymentTimeout }

// Work makes the analysis, once. One that a rule refuses is rejected, and that
// completes the job.
func (w *AnalyzeEscrow) Work(ctx context.Context, job *river.Job[AnalyzeEscrowArgs]) error {
	var finished, rejected int
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) (err error) {
		finished, rejected, err = w.analyzeOne(ctx, tx, job.Args.AnalysisID)
		return err
	})
	if err != nil {
		return fmt.Errorf("analyze escrow by %s: %w", job.Args.AnalysisID, err)
	}
	w.Metrics.countAnalyzed(finished, rejected, 0)
	return nil
}

func (w *AnalyzeEscrow) analyzeOne(ctx context.Context, tx pgx.Tx, id uuid.UUID) (finished, rejected int, err error) {
	q := queries.New(tx)
	row, err := q.LockEscrowAnalysis(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil // An earlier attempt committed.
	}
	if err != nil {
		return 0, 0, fmt.Errorf("lock analysis: %w", err)
	}
	a, err := startAnalyzing(ctx, q, row.PostedAt)
	if err != nil {
		return 0, 0, err
	}
	wanted := analysisOf(&row.EscrowAnalysis, newLoanInHand(&row.Loan))
	if err := a.analyze(ctx, q, []*analysis{wanted}); err != nil {
		return 0, 0, fmt.Errorf("loan %d: %w", row.Loan.ID, err)
	}
	if refused := wanted.refusal; refused.reason != "" {
		err := q.MarkEscrowAnalysisRejected(ctx, queries.MarkEscrowAnalysisRejectedParams{
			ID: id, Refusal: refused.reason, RefusedField: refused.field, RefusedRule: string(refused.rule),
		})
		if err != nil {
			return 0, 0, fmt.Errorf("mark analysis rejected: %w", err)
		}
		return 0, 1, nil
	}
	leads := newAnalysisWriting(a)
	if err := leads.enter(ctx, q, wanted); err != nil {
		return 0, 0, fmt.Errorf("loan %d: %w", row.Loan.ID, err)
	}
	if err := leads.write(ctx, q); err != nil {
		return 0, 0, err
	}
	return 1, 0, makeStatements(ctx, tx, w.Jobs, leads.owed)
}
