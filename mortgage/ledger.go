package mortgage

import (
	"crypto/sha256"
	"strconv"
)

// Hash seals one transaction and, through the one before it, all of a loan's
// history.
type Hash [sha256.Size]byte

// Transaction is an entry with its place in the ledger of one loan.
type Transaction struct {
	LoanID   int64
	Seq      int32 // 1, 2, 3 … without a gap, per loan
	PostedAt int64 // when the books changed, in microseconds since 1970 UTC
	Reverses int32 // seq of the transaction it undoes; 0 for none
	CausedBy string
	Entry
}

// Seal returns SHA-256 over the previous transaction's hash and this one's
// canonical text. The first transaction of a loan has the zero hash before it.
func (t Transaction) Seal(previous Hash) Hash {
	return sha256.Sum256(t.appendCanonical(previous[:]))
}

// appendCanonical appends the canonical text: every field but the hash in
// decimal or as it is stored, each ended by a newline, with nothing for an
// absent one. The database function transaction_text writes the same bytes, so
// that an auditor can check a chain with SQL alone.
func (t Transaction) appendCanonical(b []byte) []byte {
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), '\n') }
	text := func(s string) { b = append(append(b, s...), '\n') }

	number(t.LoanID)
	number(int64(t.Seq))
	text(string(t.Kind))
	text(t.EffectiveOn.String())
	number(t.PostedAt)
	text(t.DueOn.String())
	text(t.Ref)
	number(int64(t.Reverses))
	for _, amount := range [...]Cents{
		t.Cash, t.Principal, t.InterestIncome, t.Escrow, t.Suspense,
		t.LateChargesReceivable, t.LateChargeIncome,
		t.FeesReceivable, t.FeeIncome, t.EscrowAdvance, t.BoardingClearing,
	} {
		number(int64(amount))
	}
	text(string(t.Rule))
	text(t.CausedBy)
	return b
}
