package mortgage

import (
	"cmp"
	"fmt"
	"slices"
)

// EscrowActivity is one movement of an account: a deposit or a disbursement.
type EscrowActivity struct {
	On      Date
	Deposit Cents // what came in; a deposit that was undone is below zero

	Disbursement Cents // what was paid out
	Kind         EscrowItemKind
	Payee        string
	Refund       bool // it went back to the borrower, and paid no bill

	Assumed bool // scheduled for the last two months of the year, and not yet there
}

// EscrowYear is what an annual statement is made of.
type EscrowYear struct {
	Analysis *EscrowAnalysis
	Request  *EscrowRequest // that was analyzed

	// FromOn and ToOn are the first and the last day of the year, whole or short,
	// that has ended.
	FromOn, ToOn Date

	Current MonthlyPayment // Escrow is taken from the analysis
	Past    MonthlyPayment // of the year that has ended

	Opening          Cents // the balance when it began
	ProjectedOpening Cents // the balance with which its projection began
	Projected        []EscrowActivity
	Actual           []EscrowActivity
	// CycleMonths is that of the projection: more than 12 when its low point was not
	// to be reached in every year.
	CycleMonths int
}

// EscrowHistoryMonth is one month of the year that has ended, as it was
// projected and as it was.
type EscrowHistoryMonth struct {
	MonthOn               Date
	ProjectedDeposit      Cents
	ActualDeposit         Cents
	ProjectedDisbursement Cents
	ActualDisbursement    Cents
	ProjectedBalance      Cents
	ActualBalance         Cents
	Assumed               bool // some of it is assumed
}

// EscrowCategory is what was paid out for one purpose.
type EscrowCategory struct {
	Kind      EscrowItemKind
	Payee     string
	Projected Cents
	Actual    Cents
}

// AnnualEscrowStatement is what an annual escrow account statement says.
//
// Source: 12 CFR 1024.17(i)(1), whose paragraphs the fields name.
type AnnualEscrowStatement struct {
	DueOn Date // by when it is delivered; no date when exempt
	Rule  EscrowRule

	FromOn, ToOn Date
	EffectiveOn  Date

	Current      MonthlyPayment   // (i)
	Past         MonthlyPayment   // (ii)
	PaidIn       Cents            // (iii)
	PaidOut      []EscrowCategory // (iv), bills only
	TotalPaidOut Cents
	Refunded     Cents // to the borrower
	Opening      Cents
	// ProjectedOpening is the balance with which the projection of the year began.
	ProjectedOpening Cents
	EndingBalance    Cents          // (v)
	Surplus          EscrowHandling // (vi)
	Shortage         EscrowHandling // (vii)
	Deficiency       EscrowHandling // (vii)
	Payments         []EscrowPayment

	// (viii): the lowest balance that was estimated, the lowest that there was, and
	// every difference between the two years.
	EstimatedLow, ActualLow     Cents
	EstimatedLowOn, ActualLowOn Date // the months
	LowReached                  bool // the actual low is not above the estimated one
	LongCycle                   bool // it was not to be reached in every year
	Differences                 []EscrowDifference

	History    []EscrowHistoryMonth
	Projection EscrowProjection
}

// AnnualStatement returns what an annual or short-year statement says.
//
// EndingBalance is Opening + PaidIn - TotalPaidOut - Refunded. It returns an
// EscrowFieldError when an activity does not lie in the year, and ErrNotDate for
// a year that is none.
func (y EscrowYear) AnnualStatement() (AnnualEscrowStatement, error) {
	if y.FromOn < minEscrowDate || y.ToOn > maxEscrowDate || y.ToOn < y.FromOn {
		return AnnualEscrowStatement{}, ErrNotDate
	}
	first, last := monthNumber(y.FromOn), monthNumber(y.ToOn)
	if err := y.check(first, last); err != nil {
		return AnnualEscrowStatement{}, err
	}
	a := y.Analysis
	s := AnnualEscrowStatement{
		DueOn: a.StatementDueOn, Rule: a.StatementRule, FromOn: y.FromOn, ToOn: y.ToOn, EffectiveOn: a.EffectiveOn,
		Current: y.Current, Past: y.Past, Opening: y.Opening,
		ProjectedOpening: y.ProjectedOpening,
		Surplus:          a.SurplusHandling, Shortage: a.ShortageHandling, Deficiency: a.DeficiencyHandling,
		Payments: a.Payments, LongCycle: y.CycleMonths > monthsPerYear,
		Differences: y.differences(), History: y.history(first, last), Projection: a.projection(y.Request.Items),
	}
	s.Current.Escrow = a.NewPayment
	s.sum(y.Actual)
	s.PaidOut = y.categories()
	s.EndingBalance = s.Opening + s.PaidIn - s.TotalPaidOut - s.Refunded
	for i, m := range s.History {
		if i == 0 || m.ProjectedBalance < s.EstimatedLow {
			s.EstimatedLow, s.EstimatedLowOn = m.ProjectedBalance, m.MonthOn
		}
		if i == 0 || m.ActualBalance < s.ActualLow {
			s.ActualLow, s.ActualLowOn = m.ActualBalance, m.MonthOn
		}
	}
	s.LowReached = s.ActualLow <= s.EstimatedLow
	return s, nil
}

// check refuses activity that is not of the year.
func (y EscrowYear) check(first, last int) error {
	outside := func(list []EscrowActivity) int {
		return slices.IndexFunc(list, func(e EscrowActivity) bool {
			return e.On < MinDate || e.On > MaxDate || monthNumber(e.On) < first || monthNumber(e.On) > last
		})
	}
	if i := outside(y.Projected); i >= 0 {
		return &EscrowFieldError{Field: fmt.Sprintf("projected[%d].on", i), Want: "a day of the year"}
	}
	if i := outside(y.Actual); i >= 0 {
		return &EscrowFieldError{Field: fmt.Sprintf("actual[%d].on", i), Want: "a day of the year"}
	}
	return nil
}

// sum adds up what came in and what went out.
func (s *AnnualEscrowStatement) sum(actual []EscrowActivity) {
	for _, e := range actual {
		s.PaidIn += e.Deposit
		if e.Refund {
			s.Refunded += e.Disbursement
		} else {
			s.TotalPaidOut += e.Disbursement
		}
	}
}

// history lays the months out as they were projected and as they were.
func (y EscrowYear) history(first, last int) []EscrowHistoryMonth {
	months := make([]EscrowHistoryMonth, last-first+1)
	for _, e := range y.Projected {
		m := &months[monthNumber(e.On)-first]
		m.ProjectedDeposit += e.Deposit
		m.ProjectedDisbursement += e.Disbursement
	}
	for _, e := range y.Actual {
		m := &months[monthNumber(e.On)-first]
		m.ActualDeposit += e.Deposit
		m.ActualDisbursement += e.Disbursement
		m.Assumed = m.Assumed || e.Assumed
	}
	projected, actual := y.ProjectedOpening, y.Opening
	for i := range months {
		m := &months[i]
		projected += m.ProjectedDeposit - m.ProjectedDisbursement
		actual += m.ActualDeposit - m.ActualDisbursement
		m.MonthOn, m.ProjectedBalance, m.ActualBalance = firstOfMonth(first+i), projected, actual
	}
	return months
}

// categories returns what was paid out, and what was to be, for each purpose.
func (y EscrowYear) categories() []EscrowCategory {
	var categories []EscrowCategory
	of := func(e *EscrowActivity) *EscrowCategory {
		for i := range categories {
			if categories[i].Kind == e.Kind && categories[i].Payee == e.Payee {
				return &categories[i]
			}
		}
		categories = append(categories, EscrowCategory{Kind: e.Kind, Payee: e.Payee})
		return &categories[len(categories)-1]
	}
	for i := range y.Projected {
		if e := &y.Projected[i]; e.isBill() {
			of(e).Projected += e.Disbursement
		}
	}
	for i := range y.Actual {
		if e := &y.Actual[i]; e.isBill() {
			of(e).Actual += e.Disbursement
		}
	}
	slices.SortFunc(categories, func(a, b EscrowCategory) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Payee, b.Payee))
	})
	return categories
}

// isBill says whether an activity paid a bill.
func (e *EscrowActivity) isBill() bool { return e.Disbursement != 0 && !e.Refund }
