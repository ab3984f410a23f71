package mortgage_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

var escrowKinds = rapid.SampledFrom([]mortgage.EscrowItemKind{
	mortgage.EscrowCountyTax, mortgage.EscrowSchoolTax, mortgage.EscrowHazardInsurance,
	mortgage.EscrowFloodInsurance, mortgage.EscrowMortgageInsurance, mortgage.EscrowAssociationDues,
})

// drawEscrowItems draws items whose first bills come up to a cycle after start.
func drawEscrowItems(t *rapid.T, start mortgage.Date, cycles []int) []mortgage.EscrowItem {
	items := make([]mortgage.EscrowItem, rapid.IntRange(0, 5).Draw(t, "items"))
	for i := range items {
		it := mortgage.EscrowItem{
			Kind: escrowKinds.Draw(t, "kind"), Payee: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "payee"),
			EveryMonths: rapid.SampledFrom(cycles).Draw(t, "every"),
		}
		_, _, startDay := start.Civil()
		first := start - mortgage.Date(startDay) + 1
		for range rapid.IntRange(1, 3).Draw(t, "bills") {
			b := mortgage.EscrowBill{Last: drawCents(t, "last", 5_000_00)}
			b.DueOn = first + mortgage.Date(rapid.IntRange(0, it.EveryMonths*30).Draw(t, "due after"))
			if rapid.Bool().Draw(t, "known") {
				b.Known = new(mortgage.Cents(rapid.OneOf(
					rapid.Int64Range(0, 100), rapid.Int64Range(0, 5_000_00), rapid.Int64Range(0, int64(mortgage.MaxPayment)),
				).Draw(t, "charge")))
			}
			it.Bills = append(it.Bills, b)
		}
		items[i] = it
	}
	return items
}

// drawEscrow draws a request that is analyzed before its year begins.
func drawEscrow(t *rapid.T, cycles []int) mortgage.EscrowRequest {
	dueDay := rapid.IntRange(1, 31).Draw(t, "due day")
	start, err := mortgage.Date(rapid.IntRange(730_120, 766_600).Draw(t, "about start")).AddMonths(0, dueDay)
	must(t, err)
	r := request(start.String(), 0)
	r.DueDay = dueDay
	r.Items = drawEscrowItems(t, start, cycles)
	small := rapid.SampledFrom([]mortgage.EscrowAction{mortgage.EscrowLeave, mortgage.EscrowAtOnce, mortgage.EscrowSpread})
	large := rapid.SampledFrom([]mortgage.EscrowAction{mortgage.EscrowLeave, mortgage.EscrowSpread})
	r.Policy = mortgage.EscrowPolicy{
		CushionMonths:   rapid.IntRange(0, 2).Draw(t, "cushion months"),
		PaymentRounding: rapid.SampledFrom([]mortgage.EscrowRounding{"half_up", "down"}).Draw(t, "rounding"),
		RefundFrom:      mortgage.Cents(rapid.Int64Range(1, 50_00).Draw(t, "refund from")),
		CreditMonths:    rapid.IntRange(1, 12).Draw(t, "credit months"),
		SmallShortage:   small.Draw(t, "small shortage"), Shortage: large.Draw(t, "shortage"),
		ShortageMonths:  rapid.IntRange(12, 60).Draw(t, "shortage months"),
		SmallDeficiency: small.Draw(t, "small deficiency"), Deficiency: large.Draw(t, "deficiency"),
		DeficiencyMonths:      rapid.IntRange(2, 60).Draw(t, "deficiency months"),
		RefundWhenNotCurrent:  rapid.Bool().Draw(t, "refund when not current"),
		CollectWhenNotCurrent: rapid.Bool().Draw(t, "collect when not current"),
	}
	r.Voluntary = drawCents(t, "voluntary", 500_00)
	r.Payment = drawCents(t, "payment", 1_000_00)
	if rapid.Bool().Draw(t, "overdue") {
		r = late(r, rapid.IntRange(28, 33).Draw(t, "days overdue"))
	}
	a, err := mortgage.AnalyzeEscrow(r)
	must(t, err)
	r.Account.Balance = rapid.SampledFrom([]mortgage.Cents{
		0, a.RequiredStart, a.RequiredStart - a.BasePayment, -a.BasePayment, a.RequiredStart + 50_00,
	}).Draw(t, "balance") + mortgage.Cents(rapid.OneOf(
		rapid.Int64Range(-1, 1), rapid.Int64Range(-500_00, 500_00),
	).Draw(t, "and"))
	return r
}

var (
	yearlyCycles = []int{1, 2, 3, 4, 6, 12}
	allCycles    = []int{1, 2, 3, 4, 6, 12, 24, 36, 48, 60}
)

// checkEscrow checks what holds for every analysis.
func checkEscrow(t *rapid.T, r mortgage.EscrowRequest, a mortgage.EscrowAnalysis) {
	t.Helper()

	difference := a.StartBalance - a.RequiredStart
	if a.Surplus+a.KeptVoluntary-a.Shortage-a.Deficiency-a.InitialDeposit != difference ||
		min(a.Surplus, a.KeptVoluntary, a.Shortage, a.Deficiency, a.InitialDeposit) < 0 ||
		a.Surplus+a.KeptVoluntary > 0 && a.Shortage+a.Deficiency > 0 {
		t.Fatalf("surplus %d, kept %d, shortage %d, deficiency %d; want them to make %d",
			a.Surplus, a.KeptVoluntary, a.Shortage, a.Deficiency, difference)
	}
	if a.Deficiency > 0 && r.Account.Balance >= 0 {
		t.Fatalf("a balance of %d is deficient by %d", r.Account.Balance, a.Deficiency)
	}
	checkEscrowTrial(t, a)
	checkEscrowHandling(t, r, a)
}

// checkEscrowTrial checks the columns: the target is the trial and a constant,
// and its lowest point the cushion.
func checkEscrowTrial(t *rapid.T, a mortgage.EscrowAnalysis) {
	t.Helper()

	var trial, total mortgage.Cents
	low := a.RequiredStart
	for _, m := range a.Months {
		trial += m.Deposit - m.Disbursement
		total += m.Disbursement
		low = min(low, m.Target)
		if m.Deposit != a.BasePayment || m.Target-trial != a.RequiredStart || m.Projected-trial != a.StartBalance {
			t.Fatalf("month %+v; want a target of %d and a projected balance of %d",
				m, trial+a.RequiredStart, trial+a.StartBalance)
		}
	}
	if a.CycleMonths == 12 {
		if low != a.Cushion {
			t.Fatalf("the lowest target is %d; want the cushion, %d", low, a.Cushion)
		}
		if total != a.AnnualDisbursements || 12*a.BasePayment > total+6 {
			t.Fatalf("12 payments of %d for bills of %d, %d a year", a.BasePayment, total, a.AnnualDisbursements)
		}
	}
	if low < a.Cushion || 6*a.Cushion > a.AnnualDisbursements {
		t.Fatalf("lowest target %d, cushion %d, %d a year; want a sixth at most", low, a.Cushion, a.AnnualDisbursements)
	}
}

// checkEscrowHandling checks that what is done is what the regulation allows.
func checkEscrowHandling(t *rapid.T, r mortgage.EscrowRequest, a mortgage.EscrowAnalysis) {
	t.Helper()

	s := a.SurplusHandling
	mayRetain := r.AsOf-r.NextDueOn > 30
	switch {
	case a.Surplus == 0 && s.Action == mortgage.EscrowNothing:
	case s.Action == mortgage.EscrowRefund && s.DueOn == r.AsOf+30:
	case s.Action == mortgage.EscrowCredit && a.Surplus < 50_00 && s.Months <= 12:
	case s.Action == mortgage.EscrowRetain && mayRetain:
	default:
		t.Fatalf("a surplus of %d: %+v", a.Surplus, s)
	}
	for _, c := range []struct {
		amount      mortgage.Cents
		handling    mortgage.EscrowHandling
		leastMonths int
	}{
		{a.Surplus, s, 1}, {a.Shortage, a.ShortageHandling, 12}, {a.Deficiency, a.DeficiencyHandling, 2},
	} {
		h := c.handling
		if h.Amount != c.amount || (h.Rule == "") != (c.amount == 0) {
			t.Fatalf("%d is handled by %+v; want all of it, by a rule", c.amount, h)
		}
		if h.LumpSum() && c.amount >= a.BasePayment {
			t.Fatalf("%d in one sum, a month being %d: %+v", c.amount, a.BasePayment, h)
		}
		if h.Months == 0 {
			continue
		}
		sum := h.Monthly*mortgage.Cents(h.Months-1) + h.Last
		if sum != c.amount || h.Months < c.leastMonths || h.Monthly < 0 || h.Last < 0 {
			t.Fatalf("%d is spread by %+v; want parts that sum to it, over %d months at least", c.amount, h, c.leastMonths)
		}
	}
	last := a.Payments[len(a.Payments)-1]
	if last.Total() != a.BasePayment || a.Payments[0].FromOn != a.EffectiveOn || a.NewPayment != a.Payments[0].Total() {
		t.Fatalf("payments %+v; want them to begin on %s and to end with %d", a.Payments, a.EffectiveOn, a.BasePayment)
	}
	for _, p := range a.Payments {
		if p.Total() < 0 {
			t.Fatalf("payment %+v is below zero", p)
		}
	}
}

// escrowAnalysis is the property: whatever the account, the answer adds up and
// is allowed.
func escrowAnalysis(t *rapid.T) {
	r := drawEscrow(t, allCycles)
	a, err := mortgage.AnalyzeEscrow(r)
	must(t, err)
	checkEscrow(t, r, a)

	again, err := mortgage.AnalyzeEscrow(r)
	must(t, err)
	if !reflect.DeepEqual(a, again) {
		t.Fatalf("the same request gives %+v and %+v", a, again)
	}
}

func TestEscrowAnalysisAddsUp(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			escrowAnalysis(t)
		}
	})
}

func FuzzEscrowAnalysis(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(escrowAnalysis))
}

// What an account needs does not depend on what it has, and what it has counts
// cent for cent.
func TestEscrowDifferenceMovesWithTheBalance(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawEscrow(t, allCycles)
		a, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		by := mortgage.Cents(rapid.Int64Range(-2_000_00, 2_000_00).Draw(t, "by"))
		r.Account.Balance += by
		b, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		net := func(a mortgage.EscrowAnalysis) mortgage.Cents {
			return a.Surplus + a.KeptVoluntary - a.Shortage - a.Deficiency
		}
		if a.RequiredStart != b.RequiredStart || a.BasePayment != b.BasePayment || a.Cushion != b.Cushion ||
			net(b)-net(a) != by {
			t.Fatalf("%d more: required %d and %d, difference %d and %d",
				by, a.RequiredStart, b.RequiredStart, net(a), net(b))
		}
		for i := range a.Months {
			if a.Months[i].Target != b.Months[i].Target || b.Months[i].Projected-a.Months[i].Projected != by {
				t.Fatalf("%d more: month %+v becomes %+v", by, a.Months[i], b.Months[i])
			}
		}
	})
}

// Neither the order of items and bills nor the day within the month changes
// anything but the days themselves.
func TestEscrowOrderIsIrrelevant(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawEscrow(t, allCycles)
		a, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		r.Items = slices.Clone(rapid.Permutation(r.Items).Draw(t, "items"))
		for i := range r.Items {
			it := &r.Items[i]
			it.Bills = slices.Clone(rapid.Permutation(it.Bills).Draw(t, "bills"))
			for j := range it.Bills {
				year, month, _ := it.Bills[j].DueOn.Civil()
				dayOfMonth := rapid.IntRange(1, mortgage.DaysInMonth(year, month)).Draw(t, "day")
				it.Bills[j].DueOn, err = mortgage.NewDate(year, month, dayOfMonth)
				must(t, err)
			}
		}
		b, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		a.Bills, b.Bills = nil, nil
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("in another order %+v becomes %+v", a, b)
		}
	})
}

// Together the items never need more than each for itself: the difference is the
// whole point of the aggregate method. Rounding can add a few cents for an item.
func TestAggregateNeedsNoMoreThanItemByItem(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawEscrow(t, yearlyCycles)
		together, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		var sum mortgage.Cents
		all := r.Items
		for i := range all {
			r.Items = all[i : i+1]
			alone, err := mortgage.AnalyzeEscrow(r)
			must(t, err)
			sum += alone.RequiredStart
		}
		if rounding := mortgage.Cents(13 * (len(all) + 1)); together.RequiredStart > sum+rounding {
			t.Fatalf("together the items need %d; each for itself %d", together.RequiredStart, sum)
		}
	})
}

// The low point is the one that an exact trial over the whole cycle has: no more
// than rounding the payment can explain lies between.
func TestEscrowLowPointOfAnExactTrial(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			r := drawEscrow(t, []int{1, 12, 24, 36, 48, 60})
			a, err := mortgage.AnalyzeEscrow(r)
			must(t, err)
			low := exactLowPoint(r, a.CycleMonths)
			if off := a.LowPoint - low; off < -13 || off > 13 {
				t.Fatalf("low point %d over %d months; an exact trial has %d", a.LowPoint, a.CycleMonths, low)
			}
		}
	})
}

// exactLowPoint lays every bill out over the cycle, one by one, and saves exactly
// a 720th of 720 months' bills each month.
func exactLowPoint(r mortgage.EscrowRequest, months int) mortgage.Cents {
	startYear, startMonth, _ := r.StartOn.Civil()
	out := make([]mortgage.Cents, months+1)
	var sum mortgage.Cents
	for _, it := range r.Items {
		for _, b := range it.Bills {
			charge, _ := b.Estimate(r.Policy.EstimateChange)
			year, month, _ := b.DueOn.Civil()
			first := (year-startYear)*12 + month - startMonth + 1
			if it.EveryMonths <= 12 {
				for m := first; m <= 12; m += it.EveryMonths { // The first year, again and again.
					sum += charge * 60
					for later := m; later <= months; later += 12 {
						out[later] += charge
					}
				}
				continue
			}
			sum += charge * mortgage.Cents(720/it.EveryMonths)
			for m := first; m <= months; m += it.EveryMonths {
				out[m] += charge
			}
		}
	}
	var paid mortgage.Cents
	var low mortgage.Cents
	for m := 1; m <= months; m++ {
		paid += out[m]
		balance := (sum*mortgage.Cents(m) - paid*720) / 720
		if m == 1 || balance < low {
			low = balance
		}
	}
	return low
}

// If the borrower pays what is asked, and the bills come as projected, the
// account holds its target at the end of the year, to the cent.
func TestDoingWhatTheAnalysisSaysReachesTheTarget(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := drawEscrow(t, allCycles)
		r.Voluntary, r.NextDueOn = 0, r.StartOn
		r.Policy.Shortage, r.Policy.Deficiency = mortgage.EscrowSpread, mortgage.EscrowSpread
		r.Policy.ShortageMonths, r.Policy.DeficiencyMonths = 12, min(r.Policy.DeficiencyMonths, 12)
		if r.Policy.SmallShortage == mortgage.EscrowLeave {
			r.Policy.SmallShortage = mortgage.EscrowSpread
		}
		if r.Policy.SmallDeficiency == mortgage.EscrowLeave {
			r.Policy.SmallDeficiency = mortgage.EscrowAtOnce
		}
		a, err := mortgage.AnalyzeEscrow(r)
		must(t, err)
		if end := a.Months[11]; end.Expected != end.Target {
			t.Fatalf("at the end of the year %d is expected; want the target, %d: %+v", end.Expected, end.Target, a)
		}
	})
}
