package remittance

import (
	"bytes"

	"loanserve/mortgage"
)

// column is a field of a fixed-width record: its characters from to to, both
// counted from 1.
type column struct {
	name     string
	from, to int
}

// record is a line of a fixed-width file. Its text is overwritten by the next.
type record struct {
	in   *reader
	line int
	text []byte
}

func (rec record) kind() byte { return rec.text[0] }

func (rec record) fault(c column, reason string) {
	rec.in.fault(rec.line, c.from, c.name+reason)
}

// field returns the characters, spaces included.
func (rec record) field(c column) []byte { return rec.text[c.from-1 : c.to] }

// word returns the characters without the spaces around.
func (rec record) word(c column) []byte { return bytes.Trim(rec.field(c), " ") }

// number reads digits; up to 18 fit. The fault is at the first other character.
func (rec record) number(c column) int64 {
	var n int64
	for i, digit := range rec.field(c) {
		if digit < '0' || digit > '9' {
			rec.in.fault(rec.line, c.from+i, c.name+reasonDigits)
			return 0
		}
		n = n*10 + int64(digit-'0')
	}
	return n
}

// cents reads an amount that a payment may have.
func (rec record) cents(c column) mortgage.Cents {
	before := rec.in.faults.Count
	amount := mortgage.Cents(rec.number(c))
	if rec.in.faults.Count == before && !payable(amount) {
		rec.fault(c, reasonAmount)
	}
	return amount
}

// day reads YYMMDD of this century.
func (rec record) day(c column) mortgage.Date {
	day, ok := shortDay(rec.field(c))
	if !ok {
		rec.fault(c, reasonShortDay)
	}
	return day
}

func shortDay(text []byte) (mortgage.Date, bool) {
	var parts [3]int
	for i, digit := range text {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		parts[i/2] = parts[i/2]*10 + int(digit-'0')
	}
	day, err := mortgage.NewDate(2000+parts[0], parts[1], parts[2])
	return day, err == nil
}

// must notes a fault unless the field is the one value that it may have.
func (rec record) must(c column, value string) {
	if string(rec.field(c)) != value {
		rec.fault(c, reasonValue)
	}
}

// blank notes a fault at the first character that is not a space.
func (rec record) blank(c column) {
	for i, char := range rec.field(c) {
		if char != ' ' {
			rec.in.fault(rec.line, c.from+i, c.name+reasonBlank)
			return
		}
	}
}

// tie notes a fault unless what the field says is what was found.
func (rec record) tie(c column, says, found int64, reason string) {
	if says != found {
		rec.fault(c, reason)
	}
}

// layout is what tells one fixed-width format from another.
type layout struct {
	length  int
	follows map[byte]string // the types of record that may follow each; 0 is the beginning
	details string          // the types of record that others do not depend on
	last    byte            // the type that ends the file
	take    func(record)
	drop    func(kind byte) // is told of a detail record that was left out
}

// records gives every record to the layout, in an order that it allows. A
// detail record that cannot be read is noted and left out; a header or a total
// ends the reading, because nothing after it would mean anything.
func (r *reader) records(l layout) {
	var kind byte
	for {
		text, ok := r.next()
		if !ok {
			break
		}
		rec := record{in: r, line: r.lines.line, text: text}
		if bytes.IndexByte([]byte(l.follows[kind]), rec.kind()) < 0 {
			r.stop(rec.line, 1, reasonOrder)
			return
		}
		kind = rec.kind()
		isDetail := bytes.IndexByte([]byte(l.details), kind) >= 0
		if len(text) != l.length {
			r.fault(rec.line, min(len(text), l.length)+1, reasonLength)
			if !isDetail {
				r.stopped = true
				return
			}
			l.drop(kind)
			continue
		}
		l.take(rec)
	}
	if !r.stopped && kind != l.last && kind != 0 {
		r.fault(r.lines.line, 0, reasonTruncated)
	}
}
