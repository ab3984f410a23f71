package remittance

import (
	"bytes"

	"loanserve/mortgage"
)

// A lockbox file is a header (1), a service header (2), then for each lockbox
// its batches and its total (8), then the trailer (9). A batch is a header (5),
// its remittances (6) with their overflow (4), and its total (7).
var baiOrder = map[byte]string{
	0: "1", '1': "2", '2': "59", '5': "67", '6': "467", '4': "467", '7': "58", '8': "59",
}

// The fields that are read. Those that all records of a batch have come first.
var (
	baiBatch = column{"batch number", 2, 4}
	baiItem  = column{"item number", 5, 7}

	baiPriority   = column{"priority code", 2, 3}
	baiFileDate   = column{"file date", 24, 29}
	baiFileTime   = column{"file time", 30, 33}
	baiFileFiller = column{"filler", 34, 80}

	baiServiceType   = column{"service type", 32, 34}
	baiRecordSize    = column{"record size", 35, 37}
	baiFormatCode    = column{"format code", 42, 42}
	baiServiceFiller = column{"filler", 43, 80}

	baiLockbox     = column{"lockbox number", 8, 14}
	baiDepositDate = column{"deposit date", 15, 20}
	baiBatchFiller = column{"filler", 41, 80}

	baiAmount       = column{"amount", 8, 17}
	baiRouting      = column{"payer's routing number", 18, 26}
	baiLoanNumber   = column{"loan number", 54, 73}
	baiDetailFiller = column{"filler", 74, 80}

	baiOverflowType     = column{"overflow type", 8, 8}
	baiOverflowSequence = column{"overflow sequence", 9, 10}
	baiOverflowLast     = column{"overflow indicator", 11, 11}
	baiOverflowText     = column{"loan number", 12, 31}
	baiOverflowFiller   = column{"filler", 32, 80}

	baiBatchItems       = column{"number of remittances", 21, 23}
	baiBatchTotal       = column{"total amount", 24, 33}
	baiBatchTotalFiller = column{"filler", 34, 80}

	baiServiceItems       = column{"number of remittances", 21, 24}
	baiServiceTotal       = column{"total amount", 25, 34}
	baiServiceTotalFiller = column{"filler", 35, 80}

	baiFileRecords   = column{"number of records", 2, 7}
	baiTrailerFiller = column{"filler", 8, 80}
)

// bai is where the reading of a lockbox file has come to.
type bai struct {
	*reader

	records int64

	lockbox lockbox
	batch   baiGroup
	open    remittance
}

// lockbox holds the totals of the batches since the last total of a lockbox.
type lockbox struct {
	number  [7]byte
	items   int64
	total   int64
	batches int
}

// baiGroup is a batch: what its header says, and its items so far.
type baiGroup struct {
	number  [3]byte
	lockbox [7]byte
	date    [6]byte
	day     mortgage.Date
	dayText string
	items   int64
	total   int64
	faults  int // there were before it
}

// remittance is an item whose overflow records may still come.
type remittance struct {
	line      int // 0 for none
	key       [6]byte
	amount    mortgage.Cents
	loan      []byte // its room is used again
	overflows int64
	ended     bool // the loan number cannot go on
	more      bool // the last overflow record says that another follows
}

func readBAI(r *reader) {
	b := &bai{reader: r}
	r.records(layout{length: 80, follows: baiOrder, details: "64", last: '9', take: b.take, drop: b.drop})
}

// drop counts a record that was left out, and forgets what it belongs to.
func (b *bai) drop(kind byte) {
	b.records++
	if kind == '6' {
		b.closeItem()
	}
	b.open.line = 0
}

func (b *bai) take(rec record) {
	b.records++
	before := b.faults.Count
	switch rec.kind() {
	case '1':
		rec.must(baiPriority, "01")
		rec.day(baiFileDate)
		rec.number(baiFileTime)
		rec.blank(baiFileFiller)
	case '2':
		rec.must(baiServiceType, "400")
		rec.must(baiRecordSize, "080")
		rec.must(baiFormatCode, "1")
		rec.blank(baiServiceFiller)
	case '5':
		b.batchHeader(rec)
	case '6':
		b.detail(rec)
		return
	case '4':
		b.overflow(rec)
		return
	case '7':
		b.batchTotal(rec)
		return
	case '8':
		b.lockboxTotal(rec)
		return
	case '9':
		says := rec.number(baiFileRecords)
		rec.blank(baiTrailerFiller)
		if b.faults.Count == before {
			rec.tie(baiFileRecords, says, b.records, reasonCount)
		}
	}
	b.stopped = b.stopped || b.faults.Count > before
}

func (b *bai) batchHeader(rec record) {
	b.batch = baiGroup{day: rec.day(baiDepositDate), faults: b.faults.Count}
	rec.number(baiBatch)
	rec.number(baiItem)
	rec.number(baiLockbox)
	rec.blank(baiBatchFiller)
	copy(b.batch.number[:], rec.field(baiBatch))
	copy(b.batch.lockbox[:], rec.field(baiLockbox))
	copy(b.batch.date[:], rec.field(baiDepositDate))
	b.batch.dayText = b.batch.day.String()
	if b.lockbox.batches == 0 {
		b.lockbox.number = b.batch.lockbox
	}
	b.lockbox.batches++
	if b.batch.lockbox != b.lockbox.number {
		rec.fault(baiLockbox, reasonHeaderTie)
	}
}

func (b *bai) detail(rec record) {
	b.closeItem()
	before := b.faults.Count
	b.batch.items++
	b.open = remittance{line: rec.line, loan: b.open.loan[:0]}
	copy(b.open.key[:], rec.text[baiBatch.from-1:baiItem.to])
	b.tieBatch(rec)
	rec.number(baiItem)
	b.open.amount = rec.cents(baiAmount)
	b.batch.total += int64(b.open.amount)
	rec.number(baiRouting)
	rec.blank(baiDetailFiller)
	text := rec.field(baiLoanNumber)
	b.open.loan = append(b.open.loan, bytes.Trim(text, " ")...)
	b.open.ended = len(b.open.loan) > 0 && text[len(text)-1] == ' '
	if b.faults.Count > before {
		b.open.line = 0 // Its overflow has nothing to belong to.
	}
}

// overflow continues the loan number of the remittance before it.
func (b *bai) overflow(rec record) {
	if b.open.line == 0 {
		return
	}
	before := b.faults.Count
	open := &b.open
	if !bytes.Equal(rec.text[baiBatch.from-1:baiItem.to], open.key[:]) {
		rec.fault(baiBatch, reasonRecordTie)
	}
	rec.must(baiOverflowType, "6")
	open.overflows++
	rec.tie(baiOverflowSequence, rec.number(baiOverflowSequence), open.overflows, reasonValue)
	if open.overflows > 1 && !open.more {
		rec.fault(baiOverflowLast, reasonLast)
	}
	switch rec.field(baiOverflowLast)[0] {
	case '0':
		open.more = true
	case '9':
		open.more = false
	default:
		rec.fault(baiOverflowLast, reasonValue)
	}
	rec.blank(baiOverflowFiller)
	text := rec.field(baiOverflowText)
	word := bytes.Trim(text, " ")
	if open.ended && len(word) > 0 || len(open.loan)+len(word) > maxLoanNumber {
		rec.fault(baiOverflowText, reasonEnded)
	}
	if b.faults.Count > before {
		open.line = 0
		return
	}
	open.loan = append(open.loan, word...)
	open.ended = len(open.loan) > 0 && text[len(text)-1] == ' '
}

// closeItem takes the open remittance: no more overflow belongs to it.
func (b *bai) closeItem() {
	open := &b.open
	if open.line == 0 {
		return
	}
	if open.overflows > 0 && open.more {
		b.fault(open.line, 0, baiOverflowLast.name+reasonLast)
	}
	if len(open.loan) == 0 {
		b.fault(open.line, baiLoanNumber.from, baiLoanNumber.name+reasonText)
	}
	// One string for the item: its loan number and its reference are parts of it.
	var room [80]byte // 40 of loan number, 26 of reference
	all := append(append(room[:0], open.loan...), b.batch.dayText...)
	all = append(append(all, '/'), b.batch.lockbox[:]...)
	all = append(append(all, '/'), open.key[:3]...)
	text := string(append(append(all, '/'), open.key[3:]...))
	b.add(Item{
		Line: open.line, LoanNumber: text[:len(open.loan)], AmountCents: open.amount, ReceivedOn: b.batch.day,
		Channel: channelLockbox, Designation: designationPeriodic, ExternalRef: text[len(open.loan):],
	}, baiBatch.from)
	open.line = 0
}
