package mortgage_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// What the initial statement of appendix E's account says.
func TestInitialEscrowStatement(t *testing.T) {
	t.Parallel()

	r := appendixE(0)
	settled := day("2026-05-15")
	r.Kind, r.AsOf, r.Account.On, r.EstablishedOn = mortgage.EscrowInitial, settled, settled, settled
	a := analyze(t, r)
	s := a.InitialStatement(r, mortgage.MonthlyPayment{PrincipalAndInterest: 841_96, Discretionary: 10_00})
	payment := mortgage.MonthlyPayment{PrincipalAndInterest: 841_96, Escrow: 130_00, Discretionary: 10_00}
	if s.Payment != payment || s.Payment.Total() != 981_96 || s.DueOn != day("2026-06-29") || s.Deposit.Amount != 1040_00 {
		t.Errorf("initial statement %+v; want payment %+v, a deposit of 104000, due 2026-06-29", s, payment)
	}
	county, school := "payee of county_tax", "payee of school_tax"
	charges := []mortgage.EscrowCharge{
		{Kind: mortgage.EscrowCountyTax, Payee: county, PayOn: day("2026-07-25"), Amount: 500_00, Basis: "known"},
		{Kind: mortgage.EscrowSchoolTax, Payee: school, PayOn: day("2026-09-20"), Amount: 360_00, Basis: "known"},
		{Kind: mortgage.EscrowCountyTax, Payee: county, PayOn: day("2026-12-10"), Amount: 700_00, Basis: "known"},
	}
	p := s.Projection
	if !slices.Equal(p.Charges, charges) || p.Cushion != 260_00 || p.RequiredStart != 1040_00 ||
		p.LowMonthOn != day("2026-12-01") || p.LowTarget != 260_00 || p.CycleMonths != 12 || p.Months != a.Months {
		t.Errorf("projection %+v; want the charges %+v, a cushion of 26000 in December", p, charges)
	}
}

// everyMonth deposits the same on the first of each month from a day on.
func everyMonth(from string, months int, cents mortgage.Cents) []mortgage.EscrowActivity {
	var activity []mortgage.EscrowActivity
	for i := range months {
		on, err := day(from).AddMonths(i, 1)
		if err != nil {
			panic(err)
		}
		activity = append(activity, mortgage.EscrowActivity{On: on, Deposit: cents})
	}
	return activity
}

func paid(kind mortgage.EscrowItemKind, on string, cents mortgage.Cents) mortgage.EscrowActivity {
	return mortgage.EscrowActivity{On: day(on), Kind: kind, Payee: "payee of " + string(kind), Disbursement: cents}
}

// appendixEYear is the year before the one that appendixE analyzes. The county
// tax of December was 60.00 higher than projected and a month early, the school
// tax less, June's payment is assumed, and a surplus went back.
func appendixEYear(r *mortgage.EscrowRequest, a *mortgage.EscrowAnalysis) mortgage.EscrowYear {
	projected := append(everyMonth("2025-07-01", 12, 125_00),
		paid(mortgage.EscrowCountyTax, "2025-07-25", 500_00),
		paid(mortgage.EscrowCountyTax, "2025-12-10", 640_00),
		paid(mortgage.EscrowSchoolTax, "2025-09-20", 360_00))
	actual := append(everyMonth("2025-07-01", 12, 125_00),
		paid(mortgage.EscrowCountyTax, "2025-07-24", 500_00),
		paid(mortgage.EscrowCountyTax, "2025-11-28", 700_00),
		paid(mortgage.EscrowSchoolTax, "2025-09-18", 350_00),
		mortgage.EscrowActivity{On: day("2025-07-20"), Disbursement: 60_00, Refund: true})
	actual[11].Assumed = true
	return mortgage.EscrowYear{
		Analysis: a, Request: r, FromOn: day("2025-07-01"), ToOn: day("2026-06-30"),
		Current: mortgage.MonthlyPayment{PrincipalAndInterest: 841_96}, CycleMonths: 12,
		Past:    mortgage.MonthlyPayment{PrincipalAndInterest: 841_96, Escrow: 125_00},
		Opening: 1060_00, ProjectedOpening: 1000_00, Projected: projected, Actual: actual,
	}
}

func TestAnnualEscrowStatement(t *testing.T) {
	t.Parallel()

	r := appendixE(950_00)
	a := analyze(t, r)
	s, err := appendixEYear(&r, &a).AnnualStatement()
	if err != nil {
		t.Fatal(err)
	}
	if s.PaidIn != 1500_00 || s.TotalPaidOut != 1550_00 || s.Refunded != 60_00 || s.EndingBalance != 950_00 ||
		s.Opening+s.PaidIn-s.TotalPaidOut-s.Refunded != s.EndingBalance {
		t.Errorf("in %d, out %d, refunded %d, left %d; want 150000, 155000, 6000, 95000",
			s.PaidIn, s.TotalPaidOut, s.Refunded, s.EndingBalance)
	}
	if s.Current.Escrow != a.NewPayment || s.Current.Total() != 841_96+137_50 || s.Past.Total() != 966_96 ||
		s.DueOn != day("2026-07-30") || s.Shortage.Amount != 90_00 || s.EffectiveOn != day("2026-07-01") {
		t.Errorf("payments %+v, %+v, shortage %+v; want 97946, 96696, 9000", s.Current, s.Past, s.Shortage)
	}
	out := []mortgage.EscrowCategory{
		{Kind: mortgage.EscrowCountyTax, Payee: "payee of county_tax", Projected: 1140_00, Actual: 1200_00},
		{Kind: mortgage.EscrowSchoolTax, Payee: "payee of school_tax", Projected: 360_00, Actual: 350_00},
	}
	if !slices.Equal(s.PaidOut, out) {
		t.Errorf("paid out %+v; want %+v", s.PaidOut, out)
	}
	if s.EstimatedLow != 250_00 || s.EstimatedLowOn != day("2025-12-01") || s.ActualLow != 75_00 ||
		s.ActualLowOn != day("2025-11-01") || !s.LowReached || s.LongCycle {
		t.Errorf("low %d in %s, was to be %d in %s; want 7500 in 2025-11, 25000 in 2025-12",
			s.ActualLow, s.ActualLowOn, s.EstimatedLow, s.EstimatedLowOn)
	}
	if len(s.History) != 12 || !s.History[11].Assumed || s.History[10].Assumed || s.History[11].ActualBalance != 950_00 {
		t.Errorf("history %+v; want twelve months, June assumed, 95000 at its end", s.History)
	}
	if s.Projection.RequiredStart != 1040_00 || len(s.Projection.Charges) != 3 {
		t.Errorf("projection %+v; want that of the analysis", s.Projection)
	}
}

// Each difference between the year and its projection, with the month in which it
// shows.
func TestEscrowDifferences(t *testing.T) {
	t.Parallel()

	r := appendixE(950_00)
	a := analyze(t, r)
	y := appendixEYear(&r, &a)
	y.Actual[3].Deposit = 0      // October's payment did not come
	y.Actual[4].Deposit = 250_00 // and then did
	y.Projected = append(y.Projected, paid(mortgage.EscrowFloodInsurance, "2026-03-01", 80_00))
	y.Actual = append(y.Actual, paid(mortgage.EscrowHazardInsurance, "2026-02-03", 90_00))
	s, err := y.AnnualStatement()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range s.Differences {
		got = append(got, fmt.Sprintf("%s %s %s %d %d", d.MonthOn, d.Kind, d.Item, d.Projected, d.Actual))
	}
	want := []string{
		"2025-07-01 opening_higher  100000 106000",
		"2025-07-01 refund_made  0 6000",
		"2025-09-01 bill_smaller school_tax 36000 35000",
		"2025-10-01 deposit_less  12500 0",
		"2025-11-01 deposit_more  12500 25000",
		"2025-11-01 bill_earlier county_tax 64000 70000",
		"2025-11-01 bill_larger county_tax 64000 70000",
		"2026-02-01 bill_unforeseen hazard_insurance 0 9000",
		"2026-03-01 bill_missing flood_insurance 8000 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("differences %q; want %q", got, want)
	}
}

// An estimated low that was not reached says so, and whether it was to be.
func TestEscrowLowThatWasNotReached(t *testing.T) {
	t.Parallel()

	r := appendixE(950_00)
	a := analyze(t, r)
	y := appendixEYear(&r, &a)
	y.Actual[13].Disbursement, y.CycleMonths = 500_00, 36
	s, err := y.AnnualStatement()
	if err != nil || s.LowReached || !s.LongCycle || s.ActualLow != 275_00 {
		t.Errorf("low %d, reached %t, long cycle %t, %v; want 27500, false, true",
			s.ActualLow, s.LowReached, s.LongCycle, err)
	}
}

func TestAnnualEscrowStatementThatCannotBe(t *testing.T) {
	t.Parallel()

	for field, change := range map[string]func(*mortgage.EscrowYear){
		"projected[2].on": func(y *mortgage.EscrowYear) { y.Projected[2].On = day("2026-07-01") },
		"actual[0].on":    func(y *mortgage.EscrowYear) { y.Actual[0].On = day("2025-06-30") },
		"actual[1].on":    func(y *mortgage.EscrowYear) { y.Actual[1].On = 0 },
	} {
		r := appendixE(950_00)
		a := analyze(t, r)
		y := appendixEYear(&r, &a)
		change(&y)
		_, err := y.AnnualStatement()
		wantField(t, "AnnualStatement", err, field)
	}
	if _, err := (mortgage.EscrowYear{}).AnnualStatement(); err == nil {
		t.Error("a statement of no year; want ErrNotDate")
	}
}

// What a year's analysis projects is what the next statement shows beside it: a
// year that went just as projected has no differences, and ends as was expected.
func TestAYearAsProjected(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawEscrow(t, allCycles)
		a, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		activity := a.Activity(r)
		y := mortgage.EscrowYear{
			Analysis: &a, Request: &r, FromOn: r.StartOn, ToOn: a.Months[11].MonthOn,
			Opening: a.Opening(), ProjectedOpening: a.Opening(), Projected: activity, Actual: activity,
		}
		s, err := y.AnnualStatement()
		must(t, err)
		if len(s.Differences) > 0 || s.EndingBalance != a.Months[11].Expected || !s.LowReached {
			t.Fatalf("differences %+v, left %d; want none, %d", s.Differences, s.EndingBalance, a.Months[11].Expected)
		}
	})
}

// The differences explain every cent by which the year ended elsewhere than it
// was to.
func TestEscrowDifferencesExplainEveryCent(t *testing.T) {
	t.Parallel()

	draw := func(t *rapid.T, label string) []mortgage.EscrowActivity {
		var activity []mortgage.EscrowActivity
		for range rapid.IntRange(0, 12).Draw(t, label) {
			e := mortgage.EscrowActivity{On: day("2025-07-01") + mortgage.Date(rapid.IntRange(0, 364).Draw(t, "on"))}
			switch {
			case rapid.Bool().Draw(t, "deposit"):
				e.Deposit = mortgage.Cents(rapid.Int64Range(-10_00, 500_00).Draw(t, "cents"))
			default:
				e.Kind, e.Disbursement = escrowKinds.Draw(t, "kind"), drawCents(t, "cents", 900_00)
				e.Refund = label == "actual" && rapid.IntRange(0, 5).Draw(t, "refund") == 0
			}
			activity = append(activity, e)
		}
		return activity
	}
	r := appendixE(950_00)
	a := analyze(t, r)
	rapid.Check(t, func(t *rapid.T) {
		y := appendixEYear(&r, &a)
		y.Projected, y.Actual = draw(t, "projected"), draw(t, "actual")
		s, err := y.AnnualStatement()
		must(t, err)
		end := s.History[len(s.History)-1]
		var explained mortgage.Cents
		for _, d := range s.Differences {
			switch d.Kind {
			case mortgage.OpeningHigher, mortgage.OpeningLower, mortgage.DepositMore, mortgage.DepositLess:
				explained += d.Actual - d.Projected
			case mortgage.BillEarlier, mortgage.BillLater:
			default:
				explained -= d.Actual - d.Projected
			}
		}
		if end.ActualBalance != s.EndingBalance || end.ActualBalance-end.ProjectedBalance != explained {
			t.Fatalf("the year ended with %d and not %d, %d is explained by %+v",
				end.ActualBalance, end.ProjectedBalance, explained, s.Differences)
		}
	})
}

// Every amount of an analysis that is not zero has its rule.
func TestExplainEscrowAnalysis(t *testing.T) {
	t.Parallel()

	r := appendixE(-30_00)
	r.Account.NextDueOn, r.Payment = day("2026-06-01"), 20_00
	a := analyze(t, r)
	want := []mortgage.EscrowReason{
		{Name: "annual_disbursements_cents", Amount: 1560_00, Rule: mortgage.EscrowRuleEstimate},
		{Name: "base_payment_cents", Amount: 130_00, Rule: mortgage.EscrowRuleTwelfth},
		{Name: "low_point_cents", Amount: -780_00, Rule: mortgage.EscrowRuleTrial},
		{Name: "cushion_cents", Amount: 260_00, Rule: mortgage.EscrowRuleCushion},
		{Name: "required_start_cents", Amount: 1040_00, Rule: mortgage.EscrowRuleTarget},
		{Name: "scheduled_deposits_cents", Amount: 20_00, Rule: mortgage.EscrowRuleScheduled},
		{Name: "shortage_cents", Amount: 1040_00, Rule: mortgage.EscrowRuleMonthSpread},
		{Name: "deficiency_cents", Amount: 10_00, Rule: mortgage.EscrowRuleDeficiencySpread},
	}
	if got := a.Explain(); !reflect.DeepEqual(got, want) {
		t.Errorf("Explain() = %+v; want %+v", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, err := mortgage.AnalyzeEscrow(drawEscrow(t, allCycles))
		must(t, err)
		for _, r := range a.Explain() {
			if r.Rule == "" || r.Amount == 0 {
				t.Fatalf("%+v is not explained", r)
			}
		}
	})
}
