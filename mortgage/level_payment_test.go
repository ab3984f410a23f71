package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

func TestLevelPayment(t *testing.T) {
	t.Parallel()

	const longest = mortgage.MaxTermMonths
	tests := map[string]struct {
		balance  mortgage.Cents
		rate     mortgage.Rate
		months   int
		rounding mortgage.Rounding
		want     mortgage.Cents
		err      error
	}{
		"one month is the balance with a month's interest": {balance: 1_200_00, rate: 120_000, months: 1, rounding: halfUp, want: 1_212_00},
		"no interest divides the balance":                  {balance: 1_000_00, rate: 0, months: 3, rounding: halfUp, want: 333_33},
		"no interest, rounded up":                          {balance: 1_000_00, rate: 0, months: 3, rounding: up, want: 333_34},
		"no interest, half a cent to even":                 {balance: 5, rate: 0, months: 2, rounding: halfEven, want: 2},
		"half a cent up":                                   {balance: 50, rate: 120_000, months: 1, rounding: halfUp, want: 51},
		"half a cent to even, from an even cent":           {balance: 50, rate: 120_000, months: 1, rounding: halfEven, want: 50},
		"half a cent to even, from an odd cent":            {balance: 150, rate: 120_000, months: 1, rounding: halfEven, want: 152},
		"half a cent, rounded up":                          {balance: 50, rate: 120_000, months: 1, rounding: up, want: 51},
		"a whole number of cents is not rounded up":        {balance: 100, rate: 120_000, months: 1, rounding: up, want: 101},
		"the smallest loan":                                {balance: 1, rate: 1, months: longest, rounding: up, want: 1},
		"the largest of everything is a month's interest":  {balance: mortgage.MaxBalance, rate: mortgage.MaxRate, months: longest, rounding: halfUp, want: 83_333_333_33},
		"no balance":                  {balance: 0, rate: 60_000, months: 360, rounding: halfUp, err: mortgage.ErrTerm},
		"a negative balance":          {balance: -1, rate: 60_000, months: 360, rounding: halfUp, err: mortgage.ErrTerm},
		"a balance above the largest": {balance: mortgage.MaxBalance + 1, rate: 60_000, months: 360, rounding: halfUp, err: mortgage.ErrTerm},
		"a negative rate":             {balance: 1, rate: -1, months: 360, rounding: halfUp, err: mortgage.ErrTerm},
		"a rate above the highest":    {balance: 1, rate: mortgage.MaxRate + 1, months: 360, rounding: halfUp, err: mortgage.ErrTerm},
		"no months":                   {balance: 1, rate: 60_000, months: 0, rounding: halfUp, err: mortgage.ErrTerm},
		"a term above the longest":    {balance: 1, rate: 60_000, months: longest + 1, rounding: halfUp, err: mortgage.ErrTerm},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := mortgage.LevelPayment(tt.balance, tt.rate, tt.months, tt.rounding)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("LevelPayment(%d, %d, %d, %s) = %d, %v; want %d, %v",
					tt.balance, tt.rate, tt.months, tt.rounding, got, err, tt.want, tt.err)
			}
		})
	}
}
