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

// readItems gives the analyses the lines of their loans.
func readItems(
	ctx context.Context, q *queries.Queries, ids []int64, accountOn []mortgage.Date, byLoan map[int64]*analysis,
) error {
	lines, err := q.ListEscrowLinesOf(ctx, ids)
	if err != nil {
		return fmt.Errorf("list escrow lines: %w", err)
	}
	paid, err := q.ListEscrowBillsPaidAfter(ctx, ids, accountOn)
	if err != nil {
		return fmt.Errorf("list bills paid since: %w", err)
	}
	paidSince := make(map[int64]mortgage.Date, len(paid))
	for _, p := range paid {
		paidSince[p.LineID] = p.DueOn
	}
	for i := range lines {
		line := &lines[i]
		a := byLoan[line.LoanID]
		bill, err := billOf(line, paidSince[line.ID])
		if err != nil {
			return broken(fmt.Errorf("escrow line %d: %w", line.ID, err))
		}
		a.request.Items = withBill(a.request.Items, line, bill)
	}
	return nil
}

// withBill adds a line's bill: to the item of the same payee, kind and cycle, since
// several payments to one payee remain one item (12 CFR 1024.17(b)), or as another.
func withBill(items []mortgage.EscrowItem, line *queries.EscrowLine, bill mortgage.EscrowBill) []mortgage.EscrowItem {
	kind := mortgage.EscrowItemKind(line.Kind)
	for i := range items {
		item := &items[i]
		if item.Kind == kind && item.Payee == line.Payee && item.EveryMonths == int(line.EveryMonths) &&
			item.OutsideCushion == line.OutsideCushion && len(item.Bills) < mortgage.MaxEscrowBills {
			item.Bills = append(item.Bills, bill)
			return items
		}
	}
	return append(items, mortgage.EscrowItem{
		Kind: kind, Payee: line.Payee, EveryMonths: int(line.EveryMonths),
		Bills: []mortgage.EscrowBill{bill}, OutsideCushion: line.OutsideCushion,
	})
}

// billOf returns a line's first bill that was not paid when the books are looked at.
// Where bills were paid since then, the first of which was due on paidSince, that is
// an earlier one than the line has now, and what it came to is known.
func billOf(line *queries.EscrowLine, paidSince mortgage.Date) (mortgage.EscrowBill, error) {
	bill := mortgage.EscrowBill{
		DueOn: line.NextDueOn, DiscountOn: line.NextDiscountOn, PenaltyOn: line.NextPenaltyOn, EndsOn: line.EndsOn,
		Known: line.KnownCents, Last: line.AmountCents, Comparable: line.Comparable, Discount: line.DiscountCents,
		LastPaidOn: line.LastPaidOn,
	}
	every := int(line.EveryMonths)
	cycles := 0
	if paidSince != 0 {
		months := mortgage.MonthNumber(line.NextDueOn) - mortgage.MonthNumber(paidSince)
		cycles = (months + every/2) / every
	}
	if cycles <= 0 {
		return bill, nil
	}
	for _, on := range []*mortgage.Date{&bill.DueOn, &bill.DiscountOn, &bill.PenaltyOn} {
		if *on == 0 {
			continue
		}
		_, _, day := on.Civil()
		var err error
		if *on, err = on.AddMonths(-cycles*every, day); err != nil {
			return bill, err
		}
	}
	amount := line.AmountCents
	bill.Known, bill.Comparable = &amount, false
	bill.LastPaidOn = 0 // When the one before that was paid, the line does not say any more.
	return bill, nil
}
