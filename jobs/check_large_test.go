package jobs_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/database"
	"loanserve/internal/pastloans"
	"loanserve/internal/testdb"
	"loanserve/queries"
)

// Anywhere in the transactions of many loans, a hundred thousand in the long tests, one
// row is changed or removed, and each of those loans is named and no other.
func TestTamperingAnywhereIsFound(t *testing.T) {
	t.Parallel()
	const payments = 50
	loans, victims := testdb.Scale(100, 2000), testdb.Scale(30, 600)
	db := testdb.Clone(t)
	conn, err := pgx.Connect(t.Context(), db.URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	require.NoError(t, database.RegisterTypes(t.Context(), conn))
	first, last, err := pastloans.Store(t.Context(), conn, loans, payments)
	require.NoError(t, err)
	requireInOrder(t, db)
	disarm(t, db)

	attacks := []string{
		`UPDATE transactions SET cash_cents = cash_cents + 1, principal_cents = principal_cents - 1
		 WHERE loan_id = $1 AND seq = $2`,
		`UPDATE transactions SET effective_on = effective_on - 1 WHERE loan_id = $1 AND seq = $2`,
		`DELETE FROM transactions WHERE loan_id = $1 AND seq = $2`,
		`UPDATE transactions SET hash = set_byte(hash, 7, get_byte(hash, 7) # 1) WHERE loan_id = $1 AND seq = $2`,
		`UPDATE transactions SET due_on = due_on + 31, rule = 'other' WHERE loan_id = $1 AND seq = $2`,
		`DELETE FROM transactions WHERE loan_id = $1 AND seq >= $2`,
	}
	random := rand.New(rand.NewPCG(20_261_128, uint64(loans)))
	var want []int64
	for i, at := range random.Perm(loans)[:victims] {
		id := first + int64(at)
		want = append(want, id)
		seq := 2 + random.IntN(payments) // Its first is the boarding.
		tag, err := db.Super.Exec(t.Context(), attacks[i%len(attacks)], id, seq)
		require.NoError(t, err)
		require.NotZero(t, tag.RowsAffected())
	}
	require.LessOrEqual(t, slices.Max(want), last)
	slices.Sort(want)
	var got []int64
	for id, kinds := range named(check(t, db, true).Findings) {
		got = append(got, id)
		require.True(t, slices.Contains(kinds, queries.IntegrityKindChainBroken) ||
			slices.Contains(kinds, queries.IntegrityKindChainGap), "loan %d: %v", id, kinds)
	}
	slices.Sort(got)
	require.Equal(t, want, got)
}
