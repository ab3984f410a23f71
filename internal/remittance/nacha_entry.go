package remittance

import (
	"bytes"

	"loanserve/mortgage"
)

// The fields of entries and addenda that are read.
var (
	achCode       = column{"transaction code", 2, 3}
	achReceiver   = column{"receiving bank", 4, 11}
	achCheckDigit = column{"check digit", 12, 12}
	achAmount     = column{"amount", 30, 39}
	achLoanNumber = column{"individual identification number", 40, 54}
	achLoanCIE    = column{"individual identification number", 55, 76}
	achHasAddenda = column{"addenda record indicator", 79, 79}
	achTrace      = column{"trace number", 80, 94}

	achAddendaType  = column{"addenda type code", 2, 3}
	achReturnCode   = column{"return reason code", 4, 6}
	achOriginal     = column{"original trace number", 7, 21}
	achAddendaEntry = column{"entry sequence number", 88, 94}
)

// nature is what an entry does, told by its transaction code.
type nature int

const (
	payment    nature = iota + 1 // a credit received (22, 32) or a debit made (27, 37)
	prenote                      // of a credit (23, 33) or of a debit (28, 38): no money
	debitBack                    // a debit that came back, or a notice of change (26, 36)
	creditBack                   // the same of a credit that was sent (21, 31)
)

// natures by the second digit of the code; the first is the kind of account.
var natures = map[byte]nature{
	'1': creditBack, '2': payment, '3': prenote, '6': debitBack, '7': payment, '8': prenote,
}

// achEntry is an entry whose addenda may still come.
type achEntry struct {
	line     int // 0 for none
	nature   nature
	amount   mortgage.Cents
	loan     []byte // its room is used again
	trace    [15]byte
	expects  bool // the indicator says that addenda follow
	addenda  int
	kind     [2]byte // of the addenda: 05, 98 or 99
	code     [3]byte
	original [15]byte
}

// openEntry reads an entry and counts it. It becomes an item when its addenda
// are read.
func (a *ach) openEntry(rec record) {
	before := a.faults.Count
	e := &a.entry
	*e = achEntry{line: rec.line, loan: e.loan[:0]}
	code := rec.field(achCode)
	e.nature = natures[code[1]]
	if code[0] != '2' && code[0] != '3' || e.nature == 0 {
		rec.fault(achCode, reasonTransaction)
	}
	bank, digit := rec.number(achReceiver), rec.number(achCheckDigit)
	if a.faults.Count == before {
		rec.tie(achCheckDigit, digit, checkDigit(bank), reasonCheckDigit)
	}
	e.amount = mortgage.Cents(rec.number(achAmount))
	rec.number(achTrace)
	copy(e.trace[:], rec.field(achTrace))
	e.loan = append(e.loan, rec.word(a.loanNumber())...)
	switch rec.field(achHasAddenda)[0] {
	case '0':
	case '1':
		e.expects = true
	default:
		rec.fault(achHasAddenda, reasonValue)
	}
	if a.faults.Count > before {
		e.line = 0 // Its addenda have nothing to belong to.
		return
	}
	a.count(rec, code[1] < '5', bank, e.amount)
	if e.nature == payment {
		a.checkPayment(rec, code[1] == '2')
	}
	if e.nature == prenote && e.amount != 0 {
		rec.fault(achAmount, reasonNoMoney)
	}
	if a.faults.Count > before {
		e.line = 0
	}
}

// loanNumber is where entries of this class have it. In those that customers
// initiate, the name comes first.
func (a *ach) loanNumber() column {
	if string(a.batch.class[:]) == "CIE" {
		return achLoanCIE
	}
	return achLoanNumber
}

// count adds an entry to its batch, and checks that its direction fits.
func (a *ach) count(rec record, credit bool, bank int64, amount mortgage.Cents) {
	t := achTotals{records: 1, hash: bank, debits: int64(amount)}
	if credit {
		t.debits, t.credits = 0, int64(amount)
	}
	a.batch.found.add(t)
	service := string(a.batch.service[:])
	if service == "220" && !credit || service == "225" && credit {
		rec.fault(achCode, reasonService)
	}
}

// checkPayment checks what only a payment needs. A file of both credits and
// debits has an offset among them, which would count as a payment.
func (a *ach) checkPayment(rec record, credit bool) {
	direction := byte('d')
	if credit {
		direction = 'c'
	}
	if a.direction == 0 {
		a.direction = direction
	}
	if a.direction != direction {
		rec.fault(achCode, reasonDirection)
	}
	if !payable(a.entry.amount) {
		rec.fault(achAmount, reasonAmount)
	}
	if len(a.entry.loan) == 0 {
		rec.fault(a.loanNumber(), reasonText)
	}
	if a.batch.effectiveOn.IsZero() && a.batch.line != 0 {
		a.fault(a.batch.line, achEffectiveOn.from, achEffectiveOn.name+reasonShortDay)
		a.batch.line = 0 // Once is enough.
	}
}

// addenda reads what belongs to the entry before it. Payment information (05)
// and notices of change (98) are counted, and returns (99) are kept.
func (a *ach) addenda(rec record) {
	a.batch.found.records++
	e := &a.entry
	if e.line == 0 {
		return
	}
	before := a.faults.Count
	e.addenda++
	copy(e.kind[:], rec.field(achAddendaType))
	kind := string(e.kind[:])
	returned := e.nature == debitBack || e.nature == creditBack
	many := kind == "05" && string(a.batch.class[:]) == "CTX"
	switch {
	case !e.expects || e.addenda > 1 && !many,
		kind == "05" && returned, kind == "98" && !returned, kind == "99" && !returned,
		kind != "05" && kind != "98" && kind != "99":
		rec.fault(achAddendaType, reasonAddenda)
	case kind == "05":
		if !bytes.Equal(rec.field(achAddendaEntry), e.trace[len(e.trace)-7:]) {
			rec.fault(achAddendaEntry, reasonRecordTie)
		}
	case kind == "99":
		if !bytes.Equal(rec.field(achTrace), e.trace[:]) {
			rec.fault(achTrace, reasonRecordTie)
		}
		if !returnsPayment(rec.field(achReturnCode)) {
			rec.fault(achReturnCode, reasonReturnCode)
		}
		rec.number(achOriginal)
		copy(e.code[:], rec.field(achReturnCode))
		copy(e.original[:], rec.field(achOriginal))
	}
	if a.faults.Count > before {
		e.line = 0
	}
}

// closeEntry takes the open entry: no more addenda belong to it.
func (a *ach) closeEntry() {
	e := &a.entry
	line := e.line
	e.line = 0
	if line == 0 {
		return
	}
	back := e.nature == debitBack || e.nature == creditBack
	if e.addenda == 0 && (e.expects || back) {
		a.fault(line, achHasAddenda.from, achHasAddenda.name+reasonNoAddenda)
		return
	}
	switch {
	case e.nature == prenote, back && e.amount == 0:
		a.file.Skipped++
	case back && string(e.kind[:]) == "98":
		a.fault(line, achAmount.from, achAmount.name+reasonNoMoney)
	case e.nature == creditBack:
		a.fault(line, achCode.from, achCode.name+reasonCreditBack)
	case e.nature == debitBack && len(e.loan) == 0:
		a.fault(line, a.loanNumber().from, achLoanNumber.name+reasonText)
	case e.nature == debitBack:
		a.add(a.item(line, a.createdOn, a.createdOn.String()), achTrace.from)
	default:
		a.add(a.item(line, a.batch.effectiveOn, a.batch.effective), achTrace.from)
	}
}

// item makes an item of the entry. One string holds its loan number, its
// reference and, of a return, what came back.
func (a *ach) item(line int, day mortgage.Date, dayText string) Item {
	e := &a.entry
	n := len(e.loan)
	var room [96]byte // 22 of loan number, 26 of reference, 18 of return
	all := append(append(room[:0], e.loan...), e.trace[:]...)
	all = append(append(append(all, '/'), dayText...), e.code[:]...)
	text := string(append(all, e.original[:]...))
	ref := n + len(e.trace) + len("/") + len(dayText)
	item := Item{
		Line: line, LoanNumber: text[:n], AmountCents: e.amount, ReceivedOn: day,
		Channel: channelACH, Designation: designationPeriodic, ExternalRef: text[n:ref],
	}
	if e.nature == debitBack {
		item.Return = &Return{Code: text[ref : ref+len(e.code)], OriginalTrace: text[ref+len(e.code):]}
	}
	return item
}

// checkDigit is the ninth digit of a routing number: it makes the sum weighted
// 3, 7, 1 a multiple of ten.
func checkDigit(bank int64) int64 {
	weights := [...]int64{7, 3, 1} // from the last of the eight digits to the first
	var sum int64
	for i := 0; bank > 0; i++ {
		sum += weights[i%len(weights)] * (bank % 10)
		bank /= 10
	}
	return (10 - sum%10) % 10
}

// returnsPayment says whether a code returns an entry: R01 to R39, those of
// checks R50 to R53, and those of gateways R80 to R85. R40 to R47 are of
// enrollments, and with R61 to R77 banks dispute a return among themselves.
func returnsPayment(code []byte) bool {
	if code[0] != 'R' {
		return false
	}
	n := string(code[1:])
	return "01" <= n && n <= "39" && code[2] >= '0' && code[2] <= '9' ||
		"50" <= n && n <= "53" || "80" <= n && n <= "85"
}
