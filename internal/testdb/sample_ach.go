package testdb

import (
	"fmt"
	"strings"
)

// ACH is a NACHA file: a batch of debits that were made on one day, and a batch
// of debits that came back. docs/files.md has its records column by column.
type ACH struct {
	CreatedOn string // the day of receipt of what came back
	DebitedOn string
	Debits    []ACHEntry
	Returns   []ACHEntry
	Modifier  byte // tells files of the same content apart; 0 is 'A'
}

// ACHEntry is a debit, or one that came back.
type ACHEntry struct {
	Trace int
	Loan  string
	Cents int64

	Code     string // of a return
	Original int    // the trace of the debit that came back
}

// ACHTrace is a trace number as a file has it.
func ACHTrace(n int) string { return fmt.Sprintf("12345678%07d", n) }

// String returns the file, whose controls tie.
func (a ACH) String() string {
	short := func(day string) string { return strings.ReplaceAll(day, "-", "")[2:] }
	modifier := a.Modifier
	if modifier == 0 {
		modifier = 'A'
	}
	lines := []string{fmt.Sprintf("101 123456780 123456780%s1700%c094101%-23s%-23s%8s",
		short(a.CreatedOn), modifier, "BANK", "SERVICER", "")}
	var all achTotals
	batches := 0
	add := func(entries []ACHEntry, day string) {
		if len(entries) == 0 {
			return
		}
		batches++
		lines = append(lines, fmt.Sprintf("5225%-16s%20s1234567890PPD%-10s%6s%6s%3s1%08d%07d",
			"SERVICER", "", "MORTGAGE", "", day, "", 12345678, batches))
		var found achTotals
		for _, e := range entries {
			lines = append(lines, e.records()...)
			found.add(e.totals())
		}
		lines = append(lines, fmt.Sprintf("8225%06d%010d%012d%012d1234567890%25s%08d%07d",
			found.records, found.hash, found.cents, 0, "", 12345678, batches))
		all.add(found)
	}
	if len(a.Debits) > 0 {
		add(a.Debits, short(a.DebitedOn))
	}
	add(a.Returns, "")
	blocks := (len(lines) + 1 + 9) / 10
	lines = append(lines, fmt.Sprintf("9%06d%06d%08d%010d%012d%012d%39s",
		batches, blocks, all.records, all.hash, all.cents, 0, ""))
	return strings.Join(lines, "\n") + "\n"
}

// records are an entry's 6 and, of a return, its 7.
func (e ACHEntry) records() []string {
	code, addenda := 27, 0
	if e.Code != "" {
		code, addenda = 26, 1
	}
	entry := fmt.Sprintf("6%d123456780%-17s%010d%-15s%-22s%2s%d%s",
		code, "4455667788", e.Cents, e.Loan, "BORROWER", "", addenda, ACHTrace(e.Trace))
	if e.Code == "" {
		return []string{entry}
	}
	record := fmt.Sprintf("799%s%s%6s12345678%44s%s", e.Code, ACHTrace(e.Original), "", "", ACHTrace(e.Trace))
	return []string{entry, record}
}

func (e ACHEntry) totals() achTotals {
	return achTotals{records: len(e.records()), hash: 12345678, cents: e.Cents}
}

type achTotals struct {
	records, hash int
	cents         int64
}

func (t *achTotals) add(o achTotals) {
	const modulus = 10_000_000_000
	t.records, t.hash, t.cents = t.records+o.records, (t.hash+o.hash)%modulus, t.cents+o.cents
}
