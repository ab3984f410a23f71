// Package mortgage is the arithmetic of servicing a mortgage loan: money,
// rates, calendar days, level payments, schedules, the application of payments
// to a loan, and the analysis of its escrow account.
//
// It is pure. It does no I/O, reads no clock and holds no floating-point
// number, so that the same facts give the same cents today, on a retry, and in
// an audit years later.
//
// The idea to hold: a loan is Terms (what the note says) and a State (what is
// owed and held). A Receipt of money, or a day that comes, yields Entries, each
// of which balances. The balances of a State are those it was boarded with and
// all Entries added, and the Entries follow from its History: so any State can
// be rebuilt from the ledger, and any ledger from what happened.
package mortgage
