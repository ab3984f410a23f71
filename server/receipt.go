package server

import (
	"time"

	"loanserve/internal/localday"
	"loanserve/mortgage"
)

// firstReceivedOn is the earliest day of receipt that is believed.
const firstReceivedOn = "1970-01-01"

// clockSkew is how far a client's clock may be ahead of ours: a receipt further
// in the future has not happened.
const clockSkew = 5 * time.Minute

// receiving says which day money is received on, where the deployment is at home.
type receiving struct {
	zone   *time.Location
	cutOff localday.Hour // zero is none, as Midnight is
}

// today is the calendar day of the instant.
func (r receiving) today(at time.Time) mortgage.Date {
	day, _ := localday.Of(at, r.zone)
	return day
}

// dayOf returns the day of receipt of money that reached the servicer at the
// instant: its calendar day, or the next one, also of a weekend, where the clock
// on the wall shows the cut-off hour or later.
//
// Source: 12 CFR 1026, Supplement I, comments 36(c)(1)(iii)-1 and -2: a servicer
// may state a cut-off hour in writing, and 5 p.m. is a reasonable one.
func (r receiving) dayOf(at time.Time) mortgage.Date {
	day, hour := localday.Of(at, r.zone)
	if r.cutOff != 0 && hour >= r.cutOff {
		day++
	}
	return day
}

// receipt is when money reached the servicer.
type receipt struct {
	on mortgage.Date
	at *time.Time // nil where only the day is known
}

// receiptOf returns what a submission says of the receipt, by the day or by the
// instant. now is the moment of the request.
func (r receiving) receiptOf(b *submission, now time.Time) (receipt, error) {
	switch {
	case b.ReceivedOn.IsZero() && b.ReceivedAt.IsZero():
		return receipt{}, invalid(inBody("/received_on", "is required, or else received_at"))
	case b.ReceivedAt.IsZero():
		// Tomorrow is the day of what arrives after the cut-off hour, and it may
		// already be where the money is.
		if b.ReceivedOn.String() < firstReceivedOn || b.ReceivedOn.Date > r.today(now)+1 {
			return receipt{}, invalid(inBody("/received_on", "must be from "+firstReceivedOn+" to tomorrow"))
		}
		return receipt{on: b.ReceivedOn.Date, at: nil}, nil
	case !b.ReceivedOn.IsZero():
		return receipt{}, invalid(inBody("/received_at", "must not be given together with received_on"))
	}
	at := b.ReceivedAt.at
	on := r.dayOf(at)
	if on.String() < firstReceivedOn || at.After(now.Add(clockSkew)) {
		return receipt{}, invalid(inBody("/received_at", "must be from "+firstReceivedOn+" to now"))
	}
	return receipt{on: on, at: &at}, nil
}
