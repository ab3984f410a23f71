package statement_test

import (
	"testing"

	"loanserve/internal/statement"
	"loanserve/mortgage"
)

func date(s string) mortgage.Date {
	d, err := mortgage.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func bill(dueOn string, cents mortgage.Cents) mortgage.EscrowBill {
	return mortgage.EscrowBill{DueOn: date(dueOn), Known: &cents}
}

// appendixE is the account of 12 CFR 1024, appendix E, looked at on the last day of
// June with a balance: it needs 1,040.00, and 130.00 a month.
func appendixE(balance mortgage.Cents) mortgage.EscrowRequest {
	return mortgage.EscrowRequest{
		Kind: mortgage.EscrowAnnual, AsOf: date("2026-06-30"), Policy: mortgage.DefaultEscrowPolicy(),
		Items: []mortgage.EscrowItem{
			{
				Kind: mortgage.EscrowCountyTax, Payee: "Sangamon County Collector", EveryMonths: 12,
				Bills: []mortgage.EscrowBill{bill("2026-07-25", 500_00), bill("2026-12-10", 700_00)},
			},
			{
				Kind: mortgage.EscrowSchoolTax, Payee: "Springfield School District 186", EveryMonths: 12,
				Bills: []mortgage.EscrowBill{bill("2026-09-20", 360_00)},
			},
		},
		StartOn: date("2026-07-01"), DueDay: 1, NextDueOn: date("2026-07-01"), Payment: 125_00,
		Account: mortgage.EscrowAccount{On: date("2026-06-30"), Balance: balance, NextDueOn: date("2026-07-01")},
	}
}

func analyze(t *testing.T, r *mortgage.EscrowRequest) *mortgage.EscrowAnalysis {
	t.Helper()

	a, err := mortgage.AnalyzeEscrow(*r)
	if err != nil {
		t.Fatalf("AnalyzeEscrow(%+v): %v", r, err)
	}
	return &a
}

func blank(r *mortgage.EscrowRequest, a *mortgage.EscrowAnalysis) *statement.Statement {
	return &statement.Statement{
		Servicer: statement.Servicer{
			Name: "Prairie Mortgage Servicing", Address: "100 Capitol Avenue, Springfield, IL 62701", Phone: "1-800-555-0100",
		},
		LoanNumber: "LS-1003", Borrowers: []string{"Pat Sample", "Łukasz Żółć"},
		Property: "1 Main Street, Springfield, IL 62701",
		Kind:     r.Kind, AsOf: r.AsOf, Current: a.Current, PaidAhead: a.PaidAhead,
	}
}

// initial is the first statement of Appendix E's account: 1,040.00 at settlement.
func initial(t *testing.T) *statement.Statement {
	t.Helper()

	r := appendixE(0)
	r.Kind, r.AsOf, r.EstablishedOn = mortgage.EscrowInitial, date("2026-05-15"), date("2026-05-15")
	r.Account.On = r.AsOf
	a := analyze(t, &r)
	s := blank(&r, a)
	content := a.InitialStatement(r, mortgage.MonthlyPayment{PrincipalAndInterest: 841_96})
	s.Initial = &content
	return s
}

func paid(kind mortgage.EscrowItemKind, payee, on string, cents mortgage.Cents) mortgage.EscrowActivity {
	return mortgage.EscrowActivity{On: date(on), Kind: kind, Payee: payee, Disbursement: cents}
}

// year is the year before the one that appendixE analyzes, of an account that ends
// it with the balance. It went as projected, unless an edit says otherwise.
func year(t *testing.T, balance mortgage.Cents, edits ...func(*mortgage.EscrowYear)) *statement.Statement {
	t.Helper()

	r := appendixE(balance)
	a := analyze(t, &r)
	const county, school = "Sangamon County Collector", "Springfield School District 186"
	activity := func() []mortgage.EscrowActivity {
		list := []mortgage.EscrowActivity{
			paid(mortgage.EscrowCountyTax, county, "2025-07-25", 500_00),
			paid(mortgage.EscrowSchoolTax, school, "2025-09-20", 360_00),
			paid(mortgage.EscrowCountyTax, county, "2025-12-10", 640_00),
		}
		for i := range 12 {
			on, err := date("2025-07-01").AddMonths(i, 1)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, mortgage.EscrowActivity{On: on, Deposit: 125_00})
		}
		return list
	}
	y := mortgage.EscrowYear{
		Analysis: a, Request: &r, FromOn: date("2025-07-01"), ToOn: date("2026-06-30"), CycleMonths: 12,
		Current:          mortgage.MonthlyPayment{PrincipalAndInterest: 841_96},
		Past:             mortgage.MonthlyPayment{PrincipalAndInterest: 841_96, Escrow: 125_00},
		ProjectedOpening: 1000_00, Projected: activity(), Actual: activity(),
	}
	for _, edit := range edits {
		edit(&y)
	}
	y.Opening = balance
	for _, e := range y.Actual {
		y.Opening += e.Disbursement - e.Deposit
	}
	content, err := y.AnnualStatement()
	if err != nil {
		t.Fatal(err)
	}
	s := blank(&r, a)
	s.Annual = &content
	return s
}

// missedLow did not get as low as projected: December's tax was paid late and was
// smaller, and the last two months are assumed.
func missedLow(y *mortgage.EscrowYear) {
	y.Actual[2].On, y.Actual[2].Disbursement = date("2026-01-04"), 590_00
	y.Actual[13].Assumed, y.Actual[14].Assumed = true, true
}

// samples are statements of every sort.
func samples(t *testing.T) map[string]*statement.Statement {
	t.Helper()

	return map[string]*statement.Statement{
		"initial":         initial(t),
		"annual-surplus":  year(t, 1125_37),
		"annual-shortage": year(t, 850_00),
		"annual-low":      year(t, 1040_00, missedLow),
		"annual-deficit":  year(t, -60_00),
		"annual-refund": year(t, 1020_00, func(y *mortgage.EscrowYear) {
			y.Actual = append(y.Actual, mortgage.EscrowActivity{On: date("2025-07-20"), Disbursement: 60_00, Refund: true})
		}),
	}
}
