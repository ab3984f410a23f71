package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// analyzing is what analyses that are made together have in common.
type analyzing struct {
	at       time.Time
	policyID *int64 // nil for the default policy
	policy   mortgage.EscrowPolicy
	cpi      mortgage.Rate // the last year's change
}

// startAnalyzing reads the policy that counts.
func startAnalyzing(ctx context.Context, q *queries.Queries, at time.Time) (*analyzing, error) {
	row, err := q.GetEscrowPolicy(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return &analyzing{at: at, policyID: nil, policy: mortgage.DefaultEscrowPolicy(), cpi: 0}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get escrow policy: %w", err)
	}
	return &analyzing{at: at, policyID: &row.ID, policy: row.Policy, cpi: row.CpiChangePpm}, nil
}

// analyze reads what the analyses are made of, in a constant number of statements,
// and makes them. Each is then refused or has its result.
func (z *analyzing) analyze(ctx context.Context, q *queries.Queries, wanted []*analysis) error {
	ids := make([]int64, 0, len(wanted))
	accountOn := make([]mortgage.Date, 0, len(wanted))
	asOf := make([]mortgage.Date, 0, len(wanted))
	byLoan := make(map[int64]*analysis, len(wanted))
	for _, a := range wanted {
		if a.schedule(); a.refusal.reason != "" {
			continue
		}
		ids, accountOn, asOf = append(ids, a.loan.id), append(accountOn, a.accountOn), append(asOf, a.asOf)
		byLoan[a.loan.id] = a
	}
	if len(ids) == 0 {
		return nil
	}
	books, err := q.ListEscrowBooks(ctx, queries.ListEscrowBooksParams{
		LoanIds: ids, AccountOn: accountOn, AsOfOn: asOf,
	})
	if err != nil {
		return fmt.Errorf("list escrow books: %w", err)
	}
	for i := range books {
		z.ask(byLoan[books[i].ID], &books[i])
	}
	if err := readItems(ctx, q, ids, accountOn, byLoan); err != nil {
		return err
	}
	for _, id := range ids {
		if err := byLoan[id].compute(); err != nil {
			return err
		}
	}
	return nil
}

// ask fills in the request of an analysis, but for its items.
func (z *analyzing) ask(a *analysis, books *queries.ListEscrowBooksRow) {
	row := a.loan.row
	a.tried = books.Tried
	a.request = mortgage.EscrowRequest{
		Kind: a.kind, AsOf: a.asOf, Policy: z.policy, Items: nil,
		StartOn: a.startOn, DueDay: int(row.DueDay),
		Account: mortgage.EscrowAccount{
			On: a.accountOn, Balance: mortgage.Cents(books.BalanceCents), NextDueOn: books.AccountNextDueOn,
		},
		NextDueOn: books.NextDueOn, Payment: a.payment(books.AccountNextDueOn), Voluntary: a.voluntary,
		CPIChange: z.cpi, CushionLimits: cushionLimits(row),
		Foreclosure: row.InForeclosure, Bankruptcy: row.InBankruptcy,
		EstablishedOn: a.establishedOn, Transferred: a.transferred,
	}
	if row.Status == queries.LoanStatusPaidOff { // No installment is owed any more.
		a.request.NextDueOn, a.request.Account.NextDueOn = 0, 0
	}
}

// payment returns what an installment deposited: of those still to come before the
// year, or, when some of the year were paid ahead, of those.
func (a *analysis) payment(nextDueOn mortgage.Date) mortgage.Cents {
	dueOn := a.startOn
	if nextDueOn <= a.startOn {
		before, err := a.startOn.AddMonths(-1, int(a.loan.row.DueDay))
		if err == nil {
			dueOn = before
		}
	}
	return a.loan.terms.EscrowPaymentFor(dueOn)
}

// cushionLimits returns what the loan's documents or its state allow.
func cushionLimits(row *queries.Loan) []mortgage.CushionLimit {
	if row.EscrowCushionMonths == nil || row.EscrowCushionSource == nil {
		return nil
	}
	months := int(*row.EscrowCushionMonths)
	return []mortgage.CushionLimit{{Source: mortgage.CushionSource(*row.EscrowCushionSource), Months: &months}}
}
