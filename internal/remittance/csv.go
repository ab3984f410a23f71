package remittance

import (
	"strings"

	"loanserve/mortgage"
)

const (
	csvHeader = "loan_number,amount,received_on,channel,designation,external_ref"
	csvCells  = 6
	utf8Mark  = "\xef\xbb\xbf" // Some spreadsheets begin with it.
)

// cell is a field of a line.
type cell struct {
	text   string
	column int
}

func readCSV(r *reader) {
	line, ok := r.next()
	if !ok {
		return
	}
	if strings.TrimPrefix(string(line), utf8Mark) != csvHeader {
		r.stop(1, 1, reasonHeader)
		return
	}
	var cells [csvCells]cell
	for {
		line, ok := r.next()
		if !ok {
			break
		}
		// One string for the line: its fields are parts of it.
		if r.split(string(line), &cells) {
			r.csvItem(&cells)
		}
	}
	if r.lines.unended && !r.stopped {
		r.fault(r.lines.line, 0, reasonCutOff)
	}
}

// split cuts a line into its cells, and says whether it has the right number.
func (r *reader) split(line string, cells *[csvCells]cell) bool {
	at, n := 0, 0
	for {
		text, end, ok := cut(line, at)
		if !ok {
			r.fault(r.lines.line, end+1, reasonQuote)
			return false
		}
		if n == csvCells {
			r.fault(r.lines.line, at+1, reasonCells)
			return false
		}
		cells[n] = cell{text: text, column: at + 1}
		n++
		if end == len(line) {
			break
		}
		at = end + 1
	}
	if n < csvCells {
		r.fault(r.lines.line, len(line)+1, reasonCells)
		return false
	}
	return true
}

// cut returns the cell that begins there, and where it ends: at a comma or the
// end of the line. It returns false and the place of a quote that is astray.
func cut(line string, at int) (text string, end int, ok bool) {
	if !strings.HasPrefix(line[at:], `"`) {
		end = len(line)
		if i := strings.IndexByte(line[at:], ','); i >= 0 {
			end = at + i
		}
		if i := strings.IndexByte(line[at:end], '"'); i >= 0 {
			return "", at + i, false
		}
		return line[at:end], end, true
	}
	for i := at + 1; i < len(line); i++ {
		switch {
		case line[i] != '"':
		case strings.HasPrefix(line[i+1:], `"`):
			i++
		case i+1 == len(line) || line[i+1] == ',':
			return strings.ReplaceAll(line[at+1:i], `""`, `"`), i + 1, true
		default:
			return "", i, false
		}
	}
	return "", at, false
}

// csvItem checks the cells of a line, every one of them, and takes the item.
func (r *reader) csvItem(cells *[csvCells]cell) {
	before := r.faults.Count
	item := Item{Line: r.lines.line}
	item.LoanNumber = r.csvText("loan_number", cells[0], maxLoanNumber)
	item.AmountCents = r.csvAmount(cells[1])
	day, err := mortgage.ParseDate(cells[2].text)
	if err != nil || day < firstDay || day > lastDay {
		r.fault(r.lines.line, cells[2].column, "received_on"+reasonDay)
	}
	item.ReceivedOn = day
	item.Channel = word(cells[3].text, "portal", channelACH, channelLockbox, "wire", "check", "phone", "branch")
	if item.Channel == "" {
		r.fault(r.lines.line, cells[3].column, "channel"+reasonChannel)
	}
	item.Designation = word(cells[4].text, designationPeriodic, "principal", "escrow", "late_charge", "payoff")
	if item.Designation == "" {
		r.fault(r.lines.line, cells[4].column, "designation"+reasonDesignation)
	}
	item.ExternalRef = r.csvText("external_ref", cells[5], maxExternalRef)
	if r.faults.Count == before {
		r.add(item, cells[5].column)
	}
}

// The words that the fixed-width formats imply.
const (
	channelACH          = "ach"
	channelLockbox      = "lockbox"
	designationPeriodic = "periodic"
)

// word returns the one of the words that the text is, or "".
func word(text string, words ...string) string {
	for _, w := range words {
		if text == w {
			return w
		}
	}
	return ""
}

func (r *reader) csvText(name string, c cell, longest int) string {
	if c.text == "" || len(c.text) > longest || strings.TrimSpace(c.text) != c.text {
		r.fault(r.lines.line, c.column, name+reasonText)
	}
	return c.text
}

// csvAmount reads dollars and cents. At most nine digits of dollars cannot
// overflow.
func (r *reader) csvAmount(c cell) mortgage.Cents {
	dollars, cents, ok := strings.Cut(c.text, ".")
	if !ok || len(cents) != 2 || len(dollars) < 1 || len(dollars) > 9 || len(dollars) > 1 && dollars[0] == '0' {
		r.fault(r.lines.line, c.column, "amount"+reasonMoney)
		return 0
	}
	var amount mortgage.Cents
	for _, digits := range [2]string{dollars, cents} {
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				r.fault(r.lines.line, c.column, "amount"+reasonMoney)
				return 0
			}
			amount = amount*10 + mortgage.Cents(digits[i]-'0')
		}
	}
	if !payable(amount) {
		r.fault(r.lines.line, c.column, "amount"+reasonAmount)
	}
	return amount
}
