package remittance_test

import (
	"fmt"
	"strings"

	"loanserve/internal/remittance"
	"loanserve/mortgage"
)

// writer writes a file, and remembers what it should be read as.
type writer struct {
	lines   []string
	items   []remittance.Item
	amounts []place // the digits of every amount, of items and of controls
	skipped int
}

// place is where something is in a file. Lines and columns count from 1.
type place struct{ line, column, width int }

func (w *writer) text() string { return strings.Join(w.lines, "\n") + "\n" }

func (w *writer) line(format string, values ...any) {
	w.lines = append(w.lines, fmt.Sprintf(format, values...))
}

// amount says that the line just written has an amount.
func (w *writer) amount(column, width int) {
	w.amounts = append(w.amounts, place{len(w.lines), column, width})
}

// item says that the line just written is an item.
func (w *writer) item(item remittance.Item) {
	item.Line = len(w.lines)
	w.items = append(w.items, item)
}

func (w *writer) total() (total, returned mortgage.Cents) {
	for _, item := range w.items {
		total += item.AmountCents
		if item.Return != nil {
			returned += item.AmountCents
		}
	}
	return total, returned
}

func (w *writer) csv(items []remittance.Item) {
	w.line("loan_number,amount,received_on,channel,designation,external_ref")
	quote := func(text string) string {
		if strings.ContainsAny(text, `",`) {
			return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
		}
		return text
	}
	for _, item := range items {
		amount := fmt.Sprintf("%d.%02d", item.AmountCents/100, item.AmountCents%100)
		loan := quote(item.LoanNumber)
		w.line("%s,%s,%s,%s,%s,%s", loan, amount, item.ReceivedOn, item.Channel, item.Designation, quote(item.ExternalRef))
		w.amount(len(loan)+2, len(amount))
		w.item(item)
	}
}

// deposit is one lockbox of a file: batches of items on a day.
type deposit struct {
	day     mortgage.Date
	batches [][]remittance.Item // of which the loan numbers and the amounts count
}

func short(d mortgage.Date) string { return strings.ReplaceAll(d.String(), "-", "")[2:] }

func (w *writer) bai(deposits []deposit) {
	w.line("101%-10s%-10s%s%s%47s", "SERVICER", "123456780", "260115", "0930", "")
	w.line("2%-10s%-10s%-10s40008008001%38s", "SERVICER", "123456780", "1", "")
	for i, d := range deposits {
		var items, total int
		for j, batch := range d.batches {
			w.line("5%03d000%07d%s%-10s%-10s%40s", j+1, i+1, short(d.day), "SERVICER", "123456780", "")
			var sum int
			for k, item := range batch {
				w.baiItem(item, d.day, i+1, j+1, k+1)
				sum += int(item.AmountCents)
			}
			w.line("7%03d%03d%07d%s%03d%010d%47s", j+1, len(batch)+1, i+1, short(d.day), len(batch), sum, "")
			w.amount(24, 10)
			items, total = items+len(batch), total+sum
		}
		w.line("8000000%07d%s%04d%010d%46s", i+1, short(d.day), items, total, "")
		w.amount(25, 10)
	}
	w.line("9%06d%73s", len(w.lines)+1, "")
}

func (w *writer) baiItem(item remittance.Item, day mortgage.Date, lockbox, batch, number int) {
	const room = 20
	loan := item.LoanNumber
	w.line("6%03d%03d%010d%09d%17s%10s%-20s%7s",
		batch, number, item.AmountCents, 123456780, "0000445566", "101", loan[:min(room, len(loan))], "")
	w.amount(8, 10)
	w.item(remittance.Item{
		LoanNumber: loan, AmountCents: item.AmountCents, ReceivedOn: day, Channel: "lockbox", Designation: "periodic",
		ExternalRef: fmt.Sprintf("%s/%07d/%03d/%03d", day, lockbox, batch, number),
	})
	if len(loan) > room {
		w.line("4%03d%03d6019%-20s%49s", batch, number, loan[room:], "")
	}
}

// entry is one of an ACH batch. Its item counts by loan number, amount, and
// return.
type entry struct {
	item    remittance.Item
	savings bool // account, not checking
	prenote bool
	addenda bool // with payment information
	bank    int  // eight digits
}

// achBatch is a batch of debits, of credits, or of debits that came back.
type achBatch struct {
	credits bool
	day     mortgage.Date
	entries []entry
}

func (w *writer) nacha(created mortgage.Date, batches []achBatch) {
	w.line("101 123456780 123456780%s1700A094101%-23s%-23s%8s", short(created), "BANK", "SERVICER", "")
	var all [4]int // records, hash, debits, credits
	for i, b := range batches {
		service, class := "225", "PPD"
		if b.credits {
			service, class = "220", "CIE"
		}
		w.line("5%s%-16s%20s1234567890%s%-10s%6s%s%3s1%08d%07d",
			service, "SERVICER", "", class, "MORTGAGE", "", short(b.day), "", 12345678, i+1)
		var found [4]int
		for _, e := range b.entries {
			w.achEntry(e, b, created, &found)
		}
		w.line("8%s%06d%010d%012d%012d1234567890%25s%08d%07d",
			service, found[0], found[1]%1e10, found[2], found[3], "", 12345678, i+1)
		w.amount(21, 12)
		w.amount(33, 12)
		for j, n := range found {
			all[j] += n
		}
	}
	w.line("9%06d%06d%08d%010d%012d%012d%39s",
		len(batches), (len(w.lines)+10)/10, all[0], all[1]%1e10, all[2], all[3], "")
	w.amount(32, 12)
	w.amount(44, 12)
	for len(w.lines)%10 != 0 {
		w.line("%s", strings.Repeat("9", 94))
	}
}

// achEntry writes an entry with its addenda, and adds it to what was found.
func (w *writer) achEntry(e entry, b achBatch, created mortgage.Date, found *[4]int) {
	trace := fmt.Sprintf("12345678%07d", len(w.lines))
	day, code := b.day, 7
	if b.credits {
		code = 2
	}
	if e.item.Return != nil {
		day, code = created, 6
	}
	if e.prenote {
		code++
	}
	account, addenda := 2, 0
	if e.savings {
		account = 3
	}
	if e.addenda || e.item.Return != nil {
		addenda = 1
	}
	loan, name := fmt.Sprintf("%-15s", e.item.LoanNumber), fmt.Sprintf("%-22s", "BORROWER")
	if b.credits {
		loan, name = fmt.Sprintf("%-15s", "BORROWER"), fmt.Sprintf("%-22s", e.item.LoanNumber)
	}
	w.line("6%d%d%08d%d%-17s%010d%s%s%2s%d%s",
		account, code, e.bank, ninth(e.bank), "4455667788", e.item.AmountCents, loan, name, "", addenda, trace)
	w.amount(30, 10)
	found[0] += 1 + addenda
	found[1] += e.bank
	if b.credits {
		found[3] += int(e.item.AmountCents)
	} else {
		found[2] += int(e.item.AmountCents)
	}
	if e.prenote {
		w.skipped++
	} else {
		w.item(remittance.Item{
			LoanNumber: e.item.LoanNumber, AmountCents: e.item.AmountCents, ReceivedOn: day,
			Channel: "ach", Designation: "periodic", ExternalRef: trace + "/" + day.String(), Return: e.item.Return,
		})
	}
	if back := e.item.Return; back != nil {
		w.line("799%s%s%6s%08d%44s%s", back.Code, back.OriginalTrace, "", e.bank, "", trace)
	} else if addenda > 0 {
		w.line("705%-80s%04d%s", "JANUARY", 1, trace[8:])
	}
}

// ninth is the check digit of a routing number.
func ninth(bank int) int {
	digits := fmt.Sprintf("%08d", bank)
	sum := 0
	for i, weight := range []int{3, 7, 1, 3, 7, 1, 3, 7} {
		sum += weight * int(digits[i]-'0')
	}
	return (10 - sum%10) % 10
}
