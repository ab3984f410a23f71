package statement

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"loanserve/mortgage"
)

// Disclosure is a statement as the API gives it.
type Disclosure struct {
	Title      string                      `json:"title"`
	Kind       mortgage.EscrowAnalysisKind `json:"kind" enum:"annual,short_year,on_demand,initial,payoff"`
	LoanNumber string                      `json:"loan_number"`
	PreparedOn mortgage.Date               `json:"prepared_on" format:"date" doc:"The day of the analysis."`
	DueOn      mortgage.Date               `json:"due_on" format:"date" doc:"By when it is delivered."`
	Rule       mortgage.EscrowRule         `json:"rule" doc:"Why it is owed."`
	Servicer   DisclosureServicer          `json:"servicer"`
	Borrowers  []string                    `json:"borrowers"`
	Property   string                      `json:"property"`

	EffectiveOn mortgage.Date         `json:"effective_on,omitzero" format:"date" doc:"The due date of the first payment of the new amount; left out for a payoff."`
	Payment     DisclosurePayment     `json:"payment" doc:"What is paid each month from then on."`
	PastPayment *DisclosurePayment    `json:"past_payment,omitzero" nullable:"false" doc:"What was paid each month until then; left out of an initial statement."`
	Steps       []DisclosureStep      `json:"escrow_payments" doc:"The escrow part of the payment, by month, where it changes."`
	Surplus     DisclosureHandling    `json:"surplus"`
	Shortage    DisclosureHandling    `json:"shortage"`
	Deficiency  DisclosureHandling    `json:"deficiency"`
	Deposit     DisclosureHandling    `json:"first_deposit"`
	Coming      *DisclosureProjection `json:"coming_year,omitzero" nullable:"false" doc:"Left out for a payoff."`
	Past        *DisclosureHistory    `json:"past_year,omitzero" nullable:"false" doc:"Left out of an initial statement."`
}

// DisclosureServicer is who sends the statement.
type DisclosureServicer struct {
	Name    string `json:"name"`
	Address string `json:"address,omitzero"`
	Phone   string `json:"phone,omitzero"`
}

// DisclosurePayment is a monthly payment.
type DisclosurePayment struct {
	PrincipalAndInterestCents mortgage.Cents `json:"principal_and_interest_cents"`
	EscrowCents               mortgage.Cents `json:"escrow_cents"`
	DiscretionaryCents        mortgage.Cents `json:"discretionary_cents"`
	TotalCents                mortgage.Cents `json:"total_cents"`
}

// DisclosureStep is the escrow part of the payment from a due date on.
type DisclosureStep struct {
	FromOn          mortgage.Date  `json:"from_on" format:"date"`
	BaseCents       mortgage.Cents `json:"base_cents" doc:"A twelfth of a year's bills."`
	ShortageCents   mortgage.Cents `json:"shortage_cents"`
	DeficiencyCents mortgage.Cents `json:"deficiency_cents"`
	CreditCents     mortgage.Cents `json:"credit_cents" doc:"Taken off because of a surplus."`
	TotalCents      mortgage.Cents `json:"total_cents"`
}

// DisclosureHandling is what is done about an amount.
type DisclosureHandling struct {
	Action       mortgage.EscrowAction `json:"action" enum:"nothing,refund,credit,retain,leave,within_30_days,spread,deposit,in_payoff"`
	AmountCents  mortgage.Cents        `json:"amount_cents"`
	Rule         mortgage.EscrowRule   `json:"rule,omitzero"`
	DueOn        mortgage.Date         `json:"due_on,omitzero" format:"date" doc:"Of a sum that is paid at once."`
	Months       int                   `json:"months,omitzero" doc:"Over how many payments it is spread or credited."`
	MonthlyCents mortgage.Cents        `json:"monthly_cents,omitzero"`
	LastCents    mortgage.Cents        `json:"last_cents,omitzero" doc:"In the last of the months."`
}

// DisclosureProjection is the coming year.
type DisclosureProjection struct {
	StartOn            mortgage.Date       `json:"start_on" format:"date"`
	RequiredStartCents mortgage.Cents      `json:"required_start_cents"`
	StartBalanceCents  mortgage.Cents      `json:"start_balance_cents"`
	PaidAheadCents     mortgage.Cents      `json:"paid_ahead_cents" doc:"Paid in already for months of the coming year, and not part of the start balance."`
	CushionCents       mortgage.Cents      `json:"cushion_cents"`
	CushionRule        mortgage.EscrowRule `json:"cushion_rule"`
	LowMonthOn         mortgage.Date       `json:"low_month_on" format:"date" doc:"The month of the lowest target balance."`
	LowTargetCents     mortgage.Cents      `json:"low_target_cents"`
	CycleMonths        int                 `json:"cycle_months" doc:"More than 12 when bills come less often than every year."`
	Charges            []DisclosureCharge  `json:"charges" doc:"By date."`
	Months             []DisclosureMonth   `json:"months"`
}

// DisclosureCharge is a bill that is expected.
type DisclosureCharge struct {
	Kind        mortgage.EscrowItemKind `json:"kind"`
	Payee       string                  `json:"payee"`
	PayOn       mortgage.Date           `json:"pay_on" format:"date"`
	AmountCents mortgage.Cents          `json:"amount_cents"`
	Basis       mortgage.EstimateBasis  `json:"basis" enum:"known,comparable_property,last_charge,last_charge_modified"`
}

// DisclosureMonth is a month of the coming year. Balances are those at its end.
type DisclosureMonth struct {
	MonthOn           mortgage.Date  `json:"month_on" format:"date" doc:"Its first day."`
	DepositCents      mortgage.Cents `json:"deposit_cents" doc:"The twelfth."`
	DisbursementCents mortgage.Cents `json:"disbursement_cents"`
	TargetCents       mortgage.Cents `json:"target_cents" doc:"What the account should hold."`
	ProjectedCents    mortgage.Cents `json:"projected_cents" doc:"What it will hold if only the twelfth is paid."`
	PaymentCents      mortgage.Cents `json:"payment_cents" doc:"What is asked for."`
	ExpectedCents     mortgage.Cents `json:"expected_cents" doc:"What it will hold if all is done that the statement says."`
}

// JSON writes the statement's data.
func (s *Statement) JSON() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	out, err := json.Marshal(s.data())
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return out, nil
}

func (s *Statement) data() *Disclosure {
	surplus, shortage, deficiency, deposit := s.found()
	now, before, from := s.payments()
	d := &Disclosure{
		Title: s.Title(), Kind: s.Kind, LoanNumber: s.LoanNumber, PreparedOn: s.AsOf, DueOn: s.DueOn(),
		Servicer: DisclosureServicer(s.Servicer), Borrowers: s.Borrowers, Property: s.Property,
		EffectiveOn: from, Payment: paymentData(now),
		Surplus: handlingData(surplus), Shortage: handlingData(shortage),
		Deficiency: handlingData(deficiency), Deposit: handlingData(deposit),
	}
	for _, p := range s.steps() {
		d.Steps = append(d.Steps, DisclosureStep{
			FromOn: p.FromOn, BaseCents: p.Base, ShortageCents: p.Shortage, DeficiencyCents: p.Deficiency,
			CreditCents: p.Credit, TotalCents: p.Total(),
		})
	}
	if s.Kind != mortgage.EscrowPayoff {
		d.Coming = s.comingData()
	}
	if s.Initial != nil {
		d.Rule = s.Initial.Rule
		return d
	}
	d.Rule = s.Annual.Rule
	past := paymentData(before)
	d.PastPayment, d.Past = &past, s.historyData()
	return d
}

func paymentData(p mortgage.MonthlyPayment) DisclosurePayment {
	return DisclosurePayment{
		PrincipalAndInterestCents: p.PrincipalAndInterest, EscrowCents: p.Escrow, DiscretionaryCents: p.Discretionary,
		TotalCents: p.Total(),
	}
}

func handlingData(h mortgage.EscrowHandling) DisclosureHandling {
	if h.Action == "" {
		h.Action = mortgage.EscrowNothing
	}
	return DisclosureHandling{
		Action: h.Action, AmountCents: h.Amount, Rule: h.Rule, DueOn: h.DueOn,
		Months: h.Months, MonthlyCents: h.Monthly, LastCents: h.Last,
	}
}

func (s *Statement) comingData() *DisclosureProjection {
	p := s.projection()
	d := &DisclosureProjection{
		StartOn: p.StartOn, RequiredStartCents: p.RequiredStart, StartBalanceCents: p.StartBalance,
		PaidAheadCents: s.PaidAhead, CushionCents: p.Cushion, CushionRule: p.CushionRule,
		LowMonthOn: p.LowMonthOn, LowTargetCents: p.LowTarget, CycleMonths: p.CycleMonths,
	}
	for _, c := range p.Charges {
		d.Charges = append(d.Charges, DisclosureCharge{
			Kind: c.Kind, Payee: c.Payee, PayOn: c.PayOn, AmountCents: c.Amount, Basis: c.Basis,
		})
	}
	for _, m := range p.Months {
		d.Months = append(d.Months, DisclosureMonth{
			MonthOn: m.MonthOn, DepositCents: m.Deposit, DisbursementCents: m.Disbursement, TargetCents: m.Target,
			ProjectedCents: m.Projected, PaymentCents: m.Payment, ExpectedCents: m.Expected,
		})
	}
	return d
}
