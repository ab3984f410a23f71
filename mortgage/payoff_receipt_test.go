package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

// The loan owes 100,000.00 at 6 %, interest paid to 1 December, and 25.00 of
// late charges; 200.00 are held. On 15 January a month's interest, 500.00, and
// 14 days', 230.14, are owed: 100,555.14 in all.
func TestReceiptPaysOff(t *testing.T) {
	t.Parallel()

	const total = 100_000_00 + 500_00 + 230_14 + 25_00 - 200_00
	fha := func(terms *mortgage.Terms) { terms.ApplicationOrder = mortgage.FHAOrder }
	tests := map[string]struct {
		edit     func(*mortgage.Terms)
		amount   mortgage.Cents
		suspense mortgage.Cents // held afterwards
		interest mortgage.Cents
		err      error
	}{
		"to the cent":                             {amount: total, interest: 730_14},
		"a cent short changes nothing":            {amount: total - 1, err: mortgage.ErrPayoffShort},
		"what is over is held":                    {amount: total + 12_34, suspense: 12_34, interest: 730_14},
		"an FHA loan owes for the day of receipt": {edit: fha, amount: total + 16_44, interest: 746_58},
		"and its total is higher":                 {edit: fha, amount: total + 16_43, err: mortgage.ErrPayoffShort},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, before := roundTerms(), roundState()
			before.Suspense, before.LateChargesDue, before.Escrow = 200_00, 25_00, 1_000_00
			if tt.edit != nil {
				tt.edit(&terms)
			}
			r := mortgage.Receipt{
				Ref: "r", Amount: tt.amount, ReceivedOn: day("2026-01-15"), Designation: mortgage.ForPayoff,
			}
			got, entries, err := r.Happen(terms, before)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%+v.Happen(%+v): %v; want %v", r, before, err, tt.err)
			}
			if tt.err != nil {
				return
			}
			want := mortgage.State{
				Suspense: tt.suspense, Escrow: 1_000_00, NextDueOn: before.NextDueOn, PaidOffOn: r.ReceivedOn,
			}
			if got != want {
				t.Errorf("%+v.Happen(%+v) = %+v; want %+v", r, before, got, want)
			}
			var sum mortgage.Postings
			for _, e := range entries {
				sum = sum.Plus(e.Postings)
			}
			if sum.Cash != tt.amount || -sum.InterestIncome != tt.interest || sum.Sum() != 0 {
				t.Errorf("%+v.Happen(%+v): cash %d, interest %d, sum %d; want %d, %d, 0",
					r, before, sum.Cash, -sum.InterestIncome, sum.Sum(), tt.amount, tt.interest)
			}
		})
	}
}

// Money that was accepted as a payoff, and turns out to fall short because
// something earlier came back, is held.
func TestBooksHoldAPayoffThatFallsShort(t *testing.T) {
	t.Parallel()

	terms, boarded := roundTerms(), roundState()
	boarded.AsOf, terms.BoardedOn = day("2025-12-20"), day("2025-12-20")
	january := mortgage.Receipt{Ref: "1", Amount: 1_000_00, ReceivedOn: day("2026-01-01")}
	payoff := mortgage.Receipt{
		Ref: "2", Amount: 99_700_00 + 131_11, ReceivedOn: day("2026-01-09"), Designation: mortgage.ForPayoff,
	}

	s, _, err := terms.Books(mortgage.History{Boarded: boarded, Receipts: []mortgage.Receipt{january, payoff}})
	if err != nil || s.Principal != 0 || s.Suspense != 0 {
		t.Errorf("Books with both = %+v, %v; want the loan paid off and nothing held", s, err)
	}
	s, _, err = terms.Books(mortgage.History{Boarded: boarded, Receipts: []mortgage.Receipt{payoff}})
	if err != nil || s.Principal != 100_000_00 || s.Suspense != payoff.Amount {
		t.Errorf("Books without January = %+v, %v; want all of %d held", s, err, payoff.Amount)
	}
}

// A servicer may hold what was meant to pay a loan off and falls short, instead of
// refusing it; nothing of it is applied until the borrower says.
func TestShortPayoffIsHeldWhereTheTermsSaySo(t *testing.T) {
	t.Parallel()

	terms := roundTerms()
	terms.ShortPayoff = mortgage.HoldShortPayoff
	r := mortgage.Receipt{
		Ref: "r", Amount: 50_000_00, ReceivedOn: day("2026-01-15"), Designation: mortgage.ForPayoff,
	}
	got, entries, err := r.Happen(terms, roundState())
	want := of("r", "2026-01-15", held(50_000_00, mortgage.RulePayoff))
	if err != nil || len(entries) != 1 || entries[0] != want || got.Suspense != 50_000_00 {
		t.Errorf("%+v.Happen = %+v, %+v, %v; want %+v", r, got, entries, err, want)
	}
}
