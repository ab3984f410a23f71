package mortgage

// EscrowAction is what becomes of an amount that an analysis finds.
type EscrowAction string

// The actions.
const (
	EscrowNothing  EscrowAction = "nothing"        // there is no amount
	EscrowRefund   EscrowAction = "refund"         // paid to the borrower
	EscrowCredit   EscrowAction = "credit"         // taken off the coming payments
	EscrowRetain   EscrowAction = "retain"         // stays, the borrower not being current
	EscrowLeave    EscrowAction = "leave"          // nothing is asked for it
	EscrowAtOnce   EscrowAction = "within_30_days" // asked for in one sum
	EscrowSpread   EscrowAction = "spread"         // asked for in equal monthly payments
	EscrowDeposit  EscrowAction = "deposit"        // charged when the account is created
	EscrowInPayoff EscrowAction = "in_payoff"      // part of what pays the loan in full
)

// EscrowRounding says how a twelfth that is no whole number of cents becomes
// the month's payment. The regulation is silent.
type EscrowRounding string

// The roundings of the payment.
const (
	EscrowRoundHalfUp EscrowRounding = "half_up" // to the nearest cent, half a cent up
	EscrowRoundDown   EscrowRounding = "down"    // never above the twelfth
)

// The bounds of a policy. Where the regulation sets none, the bound is ours.
const (
	MaxEscrowCushionMonths          = 2     // 12 CFR 1024.17(c)(5): two twelfths are a sixth
	MaxEscrowRefundFrom       Cents = 50_00 // 12 CFR 1024.17(f)(2)(i)
	MaxEscrowCreditMonths           = 12    // 12 CFR 1024.17(f)(2)(i): "the next year's escrow payments"
	MinEscrowShortageMonths         = 12    // 12 CFR 1024.17(f)(3)
	MinEscrowDeficiencyMonths       = 2     // 12 CFR 1024.17(f)(4)
	MaxEscrowSpreadMonths           = 60    // ours
	MaxEscrowLeadDays               = 30    // ours
	MaxEscrowNoticeDays             = 60    // ours
)

// EscrowPolicy holds what the regulation leaves to the servicer. Its zero value
// is no policy and is refused; DefaultEscrowPolicy has the defaults.
type EscrowPolicy struct {
	// CushionMonths is the cushion in twelfths of a year's bills, 0 to 2.
	// Default 2. Loan documents and state law can lower it for a loan: see
	// CushionLimit.
	CushionMonths int `json:"cushion_months"`
	// PaymentRounding rounds the twelfth. Default half-up.
	PaymentRounding EscrowRounding `json:"payment_rounding"`
	// EstimateChange modifies last year's charge where the new one is unknown, in
	// millionths: between zero and the last year's change in the CPI-U, which the
	// request gives. Default 0, last year's charge as it was.
	EstimateChange Rate `json:"estimate_change_ppm"`

	// RefundFrom is the smallest surplus that is refunded, 0.01 to 50.00; a
	// smaller one is credited. Default 50.00, above which there is no choice.
	RefundFrom Cents `json:"refund_from_cents"`
	// CreditMonths is over how many payments a smaller surplus is credited, 1 to
	// 12. Default 12.
	CreditMonths int `json:"credit_months"`
	// RefundWhenNotCurrent refunds and credits also while the borrower is not
	// current. Default false: the surplus stays in the account.
	RefundWhenNotCurrent bool `json:"refund_when_not_current"`

	// SmallShortage is what is done about a shortage below one month's payment:
	// leave, within_30_days or spread. Default spread.
	SmallShortage EscrowAction `json:"small_shortage"`
	// Shortage is the same for one month's payment or more: leave or spread.
	// Default spread.
	Shortage EscrowAction `json:"shortage"`
	// ShortageMonths is over how many payments a shortage is spread, 12 to 60.
	// Default 12.
	ShortageMonths int `json:"shortage_months"`

	// SmallDeficiency is what is done about a deficiency below one month's
	// payment: leave, within_30_days or spread. Default spread.
	SmallDeficiency EscrowAction `json:"small_deficiency"`
	// Deficiency is the same for one month's payment or more: leave or spread.
	// Default spread.
	Deficiency EscrowAction `json:"deficiency"`
	// DeficiencyMonths is over how many payments a deficiency is spread, 2 to 60.
	// Default 12.
	DeficiencyMonths int `json:"deficiency_months"`
	// CollectWhenNotCurrent asks for a deficiency also while the borrower is not
	// current, when only the loan documents govern. Default false.
	CollectWhenNotCurrent bool `json:"collect_when_not_current"`

	// LeadDays is how many days before its deadline a bill is paid, 0 to 30. It
	// counts for the projection and for the payment alike. Default 0.
	LeadDays int `json:"lead_days"`
	// NoticeDays is how many days lie between an analysis and the first payment
	// that it changes, at least, 0 to 60. Default 0: the first due date after the
	// day of the analysis.
	NoticeDays int `json:"notice_days"`
}

// DefaultEscrowPolicy returns the policy for a servicer that has chosen nothing:
// the cushion that the law allows, everything owed spread over a year.
func DefaultEscrowPolicy() EscrowPolicy {
	return EscrowPolicy{
		CushionMonths:    MaxEscrowCushionMonths,
		PaymentRounding:  EscrowRoundHalfUp,
		RefundFrom:       MaxEscrowRefundFrom,
		CreditMonths:     MaxEscrowCreditMonths,
		SmallShortage:    EscrowSpread,
		Shortage:         EscrowSpread,
		ShortageMonths:   MinEscrowShortageMonths,
		SmallDeficiency:  EscrowSpread,
		Deficiency:       EscrowSpread,
		DeficiencyMonths: monthsPerYear,
	}
}

// Check refuses a policy that the regulation does not allow, or that makes no
// sense, with an EscrowFieldError for the first such field. EstimateChange is
// checked against the CPI-U by AnalyzeEscrow.
func (p EscrowPolicy) Check() error {
	small := func(a EscrowAction) bool { return a == EscrowLeave || a == EscrowAtOnce || a == EscrowSpread }
	large := func(a EscrowAction) bool { return a == EscrowLeave || a == EscrowSpread }
	in := func(n, least, most int) bool { return n >= least && n <= most }
	for _, c := range [...]struct {
		ok          bool
		field, want string
		rule        EscrowRule
	}{
		{in(p.CushionMonths, 0, MaxEscrowCushionMonths), "cushion_months", "0 to 2", EscrowRuleCushion},
		{
			p.PaymentRounding == EscrowRoundHalfUp || p.PaymentRounding == EscrowRoundDown,
			"payment_rounding", "half_up or down", "",
		},
		{p.EstimateChange >= -MaxRate && p.EstimateChange <= MaxRate, "estimate_change_ppm", "-100 % to 100 %", ""},
		{p.RefundFrom >= 1 && p.RefundFrom <= MaxEscrowRefundFrom, "refund_from_cents", "1 to 5000", EscrowRuleSurplus},
		{in(p.CreditMonths, 1, MaxEscrowCreditMonths), "credit_months", "1 to 12", EscrowRuleSurplus},
		{small(p.SmallShortage), "small_shortage", "leave, within_30_days or spread", EscrowRuleShortageSpread},
		{large(p.Shortage), "shortage", "leave or spread", EscrowRuleMonthSpread},
		{
			in(p.ShortageMonths, MinEscrowShortageMonths, MaxEscrowSpreadMonths),
			"shortage_months", "12 to 60", EscrowRuleMonthSpread,
		},
		{small(p.SmallDeficiency), "small_deficiency", "leave, within_30_days or spread", EscrowRuleDeficiencySpread},
		{large(p.Deficiency), "deficiency", "leave or spread", EscrowRuleMonthDeficiency},
		{
			in(p.DeficiencyMonths, MinEscrowDeficiencyMonths, MaxEscrowSpreadMonths),
			"deficiency_months", "2 to 60", EscrowRuleMonthDeficiency,
		},
		{in(p.LeadDays, 0, MaxEscrowLeadDays), "lead_days", "0 to 30", ""},
		{in(p.NoticeDays, 0, MaxEscrowNoticeDays), "notice_days", "0 to 60", ""},
	} {
		if !c.ok {
			return &EscrowFieldError{Field: c.field, Want: c.want, Rule: c.rule}
		}
	}
	return nil
}

// CheckFor is Check, and refuses a modification of last year's charges beyond the
// most recent year's change in the CPI-U.
//
// Source: 12 CFR 1024.17(c)(7).
func (p EscrowPolicy) CheckFor(cpi Rate) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.EstimateChange < min(cpi, 0) || p.EstimateChange > max(cpi, 0) {
		return &EscrowFieldError{
			Field: "estimate_change_ppm", Want: "between zero and the change in the CPI-U", Rule: EscrowRuleEstimate,
		}
	}
	return nil
}

// CushionSource says who lowers a cushion.
type CushionSource string

// The sources of a lower cushion.
const (
	LoanDocuments CushionSource = "loan_documents"
	StateLaw      CushionSource = "state_law"
)

// CushionLimit lowers the cushion of one loan. It never raises it, whatever it
// says: 12 CFR 1024.17(c)(8). Each of the three that is not nil limits.
type CushionLimit struct {
	Source CushionSource `json:"source"`
	Months *int          `json:"months,omitzero"`       // twelfths of a year's bills
	Rate   *Rate         `json:"rate_ppm,omitzero"`     // of a year's bills, in millionths
	Amount *Cents        `json:"amount_cents,omitzero"` // in money
}

// check refuses a limit below zero or without a source or content.
func (l CushionLimit) check() string {
	switch {
	case l.Source != LoanDocuments && l.Source != StateLaw:
		return "source"
	case l.Months == nil && l.Rate == nil && l.Amount == nil || l.Months != nil && *l.Months < 0:
		return "months"
	case l.Rate != nil && *l.Rate < 0:
		return "rate_ppm"
	case l.Amount != nil && *l.Amount < 0:
		return "amount_cents"
	}
	return ""
}
