package mortgage_test

import (
	"fmt"
	"slices"
	"testing"

	"loanserve/mortgage"
)

func TestEstimateOfABill(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		bill   mortgage.EscrowBill
		change mortgage.Rate
		want   mortgage.Cents
		basis  mortgage.EstimateBasis
	}{
		"a known charge": {
			mortgage.EscrowBill{Known: new(mortgage.Cents(510_00)), Last: 500_00}, 30_000, 510_00, mortgage.EstimateKnown,
		},
		"a known charge of nothing": {
			mortgage.EscrowBill{Known: new(mortgage.Cents(0)), Last: 500_00}, 30_000, 0, mortgage.EstimateKnown,
		},
		"last year's":         {mortgage.EscrowBill{Last: 500_00}, 0, 500_00, mortgage.EstimateLast},
		"last year's, raised": {mortgage.EscrowBill{Last: 500_00}, 30_000, 515_00, mortgage.EstimateModified},
		"a part of a cent would exceed the change": {
			mortgage.EscrowBill{Last: 333_33}, 29_999, 343_32, mortgage.EstimateModified, // 343.3296…
		},
		"last year's, lowered": {mortgage.EscrowBill{Last: 500_00}, -4_000, 498_00, mortgage.EstimateModified},
		"a part of a cent, lowered": {
			mortgage.EscrowBill{Last: 333_33}, -4_001, 332_00, mortgage.EstimateModified, // 331.9963…
		},
		"comparable property is not modified": {
			mortgage.EscrowBill{Last: 500_00, Comparable: true}, 30_000, 500_00, mortgage.EstimateComparable,
		},
		"less the discount": {
			mortgage.EscrowBill{Last: 500_00, DiscountOn: 1, Discount: 20_00}, 0, 480_00, mortgage.EstimateLast,
		},
		"a discount without a day is none": {mortgage.EscrowBill{Last: 500_00, Discount: 20_00}, 0, 500_00, mortgage.EstimateLast},
		"never below zero": {
			mortgage.EscrowBill{Last: 10_00, DiscountOn: 1, Discount: 20_00}, 0, 0, mortgage.EstimateLast,
		},
		"the largest of all": {
			mortgage.EscrowBill{Last: mortgage.MaxPayment}, mortgage.MaxRate, 2 * mortgage.MaxPayment, mortgage.EstimateModified,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got, basis := tt.bill.Estimate(tt.change); got != tt.want || basis != tt.basis {
				t.Errorf("%+v.Estimate(%d) = %d, %s; want %d, %s", tt.bill, tt.change, got, basis, tt.want, tt.basis)
			}
		})
	}
}

func TestDeadlineOfABill(t *testing.T) {
	t.Parallel()

	tests := map[string]struct{ due, discount, penalty, want string }{
		"the due date":                      {due: "2026-11-01", want: "2026-11-01"},
		"the last day without a penalty":    {due: "2026-11-01", penalty: "2026-12-10", want: "2026-12-10"},
		"the discount's, which is earlier":  {due: "2026-11-30", discount: "2026-11-04", want: "2026-11-04"},
		"the discount's before the penalty": {due: "2026-11-01", discount: "2026-11-30", penalty: "2027-03-31", want: "2026-11-30"},
		"the penalty's before the discount": {due: "2026-11-01", discount: "2026-11-30", penalty: "2026-11-15", want: "2026-11-15"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := mortgage.EscrowBill{DueOn: day(tt.due)}
			if tt.discount != "" {
				b.DiscountOn = day(tt.discount)
			}
			if tt.penalty != "" {
				b.PenaltyOn = day(tt.penalty)
			}
			if got := b.Deadline(); got != day(tt.want) {
				t.Errorf("%+v.Deadline() = %s; want %s", b, got, tt.want)
			}
		})
	}
}

// The policy's change reaches the bills whose charge is unknown, up to that of
// the CPI-U.
func TestEstimateChangeOfThePolicy(t *testing.T) {
	t.Parallel()

	for _, cpi := range []mortgage.Rate{30_000, -4_000} {
		r := request("2026-07-01", 0,
			item(mortgage.EscrowCountyTax, 12, mortgage.EscrowBill{DueOn: day("2026-12-10"), Last: 1000_00}),
			item(mortgage.EscrowHazardInsurance, 12, bill("2027-03-01", 200_00)))
		r.CPIChange, r.Policy.EstimateChange = cpi, cpi
		a := analyze(t, r)
		want := 1200_00 + mortgage.Cents(cpi)/10
		if a.AnnualDisbursements != want || a.Bills[0].Basis != mortgage.EstimateModified {
			t.Errorf("with a change of %d: %d a year, %+v; want %d", cpi, a.AnnualDisbursements, a.Bills, want)
		}
	}
}

func TestEscrowItemKinds(t *testing.T) {
	t.Parallel()

	type is struct{ tax, hazard bool }
	for kind, want := range map[mortgage.EscrowItemKind]is{
		mortgage.EscrowCountyTax: {tax: true}, mortgage.EscrowCityTax: {tax: true},
		mortgage.EscrowSchoolTax: {tax: true}, mortgage.EscrowOtherTax: {tax: true},
		mortgage.EscrowHazardInsurance: {hazard: true}, mortgage.EscrowFloodInsurance: {hazard: true},
		mortgage.EscrowWindInsurance: {hazard: true}, mortgage.EscrowEarthquakeInsurance: {hazard: true},
		mortgage.EscrowMortgageInsurance: {}, mortgage.EscrowAssociationDues: {},
		mortgage.EscrowGroundRent: {}, mortgage.EscrowOther: {},
	} {
		if got := (is{kind.PropertyTax(), kind.HazardInsurance()}); got != want {
			t.Errorf("%s is %+v; want %+v", kind, got, want)
		}
		analyze(t, request("2026-07-01", 0, item(kind, 12, bill("2026-12-10", 1)))) // and is accepted
	}
}

// payOns returns the days on which the projected bills are paid.
func payOns(a mortgage.EscrowAnalysis) []string {
	var days []string
	for _, b := range a.Bills {
		days = append(days, b.PayOn.String())
	}
	return days
}

// When the bills of a year are paid.
func TestProjectedBills(t *testing.T) {
	t.Parallel()

	lead := func(r mortgage.EscrowRequest, days int) mortgage.EscrowRequest {
		r.Policy.LeadDays = days
		return r
	}
	one := func(every int, b mortgage.EscrowBill) mortgage.EscrowRequest {
		return request("2026-07-01", 0, item(mortgage.EscrowOther, every, b))
	}
	tests := map[string]struct {
		request mortgage.EscrowRequest
		want    []string
	}{
		"quarterly": {
			one(3, bill("2026-08-31", 1)), []string{"2026-08-31", "2026-11-30", "2027-02-28", "2027-05-31"},
		},
		"twice a year": {one(6, bill("2026-12-10", 1)), []string{"2026-12-10", "2027-06-10"}},
		"every other month": {
			one(2, bill("2026-08-15", 1)),
			[]string{"2026-08-15", "2026-10-15", "2026-12-15", "2027-02-15", "2027-04-15", "2027-06-15"},
		},
		"three times a year":               {one(4, bill("2026-07-01", 1)), []string{"2026-07-01", "2026-11-01", "2027-03-01"}},
		"the last day of the year":         {one(12, bill("2027-06-30", 1)), []string{"2027-06-30"}},
		"the day after the year":           {one(12, bill("2027-07-01", 1)), nil},
		"a bill of the next year but one":  {one(12, bill("2029-01-01", 1)), nil},
		"with a lead it is before the end": {lead(one(12, bill("2027-07-01", 1)), 1), []string{"2027-06-30"}},
		"with a lead it is before the start, and in the year again": {
			lead(one(12, bill("2026-07-03", 1)), 3), []string{"2027-06-30"},
		},
		"on the day of the discount": {
			one(12, mortgage.EscrowBill{DueOn: day("2026-12-31"), DiscountOn: day("2026-11-30"), Last: 1}),
			[]string{"2026-11-30"},
		},
		"a charge that ends": {
			one(1, mortgage.EscrowBill{DueOn: day("2026-07-05"), EndsOn: day("2026-09-05"), Last: 1}),
			[]string{"2026-07-05", "2026-08-05", "2026-09-05"},
		},
		"a charge that has ended": {
			one(1, mortgage.EscrowBill{DueOn: day("2026-07-05"), EndsOn: day("2026-07-04"), Last: 1}), nil,
		},
		"a year that begins on 29 February": {
			request("2028-02-29", 0, item(mortgage.EscrowOther, 12, bill("2028-02-29", 1))), []string{"2028-02-29"},
		},
		"a bill of 29 February, in a common year": {
			request("2028-03-31", 0, item(mortgage.EscrowOther, 6, bill("2028-08-29", 1))),
			[]string{"2028-08-29", "2029-02-28"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := payOns(analyze(t, tt.request)); !slices.Equal(got, tt.want) {
				t.Errorf("bills are paid on %v; want %v", got, tt.want)
			}
		})
	}
}

// A bill due on the 1st of July that was paid on Friday the 30th of June is in
// no year unless the year's last month has the next one.
func TestABillPaidInTheMonthBeforeItsYear(t *testing.T) {
	t.Parallel()

	b := bill("2027-07-01", 1200_00)
	r := request("2026-07-01", 300_00, item(mortgage.EscrowHazardInsurance, 12, b))
	if a := analyze(t, r); a.AnnualDisbursements != 0 {
		t.Errorf("a first bill after the year counts %d; want nothing", a.AnnualDisbursements)
	}
	r.Items[0].Bills[0].LastPaidOn = day("2026-06-30")
	a := analyze(t, r)
	if a.BasePayment != 100_00 || !slices.Equal(payOns(a), []string{"2027-06-30"}) ||
		a.Bills[0].DueOn != day("2027-07-01") {
		t.Errorf("paid early: payment %d, paid on %v; want 10000, 2027-06-30", a.BasePayment, payOns(a))
	}
	r.Items[0].Bills[0].LastPaidOn = day("2026-05-30")
	if a := analyze(t, r); a.AnnualDisbursements != 0 {
		t.Errorf("paid a month earlier still: %d; want nothing", a.AnnualDisbursements)
	}

	monthly := bill("2026-08-01", 50_00)
	monthly.LastPaidOn = day("2026-06-30")
	r = request("2026-07-01", 0, item(mortgage.EscrowMortgageInsurance, 1, monthly))
	if a := analyze(t, r); len(a.Bills) != 12 || a.BasePayment != 50_00 {
		t.Errorf("monthly, paid early: %d bills, payment %d; want 12, 5000", len(a.Bills), a.BasePayment)
	}
}

// A three-year flood policy is saved for in 36 equal amounts, and the low point is
// on a three-year cycle (12 CFR 1024.17(c)(9)).
func TestEscrowOfALongCycle(t *testing.T) {
	t.Parallel()

	flood := func(every int, dueOn string) mortgage.EscrowRequest {
		r := request("2026-07-01", 0,
			item(mortgage.EscrowCountyTax, 12, bill("2026-12-10", 1200_00)),
			item(mortgage.EscrowFloodInsurance, every, bill(dueOn, 3600_00)))
		return r
	}
	tests := map[string]struct {
		request    mortgage.EscrowRequest
		payment    mortgage.Cents
		required   mortgage.Cents
		lowMonthOn string
		cycle      int
		lowTarget  mortgage.Cents // in the coming year
	}{
		// The tax alone needs 600 at the start; by then 6, 18 or 30 of 36 months of
		// the flood premium have been saved.
		"the premium is due in this year": {
			flood(36, "2026-12-31"), 200_00, 600_00 + 3000_00 + 400_00, "2026-12-01", 36, 400_00,
		},
		"in the next": {
			flood(36, "2027-12-31"), 200_00, 600_00 + 1800_00 + 400_00, "2027-12-01", 36, 400_00 + 1800_00 + 600_00,
		},
		"in the one after it": {
			flood(36, "2028-12-31"), 200_00, 600_00 + 600_00 + 400_00, "2028-12-01", 36, 400_00 + 600_00 + 600_00,
		},
		// Until then what is saved for it covers the tax.
		"in three years: nothing is saved yet": {
			flood(36, "2029-06-30"), 200_00, 400_00, "2026-12-01", 36, 400_00,
		},
		"it was due before the year, and is not paid": {
			flood(36, "2026-06-15"), 200_00, 400_00, "2026-12-01", 36, 400_00,
		},
		"every two years": {
			flood(24, "2027-12-31"), 250_00, 600_00 + 900_00 + 500_00, "2027-12-01", 24, 2000_00 + 250_00, // after a payment
		},
		"every five years": {
			flood(60, "2030-12-31"), 160_00, 600_00 + 360_00 + 320_00, "2030-12-01", 60, 320_00 + 360_00 + 360_00,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a := analyze(t, tt.request)
			low := a.Months[0].Target
			for _, m := range a.Months {
				low = min(low, m.Target)
			}
			if a.BasePayment != tt.payment || a.RequiredStart != tt.required || a.LowMonthOn != day(tt.lowMonthOn) ||
				a.CycleMonths != tt.cycle || low != tt.lowTarget {
				t.Errorf("payment %d, required %d, low in %s of %d months, lowest target %d; want %+v",
					a.BasePayment, a.RequiredStart, a.LowMonthOn, a.CycleMonths, low, tt)
			}
		})
	}
}

// With bills every two, three, four and five years the account repeats after
// sixty. Its low point is where they come together.
func TestEscrowOfAllLongCycles(t *testing.T) {
	t.Parallel()

	account := func(firstYear int) mortgage.EscrowRequest {
		var items []mortgage.EscrowItem
		for _, every := range []int{24, 36, 48, 60} {
			dueOn := fmt.Sprintf("%d-06-30", firstYear+every/12)
			items = append(items, item(mortgage.EscrowOther, every, bill(dueOn, mortgage.Cents(every)*10_00)))
		}
		r := request("2026-07-01", 0, items...)
		r.Policy.CushionMonths = 0
		return r
	}
	a := analyze(t, account(2026)) // Each cycle ends just when its bill comes.
	if a.BasePayment != 40_00 || a.CycleMonths != 720 || a.RequiredStart != 0 {
		t.Errorf("payment %d, cycle %d, required %d; want 4000, 720, 0", a.BasePayment, a.CycleMonths, a.RequiredStart)
	}
	a = analyze(t, account(2025)) // A year of each has been saved for.
	if a.RequiredStart != 4*120_00 || a.LowMonthOn != day("2085-06-01") {
		t.Errorf("a year sooner: required %d, low in %s; want 48000, 2085-06-01", a.RequiredStart, a.LowMonthOn)
	}
}

// What an account holds when its year begins, from the books of a day before.
func TestEscrowStartBalance(t *testing.T) {
	t.Parallel()

	type start struct{ deposits, disbursements, ahead, balance mortgage.Cents }
	tests := map[string]struct {
		change func(*mortgage.EscrowRequest)
		want   start
	}{
		"the last day before the year": {
			func(*mortgage.EscrowRequest) {}, start{0, 0, 0, 900_00},
		},
		"two months before, two payments to come": {
			func(r *mortgage.EscrowRequest) {
				r.AsOf, r.Account.On = day("2026-04-30"), day("2026-04-30")
				r.Account.NextDueOn = day("2026-05-01")
			},
			start{240_00, 0, 0, 1140_00},
		},
		"a payment of before that is not assumed": {
			func(r *mortgage.EscrowRequest) {
				r.AsOf, r.Account.On = day("2026-04-30"), day("2026-04-30")
				r.Account.NextDueOn = day("2026-04-01")
			},
			start{240_00, 0, 0, 1140_00},
		},
		"the payment of the last month is late, and is assumed": {
			func(r *mortgage.EscrowRequest) { r.Account.NextDueOn = day("2026-06-01") }, start{120_00, 0, 0, 1020_00},
		},
		"a bill before the year": {
			func(r *mortgage.EscrowRequest) {
				r.Account.On = day("2026-05-31")
				r.Items = append(r.Items, item(mortgage.EscrowHazardInsurance, 12, bill("2026-06-15", 600_00)))
			},
			start{0, 600_00, 0, 300_00},
		},
		"a bill that is overdue": {
			func(r *mortgage.EscrowRequest) {
				r.Items = append(r.Items, item(mortgage.EscrowHazardInsurance, 12, bill("2026-05-15", 600_00)))
			},
			start{0, 600_00, 0, 300_00},
		},
		"two payments ahead": {
			func(r *mortgage.EscrowRequest) { r.Account.NextDueOn = day("2026-09-01") }, start{0, 0, 240_00, 660_00},
		},
		"a payment of July that came after the account was looked at": {
			func(r *mortgage.EscrowRequest) {
				r.AsOf, r.NextDueOn = day("2026-07-10"), day("2026-08-01")
			},
			start{0, 0, 0, 900_00},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := appendixE(900_00)
			r.Payment = 120_00
			tt.change(&r)
			a := analyze(t, r)
			got := start{a.ScheduledDeposits, a.ScheduledDisbursements, a.PaidAhead, a.StartBalance}
			if got != tt.want {
				t.Errorf("start %+v; want %+v", got, tt.want)
			}
		})
	}
}

// A balance that only the plan takes below zero is short, and not deficient.
func TestADipToComeIsNoDeficiency(t *testing.T) {
	t.Parallel()

	r := appendixE(100_00)
	r.Account.On = day("2026-05-31")
	r.Items = append(r.Items, item(mortgage.EscrowHazardInsurance, 12, bill("2026-06-15", 600_00)))
	a := analyze(t, r)
	if a.StartBalance != -500_00 || a.Deficiency != 0 || a.Shortage != a.RequiredStart+500_00 {
		t.Errorf("100.00 before a bill of 600.00: deficiency %d, shortage %d; want 0, %d",
			a.Deficiency, a.Shortage, a.RequiredStart+500_00)
	}
	r.Account.Balance = -100_00 // and so will be, with 600 more
	if a = analyze(t, r); a.Deficiency != 100_00 || a.Shortage != a.RequiredStart+600_00 {
		t.Errorf("-100.00 before it: deficiency %d, shortage %d; want 10000, %d",
			a.Deficiency, a.Shortage, a.RequiredStart+600_00)
	}
	r = appendixE(-100_00) // and a payment that cures most of it
	r.Account.NextDueOn, r.Payment = day("2026-06-01"), 70_00
	if a = analyze(t, r); a.Deficiency != 30_00 || a.Shortage != 1040_00 {
		t.Errorf("-100.00 before a payment of 70.00: deficiency %d, shortage %d; want 3000, 104000",
			a.Deficiency, a.Shortage)
	}
}

// What a borrower paid in of his own accord is not handed back to him.
func TestVoluntaryDepositsAreNoSurplus(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct{ balance, voluntary, kept, surplus, shortage mortgage.Cents }{
		{1540_00, 500_00, 500_00, 0, 0},
		{1600_00, 500_00, 500_00, 60_00, 0},
		{1200_00, 500_00, 160_00, 0, 0},
		{1000_00, 500_00, 0, 0, 40_00},
	} {
		r := appendixE(tt.balance)
		r.Voluntary = tt.voluntary
		a := analyze(t, r)
		if a.KeptVoluntary != tt.kept || a.Surplus != tt.surplus || a.Shortage != tt.shortage {
			t.Errorf("%d with %d voluntary: kept %d, surplus %d, shortage %d; want %+v",
				tt.balance, tt.voluntary, a.KeptVoluntary, a.Surplus, a.Shortage, tt)
		}
	}
}
