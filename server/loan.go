package server

import (
	"time"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// loan is a loan as the API shows it. What describes people and things rather
// than money is only in the answer for a single loan.
type loan struct {
	LoanID     int64              `json:"loan_id"`
	LoanNumber string             `json:"loan_number" doc:"What people call the loan."`
	Name       string             `json:"name"`
	Status     queries.LoanStatus `json:"status" enum:"active,paid_off,archived"`

	OriginalPrincipalCents    mortgage.Cents             `json:"original_principal_cents"`
	RatePpm                   mortgage.Rate              `json:"rate_ppm" doc:"Annual interest of the next installment in millionths: 68750 is 6.875 %."`
	PrincipalAndInterestCents mortgage.Cents             `json:"principal_and_interest_cents" doc:"The payment that the next installment asks for; the last one is what is left."`
	EscrowPaymentCents        mortgage.Cents             `json:"escrow_payment_cents" doc:"Deposited with the next installment."`
	OriginatedOn              date                       `json:"originated_on"`
	MaturityOn                date                       `json:"maturity_on"`
	DueDay                    int16                      `json:"due_day" doc:"Day of the month; shorter months use their last."`
	InterestMethod            mortgage.InterestMethod    `json:"interest_method"`
	ApplicationOrder          mortgage.ApplicationOrder  `json:"application_order"`
	ExcessPolicy              mortgage.ExcessPolicy      `json:"excess_policy"`
	Rounding                  mortgage.Rounding          `json:"rounding"`
	LateCharge                lateCharge                 `json:"late_charge"`
	ShortPayoff               mortgage.ShortPayoffPolicy `json:"short_payoff" doc:"What becomes of money that was meant to pay the loan off and does not suffice."`
	ReturnedPaymentFeeCents   mortgage.Cents             `json:"returned_payment_fee_cents" doc:"Charged when a payment comes back for want of money."`
	ARM                       *armTerms                  `json:"arm,omitzero" nullable:"false" doc:"How the note adjusts the rate; only in the answer for a single loan."`

	PrincipalCents      mortgage.Cents `json:"principal_cents" doc:"Unpaid principal."`
	EscrowCents         mortgage.Cents `json:"escrow_cents" doc:"Held for taxes and insurance."`
	EscrowAdvanceCents  mortgage.Cents `json:"escrow_advance_cents" doc:"The servicer's own money that paid for them."`
	SuspenseCents       mortgage.Cents `json:"suspense_cents" doc:"Received and not yet applied."`
	LateChargesDueCents mortgage.Cents `json:"late_charges_due_cents"`
	FeesDueCents        mortgage.Cents `json:"fees_due_cents"`
	NextDueOn           date           `json:"next_due_on" doc:"Due date of the oldest unpaid installment."`
	PaidOffOn           date           `json:"paid_off_on,omitzero"`
	EscrowRefundDueOn   date           `json:"escrow_refund_due_on,omitzero" doc:"Of a loan that is paid off: the last day for returning escrow to the borrower (12 CFR 1024.34(b))."`

	InterestAccruedToOn  date           `json:"interest_accrued_to_on,omitzero" doc:"With daily_simple_365: the first day whose interest has not been counted."`
	AccruedInterestCents mortgage.Cents `json:"accrued_interest_cents,omitzero" doc:"With daily_simple_365: interest counted up to that day and unpaid."`

	BoardedAt time.Time `json:"boarded_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Borrowers   []borrower   `json:"borrowers,omitzero"`
	Property    *property    `json:"property,omitzero"`
	EscrowLines []storedLine `json:"escrow_lines,omitzero" doc:"Those that have not ended."`
}

// lateCharge is the note's rule for late charges.
type lateCharge struct {
	GraceDays    int16           `json:"grace_days" minimum:"0" maximum:"60" doc:"Days after the due date without a charge."`
	RatePpm      mortgage.Rate   `json:"rate_ppm" minimum:"0" maximum:"200000" doc:"Millionths of the overdue principal and interest; 50000 is 5 %."`
	MinimumCents mortgage.Cents  `json:"minimum_cents" minimum:"0" maximum:"100000000"`
	MaximumCents *mortgage.Cents `json:"maximum_cents,omitzero" nullable:"false" minimum:"0" maximum:"100000000"`

	ExtendToBusinessDay bool `json:"extend_to_business_day,omitzero" doc:"Whether a grace that ends on a weekend or bank holiday ends on the next business day."`
}

// armTerms is what an adjustable-rate note says of its rate, in millionths.
type armTerms struct {
	MarginPpm      mortgage.Rate `json:"margin_ppm" minimum:"-1000000" maximum:"1000000" doc:"Added to the index."`
	RoundToPpm     mortgage.Rate `json:"round_to_ppm" minimum:"0" maximum:"1000000" doc:"The sum goes to the nearest multiple: 1250 is an eighth of a percent. 0 leaves it."`
	PeriodicCapPpm mortgage.Rate `json:"periodic_cap_ppm" minimum:"1" maximum:"1000000" doc:"The most by which a change may raise or lower the rate."`
	FirstCapPpm    mortgage.Rate `json:"first_cap_ppm" minimum:"1" maximum:"1000000" doc:"The same at the first change."`
	LifetimeCapPpm mortgage.Rate `json:"lifetime_cap_ppm" minimum:"1" maximum:"1000000" doc:"The highest rate ever."`
	FloorPpm       mortgage.Rate `json:"floor_ppm" minimum:"0" maximum:"1000000" doc:"The lowest rate ever."`
	Adjusted       bool          `json:"adjusted" doc:"Whether the rate had changed before the loan was boarded."`
}

// borrower is a person who is liable on a loan.
type borrower struct {
	FullName string               `json:"full_name" minLength:"1" maxLength:"200"`
	Email    *string              `json:"email,omitzero" nullable:"false" format:"email" minLength:"3" maxLength:"254"`
	Phone    *string              `json:"phone,omitzero" nullable:"false" minLength:"3" maxLength:"40"`
	Role     queries.BorrowerRole `json:"role" enum:"primary,co_borrower"`
}

// property is what secures a loan.
type property struct {
	Street     string `json:"street" minLength:"1" maxLength:"200"`
	City       string `json:"city" minLength:"1" maxLength:"100"`
	State      string `json:"state" maxLength:"2" pattern:"^[A-Z]{2}$" patternDescription:"a state's two capital letters" example:"CA"`
	PostalCode string `json:"postal_code" maxLength:"10" pattern:"^[0-9]{5}(-[0-9]{4})?$" patternDescription:"a ZIP code of 5 or 5+4 digits" example:"90001"`
}

// escrowRefundDueOn returns by when the escrow of a loan that is paid off goes
// back, or no day.
func escrowRefundDueOn(l *queries.Loan) date {
	if l.PaidOffOn.IsZero() || l.EscrowCents == 0 {
		return date{}
	}
	return date{mortgage.RefundDueOn(l.PaidOffOn)}
}

// loanOf shows a row.
func loanOf(l queries.Loan) loan {
	terms := loanrow.Terms(&l)
	return loan{
		LoanID: l.ID, LoanNumber: l.LoanNumber, Name: l.Name, Status: l.Status,
		OriginalPrincipalCents: l.OriginalPrincipalCents, RatePpm: terms.RateFor(l.NextDueOn),
		PrincipalAndInterestCents: terms.PrincipalAndInterestFor(l.NextDueOn),
		EscrowPaymentCents:        terms.EscrowPaymentFor(l.NextDueOn),
		OriginatedOn:              date{l.OriginatedOn}, MaturityOn: date{l.MaturityOn}, DueDay: l.DueDay,
		InterestMethod: l.InterestMethod, ApplicationOrder: l.ApplicationOrder,
		ExcessPolicy: l.ExcessPolicy, Rounding: l.Rounding,
		LateCharge: lateCharge{
			GraceDays: l.LateChargeGraceDays, RatePpm: l.LateChargeRatePpm,
			MinimumCents: l.LateChargeMinimumCents, MaximumCents: l.LateChargeMaximumCents,
			ExtendToBusinessDay: l.LateChargeExtends,
		},
		ShortPayoff:             l.ShortPayoffPolicy,
		ReturnedPaymentFeeCents: l.ReturnedPaymentFeeCents,
		PaidOffOn:               date{l.PaidOffOn},
		EscrowRefundDueOn:       escrowRefundDueOn(&l),
		PrincipalCents:          l.PrincipalCents, EscrowCents: l.EscrowCents, EscrowAdvanceCents: l.EscrowAdvanceCents,
		SuspenseCents:       l.SuspenseCents,
		LateChargesDueCents: l.LateChargesDueCents, FeesDueCents: l.FeesDueCents, NextDueOn: date{l.NextDueOn},
		InterestAccruedToOn: date{l.InterestAccruedToOn}, AccruedInterestCents: l.AccruedInterestCents,
		BoardedAt: l.BoardedAt.UTC(), UpdatedAt: l.UpdatedAt.UTC(),
	}
}
