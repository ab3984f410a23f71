package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

// designated makes an entry that the borrower's designation decided.
func designated(entry func(mortgage.Date) mortgage.Entry) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		e := entry(on)
		e.Rule = mortgage.RuleDesignated
		return e
	}
}

func escrowDeposit(cents mortgage.Cents) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindEscrowDeposit, EffectiveOn: on, Rule: mortgage.RuleDesignated,
			Postings: mortgage.Postings{Cash: cents, Escrow: -cents},
		}
	}
}

// A periodic payment of the loan of roundTerms is 1,000.00, first due on
// 1 January 2026.
func TestDesignationForPrincipal(t *testing.T) {
	t.Parallel()

	runDesignations(t, mortgage.ForPrincipal, map[string]designationCase{
		"on a current loan it repays principal at once, and the due date stays": {
			amount: 1_000_00, on: "2025-12-20",
			want: received{designated(curtailment(1_000_00))},
			left: leaves(99_000_00, 0, 0, "2026-01-01"),
		},
		"whatever the excess policy says": {
			change: under(mortgage.ExcessToNextInstallment), amount: 1_000_00, on: "2025-12-20",
			want: received{designated(curtailment(1_000_00))},
			left: leaves(99_000_00, 0, 0, "2026-01-01"),
		},
		"late charges take nothing of it": {
			change: owingLateCharges(40_00), amount: 100_00, on: "2025-12-20",
			want: received{designated(curtailment(100_00))},
			left: leaves(99_900_00, 0, 40_00, "2026-01-01"),
		},
		"what is held for other reasons stays held": {
			change: holding(50_00), amount: 100_00, on: "2025-12-20",
			want: received{designated(curtailment(100_00))},
			left: leaves(99_900_00, 50_00, 0, "2026-01-01"),
		},
		"on the due date it satisfies the installment first": {
			amount: 1_300_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), designated(curtailment(300_00))},
			left: leaves(99_400_00, 0, 0, "2026-02-01"),
		},
		"on a delinquent loan it cures first": {
			amount: 2_000_01, on: "2026-02-20",
			want: received{
				installment("2026-01-01", 500_00, 300_00, 0), installment("2026-02-01", 498_50, 301_50, 0),
				designated(curtailment(1)),
			},
			left: leaves(99_398_49, 0, 0, "2026-03-01"),
		},
		"what cures only in part waits": {
			amount: 1_500_00, on: "2026-02-20",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), held(500_00, partial)},
			left: leaves(99_700_00, 500_00, 0, "2026-02-01"),
		},
		"less than the installment that is due waits whole": {
			amount: 999_99, on: "2026-01-01",
			want: received{held(999_99, partial)},
			left: leaves(100_000_00, 999_99, 0, "2026-01-01"),
		},
		"held money cures with it": {
			change: holding(900_00), amount: 300_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 900_00), designated(curtailment(200_00))},
			left: leaves(99_500_00, 0, 0, "2026-02-01"),
		},
		"a cent less than all principal leaves a cent": {
			amount: 99_999_99, on: "2025-12-20",
			want: received{designated(curtailment(99_999_99))},
			left: leaves(1, 0, 0, "2026-01-01"),
		},
		"all principal is held, for a payoff owes interest too": {
			amount: 100_000_00, on: "2025-12-20",
			want: received{held(100_000_00, overpaid)},
			left: leaves(100_000_00, 100_000_00, 0, "2026-01-01"),
		},
		"all that a cure leaves of principal is held": {
			amount: 100_700_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), held(99_700_00, overpaid)},
			left: leaves(99_700_00, 99_700_00, 0, "2026-02-01"),
		},
		"what is over after the last installment is held": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 500_00 }, amount: 1_000_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 2_50, 500_00, 0), held(297_50, overpaid)},
			left: paidOff(leaves(0, 297_50, 0, "2026-02-01"), "2026-01-01"),
		},
	})
}

// paidOff is a state in which no principal is owed since the day.
func paidOff(s mortgage.State, on string) mortgage.State {
	s.PaidOffOn = day(on)
	return s
}

func TestDesignationForEscrow(t *testing.T) {
	t.Parallel()

	runDesignations(t, mortgage.ForEscrow, map[string]designationCase{
		"all of it goes into escrow": {
			amount: 300_00, on: "2025-12-20",
			want: received{escrowDeposit(300_00)},
			left: leaves(100_000_00, 0, 0, "2026-01-01"),
		},
		"even while installments and late charges are unpaid": {
			change: owingLateCharges(40_00), amount: 1_000_00, on: "2026-02-20",
			want: received{escrowDeposit(1_000_00)},
			left: leaves(100_000_00, 0, 40_00, "2026-01-01"),
		},
		"what is held stays held": {
			change: holding(900_00), amount: 100_00, on: "2026-01-01",
			want: received{escrowDeposit(100_00)},
			left: leaves(100_000_00, 900_00, 0, "2026-01-01"),
		},
	})
}

func TestDesignationForLateCharge(t *testing.T) {
	t.Parallel()

	runDesignations(t, mortgage.ForLateCharge, map[string]designationCase{
		"it pays what is assessed although an installment is due": {
			change: owingLateCharges(40_00), amount: 40_00, on: "2026-01-20",
			want: received{lateCharges(40_00)},
			left: leaves(100_000_00, 0, 0, "2026-01-01"),
		},
		"as far as it goes": {
			change: owingLateCharges(40_00), amount: 39_99, on: "2026-01-20",
			want: received{lateCharges(39_99)},
			left: leaves(100_000_00, 0, 1, "2026-01-01"),
		},
		"the rest is held": {
			change: owingLateCharges(40_00), amount: 100_00, on: "2026-01-20",
			want: received{lateCharges(40_00), designated(held(60_00, ""))},
			left: leaves(100_000_00, 60_00, 0, "2026-01-01"),
		},
		"all of it is held when none is assessed": {
			amount: 100_00, on: "2025-12-20",
			want: received{designated(held(100_00, ""))},
			left: leaves(100_000_00, 100_00, 0, "2026-01-01"),
		},
		"the rest repays no principal and prepays no installment": {
			change: owingLateCharges(40_00), amount: 1_040_00, on: "2025-12-20",
			want: received{lateCharges(40_00), designated(held(1_000_00, ""))},
			left: leaves(100_000_00, 1_000_00, 0, "2026-01-01"),
		},
		"a rest that is a periodic payment is one, received that day": {
			change: owingLateCharges(40_00), amount: 1_040_00, on: "2026-01-16",
			want: received{lateCharges(40_00), installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"so is a rest that makes one up with what is held": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Suspense, s.LateChargesDue = 940_00, 40_00 },
			amount: 101_00, on: "2026-01-16",
			want: received{
				lateCharges(40_00), installment("2026-01-01", 500_00, 300_00, 940_00), designated(held(1_00, "")),
			},
			left: leaves(99_700_00, 1_00, 0, "2026-02-01"),
		},
	})
}

// designationCase is a receipt whose designation the test names.
type designationCase receiptCase

// runDesignations compares the entries, the state with what they lead to, and
// escrow with what they put there. A paid-off loan refuses every designation.
func runDesignations(t *testing.T, d mortgage.Designation, tests map[string]designationCase) {
	t.Helper()

	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, state := roundTerms(), roundState()
			if c.change != nil {
				c.change(&terms, &state)
			}
			receipt := mortgage.Receipt{Ref: "r", Amount: c.amount, ReceivedOn: day(c.on), Designation: d}
			got, entries, err := receipt.Happen(terms, state)

			want, left := make([]mortgage.Entry, 0, len(c.want)), c.left
			for _, entry := range c.want {
				e := entry(receipt.ReceivedOn)
				e.Ref = receipt.Ref
				want = append(want, e)
				left.Escrow -= e.Escrow
			}
			checkEntries(t, entries, want, err)
			if got != left {
				t.Errorf("%+v.Happen(%+v) leaves %+v; want %+v", receipt, state, got, left)
			}

			state.Principal = 0
			if _, _, err := receipt.Happen(terms, state); !errors.Is(err, mortgage.ErrPaidOff) {
				t.Errorf("%+v.Happen(%+v) = %v; want ErrPaidOff", receipt, state, err)
			}
		})
	}
}

func TestPeriodicIsWhatNoDesignationMeans(t *testing.T) {
	t.Parallel()

	said := mortgage.Receipt{Amount: 1_500_00, ReceivedOn: day("2026-01-05"), Designation: mortgage.ForPeriodic}
	silent := said
	silent.Designation = ""
	want, entries, err := silent.Happen(roundTerms(), roundState())
	if err != nil {
		t.Fatal(err)
	}
	got, same, err := said.Happen(roundTerms(), roundState())
	checkEntries(t, same, entries, err)
	if got != want {
		t.Errorf("%+v.Happen = %+v; want what %+v leads to, %+v", said, got, silent, want)
	}
}

// Fannie Mae's curtailment of 1,000.00, sent apart and named as one, days after
// the installment. Without the name it would not be one: on 5 February the next
// installment is less than a month away.
func TestDesignatedCurtailmentOfFannieMaeExample(t *testing.T) {
	t.Parallel()

	var g goldenCurtailment
	readGolden(t, "curtailment.json", &g)
	terms, state := g.loan()
	extra := g.Curtailment.Principal
	after, entries, err := receive(terms, state, []mortgage.Receipt{
		{Amount: g.PrincipalAndInterest, ReceivedOn: day("2026-02-01")},
		{Amount: extra, ReceivedOn: day("2026-02-05"), Designation: mortgage.ForPrincipal},
		{Amount: g.PrincipalAndInterest, ReceivedOn: day("2026-03-01")},
	})
	checkEntries(t, entries, []mortgage.Entry{
		installmentEntry(g.Payment1, "2026-02-01", "2026-02-01"),
		designated(curtailment(extra))(day("2026-02-05")),
		installmentEntry(g.Payment2, "2026-03-01", "2026-03-01"),
	}, err)
	want := mortgage.State{Principal: g.Payment2.Balance, NextDueOn: day("2026-04-01")}
	if after != want {
		t.Errorf("after the curtailment and payment 2 the state is %+v; want %+v", after, want)
	}
}
