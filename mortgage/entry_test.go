package mortgage_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"loanserve/mortgage"
)

// checkEntries compares the entries of one event, and refuses an error.
func checkEntries(t *testing.T, got, want []mortgage.Entry, err error) {
	t.Helper()

	if err != nil {
		t.Errorf("refused: %v; want entries %+v", err, want)
		return
	}
	if !slices.Equal(got, want) {
		t.Errorf("the entries are\n%+v\nwant\n%+v", got, want)
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()

	state := mortgage.State{
		Principal: 1_000_00, Escrow: 100_00, Suspense: 50_00, LateChargesDue: 40_00, NextDueOn: day("2026-01-01"),
	}
	tests := map[string]struct {
		kind  mortgage.Kind
		dueOn string
		post  mortgage.Postings
		want  func(*mortgage.State)
		err   error
	}{
		"nothing changes nothing": {
			kind: mortgage.KindUnapplied, want: func(*mortgage.State) {},
		},
		"an installment moves every balance and the due date": {
			kind: mortgage.KindInstallment, dueOn: "2026-01-01",
			post: mortgage.Postings{Cash: 250_00, Suspense: 50_00, InterestIncome: -5_00, Principal: -95_00, Escrow: -200_00},
			want: func(s *mortgage.State) {
				s.Principal, s.Escrow, s.Suspense, s.NextDueOn = 905_00, 300_00, 0, day("2026-02-01")
			},
		},
		"a curtailment leaves the due date": {
			kind: mortgage.KindCurtailment, post: mortgage.Postings{Cash: 1_00, Principal: -1_00},
			want: func(s *mortgage.State) { s.Principal = 999_00 },
		},
		"all of the principal may go": {
			kind: mortgage.KindCurtailment, post: mortgage.Postings{Cash: 1_000_00, Principal: -1_000_00},
			want: func(s *mortgage.State) { s.Principal, s.PaidOffOn = 0, s.NextDueOn },
		},
		"suspense grows with a credit": {
			kind: mortgage.KindUnapplied, post: mortgage.Postings{Cash: 1_00, Suspense: -1_00},
			want: func(s *mortgage.State) { s.Suspense = 51_00 },
		},
		"late charges shrink when they are paid": {
			kind: mortgage.KindLateChargePayment, post: mortgage.Postings{Cash: 40_00, LateChargesReceivable: -40_00},
			want: func(s *mortgage.State) { s.LateChargesDue = 0 },
		},
		"an entry that does not balance": {
			kind: mortgage.KindCurtailment, post: mortgage.Postings{Cash: 1_00, Principal: -99}, err: mortgage.ErrUnbalanced,
		},
		"a cent more principal than is owed": {
			kind: mortgage.KindCurtailment,
			post: mortgage.Postings{Cash: 1_000_01, Principal: -1_000_01}, err: mortgage.ErrImpossible,
		},
		"a cent more escrow than is held": {
			kind: mortgage.KindUnapplied, post: mortgage.Postings{Cash: -100_01, Escrow: 100_01}, err: mortgage.ErrImpossible,
		},
		"a cent more suspense than is held": {
			kind: mortgage.KindUnapplied, post: mortgage.Postings{Cash: -50_01, Suspense: 50_01}, err: mortgage.ErrImpossible,
		},
		"a cent more late charges than are due": {
			kind: mortgage.KindLateChargePayment,
			post: mortgage.Postings{Cash: 40_01, LateChargesReceivable: -40_01}, err: mortgage.ErrImpossible,
		},
		"an installment that is not the oldest": {
			kind: mortgage.KindInstallment, dueOn: "2026-02-01",
			post: mortgage.Postings{Cash: 1_00, Principal: -1_00}, err: mortgage.ErrImpossible,
		},
		"an installment without a due date": {
			kind: mortgage.KindInstallment, post: mortgage.Postings{Cash: 1_00, Principal: -1_00}, err: mortgage.ErrImpossible,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := mortgage.Entry{Kind: tt.kind, EffectiveOn: day("2026-01-01"), Postings: tt.post}
			if tt.dueOn != "" {
				e.DueOn = day(tt.dueOn)
			}
			want := mortgage.State{}
			if tt.want != nil {
				want = state
				tt.want(&want)
			}
			got, err := roundTerms().After(state, e)
			if got != want || !errors.Is(err, tt.err) {
				t.Errorf("After(%+v, %+v) = %+v, %v; want %+v, %v", state, e, got, err, want, tt.err)
			}
		})
	}
}

func TestAfterTheLastMonthOfTheCalendar(t *testing.T) {
	t.Parallel()

	state := mortgage.State{NextDueOn: day("9999-12-01")}
	e := mortgage.Entry{Kind: mortgage.KindInstallment, DueOn: state.NextDueOn}
	if got, err := roundTerms().After(state, e); got != (mortgage.State{}) || !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("After(%+v, %+v) = %+v, %v; want ErrNotDate", state, e, got, err)
	}
}

// A loan's books begin with its boarding entry, so that adding up all entries
// from nothing gives the state.
func TestBoardingOpensTheBooks(t *testing.T) {
	t.Parallel()

	state := mortgage.State{
		Principal: 1_000_00, Escrow: 100_00, Suspense: 50_00, LateChargesDue: 40_00, NextDueOn: day("2026-01-01"),
	}
	got := mortgage.Boarding(state, day("2025-12-15"))
	want := mortgage.Entry{
		Kind: mortgage.KindBoarding, EffectiveOn: day("2025-12-15"), Rule: mortgage.RuleBoarding,
		Postings: mortgage.Postings{
			Principal: 1_000_00, Escrow: -100_00, Suspense: -50_00, LateChargesReceivable: 40_00, BoardingClearing: -890_00,
		},
	}
	if got != want {
		t.Errorf("Boarding(%+v) = %+v; want %+v", state, got, want)
	}
	opened, err := roundTerms().After(mortgage.State{NextDueOn: state.NextDueOn}, got)
	if opened != state || err != nil {
		t.Errorf("After(nothing, %+v) = %+v, %v; want %+v", got, opened, err, state)
	}
}

// Sum and Plus name every account one by one, so that a new one could be
// forgotten in either.
func TestSumAndPlusReachEveryAccount(t *testing.T) {
	t.Parallel()

	var all mortgage.Postings
	accounts := reflect.TypeFor[mortgage.Postings]()
	for i := range accounts.NumField() {
		var p, twice mortgage.Postings
		reflect.ValueOf(&p).Elem().Field(i).SetInt(1 << i)
		reflect.ValueOf(&twice).Elem().Field(i).SetInt(2 << i)
		if got := p.Sum(); got != 1<<i {
			t.Errorf("%+v.Sum() = %d; want %d, for %s", p, got, 1<<i, accounts.Field(i).Name)
		}
		if got := p.Plus(p); got != twice {
			t.Errorf("%+v.Plus(itself) = %+v; want %+v", p, got, twice)
		}
		all = all.Plus(p)
	}
	if want := mortgage.Cents(1)<<accounts.NumField() - 1; all.Sum() != want {
		t.Errorf("%+v.Sum() = %d; want %d", all, all.Sum(), want)
	}
}
