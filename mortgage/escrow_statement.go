package mortgage

import (
	"cmp"
	"slices"
)

// MonthlyPayment is what a borrower pays each month.
type MonthlyPayment struct {
	PrincipalAndInterest Cents
	Escrow               Cents
	// Discretionary is what the borrower chose to pay with it that is not part of
	// the account, such as credit life insurance (12 CFR 1024.17(l)).
	Discretionary Cents
}

// Total returns all of it.
func (p MonthlyPayment) Total() Cents { return p.PrincipalAndInterest + p.Escrow + p.Discretionary }

// EscrowCharge is one anticipated payment from an account. Each payment to a
// payee is one, with its date (12 CFR 1024.17(h)(3)).
type EscrowCharge struct {
	Kind   EscrowItemKind
	Payee  string
	PayOn  Date
	Amount Cents
	Basis  EstimateBasis
}

// EscrowProjection is what a statement says of the coming year.
type EscrowProjection struct {
	StartOn       Date
	RequiredStart Cents
	StartBalance  Cents
	Cushion       Cents
	CushionRule   EscrowRule
	Months        [monthsPerYear]EscrowMonth // the trial running balance and what is expected
	LowMonthOn    Date                       // the month of the lowest target balance
	LowTarget     Cents                      // which is the cushion, unless CycleMonths is more than 12
	// CycleMonths is more than 12 when bills come less often than every year. The
	// statement then explains that the account does not reach its low point every
	// year (12 CFR 1024.17(c)(9)).
	CycleMonths int
	Charges     []EscrowCharge // by date
}

// InitialEscrowStatement is what an initial escrow account statement says.
//
// Source: 12 CFR 1024.17(g)(1)(i) and (h).
type InitialEscrowStatement struct {
	DueOn      Date // by when it is delivered
	Rule       EscrowRule
	Payment    MonthlyPayment
	Deposit    EscrowHandling
	Shortage   EscrowHandling // of an account that another servicer handed over
	Deficiency EscrowHandling
	Surplus    EscrowHandling
	Projection EscrowProjection

	EffectiveOn Date            // the due date of the first payment
	Payments    []EscrowPayment // its escrow part, by month, where it changes
}

// InitialStatement returns what the initial statement says. Request is the one
// that was analyzed.
func (a *EscrowAnalysis) InitialStatement(r EscrowRequest, p MonthlyPayment) InitialEscrowStatement {
	p.Escrow = a.NewPayment
	return InitialEscrowStatement{
		DueOn: a.StatementDueOn, Rule: a.StatementRule, Payment: p,
		Deposit: a.DepositHandling, Shortage: a.ShortageHandling,
		Deficiency: a.DeficiencyHandling, Surplus: a.SurplusHandling,
		Projection: a.projection(r.Items), EffectiveOn: a.EffectiveOn, Payments: a.Payments,
	}
}

// projection returns what a statement says of the coming year.
func (a *EscrowAnalysis) projection(items []EscrowItem) EscrowProjection {
	p := EscrowProjection{
		StartOn: a.StartOn, RequiredStart: a.RequiredStart, StartBalance: a.StartBalance,
		Cushion: a.Cushion, CushionRule: a.CushionRule, Months: a.Months, CycleMonths: a.CycleMonths,
		LowMonthOn: a.Months[0].MonthOn, LowTarget: a.Months[0].Target, Charges: a.Charges(items),
	}
	for _, m := range a.Months {
		if m.Target < p.LowTarget {
			p.LowMonthOn, p.LowTarget = m.MonthOn, m.Target
		}
	}
	return p
}

// Charges returns the anticipated payments of the coming year by date, given the
// items that were analyzed.
func (a *EscrowAnalysis) Charges(items []EscrowItem) []EscrowCharge {
	charges := make([]EscrowCharge, 0, len(a.Bills))
	for _, b := range a.Bills {
		item := &items[b.Item]
		charges = append(charges, EscrowCharge{
			Kind: item.Kind, Payee: item.Payee, PayOn: b.PayOn, Amount: b.Amount, Basis: b.Basis,
		})
	}
	slices.SortStableFunc(charges, func(a, b EscrowCharge) int {
		return cmp.Or(cmp.Compare(a.PayOn, b.PayOn), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Payee, b.Payee))
	})
	return charges
}

// Opening returns the balance with which the projected year begins, once a
// surplus has been refunded and what is asked for in one sum has been paid.
func (a *EscrowAnalysis) Opening() Cents { return a.StartBalance + a.settledBy(MaxDate) }

// Activity returns the year as it is projected, for the statement that will lay
// it beside what happened: the payments asked for, on their due dates, and the
// anticipated charges. It begins with Opening.
func (a *EscrowAnalysis) Activity(r EscrowRequest) []EscrowActivity {
	var activity []EscrowActivity
	for _, m := range a.Months {
		if m.Payment != 0 {
			activity = append(activity, EscrowActivity{On: monthsAfter(m.MonthOn, 0, r.DueDay), Deposit: m.Payment})
		}
	}
	for _, c := range a.Charges(r.Items) {
		activity = append(activity, EscrowActivity{On: c.PayOn, Kind: c.Kind, Payee: c.Payee, Disbursement: c.Amount})
	}
	return activity
}

// EscrowReason says which rule an amount of an analysis comes from.
type EscrowReason struct {
	Name   string // the amount, as in JSON
	Amount Cents
	Rule   EscrowRule
}

// Explain returns every amount of the analysis that is not zero, with its rule.
func (a *EscrowAnalysis) Explain() []EscrowReason {
	base := EscrowRuleTwelfth
	if a.CycleMonths > monthsPerYear {
		base = EscrowRuleLongCycle
	}
	reasons := make([]EscrowReason, 0, 16)
	for _, r := range [...]EscrowReason{
		{"annual_disbursements_cents", a.AnnualDisbursements, EscrowRuleEstimate},
		{"base_payment_cents", a.BasePayment, base},
		{"low_point_cents", a.LowPoint, EscrowRuleTrial},
		{"cushion_cents", a.Cushion, a.CushionRule},
		{"required_start_cents", a.RequiredStart, EscrowRuleTarget},
		{"scheduled_deposits_cents", a.ScheduledDeposits, EscrowRuleScheduled},
		{"scheduled_disbursements_cents", a.ScheduledDisbursements, EscrowRuleScheduled},
		{"paid_ahead_cents", a.PaidAhead, EscrowRuleAhead},
		{"kept_voluntary_cents", a.KeptVoluntary, EscrowRuleAhead},
		{"surplus_cents", a.Surplus, a.SurplusHandling.Rule},
		{"shortage_cents", a.Shortage, a.ShortageHandling.Rule},
		{"deficiency_cents", a.Deficiency, a.DeficiencyHandling.Rule},
		{"initial_deposit_cents", a.InitialDeposit, a.DepositHandling.Rule},
	} {
		if r.Amount != 0 {
			reasons = append(reasons, r)
		}
	}
	return reasons
}
