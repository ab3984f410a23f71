package jobs

import (
	"time"

	"loanserve/mortgage"
	"loanserve/queries"
)

// posting gathers the outcome of a set of payments in memory, for one write.
type posting struct {
	at      time.Time
	loans   []*loanInHand // in the order of their locks
	params  queries.PostPaymentsParams
	outcome postOutcome
}

// loanInHand is a locked loan, as the payments of the set leave it.
type loanInHand struct {
	id     int64
	status queries.LoanStatus
	terms  mortgage.Terms
	state  mortgage.State
	seq    int32
	head   mortgage.Hash
}

func newPosting(at time.Time) *posting {
	p := &posting{at: at}
	p.params.PostedAt = at
	return p
}

// loan returns the row's loan as the payments before it left it. Rows come in
// order of loan.
func (p *posting) loan(row *queries.LockPaymentsToPostRow) *loanInHand {
	if n := len(p.loans); n > 0 && p.loans[n-1].id == row.LoanID {
		return p.loans[n-1]
	}
	l := &loanInHand{
		id: row.LoanID, status: row.LoanStatus, terms: terms(row), seq: row.LastSeq,
		state: mortgage.State{
			Principal: row.PrincipalCents, Escrow: row.EscrowCents, Suspense: row.SuspenseCents,
			LateChargesDue: row.LateChargesDueCents, NextDueOn: row.NextDueOn,
		},
	}
	copy(l.head[:], row.LastHash)
	p.loans = append(p.loans, l)
	return l
}

// post applies one payment to its loan, or rejects it.
func (p *posting) post(row *queries.LockPaymentsToPostRow) error {
	loan := p.loan(row)
	receipt := mortgage.Receipt{Amount: row.AmountCents, ReceivedOn: row.ReceivedOn}
	state, entries, err := receipt.Happen(loan.terms, loan.state)
	if err != nil || loan.status == queries.LoanStatusArchived {
		reason, err := refusal(loan, err)
		if err != nil {
			return err
		}
		p.reject(row, reason)
		return nil
	}
	first := loan.seq + 1
	var split mortgage.Postings
	for _, e := range entries {
		p.add(loan, row, e)
		split = split.Plus(e.Postings)
	}
	loan.state = state
	if state.Principal == 0 {
		loan.status = queries.LoanStatusPaidOff
	}
	p.end(row, queries.PaymentStatusPosted, "", split, first, loan.seq)
	p.outcome.posted++
	return nil
}

// add gives an entry its place in the loan's books and seals it.
func (p *posting) add(loan *loanInHand, row *queries.LockPaymentsToPostRow, e mortgage.Entry) {
	loan.seq++
	seal := mortgage.Transaction{
		LoanID: loan.id, Seq: loan.seq, PostedAt: p.at.UnixMicro(), PaymentID: row.PaymentID.String(),
		CausedBy: row.RequestedBy, Entry: e,
	}.Seal(loan.head)
	loan.head = seal

	w := &p.params
	w.TxLoanID = append(w.TxLoanID, loan.id)
	w.TxSeq = append(w.TxSeq, loan.seq)
	w.TxKind = append(w.TxKind, string(e.Kind))
	w.TxEffectiveOn = append(w.TxEffectiveOn, e.EffectiveOn)
	w.TxDueOn = append(w.TxDueOn, e.DueOn)
	w.TxPaymentID = append(w.TxPaymentID, row.PaymentID)
	w.TxCash = append(w.TxCash, int64(e.Cash))
	w.TxPrincipal = append(w.TxPrincipal, int64(e.Principal))
	w.TxInterestIncome = append(w.TxInterestIncome, int64(e.InterestIncome))
	w.TxEscrow = append(w.TxEscrow, int64(e.Escrow))
	w.TxSuspense = append(w.TxSuspense, int64(e.Suspense))
	w.TxLateChargesReceivable = append(w.TxLateChargesReceivable, int64(e.LateChargesReceivable))
	w.TxRule = append(w.TxRule, string(e.Rule))
	w.TxCausedBy = append(w.TxCausedBy, row.RequestedBy)
	w.TxHash = append(w.TxHash, seal[:])
}

func (p *posting) reject(row *queries.LockPaymentsToPostRow, reason string) {
	p.end(row, queries.PaymentStatusRejected, reason, mortgage.Postings{}, 0, 0)
	p.outcome.rejected++
}

// end records what became of a payment. What a posting takes from an account
// of the ledger, the payment has paid.
func (p *posting) end(
	row *queries.LockPaymentsToPostRow, status queries.PaymentStatus, reason string,
	split mortgage.Postings, first, last int32,
) {
	w := &p.params
	w.PaymentID = append(w.PaymentID, row.PaymentID)
	w.PaymentStatus = append(w.PaymentStatus, string(status))
	w.PaymentReason = append(w.PaymentReason, reason)
	w.PaymentInterest = append(w.PaymentInterest, int64(-split.InterestIncome))
	w.PaymentPrincipal = append(w.PaymentPrincipal, int64(-split.Principal))
	w.PaymentEscrow = append(w.PaymentEscrow, int64(-split.Escrow))
	w.PaymentLateCharge = append(w.PaymentLateCharge, int64(-split.LateChargesReceivable))
	w.PaymentSuspense = append(w.PaymentSuspense, int64(-split.Suspense))
	w.PaymentFirstSeq = append(w.PaymentFirstSeq, first)
	w.PaymentLastSeq = append(w.PaymentLastSeq, last)
}

// write returns all that was gathered.
func (p *posting) write() queries.PostPaymentsParams {
	w := &p.params
	for _, l := range p.loans {
		w.LoanID = append(w.LoanID, l.id)
		w.LoanStatus = append(w.LoanStatus, string(l.status))
		w.LoanPrincipal = append(w.LoanPrincipal, int64(l.state.Principal))
		w.LoanEscrow = append(w.LoanEscrow, int64(l.state.Escrow))
		w.LoanSuspense = append(w.LoanSuspense, int64(l.state.Suspense))
		w.LoanLateChargesDue = append(w.LoanLateChargesDue, int64(l.state.LateChargesDue))
		w.LoanNextDueOn = append(w.LoanNextDueOn, l.state.NextDueOn)
		w.LoanLastSeq = append(w.LoanLastSeq, l.seq)
		w.LoanLastHash = append(w.LoanLastHash, l.head[:])
	}
	return *w
}
