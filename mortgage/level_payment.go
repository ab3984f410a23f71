package mortgage

import (
	"errors"
	"math/big"
)

// MaxTermMonths is the longest term the engine accepts, fifty years.
const MaxTermMonths = 600

// ErrTerm reports a term, balance or rate for which no level payment exists.
var ErrTerm = errors.New("mortgage: no level payment for this balance, rate and term")

// LevelPayment returns the equal monthly payment that repays the balance with
// interest at the rate in the given number of months. The power of the rate is
// taken exactly, in rational numbers, and the result is rounded once.
//
// It serves quotes, checks and the change of an adjustable rate. A boarded
// loan's payment is what its note says and is never computed again: published
// examples differ in rounding half-up or up.
//
// It returns ErrTerm unless the balance is in [1, MaxBalance], the rate in
// [0, MaxRate] and months in [1, MaxTermMonths].
func LevelPayment(balance Cents, rate Rate, months int, rounding Rounding) (Cents, error) {
	if balance < 1 || balance > MaxBalance || rate < 0 || rate > MaxRate ||
		months < 1 || months > MaxTermMonths {
		return 0, ErrTerm
	}
	if rate == 0 {
		return balance.MulDiv(1, int64(months), rounding)
	}
	// With growth g = 1 + rate/12 the payment is balance*(g-1)*g^n / (g^n - 1).
	// Over the common denominator D = 12,000,000 and N = D + rate that is
	// balance*rate*N^n / (D * (N^n - D^n)).
	n := big.NewInt(int64(months))
	up := new(big.Int).Exp(big.NewInt(monthlyDivisor+int64(rate)), n, nil)
	down := new(big.Int).Exp(big.NewInt(monthlyDivisor), n, nil)

	numerator := new(big.Int).Mul(big.NewInt(int64(balance)), big.NewInt(int64(rate)))
	numerator.Mul(numerator, up)
	denominator := new(big.Int).Sub(up, down)
	denominator.Mul(denominator, big.NewInt(monthlyDivisor))
	return roundQuotient(numerator, denominator, rounding), nil
}

// roundQuotient divides two positive numbers and rounds the result once.
func roundQuotient(numerator, denominator *big.Int, r Rounding) Cents {
	q, rem := new(big.Int).QuoRem(numerator, denominator, new(big.Int))
	twice := new(big.Int).Lsh(rem, 1)
	cmp := twice.Cmp(denominator)
	up := cmp > 0 || cmp == 0 && (r != RoundHalfEven || q.Bit(0) == 1)
	if r == RoundUp {
		up = rem.Sign() > 0
	}
	if up {
		q.Add(q, big.NewInt(1))
	}
	return Cents(q.Int64())
}
