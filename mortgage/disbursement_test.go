package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

func taxPaid(paidOn string, amount mortgage.Cents) mortgage.Disbursement {
	return mortgage.Disbursement{
		Ref: "tax", Amount: amount, PaidOn: day(paidOn), Kind: mortgage.KindEscrowDisbursement,
		Rule: mortgage.RuleEscrowDisbursement,
	}
}

func TestDisbursement(t *testing.T) {
	t.Parallel()

	back := taxPaid("2026-03-20", 700_00)
	back.Returned = true
	for name, tt := range map[string]struct {
		escrow, advance mortgage.Cents
		what            mortgage.Disbursement
		want            mortgage.Postings
	}{
		"escrow has enough": {
			escrow: 1_000_00, what: taxPaid("2026-03-15", 700_00),
			want: mortgage.Postings{Cash: -700_00, Escrow: 700_00},
		},
		"the servicer advances what is missing": {
			escrow: 300_00, what: taxPaid("2026-03-15", 700_00),
			want: mortgage.Postings{Cash: -700_00, Escrow: 300_00, EscrowAdvance: 400_00},
		},
		"all of it when there is nothing": {
			advance: 50_00, what: taxPaid("2026-03-15", 700_00),
			want: mortgage.Postings{Cash: -700_00, EscrowAdvance: 700_00},
		},
		"what comes back repays the advance first": {
			advance: 400_00, what: back, want: mortgage.Postings{Cash: 700_00, Escrow: -300_00, EscrowAdvance: -400_00},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			state := roundState()
			state.Escrow, state.EscrowAdvance = tt.escrow, tt.advance
			after, entries, err := tt.what.Happen(roundTerms(), state)
			if err != nil || len(entries) != 1 || entries[0].Postings != tt.want {
				t.Fatalf("%+v.Happen = %+v, %v; want %+v", tt.what, entries, err, tt.want)
			}
			if after.Escrow-after.EscrowAdvance != tt.escrow-tt.advance+tt.want.Cash {
				t.Errorf("%+v is left; want %d less", after, -tt.want.Cash)
			}
		})
	}
	if _, _, err := taxPaid("2026-03-15", 0).Happen(roundTerms(), roundState()); !errors.Is(err, mortgage.ErrNotAmount) {
		t.Errorf("a bill of nothing: %v; want ErrNotAmount", err)
	}
	noDay := mortgage.Disbursement{Amount: 1}
	if _, _, err := noDay.Happen(roundTerms(), roundState()); !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("a bill of no day: %v; want ErrNotDate", err)
	}
}

// An installment's escrow repays what the servicer has advanced, and a payoff asks
// for what is left of that.
func TestDepositsRepayTheAdvance(t *testing.T) {
	t.Parallel()

	b := newServicer(roundTerms(), roundState())
	b.receive(t, receipt("a", "2026-01-01", 1_000_00)) // 200.00 of escrow
	b.payOut(t, taxPaid("2026-01-15", 550_00))
	b.check(t)
	if b.state.Escrow != 0 || b.state.EscrowAdvance != 350_00 {
		t.Fatalf("after the bill: %+v; want 350.00 advanced", b.state)
	}
	q, err := roundTerms().PayoffQuote(b.state, day("2026-01-01"))
	if err != nil || q.EscrowAdvance != 350_00 || q.Total != 99_700_00+350_00 {
		t.Errorf("PayoffQuote = %+v, %v; want 350.00 of advance in it", q, err)
	}
	b.receive(t, receipt("b", "2026-02-01", 1_000_00))
	b.receive(t, receipt("c", "2026-03-01", 1_000_00))
	b.check(t)
	if b.state.Escrow != 50_00 || b.state.EscrowAdvance != 0 {
		t.Errorf("after two more installments: %+v; want 50.00 in escrow", b.state)
	}
	b.reverse(t, "a") // The bill was paid all the same: the servicer has advanced more.
	b.check(t)
	if b.state.Escrow-b.state.EscrowAdvance != -150_00 {
		t.Errorf("after the first came back: %+v; want 150.00 advanced", b.state)
	}
	b.receive(t, mortgage.Receipt{
		Ref: "p", ReceivedOn: day("2026-03-02"), Amount: 101_000_00, Designation: mortgage.ForPayoff,
	})
	b.check(t)
	if b.state.Principal != 0 || b.state.EscrowAdvance != 0 {
		t.Errorf("after the payoff: %+v; want nothing owed", b.state)
	}
	b.payOut(t, mortgage.Disbursement{
		Ref: "refund", Amount: 1, PaidOn: day("2026-03-10"), Kind: mortgage.KindEscrowRefund, Rule: mortgage.RulePayoffRefund,
	})
	b.check(t)
}
