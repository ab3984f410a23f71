package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/queries"
)

const (
	// checkChunkTransactions is about how many transactions one part of a check reads.
	// They are some ten megabytes while it looks at them.
	checkChunkTransactions = 20_000
	// checkChunkLoans is how many loans with few transactions it reads at most.
	checkChunkLoans = 500
	// checkRowLimit is how many rows of a table it reads of its loans. A loan that has
	// more of them by itself cannot be checked.
	checkRowLimit = 250_000
)

// loanRange is loans with ids from the first to the last. A complete check looks at all
// of them, any other at those that have changed since a check found them in order.
type loanRange struct {
	first, last int64
	complete    bool
}

// checkedLoans is what became of a range.
type checkedLoans struct {
	ids     []int64
	found   []found
	anchors queries.InsertIntegrityAnchorsParams // of what is in order
	outcome loansOutcome
}

// checkLoans looks at the loans of a range as one snapshot has them. It writes nothing.
func checkLoans(ctx context.Context, pool *pgxpool.Pool, r loanRange) (*checkedLoans, error) {
	c := &checkedLoans{}
	err := pgx.BeginTxFunc(ctx, pool, snapshot, func(tx pgx.Tx) error {
		q := queries.New(tx)
		rows, err := q.ListLoansToCheck(ctx, queries.ListLoansToCheckParams{
			FirstLoanID: r.first, LastLoanID: r.last, Complete: r.complete, RowLimit: checkRowLimit,
		})
		if err != nil {
			return fmt.Errorf("list loans: %w", err)
		}
		return c.look(ctx, q, rows)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// look checks loans together, or, where they have more rows than are read at once, in
// halves. A single loan that has is one that could not be checked.
func (c *checkedLoans) look(ctx context.Context, q *queries.Queries, rows []queries.ListLoansToCheckRow) error {
	if len(rows) == 0 {
		return nil
	}
	set := newLoanSet(rows)
	whole, err := set.read(ctx, q)
	if err != nil {
		return err
	}
	if !whole && len(rows) == 1 {
		c.ids = append(c.ids, rows[0].Loan.ID)
		c.outcome.fail(rows[0].Loan.ID, fmt.Errorf("it has more than %d rows in one table", checkRowLimit))
		return nil
	}
	if !whole {
		half := len(rows) / 2
		if err := c.look(ctx, q, rows[:half]); err != nil {
			return err
		}
		return c.look(ctx, q, rows[half:])
	}
	if err := set.readFindings(ctx, q); err != nil {
		return err
	}
	for _, l := range set.loans {
		l.check()
		c.count(l)
	}
	return nil
}

// count adds what a loan's check came to.
func (c *checkedLoans) count(l *loanToCheck) {
	c.ids = append(c.ids, l.row.ID)
	if len(l.found) == 0 {
		c.outcome.unchanged++
		a := &c.anchors
		a.LoanID, a.Seq = append(a.LoanID, l.row.ID), append(a.Seq, l.row.LastSeq)
		a.Hash, a.StateHash = append(a.Hash, l.row.LastHash), append(a.StateHash, l.stateHash)
		return
	}
	c.outcome.changed++
	c.found = append(c.found, l.found...)
	for _, f := range l.found {
		c.outcome.findings = append(c.outcome.findings, finding{LoanID: f.loanID, Detail: string(f.kind)})
	}
}

// store stores what was found and what was seen, and resolves what was not found again.
func (c *checkedLoans) store(ctx context.Context, q *queries.Queries, r loanRange) error {
	if err := storeFindings(ctx, q, c.found); err != nil {
		return err
	}
	_, err := q.MarkLoanFindingsResolved(ctx, queries.MarkLoanFindingsResolvedParams{
		Kinds: kindsOfLoans(), FirstLoanID: &r.first, LastLoanID: &r.last, Complete: r.complete, Ids: c.ids,
	})
	if err != nil {
		return fmt.Errorf("resolve findings: %w", err)
	}
	if err := q.InsertIntegrityAnchors(ctx, c.anchors); err != nil {
		return fmt.Errorf("insert anchors: %w", err)
	}
	return nil
}

// loanSet is loans that are read together.
type loanSet struct {
	ids   []int64
	loans []*loanToCheck
	byID  map[int64]*loanToCheck
}

func newLoanSet(rows []queries.ListLoansToCheckRow) *loanSet {
	s := &loanSet{byID: make(map[int64]*loanToCheck, len(rows))}
	for i := range rows {
		l := &loanToCheck{row: &rows[i].Loan, stateHash: rows[i].StateHash}
		s.ids, s.loans = append(s.ids, l.row.ID), append(s.loans, l)
		s.byID[l.row.ID] = l
	}
	return s
}

// read reads all that the loans' books follow from. It returns false when there are more
// rows than it reads.
func (s *loanSet) read(ctx context.Context, q *queries.Queries) (whole bool, err error) {
	ledger, err := q.ListTransactionsToCheck(ctx, s.ids, checkRowLimit)
	if err != nil || len(ledger) == checkRowLimit {
		return false, wrap("list transactions", err)
	}
	byLoan(s, ledger, func(t *queries.Transaction) int64 { return t.LoanID },
		func(l *loanToCheck, some []queries.Transaction) { l.ledger = some })
	payments, err := q.ListPaymentsToCheck(ctx, s.ids, checkRowLimit)
	if err != nil || len(payments) == checkRowLimit {
		return false, wrap("list payments", err)
	}
	byLoan(s, payments, func(p *queries.ListPaymentsToCheckRow) int64 { return p.LoanID },
		func(l *loanToCheck, some []queries.ListPaymentsToCheckRow) { l.payments = some })
	fees, err := q.ListFeesToCheck(ctx, s.ids, checkRowLimit)
	if err != nil || len(fees) == checkRowLimit {
		return false, wrap("list fees", err)
	}
	byLoan(s, fees, func(f *queries.ListFeesToCheckRow) int64 { return f.LoanID },
		func(l *loanToCheck, some []queries.ListFeesToCheckRow) { l.fees = some })
	left, err := q.ListDisbursementsToCheck(ctx, s.ids, checkRowLimit)
	if err != nil || len(left) == checkRowLimit {
		return false, wrap("list disbursements", err)
	}
	byLoan(s, left, func(d *queries.ListDisbursementsToCheckRow) int64 { return d.LoanID },
		func(l *loanToCheck, some []queries.ListDisbursementsToCheckRow) { l.disbursements = some })
	return true, nil
}

// byLoan hands each loan its rows, which are in order of loan.
func byLoan[T any](s *loanSet, rows []T, loanOf func(*T) int64, take func(*loanToCheck, []T)) {
	for len(rows) > 0 {
		n, id := 1, loanOf(&rows[0])
		for n < len(rows) && loanOf(&rows[n]) == id {
			n++
		}
		take(s.byID[id], rows[:n:n])
		rows = rows[n:]
	}
}

func wrap(act string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", act, err)
}

// readFindings reads what the database finds by itself about the loans.
func (s *loanSet) readFindings(ctx context.Context, q *queries.Queries) error {
	terms, err := q.ListChangedTerms(ctx, s.ids)
	if err != nil {
		return fmt.Errorf("list changed terms: %w", err)
	}
	for _, t := range terms {
		kind := queries.IntegrityKindLoanTermsChanged
		if t.What == termsOfChanges {
			kind = queries.IntegrityKindTermsMismatch
		}
		s.byID[t.LoanID].add(kind, t.What, map[string]any{})
	}
	cut, err := q.ListCutAnchors(ctx, s.ids)
	if err != nil {
		return fmt.Errorf("list cut anchors: %w", err)
	}
	byLoan(s, cut, func(a *queries.ListCutAnchorsRow) int64 { return a.LoanID },
		func(l *loanToCheck, some []queries.ListCutAnchorsRow) {
			l.add(queries.IntegrityKindChainCut, "", map[string]any{
				"count": len(some), "seq": some[0].Seq, "seen_at": some[0].SeenAt.UTC(),
			})
		})
	documents, err := q.ListChangedDocuments(ctx, s.ids)
	if err != nil {
		return fmt.Errorf("list changed documents: %w", err)
	}
	for _, d := range documents {
		s.byID[d.LoanID].add(queries.IntegrityKindDocumentChanged, "documents "+d.ID.String(), map[string]any{})
	}
	return nil
}

// termsOfChanges is what changed_terms says of terms_changes.
const termsOfChanges = "changes"
