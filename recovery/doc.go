// Package recovery brings back rows that a transaction deleted, out of two images of
// the database: one from just before that transaction, and one from just after.
//
// Inside: the difference of the images, the choice of what belongs to named loans, the
// plan with what stands in its way, and the merge into the database at work. Not
// inside: making images (package backup), and asking the operator.
//
// The idea to hold: what comes back is what the transaction took, and not what is
// missing now. A row that somebody deleted by right since is in neither image's
// difference, and what was written since is in none of them, so it stays. Everything
// is put back by one transaction, with foreign keys checked and guards on, and is
// compared with the image before it commits.
package recovery
