package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

// received is what one receipt is expected to do, entry by entry.
type received []func(mortgage.Date) mortgage.Entry

// installment is the entry that satisfies an installment with 200.00 for
// escrow, some of it with money held before.
func installment(dueOn string, interest, principal, held mortgage.Cents) func(mortgage.Date) mortgage.Entry {
	const escrow = 200_00
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindInstallment, EffectiveOn: on, DueOn: day(dueOn), Rule: mortgage.RulePeriodicPayment,
			Postings: mortgage.Postings{
				Cash: interest + principal + escrow - held, Suspense: held,
				InterestIncome: -interest, Principal: -principal, Escrow: -escrow,
			},
		}
	}
}

func curtailment(cents mortgage.Cents) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindCurtailment, EffectiveOn: on, Rule: mortgage.RuleExcess,
			Postings: mortgage.Postings{Cash: cents, Principal: -cents},
		}
	}
}

func held(cents mortgage.Cents, rule mortgage.Rule) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindUnapplied, EffectiveOn: on, Rule: rule,
			Postings: mortgage.Postings{Cash: cents, Suspense: -cents},
		}
	}
}

func lateCharges(cents mortgage.Cents) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindLateChargePayment, EffectiveOn: on, Rule: mortgage.RuleLateCharges,
			Postings: mortgage.Postings{Cash: cents, LateChargesReceivable: -cents},
		}
	}
}

// receiptCase is money received for the loan of roundTerms and roundState, on
// which change may be made.
type receiptCase struct {
	change func(*mortgage.Terms, *mortgage.State)
	amount mortgage.Cents
	on     string
	want   received
	left   mortgage.State // only what is compared in every case
}

// run compares the entries, and the state with what the entries lead to.
func (c receiptCase) run(t *testing.T) {
	t.Helper()

	terms, state := roundTerms(), roundState()
	if c.change != nil {
		c.change(&terms, &state)
	}
	receipt := mortgage.Receipt{Amount: c.amount, ReceivedOn: day(c.on)}
	got, entries, err := receipt.Happen(terms, state)

	want := make([]mortgage.Entry, 0, len(c.want))
	for _, entry := range c.want {
		want = append(want, entry(receipt.ReceivedOn))
	}
	checkEntries(t, entries, want, err)
	if got.Principal != c.left.Principal || got.Suspense != c.left.Suspense ||
		got.LateChargesDue != c.left.LateChargesDue || got.NextDueOn != c.left.NextDueOn {
		t.Errorf("%+v.Happen(%+v) leaves %+v; want %+v", receipt, state, got, c.left)
	}
}

func runReceipts(t *testing.T, tests map[string]receiptCase) {
	t.Helper()

	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c.run(t)
		})
	}
}

func leaves(principal, suspense, lateChargesDue mortgage.Cents, nextDueOn string) mortgage.State {
	return mortgage.State{
		Principal: principal, Suspense: suspense, LateChargesDue: lateChargesDue, NextDueOn: day(nextDueOn),
	}
}

func holding(suspense mortgage.Cents) func(*mortgage.Terms, *mortgage.State) {
	return func(_ *mortgage.Terms, s *mortgage.State) { s.Suspense = suspense }
}

func owingLateCharges(cents mortgage.Cents) func(*mortgage.Terms, *mortgage.State) {
	return func(_ *mortgage.Terms, s *mortgage.State) { s.LateChargesDue = cents }
}

func under(p mortgage.ExcessPolicy) func(*mortgage.Terms, *mortgage.State) {
	return func(t *mortgage.Terms, _ *mortgage.State) { t.ExcessPolicy = p }
}

const (
	partial  = mortgage.RulePartialPayment
	excess   = mortgage.RuleExcess
	overpaid = mortgage.RuleOverpayment
)

func TestReceiptForInstallmentsDue(t *testing.T) {
	t.Parallel()

	runReceipts(t, map[string]receiptCase{
		"an exact payment on the due date satisfies the installment": {
			amount: 1_000_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"a late payment bears the same interest": {
			amount: 1_000_00, on: "2026-01-31",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"the FHA order satisfies the same whole installment": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.ApplicationOrder = mortgage.FHAOrder },
			amount: 1_000_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"one cent short is a partial payment and waits whole": {
			amount: 999_99, on: "2026-01-01",
			want: received{held(999_99, partial)},
			left: leaves(100_000_00, 999_99, 0, "2026-01-01"),
		},
		"one cent is enough to wait": {
			amount: 1, on: "2026-01-01",
			want: received{held(1, partial)},
			left: leaves(100_000_00, 1, 0, "2026-01-01"),
		},
		"one cent over is excess": {
			amount: 1_000_01, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), curtailment(1)},
			left: leaves(99_699_99, 0, 0, "2026-02-01"),
		},
		"two installments at once, the second on what the first left": {
			amount: 2_000_00, on: "2026-02-01",
			want: received{
				installment("2026-01-01", 500_00, 300_00, 0), installment("2026-02-01", 498_50, 301_50, 0),
			},
			left: leaves(99_398_50, 0, 0, "2026-03-01"),
		},
		"money for one and a half of two due pays the older and holds the half": {
			amount: 1_500_00, on: "2026-02-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), held(500_00, partial)},
			left: leaves(99_700_00, 500_00, 0, "2026-02-01"),
		},
		"the last cent releases what is held": {
			change: holding(999_99), amount: 1, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 999_99)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"held money is used first, and new money is left over": {
			change: holding(900_00), amount: 150_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 900_00), curtailment(50_00)},
			left: leaves(99_650_00, 0, 0, "2026-02-01"),
		},
		"an installment paid wholly with held money": {
			change: holding(1_000_00), amount: 1, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 1_000_00), curtailment(1)},
			left: leaves(99_699_99, 0, 0, "2026-02-01"),
		},
		"held money for one and a half of two": {
			change: holding(1_500_00), amount: 500_00, on: "2026-02-01",
			want: received{
				installment("2026-01-01", 500_00, 300_00, 1_000_00), installment("2026-02-01", 498_50, 301_50, 500_00),
			},
			left: leaves(99_398_50, 0, 0, "2026-03-01"),
		},
		"held money beyond what is due stays held": {
			change: holding(1_100_00), amount: 20_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 1_000_00), curtailment(20_00)},
			left: leaves(99_680_00, 100_00, 0, "2026-02-01"),
		},
	})
}

func TestReceiptAndLateCharges(t *testing.T) {
	t.Parallel()

	runReceipts(t, map[string]receiptCase{
		"a periodic payment is credited although late charges are unpaid": {
			change: owingLateCharges(40_00), amount: 1_000_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 40_00, "2026-02-01"),
		},
		"what is left once nothing is due pays late charges": {
			change: owingLateCharges(40_00), amount: 1_040_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), lateCharges(40_00)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"late charges are paid as far as the money goes": {
			change: owingLateCharges(40_00), amount: 1_039_99, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), lateCharges(39_99)},
			left: leaves(99_700_00, 0, 1, "2026-02-01"),
		},
		"late charges come before excess": {
			change: owingLateCharges(40_00), amount: 1_040_01, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), lateCharges(40_00), curtailment(1)},
			left: leaves(99_699_99, 0, 0, "2026-02-01"),
		},
		"no late charge is paid while an installment is due": {
			change: owingLateCharges(40_00), amount: 1_040_00, on: "2026-02-01",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), held(40_00, partial)},
			left: leaves(99_700_00, 40_00, 40_00, "2026-02-01"),
		},
		"nor by a payment that is short": {
			change: owingLateCharges(40_00), amount: 999_99, on: "2026-01-01",
			want: received{held(999_99, partial)},
			left: leaves(100_000_00, 999_99, 40_00, "2026-01-01"),
		},
		"nor is held money spent on them": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Suspense, s.LateChargesDue = 30_00, 40_00 },
			amount: 10_00, on: "2025-11-20",
			want: received{lateCharges(10_00)},
			left: leaves(100_000_00, 30_00, 30_00, "2026-01-01"),
		},
		"an early payment satisfies its installment before late charges": {
			change: owingLateCharges(40_00), amount: 1_010_00, on: "2025-12-20",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), lateCharges(10_00)},
			left: leaves(99_700_00, 0, 30_00, "2026-02-01"),
		},
	})
}

func TestReceiptOfExcess(t *testing.T) {
	t.Parallel()

	next, suspense := mortgage.ExcessToNextInstallment, mortgage.ExcessToSuspense
	jan := installment("2026-01-01", 500_00, 300_00, 0)
	runReceipts(t, map[string]receiptCase{
		"to principal": {
			amount: 1_500_00, on: "2026-01-01",
			want: received{jan, curtailment(500_00)},
			left: leaves(99_200_00, 0, 0, "2026-02-01"),
		},
		"to principal, even where it would make another installment": {
			amount: 2_000_00, on: "2026-01-05",
			want: received{jan, curtailment(1_000_00)},
			left: leaves(98_700_00, 0, 0, "2026-02-01"),
		},
		"to the next installment, which it does not make": {
			change: under(next), amount: 1_999_99, on: "2026-01-01",
			want: received{jan, held(999_99, excess)},
			left: leaves(99_700_00, 999_99, 0, "2026-02-01"),
		},
		"to the next installment, which it makes": {
			change: under(next), amount: 2_000_00, on: "2026-01-01",
			want: received{jan, installment("2026-02-01", 498_50, 301_50, 0)},
			left: leaves(99_398_50, 0, 0, "2026-03-01"),
		},
		"to the next two installments and a part of a third": {
			change: under(next), amount: 3_300_00, on: "2026-01-01",
			want: received{
				jan, installment("2026-02-01", 498_50, 301_50, 0), installment("2026-03-01", 496_99, 303_01, 0),
				held(300_00, excess),
			},
			left: leaves(99_095_49, 300_00, 0, "2026-04-01"),
		},
		"to the next installment, after late charges": {
			change: func(t *mortgage.Terms, s *mortgage.State) { t.ExcessPolicy, s.LateChargesDue = next, 40_00 },
			amount: 2_000_00, on: "2026-01-01",
			want: received{jan, lateCharges(40_00), held(960_00, excess)},
			left: leaves(99_700_00, 960_00, 0, "2026-02-01"),
		},
		"to suspense": {
			change: under(suspense), amount: 1_500_00, on: "2026-01-01",
			want: received{jan, held(500_00, excess)},
			left: leaves(99_700_00, 500_00, 0, "2026-02-01"),
		},
		"to suspense, even where it would make another installment": {
			change: under(suspense), amount: 2_000_00, on: "2026-01-01",
			want: received{jan, held(1_000_00, excess)},
			left: leaves(99_700_00, 1_000_00, 0, "2026-02-01"),
		},
	})
}

func TestReceiptAheadOfTheDueDate(t *testing.T) {
	t.Parallel()

	due := func(dueDay int, nextDueOn string) func(*mortgage.Terms, *mortgage.State) {
		return func(t *mortgage.Terms, s *mortgage.State) { t.DueDay, s.NextDueOn = dueDay, day(nextDueOn) }
	}
	runReceipts(t, map[string]receiptCase{
		"the day before": {
			amount: 1_000_00, on: "2025-12-31",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"the day after the due date before": {
			amount: 1_000_00, on: "2025-12-02",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"a whole month ahead is excess": {
			amount: 1_000_00, on: "2025-12-01",
			want: received{curtailment(1_000_00)},
			left: leaves(99_000_00, 0, 0, "2026-01-01"),
		},
		"further ahead is excess": {
			amount: 1_000_00, on: "2025-10-15",
			want: received{curtailment(1_000_00)},
			left: leaves(99_000_00, 0, 0, "2026-01-01"),
		},
		"further ahead is the next installment where the policy says so": {
			change: under(mortgage.ExcessToNextInstallment), amount: 1_000_00, on: "2025-10-15",
			want: received{installment("2026-01-01", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"what is over follows the policy": {
			amount: 1_100_00, on: "2025-12-20",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), curtailment(100_00)},
			left: leaves(99_600_00, 0, 0, "2026-02-01"),
		},
		"only one installment is about to fall due": {
			amount: 2_000_00, on: "2025-12-20",
			want: received{installment("2026-01-01", 500_00, 300_00, 0), curtailment(1_000_00)},
			left: leaves(98_700_00, 0, 0, "2026-02-01"),
		},
		"with held money": {
			change: holding(900_00), amount: 100_00, on: "2025-12-20",
			want: received{installment("2026-01-01", 500_00, 300_00, 900_00)},
			left: leaves(99_700_00, 0, 0, "2026-02-01"),
		},
		"less than an installment is excess, to principal": {
			amount: 999_99, on: "2025-12-20",
			want: received{curtailment(999_99)},
			left: leaves(99_000_01, 0, 0, "2026-01-01"),
		},
		"less than an installment is excess, and is held": {
			change: under(mortgage.ExcessToSuspense), amount: 999_99, on: "2025-12-20",
			want: received{held(999_99, excess)},
			left: leaves(100_000_00, 999_99, 0, "2026-01-01"),
		},
		"at the end of January for the 28th of February": {
			change: due(28, "2026-02-28"), amount: 1_000_00, on: "2026-01-29",
			want: received{installment("2026-02-28", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-03-28"),
		},
		"on the 31st of January for one due on the 30th": {
			change: due(30, "2026-02-28"), amount: 1_000_00, on: "2026-01-31",
			want: received{installment("2026-02-28", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-03-30"),
		},
		"on the 31st of January for one due on the 31st is a whole month": {
			change: due(31, "2026-02-28"), amount: 1_000_00, on: "2026-01-31",
			want: received{curtailment(1_000_00)},
			left: leaves(99_000_00, 0, 0, "2026-02-28"),
		},
		"on the last of February for one due on the 31st is a whole month": {
			change: due(31, "2026-03-31"), amount: 1_000_00, on: "2026-02-28",
			want: received{curtailment(1_000_00)},
			left: leaves(99_000_00, 0, 0, "2026-03-31"),
		},
		"on the first of March for one due on the 31st": {
			change: due(31, "2026-03-31"), amount: 1_000_00, on: "2026-03-01",
			want: received{installment("2026-03-31", 500_00, 300_00, 0)},
			left: leaves(99_700_00, 0, 0, "2026-04-30"),
		},
	})
}

func TestReceiptAtTheEnd(t *testing.T) {
	t.Parallel()

	owing := func(cents mortgage.Cents, p mortgage.ExcessPolicy, nextDueOn string) func(*mortgage.Terms, *mortgage.State) {
		return func(t *mortgage.Terms, s *mortgage.State) {
			t.ExcessPolicy, s.Principal, s.NextDueOn = p, cents, day(nextDueOn)
		}
	}
	principal, next := mortgage.ExcessToPrincipal, mortgage.ExcessToNextInstallment
	runReceipts(t, map[string]receiptCase{
		"the last installment, to the cent": {
			change: owing(500_00, principal, "2026-01-01"), amount: 702_50, on: "2026-01-01",
			want: received{installment("2026-01-01", 2_50, 500_00, 0)},
			left: leaves(0, 0, 0, "2026-02-01"),
		},
		"what is over after the last installment is held for the borrower": {
			change: owing(500_00, principal, "2026-01-01"), amount: 1_000_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 2_50, 500_00, 0), held(297_50, overpaid)},
			left: leaves(0, 297_50, 0, "2026-02-01"),
		},
		"after the last installment late charges come first": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal, s.LateChargesDue = 500_00, 40_00 },
			amount: 1_000_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 2_50, 500_00, 0), lateCharges(40_00), held(257_50, overpaid)},
			left: leaves(0, 257_50, 0, "2026-02-01"),
		},
		"late charges are paid even when they take all that is over": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal, s.LateChargesDue = 500_00, 40_00 },
			amount: 732_50, on: "2026-01-01",
			want: received{installment("2026-01-01", 2_50, 500_00, 0), lateCharges(30_00)},
			left: leaves(0, 0, 10_00, "2026-02-01"),
		},
		"the last installment early": {
			change: owing(500_00, principal, "2026-01-01"), amount: 800_00, on: "2025-12-15",
			want: received{installment("2026-01-01", 2_50, 500_00, 0), held(97_50, overpaid)},
			left: leaves(0, 97_50, 0, "2026-02-01"),
		},
		"a balloon at maturity takes the whole balance": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.MaturityOn = day("2026-01-01") },
			amount: 100_700_00, on: "2026-01-01",
			want: received{installment("2026-01-01", 500_00, 100_000_00, 0)},
			left: leaves(0, 0, 0, "2026-02-01"),
		},
		"the ordinary payment does not satisfy a balloon": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.MaturityOn = day("2026-01-01") },
			amount: 1_000_00, on: "2026-01-01",
			want: received{held(1_000_00, partial)},
			left: leaves(100_000_00, 1_000_00, 0, "2026-01-01"),
		},
		"excess of the whole principal is held, for a payoff owes interest too": {
			change: owing(2_000_00, principal, "2026-03-01"), amount: 2_000_00, on: "2026-01-10",
			want: received{held(2_000_00, excess)},
			left: leaves(2_000_00, 2_000_00, 0, "2026-03-01"),
		},
		"excess of more than the principal is held": {
			change: owing(2_000_00, principal, "2026-03-01"), amount: 2_500_00, on: "2026-01-10",
			want: received{held(2_500_00, excess)},
			left: leaves(2_000_00, 2_500_00, 0, "2026-03-01"),
		},
		"excess of a cent less is a curtailment that leaves a cent": {
			change: owing(2_000_00, principal, "2026-03-01"), amount: 1_999_99, on: "2026-01-10",
			want: received{curtailment(1_999_99)},
			left: leaves(1, 0, 0, "2026-03-01"),
		},
		"excess of the whole principal does not prepay years of interest": {
			change: owing(100_000_00, next, "2026-03-01"), amount: 400_000_00, on: "2026-01-10",
			want: received{held(400_000_00, excess)},
			left: leaves(100_000_00, 400_000_00, 0, "2026-03-01"),
		},
		"nor together with what is held": {
			change: func(t *mortgage.Terms, s *mortgage.State) {
				owing(2_000_00, next, "2026-03-01")(t, s)
				s.Suspense = 1_000_00
			},
			amount: 1_000_00, on: "2026-01-10",
			want: received{held(1_000_00, excess)},
			left: leaves(2_000_00, 2_000_00, 0, "2026-03-01"),
		},
		"a cent less than the principal prepays installments": {
			change: owing(2_000_00, next, "2026-03-01"), amount: 1_999_99, on: "2026-01-10",
			want: received{installment("2026-03-01", 10_00, 790_00, 0), held(999_99, excess)},
			left: leaves(1_210_00, 999_99, 0, "2026-04-01"),
		},
	})
}

func TestReceiptRefused(t *testing.T) {
	t.Parallel()

	paidOff := func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 0 }
	tests := map[string]struct {
		change func(*mortgage.Terms, *mortgage.State)
		amount mortgage.Cents
		on     mortgage.Date
		err    error
	}{
		"nothing":                       {amount: 0, on: day("2026-01-01"), err: mortgage.ErrNotAmount},
		"less than nothing":             {amount: -1, on: day("2026-01-01"), err: mortgage.ErrNotAmount},
		"a cent more than the most":     {amount: mortgage.MaxPayment + 1, on: day("2026-01-01"), err: mortgage.ErrNotAmount},
		"no date of receipt":            {amount: 1, on: 0, err: mortgage.ErrNotDate},
		"a date before all dates":       {amount: 1, on: -1, err: mortgage.ErrNotDate},
		"a date after all dates":        {amount: 1, on: mortgage.MaxDate + 1, err: mortgage.ErrNotDate},
		"a loan that is paid off":       {change: paidOff, amount: 1_000_00, on: day("2026-01-01"), err: mortgage.ErrPaidOff},
		"no amount for a paid-off loan": {change: paidOff, amount: 0, on: day("2026-01-01"), err: mortgage.ErrNotAmount},
		"a payment below the interest": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.PrincipalAndInterest = 499_99 },
			amount: 1, on: day("2026-01-01"), err: mortgage.ErrPaymentTooSmall,
		},
		"a payment below the interest, ahead of time": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.PrincipalAndInterest = 499_99 },
			amount: 1, on: day("2025-12-15"), err: mortgage.ErrPaymentTooSmall,
		},
		"an installment in the calendar's last month": {
			change: func(t *mortgage.Terms, s *mortgage.State) {
				s.NextDueOn, t.MaturityOn = day("9999-12-01"), mortgage.MaxDate
			},
			amount: 1_000_00, on: mortgage.MaxDate, err: mortgage.ErrNotDate,
		},
		"an installment in the calendar's first month": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.NextDueOn = day("0001-01-20") },
			amount: 1_000_00, on: day("0001-01-10"), err: mortgage.ErrNotDate,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, state := roundTerms(), roundState()
			if tt.change != nil {
				tt.change(&terms, &state)
			}
			receipt := mortgage.Receipt{Amount: tt.amount, ReceivedOn: tt.on}
			got, entries, err := receipt.Happen(terms, state)
			if got != (mortgage.State{}) || entries != nil || !errors.Is(err, tt.err) {
				t.Errorf("%+v.Happen(%+v) = %+v, %+v, %v; want nothing and %v", receipt, state, got, entries, err, tt.err)
			}
		})
	}
}

func TestTheLargestReceipt(t *testing.T) {
	t.Parallel()

	terms, state := roundTerms(), roundState()
	state.Principal, terms.PrincipalAndInterest = mortgage.MaxBalance, 6_000_000_00
	receipt := mortgage.Receipt{Amount: mortgage.MaxPayment, ReceivedOn: day("2026-01-01")}
	got, entries, err := receipt.Happen(terms, state)
	const rest = mortgage.MaxPayment - 6_000_200_00
	checkEntries(t, entries, []mortgage.Entry{
		installment("2026-01-01", 5_000_000_00, 1_000_000_00, 0)(receipt.ReceivedOn),
		curtailment(rest)(receipt.ReceivedOn),
	}, err)
	if want := mortgage.MaxBalance - 1_000_000_00 - rest; got.Principal != want {
		t.Errorf("%+v.Happen leaves %d; want %d", receipt, got.Principal, want)
	}
}

func TestReceiptOnTheFirstAndTheLastDay(t *testing.T) {
	t.Parallel()

	for _, on := range []mortgage.Date{mortgage.MinDate, mortgage.MaxDate} {
		receipt := mortgage.Receipt{Amount: 1, ReceivedOn: on}
		if got, entries, err := receipt.Happen(roundTerms(), roundState()); len(entries) != 1 || err != nil {
			t.Errorf("%+v.Happen(%+v) = %+v, %+v, %v; want one entry", receipt, roundState(), got, entries, err)
		}
	}
}
