package remittance

import (
	"bytes"
	"strings"

	"loanserve/mortgage"
)

// An ACH file is a header (1), batches, a control (9) and lines of nines that
// fill its last block. A batch is a header (5), its entries (6) with their
// addenda (7), and its control (8).
var nachaOrder = map[byte]string{
	0: "1", '1': "59", '5': "6", '6': "678", '7': "678", '8': "59", '9': "9",
}

// nachaClasses are the classes of entries that carry a loan number, and notices
// of change. Checks turned into entries (ARC, BOC, POP, RCK) carry the number of
// the check instead, and international ones (IAT) have another layout.
const nachaClasses = "PPD WEB TEL CCD CTX CIE COR"

// The fields that are read.
var (
	achPriority    = column{"priority code", 2, 3}
	achCreatedOn   = column{"file creation date", 24, 29}
	achRecordSize  = column{"record size", 35, 37}
	achBlocking    = column{"blocking factor", 38, 39}
	achFormatCode  = column{"format code", 40, 40}
	achService     = column{"service class code", 2, 4}
	achCompany     = column{"company identification", 41, 50}
	achClass       = column{"standard entry class", 51, 53}
	achEffectiveOn = column{"effective entry date", 70, 75}
	achBank        = column{"originating bank", 80, 87}
	achBatch       = column{"batch number", 88, 94}

	achControlCompany = column{"company identification", 45, 54}
	achBatchRecords   = column{"entry and addenda count", 5, 10}
	achBatchHash      = column{"entry hash", 11, 20}
	achBatchDebits    = column{"total debits", 21, 32}
	achBatchCredits   = column{"total credits", 33, 44}

	achBatches     = column{"batch count", 2, 7}
	achBlocks      = column{"block count", 8, 13}
	achFileRecords = column{"entry and addenda count", 14, 21}
	achFileHash    = column{"entry hash", 22, 31}
	achFileDebits  = column{"total debits", 32, 43}
	achFileCredits = column{"total credits", 44, 55}
	achFileFiller  = column{"reserved", 56, 94}
)

const (
	achBlock   = 10             // records
	achModulus = 10_000_000_000 // A hash keeps ten digits.
)

// achTotals are what controls state.
type achTotals struct{ records, hash, debits, credits int64 }

func (t *achTotals) add(o achTotals) {
	t.records += o.records
	t.hash = (t.hash + o.hash) % achModulus
	t.debits += o.debits
	t.credits += o.credits
}

// ach is where the reading of an ACH file has come to.
type ach struct {
	*reader

	createdOn mortgage.Date
	records   int64 // lines but for the fill
	batches   int64
	stated    achTotals // by the batch controls
	filled    int64     // lines of nines
	ended     bool      // by the file control
	direction byte      // of the payments: 'c', 'd' or 0 before the first
	batch     achGroup
	entry     achEntry
}

// achGroup is a batch: what its header says, and its entries so far.
type achGroup struct {
	line        int
	service     [3]byte
	class       [3]byte
	company     string
	identity    [15]byte // bank and batch number
	effectiveOn mortgage.Date
	effective   string
	found       achTotals
	faults      int // there were before it
}

func readNACHA(r *reader) {
	a := &ach{reader: r}
	r.records(layout{length: 94, follows: nachaOrder, details: "67", last: '9', take: a.take, drop: a.drop})
}

// drop counts a record that was left out, and forgets what it belongs to.
func (a *ach) drop(kind byte) {
	a.records++
	if kind == '6' {
		a.closeEntry()
	}
	a.entry.line = 0
}

func (a *ach) take(rec record) {
	before := a.faults.Count
	if a.ended {
		a.fill(rec)
		return
	}
	a.records++
	switch rec.kind() {
	case '1':
		rec.must(achPriority, "01")
		a.createdOn = rec.day(achCreatedOn)
		rec.must(achRecordSize, "094")
		rec.must(achBlocking, "10")
		rec.must(achFormatCode, "1")
	case '5':
		a.batchHeader(rec)
	case '6':
		a.closeEntry()
		a.openEntry(rec)
		return
	case '7':
		a.addenda(rec)
		return
	case '8':
		a.batchControl(rec)
		return
	case '9':
		a.fileControl(rec)
		return
	}
	a.stopped = a.stopped || a.faults.Count > before
}

func (a *ach) batchHeader(rec record) {
	a.batches++
	a.batch = achGroup{line: rec.line, company: string(rec.word(achCompany)), faults: a.faults.Count}
	copy(a.batch.service[:], rec.field(achService))
	copy(a.batch.class[:], rec.field(achClass))
	copy(a.batch.identity[:], rec.text[achBank.from-1:achBatch.to])
	switch string(a.batch.service[:]) {
	case "200", "220", "225":
	default:
		rec.fault(achService, reasonValue)
	}
	if strings.ContainsRune(string(a.batch.class[:]), ' ') || !strings.Contains(nachaClasses, string(a.batch.class[:])) {
		rec.fault(achClass, reasonEntryClass)
	}
	rec.number(achBank)
	rec.number(achBatch)
	// Returns and notices of change need no effective date, and may have none.
	a.batch.effectiveOn, _ = shortDay(rec.field(achEffectiveOn))
	a.batch.effective = a.batch.effectiveOn.String()
}

// batchControl compares a batch with its entries, unless one could not be read.
func (a *ach) batchControl(rec record) {
	a.closeEntry()
	whole := a.faults.Count == a.batch.faults
	before := a.faults.Count
	says := achTotals{
		records: rec.number(achBatchRecords), hash: rec.number(achBatchHash),
		debits: rec.number(achBatchDebits), credits: rec.number(achBatchCredits),
	}
	if a.faults.Count > before {
		a.stopped = true
		return
	}
	if !bytes.Equal(rec.field(achService), a.batch.service[:]) {
		rec.fault(achService, reasonHeaderTie)
	}
	if string(rec.word(achControlCompany)) != a.batch.company {
		rec.fault(achControlCompany, reasonHeaderTie)
	}
	if !bytes.Equal(rec.text[achBank.from-1:achBatch.to], a.batch.identity[:]) {
		rec.fault(achBank, reasonHeaderTie)
	}
	if whole {
		found := a.batch.found
		rec.tie(achBatchRecords, says.records, found.records, reasonCount)
		rec.tie(achBatchHash, says.hash, found.hash, reasonSum)
		rec.tie(achBatchDebits, says.debits, found.debits, reasonSum)
		rec.tie(achBatchCredits, says.credits, found.credits, reasonSum)
	}
	a.stated.add(says)
}

// fileControl compares the file with what the controls of its batches say: one
// wrong amount is one fault.
func (a *ach) fileControl(rec record) {
	a.ended = true
	before := a.faults.Count
	batches, blocks := rec.number(achBatches), rec.number(achBlocks)
	says := achTotals{
		records: rec.number(achFileRecords), hash: rec.number(achFileHash),
		debits: rec.number(achFileDebits), credits: rec.number(achFileCredits),
	}
	rec.blank(achFileFiller)
	if a.faults.Count > before {
		a.stopped = true
		return
	}
	rec.tie(achBatches, batches, a.batches, reasonCount)
	rec.tie(achBlocks, blocks, (a.records+achBlock-1)/achBlock, reasonCount)
	rec.tie(achFileRecords, says.records, a.stated.records, reasonCount)
	rec.tie(achFileHash, says.hash, a.stated.hash, reasonSum)
	rec.tie(achFileDebits, says.debits, a.stated.debits, reasonSum)
	rec.tie(achFileCredits, says.credits, a.stated.credits, reasonSum)
}

// fill checks a line behind the file control. Some senders leave them out.
func (a *ach) fill(rec record) {
	a.filled++
	room := (achBlock - a.records%achBlock) % achBlock
	if len(bytes.Trim(rec.text, "9")) > 0 || a.filled > room {
		a.stop(rec.line, 1, reasonFiller)
	}
}
