package mortgage

import "errors"

// ErrPayoffShort reports money that does not pay the loan off.
var ErrPayoffShort = errors.New("the amount does not pay the loan off")

// PayoffQuote returns what pays the loan off on the day the money is received.
// A loan in the order of FHA owes interest for that day too (24 CFR 203.558);
// see Payoff for the rest.
func (t Terms) PayoffQuote(s State, on Date) (PayoffQuote, error) {
	paidTo, carried := min(s.InterestAccruedTo, on), s.AccruedInterest // What was counted before is not given back.
	if t.InterestMethod != DailySimpleInterest {
		var err error
		if paidTo, err = t.InterestPaidTo(s); err != nil {
			return PayoffQuote{}, err
		}
	}
	return Payoff(PayoffRequest{
		InterestMethod: t.InterestMethod, Rate: t.Rate, RateChanges: t.Changes.Rates, Rounding: t.Rounding,
		DueDay: t.DueDay, InterestPaidTo: paidTo, PayoffOn: on, IncludePayoffDay: t.payoffDayBearsInterest(),
		Principal: s.Principal, CarriedInterest: carried, LateCharges: s.LateChargesDue, Fees: s.FeesDue,
		EscrowAdvance: s.EscrowAdvance, Suspense: s.Suspense, Escrow: s.Escrow,
	})
}

// payoffDayBearsInterest says whether interest is owed for the day of payoff.
func (t Terms) payoffDayBearsInterest() bool { return t.ApplicationOrder == FHAOrder }

// payOff repays everything: principal, interest to the day, late charges and
// fees, with held money first. What is over is held for the borrower, and so is escrow,
// which is never netted (12 CFR 1024.34(b)). Money that falls short is held where
// the terms say so, and else changes nothing: ErrPayoffShort.
func (a *application) payOff() {
	q, err := a.terms.PayoffQuote(a.state, a.on)
	switch {
	case err != nil:
		a.err = err
	case a.cash < q.Total && a.terms.ShortPayoff == HoldShortPayoff:
		a.hold(RulePayoff)
	case a.cash < q.Total:
		a.err = ErrPayoffShort
	default:
		a.add(Entry{
			Kind: KindPayoff, EffectiveOn: a.on, Rule: RulePayoff,
			Postings: Postings{
				Cash:                  max(q.Total, 0),
				Suspense:              a.state.Suspense + min(q.Total, 0),
				InterestIncome:        -q.Interest,
				Principal:             -q.Principal,
				LateChargesReceivable: -q.LateCharges,
				FeesReceivable:        -q.Fees,
				EscrowAdvance:         -q.EscrowAdvance,
			},
		})
		a.hold(RuleOverpayment)
	}
}
