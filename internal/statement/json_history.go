package statement

import "loanserve/mortgage"

// DisclosureHistory is the year that has ended.
type DisclosureHistory struct {
	FromOn        mortgage.Date        `json:"from_on" format:"date"`
	ToOn          mortgage.Date        `json:"to_on" format:"date"`
	OpeningCents  mortgage.Cents       `json:"opening_cents"`
	PaidInCents   mortgage.Cents       `json:"paid_in_cents"`
	PaidOutCents  mortgage.Cents       `json:"paid_out_cents" doc:"For bills."`
	RefundedCents mortgage.Cents       `json:"refunded_cents" doc:"Paid back to the borrower."`
	EndingCents   mortgage.Cents       `json:"ending_cents" doc:"opening_cents + paid_in_cents - paid_out_cents - refunded_cents."`
	Categories    []DisclosureCategory `json:"categories" doc:"What was paid out, by purpose."`

	Projected             bool                   `json:"projected" doc:"Whether there is a projection of the year; without one all that is projected is 0."`
	ProjectedOpeningCents mortgage.Cents         `json:"projected_opening_cents"`
	EstimatedLowCents     mortgage.Cents         `json:"estimated_low_cents"`
	EstimatedLowOn        mortgage.Date          `json:"estimated_low_on" format:"date" doc:"The month."`
	ActualLowCents        mortgage.Cents         `json:"actual_low_cents"`
	ActualLowOn           mortgage.Date          `json:"actual_low_on" format:"date" doc:"The month."`
	LowReached            bool                   `json:"low_reached" doc:"The actual low is not above the estimated one."`
	LongCycle             bool                   `json:"long_cycle" doc:"It was not to be reached in every year."`
	Differences           []DisclosureDifference `json:"differences" doc:"Why the year differed from its projection."`

	Months []DisclosureHistoryMonth `json:"months"`
}

// DisclosureCategory is what was paid out for one purpose.
type DisclosureCategory struct {
	Kind           mortgage.EscrowItemKind `json:"kind"`
	Payee          string                  `json:"payee"`
	ProjectedCents mortgage.Cents          `json:"projected_cents"`
	ActualCents    mortgage.Cents          `json:"actual_cents"`
}

// DisclosureDifference is one difference between a year and its projection.
type DisclosureDifference struct {
	Kind           mortgage.EscrowDifferenceKind `json:"kind"`
	MonthOn        mortgage.Date                 `json:"month_on" format:"date"`
	Item           mortgage.EscrowItemKind       `json:"item,omitzero"`
	Payee          string                        `json:"payee,omitzero"`
	ProjectedCents mortgage.Cents                `json:"projected_cents"`
	ActualCents    mortgage.Cents                `json:"actual_cents"`
	ProjectedOn    mortgage.Date                 `json:"projected_on,omitzero" format:"date"`
	ActualOn       mortgage.Date                 `json:"actual_on,omitzero" format:"date"`
	Text           string                        `json:"text" doc:"The same in words."`
}

// DisclosureHistoryMonth is a month of the year that has ended. Balances are those at its
// end.
type DisclosureHistoryMonth struct {
	MonthOn                    mortgage.Date  `json:"month_on" format:"date" doc:"Its first day."`
	ProjectedDepositCents      mortgage.Cents `json:"projected_deposit_cents"`
	ActualDepositCents         mortgage.Cents `json:"actual_deposit_cents"`
	ProjectedDisbursementCents mortgage.Cents `json:"projected_disbursement_cents"`
	ActualDisbursementCents    mortgage.Cents `json:"actual_disbursement_cents"`
	ProjectedBalanceCents      mortgage.Cents `json:"projected_balance_cents"`
	ActualBalanceCents         mortgage.Cents `json:"actual_balance_cents"`
	Assumed                    bool           `json:"assumed" doc:"Some of it was scheduled, and not yet there."`
}

func (s *Statement) historyData() *DisclosureHistory {
	a := s.Annual
	d := &DisclosureHistory{
		FromOn: a.FromOn, ToOn: a.ToOn, OpeningCents: a.Opening, PaidInCents: a.PaidIn, PaidOutCents: a.TotalPaidOut,
		RefundedCents: a.Refunded, EndingCents: a.EndingBalance,
		Projected: !s.Unprojected, ProjectedOpeningCents: a.ProjectedOpening,
		EstimatedLowCents: a.EstimatedLow, EstimatedLowOn: a.EstimatedLowOn, ActualLowCents: a.ActualLow,
		ActualLowOn: a.ActualLowOn, LowReached: a.LowReached, LongCycle: a.LongCycle,
	}
	for _, c := range a.PaidOut {
		d.Categories = append(d.Categories, DisclosureCategory{
			Kind: c.Kind, Payee: c.Payee, ProjectedCents: c.Projected, ActualCents: c.Actual,
		})
	}
	for i := range a.Differences {
		f := &a.Differences[i]
		if s.Unprojected {
			break
		}
		d.Differences = append(d.Differences, DisclosureDifference{
			Kind: f.Kind, MonthOn: f.MonthOn, Item: f.Item, Payee: f.Payee, ProjectedCents: f.Projected, ActualCents: f.Actual,
			ProjectedOn: f.ProjectedOn, ActualOn: f.ActualOn, Text: sayDifference(f),
		})
	}
	for _, m := range a.History {
		d.Months = append(d.Months, DisclosureHistoryMonth{
			MonthOn: m.MonthOn, ProjectedDepositCents: m.ProjectedDeposit, ActualDepositCents: m.ActualDeposit,
			ProjectedDisbursementCents: m.ProjectedDisbursement, ActualDisbursementCents: m.ActualDisbursement,
			ProjectedBalanceCents: m.ProjectedBalance, ActualBalanceCents: m.ActualBalance, Assumed: m.Assumed,
		})
	}
	return d
}
