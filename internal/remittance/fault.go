package remittance

import "fmt"

// Fault is one thing wrong with a file. Its reason repeats nothing of the file,
// which may be somebody's account number.
type Fault struct {
	Line   int // from 1; 0 for the file as a whole
	Column int // the byte of the line, from 1; 0 for the line as a whole
	Reason string
}

// Faults is the error of a file that cannot be taken.
//
//nolint:errname // It is a list, and is named for what it holds.
type Faults struct {
	Listed []Fault // the first ones in the order found, as many as the limit
	Count  int     // of all that were found
}

// Error says how many there are, and the first.
func (f *Faults) Error() string {
	if len(f.Listed) == 0 {
		return "payment file: no faults"
	}
	first := f.Listed[0]
	return fmt.Sprintf("payment file: %d faults, the first on line %d, column %d: %s",
		f.Count, first.Line, first.Column, first.Reason)
}

// The reasons. Those that begin with a colon follow the name of a field.
// docs/files.md explains each of them, and a test compares.
const (
	reasonBytes     = "the file is larger than the limit"
	reasonUTF16     = "the file is UTF-16, and must be ASCII"
	reasonNUL       = "a NUL byte: the file is binary or UTF-16, and must be ASCII"
	reasonLongLine  = "the line is longer than the limit"
	reasonCharacter = "a character that is not printable ASCII"
	reasonBlankLine = "an empty line within the file"
	reasonNoItems   = "the file has no payments and no returns"
	reasonItems     = "the file has more items than the limit"
	reasonDuplicate = "the same reference as the item on line"

	reasonControlItems = "control items: not the number of items in the file"
	reasonControlTotal = "control total: not the sum of the amounts in the file"

	reasonHeader = "the first line is not the header of this format"
	reasonCutOff = "the last line has no line ending: the file may be cut off"
	reasonCells  = "the line does not have 6 fields"
	reasonQuote  = "a double quote that is not around a whole field or doubled"

	reasonLength    = "the record does not have the length of this format"
	reasonOrder     = "a record of this type may not come here"
	reasonTruncated = "the file ends before its last total record"

	reasonText        = ": is missing, too long, or has spaces around it"
	reasonMoney       = ": must be dollars and two decimals, as in 1234.56"
	reasonAmount      = ": must be from one cent to 100,000,000.00"
	reasonDay         = ": must be a calendar day as YYYY-MM-DD from 1970 to 2199"
	reasonShortDay    = ": must be a calendar day as YYMMDD"
	reasonChannel     = ": must be portal, ach, lockbox, wire, check, phone or branch"
	reasonDesignation = ": must be periodic, principal, escrow, late_charge or payoff"
	reasonDigits      = ": must be digits"
	reasonValue       = ": not the value that this format has here"
	reasonBlank       = ": must be blank"
	reasonHeaderTie   = ": not as in the header that it belongs to"
	reasonRecordTie   = ": not as in the record that it belongs to"
	reasonCount       = ": not the number of records that it covers"
	reasonSum         = ": not the sum over the records that it covers"

	reasonEnded = ": goes on after it ended, or is longer than 40 characters"
	reasonLast  = ": does not agree with the overflow records that follow"

	reasonEntryClass  = ": a class of entries that is not taken"
	reasonTransaction = ": a transaction code that is not taken"
	reasonDirection   = ": credits and debits in one file; an offset is no payment"
	reasonService     = ": a debit in a batch of credits, or a credit in a batch of debits"
	reasonCheckDigit  = ": does not fit the eight digits before it"
	reasonNoMoney     = ": must be zero in an entry that moves no money"
	reasonAddenda     = ": an addenda record that this entry cannot have"
	reasonNoAddenda   = ": the addenda record that this entry needs is missing"
	reasonReturnCode  = ": not a code for the return of a payment"
	reasonCreditBack  = ": the return of a credit that was sent, which is no payment"
	reasonFiller      = "after the file control only lines of nines may come, to the end of its block"
)
