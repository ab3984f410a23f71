package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/queries"
)

// loansOutcome counts what became of a set of loans.
type loansOutcome struct {
	changed, unchanged int
	failed             int // of the findings
	findings           []finding
}

// finding is something about a loan that a person has to know: that it could not be
// worked, or what waits for a decision. The run shows it; without a loan it is
// about the run.
type finding struct {
	LoanID int64  `json:"loan_id,omitzero"`
	Detail string `json:"detail"`
}

func (o *loansOutcome) add(more loansOutcome) {
	o.changed += more.changed
	o.unchanged += more.unchanged
	o.failed += more.failed
	o.findings = append(o.findings, more.findings...)
}

// fail notes that the loan could not be worked.
func (o *loansOutcome) fail(loan int64, err error) {
	o.failed++
	o.findings = append(o.findings, findingOf(loan, err))
}

// workLoans works locked loans together, or, where one of them spoils what is
// written for all, each by itself, so that it fails alone. What try returns with an
// error it has not done.
func workLoans(rows []queries.Loan, try func([]queries.Loan) (loansOutcome, error)) (loansOutcome, error) {
	outcome, err := try(rows)
	if err == nil || !isOfOnePayment(err) {
		return outcome, err
	}
	outcome = loansOutcome{}
	for i := range rows {
		one, err := try(rows[i : i+1])
		if err != nil && !isOfOnePayment(err) {
			return loansOutcome{}, err
		}
		if err != nil {
			one.fail(rows[i].ID, err)
		}
		outcome.add(one)
	}
	return outcome, nil
}

// finishChunk counts a chunk into its run.
func finishChunk(ctx context.Context, q *queries.Queries, run uuid.UUID, firstLoan int64, outcome loansOutcome) error {
	findings := []byte("[]")
	if len(outcome.findings) > 0 {
		var err error
		if findings, err = json.Marshal(outcome.findings); err != nil {
			return fmt.Errorf("write findings: %w", err)
		}
	}
	counted, err := q.MarkRunChunkFinished(ctx, queries.MarkRunChunkFinishedParams{
		RunID: run, FirstLoanID: firstLoan, Changed: int64(outcome.changed),
		Failed: int64(outcome.failed), Findings: findings,
	})
	if err != nil {
		return fmt.Errorf("mark chunk finished: %w", err)
	}
	if counted != 1 {
		return broken(fmt.Errorf("the chunk was counted into %d runs", counted))
	}
	return nil
}

// findingOf describes a loan's failure. Of a PostgreSQL error it takes the code
// and the constraint: the rest can hold a row.
func findingOf(loan int64, err error) finding {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return finding{LoanID: loan, Detail: "SQLSTATE " + pg.Code + " " + pg.ConstraintName}
	}
	return finding{LoanID: loan, Detail: err.Error()}
}
