package mortgage

// EscrowHandling is what is done about a surplus, a shortage, a deficiency or
// the deposit of a new account.
type EscrowHandling struct {
	Action EscrowAction `json:"action"`
	Amount Cents        `json:"amount_cents,omitzero"`
	Rule   EscrowRule   `json:"rule,omitzero"`
	DueOn  Date         `json:"due_on,omitzero"` // by when a refund is paid, or a sum asked for at once is due

	// A spread or a credit: so many monthly amounts, of which the last one takes
	// what rounding left, so that they sum to Amount.
	Months  int   `json:"months,omitzero"`
	Monthly Cents `json:"monthly_cents,omitzero"`
	Last    Cents `json:"last_cents,omitzero"`
}

// LumpSum says whether a statement may ask for the amount in one sum. It never
// may for a shortage or deficiency of a month's payment or more: the two ways
// that the regulation names are all there are. (Money that comes unasked may be
// taken.)
//
// Source: CFPB, Mortgage Servicing FAQs, Escrow Accounts, 2021-06-02.
func (h EscrowHandling) LumpSum() bool { return h.Action == EscrowAtOnce || h.Action == EscrowDeposit }

// in returns the monthly amount of the given month, 0 the first.
func (h EscrowHandling) in(month int) Cents {
	switch {
	case month >= h.Months:
		return 0
	case month == h.Months-1:
		return h.Last
	}
	return h.Monthly
}

// settlementDays is within how many days of an analysis a surplus is refunded and
// a sum asked for at once is paid.
const settlementDays = 30

// spread divides an amount into monthly ones: each half-up, the last one what is
// left. Where half-up would leave less than nothing for the last, as it can with
// a few cents, the others are rounded down.
func spread(amount Cents, months int) EscrowHandling {
	n := Cents(months)
	monthly := (2*amount + n) / (2 * n)
	if monthly*(n-1) > amount {
		monthly = amount / n
	}
	return EscrowHandling{
		Amount: amount, Months: months, Monthly: monthly, Last: amount - monthly*(n-1),
	}
}

// handle says what is done about what compare found.
func (a *EscrowAnalysis) handle(r *EscrowRequest) {
	a.SurplusHandling = a.handleSurplus(&r.Policy)
	a.ShortageHandling = a.handleShortage(&r.Policy)
	a.DeficiencyHandling = a.handleDeficiency(&r.Policy)
	a.DepositHandling = EscrowHandling{Action: EscrowNothing}
	if a.InitialDeposit > 0 {
		a.DepositHandling = EscrowHandling{
			Action: EscrowDeposit, Amount: a.InitialDeposit, DueOn: r.established(), Rule: EscrowRuleDeposit,
		}
	}
}

// handleSurplus refunds, credits or retains. A credit larger than the payments
// that it is taken off is refunded instead.
func (a *EscrowAnalysis) handleSurplus(p *EscrowPolicy) EscrowHandling {
	if a.Surplus == 0 {
		return EscrowHandling{Action: EscrowNothing}
	}
	if !a.Current && !p.RefundWhenNotCurrent {
		return EscrowHandling{Action: EscrowRetain, Amount: a.Surplus, Rule: EscrowRuleSurplusRetained}
	}
	h := spread(a.Surplus, p.CreditMonths)
	h.Action, h.Rule = EscrowCredit, EscrowRuleSurplus
	if a.Surplus >= p.RefundFrom || max(h.Monthly, h.Last) > a.BasePayment {
		h = EscrowHandling{
			Action: EscrowRefund, Amount: a.Surplus, DueOn: a.AsOf + settlementDays, Rule: EscrowRuleSurplus,
		}
	}
	return h
}

// handleShortage leaves, asks at once or spreads. Being current does not matter.
func (a *EscrowAnalysis) handleShortage(p *EscrowPolicy) EscrowHandling {
	action := p.Shortage
	left, spreads := EscrowRuleMonthLeft, EscrowRuleMonthSpread
	if a.Shortage < a.BasePayment {
		action = p.SmallShortage
		left, spreads = EscrowRuleShortageLeft, EscrowRuleShortageSpread
	}
	return a.collect(a.Shortage, action, p.ShortageMonths, left, EscrowRuleShortageAtOnce, spreads)
}

// handleDeficiency leaves, asks at once or spreads, and leaves the deficiency of
// a borrower who is not current to the loan documents.
func (a *EscrowAnalysis) handleDeficiency(p *EscrowPolicy) EscrowHandling {
	action := p.Deficiency
	left, spreads := EscrowRuleMonthDeficiency, EscrowRuleMonthDeficiency
	if a.Deficiency < a.BasePayment {
		action = p.SmallDeficiency
		left, spreads = EscrowRuleDeficiencyLeft, EscrowRuleDeficiencySpread
	}
	atOnce := EscrowRuleDeficiencyAtOnce
	if !a.Current {
		left, atOnce, spreads = EscrowRuleDeficiencyOverdue, EscrowRuleDeficiencyOverdue, EscrowRuleDeficiencyOverdue
		if !p.CollectWhenNotCurrent {
			action = EscrowLeave
		}
	}
	return a.collect(a.Deficiency, action, p.DeficiencyMonths, left, atOnce, spreads)
}

// collect carries an action out on an amount that the borrower owes.
func (a *EscrowAnalysis) collect(
	amount Cents, action EscrowAction, months int, left, atOnce, spreads EscrowRule,
) EscrowHandling {
	if amount == 0 {
		return EscrowHandling{Action: EscrowNothing}
	}
	var h EscrowHandling
	switch action {
	case EscrowSpread:
		h = spread(amount, months)
		h.Rule = spreads
	case EscrowAtOnce:
		h = EscrowHandling{DueOn: a.AsOf + settlementDays, Rule: atOnce}
	default:
		h = EscrowHandling{Rule: left}
	}
	h.Action, h.Amount = action, amount
	return h
}

// settledBy returns what sums that are not monthly have changed the balance by,
// up to and including a day.
func (a *EscrowAnalysis) settledBy(on Date) Cents {
	var change Cents
	if h := &a.SurplusHandling; h.Action == EscrowRefund && h.DueOn <= on {
		change -= h.Amount
	}
	for _, h := range [...]*EscrowHandling{&a.ShortageHandling, &a.DeficiencyHandling, &a.DepositHandling} {
		if h.LumpSum() && h.DueOn <= on {
			change += h.Amount
		}
	}
	return change
}
