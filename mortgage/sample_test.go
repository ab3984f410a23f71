package mortgage_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"loanserve/mortgage"
)

// day reads a date that the test itself wrote.
func day(s string) mortgage.Date {
	d, err := mortgage.ParseDate(s)
	if err != nil {
		panic(s + ": " + err.Error())
	}
	return d
}

// roundTerms are terms whose first installment is easy to check by hand: on
// 100,000.00 of principal it is 500.00 of interest, 300.00 of principal and
// 200.00 for escrow, a periodic payment of 1,000.00.
func roundTerms() mortgage.Terms {
	return mortgage.Terms{
		Rate:                 60_000,
		PrincipalAndInterest: 800_00,
		EscrowPayment:        200_00,
		DueDay:               1,
		MaturityOn:           day("2042-06-01"),
		InterestMethod:       mortgage.ScheduledInterest,
		ApplicationOrder:     mortgage.ConventionalOrder,
		ExcessPolicy:         mortgage.ExcessToPrincipal,
		Rounding:             mortgage.RoundHalfUp,
	}
}

// roundState owes 100,000.00, and the installment of 1 January 2026 next.
func roundState() mortgage.State {
	return mortgage.State{Principal: 100_000_00, NextDueOn: day("2026-01-01")}
}

// receive applies the receipts one after the other.
func receive(
	terms mortgage.Terms, s mortgage.State, receipts []mortgage.Receipt,
) (mortgage.State, []mortgage.Entry, error) {
	var all []mortgage.Entry
	for _, r := range receipts {
		after, entries, err := r.Happen(terms, s)
		if err != nil {
			return mortgage.State{}, nil, err
		}
		s, all = after, append(all, entries...)
	}
	return s, all, nil
}

// readGolden reads a file of testdata, and refuses a field it does not know.
func readGolden(t *testing.T, name string, into any) {
	t.Helper()

	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
