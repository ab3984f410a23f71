package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

func TestDueDay(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		nextDueOn, maturityOn string
		want                  int
	}{
		"both on the first":                       {"2026-01-01", "2056-01-01", 1},
		"the 31st, next due in February":          {"2026-02-28", "2055-12-31", 31},
		"the 31st, ending in February":            {"2026-01-31", "2056-02-29", 31},
		"the 29th, next due in a common February": {"2026-02-28", "2056-01-29", 29},
		"the 28th": {"2026-02-28", "2056-01-28", 28},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := mortgage.DueDay(day(tt.nextDueOn), day(tt.maturityOn)); got != tt.want {
				t.Errorf("DueDay(%s, %s) = %d; want %d", tt.nextDueOn, tt.maturityOn, got, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		change func(*mortgage.Terms, *mortgage.State)
		err    error
	}{
		"a sound loan": {
			change: func(*mortgage.Terms, *mortgage.State) {},
		},
		"a payment of exactly a month's interest never grows the balance": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.PrincipalAndInterest = 500_00 },
		},
		"a payment one cent below a month's interest": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.PrincipalAndInterest = 499_99 },
			err:    mortgage.ErrPaymentTooSmall,
		},
		"a next due date beside the due day": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.NextDueOn = day("2026-01-02") },
			err:    mortgage.ErrNotDueDate,
		},
		"the last of February for a loan due on the 31st": {
			change: func(t *mortgage.Terms, s *mortgage.State) { t.DueDay, s.NextDueOn = 31, day("2026-02-28") },
		},
		"the 28th of a leap February for a loan due on the 31st": {
			change: func(t *mortgage.Terms, s *mortgage.State) { t.DueDay, s.NextDueOn = 31, day("2028-02-28") },
			err:    mortgage.ErrNotDueDate,
		},
		"no next due date": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.NextDueOn = 0 },
			err:    mortgage.ErrNotDueDate,
		},
		"a due day that no month has": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.DueDay = 0 },
			err:    mortgage.ErrNotDueDate,
		},
		"one installment left, at maturity": {
			change: func(t *mortgage.Terms, s *mortgage.State) { s.NextDueOn = t.MaturityOn },
		},
		"a next due date a month after maturity": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.NextDueOn = day("2042-07-01") },
			err:    mortgage.ErrPastMaturity,
		},
		"no maturity date": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.MaturityOn = 0 },
			err:    mortgage.ErrPastMaturity,
		},
		"a rate above the highest": {
			change: func(t *mortgage.Terms, _ *mortgage.State) { t.Rate = mortgage.MaxRate + 1 },
			err:    mortgage.ErrRange,
		},
		"principal above the largest balance": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = mortgage.MaxBalance + 1 },
			err:    mortgage.ErrRange,
		},
		"negative principal": {
			change: func(_ *mortgage.Terms, s *mortgage.State) { s.Principal = -1 },
			err:    mortgage.ErrRange,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms, state := roundTerms(), roundState()
			tt.change(&terms, &state)
			if err := terms.Check(state); !errors.Is(err, tt.err) {
				t.Errorf("%+v.Check(%+v) = %v; want %v", terms, state, err, tt.err)
			}
		})
	}
}

func TestNextInstallment(t *testing.T) {
	t.Parallel()

	const due = "2026-01-01"
	tests := map[string]struct {
		principal, payment mortgage.Cents // payment of principal and interest
		maturityOn         string
		interest, repaid   mortgage.Cents
		none               bool
		err                error
	}{
		"a month's interest, and the rest is principal": {
			principal: 100_000_00, payment: 800_00, interest: 500_00, repaid: 300_00,
		},
		"a payment of just the interest repays nothing": {
			principal: 100_000_00, payment: 500_00, interest: 500_00, repaid: 0,
		},
		"a payment below the interest is refused": {
			principal: 100_000_00, payment: 499_99, err: mortgage.ErrPaymentTooSmall,
		},
		"a payment that just suffices for all is the last": {
			principal: 796_02, payment: 800_00, interest: 3_98, repaid: 796_02,
		},
		"a payment one cent short of all is not the last": {
			principal: 796_03, payment: 800_00, interest: 3_98, repaid: 796_02,
		},
		"the last installment is what is owed, not the note's payment": {
			principal: 500_00, payment: 800_00, interest: 2_50, repaid: 500_00,
		},
		"a last cent bears no interest": {
			principal: 1, payment: 800_00, interest: 0, repaid: 1,
		},
		"at maturity a balloon takes all that is left": {
			principal: 100_000_00, payment: 800_00, maturityOn: due, interest: 500_00, repaid: 100_000_00,
		},
		"a balloon does not mind a payment below the interest": {
			principal: 100_000_00, payment: 1, maturityOn: due, interest: 500_00, repaid: 100_000_00,
		},
		"past maturity too": {
			principal: 100_000_00, payment: 800_00, maturityOn: "2025-12-01", interest: 500_00, repaid: 100_000_00,
		},
		"a month before maturity is an ordinary one": {
			principal: 100_000_00, payment: 800_00, maturityOn: "2026-02-01", interest: 500_00, repaid: 300_00,
		},
		"a loan that is repaid has none": {
			principal: 0, payment: 800_00, none: true,
		},
		"more principal than a loan may carry": {
			principal: mortgage.MaxBalance + 1, payment: 800_00, err: mortgage.ErrRange,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			terms := roundTerms()
			terms.PrincipalAndInterest = tt.payment
			if tt.maturityOn != "" {
				terms.MaturityOn = day(tt.maturityOn)
			}
			state := mortgage.State{Principal: tt.principal, NextDueOn: day(due)}
			wantOK := !tt.none && tt.err == nil
			var want mortgage.Installment
			if wantOK {
				want = mortgage.Installment{DueOn: day(due), Interest: tt.interest, Principal: tt.repaid, Escrow: 200_00}
			}
			got, ok, err := terms.NextInstallment(state)
			if got != want || ok != wantOK || !errors.Is(err, tt.err) {
				t.Errorf("NextInstallment(%+v) = %+v, %v, %v; want %+v, %v, %v", state, got, ok, err, want, wantOK, tt.err)
			}
			if total := tt.interest + tt.repaid + 200_00; wantOK && got.Total() != total {
				t.Errorf("%+v.Total() = %d; want %d", got, got.Total(), total)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()

	terms, state := roundTerms(), roundState()
	lines, err := terms.Schedule(state, mortgage.MaxTermMonths)
	if err != nil || len(lines) != 197 {
		t.Fatalf("Schedule(%+v) has %d lines, %v; want 197", state, len(lines), err)
	}
	// 100,000.00 at 6 % by 800.00 a month: ln(8/3) / ln(1.005) is 196.7 payments.
	first := mortgage.ScheduleLine{
		Installment: mortgage.Installment{
			DueOn: day("2026-01-01"), Interest: 500_00, Principal: 300_00, Escrow: 200_00,
		},
		PrincipalAfter: 99_700_00,
	}
	if lines[0] != first {
		t.Errorf("the first line is %+v; want %+v", lines[0], first)
	}
	last := lines[len(lines)-1]
	if last.PrincipalAfter != 0 || last.DueOn != day("2042-05-01") || last.Interest+last.Principal > 800_00 {
		t.Errorf("the last line is %+v; want nothing left on 2042-05-01 for at most 800.00", last)
	}
	for count, want := range map[int]int{-1: 0, 0: 0, 1: 1, 12: 12, 196: 196, 197: 197, 198: 197} {
		some, err := terms.Schedule(state, count)
		if len(some) != want || err != nil {
			t.Errorf("Schedule(%+v, %d) has %d lines, %v; want %d", state, count, len(some), err, want)
		}
		for i, line := range some {
			if line != lines[i] {
				t.Errorf("Schedule(%+v, %d): line %d is %+v; want %+v", state, count, i, line, lines[i])
			}
		}
	}
}

func TestScheduleEndsWithABalloonAtMaturity(t *testing.T) {
	t.Parallel()

	terms, state := roundTerms(), roundState()
	terms.MaturityOn = day("2026-03-01")
	lines, err := terms.Schedule(state, 12)
	if err != nil || len(lines) != 3 {
		t.Fatalf("Schedule(%+v) = %+v, %v; want 3 lines", state, lines, err)
	}
	want := mortgage.ScheduleLine{Installment: mortgage.Installment{
		DueOn: day("2026-03-01"), Interest: 496_99, Principal: 99_398_50, Escrow: 200_00,
	}}
	if lines[2] != want {
		t.Errorf("the balloon is %+v; want %+v", lines[2], want)
	}
}

func TestScheduleWhereThereIsNone(t *testing.T) {
	t.Parallel()

	terms, state := roundTerms(), roundState()
	state.Principal = 0
	if lines, err := terms.Schedule(state, 12); len(lines) != 0 || err != nil {
		t.Errorf("Schedule(%+v) = %+v, %v; want no lines of a repaid loan", state, lines, err)
	}
	state = roundState()
	terms.PrincipalAndInterest = 499_99
	if lines, err := terms.Schedule(state, 12); len(lines) != 0 || !errors.Is(err, mortgage.ErrPaymentTooSmall) {
		t.Errorf("Schedule(%+v) = %+v, %v; want ErrPaymentTooSmall", state, lines, err)
	}
	terms, state.NextDueOn = roundTerms(), day("9999-12-01")
	if lines, err := terms.Schedule(state, 12); len(lines) != 0 || !errors.Is(err, mortgage.ErrNotDate) {
		t.Errorf("Schedule(%+v) = %+v, %v; want ErrNotDate", state, lines, err)
	}
}

// A loan due on the 31st is due on the last day of each month.
func TestScheduleKeepsTheDueDay(t *testing.T) {
	t.Parallel()

	terms, state := roundTerms(), roundState()
	terms.DueDay, state.NextDueOn = 31, day("2027-12-31")
	lines, err := terms.Schedule(state, 5)
	want := []string{"2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"}
	if len(lines) != len(want) || err != nil {
		t.Fatalf("Schedule(%+v, 5) = %+v, %v; want 5 lines", state, lines, err)
	}
	for i, line := range lines {
		if line.DueOn != day(want[i]) {
			t.Errorf("line %d is due on %s; want %s", i, line.DueOn, want[i])
		}
	}
}
