package remittance

import "bytes"

// tieBatch compares the batch number of a record with that of its header.
func (b *bai) tieBatch(rec record) {
	if !bytes.Equal(rec.field(baiBatch), b.batch.number[:]) {
		rec.fault(baiBatch, reasonHeaderTie)
	}
}

// tieDeposit compares the lockbox and the date of a total with its header.
func (b *bai) tieDeposit(rec record) {
	if !bytes.Equal(rec.field(baiLockbox), b.lockbox.number[:]) {
		rec.fault(baiLockbox, reasonHeaderTie)
	}
	if !bytes.Equal(rec.field(baiDepositDate), b.batch.date[:]) {
		rec.fault(baiDepositDate, reasonHeaderTie)
	}
}

// batchTotal compares a batch with its items, unless one could not be read.
func (b *bai) batchTotal(rec record) {
	b.closeItem()
	whole := b.faults.Count == b.batch.faults
	before := b.faults.Count
	items, total := rec.number(baiBatchItems), rec.number(baiBatchTotal)
	rec.blank(baiBatchTotalFiller)
	if b.faults.Count > before {
		b.stopped = true
		return
	}
	b.tieBatch(rec)
	b.tieDeposit(rec)
	if whole {
		rec.tie(baiBatchItems, items, b.batch.items, reasonCount)
		rec.tie(baiBatchTotal, total, b.batch.total, reasonSum)
	}
	b.lockbox.items += items
	b.lockbox.total += total
}

// lockboxTotal compares a lockbox with what the totals of its batches say: one
// wrong amount is one fault.
func (b *bai) lockboxTotal(rec record) {
	before := b.faults.Count
	items, total := rec.number(baiServiceItems), rec.number(baiServiceTotal)
	rec.blank(baiServiceTotalFiller)
	if b.faults.Count > before {
		b.stopped = true
		return
	}
	b.tieDeposit(rec)
	rec.tie(baiServiceItems, items, b.lockbox.items, reasonCount)
	rec.tie(baiServiceTotal, total, b.lockbox.total, reasonSum)
	b.lockbox = lockbox{}
}
