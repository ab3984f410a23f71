package mortgage

import (
	"cmp"
	"errors"
	"slices"
)

// History is all that happened to a loan since it was boarded. What changed in its
// terms is among the terms.
type History struct {
	Boarded  State
	Receipts []Receipt // that count, in any order: none that was reversed
	Fees     []Fee     // that were charged, in any order

	Disbursements []Disbursement // from escrow, in any order
	Through       Date           // the day up to which time has passed
}

// Books returns the entries that the history leads to, after the boarding, and
// the state at its end. It depends on what happened and not on when it became
// known: events are taken in the order of their days, and on one day fees and
// disbursements before receipts and each in the order of their references, after
// what that day itself brings.
//
// Money that was accepted before it became known that the loan was paid off by
// then, or that it does not suffice for the payoff it was meant to be, is held
// for whoever sent it.
func (t Terms) Books(h History) (State, []Entry, error) {
	s, all := h.Boarded, []Entry(nil)
	for _, e := range h.events() {
		now, entries, err := t.Advance(s, e.on)
		if err != nil {
			return State{}, nil, err
		}
		after, more, err := e.happen(t, now)
		if err != nil {
			return State{}, nil, err
		}
		s, all = after, append(append(all, entries...), more...)
	}
	s, entries, err := t.Advance(s, h.Through)
	if err != nil {
		return State{}, nil, err
	}
	return s, append(all, entries...), nil
}

// event is something that happened to a loan on a day.
type event struct {
	on     Date
	place  int    // among the events of one day
	ref    string // orders the events of one place
	happen func(Terms, State) (State, []Entry, error)
}

// events returns all that happened, in the order in which the borrower is
// credited and charged.
func (h History) events() []event {
	const feesPlace, disbursementsPlace, receiptsPlace = 0, 1, 2
	events := make([]event, 0, len(h.Receipts)+len(h.Fees)+len(h.Disbursements))
	for _, f := range h.Fees {
		events = append(events, event{on: f.ChargedOn, place: feesPlace, ref: f.Ref, happen: f.Happen})
	}
	for _, d := range h.Disbursements {
		events = append(events, event{on: d.PaidOn, place: disbursementsPlace, ref: d.Ref, happen: d.Happen})
	}
	for _, r := range h.Receipts {
		events = append(events, event{on: r.ReceivedOn, place: receiptsPlace, ref: r.Ref, happen: r.happenOrKeep})
	}
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.on, b.on), cmp.Compare(a.place, b.place), cmp.Compare(a.ref, b.ref))
	})
	return events
}

// happenOrKeep applies money that is already in the books' hands: what the rules
// would have refused, had all been known, is held.
func (r Receipt) happenOrKeep(t Terms, s State) (State, []Entry, error) {
	after, entries, err := r.Happen(t, s)
	if errors.Is(err, ErrPaidOff) || errors.Is(err, ErrPayoffShort) {
		return r.keep(t, s)
	}
	return after, entries, err
}

// Post applies a receipt to books that hold nothing later than it, and returns
// the same as Books would with it. The clock may have run on: then it runs
// again from the receipt, and finds what the new money changes. It refuses what
// Happen refuses.
func (t Terms) Post(s State, r Receipt) (State, []Entry, error) {
	return t.happen(s, r.ReceivedOn, r.Happen)
}

// Disburse does the same with a disbursement.
func (t Terms) Disburse(s State, d Disbursement) (State, []Entry, error) {
	return t.happen(s, d.PaidOn, d.Happen)
}

// happen lets time pass up to an event, the event happen, and time run on.
func (t Terms) happen(
	s State, on Date, event func(Terms, State) (State, []Entry, error),
) (State, []Entry, error) {
	through := s.AsOf
	s, entries, err := t.Advance(s, on)
	if err != nil {
		return State{}, nil, err
	}
	s, own, err := event(t, s)
	if err != nil {
		return State{}, nil, err
	}
	s.AsOf = max(on, t.BoardedOn)
	s, later, err := t.Advance(s, through)
	if err != nil {
		return State{}, nil, err
	}
	return s, slices.Concat(entries, own, later), nil
}

// Follows says whether a receipt comes after all that the books hold: after the
// last day that has an entry, or on that day and after the last receipt.
func (r Receipt) Follows(lastOn Date, lastRef string) bool {
	return r.ReceivedOn > lastOn || r.ReceivedOn == lastOn && r.Ref > lastRef
}

// Follows says whether a disbursement comes after all that the books hold: after
// the last day that has an entry, or on that day while it has no receipt and,
// which the caller must know, no disbursement of a later reference.
func (d Disbursement) Follows(lastOn Date, lastReceipt string, dayTaken bool) bool {
	return d.PaidOn > lastOn || d.PaidOn == lastOn && lastReceipt == "" && !dayTaken
}

// Posted is an entry as it stands in the ledger.
type Posted struct {
	Seq int32
	Entry
}

// Correction is one step that makes the books right: an entry to add, which
// undoes the transaction Reverses unless that is zero.
type Correction struct {
	Reverses int32
	Entry
}

// Correct returns the steps from the books as they are to the books as they
// should be. What is right up to the first difference stays. After it everything
// is undone, the latest first, by exact opposites as of their original days, and
// added again as it should be. The entries of one receipt stay together.
func Correct(have []Posted, want []Entry) []Correction {
	same := 0
	for same < min(len(have), len(want)) && have[same].Entry == want[same] {
		same++
	}
	for same > 0 && same < max(len(have), len(want)) && cuts(have, want, same) {
		same--
	}
	var steps []Correction
	for _, p := range slices.Backward(have[same:]) {
		steps = append(steps, Correction{Reverses: p.Seq, Entry: p.opposite()})
	}
	for _, e := range want[same:] {
		steps = append(steps, Correction{Entry: e})
	}
	return steps
}

// cuts says whether the entries before and after a place are of one receipt.
func cuts(have []Posted, want []Entry, at int) bool {
	before := have[at-1].Ref
	return before != "" &&
		(at < len(have) && have[at].Ref == before || at < len(want) && want[at].Ref == before)
}

// opposite returns the entry that undoes e.
func (e Entry) opposite() Entry {
	e.Kind, e.Rule, e.Postings = KindReversal, RuleCorrection, Postings{}.Minus(e.Postings)
	return e
}
