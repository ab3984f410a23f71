package mortgage_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

func TestDailyInterest(t *testing.T) {
	t.Parallel()

	const owed = 100_000_00 // at 6 %, 16.438356... a day
	tests := map[string]struct {
		rate     mortgage.Rate
		balance  mortgage.Cents
		from, to string
		rounding mortgage.Rounding
		want     mortgage.Cents
		err      error
	}{
		"one day": {
			rate: 60_000, balance: owed, from: "2026-03-01", to: "2026-03-02", want: 16_44,
		},
		"no days bear none": {
			rate: 60_000, balance: owed, from: "2026-03-01", to: "2026-03-01", want: 0,
		},
		"the first day counts, the last not": {
			rate: 60_000, balance: owed, from: "2026-03-01", to: "2026-03-25", want: 394_52,
		},
		"ten days are rounded once": {
			rate: 60_000, balance: owed, from: "2026-03-01", to: "2026-03-11", want: 164_38, // ten times 16.44 is 164.40
		},
		"a year is the rate": {
			rate: 60_000, balance: owed, from: "2026-01-01", to: "2027-01-01", want: 6_000_00,
		},
		"a leap year is a day more": {
			rate: 60_000, balance: owed, from: "2028-01-01", to: "2029-01-01", want: 6_016_44,
		},
		"the leap day counts": {
			rate: 60_000, balance: owed, from: "2028-02-28", to: "2028-03-01", want: 32_88,
		},
		"and is not there in other years": {
			rate: 60_000, balance: owed, from: "2026-02-28", to: "2026-03-01", want: 16_44,
		},
		"half a cent goes up": {
			rate: 36_500, balance: 50_00, from: "2026-01-01", to: "2026-01-02", want: 1,
		},
		"half a cent goes to even": {
			rate: 36_500, balance: 50_00, from: "2026-01-01", to: "2026-01-02", rounding: halfEven, want: 0,
		},
		"any part of a cent goes up": {
			rate: 1, balance: 1, from: "2026-01-01", to: "2026-01-02", rounding: up, want: 1,
		},
		"no rate bears none": {rate: 0, balance: owed, from: "2026-01-01", to: "2027-01-01", want: 0},
		"the most there can be": {
			rate: mortgage.MaxRate, balance: mortgage.MaxBalance, from: "0001-01-01", to: "9999-12-31",
			want: 1_000_563_835_616_438, // 1e11 cents * 3,652,058 days / 365
		},
		"a span that ends before it begins is refused": {
			rate: 60_000, balance: owed, from: "2026-03-02", to: "2026-03-01", err: mortgage.ErrBackwards,
		},
		"a negative balance is refused": {
			rate: 60_000, balance: -1, from: "2026-03-01", to: "2026-03-02", err: mortgage.ErrRange,
		},
		"a balance above the largest is refused": {
			rate: 60_000, balance: mortgage.MaxBalance + 1, from: "2026-03-01", to: "2026-03-02", err: mortgage.ErrRange,
		},
		"a negative rate is refused": {
			rate: -1, balance: owed, from: "2026-03-01", to: "2026-03-02", err: mortgage.ErrRange,
		},
		"a rate above the highest is refused": {
			rate: mortgage.MaxRate + 1, balance: owed, from: "2026-03-01", to: "2026-03-02", err: mortgage.ErrRange,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			rounding := tt.rounding
			if rounding == "" {
				rounding = halfUp
			}
			got, err := tt.rate.DailyInterest(tt.balance, day(tt.from), day(tt.to), rounding)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%d.DailyInterest(%d, %s, %s, %s) = %d, %v; want %d, %v",
					tt.rate, tt.balance, tt.from, tt.to, rounding, got, err, tt.want, tt.err)
			}
		})
	}
	for _, span := range [][2]mortgage.Date{{0, 1}, {1, 0}, {-1, 1}, {1, mortgage.MaxDate + 1}} {
		if _, err := mortgage.Rate(1).DailyInterest(1, span[0], span[1], halfUp); !errors.Is(err, mortgage.ErrNotDate) {
			t.Errorf("DailyInterest from day %d to day %d: %v; want ErrNotDate", int(span[0]), int(span[1]), err)
		}
	}
}

// Each of two parts is rounded, and the whole is: together they are at most a
// cent apart.
func TestDailyInterestAddsUp(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		rate := mortgage.Rate(rapid.Int64Range(0, 300_000).Draw(t, "rate"))
		balance := drawCents(t, "balance", int64(mortgage.MaxBalance))
		rounding := rapid.SampledFrom([]mortgage.Rounding{halfUp, halfEven, up}).Draw(t, "rounding")
		from := drawDay(t, "from")
		split := from + mortgage.Date(rapid.IntRange(0, 800).Draw(t, "days before"))
		to := split + mortgage.Date(rapid.IntRange(0, 800).Draw(t, "days after"))

		whole, err := rate.DailyInterest(balance, from, to, rounding)
		must(t, err)
		before, err := rate.DailyInterest(balance, from, split, rounding)
		must(t, err)
		after, err := rate.DailyInterest(balance, split, to, rounding)
		must(t, err)
		if apart := before + after - whole; apart < -1 || apart > 1 {
			t.Fatalf("%s to %s is %d, split on %s %d + %d", from, to, whole, split, before, after)
		}
	})
}
