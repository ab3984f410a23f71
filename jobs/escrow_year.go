package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// errUntied reports that a loan's books of a day do not add up to the balance that
// was analyzed. A statement whose history does not lead to its analysis is not sent.
var errUntied = errors.New("the books do not add up to the balance that was analyzed")

// escrowYear gathers what a statement at the end of a year is made of: what the
// analysis before projected of it, and what happened in it. Projected is false when
// there is no analysis before.
//
// Its months are those from the first one that was projected, or boarded, or of the
// last twelve, up to the month before the coming year, or that of the payoff.
func escrowYear(
	ctx context.Context, q *queries.Queries, row *queries.EscrowAnalysis, terms mortgage.Terms,
) (year mortgage.EscrowYear, projected bool, err error) {
	a, r := row.Result, row.Request
	year = mortgage.EscrowYear{Analysis: a, Request: r, ToOn: r.AsOf, CycleMonths: 12}
	coming := r.AsOf + 1
	if a.Kind != mortgage.EscrowPayoff {
		coming = firstOfMonth(r.StartOn)
		year.ToOn = coming - 1
		year.Current.PrincipalAndInterest = terms.PrincipalAndInterestFor(a.EffectiveOn)
	}
	if year.FromOn, err = firstOfMonth(year.ToOn).AddMonths(-11, 1); err != nil {
		return year, false, fmt.Errorf("first month: %w", err)
	}
	before, err := q.GetEscrowAnalysisBefore(ctx, queries.GetEscrowAnalysisBeforeParams{
		LoanID: row.LoanID, ID: row.ID, BeforeOn: coming,
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return year, false, fmt.Errorf("get analysis before: %w", err)
	}
	if projected = err == nil; projected {
		year.FromOn = firstOfMonth(before.Request.StartOn)
		year.CycleMonths, year.ProjectedOpening = before.Result.CycleMonths, before.Result.Opening()
	}
	if err := actualYear(ctx, q, row, &year); err != nil {
		return year, false, err
	}
	if projected {
		year.Projected = within(before.Result.Activity(*before.Request), year.FromOn, year.ToOn)
	}
	lastDue := latestDue(terms, coming)
	year.Past = mortgage.MonthlyPayment{
		PrincipalAndInterest: terms.PrincipalAndInterestFor(lastDue), Escrow: r.Payment,
	}
	return year, projected, nil
}

// actualYear fills in what happened, as it was known when the analysis was made.
func actualYear(ctx context.Context, q *queries.Queries, row *queries.EscrowAnalysis, year *mortgage.EscrowYear) error {
	r := row.Request
	known := []time.Time{*row.FinishedAt, farFuture}
	payees, err := q.ListStatementPayees(ctx, row.LoanID)
	if err != nil {
		return fmt.Errorf("list payees: %w", err)
	}
	// A posting can have begun after the analysis and have been read by it all the
	// same, since the analysis waited for it: then all that is known now is right.
	for _, at := range known {
		moves, err := q.ListEscrowMovements(ctx, queries.ListEscrowMovementsParams{
			LoanID: row.LoanID, UpToOn: r.Account.On, KnownAt: at,
		})
		if err != nil {
			return fmt.Errorf("list movements: %w", err)
		}
		var balance mortgage.Cents
		for _, m := range moves {
			balance += mortgage.Cents(m.Amount)
		}
		if balance == r.Account.Balance {
			divide(moves, payees, year)
			year.Actual = append(year.Actual, year.Analysis.Scheduled(*r)...)
			return nil
		}
	}
	return errUntied
}

// farFuture is after every moment that something can be known at.
var farFuture = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// divide makes of what moved the account the balance with which the year began, and
// what happened in it. A loan that was boarded in the year begins it with what it
// was boarded with.
func divide(
	moves []queries.ListEscrowMovementsRow, payees []queries.ListStatementPayeesRow, year *mortgage.EscrowYear,
) {
	for _, m := range moves {
		if m.Kind == mortgage.KindBoarding {
			year.FromOn = max(year.FromOn, firstOfMonth(m.EffectiveOn))
		}
	}
	used := make([]purpose, len(payees))
	for i := range payees {
		used[i].ListStatementPayeesRow = &payees[i]
	}
	for _, m := range moves {
		e := activityOf(m, used)
		if m.Kind == mortgage.KindBoarding || m.EffectiveOn < year.FromOn {
			year.Opening += e.Deposit - e.Disbursement
		} else {
			year.Actual = append(year.Actual, e)
		}
	}
}

// purpose is what a disbursement was for, and whether its leaving and its return
// were found in the books.
type purpose struct {
	*queries.ListStatementPayeesRow

	left, returned bool
}

// activityOf says what a movement was. The books say how much and when, and the
// disbursements what for; what is not among them is for an unnamed purpose.
func activityOf(m queries.ListEscrowMovementsRow, purposes []purpose) mortgage.EscrowActivity {
	e := mortgage.EscrowActivity{On: m.EffectiveOn}
	if m.Kind != mortgage.KindEscrowDisbursement && m.Kind != mortgage.KindEscrowRefund {
		e.Deposit = mortgage.Cents(m.Amount)
		return e
	}
	e.Disbursement, e.Kind = -mortgage.Cents(m.Amount), mortgage.EscrowOther
	e.Refund = m.Kind == mortgage.KindEscrowRefund
	for i := range purposes {
		p := &purposes[i]
		switch {
		case (p.Item == "") != e.Refund:
			continue
		case e.Disbursement == p.AmountCents && e.On == p.PaidOn && !p.left:
			p.left = true
		case e.Disbursement == -p.AmountCents && e.On == p.ReturnedOn && !p.returned:
			p.returned = true
		default:
			continue
		}
		if !e.Refund {
			e.Kind, e.Payee = mortgage.EscrowItemKind(p.Item), p.Payee
		}
		break
	}
	if e.Refund {
		e.Kind = ""
	}
	return e
}

// within returns the activity of the days from the first to the last.
func within(all []mortgage.EscrowActivity, first, last mortgage.Date) []mortgage.EscrowActivity {
	return slices.DeleteFunc(all, func(e mortgage.EscrowActivity) bool { return e.On < first || e.On > last })
}

// latestDue returns the last due date before a day.
func latestDue(t mortgage.Terms, before mortgage.Date) mortgage.Date {
	for back := range 2 {
		on, err := firstOfMonth(before).AddMonths(-back, t.DueDay)
		if err == nil && on < before {
			return on
		}
	}
	return before - 1
}

// firstOfMonth returns the first day of the month of a day.
func firstOfMonth(d mortgage.Date) mortgage.Date {
	_, _, day := d.Civil()
	return d - mortgage.Date(day-1)
}
