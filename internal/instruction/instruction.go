// Package instruction writes payment instructions for a bank: money that leaves
// escrow accounts.
//
// Inside: the two layouts, NACHA for payees that have an account and CSV for the
// others. Not inside: which payments go into a file, and that each goes into one
// (server).
//
// The idea to hold: the same payments at the same moment give the same bytes, so
// that a file can be told by its hash.
package instruction

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"time"

	"loanserve/mortgage"
)

// Payment is one payment to a payee.
type Payment struct {
	Ref        string // names it: a UUID
	Kind       string // what it is for
	LoanNumber string
	Payee      string
	Amount     mortgage.Cents // 1 to MaxACH in NACHA
	DueOn      mortgage.Date
	PaidOn     mortgage.Date // the day on which it was decided

	Account Account // for NACHA alone
}

// Account is where a payee is paid.
type Account struct {
	Routing string // nine digits, the last of which checks the others
	Number  string // up to 17 characters
	Savings bool   // and else checking
}

// Originator is the servicer, as its bank knows it.
type Originator struct {
	BankRouting string // nine digits
	BankName    string // up to 23 characters
	CompanyID   string // ten characters that the bank has assigned
	CompanyName string // up to 16 characters
}

// MaxACH is the largest amount that an entry has room for.
const MaxACH mortgage.Cents = 9_999_999_999

// ErrCannotWrite reports a payment or an originator that the layout has no room for.
var ErrCannotWrite = errors.New("the payment instruction cannot be written")

// csvHeader names the columns of a CSV file.
var csvHeader = []string{"disbursement_id", "kind", "loan_number", "payee", "amount", "due_on", "paid_on"}

// CSV writes payments as lines of comma-separated values, in their order, with a
// header. Amounts are in dollars with two decimals.
func CSV(payments []Payment) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{csvHeader}
	for i := range payments {
		p := &payments[i]
		rows = append(rows, []string{
			p.Ref, p.Kind, p.LoanNumber, p.Payee, fmt.Sprintf("%d.%02d", p.Amount/100, p.Amount%100),
			p.DueOn.String(), p.PaidOn.String(),
		})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotWrite, err)
	}
	return out.Bytes(), nil
}

// ValidRouting says whether a routing number has nine digits of which the last checks
// the others: the sum weighted 3, 7, 1 is a multiple of ten.
func ValidRouting(number string) bool {
	if len(number) != 9 {
		return false
	}
	weights, sum := [...]int{3, 7, 1}, 0
	for i := range len(number) {
		if number[i] < '0' || number[i] > '9' {
			return false
		}
		sum += weights[i%len(weights)] * int(number[i]-'0')
	}
	return sum%10 == 0 && sum > 0
}

// plain makes text printable ASCII: anything else becomes a blank.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
}

// field is plain text on the left of a field of a fixed width, cut where it is longer.
func field(text string, width int) string {
	text = plain(text)
	return fmt.Sprintf("%-*s", width, text[:min(len(text), width)])
}

// shortDay is a day as YYMMDD.
func shortDay(on mortgage.Date) string {
	year, month, day := on.Civil()
	return fmt.Sprintf("%02d%02d%02d", year%100, month, day)
}

// clock is the time of day as HHMM, in UTC.
func clock(at time.Time) string { return at.UTC().Format("1504") }
