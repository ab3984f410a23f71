// Package loanrow says what the arithmetic has to know of a stored loan: its terms
// and its state. It is the one place where columns become fields.
package loanrow

import (
	"loanserve/mortgage"
	"loanserve/queries"
)

// Terms returns what the loan's note says, and what has changed since.
func Terms(row *queries.Loan) mortgage.Terms {
	return mortgage.Terms{
		Rate:                 row.RatePpm,
		PrincipalAndInterest: row.PrincipalAndInterestCents,
		EscrowPayment:        row.EscrowPaymentCents,
		DueDay:               int(row.DueDay),
		MaturityOn:           row.MaturityOn,
		InterestMethod:       row.InterestMethod,
		ApplicationOrder:     row.ApplicationOrder,
		ExcessPolicy:         row.ExcessPolicy,
		Rounding:             row.Rounding,
		BoardedOn:            mortgage.DateOf(row.BoardedAt),
		LateCharge: mortgage.LateChargePolicy{
			GraceDays: int(row.LateChargeGraceDays), Rate: row.LateChargeRatePpm,
			Minimum: row.LateChargeMinimumCents, Maximum: row.LateChargeMaximumCents,
			ExtendToBusinessDay: row.LateChargeExtends,
		},
		ShortPayoff: row.ShortPayoffPolicy,
		Changes:     row.TermsChanges,
	}
}

// State returns what the loan owes and holds.
func State(row *queries.Loan) mortgage.State {
	return mortgage.State{
		Principal: row.PrincipalCents, Escrow: row.EscrowCents, EscrowAdvance: row.EscrowAdvanceCents,
		Suspense:       row.SuspenseCents,
		LateChargesDue: row.LateChargesDueCents, FeesDue: row.FeesDueCents, NextDueOn: row.NextDueOn,
		PaidOffOn:         row.PaidOffOn,
		InterestAccruedTo: row.InterestAccruedToOn, AccruedInterest: row.AccruedInterestCents,
		AsOf: row.AsOfOn, LateChargedThrough: row.LateChargedThroughOn,
	}
}

// Boarded returns what the loan owed and held when it was boarded, as its first
// transaction and the row have it.
func Boarded(row *queries.Loan, opening *queries.Transaction) mortgage.State {
	return mortgage.State{
		Principal: opening.PrincipalCents, Escrow: -opening.EscrowCents, EscrowAdvance: opening.EscrowAdvanceCents,
		Suspense:       -opening.SuspenseCents,
		LateChargesDue: opening.LateChargesReceivableCents, FeesDue: opening.FeesReceivableCents,
		NextDueOn:         row.BoardedNextDueOn,
		InterestAccruedTo: row.BoardedInterestAccruedToOn, AccruedInterest: row.BoardedAccruedInterestCents,
		AsOf: mortgage.DateOf(row.BoardedAt), LateChargedThrough: 0,
	}
}

// ARMTerms returns what the loan's note says of its adjustable rate.
func ARMTerms(row *queries.ArmTerm) mortgage.ARMTerms {
	return mortgage.ARMTerms{
		Margin: row.MarginPpm, RoundTo: row.RoundToPpm, PeriodicCap: row.PeriodicCapPpm, FirstCap: row.FirstCapPpm,
		LifetimeCap: row.LifetimeCapPpm, Floor: row.FloorPpm, Adjusted: row.Adjusted,
	}
}
