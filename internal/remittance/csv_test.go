package remittance_test

import (
	"strings"

	"loanserve/internal/remittance"
)

const (
	cellsReason  = "the line does not have 6 fields"
	quoteReason  = "a double quote that is not around a whole field or doubled"
	moneyReason  = "amount: must be dollars and two decimals, as in 1234.56"
	amountReason = "amount: must be from one cent to 100,000,000.00"
	dayReason    = "received_on: must be a calendar day as YYYY-MM-DD from 1970 to 2199"
	loanReason   = "loan_number: is missing, too long, or has spaces around it"
	refReason    = "external_ref: is missing, too long, or has spaces around it"
)

// line3 replaces the third line of the CSV file.
func line3(text string) edit { return replace(3, text) }

// amount3 gives the item of the third line another amount.
func amount3(text string) edit { return line3("1," + text + ",2026-01-15,ach,periodic,x") }

// day3 gives the item of the third line another day.
func day3(text string) edit { return line3("1,1.00," + text + ",ach,periodic,x") }

var csvFaults = map[string]faultCase{
	"no header": {csvFile, remove(1, 1), fault(1, 1, "the first line is not the header of this format")},
	"a header with a column more": {
		csvFile, replace(1, "loan_number,amount,received_on,channel,designation,external_ref,note"),
		fault(1, 1, "the first line is not the header of this format"),
	},
	"a header alone":       {csvFile, remove(2, 4), fault(0, 0, "the file has no payments and no returns")},
	"a reference cut off":  {csvFile, replace(4, "1,1.00,2026-01-15,ach,periodic,x"), fault(4, 0, "the last line has no line ending: the file may be cut off")},
	"a field less":         {csvFile, line3("1,1.00,2026-01-15,ach,periodic"), fault(3, 31, cellsReason)},
	"a field more":         {csvFile, line3("1,1.00,2026-01-15,ach,periodic,x,"), fault(3, 34, cellsReason)},
	"spaces only":          {csvFile, line3("   "), fault(3, 4, cellsReason)},
	"a quote within":       {csvFile, line3(`1,1.00,2026-01-15,ach,periodic,x"y`), fault(3, 33, quoteReason)},
	"text behind a quote":  {csvFile, line3(`"1"0,1.00,2026-01-15,ach,periodic,x`), fault(3, 3, quoteReason)},
	"a quote that goes on": {csvFile, line3(`1,1.00,2026-01-15,ach,periodic,"x`), fault(3, 32, quoteReason)},
	"a quote over two lines": {csvFile, all(line3(`1,1.00,2026-01-15,ach,periodic,"x`), insert(3, `y"`)), []remittance.Fault{
		{3, 32, quoteReason}, {4, 2, quoteReason},
	}},

	"no loan number":                    {csvFile, line3(",1.00,2026-01-15,ach,periodic,x"), fault(3, 1, loanReason)},
	"a loan number with a space behind": {csvFile, line3("1 ,1.00,2026-01-15,ach,periodic,x"), fault(3, 1, loanReason)},
	"a loan number of 41":               {csvFile, line3(strings.Repeat("1", 41) + ",1.00,2026-01-15,ach,periodic,x"), fault(3, 1, loanReason)},
	"no reference":                      {csvFile, line3("1,1.00,2026-01-15,ach,periodic,"), fault(3, 32, refReason)},
	"a reference of 101":                {csvFile, line3("1,1.00,2026-01-15,ach,periodic," + strings.Repeat("1", 101)), fault(3, 32, refReason)},
	"a reference twice": {
		csvFile, line3("1,1.00,2026-01-15,ach,periodic,LBX-0115-001"),
		fault(3, 32, "the same reference as the item on line 2"),
	},

	"no amount":                  {csvFile, amount3(""), fault(3, 3, moneyReason)},
	"an amount without cents":    {csvFile, amount3("1"), fault(3, 3, moneyReason)},
	"one decimal":                {csvFile, amount3("1.5"), fault(3, 3, moneyReason)},
	"three decimals":             {csvFile, amount3("1.500"), fault(3, 3, moneyReason)},
	"no dollars":                 {csvFile, amount3(".50"), fault(3, 3, moneyReason)},
	"a leading zero":             {csvFile, amount3("01.50"), fault(3, 3, moneyReason)},
	"a sign":                     {csvFile, amount3("-1.50"), fault(3, 3, moneyReason)},
	"a dollar sign":              {csvFile, amount3("$1.50"), fault(3, 3, moneyReason)},
	"thousands set apart":        {csvFile, line3(`1,"1,000.00",2026-01-15,ach,periodic,x`), fault(3, 3, moneyReason)},
	"an exponent":                {csvFile, amount3("1e9.00"), fault(3, 3, moneyReason)},
	"ten digits of dollars":      {csvFile, amount3("1000000000.00"), fault(3, 3, moneyReason)},
	"nothing at all":             {csvFile, amount3("0.00"), fault(3, 3, amountReason)},
	"a cent more than is taken":  {csvFile, amount3("100000000.01"), fault(3, 3, amountReason)},
	"a day of another form":      {csvFile, day3("01/15/2026"), fault(3, 8, dayReason)},
	"a day that is none":         {csvFile, day3("2026-02-29"), fault(3, 8, dayReason)},
	"a day before all":           {csvFile, day3("1969-12-31"), fault(3, 8, dayReason)},
	"a day after all":            {csvFile, day3("2200-01-01"), fault(3, 8, dayReason)},
	"a channel in capitals":      {csvFile, line3("1,1.00,2026-01-15,ACH,periodic,x"), fault(3, 19, "channel: must be portal, ach, lockbox, wire, check, phone or branch")},
	"an unknown designation":     {csvFile, line3("1,1.00,2026-01-15,ach,fees,x"), fault(3, 23, "designation: must be periodic, principal, escrow, late_charge or payoff")},
	"several faults in one line": {csvFile, line3(",1,2,ach,periodic,x"), []remittance.Fault{{3, 1, loanReason}, {3, 2, moneyReason}, {3, 4, dayReason}}},
}
