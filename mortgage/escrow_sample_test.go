package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

// bill is one that comes to a known amount, due on a day.
func bill(dueOn string, cents mortgage.Cents) mortgage.EscrowBill {
	return mortgage.EscrowBill{DueOn: day(dueOn), Known: new(cents)}
}

// item is one that is billed every so many months.
func item(kind mortgage.EscrowItemKind, everyMonths int, bills ...mortgage.EscrowBill) mortgage.EscrowItem {
	return mortgage.EscrowItem{Kind: kind, Payee: "payee of " + string(kind), EveryMonths: everyMonths, Bills: bills}
}

// request analyzes an account on the last day before its year, with a borrower
// who has paid all installments until then.
func request(startOn string, balance mortgage.Cents, items ...mortgage.EscrowItem) mortgage.EscrowRequest {
	start := day(startOn)
	year, month, dueDay := start.Civil()
	first, err := mortgage.NewDate(year, month, 1)
	if err != nil {
		panic(err)
	}
	return mortgage.EscrowRequest{
		Kind: mortgage.EscrowAnnual, AsOf: first - 1, Policy: mortgage.DefaultEscrowPolicy(),
		Items: items, StartOn: start, DueDay: dueDay,
		Account:   mortgage.EscrowAccount{On: first - 1, Balance: balance, NextDueOn: start},
		NextDueOn: start,
	}
}

// appendixE is the account of 12 CFR 1024, appendix E, with a balance in June:
// it needs 1,040.00, and 130.00 a month.
func appendixE(balance mortgage.Cents) mortgage.EscrowRequest {
	return request(
		"2026-07-01", balance,
		item(mortgage.EscrowCountyTax, 12, bill("2026-07-25", 500_00), bill("2026-12-10", 700_00)),
		item(mortgage.EscrowSchoolTax, 12, bill("2026-09-20", 360_00)),
	)
}

// late makes the borrower so many days overdue on the day of the analysis.
func late(r mortgage.EscrowRequest, days int) mortgage.EscrowRequest {
	r.NextDueOn = r.AsOf - mortgage.Date(days)
	return r
}

func analyze(t *testing.T, r mortgage.EscrowRequest) mortgage.EscrowAnalysis {
	t.Helper()

	a, err := mortgage.AnalyzeEscrow(r)
	if err != nil {
		t.Fatalf("AnalyzeEscrow(%+v): %v", r, err)
	}
	return a
}

// wantField checks that an error names the field.
func wantField(t *testing.T, call string, err error, field string) {
	t.Helper()

	refused, ok := errors.AsType[*mortgage.EscrowFieldError](err)
	if !ok || refused.Field != field || refused.Want == "" {
		t.Errorf("%s: %v; want an EscrowFieldError for %s", call, err, field)
	}
}
