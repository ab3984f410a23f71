package mortgage_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

const (
	halfUp   = mortgage.RoundHalfUp
	halfEven = mortgage.RoundHalfEven
	up       = mortgage.RoundUp
)

func TestMulDiv(t *testing.T) {
	t.Parallel()

	const most = math.MaxInt64
	tests := map[string]struct {
		amount                 mortgage.Cents
		numerator, denominator int64
		rounding               mortgage.Rounding
		want                   mortgage.Cents
		err                    error
	}{
		"a whole result is not rounded by half-up":          {amount: 6, numerator: 2, denominator: 3, rounding: halfUp, want: 4},
		"a whole result is not rounded by half-even":        {amount: 6, numerator: 2, denominator: 3, rounding: halfEven, want: 4},
		"a whole result is not rounded by up":               {amount: 6, numerator: 2, denominator: 3, rounding: up, want: 4},
		"half a cent above an even one goes up":             {amount: 5, numerator: 1, denominator: 2, rounding: halfUp, want: 3},
		"half a cent above an even one stays, to be even":   {amount: 5, numerator: 1, denominator: 2, rounding: halfEven, want: 2},
		"half a cent above an odd one goes up":              {amount: 7, numerator: 1, denominator: 2, rounding: halfUp, want: 4},
		"half a cent above an odd one goes up, to be even":  {amount: 7, numerator: 1, denominator: 2, rounding: halfEven, want: 4},
		"half a cent becomes a whole one":                   {amount: 1, numerator: 1, denominator: 2, rounding: halfUp, want: 1},
		"half a cent becomes none, to be even":              {amount: 1, numerator: 1, denominator: 2, rounding: halfEven, want: 0},
		"a little less than half goes down":                 {amount: 49_999, numerator: 1, denominator: 100_000, rounding: halfUp, want: 0},
		"a little more than half goes up even for an even":  {amount: 250_001, numerator: 1, denominator: 100_000, rounding: halfEven, want: 3},
		"a little less than half goes down even for an odd": {amount: 349_999, numerator: 1, denominator: 100_000, rounding: halfEven, want: 3},
		"the smallest part of a cent becomes a whole one":   {amount: 1, numerator: 1, denominator: most, rounding: up, want: 1},
		"nothing stays nothing":                             {amount: 0, numerator: most, denominator: 1, rounding: up, want: 0},
		"times nothing is nothing":                          {amount: most, numerator: 0, denominator: 1, rounding: up, want: 0},
		"a negative half goes away from zero":               {amount: -5, numerator: 1, denominator: 2, rounding: halfUp, want: -3},
		"a negative half goes to the even cent":             {amount: -5, numerator: 1, denominator: 2, rounding: halfEven, want: -2},
		"a negative part of a cent grows by its magnitude":  {amount: -1, numerator: 1, denominator: 3, rounding: up, want: -1},
		"a product beyond 64 bits is exact":                 {amount: most, numerator: most, denominator: most, rounding: halfUp, want: most},
		"the most negative result that has a positive twin": {amount: -most, numerator: 1, denominator: 1, rounding: halfUp, want: -most},
		"the largest amount survives a product of 65 bits": {
			amount: most, numerator: 3, denominator: 3, rounding: up, want: most,
		},
		"a result that only rounding pushes past the limit is refused": {
			// (2^32-1)(2^32+1) = 2^64-1, and half of it is 2^63-1 and a half.
			amount: 1<<32 - 1, numerator: 1<<32 + 1, denominator: 2, rounding: halfUp, err: mortgage.ErrRange,
		},
		"a quotient of 64 ones does not wrap to nothing when it is rounded": {
			// (2^33-1)(2^33+1) = 2^66-1 is one short of 4 * 2^64.
			amount: 1<<33 - 1, numerator: 1<<33 + 1, denominator: 4, rounding: halfUp, err: mortgage.ErrRange,
		},
		"twice the largest amount is refused":        {amount: most, numerator: 2, denominator: 1, rounding: halfUp, err: mortgage.ErrRange},
		"a quotient beyond 64 bits is refused":       {amount: most, numerator: most, denominator: 1, rounding: halfUp, err: mortgage.ErrRange},
		"a negative one beyond 64 bits is refused":   {amount: -most, numerator: most, denominator: 1, rounding: halfUp, err: mortgage.ErrRange},
		"the amount without a positive twin":         {amount: math.MinInt64, numerator: 1, denominator: 1, rounding: halfUp, err: mortgage.ErrRange},
		"a negative numerator is refused":            {amount: 1, numerator: -1, denominator: 1, rounding: halfUp, err: mortgage.ErrRange},
		"division by zero is refused":                {amount: 1, numerator: 1, denominator: 0, rounding: halfUp, err: mortgage.ErrRange},
		"a negative denominator is refused":          {amount: 1, numerator: 1, denominator: -1, rounding: halfUp, err: mortgage.ErrRange},
		"zero divided by zero is refused just so":    {amount: 0, numerator: 0, denominator: 0, rounding: halfUp, err: mortgage.ErrRange},
		"the largest balance for the longest term":   {amount: mortgage.MaxBalance, numerator: 600_000_000, denominator: 12_000_000, rounding: halfUp, want: 50 * mortgage.MaxBalance},
		"a month of the highest rate on the largest": {amount: mortgage.MaxBalance, numerator: 1_000_000, denominator: 12_000_000, rounding: halfUp, want: 8_333_333_333},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := tt.amount.MulDiv(tt.numerator, tt.denominator, tt.rounding)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%d.MulDiv(%d, %d, %s) = %d, %v; want %d, %v",
					tt.amount, tt.numerator, tt.denominator, tt.rounding, got, err, tt.want, tt.err)
			}
		})
	}
}

// exactMulDiv is MulDiv in numbers without limit, and false where it refuses.
func exactMulDiv(amount mortgage.Cents, numerator, denominator int64, r mortgage.Rounding) (mortgage.Cents, bool) {
	if numerator < 0 || denominator <= 0 || amount == math.MinInt64 {
		return 0, false
	}
	product := new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(numerator))
	magnitude := new(big.Int).Abs(product)
	q, rem := new(big.Int).QuoRem(magnitude, big.NewInt(denominator), new(big.Int))
	switch tie := new(big.Int).Lsh(rem, 1).Cmp(big.NewInt(denominator)); {
	case rem.Sign() == 0:
	case r == up, tie > 0, tie == 0 && r == halfUp, tie == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	if product.Sign() < 0 {
		q.Neg(q)
	}
	return mortgage.Cents(q.Int64()), q.IsInt64() && q.Int64() != math.MinInt64
}

func checkMulDiv(t interface {
	Helper()
	Errorf(format string, args ...any)
}, amount mortgage.Cents, numerator, denominator int64, r mortgage.Rounding,
) {
	t.Helper()

	got, err := amount.MulDiv(numerator, denominator, r)
	want, ok := exactMulDiv(amount, numerator, denominator, r)
	switch {
	case ok && (got != want || err != nil):
		t.Errorf("%d.MulDiv(%d, %d, %s) = %d, %v; want %d", amount, numerator, denominator, r, got, err, want)
	case !ok && !errors.Is(err, mortgage.ErrRange):
		t.Errorf("%d.MulDiv(%d, %d, %s) = %d, %v; want ErrRange", amount, numerator, denominator, r, got, err)
	}
}

func TestMulDivAgreesWithNumbersWithoutLimit(t *testing.T) {
	t.Parallel()

	small := rapid.Int64Range(-1000, 1000)
	any64 := rapid.OneOf(small, rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 1 << 32, 1 << 33}))
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			checkMulDiv(t, mortgage.Cents(any64.Draw(t, "amount")), any64.Draw(t, "numerator"),
				any64.Draw(t, "denominator"), roundings.Draw(t, "rounding"))
		}
	})
}

var roundings = rapid.SampledFrom([]mortgage.Rounding{halfUp, halfEven, up})

func FuzzMulDiv(f *testing.F) {
	f.Add(int64(5), int64(1), int64(2))
	f.Add(int64(-7), int64(1), int64(2))
	f.Add(int64(1<<33-1), int64(1<<33+1), int64(4))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, amount, numerator, denominator int64) {
		for _, r := range []mortgage.Rounding{halfUp, halfEven, up} {
			checkMulDiv(t, mortgage.Cents(amount), numerator, denominator, r)
		}
	})
}
