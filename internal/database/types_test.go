package database_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/database"
	"loanserve/internal/testdb"
	"loanserve/mortgage"
)

// plainAndOurs returns two connections: one that knows only pgx's types, and
// one that knows ours.
func plainAndOurs(t *testing.T) (plain, ours *pgx.Conn) {
	t.Helper()

	address := testdb.Empty(t).URL
	for _, conn := range []**pgx.Conn{&plain, &ours} {
		c, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close(t.Context())) })
		*conn = c
	}
	require.NoError(t, database.RegisterTypes(t.Context(), ours))
	return plain, ours
}

// Whatever is written and read with our types is what pgx's own would be.
func TestTypesAreOnlyFaster(t *testing.T) {
	t.Parallel()

	plain, ours := plainAndOurs(t)
	random := rand.New(rand.NewPCG(1, 2))
	ids := []uuid.UUID{uuid.Nil, uuid.Max}
	days := []mortgage.Date{0, mortgage.MinDate, mortgage.MaxDate, testdb.Date("1999-12-31"), testdb.Date("2000-01-01")}
	numbers := []int64{0, -1, 1<<63 - 1, -1 << 63}
	small := []int32{0, -1, 1<<31 - 1, -1 << 31}
	texts := []string{"", "NULL", `{"a",'b'\}`, "é\n\t,"}
	for range 50 {
		ids = append(ids, uuid.New())
		days = append(days, mortgage.Date(random.IntN(int(mortgage.MaxDate)+1)))
		numbers = append(numbers, int64(random.Uint64()))
		small = append(small, int32(random.Uint32()))
		texts = append(texts, string(rune(random.IntN(0xd7ff)+1)))
	}
	for _, c := range []struct {
		sql     string
		payload any
	}{
		{`SELECT $1::uuid[]::text`, ids},
		{`SELECT $1::uuid[]::text`, []uuid.UUID{}},
		{`SELECT $1::uuid[]::text`, []uuid.UUID(nil)},
		{`SELECT $1::date[]::text`, days},
		{`SELECT $1::date[]::text`, []mortgage.Date{0}},
		{`SELECT $1::bigint[]::text`, numbers},
		{`SELECT $1::integer[]::text`, small},
		{`SELECT $1::text[]::text`, texts},
		{`SELECT $1::text[]::text`, []string{}},
		{`SELECT $1::uuid::text`, ids[2]},
		{`SELECT $1::uuid::text`, &ids[2]},
		{`SELECT $1::uuid::text`, (*uuid.UUID)(nil)},
		{`SELECT $1::date::text`, days[5]},
		{`SELECT $1::date::text`, mortgage.Date(0)},
	} {
		var want, got *string
		require.NoError(t, plain.QueryRow(t.Context(), c.sql, c.payload).Scan(&want), c.sql)
		require.NoError(t, ours.QueryRow(t.Context(), c.sql, c.payload).Scan(&got), c.sql)
		require.Equal(t, want, got, c.sql)
	}

	for _, id := range ids {
		var got uuid.UUID
		var there *uuid.UUID
		row := ours.QueryRow(t.Context(), `SELECT $1::text::uuid, $1::text::uuid`, id.String())
		require.NoError(t, row.Scan(&got, &there))
		require.Equal(t, id, got)
		require.Equal(t, &id, there)
	}
	for _, day := range days {
		var want, got mortgage.Date
		require.NoError(t, plain.QueryRow(t.Context(), `SELECT $1::date`, day).Scan(&want))
		require.NoError(t, ours.QueryRow(t.Context(), `SELECT $1::date`, day).Scan(&got))
		require.Equal(t, day, got)
		require.Equal(t, want, got)
	}
	var gotIDs []uuid.UUID
	var gotDays []mortgage.Date
	var none *uuid.UUID
	require.NoError(t, ours.QueryRow(t.Context(), `SELECT $1::uuid[], $2::date[], NULL::uuid`, ids, days).
		Scan(&gotIDs, &gotDays, &none))
	require.Equal(t, ids, gotIDs)
	require.Equal(t, days, gotDays)
	require.Nil(t, none)
}

func TestTypesRefuseWhatIsNone(t *testing.T) {
	t.Parallel()

	_, conn := plainAndOurs(t)
	var day mortgage.Date
	for _, sql := range []string{
		`SELECT 'infinity'::date`, `SELECT '-infinity'::date`, `SELECT '0044-03-15 BC'::date`, `SELECT '10000-01-01'::date`,
	} {
		require.ErrorIs(t, conn.QueryRow(t.Context(), sql).Scan(&day), mortgage.ErrNotDate, sql)
	}
	for _, bad := range []mortgage.Date{-1, mortgage.MaxDate + 1} {
		_, err := conn.Exec(t.Context(), `SELECT $1::date`, bad)
		require.ErrorIs(t, err, mortgage.ErrNotDate)
		_, err = conn.Exec(t.Context(), `SELECT $1::date[]`, []mortgage.Date{bad})
		require.ErrorIs(t, err, mortgage.ErrNotDate)
	}
	var id uuid.UUID
	require.Error(t, conn.QueryRow(t.Context(), `SELECT NULL::uuid`).Scan(&id), "nothing is not the zero id")
}
