package mortgage_test

import (
	"slices"
	"testing"

	"loanserve/mortgage"
)

// The first payment that changes.
func TestEscrowEffectiveOn(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		asOf, startOn, nextDueOn string
		noticeDays               int
		want                     string
	}{
		"the first of the year":                     {"2026-06-10", "2026-07-01", "2026-07-01", 0, "2026-07-01"},
		"on the eve of it":                          {"2026-06-30", "2026-07-01", "2026-07-01", 0, "2026-07-01"},
		"on the day itself it is too late":          {"2026-07-01", "2026-07-01", "2026-07-01", 0, "2026-08-01"},
		"in the year, after its end":                {"2026-07-25", "2026-07-01", "2026-08-01", 0, "2026-08-01"},
		"a day's notice is what there is anyway":    {"2026-06-30", "2026-07-01", "2026-07-01", 1, "2026-07-01"},
		"notice of 21 days, kept":                   {"2026-06-10", "2026-07-01", "2026-07-01", 21, "2026-07-01"},
		"notice of 21 days, missed by one":          {"2026-06-11", "2026-07-01", "2026-07-01", 21, "2026-08-01"},
		"not one that is paid already":              {"2026-06-10", "2026-07-01", "2026-09-01", 0, "2026-09-01"},
		"an overdue borrower changes with the year": {"2026-06-10", "2026-07-01", "2026-05-01", 0, "2026-07-01"},
		"due on the 31st":                           {"2026-02-10", "2026-01-31", "2026-01-31", 0, "2026-02-28"},
		"due on the 31st, in a leap year":           {"2028-02-28", "2028-01-31", "2028-02-29", 0, "2028-02-29"},
		"on the 29th of February itself":            {"2028-02-29", "2028-01-31", "2028-02-29", 0, "2028-03-31"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := request(tt.startOn, 0, item(mortgage.EscrowOther, 1, bill(tt.startOn, 10_00)))
			r.AsOf, r.NextDueOn, r.Policy.NoticeDays = day(tt.asOf), day(tt.nextDueOn), tt.noticeDays
			r.Account.On = min(r.Account.On, r.AsOf)
			if got := analyze(t, r).EffectiveOn; got != day(tt.want) {
				t.Errorf("%+v: effective on %s", tt, got)
			}
		})
	}
}

// The payment month by month, where it changes. Appendix E's account is
// 1,040.00 short and 100.00 deficient.
func TestEscrowPaymentsByMonth(t *testing.T) {
	t.Parallel()

	r := appendixE(-100_00)
	r.Policy.DeficiencyMonths, r.Policy.ShortageMonths = 3, 24
	got := analyze(t, r).Payments
	want := []mortgage.EscrowPayment{
		{FromOn: day("2026-07-01"), Base: 130_00, Shortage: 43_33, Deficiency: 33_33},
		{FromOn: day("2026-09-01"), Base: 130_00, Shortage: 43_33, Deficiency: 33_34},
		{FromOn: day("2026-10-01"), Base: 130_00, Shortage: 43_33},
		{FromOn: day("2028-06-01"), Base: 130_00, Shortage: 43_41},
		{FromOn: day("2028-07-01"), Base: 130_00},
	}
	if !slices.Equal(got, want) {
		t.Errorf("payments %+v; want %+v", got, want)
	}
	if got[0].Total() != 206_66 {
		t.Errorf("%+v.Total() = %d; want 20666", got[0], got[0].Total())
	}

	r = appendixE(1076_00)
	r.Policy.CreditMonths = 7
	want = []mortgage.EscrowPayment{
		{FromOn: day("2026-07-01"), Base: 130_00, Credit: 5_14},
		{FromOn: day("2027-01-01"), Base: 130_00, Credit: 5_16},
		{FromOn: day("2027-02-01"), Base: 130_00},
	}
	if got := analyze(t, r).Payments; !slices.Equal(got, want) {
		t.Errorf("payments %+v; want %+v", got, want)
	}
}

// A credit takes a payment down to nothing and no further: what is more goes back.
func TestEscrowCreditsEndAtNothing(t *testing.T) {
	t.Parallel()

	r := request("2026-07-01", 14_00, item(mortgage.EscrowOther, 1, bill("2026-07-10", 1_00)))
	a := analyze(t, r) // The cushion is 2.00.
	if a.SurplusHandling.Action != mortgage.EscrowCredit || a.NewPayment != 0 {
		t.Errorf("a surplus of 12.00: %+v, payment %d; want a credit, 0", a.SurplusHandling, a.NewPayment)
	}
	r.Account.Balance++
	if a = analyze(t, r); a.SurplusHandling.Action != mortgage.EscrowRefund || a.NewPayment != 1_00 {
		t.Errorf("a surplus of 12.01: %+v, payment %d; want a refund, 100", a.SurplusHandling, a.NewPayment)
	}
}

// Until the change takes effect the borrower pays what he did, and the months
// say so.
func TestEscrowMonthsBeforeTheChange(t *testing.T) {
	t.Parallel()

	r := appendixE(1040_00)
	r.AsOf, r.NextDueOn, r.Payment = day("2026-07-20"), day("2026-08-01"), 100_00
	a := analyze(t, r)
	if a.Months[0].Payment != 100_00 || a.Months[1].Payment != 130_00 || a.Months[11].Expected != 1010_00 ||
		a.Months[11].Projected != 1040_00 {
		t.Errorf("months %+v; want 10000, then 13000, 101000 at the end and 104000 projected", a.Months)
	}
}

// A few cents cannot be spread half-up without taking too much.
func TestSpreadsOfAFewCents(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct{ short, monthly, last mortgage.Cents }{
		{1, 0, 1},
		{5, 0, 5},
		{6, 0, 6},
		{7, 0, 7},
		{11, 1, 0},
		{12, 1, 1},
		{54, 4, 10},
		{55, 5, 0},
		{66, 6, 0},
		{78, 7, 1},
		{100, 8, 12},
		{10_000, 833, 837},
	} {
		h := analyze(t, appendixE(1040_00-tt.short)).ShortageHandling
		if h.Monthly != tt.monthly || h.Last != tt.last || h.Months != 12 {
			t.Errorf("%d over 12 months: %d, the last %d; want %d, %d", tt.short, h.Monthly, h.Last, tt.monthly, tt.last)
		}
	}
}
