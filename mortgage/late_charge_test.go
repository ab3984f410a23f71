package mortgage_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

func TestLateChargeAmount(t *testing.T) {
	t.Parallel()

	cents := func(c mortgage.Cents) *mortgage.Cents { return &c }
	tests := map[string]struct {
		policy  mortgage.LateChargePolicy
		overdue mortgage.Cents
		want    mortgage.Cents
		err     error
	}{
		"five percent of principal and interest": {
			policy: mortgage.LateChargePolicy{Rate: 50_000}, overdue: 841_96, want: 42_10, // 42.098
		},
		"four percent, the most on an FHA loan": {
			policy: mortgage.LateChargePolicy{Rate: 40_000}, overdue: 841_96, want: 33_68, // 33.6784
		},
		"half a cent goes up": {
			policy: mortgage.LateChargePolicy{Rate: 50_000}, overdue: 10_10, want: 51, // 50.5 cents
		},
		"less than half a cent is dropped": {
			policy: mortgage.LateChargePolicy{Rate: 50_000}, overdue: 10_09, want: 50, // 50.45 cents
		},
		"a cent below the minimum is raised": {
			policy: mortgage.LateChargePolicy{Rate: 50_000, Minimum: 25_00}, overdue: 499_80, want: 25_00, // 24.99
		},
		"a cent above the minimum stays": {
			policy: mortgage.LateChargePolicy{Rate: 50_000, Minimum: 25_00}, overdue: 500_20, want: 25_01,
		},
		"a cent above the maximum is lowered": {
			policy: mortgage.LateChargePolicy{Rate: 50_000, Maximum: cents(50_00)}, overdue: 1_000_20, want: 50_00,
		},
		"a cent below the maximum stays": {
			policy: mortgage.LateChargePolicy{Rate: 50_000, Maximum: cents(50_00)}, overdue: 999_80, want: 49_99,
		},
		"the maximum wins over the minimum": {
			policy: mortgage.LateChargePolicy{Minimum: 25_00, Maximum: cents(10_00)}, overdue: 1_000_00, want: 10_00,
		},
		"a maximum of nothing is one": {
			policy: mortgage.LateChargePolicy{Rate: 50_000, Maximum: cents(0)}, overdue: 1_000_00, want: 0,
		},
		"a fixed charge is a minimum without a rate": {
			policy: mortgage.LateChargePolicy{Minimum: 15_00}, overdue: 1, want: 15_00,
		},
		"nothing overdue bears no charge, not even the minimum": {
			policy: mortgage.LateChargePolicy{Rate: 50_000, Minimum: 25_00}, overdue: 0, want: 0,
		},
		"no policy charges nothing": {overdue: 1_000_00, want: 0},
		"the largest balance": {
			policy: mortgage.LateChargePolicy{Rate: mortgage.MaxRate}, overdue: mortgage.MaxBalance, want: mortgage.MaxBalance,
		},
		"a negative overdue amount is refused": {overdue: -1, err: mortgage.ErrRange},
		"an amount above the largest balance is refused": {
			overdue: mortgage.MaxBalance + 1, err: mortgage.ErrRange,
		},
		"a negative rate is refused": {
			policy: mortgage.LateChargePolicy{Rate: -1}, overdue: 1, err: mortgage.ErrLateChargePolicy,
		},
		"a rate above one is refused": {
			policy: mortgage.LateChargePolicy{Rate: mortgage.MaxRate + 1}, overdue: 1, err: mortgage.ErrLateChargePolicy,
		},
		"a negative minimum is refused": {
			policy: mortgage.LateChargePolicy{Minimum: -1}, overdue: 1, err: mortgage.ErrLateChargePolicy,
		},
		"a negative maximum is refused": {
			policy: mortgage.LateChargePolicy{Maximum: cents(-1)}, overdue: 1, err: mortgage.ErrLateChargePolicy,
		},
		"a negative grace is refused": {
			policy: mortgage.LateChargePolicy{GraceDays: -1}, overdue: 1, err: mortgage.ErrLateChargePolicy,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := tt.policy.Amount(tt.overdue)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%+v.Amount(%d) = %d, %v; want %d, %v", tt.policy, tt.overdue, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestLateChargeAssessedOn(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		dueOn    string
		grace    int
		extended bool
		want     string
	}{
		"fifteen days: in time on the 16th, charged from the 17th": {
			dueOn: "2026-04-01", grace: 15, want: "2026-04-17",
		},
		"sixteen days are one more": {
			dueOn: "2026-04-01", grace: 16, want: "2026-04-18",
		},
		"no grace is charged the day after it is due": {
			dueOn: "2026-04-01", grace: 0, want: "2026-04-02",
		},
		"the grace crosses the end of February": {
			dueOn: "2026-02-15", grace: 15, want: "2026-03-03",
		},
		"and of a leap year's February": {
			dueOn: "2028-02-15", grace: 15, want: "2028-03-02",
		},
		"due on the leap day": {
			dueOn: "2028-02-29", grace: 15, want: "2028-03-16",
		},
		"a grace that ends on a Saturday ends there": {
			dueOn: "2026-05-01", grace: 15, want: "2026-05-17",
		},
		"extended from Saturday 16th to Monday 18th": {
			dueOn: "2026-05-01", grace: 15, extended: true, want: "2026-05-19",
		},
		"extended from Sunday 16th to Monday 17th": {
			dueOn: "2026-08-01", grace: 15, extended: true, want: "2026-08-18",
		},
		"extended over a Sunday and a bank holiday": {
			dueOn: "2027-06-19", grace: 15, extended: true, want: "2027-07-07",
		},
		"extended, but it ends on a business day": {
			dueOn: "2026-04-01", grace: 15, extended: true, want: "2026-04-17",
		},
		"extended, but banks work on that Friday": {
			dueOn: "2026-06-18", grace: 15, extended: true, want: "2026-07-04",
		},
		"past the calendar is no date":          {dueOn: "9999-12-31", grace: 0},
		"extended past the calendar is no date": {dueOn: "9999-12-31", grace: 0, extended: true},
		"the last day there is": {
			dueOn: "9999-12-30", grace: 0, want: "9999-12-31",
		},
		"a negative grace is no date": {dueOn: "2026-04-01", grace: -1},
		"a grace of ages is no date":  {dueOn: "2026-04-01", grace: 1 << 40},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := mortgage.LateChargePolicy{GraceDays: tt.grace, ExtendToBusinessDay: tt.extended}
			var want mortgage.Date
			if tt.want != "" {
				want = day(tt.want)
			}
			if got := p.AssessedOn(day(tt.dueOn)); got != want {
				t.Errorf("%+v.AssessedOn(%s) = %s; want %s", p, tt.dueOn, got, tt.want)
			}
		})
	}
	if got := (mortgage.LateChargePolicy{}).AssessedOn(0); !got.IsZero() {
		t.Errorf("AssessedOn(no date) = %s; want no date", got)
	}
}

func TestLateChargeStaysWithinItsLimits(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		most := drawCents(t, "maximum", 200_00)
		p := mortgage.LateChargePolicy{
			Rate:    mortgage.Rate(rapid.Int64Range(0, 100_000).Draw(t, "rate")),
			Minimum: drawCents(t, "minimum", 100_00),
		}
		if rapid.Bool().Draw(t, "limited") {
			p.Maximum = &most
		}
		overdue := drawCents(t, "overdue", 10_000_00)
		less, err := p.Amount(overdue)
		must(t, err)
		more, err := p.Amount(overdue + drawCents(t, "more", 1_000_00))
		must(t, err)
		if less > more {
			t.Fatalf("more is overdue and the charge falls from %d to %d", less, more)
		}
		if p.Maximum != nil && more > most {
			t.Fatalf("the charge %d is above the maximum %d", more, most)
		}
		if p.Maximum == nil && overdue > 0 && less < p.Minimum {
			t.Fatalf("the charge %d is below the minimum %d", less, p.Minimum)
		}
	})
}

// An extended grace never ends sooner, and its last day is one on which the
// borrower can pay.
func TestLateChargeExtensionFavorsTheBorrower(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		dueOn := drawDay(t, "due")
		p := mortgage.LateChargePolicy{GraceDays: rapid.IntRange(0, 60).Draw(t, "grace")}
		plain := p.AssessedOn(dueOn)
		p.ExtendToBusinessDay = true
		extended := p.AssessedOn(dueOn)
		if extended < plain || extended > plain+5 || !mortgage.IsBusinessDay(extended-1) {
			t.Fatalf("due %s: charged from %s, extended from %s", dueOn, plain, extended)
		}
	})
}
