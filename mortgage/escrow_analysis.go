package mortgage

// EscrowMonth is one month of a computation year. The balances are those at its
// end.
type EscrowMonth struct {
	MonthOn      Date  `json:"month_on"`           // its first day
	Deposit      Cents `json:"deposit_cents"`      // the twelfth, without what surplus or shortage change
	Disbursement Cents `json:"disbursement_cents"` // the bills planned to be paid in it
	Target       Cents `json:"target_cents"`       // what the account should hold
	Projected    Cents `json:"projected_cents"`    // what it will hold if only the twelfth is paid

	Payment  Cents `json:"payment_cents"`  // what the borrower is asked for in it
	Expected Cents `json:"expected_cents"` // what it will hold if all is done that the analysis says
}

// EscrowAnalysis is what an account needs, has, and is to be done about it.
//
// Surplus + KeptVoluntary - Shortage - Deficiency - InitialDeposit is always
// StartBalance - RequiredStart.
type EscrowAnalysis struct {
	Kind    EscrowAnalysisKind `json:"kind"`
	AsOf    Date               `json:"as_of"`
	StartOn Date               `json:"start_on,omitzero"`

	AnnualDisbursements Cents      `json:"annual_disbursements_cents"` // a year's bills, with a year's part of rarer ones
	BasePayment         Cents      `json:"base_payment_cents"`         // a twelfth of them
	Cushion             Cents      `json:"cushion_cents"`
	CushionRule         EscrowRule `json:"cushion_rule"`
	CycleMonths         int        `json:"cycle_months"`          // after which the account repeats; 12 unless bills come more rarely
	LowPoint            Cents      `json:"low_point_cents"`       // the lowest month-end balance of a trial that begins with nothing
	LowMonthOn          Date       `json:"low_month_on,omitzero"` // the month in which it comes, perhaps in a later year
	RequiredStart       Cents      `json:"required_start_cents"`  // what the account should hold when the year begins

	// StartBalance is what the account holds when the year begins: the balance,
	// with the scheduled deposits and disbursements, without payments that were
	// made ahead for the year itself.
	StartBalance           Cents `json:"start_balance_cents"`
	ScheduledDeposits      Cents `json:"scheduled_deposits_cents"`
	ScheduledDisbursements Cents `json:"scheduled_disbursements_cents"`
	PaidAhead              Cents `json:"paid_ahead_cents"`

	Surplus        Cents `json:"surplus_cents"`
	KeptVoluntary  Cents `json:"kept_voluntary_cents"` // more than the target, but paid in voluntarily
	Shortage       Cents `json:"shortage_cents"`
	Deficiency     Cents `json:"deficiency_cents"`
	InitialDeposit Cents `json:"initial_deposit_cents"` // of a new account

	SurplusHandling    EscrowHandling `json:"surplus_handling"`
	ShortageHandling   EscrowHandling `json:"shortage_handling"`
	DeficiencyHandling EscrowHandling `json:"deficiency_handling"`
	DepositHandling    EscrowHandling `json:"deposit_handling"`

	DaysOverdue int  `json:"days_overdue"` // of the oldest unpaid installment
	Current     bool `json:"current"`      // 12 CFR 1024.17(f)(2)(ii)

	EffectiveOn Date            `json:"effective_on,omitzero"` // the due date of the first payment that changes
	NewPayment  Cents           `json:"new_payment_cents"`     // the escrow payment from then on
	Payments    []EscrowPayment `json:"payments,omitempty"`    // the same by month, where it changes

	Months [monthsPerYear]EscrowMonth `json:"months,omitzero"`
	Bills  []EscrowProjectedBill      `json:"bills,omitempty"` // in the order of the items

	Exemption      EscrowExemption `json:"exemption,omitzero"`        // from the statement, "" for none
	StatementDueOn Date            `json:"statement_due_on,omitzero"` // no date when exempt
	StatementRule  EscrowRule      `json:"statement_rule"`
}

// currentDays is within how many days of its due date a payment has to come for
// the borrower to be current.
const currentDays = 30

// scheduledMonths is for how many months before the year what is scheduled may
// be assumed.
const scheduledMonths = 2

// AnalyzeEscrow returns what an escrow account needs in the coming computation
// year, what it has, and what is done about the difference.
//
// It is aggregate accounting, with all items together. The twelfth of the year's
// bills is the base payment. A trial balance begins with nothing, takes in the
// base payment and pays the bills of each of twelve months; its lowest month-end
// balance, turned around, and the cushion are the required start, and the same
// sum lifts each month's trial balance to its target. The opening balance counts
// as one of the balances, as in the appendix's table of thirteen rows. What the
// account holds when the year begins, less the required start, is a surplus, or
// a shortage; the part by which it is below zero already is a deficiency.
//
// Order and day of bills within a month make no difference. It returns an
// EscrowFieldError for a request or a policy that cannot be.
//
// Source: 12 CFR 1024.17(c), (d)(2) and (f); 12 CFR 1024, appendix E.
func AnalyzeEscrow(r EscrowRequest) (EscrowAnalysis, error) {
	if err := r.check(); err != nil {
		return EscrowAnalysis{}, err
	}
	a := EscrowAnalysis{Kind: r.Kind, AsOf: r.AsOf, StartOn: r.StartOn}
	if r.NextDueOn != 0 {
		a.DaysOverdue = max(int(r.AsOf-r.NextDueOn), 0)
	}
	a.Current = a.DaysOverdue <= currentDays
	a.exempt(&r)
	a.dueStatement(&r)
	if r.Kind == EscrowPayoff {
		a.payOff(&r)
		return a, nil
	}
	j := project(r.Items, r.StartOn, &r.Policy)
	a.require(&r, &j)
	a.compare(&r, &j)
	a.handle(&r)
	a.pay(&r)
	a.fillMonths(r.Payment, &j)
	a.Bills = j.bills
	return a, nil
}

// require says what the account needs.
func (a *EscrowAnalysis) require(r *EscrowRequest, j *escrowProjection) {
	a.AnnualDisbursements = (j.sum + cycleParts/monthsPerYear/2) / (cycleParts / monthsPerYear)
	a.BasePayment = j.payment(r.Policy.PaymentRounding)
	a.Cushion, a.CushionRule = j.cushion(r.Policy.CushionMonths, r.CushionLimits)
	low, month := j.lowest(a.BasePayment)
	a.CycleMonths, a.LowPoint, a.LowMonthOn = j.cycle, low, firstOfMonth(j.start+month-1)
	a.RequiredStart = max(-low, 0) + a.Cushion
}

// compare says what the account has, and how that differs from what it needs.
//
// A payment made ahead for a month of the year will not come again, so that its
// deposit is taken out. A deficiency is what is below zero already and still will
// be when the year begins: a balance that only the plan takes below zero is a
// shortage, for which the borrower has more time.
func (a *EscrowAnalysis) compare(r *EscrowRequest, j *escrowProjection) {
	next := monthNumber(r.Account.NextDueOn)
	scheduled := max(j.start-max(next, j.start-scheduledMonths), 0)
	a.ScheduledDeposits = r.Payment * Cents(scheduled)
	a.ScheduledDisbursements = j.before
	a.PaidAhead = r.Payment * Cents(max(next-j.start, 0))
	a.StartBalance = r.Account.Balance + a.ScheduledDeposits - a.ScheduledDisbursements - a.PaidAhead

	difference := a.StartBalance - a.RequiredStart
	switch {
	case difference >= 0:
		a.KeptVoluntary = min(r.Voluntary, difference)
		a.Surplus = difference - a.KeptVoluntary
	case r.Kind == EscrowInitial && !r.Transferred:
		a.InitialDeposit = -difference
	default:
		a.Deficiency = max(min(-r.Account.Balance, -a.StartBalance), 0)
		a.Shortage = -difference - a.Deficiency
	}
}

// payOff closes the account: all that it holds goes back to the borrower, and
// what it lacks is part of what pays the loan in full.
func (a *EscrowAnalysis) payOff(r *EscrowRequest) {
	a.StartBalance = r.Account.Balance
	a.Surplus, a.Deficiency = max(a.StartBalance, 0), max(-a.StartBalance, 0)
	a.ShortageHandling.Action, a.DepositHandling.Action = EscrowNothing, EscrowNothing
	a.SurplusHandling.Action, a.DeficiencyHandling.Action = EscrowNothing, EscrowNothing
	if a.Surplus > 0 {
		a.SurplusHandling = EscrowHandling{
			Action: EscrowRefund, Amount: a.Surplus, DueOn: RefundDueOn(r.AsOf), Rule: EscrowRulePayoff,
		}
	}
	if a.Deficiency > 0 {
		a.DeficiencyHandling = EscrowHandling{
			Action: EscrowInPayoff, Amount: a.Deficiency, DueOn: r.AsOf, Rule: EscrowRuleAdvance,
		}
	}
}

// fillMonths lays out the twelve months.
func (a *EscrowAnalysis) fillMonths(old Cents, j *escrowProjection) {
	effective := monthNumber(a.EffectiveOn)
	settled := a.settledBy(firstOfMonth(j.start) - 1)
	target, projected, expected := a.RequiredStart, a.StartBalance, a.StartBalance+settled
	for i := range a.Months {
		out := j.paidOut[i+1]
		target += a.BasePayment - out
		projected += a.BasePayment - out
		payment := old
		if m := j.start + i - effective; m >= 0 {
			payment = a.paymentIn(m).Total()
		}
		now := a.settledBy(firstOfMonth(j.start+i+1) - 1)
		expected += payment - out + now - settled
		settled = now
		a.Months[i] = EscrowMonth{
			MonthOn: firstOfMonth(j.start + i), Deposit: a.BasePayment, Disbursement: out,
			Target: target, Projected: projected, Payment: payment, Expected: expected,
		}
	}
}
