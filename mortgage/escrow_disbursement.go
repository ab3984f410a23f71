package mortgage

import (
	"cmp"
	"fmt"
	"slices"
)

// OverduePolicy says what is done with bills that the servicer is not obliged to
// pay, because the borrower is more than 30 days overdue.
type OverduePolicy string

// The policies for an overdue borrower's bills.
const (
	// OverdueAdvance pays them, with the servicer's own money if need be: a tax
	// lien comes before the mortgage.
	OverdueAdvance OverduePolicy = "advance"
	// OverdueFromEscrow pays each that the account can pay whole.
	OverdueFromEscrow OverduePolicy = "from_escrow"
	// OverdueHold pays none.
	OverdueHold OverduePolicy = "hold"
)

// EscrowDue is one bill that has come and is not paid.
type EscrowDue struct {
	Ref        string // names it, and orders the bills of one day
	Kind       EscrowItemKind
	Amount     Cents
	DueOn      Date
	DiscountOn Date  // the last day for the discount; no date for none
	PenaltyOn  Date  // the last day without a penalty; no date for DueOn
	Discount   Cents // what paying by DiscountOn takes off

	// Canceled is a reasonable basis to believe that the insurance has been
	// canceled, or was not renewed, for another reason than an unpaid premium:
	// the borrower or the insurer says so, or no bill came before it expired
	// (comment 17(k)(5)(ii)(A)-1).
	Canceled bool
	// ForcePlaced is what insurance that the servicer buys would cost the borrower;
	// nil when that is not offered. It matters to small servicers only.
	ForcePlaced *Cents
}

// EscrowDisbursing is what decides which bills are paid on a day, and by whose
// money.
type EscrowDisbursing struct {
	On        Date
	Balance   Cents // of a State: Escrow; at or below zero nothing comes from it
	NextDueOn Date  // the oldest unpaid installment; no date when all are paid
	Vacant    bool  // a reasonable basis to believe that the property is
	Small     bool  // a small servicer, 12 CFR 1026.41(e)(4)

	LeadDays int           // of the escrow policy
	Overdue  OverduePolicy // OverdueAdvance unless the servicer chooses otherwise
}

// EscrowStep says what is done about a bill.
type EscrowStep string

// The steps.
const (
	EscrowPay  EscrowStep = "pay"  // today
	EscrowWait EscrowStep = "wait" // until PayOn
	EscrowHold EscrowStep = "hold" // not paid: a person decides
)

// EscrowDisbursement is what is done about one bill. When it is paid, FromEscrow
// and Advanced sum to Amount, and FromEscrow never takes the account below zero.
type EscrowDisbursement struct {
	Ref        string
	Step       EscrowStep
	PayOn      Date  // the day on which it is, or was, to be paid
	Amount     Cents // less a discount that can still be had
	FromEscrow Cents
	Advanced   Cents // the servicer's own money
	Rule       EscrowRule
}

// Decide says what is done today about each bill, those that come first first,
// and those of one day in the order of their names.
//
// A bill is paid on the last business day on or before its deadline and the lead
// before it; one that is past that day is paid now. While the borrower is at
// most 30 days overdue every bill is paid, and what the account lacks is
// advanced. Beyond that hazard insurance is paid and advanced all the same, for
// an account that holds too little is no reason not to; it is not when the
// policy was canceled for another reason than an unpaid premium or the property
// is vacant, nor when a small servicer can insure for less. Other bills then
// follow the servicer's own policy. No bill is paid in part.
//
// It returns an EscrowFieldError for a value out of range.
//
// Source: 12 CFR 1024.17(k).
func (d EscrowDisbursing) Decide(bills []EscrowDue) ([]EscrowDisbursement, error) {
	if err := d.check(bills); err != nil {
		return nil, err
	}
	steps := make([]EscrowDisbursement, len(bills))
	order := make([]int, len(bills))
	for i := range bills {
		order[i] = i
		steps[i] = EscrowDisbursement{
			Ref: bills[i].Ref, PayOn: d.payOn(&bills[i]), Amount: bills[i].amountOn(d.On),
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(steps[i].PayOn, steps[j].PayOn), cmp.Compare(steps[i].Ref, steps[j].Ref))
	})
	sorted := make([]EscrowDisbursement, 0, len(bills))
	left := max(d.Balance, 0)
	for _, i := range order {
		s := &steps[i]
		s.Step, s.Rule = d.step(&bills[i], s, left)
		if s.Step == EscrowPay {
			s.FromEscrow = min(left, s.Amount)
			s.Advanced = s.Amount - s.FromEscrow
			left -= s.FromEscrow
			if s.Advanced > 0 && s.Rule == EscrowRuleTimely {
				s.Rule = EscrowRuleAdvance
			}
		}
		sorted = append(sorted, *s)
	}
	return sorted, nil
}

// step decides on one bill, when so much is left in the account.
func (d EscrowDisbursing) step(b *EscrowDue, s *EscrowDisbursement, left Cents) (EscrowStep, EscrowRule) {
	if d.On < s.PayOn {
		return EscrowWait, EscrowRuleTimely
	}
	if d.NextDueOn == 0 || d.On-d.NextDueOn <= currentDays {
		return EscrowPay, EscrowRuleTimely
	}
	if b.Kind.HazardInsurance() {
		switch {
		case b.Canceled || d.Vacant:
			return EscrowHold, EscrowRuleUnable
		case d.Small && b.ForcePlaced != nil && *b.ForcePlaced < s.Amount:
			return EscrowHold, EscrowRuleSmall
		}
		return EscrowPay, EscrowRuleHazard
	}
	if d.Overdue == OverdueAdvance || d.Overdue == OverdueFromEscrow && s.Amount <= left {
		return EscrowPay, EscrowRuleOverdue
	}
	return EscrowHold, EscrowRuleOverdue
}

// payOn returns the day on which a bill is to be paid.
func (d EscrowDisbursing) payOn(b *EscrowDue) Date {
	deadline := EscrowBill{DueOn: b.DueOn, DiscountOn: b.DiscountOn, PenaltyOn: b.PenaltyOn}.Deadline()
	if b.DiscountOn != 0 && d.On > b.DiscountOn { // It is lost; the penalty is not yet due.
		deadline = EscrowBill{DueOn: b.DueOn, PenaltyOn: b.PenaltyOn}.Deadline()
	}
	return EscrowPayOn(deadline, d.LeadDays)
}

// EscrowPayOn returns the day on which what is due by the deadline is paid: the last
// business day on or before it, less the lead.
func EscrowPayOn(deadline Date, leadDays int) Date {
	day := deadline - Date(leadDays)
	if !IsBusinessDay(day) {
		day = AddBusinessDays(day, -1)
	}
	return day
}

// amountOn returns what the bill comes to when it is paid on the day.
func (b *EscrowDue) amountOn(on Date) Cents {
	if b.DiscountOn != 0 && on <= b.DiscountOn {
		return b.Amount - b.Discount
	}
	return b.Amount
}

// check refuses values that nothing can be decided on.
func (d EscrowDisbursing) check(bills []EscrowDue) error {
	date := func(on Date) bool { return on >= minEscrowDate && on <= maxEscrowDate }
	switch {
	case !date(d.On):
		return &EscrowFieldError{Field: "on", Want: "a day"}
	case d.NextDueOn != 0 && !date(d.NextDueOn):
		return &EscrowFieldError{Field: "next_due_on", Want: "a day, or none"}
	case d.LeadDays < 0 || d.LeadDays > MaxEscrowLeadDays:
		return &EscrowFieldError{Field: "lead_days", Want: "0 to 30"}
	case d.Overdue != OverdueAdvance && d.Overdue != OverdueFromEscrow && d.Overdue != OverdueHold:
		return &EscrowFieldError{Field: "overdue", Want: "advance, from_escrow or hold"}
	}
	for i := range bills {
		b := &bills[i]
		field := ""
		switch {
		case !b.Kind.known():
			field = "kind"
		case b.Amount < 0 || b.Amount > MaxPayment:
			field = "amount_cents"
		case b.Discount < 0 || b.Discount > b.Amount:
			field = "discount_cents"
		case !date(b.DueOn):
			field = "due_on"
		case b.DiscountOn != 0 && !date(b.DiscountOn):
			field = "discount_on"
		case b.PenaltyOn != 0 && !date(b.PenaltyOn):
			field = "penalty_on"
		}
		if field != "" {
			return &EscrowFieldError{Field: fmt.Sprintf("bills[%d].%s", i, field), Want: "a value in range"}
		}
	}
	return nil
}

// DisbursementBasis is how a year's property tax is paid.
type DisbursementBasis string

// The bases.
const (
	InInstallments DisbursementBasis = "installments"
	InOneSum       DisbursementBasis = "one_sum"
)

// TaxOffer is a taxing jurisdiction's choice between installments and one sum a
// year.
type TaxOffer struct {
	Discount       Cents // what paying in one sum takes off
	InstallmentFee Cents // what paying in installments adds, in all

	Agreed    DisbursementBasis // with the borrower, for this case, freely; "" for nothing
	Preferred DisbursementBasis // by the borrower, as far as is known; "" for unknown
}

// Basis returns how the tax is paid. An agreement with the borrower comes first.
// Where one sum saves nothing, it is installments. Where it saves something the
// servicer may choose: the borrower's preference if it is known, as the Bureau
// encourages, and else what costs the borrower less, which is one sum.
//
// Source: 12 CFR 1024.17(k)(3) and (4).
func (o TaxOffer) Basis() (DisbursementBasis, EscrowRule) {
	switch {
	case o.Agreed != "":
		return o.Agreed, EscrowRuleAgreed
	case o.Discount <= 0 && o.InstallmentFee <= 0:
		return InInstallments, EscrowRuleInstallments
	case o.Preferred != "":
		return o.Preferred, EscrowRuleInstallments
	}
	return InOneSum, EscrowRuleInstallments
}
