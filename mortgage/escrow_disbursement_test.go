package mortgage_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// Wednesday, 9 December 2026. The bill's last day without a penalty is the 10th.
func decemberBill(kind mortgage.EscrowItemKind, cents mortgage.Cents) mortgage.EscrowDue {
	return mortgage.EscrowDue{
		Ref: string(kind), Kind: kind, Amount: cents, DueOn: day("2026-11-01"), PenaltyOn: day("2026-12-10"),
	}
}

// What is done about one bill of 700.00.
func TestEscrowDisbursementOfOneBill(t *testing.T) {
	t.Parallel()

	const (
		tax   = mortgage.EscrowCountyTax
		fire  = mortgage.EscrowHazardInsurance
		flood = mortgage.EscrowFloodInsurance
		pmi   = mortgage.EscrowMortgageInsurance
	)
	type d = mortgage.EscrowDisbursing
	type b = mortgage.EscrowDue
	tests := map[string]struct {
		kind    mortgage.EscrowItemKind
		days    int // overdue on 10 December
		balance mortgage.Cents
		change  func(*d, *b)
		want    mortgage.EscrowDisbursement // PayOn and Ref are left out
	}{
		"the account pays": {
			tax, 0, 700_00, nil,
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 700_00, Rule: mortgage.EscrowRuleTimely},
		},
		"what it lacks is advanced": {
			tax, 0, 699_99, nil,
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 699_99, Advanced: 1, Rule: mortgage.EscrowRuleAdvance},
		},
		"all is advanced": {
			tax, 30, 0, nil,
			mortgage.EscrowDisbursement{Step: "pay", Advanced: 700_00, Rule: mortgage.EscrowRuleAdvance},
		},
		"an account below zero pays nothing": {
			tax, 30, -5_00, nil,
			mortgage.EscrowDisbursement{Step: "pay", Advanced: 700_00, Rule: mortgage.EscrowRuleAdvance},
		},
		"the day before": {
			tax, 0, 700_00, func(d *d, _ *b) { d.On-- },
			mortgage.EscrowDisbursement{Step: "wait", Rule: mortgage.EscrowRuleTimely},
		},
		"the day after": {
			tax, 0, 700_00, func(d *d, _ *b) { d.On++ },
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 700_00, Rule: mortgage.EscrowRuleTimely},
		},
		"31 days overdue: the tax is paid by choice": {
			tax, 31, 100_00, nil,
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 100_00, Advanced: 600_00, Rule: mortgage.EscrowRuleOverdue},
		},
		"31 days overdue: or from the account": {
			tax, 31, 700_00, func(d *d, _ *b) { d.Overdue = mortgage.OverdueFromEscrow },
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 700_00, Rule: mortgage.EscrowRuleOverdue},
		},
		"31 days overdue: which has to suffice": {
			tax, 31, 699_99, func(d *d, _ *b) { d.Overdue = mortgage.OverdueFromEscrow },
			mortgage.EscrowDisbursement{Step: "hold", Rule: mortgage.EscrowRuleOverdue},
		},
		"31 days overdue: or not at all": {
			pmi, 31, 700_00, func(d *d, _ *b) { d.Overdue = mortgage.OverdueHold },
			mortgage.EscrowDisbursement{Step: "hold", Rule: mortgage.EscrowRuleOverdue},
		},
		"30 days overdue, and the servicer would hold: it may not": {
			tax, 30, 0, func(d *d, _ *b) { d.Overdue = mortgage.OverdueHold },
			mortgage.EscrowDisbursement{Step: "pay", Advanced: 700_00, Rule: mortgage.EscrowRuleAdvance},
		},
		"31 days overdue: hazard insurance is paid and advanced": {
			fire, 31, 100_00, func(d *d, _ *b) { d.Overdue = mortgage.OverdueHold },
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 100_00, Advanced: 600_00, Rule: mortgage.EscrowRuleHazard},
		},
		"flood insurance is hazard insurance": {
			flood, 400, 0, nil,
			mortgage.EscrowDisbursement{Step: "pay", Advanced: 700_00, Rule: mortgage.EscrowRuleHazard},
		},
		"not when it was canceled": {
			fire, 31, 700_00, func(_ *d, b *b) { b.Canceled = true },
			mortgage.EscrowDisbursement{Step: "hold", Rule: mortgage.EscrowRuleUnable},
		},
		"nor when the property is vacant": {
			fire, 31, 700_00, func(d *d, _ *b) { d.Vacant = true },
			mortgage.EscrowDisbursement{Step: "hold", Rule: mortgage.EscrowRuleUnable},
		},
		"30 days overdue it is paid all the same": {
			fire, 30, 700_00, func(d *d, b *b) { d.Vacant, b.Canceled = true, true },
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 700_00, Rule: mortgage.EscrowRuleTimely},
		},
		"a small servicer may insure for less": {
			fire, 31, 0, func(d *d, b *b) { d.Small, b.ForcePlaced = true, new(mortgage.Cents(699_99)) },
			mortgage.EscrowDisbursement{Step: "hold", Rule: mortgage.EscrowRuleSmall},
		},
		"and not for the same": {
			fire, 31, 0, func(d *d, b *b) { d.Small, b.ForcePlaced = true, new(mortgage.Cents(700_00)) },
			mortgage.EscrowDisbursement{Step: "pay", Advanced: 700_00, Rule: mortgage.EscrowRuleHazard},
		},
		"a large servicer never": {
			fire, 31, 0, func(_ *d, b *b) { b.ForcePlaced = new(mortgage.Cents(1)) },
			mortgage.EscrowDisbursement{Step: "pay", Advanced: 700_00, Rule: mortgage.EscrowRuleHazard},
		},
		"nothing is unpaid": {
			tax, 0, 700_00, func(d *d, _ *b) { d.NextDueOn = 0 },
			mortgage.EscrowDisbursement{Step: "pay", FromEscrow: 700_00, Rule: mortgage.EscrowRuleTimely},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			on := day("2026-12-10")
			b := decemberBill(tt.kind, 700_00)
			d := mortgage.EscrowDisbursing{
				On: on, Balance: tt.balance, NextDueOn: on - mortgage.Date(tt.days), Overdue: mortgage.OverdueAdvance,
			}
			if tt.change != nil {
				tt.change(&d, &b)
			}
			want := tt.want
			want.Ref, want.PayOn, want.Amount = b.Ref, on, 700_00
			got, err := d.Decide([]mortgage.EscrowDue{b})
			if err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("%+v.Decide(%+v) = %+v, %v; want %+v", d, b, got, err, want)
			}
		})
	}
}

// The day on which a bill is paid, and what it then comes to.
func TestEscrowPayDay(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		due, discount, penalty, on string
		lead                       int
		payOn                      string
		amount                     mortgage.Cents
	}{
		"a weekday":                      {due: "2026-12-10", on: "2026-12-01", payOn: "2026-12-10", amount: 500_00},
		"a Sunday: the Friday before":    {due: "2026-11-29", on: "2026-11-01", payOn: "2026-11-27", amount: 500_00},
		"Thanksgiving: the day before":   {due: "2026-11-26", on: "2026-11-01", payOn: "2026-11-25", amount: 500_00},
		"New Year's: the year before":    {due: "2027-01-01", on: "2026-12-01", payOn: "2026-12-31", amount: 500_00},
		"three days ahead":               {due: "2026-12-10", on: "2026-12-01", lead: 3, payOn: "2026-12-07", amount: 500_00},
		"four days ahead is a Sunday":    {due: "2026-12-10", on: "2026-12-01", lead: 4, payOn: "2026-12-04", amount: 500_00},
		"in time for the discount":       {due: "2026-12-31", discount: "2026-11-30", on: "2026-11-30", payOn: "2026-11-30", amount: 480_00},
		"the discount is lost":           {due: "2026-12-31", discount: "2026-11-30", on: "2026-12-01", payOn: "2026-12-31", amount: 500_00},
		"lost, and there is no penalty":  {due: "2026-11-01", discount: "2026-11-30", penalty: "2027-03-31", on: "2026-12-01", payOn: "2027-03-31", amount: 500_00},
		"with a discount, still to come": {due: "2026-12-31", discount: "2026-11-30", on: "2026-11-01", payOn: "2026-11-30", amount: 480_00},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := mortgage.EscrowDue{
				Ref: "a", Kind: mortgage.EscrowCountyTax, Amount: 500_00, Discount: 20_00, DueOn: day(tt.due),
			}
			if tt.discount != "" {
				b.DiscountOn = day(tt.discount)
			}
			if tt.penalty != "" {
				b.PenaltyOn = day(tt.penalty)
			}
			d := mortgage.EscrowDisbursing{On: day(tt.on), Balance: 9_999_99, LeadDays: tt.lead, Overdue: mortgage.OverdueHold}
			got, err := d.Decide([]mortgage.EscrowDue{b})
			if err != nil || got[0].PayOn != day(tt.payOn) || got[0].Amount != tt.amount {
				t.Errorf("on %s: %+v, %v; want %d on %s", tt.on, got, err, tt.amount, tt.payOn)
			}
		})
	}
}

// Several bills share what the account holds, the earliest first.
func TestEscrowDisbursementOfSeveralBills(t *testing.T) {
	t.Parallel()

	bills := []mortgage.EscrowDue{
		{Ref: "c", Kind: mortgage.EscrowCountyTax, Amount: 300_00, DueOn: day("2026-12-10")},
		{Ref: "b", Kind: mortgage.EscrowCityTax, Amount: 300_00, DueOn: day("2026-12-10")},
		{Ref: "d", Kind: mortgage.EscrowHazardInsurance, Amount: 300_00, DueOn: day("2026-12-09")},
		{Ref: "a", Kind: mortgage.EscrowOther, Amount: 300_00, DueOn: day("2026-12-11")},
	}
	d := mortgage.EscrowDisbursing{On: day("2026-12-10"), Balance: 500_00, Overdue: mortgage.OverdueAdvance}
	got, err := d.Decide(bills)
	const timely, advance = mortgage.EscrowRuleTimely, mortgage.EscrowRuleAdvance
	tenth := day("2026-12-10")
	want := []mortgage.EscrowDisbursement{
		{Ref: "d", Step: "pay", PayOn: tenth - 1, Amount: 300_00, FromEscrow: 300_00, Rule: timely},
		{Ref: "b", Step: "pay", PayOn: tenth, Amount: 300_00, FromEscrow: 200_00, Advanced: 100_00, Rule: advance},
		{Ref: "c", Step: "pay", PayOn: tenth, Amount: 300_00, Advanced: 300_00, Rule: advance},
		{Ref: "a", Step: "wait", PayOn: tenth + 1, Amount: 300_00, Rule: timely},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v.Decide(%+v) = %+v, %v; want %+v", d, bills, got, err, want)
	}
}

func TestEscrowDisbursingThatCannotBe(t *testing.T) {
	t.Parallel()

	type d = mortgage.EscrowDisbursing
	type b = mortgage.EscrowDue
	for field, change := range map[string]func(*d, *b){
		"on":                      func(d *d, _ *b) { d.On = 0 },
		"next_due_on":             func(d *d, _ *b) { d.NextDueOn = -1 },
		"lead_days":               func(d *d, _ *b) { d.LeadDays = 31 },
		"overdue":                 func(d *d, _ *b) { d.Overdue = "" },
		"bills[0].kind":           func(_ *d, b *b) { b.Kind = "" },
		"bills[0].amount_cents":   func(_ *d, b *b) { b.Amount = -1 },
		"bills[0].discount_cents": func(_ *d, b *b) { b.Discount = b.Amount + 1 },
		"bills[0].due_on":         func(_ *d, b *b) { b.DueOn = 0 },
		"bills[0].discount_on":    func(_ *d, b *b) { b.DiscountOn = mortgage.MaxDate },
		"bills[0].penalty_on":     func(_ *d, b *b) { b.PenaltyOn = -1 },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()

			d := mortgage.EscrowDisbursing{On: day("2026-12-10"), Overdue: mortgage.OverdueAdvance}
			b := decemberBill(mortgage.EscrowCountyTax, 700_00)
			change(&d, &b)
			_, err := d.Decide([]mortgage.EscrowDue{b})
			wantField(t, "Decide", err, field)
		})
	}
}

func TestTaxOfferBasis(t *testing.T) {
	t.Parallel()

	const parts, sum = mortgage.InInstallments, mortgage.InOneSum
	tests := map[string]struct {
		offer mortgage.TaxOffer
		want  mortgage.DisbursementBasis
		rule  mortgage.EscrowRule
	}{
		"neither discount nor fee": {mortgage.TaxOffer{}, parts, mortgage.EscrowRuleInstallments},
		"neither, and the borrower would like one sum": {
			mortgage.TaxOffer{Preferred: sum}, parts, mortgage.EscrowRuleInstallments,
		},
		"neither, and it is agreed": {mortgage.TaxOffer{Agreed: sum}, sum, mortgage.EscrowRuleAgreed},
		"a discount":                {mortgage.TaxOffer{Discount: 1}, sum, mortgage.EscrowRuleInstallments},
		"a fee for installments":    {mortgage.TaxOffer{InstallmentFee: 1}, sum, mortgage.EscrowRuleInstallments},
		"a discount, and the borrower prefers installments": {
			mortgage.TaxOffer{Discount: 20_00, Preferred: parts}, parts, mortgage.EscrowRuleInstallments,
		},
		"an agreement is above a preference": {
			mortgage.TaxOffer{Discount: 20_00, Preferred: sum, Agreed: parts}, parts, mortgage.EscrowRuleAgreed,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got, rule := tt.offer.Basis(); got != tt.want || rule != tt.rule {
				t.Errorf("%+v.Basis() = %s, %s; want %s, %s", tt.offer, got, rule, tt.want, tt.rule)
			}
		})
	}
}

// escrowDisbursement is the property: each bill is decided on once, paid whole or
// not at all, never by money that the account does not hold, and always when the
// borrower is at most 30 days overdue.
func escrowDisbursement(t *rapid.T) {
	on := mortgage.Date(rapid.IntRange(730_120, 766_600).Draw(t, "on"))
	d := mortgage.EscrowDisbursing{
		On: on, Balance: mortgage.Cents(rapid.Int64Range(-1_000_00, 10_000_00).Draw(t, "balance")),
		NextDueOn: on - mortgage.Date(rapid.IntRange(-40, 70).Draw(t, "overdue")),
		Vacant:    rapid.Bool().Draw(t, "vacant"), Small: rapid.Bool().Draw(t, "small"),
		LeadDays: rapid.IntRange(0, 30).Draw(t, "lead"),
		Overdue: rapid.SampledFrom([]mortgage.OverduePolicy{
			mortgage.OverdueAdvance, mortgage.OverdueFromEscrow, mortgage.OverdueHold,
		}).Draw(t, "policy"),
	}
	bills := make([]mortgage.EscrowDue, rapid.IntRange(0, 6).Draw(t, "bills"))
	byRef := map[string]mortgage.EscrowDue{}
	for i := range bills {
		b := mortgage.EscrowDue{
			Ref: fmt.Sprint(i), Kind: escrowKinds.Draw(t, "kind"), Amount: drawCents(t, "amount", 4_000_00),
			DueOn:    on + mortgage.Date(rapid.IntRange(-40, 40).Draw(t, "due in")),
			Canceled: rapid.Bool().Draw(t, "canceled"),
		}
		if rapid.Bool().Draw(t, "discount") {
			b.DiscountOn, b.Discount = b.DueOn-10, b.Amount/50
		}
		bills[i], byRef[b.Ref] = b, b
	}
	steps, err := d.Decide(bills)
	must(t, err)
	left := max(d.Balance, 0)
	for _, s := range steps {
		b, ok := byRef[s.Ref]
		delete(byRef, s.Ref)
		if !ok || s.Rule == "" || min(s.FromEscrow, s.Advanced) < 0 || s.PayOn > b.DueOn ||
			!mortgage.IsBusinessDay(s.PayOn) || s.Amount > b.Amount {
			t.Fatalf("%+v decides %+v on %+v", d, s, b)
		}
		left -= s.FromEscrow
		due := s.PayOn <= on
		obliged := on-d.NextDueOn <= 30 || b.Kind.HazardInsurance() && !d.Vacant && !b.Canceled
		switch s.Step {
		case mortgage.EscrowPay:
			ok = due && s.FromEscrow+s.Advanced == s.Amount && (s.Advanced == 0 || left == 0)
		case mortgage.EscrowHold:
			ok = due && !obliged && s.FromEscrow+s.Advanced == 0
		default:
			ok = !due && s.FromEscrow+s.Advanced == 0
		}
		if !ok || left < 0 {
			t.Fatalf("%+v decides %+v on %+v, with %d left", d, s, b, left)
		}
	}
	if len(byRef) > 0 {
		t.Fatalf("%+v decides nothing on %+v", d, byRef)
	}
}

func TestEscrowDisbursementsAddUp(t *testing.T) {
	t.Parallel()

	rapid.Check(t, escrowDisbursement)
}

func FuzzEscrowDisbursement(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(escrowDisbursement))
}
