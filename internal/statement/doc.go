// Package statement makes the escrow account disclosure statements that borrowers
// get: as data, as one page of HTML, and as PDF.
//
// Inside: the words, the tables, the picture of the balance, and three ways to write
// them down. Not inside: arithmetic, which mortgage has done; reading and storing,
// which jobs do.
//
// The one idea: what a statement says is laid out once, in a Page, and HTML and PDF
// are two ways to draw the same one. No amount is computed here except sums of
// columns that are shown, and the same statement always gives the same bytes.
package statement
