package mortgage_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// servicer keeps a loan's books as the program does: what follows all that they
// hold is posted at their end, and anything else corrects them. It checks every
// row that it writes.
type servicer struct {
	terms   mortgage.Terms
	boarded mortgage.State
	state   mortgage.State
	counted []mortgage.Receipt // neither refused nor reversed
	fees    []mortgage.Fee
	paidOut []mortgage.Disbursement
	ledger  []mortgage.Correction
	live    []mortgage.Posted
	sum     mortgage.Postings // of the ledger

	lastOn  mortgage.Date // the last day with an entry
	lastRef string        // the last receipt of that day
}

func newServicer(terms mortgage.Terms, boarded mortgage.State) *servicer {
	return &servicer{terms: terms, boarded: boarded, state: boarded}
}

// seq is where the next row stands: boarding is the first.
func (b *servicer) seq() int32 { return int32(len(b.ledger)) + 2 }

// write adds a row. A reversal undoes the newest row that stands, by its exact
// opposite. No balance is below zero after any row, in the middle of a
// correction either: undoing goes back through states that once were.
func (b *servicer) write(t rapid.TB, c mortgage.Correction) {
	t.Helper()

	if c.Sum() != 0 || c.Postings == (mortgage.Postings{}) {
		t.Fatalf("row %d is %+v; want it balanced and not empty", b.seq(), c)
	}
	if c.Reverses == 0 {
		b.live = append(b.live, mortgage.Posted{Seq: b.seq(), Entry: c.Entry})
	} else {
		newest := b.live[len(b.live)-1]
		want := newest.Entry
		want.Kind, want.Rule = mortgage.KindReversal, mortgage.RuleCorrection
		want.Postings = mortgage.Postings{}.Minus(newest.Postings)
		if c.Reverses != newest.Seq || c.Entry != want {
			t.Fatalf("row %d is %+v; want the opposite of the newest that stands, %+v", b.seq(), c, newest)
		}
		b.live = b.live[:len(b.live)-1]
	}
	b.ledger, b.sum = append(b.ledger, c), b.sum.Plus(c.Postings)
	if s := b.balances(); min(s.Principal, s.Escrow, s.EscrowAdvance, s.Suspense, s.LateChargesDue, s.FeesDue) < 0 {
		t.Fatalf("row %d, %+v, leaves %+v; want no balance below zero", b.seq()-1, c, s)
	}
}

// balances are what the rows add up to.
func (b *servicer) balances() mortgage.State {
	return mortgage.State{
		Principal:      b.boarded.Principal + b.sum.Principal,
		Escrow:         b.boarded.Escrow - b.sum.Escrow,
		EscrowAdvance:  b.boarded.EscrowAdvance + b.sum.EscrowAdvance,
		Suspense:       b.boarded.Suspense - b.sum.Suspense,
		LateChargesDue: b.boarded.LateChargesDue + b.sum.LateChargesReceivable,
		FeesDue:        b.boarded.FeesDue + b.sum.FeesReceivable,
	}
}

// append adds entries at the end of the books.
func (b *servicer) append(t rapid.TB, after mortgage.State, entries []mortgage.Entry) {
	t.Helper()

	for _, e := range entries {
		b.write(t, mortgage.Correction{Entry: e})
		b.lastOn, b.lastRef = e.EffectiveOn, e.Ref
	}
	b.state = after
}

// advance lets time pass.
func (b *servicer) advance(t rapid.TB, to mortgage.Date) {
	t.Helper()

	after, entries, err := b.terms.Advance(b.state, to)
	if err != nil {
		t.Fatalf("Advance(%+v, %s) = %v", b.state, to, err)
	}
	b.append(t, after, entries)
}

// receive posts a receipt, and says whether it counts: one that comes after the
// loan was paid off is refused.
func (b *servicer) receive(t rapid.TB, r mortgage.Receipt) bool {
	t.Helper()

	if !r.Follows(b.lastOn, b.lastRef) {
		b.counted = append(b.counted, r)
		b.correct(t)
		return true
	}
	after, entries, err := b.terms.Post(b.state, r)
	if errors.Is(err, mortgage.ErrPaidOff) {
		return false
	}
	if err != nil {
		t.Fatalf("Post(%+v, %+v) = %v", b.state, r, err)
	}
	b.counted = append(b.counted, r)
	b.append(t, after, entries)
	return true
}

// reverse takes a receipt out of the history.
func (b *servicer) reverse(t rapid.TB, ref string) {
	t.Helper()

	b.counted = slices.DeleteFunc(b.counted, func(r mortgage.Receipt) bool { return r.Ref == ref })
	b.correct(t)
}

func (b *servicer) history() mortgage.History {
	return mortgage.History{
		Boarded: b.boarded, Receipts: b.counted, Fees: b.fees, Disbursements: b.paidOut, Through: b.state.AsOf,
	}
}

// payOut disburses money from escrow, or takes back what came back.
func (b *servicer) payOut(t rapid.TB, d mortgage.Disbursement) {
	t.Helper()

	b.paidOut = append(b.paidOut, d)
	b.correct(t)
}

// charge assesses a fee.
func (b *servicer) charge(t rapid.TB, f mortgage.Fee) {
	t.Helper()

	b.fees = append(b.fees, f)
	b.correct(t)
}

// change makes the loan's terms others than they were.
func (b *servicer) change(t rapid.TB, terms mortgage.Terms) {
	t.Helper()

	b.terms = terms
	b.correct(t)
}

// correct makes the books those of the history.
func (b *servicer) correct(t rapid.TB) {
	t.Helper()

	state, want, err := b.terms.Books(b.history())
	if err != nil {
		t.Fatalf("Books(%+v) = %v", b.history(), err)
	}
	for _, step := range mortgage.Correct(slices.Clone(b.live), want) {
		b.write(t, step)
	}
	b.state, b.lastOn, b.lastRef = state, 0, ""
	if n := len(want); n > 0 {
		b.lastOn, b.lastRef = want[n-1].EffectiveOn, want[n-1].Ref
	}
}

// entries are what stands.
func (b *servicer) entries() []mortgage.Entry {
	entries := make([]mortgage.Entry, 0, len(b.live))
	for _, p := range b.live {
		entries = append(entries, p.Entry)
	}
	return entries
}

// check compares the books with those that one would keep who had known all from
// the beginning.
func (b *servicer) check(t rapid.TB) {
	t.Helper()

	h := b.history()
	state, want, err := b.terms.Books(h)
	if err != nil {
		t.Fatalf("Books(%+v) = %v", h, err)
	}
	if b.state != state || !slices.Equal(b.entries(), want) {
		t.Fatalf("kept one by one, the books of %+v hold %+v with\n%+v\nwant %+v with\n%+v",
			h, b.state, b.entries(), state, want)
	}
	if again := mortgage.Correct(b.live, want); len(again) != 0 {
		t.Fatalf("Correct(%+v, the same) = %+v; want nothing", b.live, again)
	}
	got := b.balances()
	got.NextDueOn, got.AsOf, got.LateChargedThrough = state.NextDueOn, state.AsOf, state.LateChargedThrough
	got.InterestAccruedTo, got.AccruedInterest = state.InterestAccruedTo, state.AccruedInterest
	got.PaidOffOn = state.PaidOffOn
	if got != state {
		t.Fatalf("all rows add up to %+v; want %+v", got, state)
	}
	var money mortgage.Cents
	for _, r := range b.counted {
		money += r.Amount
	}
	for _, d := range b.paidOut {
		if d.Returned {
			money += d.Amount
		} else {
			money -= d.Amount
		}
	}
	if b.sum.Cash != money {
		t.Fatalf("the cash of all rows is %d; want the money of %+v, %d", b.sum.Cash, h, money)
	}
	if got.Escrow > 0 && got.EscrowAdvance > 0 {
		t.Fatalf("escrow holds %d while the servicer has advanced %d", got.Escrow, got.EscrowAdvance)
	}
	b.checkTogether(t)
}

// checkTogether checks that the rows that stand are in order, and those of each
// receipt without another between them.
func (b *servicer) checkTogether(t rapid.TB) {
	t.Helper()

	rows := map[string][]mortgage.Posted{}
	for i, p := range b.live {
		if i > 0 && (p.Seq <= b.live[i-1].Seq || p.EffectiveOn < b.live[i-1].EffectiveOn) {
			t.Fatalf("%+v stands after %+v; want the order of rows and of days", p, b.live[i-1])
		}
		rows[p.Ref] = append(rows[p.Ref], p)
	}
	for _, r := range b.counted {
		n := len(rows[r.Ref])
		if n == 0 || int(rows[r.Ref][n-1].Seq-rows[r.Ref][0].Seq) != n-1 {
			t.Fatalf("%+v has the rows %+v; want some, with none between them", r, rows[r.Ref])
		}
	}
}

// drawReceipts draws what a borrower sends in up to five years: around due dates
// and ends of grace, before boarding too, with whole installments and with less
// and more, for any purpose. No two have one reference.
func drawReceipts(t *rapid.T, l loan, most int) []mortgage.Receipt {
	months := rapid.IntRange(1, 60).Draw(t, "of months")
	large := mortgage.MaxPayment
	if rapid.Bool().Draw(t, "never much at once") { // So that the loan lives long.
		in, _, err := l.terms.NextInstallment(l.state)
		must(t, err)
		large = min(large, 2*in.Total())
	}
	receipts := make([]mortgage.Receipt, rapid.IntRange(1, most).Draw(t, "receipts"))
	for i := range receipts {
		dueOn, err := l.state.NextDueOn.AddMonths(rapid.IntRange(0, months-1).Draw(t, "month"), l.terms.DueDay)
		must(t, err)
		graceEndsOn := l.terms.LateCharge.AssessedOn(dueOn) - 1
		near := rapid.SampledFrom([]mortgage.Date{dueOn - 1, dueOn, dueOn + 1, graceEndsOn, graceEndsOn + 1}).Draw(t, "near")
		r := drawReceipt(t, l.terms, l.state, near+mortgage.Date(rapid.OneOf(
			rapid.Just(0), rapid.IntRange(-35, 35),
		).Draw(t, "days")))
		r.Amount = min(r.Amount, large)
		r.Ref = fmt.Sprintf("%d-%d", rapid.IntRange(0, 9).Draw(t, "ref"), i)
		r.Designation = rapid.SampledFrom([]mortgage.Designation{
			"", mortgage.ForPeriodic, mortgage.ForPeriodic, mortgage.ForPrincipal, mortgage.ForEscrow, mortgage.ForLateCharge,
		}).Draw(t, "for")
		receipts[i] = r
	}
	return receipts
}

// pass lets some time pass, or none.
func pass(t *rapid.T, b *servicer) {
	b.advance(t, b.state.AsOf+mortgage.Date(rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 200)).Draw(t, "days pass")))
}

// keepBooks is the property: in whatever order receipts arrive, are reversed, and
// time passes between, the books are at every moment those of the history. So any
// two orders that count the same receipts end in the same books.
func keepBooks(t *rapid.T) {
	l := drawCharging(t)
	b := newServicer(l.terms, l.state)
	for i, r := range rapid.Permutation(drawReceipts(t, l, 12)).Draw(t, "arrive") {
		pass(t, b)
		b.check(t)
		b.receive(t, r)
		b.check(t)
		switch rapid.IntRange(0, 11).Draw(t, "and") {
		case 0, 1:
			if len(b.counted) == 0 {
				continue
			}
			b.reverse(t, rapid.SampledFrom(b.counted).Draw(t, "this comes back").Ref)
		case 2:
			b.charge(t, mortgage.Fee{
				Ref: fmt.Sprint(i), Amount: 1 + drawCents(t, "fee", 50_00), Rule: mortgage.RuleReturnedPaymentFee,
				ChargedOn: r.ReceivedOn + mortgage.Date(rapid.IntRange(-20, 40).Draw(t, "charged")),
			})
		case 3:
			b.change(t, drawChanges(t, l))
		case 4, 5:
			b.payOut(t, mortgage.Disbursement{
				Ref: fmt.Sprint(i), Amount: 1 + drawCents(t, "bill", 5_000_00), Kind: mortgage.KindEscrowDisbursement,
				Rule:     mortgage.RuleEscrowDisbursement,
				PaidOn:   r.ReceivedOn + mortgage.Date(rapid.IntRange(-20, 40).Draw(t, "paid")),
				Returned: rapid.IntRange(0, 5).Draw(t, "came back") == 0,
			})
		}
		b.check(t)
	}
	pass(t, b)
	b.check(t)
}

func TestBooksKeptInAnyOrderOfArrival(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		for range 4 {
			keepBooks(t)
		}
	})
}

func FuzzBooksKeptInAnyOrderOfArrival(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(keepBooks))
}

// A payment that came back leaves every balance, the due date, what is held and
// what was charged as if it had never come, however early in the history it was.
func TestReversalRestoresTheBooks(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawCharging(t)
		receipts := drawReceipts(t, l, 8)
		without, with := newServicer(l.terms, l.state), newServicer(l.terms, l.state)
		for _, r := range receipts[1:] {
			without.receive(t, r)
			with.receive(t, r)
		}
		if !with.receive(t, receipts[0]) {
			return // The loan is paid off without it.
		}
		pass(t, with)
		with.reverse(t, receipts[0].Ref)
		without.advance(t, with.state.AsOf)
		if with.state != without.state || !slices.Equal(with.entries(), without.entries()) {
			t.Fatalf("with %+v posted and reversed: %+v,\n%+v\nwant %+v,\n%+v",
				receipts[0], with.state, with.entries(), without.state, without.entries())
		}
		with.check(t)
	})
}

// chargesOf returns the late charges that the history calls for, worked out due
// date by due date, from the entries that have to do with no late charge.
func chargesOf(t *rapid.T, l loan, through mortgage.Date, entries []mortgage.Entry) []mortgage.Entry {
	p, s := l.terms.LateCharge, l.state
	var want []mortgage.Entry
	for i, dueOn := 0, l.state.NextDueOn; dueOn <= min(through, l.terms.MaturityOn); {
		assessedOn := p.AssessedOn(dueOn)
		for i < len(entries) && (entries[i].EffectiveOn < assessedOn ||
			entries[i].EffectiveOn == assessedOn && entries[i].Ref == "") {
			var err error
			s, err = l.terms.After(s, entries[i])
			must(t, err)
			i++
		}
		lines, err := l.terms.Schedule(s, 70)
		must(t, err)
		for _, line := range lines {
			if line.DueOn != dueOn || assessedOn <= l.terms.BoardedOn || assessedOn > through ||
				slices.Contains(l.terms.Changes.WaivedLateCharges, dueOn) {
				continue
			}
			amount, err := p.Amount(min(line.Interest+line.Principal, l.terms.PrincipalAndInterestFor(dueOn)))
			must(t, err)
			if amount > 0 {
				want = append(want, mortgage.Entry{
					Kind: mortgage.KindLateCharge, EffectiveOn: assessedOn, DueOn: dueOn, Rule: mortgage.RuleLateChargeAssessed,
					Postings: mortgage.Postings{LateChargesReceivable: amount, LateChargeIncome: -amount},
				})
			}
		}
		dueOn, err = dueOn.AddMonths(1, l.terms.DueDay)
		must(t, err)
	}
	return want
}

// Every installment that is unpaid when its grace ends is charged, once, and no
// other; and what is held never makes up an installment that is due.
func TestBooksChargeWhatIsLateAndHoldWhatIsShort(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := drawCharging(t)
		h := mortgage.History{Boarded: l.state, Receipts: drawReceipts(t, l, 8)}
		h.Through = l.terms.BoardedOn + mortgage.Date(rapid.IntRange(1, 1_900).Draw(t, "days"))
		for _, r := range h.Receipts {
			h.Through = max(h.Through, r.ReceivedOn)
		}
		state, entries, err := l.terms.Books(h)
		must(t, err)

		var charges, others []mortgage.Entry
		for _, e := range entries {
			switch e.Kind {
			case mortgage.KindLateCharge:
				charges = append(charges, e)
			case mortgage.KindLateChargePayment, mortgage.KindFeePayment:
			default:
				others = append(others, e)
			}
		}
		if want := chargesOf(t, l, h.Through, others); !slices.Equal(charges, want) {
			t.Fatalf("Books(%+v) charges %+v; want %+v", h, charges, want)
		}
		in, ok, err := l.terms.NextInstallment(state)
		must(t, err)
		if ok && in.DueOn <= h.Through && state.Suspense >= in.Total() {
			t.Fatalf("Books(%+v) leads to %+v; want what is held used for the %d that is due", h, state, in.Total())
		}
	})
}

// story is what happens to the loan of chargingTerms and roundState, and the rows
// that its last event adds.
type story struct {
	change func(*mortgage.Terms, *mortgage.State)
	before func(*testing.T, *servicer)
	last   func(*testing.T, *servicer)
	want   []mortgage.Correction
	left   mortgage.State
}

// returnedFee is charged for a payment that came back.
func returnedFee(chargedOn string) mortgage.Fee {
	return mortgage.Fee{Ref: "r", Amount: 25_00, ChargedOn: day(chargedOn), Rule: mortgage.RuleReturnedPaymentFee}
}

func fee(cents mortgage.Cents) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindFee, EffectiveOn: on, Rule: mortgage.RuleReturnedPaymentFee,
			Postings: mortgage.Postings{FeesReceivable: cents, FeeIncome: -cents},
		}
	}
}

func feePayment(cents mortgage.Cents) func(mortgage.Date) mortgage.Entry {
	return func(on mortgage.Date) mortgage.Entry {
		return mortgage.Entry{
			Kind: mortgage.KindFeePayment, EffectiveOn: on, Rule: mortgage.RuleLateCharges,
			Postings: mortgage.Postings{Cash: cents, FeesReceivable: -cents},
		}
	}
}

func add(e mortgage.Entry) mortgage.Correction { return mortgage.Correction{Entry: e} }

// undo is the opposite of an entry that stands in that row.
func undo(seq int32, e mortgage.Entry) mortgage.Correction {
	e.Kind, e.Rule = mortgage.KindReversal, mortgage.RuleCorrection
	e.Postings = mortgage.Postings{}.Minus(e.Postings)
	return mortgage.Correction{Reverses: seq, Entry: e}
}

func TestCorrections(t *testing.T) {
	t.Parallel()

	jan := installment("2026-01-01", 500_00, 300_00, 0)
	feb := installment("2026-02-01", 498_50, 301_50, 0)
	janCharge := charged("2026-01-01", "2026-01-17", 40_00)
	febCharge := charged("2026-02-01", "2026-02-17", 40_00)
	receive := func(r mortgage.Receipt) func(*testing.T, *servicer) {
		return func(t *testing.T, b *servicer) { t.Helper(); b.receive(t, r) }
	}
	through := func(s string, receipts ...mortgage.Receipt) func(*testing.T, *servicer) {
		return func(t *testing.T, b *servicer) {
			t.Helper()

			for _, r := range receipts {
				b.receive(t, r)
			}
			b.advance(t, day(s))
		}
	}
	reverse := func(ref string) func(*testing.T, *servicer) {
		return func(t *testing.T, b *servicer) { t.Helper(); b.reverse(t, ref) }
	}
	paidJanuary := mortgage.State{
		Principal: 99_700_00, Escrow: 200_00, NextDueOn: day("2026-02-01"), AsOf: day("2026-01-31"),
	}

	runStories(t, map[string]story{
		"a payment that was there on the tenth waives the charge that would not have arisen": {
			before: through("2026-01-31"), last: receive(receipt("a", "2026-01-10", 1_000_00)),
			want: []mortgage.Correction{undo(2, janCharge), add(of("a", "2026-01-10", jan))},
			left: paidJanuary,
		},
		"one that was there on the twentieth waives none": {
			before: through("2026-01-31"), last: receive(receipt("a", "2026-01-20", 1_000_00)),
			want: []mortgage.Correction{add(of("a", "2026-01-20", jan))},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 40_00, NextDueOn: day("2026-02-01"),
				AsOf: day("2026-01-31"), LateChargedThrough: day("2026-01-01"),
			},
		},
		"what still arises is charged again": {
			before: through("2026-02-28"), last: receive(receipt("a", "2026-01-10", 1_000_00)),
			want: []mortgage.Correction{
				undo(3, febCharge), undo(2, janCharge), add(of("a", "2026-01-10", jan)), add(febCharge),
			},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 40_00, NextDueOn: day("2026-02-01"),
				AsOf: day("2026-02-28"), LateChargedThrough: day("2026-02-01"),
			},
		},
		"the correction that docs/arithmetic.md works out": {
			before: through("2026-02-28", receipt("b", "2026-01-20", 1_000_00)),
			last:   receive(receipt("a", "2026-01-10", 1_000_00)),
			want: []mortgage.Correction{
				undo(4, febCharge), undo(3, of("b", "2026-01-20", jan)), undo(2, janCharge),
				add(of("a", "2026-01-10", jan)), add(of("b", "2026-01-20", feb)),
			},
			left: mortgage.State{
				Principal: 99_398_50, Escrow: 400_00, NextDueOn: day("2026-03-01"), AsOf: day("2026-02-28"),
			},
		},
		"and the return of its check": {
			before: func(t *testing.T, b *servicer) {
				t.Helper()

				through("2026-02-28", receipt("b", "2026-01-20", 1_000_00))(t, b)
				b.receive(t, receipt("a", "2026-01-10", 1_000_00))
			},
			last: reverse("a"),
			want: []mortgage.Correction{
				undo(9, of("b", "2026-01-20", feb)), undo(8, of("a", "2026-01-10", jan)),
				add(janCharge), add(of("b", "2026-01-20", jan)), add(febCharge),
			},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 80_00, NextDueOn: day("2026-02-01"),
				AsOf: day("2026-02-28"), LateChargedThrough: day("2026-02-01"),
			},
		},
		"a waived charge that was paid becomes excess": {
			before: through("2026-01-31", receipt("b", "2026-01-20", 1_040_00)),
			last:   receive(receipt("a", "2026-01-10", 1_000_00)),
			want: []mortgage.Correction{
				undo(4, of("b", "2026-01-20", lateCharges(40_00))), undo(3, of("b", "2026-01-20", jan)), undo(2, janCharge),
				add(of("a", "2026-01-10", jan)), add(of("b", "2026-01-20", feb)), add(of("b", "2026-01-20", curtailment(40_00))),
			},
			left: mortgage.State{
				Principal: 99_358_50, Escrow: 400_00, NextDueOn: day("2026-03-01"), AsOf: day("2026-01-31"),
			},
		},
		"a payment that comes back brings the charge that it prevented": {
			before: through("2026-01-31", receipt("a", "2026-01-05", 1_000_00)), last: reverse("a"),
			want: []mortgage.Correction{undo(2, of("a", "2026-01-05", jan)), add(janCharge)},
			left: mortgage.State{
				Principal: 100_000_00, LateChargesDue: 40_00, NextDueOn: day("2026-01-01"),
				AsOf: day("2026-01-31"), LateChargedThrough: day("2026-01-01"),
			},
		},
		"one that comes back before the grace ends brings none": {
			before: through("2026-01-16", receipt("a", "2026-01-05", 1_000_00)), last: reverse("a"),
			want: []mortgage.Correction{undo(2, of("a", "2026-01-05", jan))},
			left: mortgage.State{Principal: 100_000_00, NextDueOn: day("2026-01-01"), AsOf: day("2026-01-16")},
		},
		"a payment on top of one that comes back takes its place": {
			before: through("2026-02-05", receipt("a", "2026-01-05", 1_000_00), receipt("b", "2026-02-03", 1_000_00)),
			last:   reverse("a"),
			want: []mortgage.Correction{
				undo(3, of("b", "2026-02-03", feb)), undo(2, of("a", "2026-01-05", jan)),
				add(janCharge), add(of("b", "2026-02-03", jan)),
			},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, LateChargesDue: 40_00, NextDueOn: day("2026-02-01"),
				AsOf: day("2026-02-05"), LateChargedThrough: day("2026-01-01"),
			},
		},
		"the latest payment that comes back disturbs nothing before it": {
			before: through("2026-02-05", receipt("a", "2026-01-05", 1_000_00), receipt("b", "2026-02-03", 1_000_00)),
			last:   reverse("b"),
			want:   []mortgage.Correction{undo(3, of("b", "2026-02-03", feb))},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, NextDueOn: day("2026-02-01"), AsOf: day("2026-02-05"),
			},
		},
		"a receipt with the earlier reference goes before another of its day": {
			before: through("2026-01-05", receipt("b", "2026-01-05", 600_00)),
			last:   receive(receipt("a", "2026-01-05", 400_00)),
			want: []mortgage.Correction{
				undo(2, of("b", "2026-01-05", held(600_00, partial))),
				add(of("a", "2026-01-05", held(400_00, partial))),
				add(of("b", "2026-01-05", installment("2026-01-01", 500_00, 300_00, 400_00))),
			},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, NextDueOn: day("2026-02-01"), AsOf: day("2026-01-05"),
			},
		},
		"the clock that ran past a receipt runs again": {
			// The books hold nothing, and so the receipt is posted at their end: with
			// February, which it pays and which has fallen due meanwhile.
			change: func(t *mortgage.Terms, _ *mortgage.State) {
				t.ExcessPolicy, t.LateCharge = mortgage.ExcessToSuspense, mortgage.LateChargePolicy{}
			},
			before: through("2026-02-10"), last: receive(receipt("a", "2026-01-01", 2_000_00)),
			want: []mortgage.Correction{
				add(of("a", "2026-01-01", jan)), add(of("a", "2026-01-01", held(1_000_00, excess))),
				add(on("2026-02-01", installment("2026-02-01", 498_50, 301_50, 1_000_00))),
			},
			left: mortgage.State{
				Principal: 99_398_50, Escrow: 400_00, NextDueOn: day("2026-03-01"), AsOf: day("2026-02-10"),
			},
		},
		"money accepted before a payoff became known is held": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 500_00 },
			before: through("2026-01-10", receipt("b", "2026-01-10", 300_00)),
			last:   receive(receipt("a", "2026-01-05", 702_50)),
			want: []mortgage.Correction{
				undo(2, of("b", "2026-01-10", held(300_00, partial))),
				add(of("a", "2026-01-05", installment("2026-01-01", 2_50, 500_00, 0))),
				add(of("b", "2026-01-10", held(300_00, overpaid))),
			},
			left: mortgage.State{
				Escrow: 200_00, Suspense: 300_00, NextDueOn: day("2026-02-01"), PaidOffOn: day("2026-01-05"),
				AsOf: day("2026-01-10"),
			},
		},
		"so is money accepted after a day on which held money pays the loan off": {
			// What is held after the earlier receipt satisfies the last installment on
			// 1 February, before the money of the tenth.
			change: func(t *mortgage.Terms, s *mortgage.State) {
				t.ExcessPolicy, s.Principal = mortgage.ExcessToSuspense, 1_200_00
			},
			before: through("2026-02-10", receipt("b", "2026-01-05", 1_000_00), receipt("c", "2026-02-10", 500_00)),
			last:   receive(receipt("a", "2026-01-04", 700_00)),
			want: []mortgage.Correction{
				undo(3, of("c", "2026-02-10", held(500_00, partial))),
				undo(2, of("b", "2026-01-05", installment("2026-01-01", 6_00, 794_00, 0))),
				add(of("a", "2026-01-04", held(700_00, partial))),
				add(of("b", "2026-01-05", installment("2026-01-01", 6_00, 794_00, 700_00))),
				add(of("b", "2026-01-05", held(700_00, excess))),
				add(on("2026-02-01", installment("2026-02-01", 2_03, 406_00, 608_03))),
				add(of("c", "2026-02-10", held(500_00, overpaid))),
			},
			left: mortgage.State{
				Escrow: 400_00, Suspense: 591_97, NextDueOn: day("2026-03-01"), PaidOffOn: day("2026-02-01"),
				AsOf: day("2026-02-10"),
			},
		},
		"a fee for a payment that came back is paid after late charges, before excess": {
			before: through("2026-01-20", receipt("a", "2026-01-05", 1_000_00)),
			last: func(t *testing.T, b *servicer) {
				t.Helper()

				b.fees = append(b.fees, returnedFee("2026-01-09"))
				b.reverse(t, "a")
				b.receive(t, receipt("b", "2026-01-21", 1_100_00))
			},
			want: []mortgage.Correction{
				undo(2, of("a", "2026-01-05", jan)), add(on("2026-01-09", fee(25_00))), add(janCharge),
				add(of("b", "2026-01-21", jan)), add(of("b", "2026-01-21", lateCharges(40_00))),
				add(of("b", "2026-01-21", feePayment(25_00))), add(of("b", "2026-01-21", curtailment(35_00))),
			},
			left: mortgage.State{
				Principal: 99_665_00, Escrow: 200_00, NextDueOn: day("2026-02-01"),
				AsOf: day("2026-01-21"), LateChargedThrough: day("2026-01-01"),
			},
		},
		"a fee of a day goes before its receipts": {
			before: through("2026-01-05", receipt("a", "2026-01-05", 1_010_00)),
			last:   func(t *testing.T, b *servicer) { t.Helper(); b.charge(t, returnedFee("2026-01-05")) },
			want: []mortgage.Correction{
				undo(3, of("a", "2026-01-05", curtailment(10_00))), undo(2, of("a", "2026-01-05", jan)),
				add(on("2026-01-05", fee(25_00))), add(of("a", "2026-01-05", jan)), add(of("a", "2026-01-05", feePayment(10_00))),
			},
			left: mortgage.State{
				Principal: 99_700_00, Escrow: 200_00, FeesDue: 15_00, NextDueOn: day("2026-02-01"), AsOf: day("2026-01-05"),
			},
		},
		"a fee is not charged on a loan that is paid off": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 500_00 },
			before: through("2026-01-10", receipt("a", "2026-01-05", 702_50)),
			last:   func(t *testing.T, b *servicer) { t.Helper(); b.charge(t, returnedFee("2026-01-09")) },
			left: mortgage.State{
				Escrow: 200_00, NextDueOn: day("2026-02-01"), PaidOffOn: day("2026-01-05"), AsOf: day("2026-01-10"),
			},
		},
		"a rate that was higher from a month ago": {
			before: through("2026-02-28", receipt("a", "2026-01-05", 1_000_00), receipt("b", "2026-02-05", 1_000_00)),
			last: func(t *testing.T, b *servicer) {
				t.Helper()

				b.change(t, b.terms.WithRate(mortgage.RateChange{DueOn: day("2026-02-01"), Rate: 72_000}))
			},
			want: []mortgage.Correction{
				undo(3, of("b", "2026-02-05", feb)), add(of("b", "2026-02-05", installment("2026-02-01", 598_20, 201_80, 0))),
			},
			left: mortgage.State{
				Principal: 99_498_20, Escrow: 400_00, NextDueOn: day("2026-03-01"), AsOf: day("2026-02-28"),
			},
		},
		"a late charge that is waived after it was paid becomes excess": {
			before: through("2026-01-31", receipt("b", "2026-01-20", 1_040_00)),
			last: func(t *testing.T, b *servicer) {
				t.Helper()

				b.change(t, b.terms.WithoutLateCharge(day("2026-01-01")))
			},
			want: []mortgage.Correction{
				undo(4, of("b", "2026-01-20", lateCharges(40_00))), undo(3, of("b", "2026-01-20", jan)), undo(2, janCharge),
				add(of("b", "2026-01-20", jan)), add(of("b", "2026-01-20", curtailment(40_00))),
			},
			left: mortgage.State{
				Principal: 99_660_00, Escrow: 200_00, NextDueOn: day("2026-02-01"), AsOf: day("2026-01-31"),
			},
		},
		"a payoff that comes back opens the loan again": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = 500_00 },
			before: through("2026-03-31", receipt("a", "2026-01-05", 702_50)), last: reverse("a"),
			want: []mortgage.Correction{
				undo(2, of("a", "2026-01-05", installment("2026-01-01", 2_50, 500_00, 0))),
				add(charged("2026-01-01", "2026-01-17", 25_13)),
			},
			left: mortgage.State{
				Principal: 500_00, LateChargesDue: 25_13, NextDueOn: day("2026-01-01"),
				AsOf: day("2026-03-31"), LateChargedThrough: day("2026-01-01"),
			},
		},
	})
}

func runStories(t *testing.T, tests map[string]story) {
	t.Helper()

	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, boarded := chargingTerms(), roundState()
			if c.change != nil {
				c.change(&terms, &boarded)
			}
			boarded.AsOf = terms.BoardedOn
			b := newServicer(terms, boarded)
			c.before(t, b)
			b.check(t)
			rows := len(b.ledger)
			c.last(t, b)
			b.check(t)
			if got := b.ledger[rows:]; !slices.Equal(got, c.want) {
				t.Errorf("the last event of %+v adds\n%+v\nwant\n%+v", b.history(), got, c.want)
			}
			if b.state != c.left {
				t.Errorf("%+v leads to %+v; want %+v", b.history(), b.state, c.left)
			}
		})
	}
}

func TestPostRefusedChangesNothing(t *testing.T) {
	t.Parallel()

	// Held money repays the loan on 1 January, before the receipt.
	terms, state := chargingTerms(), roundState()
	state.Principal, state.Suspense, state.AsOf = 500_00, 702_50, terms.BoardedOn
	late := receipt("a", "2026-01-05", 100_00)
	got, entries, err := terms.Post(state, late)
	if got != (mortgage.State{}) || entries != nil || !errors.Is(err, mortgage.ErrPaidOff) {
		t.Errorf("Post(%+v, %+v) = %+v, %+v, %v; want nothing and ErrPaidOff", state, late, got, entries, err)
	}
	late.Amount = 0
	h := mortgage.History{Boarded: state, Receipts: []mortgage.Receipt{late}, Through: late.ReceivedOn}
	got, entries, err = terms.Books(h)
	if got != (mortgage.State{}) || entries != nil || !errors.Is(err, mortgage.ErrNotAmount) {
		t.Errorf("Books(%+v) = %+v, %+v, %v; want nothing and ErrNotAmount", h, got, entries, err)
	}
}

func TestFollows(t *testing.T) {
	t.Parallel()

	r := receipt("m", "2026-01-10", 1)
	tests := map[string]struct {
		lastOn  mortgage.Date
		lastRef string
		want    bool
	}{
		"nothing":                                    {want: true},
		"an entry of the day before":                 {lastOn: day("2026-01-09"), lastRef: "z", want: true},
		"what the day itself brought":                {lastOn: day("2026-01-10"), want: true},
		"a receipt of the day, earlier by reference": {lastOn: day("2026-01-10"), lastRef: "l", want: true},
		"the receipt itself":                         {lastOn: day("2026-01-10"), lastRef: "m"},
		"a receipt of the day, later by reference":   {lastOn: day("2026-01-10"), lastRef: "n"},
		"an entry of the next day":                   {lastOn: day("2026-01-11")},
	}
	for name, tt := range tests {
		t.Run("after "+name, func(t *testing.T) {
			t.Parallel()

			if got := r.Follows(tt.lastOn, tt.lastRef); got != tt.want {
				t.Errorf("%+v.Follows(%s, %q) = %v; want %v", r, tt.lastOn, tt.lastRef, got, tt.want)
			}
		})
	}
}

func TestCorrect(t *testing.T) {
	t.Parallel()

	entry := func(ref string, cents mortgage.Cents) mortgage.Entry {
		return of(ref, "2026-01-10", held(cents, partial))
	}
	posted := func(entries ...mortgage.Entry) []mortgage.Posted {
		have := make([]mortgage.Posted, 0, len(entries))
		for i, e := range entries {
			have = append(have, mortgage.Posted{Seq: int32(10 * (i + 1)), Entry: e}) // Rows that were undone lie between.
		}
		return have
	}
	a1, a2, a3, b1, b2, time1, time2 := entry("a", 1), entry("a", 2), entry("a", 3),
		entry("b", 4), entry("b", 5), entry("", 6), entry("", 7)
	tests := map[string]struct {
		have []mortgage.Posted
		want []mortgage.Entry
		step []mortgage.Correction
	}{
		"nothing is right already": {},
		"equal books are right":    {have: posted(a1, a2, time1, b1), want: []mortgage.Entry{a1, a2, time1, b1}},
		"all is missing":           {want: []mortgage.Entry{a1, b1}, step: []mortgage.Correction{add(a1), add(b1)}},
		"all is too much, the latest first": {
			have: posted(a1, b1), step: []mortgage.Correction{undo(20, b1), undo(10, a1)},
		},
		"what is missing at the end is added": {
			have: posted(a1), want: []mortgage.Entry{a1, b1}, step: []mortgage.Correction{add(b1)},
		},
		"what comes before others goes under them": {
			have: posted(time1, b1), want: []mortgage.Entry{time1, a1, b1},
			step: []mortgage.Correction{undo(20, b1), add(a1), add(b1)},
		},
		"a receipt that differs in its last entry is undone whole": {
			have: posted(time1, a1, a2), want: []mortgage.Entry{time1, a1, a3},
			step: []mortgage.Correction{undo(30, a2), undo(20, a1), add(a1), add(a3)},
		},
		"so is one that gets longer": {
			have: posted(b1, a1), want: []mortgage.Entry{b1, a1, a2},
			step: []mortgage.Correction{undo(20, a1), add(a1), add(a2)},
		},
		"so is one that gets shorter": {
			have: posted(b1, a1, a2), want: []mortgage.Entry{b1, a1},
			step: []mortgage.Correction{undo(30, a2), undo(20, a1), add(a1)},
		},
		"so is one that gets shorter before another": {
			have: posted(a1, a2, b1), want: []mortgage.Entry{a1, b1},
			step: []mortgage.Correction{undo(30, b1), undo(20, a2), undo(10, a1), add(a1), add(b1)},
		},
		"the receipt before the difference stays": {
			have: posted(a1, a2, b1), want: []mortgage.Entry{a1, a2, b2},
			step: []mortgage.Correction{undo(30, b1), add(b2)},
		},
		"what no receipt causes is not kept together": {
			have: posted(time1, time2), want: []mortgage.Entry{time1}, step: []mortgage.Correction{undo(20, time2)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := mortgage.Correct(tt.have, tt.want); !slices.Equal(got, tt.step) {
				t.Errorf("Correct(%+v, %+v) =\n%+v\nwant\n%+v", tt.have, tt.want, got, tt.step)
			}
		})
	}
}
