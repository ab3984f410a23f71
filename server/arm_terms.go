package server

import "loanserve/queries"

// armParams is the row of a loan's adjustable rate.
func armParams(loan int64, a *armTerms) queries.InsertARMTermsParams {
	return queries.InsertARMTermsParams{
		LoanID: loan, MarginPpm: a.MarginPpm, RoundToPpm: a.RoundToPpm, PeriodicCapPpm: a.PeriodicCapPpm,
		FirstCapPpm: a.FirstCapPpm, LifetimeCapPpm: a.LifetimeCapPpm, FloorPpm: a.FloorPpm, Adjusted: a.Adjusted,
	}
}

func armTermsOf(row *queries.ArmTerm) *armTerms {
	return &armTerms{
		MarginPpm: row.MarginPpm, RoundToPpm: row.RoundToPpm, PeriodicCapPpm: row.PeriodicCapPpm,
		FirstCapPpm: row.FirstCapPpm, LifetimeCapPpm: row.LifetimeCapPpm, FloorPpm: row.FloorPpm, Adjusted: row.Adjusted,
	}
}
