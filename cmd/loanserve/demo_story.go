package main

import (
	"fmt"
	"strings"

	"loanserve/mortgage"
)

// plus adds amounts.
func (s demoSplit) plus(o demoSplit) demoSplit {
	return demoSplit{
		InterestCents: s.InterestCents + o.InterestCents, PrincipalCents: s.PrincipalCents + o.PrincipalCents,
		EscrowCents: s.EscrowCents + o.EscrowCents, LateChargeCents: s.LateChargeCents + o.LateChargeCents,
		SuspenseCents:         s.SuspenseCents + o.SuspenseCents,
		InstallmentsSatisfied: append(s.InstallmentsSatisfied, o.InstallmentsSatisfied...),
		Parts:                 append(s.Parts, o.Parts...),
	}
}

// total is the split of all of a loan's payments together.
func (o *demoOutcome) total() demoSplit {
	var s demoSplit
	for _, p := range o.payments {
		s = s.plus(p.Split)
	}
	return s
}

// story says in a few words what the payments of a loan did.
func (o *demoOutcome) story() string {
	facts := []string{o.total().story()}
	for _, p := range o.payments {
		if p.Status != "posted" {
			facts = append(facts, "one "+p.story())
		}
	}
	if o.after.Status == "paid_off" {
		facts = append(facts, "paid off")
	}
	return strings.Join(facts, ", ")
}

// story says in a few words what one payment did.
func (p demoPayment) story() string {
	switch satisfied := p.Split.InstallmentsSatisfied; {
	case p.Status != "posted":
		return strings.TrimSpace(p.Status + " " + p.Reason)
	case len(satisfied) == 0:
		return "held: not a whole installment yet"
	default:
		return fmt.Sprintf("completes the installment due %s: interest %s, principal %s, escrow %s", satisfied[0],
			dollars(p.Split.InterestCents), dollars(p.Split.PrincipalCents), dollars(p.Split.EscrowCents))
	}
}

// story says in a few words what a loan's payments did, beyond what the columns
// of the amounts say.
func (s demoSplit) story() string {
	var facts []string
	switch n := len(s.InstallmentsSatisfied); n {
	case 0:
		facts = append(facts, "no installment")
	case 1:
		facts = append(facts, "1 installment")
	default:
		facts = append(facts, fmt.Sprintf("%d installments", n))
	}
	var extra mortgage.Cents
	for _, p := range s.Parts {
		if p.Kind == mortgage.KindCurtailment {
			extra += p.PrincipalCents
		}
	}
	if extra > 0 {
		facts = append(facts, dollars(extra)+" extra")
	}
	if s.LateChargeCents > 0 {
		facts = append(facts, dollars(s.LateChargeCents)+" late charge")
	}
	return strings.Join(facts, ", ")
}

// dollars is an amount as people write it: 1,234.56.
func dollars(c mortgage.Cents) string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	whole := fmt.Sprint(int64(c / 100))
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("%s%s.%02d", sign, whole, int64(c%100))
}
