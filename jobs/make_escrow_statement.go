package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/internal/statement"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// QueueStatements is the queue of statements to be made. A process that was not
	// told who the servicer is leaves it alone.
	QueueStatements = "statements"
	// statementWorkers is how many are made at the same time in one process. Making
	// one is 20 ms of work, nearly all of it the PDF.
	statementWorkers = 2

	// owedStatements is how many missing statements a day's close asks for. Statements
	// are asked for with their analyses; these are what was lost on the way.
	owedStatements = 20_000
)

// MakeEscrowStatementArgs names the analysis whose statement is to be made.
type MakeEscrowStatementArgs struct {
	AnalysisID uuid.UUID `json:"analysis_id" river:"unique"`
}

// Kind is stored with every job, so it never changes.
func (MakeEscrowStatementArgs) Kind() string { return "make_escrow_statement" }

// InsertOpts implements river.JobArgsWithInsertOpts. One such job waits for an
// analysis at a time; a second would find that there is nothing to do.
func (MakeEscrowStatementArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueStatements, MaxAttempts: postPaymentAttempts, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}

// MakeEscrowStatement makes the statement that a finished analysis owes the
// borrower, and stores it as data, HTML and PDF, all in one transaction, once. An
// analysis that owes none is left alone.
type MakeEscrowStatement struct {
	river.WorkerDefaults[MakeEscrowStatementArgs]

	DB       DB
	Servicer statement.Servicer
}

// Work makes the statement.
func (w *MakeEscrowStatement) Work(ctx context.Context, job *river.Job[MakeEscrowStatementArgs]) error {
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		return w.make(ctx, queries.New(tx), job.Args.AnalysisID)
	})
	if err != nil {
		return fmt.Errorf("make statement of analysis %s: %w", job.Args.AnalysisID, err)
	}
	return nil
}

func (w *MakeEscrowStatement) make(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	row, err := q.LockEscrowAnalysisToState(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // It owes none.
	}
	if err != nil {
		return fmt.Errorf("lock analysis: %w", err)
	}
	// Asked for only now that the lock is held: another may have made it meanwhile.
	_, err = q.GetEscrowStatement(ctx, id)
	if err == nil {
		return nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("get statement: %w", err)
	}
	s, err := w.compose(ctx, q, &row.EscrowAnalysis, &row.Loan)
	if err != nil {
		return err
	}
	return storeStatement(ctx, q, id, row.Loan.ID, s)
}

// compose gathers all that the statement of an analysis says.
func (w *MakeEscrowStatement) compose(
	ctx context.Context, q *queries.Queries, row *queries.EscrowAnalysis, loan *queries.Loan,
) (*statement.Statement, error) {
	a, r := row.Result, row.Request
	s := &statement.Statement{
		Servicer: w.Servicer, LoanNumber: loan.LoanNumber,
		Kind: a.Kind, AsOf: a.AsOf, Current: a.Current, PaidAhead: a.PaidAhead,
	}
	if err := address(ctx, q, loan, s); err != nil {
		return nil, err
	}
	terms := newLoanInHand(loan).terms
	if a.Kind == mortgage.EscrowInitial {
		content := a.InitialStatement(*r, mortgage.MonthlyPayment{
			PrincipalAndInterest: terms.PrincipalAndInterestFor(a.EffectiveOn),
		})
		s.Initial = &content
		return s, nil
	}
	year, projected, err := escrowYear(ctx, q, row, terms)
	if err != nil {
		return nil, err
	}
	content, err := year.AnnualStatement()
	if err != nil {
		return nil, fmt.Errorf("compose: %w", err)
	}
	s.Annual, s.Unprojected = &content, !projected
	return s, nil
}

// address says to whom the statement goes, and about which property.
func address(ctx context.Context, q *queries.Queries, loan *queries.Loan, s *statement.Statement) error {
	borrowers, err := q.ListLoanBorrowers(ctx, loan.ID)
	if err != nil {
		return fmt.Errorf("list borrowers: %w", err)
	}
	for _, b := range borrowers {
		s.Borrowers = append(s.Borrowers, b.FullName)
	}
	p, err := q.GetProperty(ctx, loan.PropertyID)
	if err != nil {
		return fmt.Errorf("get property: %w", err)
	}
	s.Property = p.Street + ", " + p.City + ", " + p.State + " " + p.PostalCode
	return nil
}

// storeStatement stores a statement in its three forms. Whoever calls it holds the
// lock of the analysis.
func storeStatement(
	ctx context.Context, q *queries.Queries, analysis uuid.UUID, loan int64, s *statement.Statement,
) error {
	var ids [3]uuid.UUID
	for i, form := range [...]struct {
		mediaType string
		write     func(*statement.Statement) ([]byte, error)
	}{
		{"text/html; charset=utf-8", (*statement.Statement).HTML},
		{"application/pdf", (*statement.Statement).PDF},
		{"application/json", (*statement.Statement).JSON},
	} {
		content, err := form.write(s)
		if err != nil {
			return err
		}
		if ids[i], err = uuid.NewV7(); err != nil {
			return fmt.Errorf("make document id: %w", err)
		}
		err = q.InsertDocument(ctx, queries.InsertDocumentParams{
			ID: ids[i], LoanID: loan, Kind: queries.DocumentKindStatement, Title: s.Title() + " of " + s.AsOf.String(),
			MediaType: form.mediaType, Content: content,
		})
		if err != nil {
			return fmt.Errorf("insert document: %w", err)
		}
	}
	err := q.InsertEscrowStatement(ctx, queries.InsertEscrowStatementParams{
		AnalysisID: analysis, LoanID: loan, HtmlID: ids[0], PdfID: ids[1], JsonID: ids[2],
	})
	if err != nil {
		return fmt.Errorf("insert statement: %w", err)
	}
	return nil
}

// makeStatements asks for the statements of analyses, in the transaction that makes
// these: nobody else can have asked already, so that the jobs are copied into the queue.
func makeStatements(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], analyses []uuid.UUID) error {
	if len(analyses) == 0 {
		return nil
	}
	if _, err := client.InsertManyFastTx(ctx, tx, statementJobs(analyses)); err != nil {
		return fmt.Errorf("enqueue statements: %w", err)
	}
	return nil
}

func statementJobs(analyses []uuid.UUID) []river.InsertManyParams {
	params := make([]river.InsertManyParams, len(analyses))
	for i, id := range analyses {
		params[i] = river.InsertManyParams{Args: MakeEscrowStatementArgs{AnalysisID: id}, InsertOpts: nil}
	}
	return params
}

// makeOwedStatements asks for those statements that are owed and were not made,
// whatever has become of the jobs that were to make them. Where one still waits, no
// other is enqueued.
func makeOwedStatements(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx]) error {
	ids, err := queries.New(tx).ListEscrowStatementsToMake(ctx, owedStatements)
	if err != nil {
		return fmt.Errorf("list statements to make: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := client.InsertManyTx(ctx, tx, statementJobs(ids)); err != nil {
		return fmt.Errorf("enqueue owed statements: %w", err)
	}
	return nil
}
