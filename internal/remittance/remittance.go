// Package remittance reads the files of payments that banks and billers send:
// CSV, BAI lockbox, and NACHA ACH entries and returns.
//
// It is pure: an io.Reader goes in, and a File or the list of its faults comes
// out. Counts, totals and hashes of a file are compared with its items before
// any item is returned, so whoever holds a File holds all of it. What is not
// here: whether a loan exists, whether a file was sent before, and storing it.
//
// docs/files.md has every format column by column, and every fault.
package remittance

import (
	"fmt"
	"io"
	"strings"

	"loanserve/mortgage"
)

// Format names the layout of a file.
type Format string

// The formats.
const (
	FormatCSV   Format = "csv"
	FormatBAI   Format = "bai_lockbox"
	FormatNACHA Format = "nacha"
)

// Item is one payment of a file, or the return of an earlier one.
type Item struct {
	Line        int            // of the record that has the amount, from 1
	LoanNumber  string         // 1 to 40 printable ASCII characters
	AmountCents mortgage.Cents // 1 to mortgage.MaxPayment, for a return as well
	ReceivedOn  mortgage.Date  // 1970-01-01 to 2199-12-31; of a return, the day of its file
	Channel     string         // one of the payment channels
	Designation string         // periodic, principal, escrow, late_charge or payoff

	// ExternalRef is what the sender calls the item, 1 to 100 printable ASCII
	// characters, once in a file. An ACH entry is called "trace/ReceivedOn",
	// because senders use their trace numbers again in later files. A lockbox
	// item is called "date/lockbox/batch/item".
	ExternalRef string

	Return *Return // nil for a payment
}

// Return says which entry came back, and why. The amount of its item is what
// that entry brought, and is to be reversed.
type Return struct {
	Code          string // R01 to R85
	OriginalTrace string // 15 digits: the ExternalRef of the entry begins with them and a slash
}

// promptReturns are the codes with which a bank has to send an entry back within
// two banking days of its settlement, or at once.
//
// Source: Nacha Operating Rules, Appendix Four, Return Reason Codes.
const promptReturns = "R01 R02 R03 R04 R08 R09 R12 R13 R14 R15 R16 R17 R18 R19 R20 R21 R22 R24 R25 R26 R27 R28 R29"

// Late says whether the entry may have come back weeks later, as it may when its
// owner denies having authorized it. Newer entries may have been made since.
func (r *Return) Late() bool { return !strings.Contains(promptReturns, r.Code) }

// File is a file whose every record could be read and whose controls tie.
type File struct {
	Format        Format
	Items         []Item         // at least one, in the order of the file
	TotalCents    mortgage.Cents // of all items, payments and returns alike
	ReturnedCents mortgage.Cents // of the returns among them
	Skipped       int            // ACH entries that move no money: prenotes and notices of change
	SHA256        [32]byte       // of every byte of the file
}

// Control is what the sender says of a file outside of it. It ties to every
// item, payments and returns alike.
type Control struct {
	Items      int
	TotalCents mortgage.Cents
}

// Limits bound what a file may cost. A field that is not positive takes the
// default named beside it.
type Limits struct {
	Bytes     int64 // 64 MiB
	LineBytes int   // 4096, without the line ending; at least 128
	Items     int   // 1,000,000
	Faults    int   // 100 listed; the rest are only counted
}

func (l Limits) orDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	if l.LineBytes <= 0 {
		l.LineBytes = 4096
	}
	if l.Items <= 0 {
		l.Items = 1_000_000
	}
	if l.Faults <= 0 {
		l.Faults = 100
	}
	l.LineBytes = max(l.LineBytes, 128) // every fixed-width record fits
	return l
}

// Read reads a whole file and checks it. The control is compared when given.
//
// It returns *Faults when the file is not one that can be taken, and then no
// File: nothing of a bad file is for use. Any other error is of r, or says that
// there is no such format.
func Read(format Format, r io.Reader, control *Control, limits Limits) (*File, error) {
	read, ok := map[Format]func(*reader){
		FormatCSV: readCSV, FormatBAI: readBAI, FormatNACHA: readNACHA,
	}[format]
	if !ok {
		return nil, fmt.Errorf("read payment file: no format of this name")
	}
	in := newReader(format, r, limits.orDefaults())
	read(in)
	return in.finish(control)
}
