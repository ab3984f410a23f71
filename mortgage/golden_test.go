package mortgage_test

import (
	"testing"

	"loanserve/mortgage"
)

// The files in testdata are truth from outside: worked examples that a
// regulation, an agency or a textbook has published. None is ever changed to
// make a test pass.

func TestLevelPaymentOfPublishedExamples(t *testing.T) {
	t.Parallel()

	var golden struct {
		About    string `json:"about"`
		Payments []struct {
			Source            string         `json:"source"`
			Balance           mortgage.Cents `json:"balance_cents"`
			Rate              mortgage.Rate  `json:"rate_ppm"`
			Months            int            `json:"months"`
			Published         mortgage.Cents `json:"published_cents"`
			PublishedRounding string         `json:"published_rounding"`
			HalfUp            mortgage.Cents `json:"half_up_cents"`
			Up                mortgage.Cents `json:"up_cents"`
		} `json:"payments"`
	}
	readGolden(t, "level_payments.json", &golden)
	if len(golden.Payments) == 0 {
		t.Fatal("level_payments.json holds no payments")
	}
	for _, p := range golden.Payments {
		t.Run(p.Source, func(t *testing.T) {
			t.Parallel()

			for rounding, want := range map[mortgage.Rounding]mortgage.Cents{
				mortgage.RoundHalfUp: p.HalfUp, mortgage.RoundUp: p.Up,
			} {
				got, err := mortgage.LevelPayment(p.Balance, p.Rate, p.Months, rounding)
				if got != want || err != nil {
					t.Errorf("LevelPayment(%d, %d, %d, %s) = %d, %v; want %d",
						p.Balance, p.Rate, p.Months, rounding, got, err, want)
				}
				published := p.PublishedRounding == "any" || p.PublishedRounding == string(rounding)
				if published && got != p.Published {
					t.Errorf("LevelPayment(%d, %d, %d, %s) = %d; the source prints %d",
						p.Balance, p.Rate, p.Months, rounding, got, p.Published)
				}
			}
		})
	}
}

type goldenPayment struct {
	Interest  mortgage.Cents `json:"interest_cents"`
	Principal mortgage.Cents `json:"principal_cents"`
	Balance   mortgage.Cents `json:"balance_cents"`
}

type goldenCurtailment struct {
	Source               string         `json:"source"`
	About                string         `json:"about"`
	Balance              mortgage.Cents `json:"balance_cents"`
	Rate                 mortgage.Rate  `json:"rate_ppm"`
	Months               int            `json:"months"`
	PrincipalAndInterest mortgage.Cents `json:"principal_and_interest_cents"`
	Payment1             goldenPayment  `json:"payment_1"`
	Curtailment          goldenPayment  `json:"curtailment"`
	Payment2             goldenPayment  `json:"payment_2"`
	OnePaymentApart      []struct {
		Before mortgage.Cents `json:"before_cents"`
		After  mortgage.Cents `json:"after_cents"`
	} `json:"balances_one_payment_apart"`
}

// loan returns the terms and the state before the first payment.
func (g *goldenCurtailment) loan() (mortgage.Terms, mortgage.State) {
	t := mortgage.Terms{
		Rate: g.Rate, PrincipalAndInterest: g.PrincipalAndInterest,
		DueDay: 1, MaturityOn: day("2056-01-01"),
		InterestMethod: mortgage.ScheduledInterest, ApplicationOrder: mortgage.ConventionalOrder,
		ExcessPolicy: mortgage.ExcessToPrincipal, Rounding: mortgage.RoundHalfUp,
	}
	return t, mortgage.State{Principal: g.Balance, NextDueOn: day("2026-02-01")}
}

func installmentEntry(p goldenPayment, on, dueOn string) mortgage.Entry {
	return mortgage.Entry{
		Kind: mortgage.KindInstallment, EffectiveOn: day(on), DueOn: day(dueOn), Rule: mortgage.RulePeriodicPayment,
		Postings: mortgage.Postings{
			Cash: p.Interest + p.Principal, InterestIncome: -p.Interest, Principal: -p.Principal,
		},
	}
}

// A curtailment between two payments changes the split of the second, and
// neither the payment nor the due date. It arrives in three ways.
func TestCurtailmentOfFannieMaeExample(t *testing.T) {
	t.Parallel()

	var g goldenCurtailment
	readGolden(t, "curtailment.json", &g)
	extra := g.Curtailment.Principal
	curtailment := mortgage.Entry{
		Kind: mortgage.KindCurtailment, EffectiveOn: day("2026-02-01"), Rule: mortgage.RuleExcess,
		Postings: mortgage.Postings{Cash: extra, Principal: -extra},
	}
	want := []mortgage.Entry{
		installmentEntry(g.Payment1, "2026-02-01", "2026-02-01"),
		curtailment,
		installmentEntry(g.Payment2, "2026-02-20", "2026-03-01"),
	}
	check := func(cents mortgage.Cents, on string) mortgage.Receipt {
		return mortgage.Receipt{Amount: cents, ReceivedOn: day(on)}
	}
	tests := map[string][]mortgage.Receipt{
		"one check for the payment and the curtailment": {
			check(g.PrincipalAndInterest+extra, "2026-02-01"),
			check(g.PrincipalAndInterest, "2026-02-20"),
		},
		"two checks on the same day": {
			check(g.PrincipalAndInterest, "2026-02-01"),
			check(extra, "2026-02-01"),
			check(g.PrincipalAndInterest, "2026-02-20"),
		},
	}
	for name, events := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, state := g.loan()
			after, entries, err := receive(terms, state, events)
			checkEntries(t, entries, want, err)
			wantState := mortgage.State{Principal: g.Payment2.Balance, NextDueOn: day("2026-04-01")}
			if after != wantState {
				t.Errorf("receive(%+v) = %+v; want %+v", events, after, wantState)
			}
		})
	}

	t.Run("the balance after each entry is the published one", func(t *testing.T) {
		t.Parallel()

		terms, state := g.loan()
		balances := []mortgage.Cents{g.Payment1.Balance, g.Curtailment.Balance, g.Payment2.Balance}
		for i, e := range want {
			after, err := terms.After(state, e)
			if after.Principal != balances[i] || err != nil {
				t.Fatalf("After(%+v, %+v) = %+v, %v; want principal %d", state, e, after, err, balances[i])
			}
			state = after
		}
	})
}

func TestBalancesOnePaymentApartOfFannieMaeExample(t *testing.T) {
	t.Parallel()

	var g goldenCurtailment
	readGolden(t, "curtailment.json", &g)
	terms, state := g.loan()
	for _, b := range g.OnePaymentApart {
		state.Principal = b.Before
		in, ok, err := terms.NextInstallment(state)
		if got := b.Before - in.Principal; got != b.After || !ok || err != nil {
			t.Errorf("NextInstallment(principal %d) leaves %d, %v, %v; want %d", b.Before, got, ok, err, b.After)
		}
	}
}

func TestPartialPaymentsOfRegulationZExample(t *testing.T) {
	t.Parallel()

	var golden struct {
		Source          string         `json:"source"`
		About           string         `json:"about"`
		PeriodicPayment mortgage.Cents `json:"periodic_payment_cents"`
		NextDueOn       mortgage.Date  `json:"next_due_on"`
		Receipts        []struct {
			ReceivedOn     mortgage.Date  `json:"received_on"`
			Amount         mortgage.Cents `json:"amount_cents"`
			Unapplied      mortgage.Cents `json:"unapplied_cents"`
			Held           mortgage.Cents `json:"held_cents"`
			Applied        mortgage.Cents `json:"applied_cents"`
			HeldUsed       mortgage.Cents `json:"held_used_cents"`
			SatisfiesDueOn mortgage.Date  `json:"satisfies_due_on"`
		} `json:"receipts"`
	}
	readGolden(t, "partial_payments.json", &golden)

	terms, state := roundTerms(), roundState()
	state.NextDueOn = golden.NextDueOn
	in, _, err := terms.NextInstallment(state)
	if in.Total() != golden.PeriodicPayment || err != nil {
		t.Fatalf("NextInstallment(%+v) = %+v, %v; want a total of %d", state, in, err, golden.PeriodicPayment)
	}

	boarded := state
	var events []mortgage.Receipt
	var all []mortgage.Entry
	for _, r := range golden.Receipts {
		var want []mortgage.Entry
		if r.Applied > 0 {
			want = append(want, mortgage.Entry{
				Kind: mortgage.KindInstallment, EffectiveOn: r.ReceivedOn, DueOn: r.SatisfiesDueOn,
				Rule: mortgage.RulePeriodicPayment,
				Postings: mortgage.Postings{
					Cash: r.Applied - r.HeldUsed, Suspense: r.HeldUsed,
					InterestIncome: -500_00, Principal: -300_00, Escrow: -200_00,
				},
			})
		}
		want = append(want, mortgage.Entry{
			Kind: mortgage.KindUnapplied, EffectiveOn: r.ReceivedOn, Rule: mortgage.RulePartialPayment,
			Postings: mortgage.Postings{Cash: r.Unapplied, Suspense: -r.Unapplied},
		})

		receipt := mortgage.Receipt{Amount: r.Amount, ReceivedOn: r.ReceivedOn}
		after, entries, err := receipt.Happen(terms, state)
		checkEntries(t, entries, want, err)
		if after.Suspense != r.Held {
			t.Errorf("%+v.Happen: %d held; want %d", receipt, after.Suspense, r.Held)
		}
		state, events, all = after, append(events, receipt), append(all, entries...)
	}

	wantState := mortgage.State{
		Principal: 99_700_00, Escrow: 200_00, Suspense: 300_00, NextDueOn: day("2026-02-01"),
	}
	if state != wantState {
		t.Errorf("after all receipts the state is %+v; want %+v", state, wantState)
	}
	replayed, entries, err := receive(terms, boarded, events)
	checkEntries(t, entries, all, err)
	if replayed != wantState {
		t.Errorf("receive(%+v) = %+v; want %+v", events, replayed, wantState)
	}
}
