package mortgage

import (
	"cmp"
	"slices"
)

// RateChange sets a loan's rate from an installment on. In arrears, the interest
// of an installment is that of the month before it: the new rate accrues from
// the due date before DueOn, which an adjustable-rate note calls the change date.
type RateChange struct {
	DueOn Date `json:"due_on"` // the first installment that bears interest at the new rate
	Rate  Rate `json:"rate_ppm"`
}

// PaymentChange sets what a loan pays from an installment on. It does not say
// why: a change of the rate, an escrow analysis and a modification all end in one.
type PaymentChange struct {
	DueOn                Date   `json:"due_on"`                                 // the first installment that is changed
	PrincipalAndInterest *Cents `json:"principal_and_interest_cents,omitempty"` // nil leaves it as it is
	EscrowPayment        *Cents `json:"escrow_payment_cents,omitempty"`         // nil leaves it as it is
}

// Changes are what has changed in a loan's terms since it was boarded, each kind
// in order of due dates.
type Changes struct {
	Rates    []RateChange    `json:"rates,omitempty"`
	Payments []PaymentChange `json:"payments,omitempty"`
	// WaivedLateCharges are the due dates, in order, of installments that bear no
	// late charge, because the servicer waives it.
	WaivedLateCharges []Date `json:"waived_late_charges,omitempty"`
}

// RateFor returns the rate at which the installment due on dueOn bears interest.
func (t Terms) RateFor(dueOn Date) Rate { return t.rates().of(dueOn) }

// PrincipalAndInterestFor returns the payment of principal and interest that the
// installment due on dueOn asks for, before the last one, which is what is left.
func (t Terms) PrincipalAndInterestFor(dueOn Date) Cents {
	for _, c := range slices.Backward(t.Changes.Payments) {
		if c.DueOn <= dueOn && c.PrincipalAndInterest != nil {
			return *c.PrincipalAndInterest
		}
	}
	return t.PrincipalAndInterest
}

// EscrowPaymentFor returns what the installment due on dueOn deposits in escrow.
func (t Terms) EscrowPaymentFor(dueOn Date) Cents {
	for _, c := range slices.Backward(t.Changes.Payments) {
		if c.DueOn <= dueOn && c.EscrowPayment != nil {
			return *c.EscrowPayment
		}
	}
	return t.EscrowPayment
}

// waived says whether the servicer waives the late charge of an installment.
func (t Terms) waived(dueOn Date) bool {
	return slices.Contains(t.Changes.WaivedLateCharges, dueOn)
}

// rates is a loan's rate, and how it changes with its installments.
type rates struct {
	first   Rate
	changes []RateChange
	dueDay  int
}

func (t Terms) rates() rates {
	return rates{first: t.Rate, changes: t.Changes.Rates, dueDay: t.DueDay}
}

// of returns the rate of the installment due on dueOn.
func (r rates) of(dueOn Date) Rate {
	for _, c := range slices.Backward(r.changes) {
		if c.DueOn <= dueOn {
			return c.Rate
		}
	}
	return r.first
}

// daily returns the simple interest of each day on the balance, from the first
// day, included, to the last, excluded. The days between two changes of the rate
// are rounded once.
func (r rates) daily(balance Cents, from, to Date, rounding Rounding) (Cents, error) {
	if to < from {
		return 0, ErrBackwards
	}
	var sum Cents
	rate := r.first
	for _, c := range r.changes {
		changesOn, err := c.DueOn.AddMonths(-1, r.dueDay)
		if err != nil {
			return 0, err
		}
		if changesOn >= to {
			break
		}
		if changesOn > from {
			part, err := rate.DailyInterest(balance, from, changesOn, rounding)
			if err != nil {
				return 0, err
			}
			sum, from = sum+part, changesOn
		}
		rate = c.Rate
	}
	part, err := rate.DailyInterest(balance, from, to, rounding)
	return sum + part, err
}

// WithRate returns the terms with one more change of the rate, in its place. It
// takes the place of another for the same installment.
func (t Terms) WithRate(c RateChange) Terms {
	at, found := slices.BinarySearchFunc(t.Changes.Rates, c.DueOn,
		func(o RateChange, on Date) int { return cmp.Compare(o.DueOn, on) })
	changes := slices.Clone(t.Changes.Rates)
	if found {
		changes[at] = c
	} else {
		changes = slices.Insert(changes, at, c)
	}
	t.Changes.Rates = changes
	return t
}

// WithPayment returns the terms with one more change of the payment, in its
// place: after another for the same installment, of which it leaves what it does
// not change itself.
func (t Terms) WithPayment(c PaymentChange) Terms {
	at := len(t.Changes.Payments)
	for at > 0 && t.Changes.Payments[at-1].DueOn > c.DueOn {
		at--
	}
	t.Changes.Payments = slices.Insert(slices.Clone(t.Changes.Payments), at, c)
	return t
}

// WithoutLateCharge returns the terms with the late charge of one more
// installment waived.
func (t Terms) WithoutLateCharge(dueOn Date) Terms {
	if at, found := slices.BinarySearch(t.Changes.WaivedLateCharges, dueOn); !found {
		t.Changes.WaivedLateCharges = slices.Insert(slices.Clone(t.Changes.WaivedLateCharges), at, dueOn)
	}
	return t
}
