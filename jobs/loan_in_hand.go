package jobs

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// loanInHand is a locked loan as the work in progress leaves it.
type loanInHand struct {
	id      int64
	row     *queries.Loan // as it was when it was locked
	terms   mortgage.Terms
	state   mortgage.State
	lastOn  mortgage.Date // the last day with an entry
	lastRef string        // the last payment of that day
	seq     int32
	head    mortgage.Hash
}

func newLoanInHand(row *queries.Loan) *loanInHand {
	l := &loanInHand{
		id: row.ID, row: row, terms: loanrow.Terms(row), state: loanrow.State(row),
		lastOn: row.LastEffectiveOn, lastRef: "", seq: row.LastSeq, head: mortgage.Hash(row.LastHash),
	}
	if row.LastReceiptID != nil {
		l.lastRef = row.LastReceiptID.String()
	}
	return l
}

// wish is a payment that asks to be posted.
type wish struct {
	id          uuid.UUID
	requestedBy string
	receipt     mortgage.Receipt
}

// wishesOf returns the payments in the order in which the borrower is credited.
func wishesOf(rows []queries.LockPaymentsToPostRow) []wish {
	wishes := make([]wish, len(rows))
	for i := range rows {
		row := &rows[i]
		wishes[i] = wish{id: row.PaymentID, requestedBy: row.RequestedBy, receipt: mortgage.Receipt{
			Ref: row.PaymentID.String(), Amount: row.AmountCents, ReceivedOn: row.ReceivedOn, Designation: row.Designation,
		}}
	}
	slices.SortFunc(wishes, func(a, b wish) int {
		return cmp.Or(cmp.Compare(a.receipt.ReceivedOn, b.receipt.ReceivedOn), cmp.Compare(a.receipt.Ref, b.receipt.Ref))
	})
	return wishes
}

// splitOf returns what the entries of one payment come to.
func splitOf(entries []mortgage.Entry, ref string) mortgage.Postings {
	var split mortgage.Postings
	for _, e := range entries {
		if e.Ref == ref {
			split = split.Plus(e.Postings)
		}
	}
	return split
}
