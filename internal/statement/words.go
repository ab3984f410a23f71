package statement

import (
	"fmt"
	"strconv"
	"strings"

	"loanserve/mortgage"
)

// minus is the sign of an amount below zero.
const minus = "\u2212"

// money writes an amount: $1,234.56.
func money(c mortgage.Cents) string {
	sign, n := "", uint64(c)
	if c < 0 {
		sign, n = minus, -n
	}
	dollars := strconv.FormatUint(n/100, 10)
	for i := len(dollars) - 3; i > 0; i -= 3 {
		dollars = dollars[:i] + "," + dollars[i:]
	}
	return fmt.Sprintf("%s$%s.%02d", sign, dollars, n%100)
}

// orDash writes an amount, and a dash for nothing, where a column has many.
func orDash(c mortgage.Cents) string {
	if c == 0 {
		return "\u2013"
	}
	return money(c)
}

var monthNames = [...]string{
	"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December",
}

// day writes a day: July 1, 2026.
func day(d mortgage.Date) string {
	year, month, day := d.Civil()
	return fmt.Sprintf("%s %d, %d", monthNames[month-1], day, year)
}

// month writes the month of a day: July 2026.
func month(d mortgage.Date) string {
	year, month, _ := d.Civil()
	return fmt.Sprintf("%s %d", monthNames[month-1], year)
}

// shortMonth writes the month of a day for a table: Jul 2026.
func shortMonth(d mortgage.Date) string {
	year, month, _ := d.Civil()
	return fmt.Sprintf("%s %d", monthNames[month-1][:3], year)
}

// kindWords says what an item is, in the words of a bill.
var kindWords = map[mortgage.EscrowItemKind]string{
	mortgage.EscrowCountyTax:           "County property tax",
	mortgage.EscrowCityTax:             "City property tax",
	mortgage.EscrowSchoolTax:           "School tax",
	mortgage.EscrowOtherTax:            "Other tax or assessment",
	mortgage.EscrowHazardInsurance:     "Homeowner's insurance",
	mortgage.EscrowFloodInsurance:      "Flood insurance",
	mortgage.EscrowWindInsurance:       "Wind insurance",
	mortgage.EscrowEarthquakeInsurance: "Earthquake insurance",
	mortgage.EscrowMortgageInsurance:   "Mortgage insurance",
	mortgage.EscrowAssociationDues:     "Association dues",
	mortgage.EscrowGroundRent:          "Ground rent",
	mortgage.EscrowOther:               "Other",
}

func kindName(k mortgage.EscrowItemKind) string {
	if words, ok := kindWords[k]; ok {
		return words
	}
	return "Other"
}

// lower is kindName within a sentence.
func lower(k mortgage.EscrowItemKind) string {
	name := kindName(k)
	return strings.ToLower(name[:1]) + name[1:]
}

// basisWords says how a coming bill is known.
var basisWords = map[mortgage.EstimateBasis]string{
	mortgage.EstimateKnown:      "Known",
	mortgage.EstimateComparable: "Estimate: comparable property",
	mortgage.EstimateLast:       "Estimate: the last bill",
	mortgage.EstimateModified:   "Estimate: the last bill, adjusted for inflation",
}

// and joins names: A, B and C.
func and(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
