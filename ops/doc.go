// Package ops is the operations page: what an operator sees in a browser, and what
// he does there. It is a client of the API, in the same process: whatever it shows or
// does goes through an operation, in the name of whoever is logged in, so that it is
// permitted, checked, made once and told to the audit trail exactly as if a program
// had asked. It knows no database and computes no money.
//
// Pages are made here from templates and work without scripts; scripts only keep them
// up to date and draw. What a list or a form consists of is data: a list names its
// operation and its columns, an action its operation and its fields.
package ops
