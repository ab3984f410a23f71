package mortgage_test

import (
	"errors"
	"testing"

	"loanserve/mortgage"
)

func TestMonthInterest(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		rate     mortgage.Rate
		balance  mortgage.Cents
		rounding mortgage.Rounding
		want     mortgage.Cents
		err      error
	}{
		"a twelfth of a year's interest":          {rate: 60_000, balance: 100_000_00, rounding: halfUp, want: 500_00},
		"a quarter of a cent is dropped":          {rate: 60_000, balance: 50, rounding: halfUp, want: 0},
		"half a cent is rounded up":               {rate: 60_000, balance: 100, rounding: halfUp, want: 1},
		"half a cent is rounded to even":          {rate: 60_000, balance: 100, rounding: halfEven, want: 0},
		"400.005 dollars half-up":                 {rate: 48_000, balance: 100_001_25, rounding: halfUp, want: 400_01},
		"400.005 dollars half-even":               {rate: 48_000, balance: 100_001_25, rounding: halfEven, want: 400_00},
		"any part of a cent, rounded up":          {rate: 1, balance: 1, rounding: up, want: 1},
		"no rate bears no interest":               {rate: 0, balance: 100_000_00, rounding: up, want: 0},
		"nothing owed bears no interest":          {rate: 60_000, balance: 0, rounding: up, want: 0},
		"the highest rate on the largest balance": {rate: mortgage.MaxRate, balance: mortgage.MaxBalance, rounding: halfUp, want: 83_333_333_33},
		"a rate above the highest is refused":     {rate: mortgage.MaxRate + 1, balance: 1, rounding: halfUp, err: mortgage.ErrRange},
		"a negative rate is refused":              {rate: -1, balance: 1, rounding: halfUp, err: mortgage.ErrRange},
		"a balance above the largest is refused":  {rate: 1, balance: mortgage.MaxBalance + 1, rounding: halfUp, err: mortgage.ErrRange},
		"a negative balance is refused":           {rate: 1, balance: -1, rounding: halfUp, err: mortgage.ErrRange},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := tt.rate.MonthInterest(tt.balance, tt.rounding)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%d.MonthInterest(%d, %s) = %d, %v; want %d, %v",
					tt.rate, tt.balance, tt.rounding, got, err, tt.want, tt.err)
			}
		})
	}
}
