// Package mortgage is the arithmetic of servicing a mortgage loan: money,
// rates, calendar days, level payments, schedules, and the application of
// payments to a loan.
//
// It is pure. It does no I/O, reads no clock and holds no floating-point
// number, so that the same facts give the same cents today, on a retry, and in
// an audit years later.
//
// The idea to hold: a loan is Terms (what the note says) and a State (what is
// owed and held). An Event happens to it, and yields Entries, each of which
// balances. A State is nothing but the boarded State with all Entries added,
// so any State can be rebuilt from the ledger, and any ledger from the events.
package mortgage
