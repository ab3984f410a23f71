package instruction

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"loanserve/mortgage"
)

const (
	achLine    = 94             // characters of a record
	achBlock   = 10             // records
	achModulus = 10_000_000_000 // A hash keeps ten digits.

	// maxACHTotal is the most that a control has room for.
	maxACHTotal mortgage.Cents = 999_999_999_999
	// maxACHPayments keeps the count of entries and addenda within its six digits.
	maxACHPayments = 499_999
)

// modifiers tell files of one day apart, in their order.
const modifiers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// NACHA writes credits to corporate accounts (CCD) as one batch of a file in the
// layout of the Nacha Operating Rules, appendix three: records of 94 characters in
// blocks of ten. Each entry has an addenda with the loan's number and the payment's
// reference; trace numbers count the payments from one. nth is how many files of the
// same day come before, and effectiveOn the day on which the payees are to have it.
//
// It returns ErrCannotWrite for what the layout has no room for: an amount above
// MaxACH, no payments or too many, the 37th file of a day, numbers that are not what
// they should be.
func NACHA(
	o Originator, createdAt time.Time, nth int, effectiveOn mortgage.Date, payments []Payment,
) ([]byte, error) {
	if err := check(o, nth, payments); err != nil {
		return nil, err
	}
	w := &achWriter{}
	odfi := o.BankRouting[:8]
	w.line("101 %9s%-10s%s%s%c094101%s%s%8s", o.BankRouting, o.CompanyID,
		shortDay(mortgage.DateOf(createdAt)), clock(createdAt), modifiers[nth],
		field(o.BankName, 23), field(o.CompanyName, 23), "")
	w.line("5220%s%20s%-10sCCD%-10s%s%s%3s1%s%07d", field(o.CompanyName, 16), "", o.CompanyID, "ESCROW PAY",
		shortDay(mortgage.DateOf(createdAt)), shortDay(effectiveOn), "", odfi, 1)
	var hash, total int64
	for i := range payments {
		p := &payments[i]
		bank, _ := strconv.ParseInt(p.Account.Routing[:8], 10, 64) // check has seen digits.
		hash, total = (hash+bank)%achModulus, total+int64(p.Amount)
		w.line("6%s%s%s%010d%s%s  1%s%07d", transactionCode(p.Account), p.Account.Routing, field(p.Account.Number, 17),
			p.Amount, field(p.LoanNumber, 15), field(p.Payee, 22), odfi, i+1)
		w.line("705%s0001%07d", field(p.LoanNumber+" "+p.Ref, 80), i+1)
	}
	entries := 2 * len(payments)
	w.line("8220%06d%010d%012d%012d%-10s%25s%s%07d", entries, hash, 0, total, o.CompanyID, "", odfi, 1)
	blocks := (w.lines + 1 + achBlock - 1) / achBlock
	w.line("9%06d%06d%08d%010d%012d%012d%39s", 1, blocks, entries, hash, 0, total, "")
	for w.lines%achBlock != 0 {
		w.line("%s", bytes.Repeat([]byte{'9'}, achLine))
	}
	return w.out.Bytes(), w.err
}

// transactionCode says that an account is credited, and of which kind it is.
func transactionCode(a Account) string {
	if a.Savings {
		return "32"
	}
	return "22"
}

// achWriter writes records.
type achWriter struct {
	out   bytes.Buffer
	lines int
	err   error
}

func (w *achWriter) line(format string, values ...any) {
	before := w.out.Len()
	fmt.Fprintf(&w.out, format, values...)
	if n := w.out.Len() - before; n != achLine && w.err == nil {
		w.err = fmt.Errorf("%w: record %d has %d characters", ErrCannotWrite, w.lines+1, n)
	}
	w.out.WriteByte('\n')
	w.lines++
}

// check refuses what the layout has no room for.
func check(o Originator, nth int, payments []Payment) error {
	if !ValidRouting(o.BankRouting) || len(o.CompanyID) != 10 || plain(o.CompanyID) != o.CompanyID {
		return fmt.Errorf("%w: the originator", ErrCannotWrite)
	}
	if nth < 0 || nth >= len(modifiers) {
		return fmt.Errorf("%w: %d files on one day", ErrCannotWrite, nth+1)
	}
	if len(payments) == 0 || len(payments) > maxACHPayments {
		return fmt.Errorf("%w: %d payments", ErrCannotWrite, len(payments))
	}
	var total mortgage.Cents
	for i := range payments {
		p := &payments[i]
		total += p.Amount
		n := len(p.Account.Number)
		if p.Amount < 1 || p.Amount > MaxACH || total > maxACHTotal ||
			!ValidRouting(p.Account.Routing) || n == 0 || n > 17 {
			return fmt.Errorf("%w: payment %d", ErrCannotWrite, i+1)
		}
	}
	return nil
}
