package mortgage

// EscrowPayment is the escrow part of the monthly payment from a due date on,
// until the next one.
type EscrowPayment struct {
	FromOn     Date  `json:"from_on"`
	Base       Cents `json:"base_cents"`                // the twelfth
	Shortage   Cents `json:"shortage_cents,omitzero"`   // toward a shortage
	Deficiency Cents `json:"deficiency_cents,omitzero"` // toward a deficiency
	Credit     Cents `json:"credit_cents,omitzero"`     // taken off because of a surplus
}

// Total returns what is asked for.
func (p EscrowPayment) Total() Cents { return p.Base + p.Shortage + p.Deficiency - p.Credit }

// pay lays out the new payment: when it begins, and where it changes again
// because something has been repaid.
func (a *EscrowAnalysis) pay(r *EscrowRequest) {
	a.EffectiveOn = r.effectiveOn()
	months := max(a.ShortageHandling.Months, a.DeficiencyHandling.Months, a.SurplusHandling.Months)
	a.Payments = make([]EscrowPayment, 0, 4)
	var last EscrowPayment
	for m := 0; m <= months; m++ {
		p := a.paymentIn(m)
		if m > 0 && p == last {
			continue
		}
		last = p
		p.FromOn = monthsAfter(a.EffectiveOn, m, r.DueDay)
		a.Payments = append(a.Payments, p)
	}
	a.NewPayment = a.Payments[0].Total()
}

// effectiveOn returns the first due date of the year that comes after the day of
// the analysis, after the days of notice, and is not paid already.
func (r *EscrowRequest) effectiveOn() Date {
	earliest := max(r.StartOn, r.NextDueOn, r.AsOf+Date(max(r.Policy.NoticeDays, 1)))
	on := monthsAfter(earliest, 0, r.DueDay)
	if on < earliest {
		on = monthsAfter(earliest, 1, r.DueDay)
	}
	return on
}

// paymentIn returns the payment of a month, 0 the one in which it takes effect.
func (a *EscrowAnalysis) paymentIn(month int) EscrowPayment {
	return EscrowPayment{
		Base:       a.BasePayment,
		Shortage:   a.ShortageHandling.in(month),
		Deficiency: a.DeficiencyHandling.in(month),
		Credit:     a.SurplusHandling.in(month),
	}
}
