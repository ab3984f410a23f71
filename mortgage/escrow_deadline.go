package mortgage

// EscrowExemption says why no annual statement has to be sent.
type EscrowExemption string

// The exemptions.
const (
	EscrowExemptOverdue     EscrowExemption = "overdue" // by more than 30 days
	EscrowExemptForeclosure EscrowExemption = "foreclosure"
	EscrowExemptBankruptcy  EscrowExemption = "bankruptcy"
)

// The days in which statements are delivered.
const (
	annualStatementDays   = 30 // after the computation year
	shortStatementDays    = 60 // after the short year, the transfer, or the payoff
	initialStatementDays  = 45 // after settlement, or the account's creation
	reinstatedHistoryDays = 90 // after the loan became current
	transferStatementDays = 60 // after the transfer of servicing
)

// EscrowHistoryDueOn returns by when a borrower who had no annual statement,
// because of an exemption, gets a history of the account since the last one: 90
// days after the loan became current.
//
// Source: 12 CFR 1024.17(i)(2).
func EscrowHistoryDueOn(currentOn Date) Date { return currentOn + reinstatedHistoryDays }

// exempt says whether a statement at the end of a year, whole or short, is owed.
// The statement of a new account and that of a loan paid off always are.
func (a *EscrowAnalysis) exempt(r *EscrowRequest) {
	switch {
	case r.Kind == EscrowInitial || r.Kind == EscrowPayoff:
	case r.Bankruptcy:
		a.Exemption = EscrowExemptBankruptcy
	case r.Foreclosure:
		a.Exemption = EscrowExemptForeclosure
	case !a.Current:
		a.Exemption = EscrowExemptOverdue
	}
}

// dueStatement says by when the statement is delivered. A computation year ends
// on the day before the first payment of the next one.
func (a *EscrowAnalysis) dueStatement(r *EscrowRequest) {
	endsOn := r.StartOn - 1
	switch {
	case a.Exemption != "":
		a.StatementRule = EscrowRuleNoStatement
	case r.Kind == EscrowPayoff:
		a.StatementDueOn, a.StatementRule = r.AsOf+shortStatementDays, EscrowRulePayoffStatement
	case r.Kind == EscrowInitial && r.Transferred:
		a.StatementDueOn, a.StatementRule = r.established()+transferStatementDays, EscrowRuleTransferStatement
	case r.Kind == EscrowInitial:
		a.StatementDueOn, a.StatementRule = r.established()+initialStatementDays, EscrowRuleInitialStatement
	case r.Kind == EscrowAnnual:
		a.StatementDueOn, a.StatementRule = endsOn+annualStatementDays, EscrowRuleAnnualStatement
	default:
		a.StatementDueOn, a.StatementRule = endsOn+shortStatementDays, EscrowRuleShortYearStatement
	}
}
