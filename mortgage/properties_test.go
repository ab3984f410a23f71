package mortgage_test

import (
	"errors"
	"flag"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// The properties are drawn from a fixed seed, so that a run is the same
// everywhere and writes no file when it fails. Others: go test -rapid.seed=0.
var _, _ = flag.Set("rapid.seed", "1026"), flag.Set("rapid.nofailfile", "true")

// loan is a drawn loan that Terms.Check accepts.
type loan struct {
	terms  mortgage.Terms
	state  mortgage.State
	months int // to maturity
}

func drawLoan(t *rapid.T) loan {
	dueDay := rapid.IntRange(1, 31).Draw(t, "due day")
	nextDueOn, err := mortgage.Date(rapid.IntRange(730_120, 766_600).Draw(t, "about next due")).AddMonths(0, dueDay)
	must(t, err)
	months := rapid.IntRange(1, 480).Draw(t, "months")
	maturityOn, err := nextDueOn.AddMonths(months-1, dueDay)
	must(t, err)
	balance := mortgage.Cents(rapid.OneOf(
		rapid.Int64Range(1, 1_000_00),
		rapid.Int64Range(1_000_00, 1_000_000_00),
		rapid.Int64Range(1, int64(mortgage.MaxBalance)),
	).Draw(t, "principal"))
	rate := mortgage.Rate(rapid.OneOf(
		rapid.Int64Range(0, 120_000), rapid.Int64Range(0, int64(mortgage.MaxRate)), rapid.Just(int64(0)),
	).Draw(t, "rate"))
	rounding := rapid.SampledFrom([]mortgage.Rounding{halfUp, halfEven}).Draw(t, "rounding")
	payment, err := mortgage.LevelPayment(balance, rate, months, rounding)
	must(t, err)
	return loan{
		months: months,
		terms: mortgage.Terms{
			Rate:                 rate,
			PrincipalAndInterest: max(payment, 1) + drawCents(t, "above level", 100_00),
			EscrowPayment:        drawCents(t, "escrow payment", 2_000_00),
			DueDay:               dueDay,
			MaturityOn:           maturityOn,
			InterestMethod:       mortgage.ScheduledInterest,
			ApplicationOrder:     orders.Draw(t, "order"),
			ExcessPolicy:         policies.Draw(t, "policy"),
			Rounding:             rounding,
		},
		state: mortgage.State{
			Principal:      balance,
			Escrow:         drawCents(t, "escrow", 10_000_00),
			Suspense:       drawCents(t, "suspense", 5_000_00),
			LateChargesDue: drawCents(t, "late charges", 300_00),
			NextDueOn:      nextDueOn,
		},
	}
}

var (
	policies = rapid.SampledFrom([]mortgage.ExcessPolicy{
		mortgage.ExcessToPrincipal, mortgage.ExcessToNextInstallment, mortgage.ExcessToSuspense,
	})
	orders = rapid.SampledFrom([]mortgage.ApplicationOrder{mortgage.ConventionalOrder, mortgage.FHAOrder})
)

func must(t *rapid.T, err error) {
	t.Helper()

	if err != nil {
		t.Fatal(err)
	}
}

// drawCents draws none as often as it draws some.
func drawCents(t *rapid.T, label string, most int64) mortgage.Cents {
	return mortgage.Cents(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, most)).Draw(t, label))
}

// drawReceipt draws money at and around the edges that the rules have: whole
// installments, a cent more or less, what is held, late charges, all principal.
func drawReceipt(t *rapid.T, terms mortgage.Terms, s mortgage.State, on mortgage.Date) mortgage.Receipt {
	in, _, err := terms.NextInstallment(s)
	must(t, err)
	times := rapid.Int64Range(0, 5).Draw(t, "installments")
	amount := in.Total()*mortgage.Cents(times) + rapid.SampledFrom([]mortgage.Cents{
		0, s.LateChargesDue, -s.Suspense, s.Principal,
	}).Draw(t, "and") + mortgage.Cents(rapid.OneOf(
		rapid.Int64Range(-1, 1), rapid.Int64Range(-500_00, 500_00),
	).Draw(t, "about"))
	return mortgage.Receipt{Amount: min(max(amount, 1), mortgage.MaxPayment), ReceivedOn: on}
}

// checkReceipt checks what holds for every receipt that is not refused.
func checkReceipt(
	t *rapid.T, terms mortgage.Terms, before, after mortgage.State, r mortgage.Receipt, entries []mortgage.Entry,
) {
	t.Helper()

	var cash mortgage.Cents
	folded, dueOn := before, before.NextDueOn
	for i, e := range entries {
		if e.Sum() != 0 || e.Cash < 0 || e.EffectiveOn != r.ReceivedOn || e.Postings == (mortgage.Postings{}) {
			t.Fatalf("%+v.Happen(%+v): entry %+v; want it balanced, not empty, as of the receipt", r, before, e)
		}
		if e.Kind == mortgage.KindInstallment {
			if e.DueOn != dueOn {
				t.Fatalf("%+v.Happen(%+v): entry %d satisfies %s; want the oldest, %s", r, before, i, e.DueOn, dueOn)
			}
			next, err := dueOn.AddMonths(1, terms.DueDay)
			must(t, err)
			dueOn = next
			dueBefore, err := e.DueOn.AddMonths(-1, terms.DueDay)
			must(t, err)
			if folded.Principal+e.Principal == 0 && dueBefore >= r.ReceivedOn {
				t.Fatalf("%+v.Happen(%+v): %+v repays the loan a month ahead; want the money held", r, before, e)
			}
		}
		if stillDue := folded.Principal > 0 && folded.NextDueOn <= r.ReceivedOn; stillDue &&
			e.Kind != mortgage.KindInstallment && e.Rule != mortgage.RulePartialPayment {
			t.Fatalf("%+v.Happen(%+v): %+v while the installment of %s is due", r, before, e, folded.NextDueOn)
		}
		cash += e.Cash
		next, err := terms.After(folded, e)
		must(t, err)
		folded = next
	}
	if cash != r.Amount {
		t.Fatalf("%+v.Happen(%+v): the cash of %+v is %d; want %d", r, before, entries, cash, r.Amount)
	}
	if after != folded {
		t.Fatalf("%+v.Happen(%+v) = %+v; want what the entries add up to, %+v", r, before, after, folded)
	}
	if min(after.Principal, after.Escrow, after.Suspense, after.LateChargesDue) < 0 {
		t.Fatalf("%+v.Happen(%+v) = %+v; want no balance below zero", r, before, after)
	}
	in, ok, err := terms.NextInstallment(after)
	must(t, err)
	if ok && in.DueOn <= r.ReceivedOn && after.Suspense >= in.Total() {
		t.Fatalf("%+v.Happen(%+v) holds %d; want it used for the %d that is due", r, before, after.Suspense, in.Total())
	}
}

// lifeOfALoan is the property: whatever is received, and whenever, the books
// balance, and telling the story again gives the same books.
func lifeOfALoan(t *rapid.T) {
	l := drawLoan(t)
	must(t, l.terms.Check(l.state))

	state, on := l.state, l.state.NextDueOn-mortgage.Date(rapid.IntRange(0, 70).Draw(t, "days ahead"))
	var events []mortgage.Receipt
	var all []mortgage.Entry
	for range rapid.IntRange(1, 12).Draw(t, "receipts") {
		receipt := drawReceipt(t, l.terms, state, on)
		after, entries, err := receipt.Happen(l.terms, state)
		if state.Principal == 0 {
			if !errors.Is(err, mortgage.ErrPaidOff) {
				t.Fatalf("%+v.Happen(%+v) = %+v, %v; want ErrPaidOff", receipt, state, after, err)
			}
			break
		}
		must(t, err)
		checkReceipt(t, l.terms, state, after, receipt, entries)
		events, all = append(events, receipt), append(all, entries...)
		state, on = after, on+mortgage.Date(rapid.IntRange(0, 45).Draw(t, "days"))
	}

	var sum mortgage.Postings
	folded := mortgage.State{NextDueOn: l.state.NextDueOn}
	for _, e := range append([]mortgage.Entry{mortgage.Boarding(l.state, l.state.NextDueOn)}, all...) {
		sum = sum.Plus(e.Postings)
		next, err := l.terms.After(folded, e)
		must(t, err)
		folded = next
	}
	if sum.Sum() != 0 || sum.Principal != state.Principal || -sum.Escrow != state.Escrow ||
		-sum.Suspense != state.Suspense || sum.LateChargesReceivable != state.LateChargesDue {
		t.Fatalf("the books of %+v add up to %+v; want %+v", l, sum, state)
	}
	if folded != state {
		t.Fatalf("boarding and entries lead to %+v; want %+v", folded, state)
	}
	replayed, entries, err := receive(l.terms, l.state, events)
	if replayed != state || !slices.Equal(entries, all) || err != nil {
		t.Fatalf("receive(%+v) = %+v, %+v, %v; want %+v, %+v", events, replayed, entries, err, state, all)
	}
}

func TestLifeOfALoan(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			lifeOfALoan(t)
		}
	})
}

func FuzzLifeOfALoan(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(lifeOfALoan))
}

// receiveTwice applies two amounts received on one day.
func receiveTwice(t *rapid.T, l loan, a, b mortgage.Cents, on mortgage.Date) (mortgage.State, []mortgage.Entry) {
	after, entries, err := receive(l.terms, l.state, []mortgage.Receipt{
		{Amount: a, ReceivedOn: on}, {Amount: b, ReceivedOn: on},
	})
	must(t, err)
	return after, entries
}

// installmentsDue returns the entries of installments that were due that day,
// without saying what paid for them.
func installmentsDue(entries []mortgage.Entry, on mortgage.Date) []mortgage.Installment {
	var ins []mortgage.Installment
	for _, e := range entries {
		if e.Kind == mortgage.KindInstallment && e.DueOn <= on {
			ins = append(ins, mortgage.Installment{
				DueOn: e.DueOn, Interest: -e.InterestIncome, Principal: -e.Principal, Escrow: -e.Escrow,
			})
		}
	}
	return ins
}

// Two checks on one day satisfy the installments due that one check would.
func TestSplittingAPaymentSatisfiesTheSameInstallmentsDue(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawLoan(t)
		on := l.state.NextDueOn + mortgage.Date(rapid.IntRange(-40, 120).Draw(t, "days late"))
		whole := drawReceipt(t, l.terms, l.state, on)
		a := mortgage.Cents(rapid.Int64Range(1, max(1, int64(whole.Amount)-1)).Draw(t, "first part"))
		_, once, err := whole.Happen(l.terms, l.state)
		must(t, err)
		first, part, err := mortgage.Receipt{Amount: a, ReceivedOn: on}.Happen(l.terms, l.state)
		must(t, err)
		if a == whole.Amount || first.Principal == 0 {
			return // Nothing to split, or the first part paid the loan off.
		}
		_, rest, err := mortgage.Receipt{Amount: whole.Amount - a, ReceivedOn: on}.Happen(l.terms, first)
		must(t, err)
		got, want := installmentsDue(append(part, rest...), on), installmentsDue(once, on)
		if !slices.Equal(got, want) {
			t.Fatalf("%d and %d on %s satisfy %+v; want, as %+v does, %+v", a, whole.Amount-a, on, got, whole, want)
		}
	})
}

// Where excess goes to the next installment, two checks lead to the very state
// that one does, ahead of time too.
func TestSplittingAPaymentThatGoesToTheNextInstallment(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawLoan(t)
		l.terms.ExcessPolicy, l.state.LateChargesDue = mortgage.ExcessToNextInstallment, 0
		on := l.state.NextDueOn + mortgage.Date(rapid.IntRange(-70, 120).Draw(t, "days late"))
		whole := drawReceipt(t, l.terms, l.state, on)
		if whole.Amount < 2 || whole.Amount+l.state.Suspense >= l.state.Principal {
			t.Skip("nothing to split, or enough to repay it all")
		}
		a := mortgage.Cents(rapid.Int64Range(1, int64(whole.Amount)-1).Draw(t, "first part"))
		want, _, err := whole.Happen(l.terms, l.state)
		must(t, err)
		if got, entries := receiveTwice(t, l, a, whole.Amount-a, on); got != want {
			t.Fatalf("%d and %d on %s lead by %+v to %+v; want, as %+v does, %+v",
				a, whole.Amount-a, on, entries, got, whole, want)
		}
	})
}

func TestScheduleRepaysTheBalanceExactly(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawLoan(t)
		lines, err := l.terms.Schedule(l.state, mortgage.MaxTermMonths)
		must(t, err)
		if len(lines) == 0 || len(lines) > l.months {
			t.Fatalf("Schedule(%+v) has %d lines; want 1 to %d", l, len(lines), l.months)
		}
		left := l.state.Principal
		for i, line := range lines {
			interest, err := l.terms.Rate.MonthInterest(left, l.terms.Rounding)
			must(t, err)
			dueOn, err := l.state.NextDueOn.AddMonths(i, l.terms.DueDay)
			must(t, err)
			left -= line.Principal
			last := i == len(lines)-1
			level := line.Interest+line.Principal == l.terms.PrincipalAndInterest
			if line.Interest != interest || line.DueOn != dueOn || line.PrincipalAfter != left || line.Principal < 0 ||
				line.Escrow != l.terms.EscrowPayment || !last && !level || last != (left == 0) {
				t.Fatalf("Schedule(%+v): line %d is %+v; want interest %d, due %s, %d left", l, i, line, interest, dueOn, left)
			}
		}
	})
}

// roundingBound is what rounding by at most a cent each month can add up to
// with interest: ((1+r)^n - 1) / r cents, and one for the last.
func roundingBound(rate mortgage.Rate, months int) mortgage.Cents {
	if rate == 0 {
		return mortgage.Cents(months) + 1
	}
	r := big.NewRat(int64(rate), 12_000_000)
	growth, one := big.NewRat(1, 1), big.NewRat(1, 1)
	for range months {
		growth.Mul(growth, new(big.Rat).Add(one, r))
	}
	bound := new(big.Rat).Quo(growth.Sub(growth, one), r)
	return mortgage.Cents(new(big.Int).Quo(bound.Num(), bound.Denom()).Int64()) + 2
}

// The level payment is the one that repays in time: the last payment differs
// from it by no more than the rounding of all months before can explain.
func TestLevelPaymentRepaysWithinTheTerm(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		balance := mortgage.Cents(rapid.Int64Range(1_000_00, 10_000_000_00).Draw(t, "balance"))
		rate := mortgage.Rate(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 150_000)).Draw(t, "rate"))
		months := rapid.IntRange(1, 360).Draw(t, "months")
		rounding := roundings.Draw(t, "rounding")
		payment, err := mortgage.LevelPayment(balance, rate, months, rounding)
		must(t, err)

		terms, state := roundTerms(), roundState()
		state.Principal, terms.Rate, terms.PrincipalAndInterest = balance, rate, payment
		terms.MaturityOn, err = state.NextDueOn.AddMonths(months-1, terms.DueDay)
		must(t, err)
		lines, err := terms.Schedule(state, mortgage.MaxTermMonths)
		must(t, err)
		last := lines[len(lines)-1]
		bound := roundingBound(rate, months)
		if over := last.Interest + last.Principal - payment; len(lines) > months || over > bound {
			t.Fatalf("LevelPayment(%d, %d, %d, %s) = %d repays in %d payments, the last %d too large; want at most %d, and %d",
				balance, rate, months, rounding, payment, len(lines), over, months, bound)
		}
		less := bound/payment + 2 // payments that rounding up may save
		if mortgage.Cents(months-len(lines)) > less {
			t.Fatalf("LevelPayment(%d, %d, %d, %s) = %d repays in %d payments; want no more than %d fewer than the term",
				balance, rate, months, rounding, payment, len(lines), less)
		}
	})
}

func TestLevelPaymentIsMonotone(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		balance := rapid.Int64Range(1, int64(mortgage.MaxBalance)-1).Draw(t, "balance")
		rate := rapid.Int64Range(0, int64(mortgage.MaxRate)-1).Draw(t, "rate")
		months := rapid.IntRange(1, mortgage.MaxTermMonths-1).Draw(t, "months")
		rounding := roundings.Draw(t, "rounding")
		pay := func(balance, rate int64, months int) mortgage.Cents {
			got, err := mortgage.LevelPayment(mortgage.Cents(balance), mortgage.Rate(rate), months, rounding)
			must(t, err)
			return got
		}
		moreBalance := rapid.Int64Range(balance, int64(mortgage.MaxBalance)).Draw(t, "more balance")
		moreRate := rapid.Int64Range(rate, int64(mortgage.MaxRate)).Draw(t, "higher rate")
		moreMonths := rapid.IntRange(months, mortgage.MaxTermMonths).Draw(t, "longer term")

		got := pay(balance, rate, months)
		call := fmt.Sprintf("LevelPayment(%d, %d, %d, %s) = %d", balance, rate, months, rounding, got)
		if more := pay(moreBalance, rate, months); more < got {
			t.Errorf("%s, and %d for a balance of %d; want no less", call, more, moreBalance)
		}
		if more := pay(balance, moreRate, months); more < got {
			t.Errorf("%s, and %d at a rate of %d; want no less", call, more, moreRate)
		}
		if less := pay(balance, rate, moreMonths); less > got {
			t.Errorf("%s, and %d over %d months; want no more", call, less, moreMonths)
		}
		if roundedUp, err := mortgage.LevelPayment(mortgage.Cents(balance), mortgage.Rate(rate), months, up); err != nil ||
			got > roundedUp || got < roundedUp-1 {
			t.Errorf("%s; want it at most a cent below %d, rounded up", call, roundedUp)
		}
	})
}
