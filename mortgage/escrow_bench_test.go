package mortgage_test

import (
	"testing"

	"loanserve/mortgage"
)

// typicalEscrow is an account as most are: two taxes, one of them in two parts,
// insurance once a year, and mortgage insurance every month.
func typicalEscrow() mortgage.EscrowRequest {
	r := appendixE(900_00)
	r.Payment = 320_00
	r.Items = append(r.Items,
		item(mortgage.EscrowHazardInsurance, 12, bill("2027-03-01", 1450_00)),
		item(mortgage.EscrowMortgageInsurance, 1, bill("2026-07-10", 65_67)))
	return r
}

func BenchmarkAnalyzeEscrow(b *testing.B) {
	for name, r := range map[string]mortgage.EscrowRequest{
		"typical": typicalEscrow(),
		"three-year flood": func() mortgage.EscrowRequest {
			r := typicalEscrow()
			r.Items = append(r.Items, item(mortgage.EscrowFloodInsurance, 36, bill("2028-05-01", 2400_00)))
			return r
		}(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := mortgage.AnalyzeEscrow(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
