package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

// errInvariant reports stored data or a rule of ours that is broken. Trying
// again cannot help, and posting on would make it worse.
var errInvariant = errors.New("broken invariant")

// The rules that refuse a payment, by the code that is stored with it and
// explained in docs/problems.md.
const (
	reasonLoanPaidOff  = "loan_paid_off"
	reasonLoanArchived = "loan_archived"
	reasonPayoffShort  = "payoff_short"
)

// postOutcome counts what became of a set of payments.
type postOutcome struct {
	posted, rejected int
}

// postPayments posts those of the given payments that wait for it, in one
// transaction: one statement locks the payments and their loans, in order of
// loan so that two workers never wait for each other in a circle, and one
// statement writes all that follows. Only a loan whose history a payment changes
// behind its end is read whole.
func postPayments(ctx context.Context, db DB, ids []uuid.UUID) (postOutcome, error) {
	var outcome postOutcome
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		rows, err := q.LockPaymentsToPost(ctx, ids)
		if err != nil {
			return fmt.Errorf("lock payments: %w", err)
		}
		if len(rows) == 0 {
			return nil // An earlier attempt committed.
		}
		w := newWriting(rows[0].PostedAt)
		for len(rows) > 0 {
			n := 1
			for n < len(rows) && rows[n].Loan.ID == rows[0].Loan.ID {
				n++
			}
			loan := newLoanInHand(&rows[0].Loan)
			if err := loan.postAll(ctx, q, w, rows[:n]); err != nil {
				return fmt.Errorf("loan %d: %w", loan.id, err)
			}
			rows = rows[n:]
		}
		outcome = w.outcome
		return w.write(ctx, q)
	})
	if err != nil {
		return postOutcome{}, err
	}
	return outcome, nil
}

// postAll posts a loan's payments of the set in the order in which the borrower
// is credited.
func (l *loanInHand) postAll(
	ctx context.Context, q *queries.Queries, w *writing, rows []queries.LockPaymentsToPostRow,
) error {
	wishes := wishesOf(rows)
	if l.row.Status == queries.LoanStatusArchived {
		for _, wish := range wishes {
			w.reject(l.id, wish, reasonLoanArchived)
		}
		return nil
	}
	results, inOrder, err := l.postInOrder(wishes)
	if err != nil {
		return err
	}
	if !inOrder {
		return l.postBehind(ctx, q, w, wishes)
	}
	for _, r := range results {
		if r.reason != "" {
			w.reject(l.id, r.wish, r.reason)
			continue
		}
		var own span // What time brought on the way is not the payment's.
		for _, e := range r.entries {
			w.add(l, mortgage.Correction{Reverses: 0, Entry: e}, r.wish.requestedBy)
			if e.Ref == r.wish.receipt.Ref {
				own = own.with(l.seq)
			}
		}
		w.post(l.id, r.wish, splitOf(r.entries, r.wish.receipt.Ref), own.first, own.last)
	}
	w.keep(l)
	return nil
}

// inOrderResult is what one payment leads to at the end of the books.
type inOrderResult struct {
	wish    wish
	entries []mortgage.Entry
	reason  string // the rule that refuses it, or ""
}

// postInOrder applies payments that come after all that the books hold, and
// leaves the loan as it is when one of them does not.
func (l *loanInHand) postInOrder(wishes []wish) (results []inOrderResult, inOrder bool, err error) {
	state, lastOn, lastRef := l.state, l.lastOn, l.lastRef
	for _, w := range wishes {
		if !w.receipt.Follows(lastOn, lastRef) {
			return nil, false, nil
		}
		after, entries, err := l.terms.Post(state, w.receipt)
		if reason := refusal(err); reason != "" {
			results = append(results, inOrderResult{wish: w, entries: nil, reason: reason})
			continue
		}
		if err != nil {
			return nil, false, broken(err)
		}
		results = append(results, inOrderResult{wish: w, entries: entries, reason: ""})
		state, lastOn, lastRef = after, w.receipt.ReceivedOn, w.receipt.Ref
		if n := len(entries); n > 0 && entries[n-1].EffectiveOn > lastOn {
			lastOn, lastRef = entries[n-1].EffectiveOn, ""
		}
	}
	l.state, l.lastOn, l.lastRef = state, lastOn, lastRef
	return results, true, nil
}

// refusal returns the reason for which a rule refuses a payment, or "".
func refusal(err error) string {
	switch {
	case errors.Is(err, mortgage.ErrPaidOff):
		return reasonLoanPaidOff
	case errors.Is(err, mortgage.ErrPayoffShort):
		return reasonPayoffShort
	default:
		return ""
	}
}

// broken marks an error that no attempt can mend.
func broken(err error) error {
	return river.JobCancel(fmt.Errorf("%w: %w", errInvariant, err))
}
