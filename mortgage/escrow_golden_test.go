package mortgage_test

import (
	"fmt"
	"testing"

	"loanserve/mortgage"
)

type goldenAppendixE struct {
	Source         string        `json:"source"`
	About          string        `json:"about"`
	SettledOn      mortgage.Date `json:"settled_on"`
	FirstPaymentOn mortgage.Date `json:"first_payment_on"`
	Bills          []struct {
		Kind   mortgage.EscrowItemKind `json:"kind"`
		Payee  string                  `json:"payee"`
		On     mortgage.Date           `json:"on"`
		Amount mortgage.Cents          `json:"amount_cents"`
	} `json:"bills"`
	Annual        mortgage.Cents `json:"annual_disbursements_cents"`
	Payment       mortgage.Cents `json:"payment_cents"`
	Cushion       mortgage.Cents `json:"cushion_cents"`
	RequiredStart mortgage.Cents `json:"required_start_cents"`
	LowMonthOn    mortgage.Date  `json:"low_month_on"`
	Rows          []struct {
		MonthOn      mortgage.Date  `json:"month_on"`
		Disbursement mortgage.Cents `json:"disbursement_cents"`
		Step1        mortgage.Cents `json:"step_1_cents"`
		Step2        mortgage.Cents `json:"step_2_cents"`
		Step3        mortgage.Cents `json:"step_3_cents"`
	} `json:"rows"`
	SingleItem struct {
		RequiredStart mortgage.Cents `json:"required_start_cents"`
		Items         []struct {
			Kind    mortgage.EscrowItemKind `json:"kind"`
			Payment mortgage.Cents          `json:"payment_cents"`
			Step1   []mortgage.Cents        `json:"step_1_cents"`
			Step2   []mortgage.Cents        `json:"step_2_cents"`
			Step3   []mortgage.Cents        `json:"step_3_cents"`
		} `json:"items"`
	} `json:"single_item"`
}

// request is the account of the file, for the bills of one kind or all, analyzed
// on the day of settlement. Nothing is in it.
func (g *goldenAppendixE) request(only mortgage.EscrowItemKind) mortgage.EscrowRequest {
	r := appendixE(0)
	r.Kind, r.AsOf, r.StartOn = mortgage.EscrowInitial, g.SettledOn, g.FirstPaymentOn
	r.Account = mortgage.EscrowAccount{On: g.SettledOn, NextDueOn: g.FirstPaymentOn}
	r.NextDueOn, r.EstablishedOn = g.FirstPaymentOn, g.SettledOn
	r.Items = nil
	for _, b := range g.Bills {
		if only == "" || b.Kind == only {
			one := item(b.Kind, 12, mortgage.EscrowBill{DueOn: b.On, Known: new(b.Amount)})
			one.Payee = b.Payee
			r.Items = append(r.Items, one)
		}
	}
	return r
}

// steps computes one of the appendix's three columns of thirteen rows. With a
// cushion of so many months, and with the opening balance that is needed, the
// projected balance of each month is the column.
func steps(t *testing.T, r mortgage.EscrowRequest, cushionMonths int, opening mortgage.Cents) []mortgage.Cents {
	t.Helper()

	r.Policy.CushionMonths, r.Account.Balance = cushionMonths, opening
	column := []mortgage.Cents{opening}
	a := analyze(t, r)
	for _, m := range a.Months {
		column = append(column, m.Projected)
	}
	return column
}

// All thirteen rows of the three steps, once from the projected balances of an
// account that opens with what each step opens with, and once from the targets.
func TestAggregateAnalysisOfAppendixE(t *testing.T) {
	t.Parallel()

	var g goldenAppendixE
	readGolden(t, "escrow_appendix_e.json", &g)
	r := g.request("")
	a := analyze(t, r)
	if a.AnnualDisbursements != g.Annual || a.BasePayment != g.Payment || a.Cushion != g.Cushion ||
		a.RequiredStart != g.RequiredStart || a.LowMonthOn != g.LowMonthOn || a.InitialDeposit != g.RequiredStart ||
		a.NewPayment != g.Payment || a.EffectiveOn != g.FirstPaymentOn {
		t.Errorf("AnalyzeEscrow(%+v) = %+v; want %+v", r, a, g)
	}
	if len(g.Rows) != 13 {
		t.Fatalf("escrow_appendix_e.json holds %d rows; want 13", len(g.Rows))
	}
	step1 := steps(t, r, 0, 0)
	step2 := steps(t, r, 0, g.RequiredStart-g.Cushion)
	step3 := steps(t, r, 2, g.RequiredStart)
	r.Policy.CushionMonths = 0
	uncushioned := analyze(t, r)
	for i, row := range g.Rows {
		if step1[i] != row.Step1 || step2[i] != row.Step2 || step3[i] != row.Step3 {
			t.Errorf("%s: steps %d, %d, %d; want %d, %d, %d",
				row.MonthOn, step1[i], step2[i], step3[i], row.Step1, row.Step2, row.Step3)
		}
		if i == 0 {
			if uncushioned.RequiredStart != row.Step2 || a.RequiredStart != row.Step3 {
				t.Errorf("required start %d and %d; want %d and %d",
					uncushioned.RequiredStart, a.RequiredStart, row.Step2, row.Step3)
			}
			continue
		}
		m := a.Months[i-1]
		if m.MonthOn != row.MonthOn || m.Disbursement != row.Disbursement || m.Deposit != g.Payment ||
			m.Target != row.Step3 || uncushioned.Months[i-1].Target != row.Step2 {
			t.Errorf("%s: %+v; want %+v", row.MonthOn, m, row)
		}
	}
}

// The appendix also shows the method that is forbidden now. Item by item our
// arithmetic gives its columns, and the sum of them is what must not come out.
func TestSingleItemAnalysisOfAppendixEIsImpossible(t *testing.T) {
	t.Parallel()

	var g goldenAppendixE
	readGolden(t, "escrow_appendix_e.json", &g)
	var sum mortgage.Cents
	for _, want := range g.SingleItem.Items {
		r := g.request(want.Kind)
		a := analyze(t, r)
		sum += a.RequiredStart
		if a.BasePayment != want.Payment || a.RequiredStart != want.Step3[0] {
			t.Errorf("%s: payment %d, required start %d; want %d, %d",
				want.Kind, a.BasePayment, a.RequiredStart, want.Payment, want.Step3[0])
		}
		step1 := steps(t, r, 0, 0)
		step2 := steps(t, r, 0, want.Step2[0])
		for i := range want.Step1 {
			if step1[i] != want.Step1[i] || step2[i] != want.Step2[i] ||
				i > 0 && a.Months[i-1].Target != want.Step3[i] {
				t.Errorf("%s, row %d: %d, %d; want %d, %d, %d",
					want.Kind, i, step1[i], step2[i], want.Step1[i], want.Step2[i], want.Step3[i])
			}
		}
	}
	if sum != g.SingleItem.RequiredStart {
		t.Errorf("item by item the account needs %d; the appendix has %d", sum, g.SingleItem.RequiredStart)
	}
	if got := analyze(t, g.request("")).RequiredStart; got >= sum || got != g.RequiredStart {
		t.Errorf("together the items need %d; want %d, and never %d", got, g.RequiredStart, sum)
	}
}

func TestTiersOfHUDGuidance(t *testing.T) {
	t.Parallel()

	var golden struct {
		Source        string         `json:"source"`
		About         string         `json:"about"`
		RequiredStart mortgage.Cents `json:"required_start_cents"`
		Payment       mortgage.Cents `json:"payment_cents"`
		Cases         []struct {
			Balance    mortgage.Cents `json:"balance_cents"`
			Surplus    mortgage.Cents `json:"surplus_cents"`
			Shortage   mortgage.Cents `json:"shortage_cents"`
			NewPayment mortgage.Cents `json:"new_payment_cents"`
			Sure       string         `json:"sure"`
		} `json:"cases"`
	}
	readGolden(t, "escrow_hud_tiers.json", &golden)
	actions := map[mortgage.Cents]mortgage.EscrowAction{
		1076_00: mortgage.EscrowCredit, 1090_00: mortgage.EscrowRefund,
		940_00: mortgage.EscrowSpread, 800_00: mortgage.EscrowSpread,
	}
	for _, c := range golden.Cases {
		t.Run(fmt.Sprint(c.Balance), func(t *testing.T) {
			t.Parallel()

			a := analyze(t, appendixE(c.Balance))
			h := a.SurplusHandling
			if c.Shortage > 0 {
				h = a.ShortageHandling
			}
			if a.RequiredStart != golden.RequiredStart || a.BasePayment != golden.Payment ||
				a.Surplus != c.Surplus || a.Shortage != c.Shortage || a.Deficiency != 0 ||
				a.NewPayment != c.NewPayment || h.Action != actions[c.Balance] {
				t.Errorf("with %d: surplus %d, shortage %d, payment %d, %+v; want %+v, %s",
					c.Balance, a.Surplus, a.Shortage, a.NewPayment, h, c, actions[c.Balance])
			}
		})
	}
}

// A shortage below one month's payment may also be asked for in one sum within
// 30 days; a larger one may not, whatever the policy says of small ones.
func TestShortagesOfHUDGuidanceAskedForAtOnce(t *testing.T) {
	t.Parallel()

	r := appendixE(940_00)
	r.Policy.SmallShortage = mortgage.EscrowAtOnce
	a := analyze(t, r)
	want := mortgage.EscrowHandling{
		Action: mortgage.EscrowAtOnce, Amount: 100_00, DueOn: day("2026-07-30"), Rule: mortgage.EscrowRuleShortageAtOnce,
	}
	if a.ShortageHandling != want || a.NewPayment != 130_00 || !a.ShortageHandling.LumpSum() {
		t.Errorf("940.00, at once: %+v, payment %d; want %+v, 13000", a.ShortageHandling, a.NewPayment, want)
	}
	r.Account.Balance = 800_00
	a = analyze(t, r)
	if a.ShortageHandling.Action != mortgage.EscrowSpread || a.ShortageHandling.LumpSum() || a.NewPayment != 150_00 {
		t.Errorf("800.00, at once: %+v, payment %d; want it spread, 15000", a.ShortageHandling, a.NewPayment)
	}
}

func TestPublishedEscrowExamples(t *testing.T) {
	t.Parallel()

	var golden struct {
		About    string `json:"about"`
		Examples []struct {
			Name            string          `json:"name"`
			Source          string          `json:"source"`
			Derived         string          `json:"derived"`
			Chosen          string          `json:"chosen"`
			StartOn         mortgage.Date   `json:"start_on"`
			CushionMonths   int             `json:"cushion_months"`
			Balance         *mortgage.Cents `json:"balance_cents"`
			ShortOfRequired mortgage.Cents  `json:"short_of_required_cents"`
			Items           []struct {
				Kind   mortgage.EscrowItemKind `json:"kind"`
				Every  int                     `json:"every_months"`
				DueOn  mortgage.Date           `json:"due_on"`
				Charge mortgage.Cents          `json:"charge_cents"`
			} `json:"items"`
			Annual        *mortgage.Cents  `json:"annual_disbursements_cents"`
			BasePayment   *mortgage.Cents  `json:"base_payment_cents"`
			Cushion       *mortgage.Cents  `json:"cushion_cents"`
			RequiredStart *mortgage.Cents  `json:"required_start_cents"`
			Shortage      *mortgage.Cents  `json:"shortage_cents"`
			Deficiency    *mortgage.Cents  `json:"deficiency_cents"`
			Monthly       *mortgage.Cents  `json:"monthly_cents"`
			NewPayment    *mortgage.Cents  `json:"new_payment_cents"`
			Projected     []mortgage.Cents `json:"projected_cents"`
		} `json:"examples"`
	}
	readGolden(t, "escrow_published.json", &golden)
	if len(golden.Examples) == 0 {
		t.Fatal("escrow_published.json holds no examples")
	}
	for _, e := range golden.Examples {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()

			r := request(e.StartOn.String(), 0)
			r.Policy.CushionMonths = e.CushionMonths
			for _, i := range e.Items {
				r.Items = append(r.Items, item(i.Kind, i.Every, mortgage.EscrowBill{DueOn: i.DueOn, Known: &i.Charge}))
			}
			if e.Balance != nil {
				r.Account.Balance = *e.Balance
			} else {
				r.Account.Balance = analyze(t, r).RequiredStart - e.ShortOfRequired
			}
			a := analyze(t, r)
			for _, c := range []struct {
				name string
				got  mortgage.Cents
				want *mortgage.Cents
			}{
				{"a year's bills", a.AnnualDisbursements, e.Annual},
				{"base payment", a.BasePayment, e.BasePayment},
				{"cushion", a.Cushion, e.Cushion},
				{"required start", a.RequiredStart, e.RequiredStart},
				{"shortage", a.Shortage, e.Shortage},
				{"deficiency", a.Deficiency, e.Deficiency},
				{"monthly", a.ShortageHandling.Monthly, e.Monthly},
				{"new payment", a.NewPayment, e.NewPayment},
			} {
				if c.want != nil && c.got != *c.want {
					t.Errorf("%s: %s %d; the source has %d", e.Source, c.name, c.got, *c.want)
				}
			}
			for i, want := range e.Projected {
				if a.Months[i].Projected != want {
					t.Errorf("%s: %s %d; the source has %d", e.Source, a.Months[i].MonthOn, a.Months[i].Projected, want)
				}
			}
		})
	}
}
