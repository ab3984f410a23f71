package mortgage_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// What is scheduled for the final two months of Appendix E's year, when the account
// is looked at in April: two payments, and a bill that is due in June.
func TestScheduledEscrow(t *testing.T) {
	t.Parallel()

	r := appendixE(700_00)
	r.Items = append(r.Items, item(mortgage.EscrowHazardInsurance, 12, bill("2026-06-10", 90_00)))
	r.AsOf, r.Account.On = day("2026-05-02"), day("2026-04-30")
	r.Account.NextDueOn, r.NextDueOn = day("2026-05-01"), day("2026-05-01")
	r.Payment = 125_00
	a := analyze(t, r)
	want := []mortgage.EscrowActivity{
		{On: day("2026-05-01"), Deposit: 125_00, Assumed: true},
		{On: day("2026-06-01"), Deposit: 125_00, Assumed: true},
		{
			On: day("2026-06-10"), Disbursement: 90_00, Kind: mortgage.EscrowHazardInsurance,
			Payee: "payee of hazard_insurance", Assumed: true,
		},
	}
	if got := a.Scheduled(r); !slices.Equal(got, want) {
		t.Errorf("Scheduled() = %+v; want %+v", got, want)
	}
}

// What is scheduled leads from the account to the balance with which the year
// begins, and happens between the two.
func TestScheduledEscrowLeadsToTheYear(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawEscrow(t, allCycles)
		a, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		year, month, _ := r.StartOn.Civil()
		first, err := mortgage.NewDate(year, month, 1)
		must(t, err)
		balance := r.Account.Balance - a.PaidAhead
		for _, e := range a.Scheduled(r) {
			if e.On >= first || e.On <= r.Account.On && r.Account.On < first-1 || !e.Assumed {
				t.Fatalf("%+v does not lie between %s and %s", e, r.Account.On, first)
			}
			balance += e.Deposit - e.Disbursement
		}
		if balance != a.StartBalance {
			t.Fatalf("what is scheduled leads to %d; want %d", balance, a.StartBalance)
		}
	})
}
