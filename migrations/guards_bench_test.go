package migrations_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// BenchmarkGuardedUpdate measures what the limit of rows and the history cost an update
// of one row, as posting a payment updates its loan. Both kinds take turns, a hundred
// updates each, so that whatever else the machine does falls on both:
//
//	go run ./internal/pgcluster/withpg -- go test -run '^$' -bench GuardedUpdate ./migrations
//
// The server that withpg lends does not wait for the disk, which is the worst case for
// a ratio: on a server that does, most of the time of an update is the wait.
func BenchmarkGuardedUpdate(b *testing.B) {
	db := testdb.Clone(b)
	db.SwitchOffDDLGuards(b)
	var loans []queries.Loan
	for range 100 {
		loans = append(loans, testdb.Loan(b, db.App))
	}
	guards := func(state string) {
		for _, name := range []string{"limit_updated_rows", "keep_updated_rows"} {
			_, err := db.Super.Exec(b.Context(), `ALTER TABLE loans `+state+` TRIGGER `+name)
			require.NoError(b, err)
		}
	}
	update := func(ctx context.Context) time.Duration {
		began := time.Now()
		for _, loan := range loans {
			_, err := db.App.Exec(ctx, `UPDATE loans SET principal_cents = principal_cents - 1,
				escrow_cents = escrow_cents + 1, last_seq = last_seq + 1, updated_at = now() WHERE id = $1`, loan.ID)
			require.NoError(b, err)
		}
		return time.Since(began)
	}
	var with, without time.Duration
	rounds := 0
	for b.Loop() {
		guards("DISABLE")
		without += update(b.Context())
		guards("ENABLE ALWAYS")
		with += update(b.Context())
		rounds++
	}
	each := float64(rounds * len(loans))
	b.ReportMetric(float64(without.Microseconds())/each, "us/bare-update")
	b.ReportMetric(float64(with.Microseconds())/each, "us/guarded-update")
	b.ReportMetric(with.Seconds()/without.Seconds(), "ratio")
}
