package mortgage_test

import (
	"slices"
	"testing"

	"loanserve/mortgage"
)

// What an analysis finds and does at the regulation's boundaries. The account is
// appendix E's: it needs 1,040.00, and a month's payment is 130.00.
func TestEscrowBoundaries(t *testing.T) {
	t.Parallel()

	const refund, credit, spread = mortgage.EscrowRefund, mortgage.EscrowCredit, mortgage.EscrowSpread
	atOnce := func(r mortgage.EscrowRequest) mortgage.EscrowRequest {
		r.Policy.SmallShortage, r.Policy.SmallDeficiency = mortgage.EscrowAtOnce, mortgage.EscrowAtOnce
		return r
	}
	type found struct {
		surplus, shortage, deficiency mortgage.Cents
		action                        mortgage.EscrowAction // of the one amount, or of the deficiency
		rule                          mortgage.EscrowRule
		payment                       mortgage.Cents
	}
	tests := map[string]struct {
		request mortgage.EscrowRequest
		want    found
	}{
		"just what is needed": {
			appendixE(1040_00), found{action: mortgage.EscrowNothing, payment: 130_00},
		},
		"one cent more is credited": {
			appendixE(1040_01), found{1, 0, 0, credit, mortgage.EscrowRuleSurplus, 130_00},
		},
		"a surplus of 49.99 is credited": {
			appendixE(1089_99), found{49_99, 0, 0, credit, mortgage.EscrowRuleSurplus, 125_83},
		},
		"a surplus of 50.00 is refunded": {
			appendixE(1090_00), found{50_00, 0, 0, refund, mortgage.EscrowRuleSurplus, 130_00},
		},
		"a surplus of a borrower 30 days late is refunded": {
			late(appendixE(1090_00), 30), found{50_00, 0, 0, refund, mortgage.EscrowRuleSurplus, 130_00},
		},
		"a surplus of a borrower 31 days late stays": {
			late(appendixE(1090_00), 31),
			found{50_00, 0, 0, mortgage.EscrowRetain, mortgage.EscrowRuleSurplusRetained, 130_00},
		},
		"a small surplus of a borrower 31 days late stays too": {
			late(appendixE(1089_99), 31),
			found{49_99, 0, 0, mortgage.EscrowRetain, mortgage.EscrowRuleSurplusRetained, 130_00},
		},
		"one cent less is a shortage": {
			appendixE(1039_99), found{0, 1, 0, spread, mortgage.EscrowRuleShortageSpread, 130_00},
		},
		"a shortage a cent below a month's payment": {
			atOnce(appendixE(910_01)),
			found{0, 129_99, 0, mortgage.EscrowAtOnce, mortgage.EscrowRuleShortageAtOnce, 130_00},
		},
		"a shortage of a month's payment": {
			atOnce(appendixE(910_00)), found{0, 130_00, 0, spread, mortgage.EscrowRuleMonthSpread, 140_83},
		},
		"a shortage of a borrower 31 days late is spread all the same": {
			late(appendixE(910_00), 31), found{0, 130_00, 0, spread, mortgage.EscrowRuleMonthSpread, 140_83},
		},
		"an empty account lacks all, and is not deficient": {
			appendixE(0), found{0, 1040_00, 0, spread, mortgage.EscrowRuleMonthSpread, 216_67},
		},
		"below zero is a deficiency, and the shortage is measured from zero": {
			appendixE(-1), found{0, 1040_00, 1, spread, mortgage.EscrowRuleDeficiencySpread, 216_67},
		},
		"a deficiency a cent below a month's payment": {
			atOnce(appendixE(-129_99)),
			found{0, 1040_00, 129_99, mortgage.EscrowAtOnce, mortgage.EscrowRuleDeficiencyAtOnce, 216_67},
		},
		"a deficiency of a month's payment": {
			atOnce(appendixE(-130_00)),
			found{0, 1040_00, 130_00, spread, mortgage.EscrowRuleMonthDeficiency, 216_67 + 10_83},
		},
		"a deficiency of a borrower 30 days late": {
			late(appendixE(-130_00), 30),
			found{0, 1040_00, 130_00, spread, mortgage.EscrowRuleMonthDeficiency, 216_67 + 10_83},
		},
		"a deficiency of a borrower 31 days late is left to the loan documents": {
			late(appendixE(-130_00), 31),
			found{0, 1040_00, 130_00, mortgage.EscrowLeave, mortgage.EscrowRuleDeficiencyOverdue, 216_67},
		},
		"nothing to pay, and nothing there": {
			request("2026-07-01", 0), found{action: mortgage.EscrowNothing},
		},
		"nothing to pay: a small surplus has no payment to be credited to": {
			request("2026-07-01", 30_00), found{30_00, 0, 0, refund, mortgage.EscrowRuleSurplus, 0},
		},
		"nothing to pay, and less than nothing there": {
			atOnce(request("2026-07-01", -30_00)),
			found{0, 0, 30_00, spread, mortgage.EscrowRuleMonthDeficiency, 2_50},
		},
		"one bill of a cent": {
			request("2026-07-01", 0, item(mortgage.EscrowOther, 12, bill("2026-10-01", 1))),
			found{0, 1, 0, spread, mortgage.EscrowRuleMonthSpread, 0},
		},
		"a bill of nothing": {
			request("2026-07-01", 0, item(mortgage.EscrowOther, 12, bill("2026-10-01", 0))),
			found{action: mortgage.EscrowNothing},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a := analyze(t, tt.request)
			h := a.SurplusHandling
			if a.Shortage > 0 {
				h = a.ShortageHandling
			}
			if a.Deficiency > 0 {
				h = a.DeficiencyHandling
			}
			got := found{a.Surplus, a.Shortage, a.Deficiency, h.Action, h.Rule, a.NewPayment}
			if got != tt.want {
				t.Errorf("AnalyzeEscrow with %d: %+v; want %+v", tt.request.Account.Balance, got, tt.want)
			}
		})
	}
}

// Where the bills lie decides how much an account must hold when the year begins.
func TestEscrowLowPoint(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		dueOn      string
		lowMonthOn string
		required   mortgage.Cents // without a cushion
	}{
		"all bills in the first month": {"2026-07-25", "2026-07-01", 1100_00},
		"all in the second":            {"2026-08-01", "2026-08-01", 1000_00},
		"all in the eleventh":          {"2027-05-31", "2027-05-01", 100_00},
		"all in the last month":        {"2027-06-30", "2027-06-01", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := request("2026-07-01", 0,
				item(mortgage.EscrowCountyTax, 12, bill(tt.dueOn, 900_00)),
				item(mortgage.EscrowHazardInsurance, 12, bill(tt.dueOn, 300_00)))
			r.Policy.CushionMonths = 0
			a := analyze(t, r)
			if a.LowMonthOn != day(tt.lowMonthOn) || a.RequiredStart != tt.required || a.BasePayment != 100_00 {
				t.Errorf("due %s: low in %s, required %d, payment %d; want %s, %d, 10000",
					tt.dueOn, a.LowMonthOn, a.RequiredStart, a.BasePayment, tt.lowMonthOn, tt.required)
			}
			r.Policy.CushionMonths = 2
			if got := analyze(t, r).RequiredStart; got != tt.required+200_00 {
				t.Errorf("due %s: with a cushion %d; want %d", tt.dueOn, got, tt.required+200_00)
			}
		})
	}
}

// Bills in every month leave the trial at zero, so that the cushion is all that
// an account needs.
func TestMonthlyItemsCount(t *testing.T) {
	t.Parallel()

	r := request("2026-07-01", 0, item(mortgage.EscrowMortgageInsurance, 1, bill("2026-07-10", 65_67)))
	a := analyze(t, r)
	if a.AnnualDisbursements != 788_04 || a.BasePayment != 65_67 || a.Cushion != 131_34 ||
		a.RequiredStart != 131_34 || len(a.Bills) != 12 {
		t.Errorf("AnalyzeEscrow: %+v; want 12 bills, 78804 a year, a cushion of 13134", a)
	}
	r.Items[0].OutsideCushion = true
	if a := analyze(t, r); a.BasePayment != 65_67 || a.Cushion != 0 {
		t.Errorf("outside the cushion: payment %d, cushion %d; want 6567, 0", a.BasePayment, a.Cushion)
	}
}

// The month's payment is a twelfth of the total, and never a sum of rounded
// parts: three items of 100.01 make 25.00, each alone 8.33.
func TestPaymentIsATwelfthOfTheTotal(t *testing.T) {
	t.Parallel()

	one := item(mortgage.EscrowOther, 12, bill("2026-12-01", 100_01))
	for name, tt := range map[string]struct {
		rounding mortgage.EscrowRounding
		items    int
		want     mortgage.Cents
	}{
		"one, 8.33416…":          {mortgage.EscrowRoundHalfUp, 1, 8_33},
		"three, 25.0025":         {mortgage.EscrowRoundHalfUp, 3, 25_00},
		"six, 50.005 goes up":    {mortgage.EscrowRoundHalfUp, 6, 50_01},
		"six, 50.005 never more": {mortgage.EscrowRoundDown, 6, 50_00},
		"seven, 58.33916…":       {mortgage.EscrowRoundHalfUp, 7, 58_34},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := request("2026-07-01", 0, slices.Repeat([]mortgage.EscrowItem{one}, tt.items)...)
			r.Policy.PaymentRounding = tt.rounding
			if got := analyze(t, r).BasePayment; got != tt.want {
				t.Errorf("%d items, %s: payment %d; want %d", tt.items, tt.rounding, got, tt.want)
			}
		})
	}
}

// The cushion is the policy's, and whatever lowers it for the loan.
func TestEscrowCushion(t *testing.T) {
	t.Parallel()

	limit := func(l mortgage.CushionLimit) []mortgage.CushionLimit {
		l.Source = mortgage.StateLaw
		return []mortgage.CushionLimit{{Source: mortgage.LoanDocuments, Months: new(2)}, l}
	}
	const (
		sixth  = mortgage.EscrowRuleCushion
		lower  = mortgage.EscrowRuleLowerCushion
		chosen = mortgage.EscrowRuleChosenCushion
	)
	tests := map[string]struct {
		months int
		limits []mortgage.CushionLimit
		want   mortgage.Cents
		rule   mortgage.EscrowRule
	}{
		"two months":                          {2, nil, 260_00, sixth},
		"one month, by choice":                {1, nil, 130_00, chosen},
		"none, by choice":                     {0, nil, 0, chosen},
		"a state with one month":              {2, limit(mortgage.CushionLimit{Months: new(1)}), 130_00, lower},
		"a state with none":                   {2, limit(mortgage.CushionLimit{Months: new(0)}), 0, lower},
		"a tenth of the year":                 {2, limit(mortgage.CushionLimit{Rate: new(mortgage.Rate(100_000))}), 156_00, lower},
		"a third of the year does not raise":  {2, limit(mortgage.CushionLimit{Rate: new(mortgage.Rate(333_333))}), 260_00, sixth},
		"all of the year does not raise":      {2, limit(mortgage.CushionLimit{Rate: new(mortgage.MaxRate)}), 260_00, sixth},
		"a sum":                               {2, limit(mortgage.CushionLimit{Amount: new(mortgage.Cents(99_99))}), 99_99, lower},
		"a larger sum does not raise":         {2, limit(mortgage.CushionLimit{Amount: new(mortgage.Cents(999_99))}), 260_00, sixth},
		"the same sum":                        {2, limit(mortgage.CushionLimit{Amount: new(mortgage.Cents(260_00))}), 260_00, sixth},
		"six months do not raise":             {2, limit(mortgage.CushionLimit{Months: new(6)}), 260_00, sixth},
		"a policy below the limit stays":      {1, limit(mortgage.CushionLimit{Months: new(2)}), 130_00, chosen},
		"of several in one, the lowest":       {2, limit(mortgage.CushionLimit{Months: new(1), Amount: new(mortgage.Cents(5))}), 5, lower},
		"a part of a cent is nothing to have": {2, limit(mortgage.CushionLimit{Rate: new(mortgage.Rate(1))}), 0, lower},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := appendixE(0)
			r.Policy.CushionMonths, r.CushionLimits = tt.months, tt.limits
			a := analyze(t, r)
			if a.Cushion != tt.want || a.CushionRule != tt.rule || a.RequiredStart != 780_00+tt.want {
				t.Errorf("cushion %d by %s, required %d; want %d by %s, %d",
					a.Cushion, a.CushionRule, a.RequiredStart, tt.want, tt.rule, 780_00+tt.want)
			}
		})
	}
}

// A year's bills that no sixth divides: 100.01 / 6 is 16.6683…, and the cushion
// may be no greater.
func TestEscrowCushionIsRoundedDown(t *testing.T) {
	t.Parallel()

	a := analyze(t, request("2026-07-01", 0, item(mortgage.EscrowOther, 12, bill("2026-12-01", 100_05))))
	if a.Cushion != 16_67 { // 16.675
		t.Errorf("a sixth of 100.05 is %d; want 1667", a.Cushion)
	}
}

// A new account asks for its opening deposit, and nothing else.
func TestInitialEscrowAnalysis(t *testing.T) {
	t.Parallel()

	r := appendixE(0)
	r.Kind, r.AsOf, r.Account.On = mortgage.EscrowInitial, day("2026-05-15"), day("2026-05-15")
	a := analyze(t, r)
	want := mortgage.EscrowHandling{
		Action: mortgage.EscrowDeposit, Amount: 1040_00, DueOn: day("2026-05-15"), Rule: mortgage.EscrowRuleDeposit,
	}
	if a.DepositHandling != want || a.Shortage != 0 || a.NewPayment != 130_00 || a.StatementDueOn != day("2026-06-29") ||
		a.StatementRule != mortgage.EscrowRuleInitialStatement || a.Months[11].Expected != 1040_00 {
		t.Errorf("a new account: %+v; want %+v and a statement by 2026-06-29", a, want)
	}

	r.Transferred, r.EstablishedOn, r.Account.Balance = true, day("2026-05-01"), 900_00
	a = analyze(t, r)
	if a.InitialDeposit != 0 || a.Shortage != 140_00 || a.ShortageHandling.Action != mortgage.EscrowSpread ||
		a.StatementDueOn != day("2026-06-30") || a.StatementRule != mortgage.EscrowRuleTransferStatement {
		t.Errorf("an account taken over: %+v; want a shortage of 14000, spread, and a statement by 2026-06-30", a)
	}
}

func TestEscrowAnalysisOfAPayoff(t *testing.T) {
	t.Parallel()

	r := mortgage.EscrowRequest{
		Kind: mortgage.EscrowPayoff, AsOf: day("2026-05-04"), Policy: mortgage.DefaultEscrowPolicy(),
		Account: mortgage.EscrowAccount{On: day("2026-05-04"), Balance: 12_34},
	}
	a := analyze(t, r)
	want := mortgage.EscrowHandling{
		Action: mortgage.EscrowRefund, Amount: 12_34, DueOn: day("2026-06-02"), Rule: mortgage.EscrowRulePayoff,
	}
	none := mortgage.EscrowHandling{Action: mortgage.EscrowNothing}
	if a.SurplusHandling != want || a.StatementDueOn != day("2026-07-03") || len(a.Payments) != 0 ||
		a.DeficiencyHandling != none || a.ShortageHandling != none || a.DepositHandling != none ||
		a.StatementRule != mortgage.EscrowRulePayoffStatement {
		t.Errorf("paid off with 12.34: %+v; want %+v, and a statement by 2026-07-03", a, want)
	}

	r.Account.Balance, r.NextDueOn, r.Bankruptcy = -50_00, day("2026-01-01"), true
	a = analyze(t, r)
	want = mortgage.EscrowHandling{
		Action: mortgage.EscrowInPayoff, Amount: 50_00, DueOn: day("2026-05-04"), Rule: mortgage.EscrowRuleAdvance,
	}
	if a.DeficiencyHandling != want || a.SurplusHandling != none || a.Exemption != "" {
		t.Errorf("paid off with -50.00: %+v; want %+v and no exemption", a, want)
	}
}

func TestEscrowStatementDeadlines(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		change    func(*mortgage.EscrowRequest)
		dueOn     string
		rule      mortgage.EscrowRule
		exemption mortgage.EscrowExemption
	}{
		"annual: 30 days after the year": {
			func(*mortgage.EscrowRequest) {}, "2026-07-30", mortgage.EscrowRuleAnnualStatement, "",
		},
		"short year: 60 days after it": {
			func(r *mortgage.EscrowRequest) { r.Kind = mortgage.EscrowShortYear },
			"2026-08-29", mortgage.EscrowRuleShortYearStatement, "",
		},
		"on demand: the same": {
			func(r *mortgage.EscrowRequest) { r.Kind = mortgage.EscrowOnDemand },
			"2026-08-29", mortgage.EscrowRuleShortYearStatement, "",
		},
		"30 days overdue": {
			func(r *mortgage.EscrowRequest) { *r = late(*r, 30) }, "2026-07-30", mortgage.EscrowRuleAnnualStatement, "",
		},
		"31 days overdue: exempt": {
			func(r *mortgage.EscrowRequest) { *r = late(*r, 31) },
			"", mortgage.EscrowRuleNoStatement, mortgage.EscrowExemptOverdue,
		},
		"foreclosure: exempt": {
			func(r *mortgage.EscrowRequest) { r.Foreclosure = true },
			"", mortgage.EscrowRuleNoStatement, mortgage.EscrowExemptForeclosure,
		},
		"bankruptcy: exempt": {
			func(r *mortgage.EscrowRequest) { r.Bankruptcy = true },
			"", mortgage.EscrowRuleNoStatement, mortgage.EscrowExemptBankruptcy,
		},
		"a new account is never exempt": {
			func(r *mortgage.EscrowRequest) { r.Kind, r.Bankruptcy = mortgage.EscrowInitial, true },
			"2026-08-14", mortgage.EscrowRuleInitialStatement, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := appendixE(1040_00)
			tt.change(&r)
			a := analyze(t, r)
			if a.StatementDueOn.String() != tt.dueOn || a.StatementRule != tt.rule || a.Exemption != tt.exemption {
				t.Errorf("statement by %q, %s, %q; want %q, %s, %q",
					a.StatementDueOn, a.StatementRule, a.Exemption, tt.dueOn, tt.rule, tt.exemption)
			}
		})
	}
	if got := mortgage.EscrowHistoryDueOn(day("2026-03-01")); got != day("2026-05-30") {
		t.Errorf("EscrowHistoryDueOn(2026-03-01) = %s; want 2026-05-30", got)
	}
}

func TestEscrowRequestsThatCannotBe(t *testing.T) {
	t.Parallel()

	type change = func(*mortgage.EscrowRequest)
	tests := map[string]struct {
		change change
		field  string
	}{
		"no kind":                  {func(r *mortgage.EscrowRequest) { r.Kind = "" }, "kind"},
		"no day":                   {func(r *mortgage.EscrowRequest) { r.AsOf = 0 }, "as_of"},
		"after the year":           {func(r *mortgage.EscrowRequest) { r.AsOf = day("2027-07-01") }, "as_of"},
		"no policy":                {func(r *mortgage.EscrowRequest) { r.Policy = mortgage.EscrowPolicy{} }, "payment_rounding"},
		"no due day":               {func(r *mortgage.EscrowRequest) { r.DueDay = 0 }, "due_day"},
		"a due day of 32":          {func(r *mortgage.EscrowRequest) { r.DueDay = 32 }, "due_day"},
		"a start on no due date":   {func(r *mortgage.EscrowRequest) { r.StartOn++ }, "start_on"},
		"no start":                 {func(r *mortgage.EscrowRequest) { r.StartOn = 0 }, "start_on"},
		"a start beyond the ages":  {func(r *mortgage.EscrowRequest) { r.StartOn = day("9999-07-01") }, "start_on"},
		"no next due date":         {func(r *mortgage.EscrowRequest) { r.NextDueOn = 0 }, "next_due_on"},
		"none in the account":      {func(r *mortgage.EscrowRequest) { r.Account.NextDueOn = 0 }, "account.next_due_on"},
		"an account of the future": {func(r *mortgage.EscrowRequest) { r.Account.On = r.AsOf + 1 }, "account.on"},
		"an account in the year": {func(r *mortgage.EscrowRequest) {
			r.AsOf, r.Account.On = r.StartOn, r.StartOn
		}, "account.on"},
		"an account more than two months old": {
			func(r *mortgage.EscrowRequest) { r.Account.On = day("2026-04-29") }, "account.on",
		},
		"a balance beyond measure": {
			func(r *mortgage.EscrowRequest) { r.Account.Balance = -mortgage.MaxBalance - 1 }, "account.balance_cents",
		},
		"a negative payment": {func(r *mortgage.EscrowRequest) { r.Payment = -1 }, "payment_cents"},
		"less than nothing paid voluntarily": {
			func(r *mortgage.EscrowRequest) { r.Voluntary = -1 }, "voluntary_cents",
		},
		"an estimate above the CPI-U": {func(r *mortgage.EscrowRequest) {
			r.CPIChange, r.Policy.EstimateChange = 29_999, 30_000
		}, "estimate_change_ppm"},
		"an estimate that falls while the CPI-U rises": {func(r *mortgage.EscrowRequest) {
			r.CPIChange, r.Policy.EstimateChange = 30_000, -1
		}, "estimate_change_ppm"},
		"an estimate that rises while the CPI-U falls": {func(r *mortgage.EscrowRequest) {
			r.CPIChange, r.Policy.EstimateChange = -4_000, 1
		}, "estimate_change_ppm"},
		"a limit of nobody": {func(r *mortgage.EscrowRequest) {
			r.CushionLimits = []mortgage.CushionLimit{{Months: new(1)}}
		}, "cushion_limits[0].source"},
		"a limit of nothing": {func(r *mortgage.EscrowRequest) {
			r.CushionLimits = []mortgage.CushionLimit{{Source: mortgage.StateLaw}}
		}, "cushion_limits[0].months"},
		"a negative limit": {func(r *mortgage.EscrowRequest) {
			r.CushionLimits = []mortgage.CushionLimit{{Source: mortgage.StateLaw, Rate: new(mortgage.Rate(-1))}}
		}, "cushion_limits[0].rate_ppm"},
		"every five months": {func(r *mortgage.EscrowRequest) { r.Items[1].EveryMonths = 5 }, "items[1].every_months"},
		"no item kind":      {func(r *mortgage.EscrowRequest) { r.Items[1].Kind = "" }, "items[1].kind"},
		"13 bills": {func(r *mortgage.EscrowRequest) {
			r.Items[1].Bills = slices.Repeat(r.Items[1].Bills, 13)
		}, "items[1].bills"},
		"65 items": {func(r *mortgage.EscrowRequest) {
			r.Items = slices.Repeat(r.Items[:1], 65)
		}, "items"},
		"a bill without a day": {func(r *mortgage.EscrowRequest) { r.Items[0].Bills[1].DueOn = 0 }, "items[0].bills[1].due_on"},
		"a bill of long ago": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[1].DueOn = day("2025-06-28")
		}, "items[0].bills[1].due_on"},
		"no day of the discount": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].DiscountOn = -1
		}, "items[0].bills[0].discount_on"},
		"a discount of long ago": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].DiscountOn = day("2025-06-28")
		}, "items[0].bills[0].discount_on"},
		"no last day without a penalty": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].PenaltyOn = mortgage.MaxDate
		}, "items[0].bills[0].penalty_on"},
		"a penalty of long ago": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].PenaltyOn = day("2025-06-28")
		}, "items[0].bills[0].penalty_on"},
		"no last payment": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].LastPaidOn = -1
		}, "items[0].bills[0].last_paid_on"},
		"a negative discount": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].Discount = -1
		}, "items[0].bills[0].discount_cents"},
		"a charge beyond measure": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[0].Known = new(mortgage.MaxPayment + 1)
		}, "items[0].bills[0].known_cents"},
		"a limit below nothing": {func(r *mortgage.EscrowRequest) {
			r.CushionLimits = []mortgage.CushionLimit{{Source: mortgage.StateLaw, Amount: new(mortgage.Cents(-1))}}
		}, "cushion_limits[0].amount_cents"},
		"established on no day":  {func(r *mortgage.EscrowRequest) { r.EstablishedOn = -1 }, "established_on"},
		"a CPI-U beyond measure": {func(r *mortgage.EscrowRequest) { r.CPIChange = mortgage.MaxRate + 1 }, "cpi_change_ppm"},
		"a negative charge": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[1].Known = new(mortgage.Cents(-1))
		}, "items[0].bills[1].known_cents"},
		"a negative last charge": {func(r *mortgage.EscrowRequest) {
			r.Items[0].Bills[1].Last = -1
		}, "items[0].bills[1].last_cents"},
		"a three-year bill that ends": {func(r *mortgage.EscrowRequest) {
			r.Items[0].EveryMonths, r.Items[0].Bills[0].EndsOn = 36, day("2030-01-01")
		}, "items[0].bills[0].ends_on"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := appendixE(1040_00)
			tt.change(&r)
			_, err := mortgage.AnalyzeEscrow(r)
			wantField(t, "AnalyzeEscrow", err, tt.field)
		})
	}
}
