package mortgage

// EscrowRule names what decided an amount or a date of an escrow account. Each
// has a paragraph in docs/escrow.md under that very name.
type EscrowRule string

// The rules of an analysis.
const (
	// EscrowRuleDeposit: what may be charged when an account is created.
	EscrowRuleDeposit EscrowRule = "12 CFR 1024.17(c)(1)(i)"
	// EscrowRuleTwelfth: a month's payment is a twelfth of a year's bills.
	EscrowRuleTwelfth EscrowRule = "12 CFR 1024.17(c)(1)(ii)"
	// EscrowRuleCushion: a cushion is at most a sixth of a year's bills.
	EscrowRuleCushion EscrowRule = "12 CFR 1024.17(c)(5)"
	// EscrowRuleEstimate: how a bill that has not come yet is estimated.
	EscrowRuleEstimate EscrowRule = "12 CFR 1024.17(c)(7)"
	// EscrowRuleLowerCushion: loan documents or state law lower the cushion.
	EscrowRuleLowerCushion EscrowRule = "12 CFR 1024.17(c)(8)"
	// EscrowRuleLongCycle: bills for more than a year are saved for over all of it.
	EscrowRuleLongCycle EscrowRule = "12 CFR 1024.17(c)(9)"
	// EscrowRuleChosenCushion: the servicer asks for less than it might.
	EscrowRuleChosenCushion EscrowRule = "12 CFR 1024.17(d)(1)"
	// EscrowRuleTrial: the trial running balance.
	EscrowRuleTrial EscrowRule = "12 CFR 1024.17(d)(2)(i)(A)"
	// EscrowRuleLowest: the lowest trial balance is lifted to zero.
	EscrowRuleLowest EscrowRule = "12 CFR 1024.17(d)(2)(i)(B)"
	// EscrowRuleTarget: the cushion is added to every balance.
	EscrowRuleTarget EscrowRule = "12 CFR 1024.17(d)(2)(i)(C)"
	// EscrowRuleScheduled: the last two months may be taken as scheduled.
	EscrowRuleScheduled EscrowRule = "12 CFR 1024.17(i)(1)"
	// EscrowRuleAhead: what is paid ahead of its time is no surplus.
	EscrowRuleAhead EscrowRule = "60 FR 8812"
)

// The rules for what an analysis finds.
const (
	EscrowRuleSurplus           EscrowRule = "12 CFR 1024.17(f)(2)(i)"
	EscrowRuleSurplusRetained   EscrowRule = "12 CFR 1024.17(f)(2)(ii)"
	EscrowRuleShortageLeft      EscrowRule = "12 CFR 1024.17(f)(3)(i)(A)"
	EscrowRuleShortageAtOnce    EscrowRule = "12 CFR 1024.17(f)(3)(i)(B)"
	EscrowRuleShortageSpread    EscrowRule = "12 CFR 1024.17(f)(3)(i)(C)"
	EscrowRuleMonthLeft         EscrowRule = "12 CFR 1024.17(f)(3)(ii)(A)" // of a month's payment or more
	EscrowRuleMonthSpread       EscrowRule = "12 CFR 1024.17(f)(3)(ii)(B)" // of a month's payment or more
	EscrowRuleDeficiencyLeft    EscrowRule = "12 CFR 1024.17(f)(4)(i)(A)"
	EscrowRuleDeficiencyAtOnce  EscrowRule = "12 CFR 1024.17(f)(4)(i)(B)"
	EscrowRuleDeficiencySpread  EscrowRule = "12 CFR 1024.17(f)(4)(i)(C)"
	EscrowRuleMonthDeficiency   EscrowRule = "12 CFR 1024.17(f)(4)(ii)" // of a month's payment or more
	EscrowRuleDeficiencyOverdue EscrowRule = "12 CFR 1024.17(f)(4)(iii)"
	EscrowRulePayoff            EscrowRule = "12 CFR 1024.34(b)(1)"
)

// The rules for when statements are due.
const (
	EscrowRuleTransferStatement  EscrowRule = "12 CFR 1024.17(e)(1)"
	EscrowRuleInitialStatement   EscrowRule = "12 CFR 1024.17(g)"
	EscrowRuleAnnualStatement    EscrowRule = "12 CFR 1024.17(i)"
	EscrowRuleNoStatement        EscrowRule = "12 CFR 1024.17(i)(2)"
	EscrowRuleShortYearStatement EscrowRule = "12 CFR 1024.17(i)(4)(i)"
	EscrowRulePayoffStatement    EscrowRule = "12 CFR 1024.17(i)(4)(iii)"
)

// The rules for paying bills.
const (
	EscrowRuleTimely       EscrowRule = "12 CFR 1024.17(k)(1)"
	EscrowRuleAdvance      EscrowRule = "12 CFR 1024.17(k)(2)"
	EscrowRuleInstallments EscrowRule = "12 CFR 1024.17(k)(3)"
	EscrowRuleAgreed       EscrowRule = "12 CFR 1024.17(k)(4)"
	EscrowRuleHazard       EscrowRule = "12 CFR 1024.17(k)(5)(i)"
	EscrowRuleUnable       EscrowRule = "12 CFR 1024.17(k)(5)(ii)(A)"
	EscrowRuleSmall        EscrowRule = "12 CFR 1024.17(k)(5)(iii)"
	// EscrowRuleOverdue: the servicer's own choice for bills that it is not
	// obliged to pay, because the borrower is more than 30 days overdue.
	EscrowRuleOverdue EscrowRule = "overdue_policy"
)

// EscrowFieldError reports a value that may not be: one that the regulation
// forbids, or one that makes no sense.
type EscrowFieldError struct {
	Field string     // as in JSON: cushion_months, items[2].bills[0].due_on
	Want  string     // what may stand there
	Rule  EscrowRule // that sets the bound; "" where reason alone does
}

// Error implements error.
func (e *EscrowFieldError) Error() string {
	if e.Rule == "" {
		return e.Field + ": want " + e.Want
	}
	return e.Field + ": want " + e.Want + " (" + string(e.Rule) + ")"
}
