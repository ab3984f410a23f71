package server

import (
	"time"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// escrowAnalysis is an analysis of a loan's escrow account, as the API shows it.
type escrowAnalysis struct {
	AnalysisID uuid.UUID                    `json:"analysis_id" format:"uuid"`
	LoanID     int64                        `json:"loan_id"`
	RunID      *uuid.UUID                   `json:"run_id,omitzero" nullable:"false" format:"uuid" doc:"The run that it belongs to."`
	Kind       queries.EscrowAnalysisKind   `json:"kind" enum:"annual,short_year,on_demand,initial,payoff"`
	Status     queries.EscrowAnalysisStatus `json:"status" enum:"requested,finished,rejected" doc:"requested: stored, and waiting. finished: made, and, unless it is a dry run, in force. rejected: refused by a rule; the loan is unchanged."`
	DryRun     bool                         `json:"dry_run" doc:"Whether it is only tried: nothing changes."`
	AsOfOn     date                         `json:"as_of_on" doc:"The day of the analysis."`
	StartOn    date                         `json:"start_on,omitzero" doc:"The first payment of the computation year."`

	Refusal      string              `json:"refusal,omitzero" doc:"The rule that refused it; only with status rejected."`
	RefusedField string              `json:"refused_field,omitzero" doc:"What of the account cannot be analyzed, with refusal escrow_invalid."`
	RefusedRule  mortgage.EscrowRule `json:"refused_rule,omitzero" doc:"The rule that sets its bound, where one does."`

	RequestedBy string    `json:"requested_by"`
	CreatedAt   time.Time `json:"created_at"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`

	*EscrowResult
}

// EscrowResult is what an analysis came to, which only a finished one has. Amounts are those of the account's
// computation year, balances those at the ends of months.
type EscrowResult struct {
	PolicyID int64 `json:"policy_id,omitzero" doc:"The policy that it followed; left out for the default one."`

	AnnualDisbursementsCents mortgage.Cents `json:"annual_disbursements_cents" doc:"A year's bills, with a year's part of rarer ones." required:"false"`
	BasePaymentCents         mortgage.Cents `json:"base_payment_cents" doc:"A twelfth of them." required:"false"`
	CushionCents             mortgage.Cents `json:"cushion_cents" required:"false"`
	LowPointCents            mortgage.Cents `json:"low_point_cents" doc:"The lowest month-end balance of a trial that begins with nothing." required:"false"`
	LowMonthOn               date           `json:"low_month_on,omitzero"`
	CycleMonths              int            `json:"cycle_months,omitzero" doc:"After how many months the account repeats; more than 12 where bills come less often than every year."`
	RequiredStartCents       mortgage.Cents `json:"required_start_cents" doc:"What the account should hold when the year begins." required:"false"`
	StartBalanceCents        mortgage.Cents `json:"start_balance_cents" doc:"What it holds then." required:"false"`
	SurplusCents             mortgage.Cents `json:"surplus_cents" required:"false"`
	KeptVoluntaryCents       mortgage.Cents `json:"kept_voluntary_cents" doc:"More than is needed, but paid in voluntarily." required:"false"`
	ShortageCents            mortgage.Cents `json:"shortage_cents" required:"false"`
	DeficiencyCents          mortgage.Cents `json:"deficiency_cents" required:"false"`
	InitialDepositCents      mortgage.Cents `json:"initial_deposit_cents" doc:"Of a new account." required:"false"`

	Surplus        *escrowHandling `json:"surplus,omitzero" nullable:"false" doc:"What becomes of it; left out where there is none."`
	Shortage       *escrowHandling `json:"shortage,omitzero" nullable:"false"`
	Deficiency     *escrowHandling `json:"deficiency,omitzero" nullable:"false"`
	InitialDeposit *escrowHandling `json:"initial_deposit,omitzero" nullable:"false"`

	NewEscrowPaymentCents mortgage.Cents  `json:"new_escrow_payment_cents" doc:"From effective_on until payments says otherwise." required:"false"`
	EffectiveOn           date            `json:"effective_on,omitzero" doc:"The due date of the first payment that changes."`
	Payments              []escrowPayment `json:"payments,omitzero" doc:"The same by month, where it changes."`
	RefundCents           mortgage.Cents  `json:"refund_cents" doc:"What is paid to the borrower because of it; nothing of a dry run." required:"false"`
	RefundDueOn           date            `json:"refund_due_on,omitzero"`

	DaysOverdue    int                      `json:"days_overdue" required:"false"`
	Current        bool                     `json:"current" doc:"Whether the borrower is: not more than 30 days overdue." required:"false"`
	Exemption      mortgage.EscrowExemption `json:"exemption,omitzero" enum:"overdue,foreclosure,bankruptcy" doc:"Why no statement is owed."`
	StatementDueOn date                     `json:"statement_due_on,omitzero" doc:"By when the statement is delivered."`

	Account *escrowAccount        `json:"account,omitzero" nullable:"false" doc:"The account as its books had it; like all that follows not in lists of analyses."`
	Months  []escrowMonth         `json:"months,omitzero" doc:"The twelve months of the computation year."`
	Bills   []escrowProjectedBill `json:"bills,omitzero" doc:"The bills that are expected in it, by date."`
	Rules   []escrowReason        `json:"rules,omitzero" doc:"Every amount that is not zero, with its rule."`
}

// escrowHandling is what is done about an amount.
type escrowHandling struct {
	Action       mortgage.EscrowAction `json:"action" enum:"refund,credit,retain,leave,within_30_days,spread,deposit,in_payoff"`
	AmountCents  mortgage.Cents        `json:"amount_cents"`
	Rule         mortgage.EscrowRule   `json:"rule"`
	DueOn        date                  `json:"due_on,omitzero" doc:"By when it is paid in one sum."`
	Months       int                   `json:"months,omitzero" doc:"Over how many payments it is spread."`
	MonthlyCents mortgage.Cents        `json:"monthly_cents,omitzero"`
	LastCents    mortgage.Cents        `json:"last_cents,omitzero" doc:"The last of them, which takes what rounding left."`
	LumpSum      bool                  `json:"lump_sum" doc:"Whether a statement may ask for it in one sum."`
}

// escrowPayment is the escrow part of the payment from a due date on.
type escrowPayment struct {
	FromOn          date           `json:"from_on"`
	TotalCents      mortgage.Cents `json:"total_cents"`
	BaseCents       mortgage.Cents `json:"base_cents"`
	ShortageCents   mortgage.Cents `json:"shortage_cents"`
	DeficiencyCents mortgage.Cents `json:"deficiency_cents"`
	CreditCents     mortgage.Cents `json:"credit_cents" doc:"Taken off because of a surplus."`
}

// escrowAccount is what the account was at the end of a day.
type escrowAccount struct {
	AccountOn                   date           `json:"account_on"`
	BalanceCents                mortgage.Cents `json:"balance_cents" doc:"Below zero where the servicer's own money is in it."`
	NextDueOn                   date           `json:"next_due_on,omitzero" doc:"The oldest installment that was unpaid then."`
	PaymentCents                mortgage.Cents `json:"payment_cents" doc:"What each installment deposited until now."`
	ScheduledDepositsCents      mortgage.Cents `json:"scheduled_deposits_cents" doc:"Assumed to come before the year begins."`
	ScheduledDisbursementsCents mortgage.Cents `json:"scheduled_disbursements_cents" doc:"Assumed to be paid before the year begins."`
	PaidAheadCents              mortgage.Cents `json:"paid_ahead_cents" doc:"Paid already for the year itself."`
}

// escrowMonth is one month of the computation year.
type escrowMonth struct {
	MonthOn           date           `json:"month_on" doc:"Its first day."`
	DepositCents      mortgage.Cents `json:"deposit_cents" doc:"The twelfth, without what surplus or shortage change."`
	DisbursementCents mortgage.Cents `json:"disbursement_cents"`
	TargetCents       mortgage.Cents `json:"target_cents" doc:"What the account should hold."`
	ProjectedCents    mortgage.Cents `json:"projected_cents" doc:"What it will hold if only the twelfth is paid."`
	PaymentCents      mortgage.Cents `json:"payment_cents" doc:"What the borrower is asked for."`
	ExpectedCents     mortgage.Cents `json:"expected_cents" doc:"What it will hold if all is done that the analysis says."`
}

// escrowProjectedBill is a bill that is expected.
type escrowProjectedBill struct {
	Kind        mortgage.EscrowItemKind `json:"kind"`
	Payee       string                  `json:"payee"`
	PayOn       date                    `json:"pay_on" doc:"When it is planned to be paid."`
	AmountCents mortgage.Cents          `json:"amount_cents"`
	Basis       mortgage.EstimateBasis  `json:"basis" enum:"known,comparable_property,last_charge,last_charge_modified" doc:"Where the amount comes from."`
}

// escrowReason says which rule an amount comes from.
type escrowReason struct {
	Name        string              `json:"name"`
	AmountCents mortgage.Cents      `json:"amount_cents"`
	Rule        mortgage.EscrowRule `json:"rule" doc:"docs/escrow.md has a paragraph for each."`
}

// requestedAnalysis shows an analysis as it was when it was asked for, whatever has
// become of it since: a repeated request gets the same bytes.
func requestedAnalysis(row *queries.EscrowAnalysis, startOn mortgage.Date) escrowAnalysis {
	return escrowAnalysis{
		AnalysisID: row.ID, LoanID: row.LoanID, Kind: row.Kind, Status: queries.EscrowAnalysisStatusRequested,
		DryRun: row.DryRun, AsOfOn: date{row.AsOfOn}, StartOn: date{startOn},
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

// escrowAnalysisOf shows an analysis as it is now; only whole with its months,
// bills and rules.
func escrowAnalysisOf(row *queries.EscrowAnalysis, whole bool) escrowAnalysis {
	shown := requestedAnalysis(row, row.StartOn)
	shown.Status, shown.RunID = row.Status, row.RunID
	for _, text := range []struct{ to, from *string }{
		{&shown.Refusal, row.Refusal},
		{&shown.RefusedField, row.RefusedField},
		{(*string)(&shown.RefusedRule), row.RefusedRule},
	} {
		replace(text.to, text.from)
	}
	if row.FinishedAt != nil {
		shown.FinishedAt = row.FinishedAt.UTC()
	}
	if row.Result != nil && row.Request != nil {
		shown.EscrowResult = escrowResultOf(row)
		if whole {
			shown.addWhole(row)
		}
	}
	return shown
}

func escrowResultOf(row *queries.EscrowAnalysis) *EscrowResult {
	a := row.Result
	shown := &EscrowResult{
		AnnualDisbursementsCents: a.AnnualDisbursements, BasePaymentCents: a.BasePayment, CushionCents: a.Cushion,
		LowPointCents: a.LowPoint, LowMonthOn: date{a.LowMonthOn}, CycleMonths: a.CycleMonths,
		RequiredStartCents: a.RequiredStart, StartBalanceCents: a.StartBalance,
		SurplusCents: a.Surplus, KeptVoluntaryCents: a.KeptVoluntary, ShortageCents: a.Shortage,
		DeficiencyCents: a.Deficiency, InitialDepositCents: a.InitialDeposit,
		Surplus: escrowHandlingOf(&a.SurplusHandling), Shortage: escrowHandlingOf(&a.ShortageHandling),
		Deficiency: escrowHandlingOf(&a.DeficiencyHandling), InitialDeposit: escrowHandlingOf(&a.DepositHandling),
		NewEscrowPaymentCents: a.NewPayment, EffectiveOn: date{a.EffectiveOn},
		RefundCents: row.RefundCents, RefundDueOn: date{row.RefundDueOn},
		DaysOverdue: a.DaysOverdue, Current: a.Current, Exemption: a.Exemption, StatementDueOn: date{a.StatementDueOn},
	}
	if row.PolicyID != nil {
		shown.PolicyID = *row.PolicyID
	}
	for i := range a.Payments {
		p := &a.Payments[i]
		shown.Payments = append(shown.Payments, escrowPayment{
			FromOn: date{p.FromOn}, TotalCents: p.Total(), BaseCents: p.Base, ShortageCents: p.Shortage,
			DeficiencyCents: p.Deficiency, CreditCents: p.Credit,
		})
	}
	return shown
}

func escrowHandlingOf(h *mortgage.EscrowHandling) *escrowHandling {
	if h.Action == mortgage.EscrowNothing {
		return nil
	}
	return &escrowHandling{
		Action: h.Action, AmountCents: h.Amount, Rule: h.Rule, DueOn: date{h.DueOn},
		Months: h.Months, MonthlyCents: h.Monthly, LastCents: h.Last, LumpSum: h.LumpSum(),
	}
}

// addWhole adds what is too much for a list.
func (shown *EscrowResult) addWhole(row *queries.EscrowAnalysis) {
	a, r := row.Result, row.Request
	shown.Account = &escrowAccount{
		AccountOn: date{r.Account.On}, BalanceCents: r.Account.Balance, NextDueOn: date{r.Account.NextDueOn},
		PaymentCents: r.Payment, ScheduledDepositsCents: a.ScheduledDeposits,
		ScheduledDisbursementsCents: a.ScheduledDisbursements, PaidAheadCents: a.PaidAhead,
	}
	if r.Kind != mortgage.EscrowPayoff { // There is no coming year.
		for i := range a.Months {
			m := &a.Months[i]
			shown.Months = append(shown.Months, escrowMonth{
				MonthOn: date{m.MonthOn}, DepositCents: m.Deposit, DisbursementCents: m.Disbursement, TargetCents: m.Target,
				ProjectedCents: m.Projected, PaymentCents: m.Payment, ExpectedCents: m.Expected,
			})
		}
	}
	for _, c := range a.Charges(r.Items) {
		shown.Bills = append(shown.Bills, escrowProjectedBill{
			Kind: c.Kind, Payee: c.Payee, PayOn: date{c.PayOn}, AmountCents: c.Amount, Basis: c.Basis,
		})
	}
	for _, reason := range a.Explain() {
		shown.Rules = append(shown.Rules, escrowReason{
			Name: reason.Name, AmountCents: reason.Amount, Rule: reason.Rule,
		})
	}
}
