package mortgage

// Rate is an annual interest rate in millionths: 6.875 % is 68,750.
type Rate int64

// MaxRate is the highest annual rate the engine accepts, 100 %.
const MaxRate Rate = 1_000_000

const (
	ppm            = 1_000_000
	monthsPerYear  = 12
	monthlyDivisor = monthsPerYear * ppm
)

// MonthInterest returns one month's interest on the balance at the annual
// rate, on a year of twelve equal months (30/360), rounded once to the cent.
// The balance must be in [0, MaxBalance] and the rate in [0, MaxRate].
//
// Source: Fannie Mae Investor Reporting Manual F-1-09, fixed-rate loans bear
// interest for 30 days a month on the unpaid principal as of the last paid
// installment.
func (r Rate) MonthInterest(balance Cents, rounding Rounding) (Cents, error) {
	if r < 0 || r > MaxRate || balance < 0 || balance > MaxBalance {
		return 0, ErrRange
	}
	return balance.MulDiv(int64(r), monthlyDivisor, rounding)
}
