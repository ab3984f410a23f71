// Package jobs is the work that the engine does apart from any request: the
// kinds of jobs, what each does in its transaction, their queues and retries,
// and the process that works them.
//
// Inside: one file for each kind, the posting of payments, and the metrics of
// jobs. Not inside: how a request is checked (server), and how money is divided
// (mortgage).
//
// The idea to hold: a job may run twice, or be killed at any line. Its effect
// is one transaction that first looks whether it has already happened, so that
// twice is once and killed is not yet. Nothing here decides by the clock.
package jobs

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// DB begins transactions. A pool does, and so does a transaction, in which a
// whole job then runs.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}
