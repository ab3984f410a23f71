package jobs

import (
	"errors"

	"github.com/google/uuid"

	"loanserve/mortgage"
	"loanserve/queries"
)

// The rules that refuse an analysis, by the code that is stored with it and
// explained in docs/problems.md.
const (
	refusalNotPaidOff     = "not_paid_off"
	refusalNotDue         = "not_due"
	refusalYearAnalyzed   = "year_analyzed"
	refusalPastMaturity   = "past_maturity"
	refusalBeforeBoarding = "before_boarding"
	refusalEscrowInvalid  = "escrow_invalid"
)

// earliestNotice lets an analysis that somebody asks for come as early as the
// regulation allows.
const earliestNotice = mortgage.MaxEscrowNoticeDays

// analysis is one that is to be made of a locked loan, and then what came out.
type analysis struct {
	loan          *loanInHand
	id            uuid.UUID
	kind          mortgage.EscrowAnalysisKind
	dryRun        bool
	asOf, startOn mortgage.Date
	establishedOn mortgage.Date
	transferred   bool
	voluntary     mortgage.Cents
	requestedBy   string
	key           string
	requestHash   []byte

	accountOn mortgage.Date // the day from whose end the balance is taken
	tried     bool          // see ListEscrowBooks
	refusal   refusalError
	request   mortgage.EscrowRequest
	result    mortgage.EscrowAnalysis
}

// refusalError is the rule that refuses an analysis; its zero value refuses
// nothing. Field names what cannot be in the request, and rule what forbids it.
type refusalError struct {
	reason, field string
	rule          mortgage.EscrowRule
}

// analysisOf returns the analysis that a stored wish asks for.
func analysisOf(row *queries.EscrowAnalysis, loan *loanInHand) *analysis {
	return &analysis{
		loan: loan, id: row.ID, kind: mortgage.EscrowAnalysisKind(row.Kind), dryRun: row.DryRun,
		asOf: row.AsOfOn, startOn: row.StartOn, establishedOn: row.EstablishedOn, transferred: row.Transferred,
		voluntary: row.VoluntaryCents, requestedBy: row.RequestedBy, key: row.IdempotencyKey, requestHash: row.RequestHash,
	}
}

// refuse ends the analysis, unless it is refused already.
func (a *analysis) refuse(reason string) {
	if a.refusal.reason == "" {
		a.refusal = refusalError{reason: reason}
	}
}

// cause names the analysis as what changes the loan.
func (a *analysis) cause() string { return "escrow_analysis:" + a.id.String() }

// schedule finds the days of the analysis, or the rule that refuses it.
func (a *analysis) schedule() {
	row := a.loan.row
	if row.Status == queries.LoanStatusArchived {
		a.refuse(refusalLoanArchived)
	}
	a.accountOn = a.asOf
	if a.kind == mortgage.EscrowPayoff {
		if row.Status != queries.LoanStatusPaidOff {
			a.refuse(refusalNotPaidOff)
		}
	} else {
		if row.Status == queries.LoanStatusPaidOff {
			a.refuse(refusalLoanPaidOff)
		}
		a.scheduleYear()
	}
	if a.accountOn < mortgage.DateOf(row.BoardedAt) {
		a.refuse(refusalBeforeBoarding)
	}
}

// scheduleYear finds the first payment of the computation year, unless the request
// says it, and refuses a year that was analyzed.
func (a *analysis) scheduleYear() {
	row := a.loan.row
	if a.startOn == 0 {
		var due bool
		if a.startOn, due = a.usualStart(); !due {
			a.refuse(refusalNotDue)
			return
		}
	}
	a.accountOn = mortgage.EscrowAccountDay(a.asOf, a.startOn)
	last := row.EscrowYearStartsOn
	if !a.dryRun && last != 0 && (a.startOn < last || a.startOn == last && a.kind == mortgage.EscrowAnnual) {
		a.refuse(refusalYearAnalyzed)
	}
	if a.startOn > row.MaturityOn {
		a.refuse(refusalPastMaturity)
	}
}

// usualStart returns when the year begins that an analysis of the kind looks at, or
// false when none is due.
func (a *analysis) usualStart() (mortgage.Date, bool) {
	row, dueDay := a.loan.row, int(a.loan.row.DueDay)
	early := mortgage.EarlyEscrowYear(a.asOf, dueDay)
	last := mortgage.LastEscrowMonth(a.asOf, earliestNotice)
	if a.kind == mortgage.EscrowAnnual {
		return mortgage.NextEscrowYear(lastYear(row), dueDay, last)
	}
	if a.kind == mortgage.EscrowInitial && row.NextDueOn >= early && mortgage.MonthNumber(row.NextDueOn) <= last {
		return row.NextDueOn, true
	}
	return early, true
}

// lastYear returns the first payment of the computation year that runs: of the one
// that was analyzed last, or, where none was, the first installment that was boarded.
func lastYear(row *queries.Loan) mortgage.Date {
	if row.EscrowYearStartsOn != 0 {
		return row.EscrowYearStartsOn
	}
	return row.BoardedNextDueOn
}

// compute makes the analysis from its request.
func (a *analysis) compute() error {
	var err error
	a.result, err = mortgage.AnalyzeEscrow(a.request)
	if wrong, ok := errors.AsType[*mortgage.EscrowFieldError](err); ok {
		a.refusal = refusalError{reason: refusalEscrowInvalid, field: wrong.Field, rule: wrong.Rule}
		return nil
	}
	if err != nil {
		return broken(err)
	}
	for i := range a.result.Payments {
		if p := a.result.Payments[i].Total(); p < 0 || p > mortgage.MaxPayment {
			a.refusal = refusalError{reason: refusalEscrowInvalid, field: "items", rule: mortgage.EscrowRuleTwelfth}
		}
	}
	return nil
}
