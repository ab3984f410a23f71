package mortgage

import (
	"errors"
	"math/bits"
)

// Cents is an amount of United States money in whole cents. Its sign is
// meaningful only where a field says so.
type Cents int64

// MaxPayment is the largest single amount of money the engine accepts:
// one hundred million dollars.
const MaxPayment Cents = 100_000_000_00

// MaxBalance is the largest balance a loan may carry: one billion dollars. It
// leaves room for any product in this package to be formed exactly.
const MaxBalance Cents = 1_000_000_000_00

// ErrRange reports a result that does not fit into 64 bits. Amounts and rates
// within the limits of this package never cause it.
var ErrRange = errors.New("mortgage: result out of range")

// Rounding says which way an amount that is not a whole number of cents goes.
type Rounding string

// The roundings. No regulation fixes the treatment of half a cent; half-up is
// the custom, and a loan may say half-even.
const (
	RoundHalfUp   Rounding = "half_up"   // half a cent goes away from zero
	RoundHalfEven Rounding = "half_even" // half a cent goes to the even cent
	RoundUp       Rounding = "up"        // any part of a cent becomes a whole one
)

// MulDiv returns amount*numerator/denominator, computed exactly in 128 bits
// and rounded once. Only the amount may be negative; it is rounded by its
// magnitude, so that MulDiv(-x) is always -MulDiv(x).
//
// It returns ErrRange when the numerator is negative, the denominator is not
// positive, or the result does not fit.
func (c Cents) MulDiv(numerator, denominator int64, r Rounding) (Cents, error) {
	if numerator < 0 || denominator <= 0 || c == minCents {
		return 0, ErrRange
	}
	if c < 0 {
		q, err := (-c).MulDiv(numerator, denominator, r)
		return -q, err
	}
	d := uint64(denominator)
	hi, lo := bits.Mul64(uint64(c), uint64(numerator))
	if hi >= d {
		return 0, ErrRange
	}
	q, rem := bits.Div64(hi, lo, d)
	if q <= maxInt64 && roundsUp(q, rem, d, r) { // A larger q could wrap to 0.
		q++
	}
	if q > maxInt64 {
		return 0, ErrRange
	}
	return Cents(q), nil
}

const (
	minCents Cents  = -1 << 63
	maxInt64 uint64 = 1<<63 - 1
)

// roundsUp says whether q, with rem of d left over, becomes q+1.
func roundsUp(q, rem, d uint64, r Rounding) bool {
	if rem == 0 {
		return false
	}
	if r == RoundUp {
		return true
	}
	half := d - rem // compare rem with d-rem: 2*rem could overflow
	return rem > half || rem == half && (r != RoundHalfEven || q&1 == 1)
}
