package jobs

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/queries"
)

// CheckReport is what a check came to that was made without a run.
type CheckReport struct {
	Check     queries.IntegrityCheck
	Steps     int   // of the whole portfolio
	Unchecked int64 // loans that could not be looked at
	Findings  []queries.IntegrityFinding
}

// maxReported is how many findings a report has at most; the rest are stored all the
// same.
const maxReported = 10_000

// CheckNow checks the stored data at once and in this process, without the queue: all
// loans, or those that changed since a check found them in order. It stores what it
// finds as the jobs do. progress is told how many loans are done, of how many.
func CheckNow(
	ctx context.Context, pool *pgxpool.Pool, complete bool, progress func(done, total int64),
) (CheckReport, error) {
	var report CheckReport
	q := queries.New(pool)
	id, err := uuid.NewV7()
	if err != nil {
		return report, fmt.Errorf("make check id: %w", err)
	}
	_, err = q.InsertIntegrityCheck(ctx, queries.InsertIntegrityCheckParams{ID: id, RunID: nil, Complete: complete})
	if err != nil {
		return report, fmt.Errorf("insert check: %w", err)
	}
	steps, err := stepsOf(ctx, q, complete)
	if err != nil {
		return report, err
	}
	for _, s := range steps {
		_, err := s.work(ctx, pool, func(ctx context.Context, q *queries.Queries) error {
			return q.MarkIntegrityStepDone(ctx, s.name, id)
		})
		if err != nil {
			return report, err
		}
	}
	report.Steps = len(steps)
	if report.Unchecked, err = checkRangesNow(ctx, pool, id, complete, progress); err != nil {
		return report, err
	}
	if report.Unchecked == 0 {
		if err := endCheck(ctx, q, id); err != nil {
			return report, err
		}
	}
	if report.Check, err = q.GetIntegrityCheck(ctx, id); err != nil {
		return report, fmt.Errorf("get check: %w", err)
	}
	report.Findings, err = q.ListOpenFindingsOfCheck(ctx, id, maxReported)
	return report, wrap("list findings", err)
}

// checkRangesNow checks the loans range by range, and returns how many it could not look
// at.
func checkRangesNow(
	ctx context.Context, pool *pgxpool.Pool, id uuid.UUID, complete bool, progress func(done, total int64),
) (unchecked int64, err error) {
	ranges, err := rangesToCheck(ctx, queries.New(pool), complete)
	if err != nil {
		return 0, fmt.Errorf("cut loans: %w", err)
	}
	var done, total int64
	for _, r := range ranges {
		total += r.Loans
	}
	for _, r := range ranges {
		r := loanRange{first: r.FirstLoanID, last: r.LastLoanID, complete: complete}
		checked, err := checkLoans(ctx, pool, r)
		if err != nil {
			return unchecked, fmt.Errorf("loans from %d to %d: %w", r.first, r.last, err)
		}
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			q := queries.New(tx)
			if err := checked.store(ctx, q, r); err != nil {
				return err
			}
			return wrap("count loans", q.MarkIntegrityLoansChecked(ctx, int64(len(checked.ids)), id))
		})
		if err != nil {
			return unchecked, err
		}
		unchecked += int64(checked.outcome.failed)
		done += int64(len(checked.ids))
		progress(done, total)
	}
	return unchecked, nil
}
