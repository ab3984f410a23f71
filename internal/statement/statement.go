package statement

import (
	"errors"

	"loanserve/mortgage"
)

// Servicer is who sends statements: the name, the address and the telephone number
// that a borrower can turn to.
type Servicer struct {
	Name    string
	Address string // in one line
	Phone   string
}

// Statement is all that one statement says. Initial or Annual is there, and not
// the other.
type Statement struct {
	Servicer   Servicer
	LoanNumber string
	Borrowers  []string // the primary one first
	Property   string   // in one line

	Kind      mortgage.EscrowAnalysisKind
	AsOf      mortgage.Date  // the day of the analysis
	Current   bool           // the borrower was, on that day
	PaidAhead mortgage.Cents // part of the ending balance that is for the coming year's payments

	Initial *mortgage.InitialEscrowStatement
	Annual  *mortgage.AnnualEscrowStatement
	// Unprojected says that there is no projection of the year that has ended,
	// because the account was not analyzed before.
	Unprojected bool
}

// ErrNoContent reports a Statement without a servicer's name, or without exactly
// one of Initial and Annual.
var ErrNoContent = errors.New("a statement needs a servicer and one content")

// check refuses what cannot be a statement.
func (s *Statement) check() error {
	if s.Servicer.Name == "" || (s.Initial == nil) == (s.Annual == nil) {
		return ErrNoContent
	}
	return nil
}

// DueOn returns by when the statement is delivered.
func (s *Statement) DueOn() mortgage.Date {
	if s.Initial != nil {
		return s.Initial.DueOn
	}
	return s.Annual.DueOn
}

// Title returns what the statement is called.
func (s *Statement) Title() string {
	switch s.Kind {
	case mortgage.EscrowInitial:
		return "Initial escrow account disclosure statement"
	case mortgage.EscrowAnnual:
		return "Annual escrow account disclosure statement"
	case mortgage.EscrowPayoff:
		return "Final escrow account statement"
	default:
		return "Short-year escrow account statement"
	}
}

// projection returns what the statement says of the coming year.
func (s *Statement) projection() *mortgage.EscrowProjection {
	if s.Initial != nil {
		return &s.Initial.Projection
	}
	return &s.Annual.Projection
}
