package mortgage

import "fmt"

// EscrowAnalysisKind says what occasions an analysis.
type EscrowAnalysisKind string

// The kinds of analyses.
const (
	// EscrowAnnual completes a computation year.
	EscrowAnnual EscrowAnalysisKind = "annual"
	// EscrowShortYear ends a computation year early, by the servicer's choice.
	EscrowShortYear EscrowAnalysisKind = "short_year"
	// EscrowOnDemand looks at an account in the middle of its year: because
	// something changed, or because an advance is to be repaid (12 CFR
	// 1024.17(f)(1)(ii)). It ends the year early as well.
	EscrowOnDemand EscrowAnalysisKind = "on_demand"
	// EscrowInitial opens an account: a new one, or one that another servicer
	// handed over.
	EscrowInitial EscrowAnalysisKind = "initial"
	// EscrowPayoff closes an account whose loan is paid off.
	EscrowPayoff EscrowAnalysisKind = "payoff"
)

// EscrowAccount is an account as it stood at the end of a day.
type EscrowAccount struct {
	On        Date  `json:"on"`
	Balance   Cents `json:"balance_cents"`        // of a State: Escrow less EscrowAdvance, the servicer's own money
	NextDueOn Date  `json:"next_due_on,omitzero"` // the oldest installment that was unpaid then
}

// EscrowRequest holds what an analysis is computed from.
type EscrowRequest struct {
	Kind   EscrowAnalysisKind `json:"kind"`
	AsOf   Date               `json:"as_of"` // the day of the analysis
	Policy EscrowPolicy       `json:"policy"`
	Items  []EscrowItem       `json:"items"`

	// StartOn is the due date of the first payment of the computation year that is
	// projected. The year's twelve calendar months begin with the month of that day.
	StartOn Date `json:"start_on,omitzero"`
	DueDay  int  `json:"due_day"` // of the loan, 1 to 31

	// Account is the account as the books have it, at the end of a day from two
	// months before the year's first month up to the last day before it. What is
	// scheduled between the two is assumed to happen.
	Account EscrowAccount `json:"account"`
	// NextDueOn is the oldest installment that is unpaid on AsOf.
	NextDueOn Date `json:"next_due_on,omitzero"`
	// Payment is what each installment deposited until now.
	Payment Cents `json:"payment_cents"`
	// Voluntary is the part of the balance that the borrower paid in of his own
	// accord for bills to come.
	Voluntary Cents `json:"voluntary_cents,omitzero"`

	CPIChange     Rate           `json:"cpi_change_ppm"` // the most recent year's change in the CPI-U, all items
	CushionLimits []CushionLimit `json:"cushion_limits,omitempty"`

	Foreclosure bool `json:"foreclosure,omitzero"` // the servicer has brought an action
	Bankruptcy  bool `json:"bankruptcy,omitzero"`  // the borrower is in proceedings

	// EstablishedOn and Transferred are for an initial analysis: the day of
	// settlement, of the account's creation, or of the transfer of servicing.
	EstablishedOn Date `json:"established_on,omitzero"`
	Transferred   bool `json:"transferred,omitzero"`
}

// check refuses a request that no analysis can answer.
func (r *EscrowRequest) check() error {
	if err := r.Policy.CheckFor(r.CPIChange); err != nil {
		return err
	}
	date := func(d Date) bool { return d >= minEscrowDate && d <= maxEscrowDate }
	amount := func(c, most Cents) bool { return c >= 0 && c <= most }
	payoff := r.Kind == EscrowPayoff
	for _, c := range [...]struct {
		ok          bool
		field, want string
		rule        EscrowRule
	}{
		{r.Kind.known(), "kind", "annual, short_year, on_demand, initial or payoff", ""},
		{date(r.AsOf), "as_of", "a day", ""},
		{payoff && r.NextDueOn == 0 || date(r.NextDueOn), "next_due_on", "a day", ""},
		{date(r.Account.On) && r.Account.On <= r.AsOf, "account.on", "a day not after as_of", ""},
		{
			r.Account.Balance >= -MaxBalance && r.Account.Balance <= MaxBalance,
			"account.balance_cents", "-100000000000 to 100000000000", "",
		},
		{payoff || date(r.Account.NextDueOn), "account.next_due_on", "a day", ""},
		{amount(r.Payment, MaxPayment), "payment_cents", "0 to 10000000000", ""},
		{amount(r.Voluntary, MaxBalance), "voluntary_cents", "0 to 100000000000", ""},
		{r.CPIChange >= -MaxRate && r.CPIChange <= MaxRate, "cpi_change_ppm", "-100 % to 100 %", ""},
		{r.EstablishedOn == 0 || date(r.EstablishedOn), "established_on", "a day, or none", ""},
	} {
		if !c.ok {
			return &EscrowFieldError{Field: c.field, Want: c.want, Rule: c.rule}
		}
	}
	for i := range r.CushionLimits {
		if field := r.CushionLimits[i].check(); field != "" {
			return &EscrowFieldError{Field: fmt.Sprintf("cushion_limits[%d].%s", i, field), Want: "a lower limit"}
		}
	}
	if payoff {
		return nil
	}
	if err := r.checkYear(); err != nil {
		return err
	}
	return checkEscrowItems(r.Items, r.Account.On)
}

// checkYear refuses a computation year that does not fit the days of the loan,
// the account and the analysis.
func (r *EscrowRequest) checkYear() error {
	if r.DueDay < 1 || r.DueDay > 31 {
		return &EscrowFieldError{Field: "due_day", Want: "1 to 31"}
	}
	if r.StartOn < minEscrowDate || r.StartOn > maxEscrowDate {
		return &EscrowFieldError{Field: "start_on", Want: "a day"}
	}
	if on, err := r.StartOn.AddMonths(0, r.DueDay); err != nil || on != r.StartOn {
		return &EscrowFieldError{Field: "start_on", Want: "a due date of the loan"}
	}
	start := monthNumber(r.StartOn)
	if r.AsOf >= firstOfMonth(start+monthsPerYear) {
		return &EscrowFieldError{Field: "as_of", Want: "a day before the end of the computation year"}
	}
	if r.Account.On >= firstOfMonth(start) {
		return &EscrowFieldError{Field: "account.on", Want: "a day before the month of start_on"}
	}
	if r.Account.On < firstOfMonth(start-scheduledMonths)-1 {
		return &EscrowFieldError{
			Field: "account.on", Want: "a day at most two months before the month of start_on", Rule: EscrowRuleScheduled,
		}
	}
	return nil
}

// known says whether k is one of the constants.
func (k EscrowAnalysisKind) known() bool {
	switch k {
	case EscrowAnnual, EscrowShortYear, EscrowOnDemand, EscrowInitial, EscrowPayoff:
		return true
	default:
		return false
	}
}

// established returns the day on which an account was opened or taken over.
func (r *EscrowRequest) established() Date {
	if r.EstablishedOn == 0 {
		return r.AsOf
	}
	return r.EstablishedOn
}
