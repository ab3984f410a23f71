package remittance

import (
	"fmt"
	"io"
	"strconv"

	"loanserve/mortgage"
)

// reader is what the formats have in common: lines come in, items and faults
// go out.
type reader struct {
	lines   *lines
	limits  Limits
	file    *File
	refs    map[string]int32 // the line of each reference
	faults  Faults
	err     error // of the source
	stopped bool  // what follows could not be understood, or is too much
}

func newReader(format Format, r io.Reader, limits Limits) *reader {
	return &reader{
		lines: newLines(r, limits), limits: limits,
		file: &File{Format: format}, refs: map[string]int32{},
	}
}

// fault notes one, and lists it while the list has room.
func (r *reader) fault(line, column int, reason string) {
	r.faults.Count++
	if len(r.faults.Listed) < r.limits.Faults {
		r.faults.Listed = append(r.faults.Listed, Fault{Line: line, Column: column, Reason: reason})
	}
}

// stop notes a fault after which nothing is read.
func (r *reader) stop(line, column int, reason string) {
	r.fault(line, column, reason)
	r.stopped = true
}

// add takes an item whose reference begins in this column.
func (r *reader) add(item Item, column int) {
	if first, ok := r.refs[item.ExternalRef]; ok {
		r.fault(item.Line, column, reasonDuplicate+" "+strconv.Itoa(int(first)))
		return
	}
	if len(r.file.Items) == r.limits.Items {
		r.stop(item.Line, 0, reasonItems)
		return
	}
	r.refs[item.ExternalRef] = int32(item.Line)
	r.file.Items = append(r.file.Items, item)
	r.file.TotalCents += item.AmountCents
	if item.Return != nil {
		r.file.ReturnedCents += item.AmountCents
	}
}

// finish returns the file if nothing is wrong with it. What the sender says of
// the file is compared only with one that could be read.
func (r *reader) finish(control *Control) (*File, error) {
	if r.err != nil {
		return nil, fmt.Errorf("read payment file: %w", r.err)
	}
	if r.faults.Count == 0 && len(r.file.Items) == 0 {
		r.fault(0, 0, reasonNoItems)
	}
	if r.faults.Count == 0 && control != nil {
		if control.Items != len(r.file.Items) {
			r.fault(0, 0, reasonControlItems)
		}
		if control.TotalCents != r.file.TotalCents {
			r.fault(0, 0, reasonControlTotal)
		}
	}
	if r.faults.Count > 0 {
		return nil, &r.faults
	}
	r.lines.source.sum.Sum(r.file.SHA256[:0])
	return r.file, nil
}

// payable says whether an amount is one that a payment may have.
func payable(amount mortgage.Cents) bool { return amount >= 1 && amount <= mortgage.MaxPayment }

// The days that a payment may have been received on.
const (
	firstDay mortgage.Date = 719_163 // 1970-01-01
	lastDay  mortgage.Date = 803_168 // 2199-12-31
)

// The longest texts that a payment may have.
const (
	maxLoanNumber  = 40
	maxExternalRef = 100
)
