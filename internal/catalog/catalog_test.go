package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/catalog"
	"loanserve/internal/testdb"
)

// TestRoundTrip reads a real database, whose functions have lines of every sort.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	_, err := db.Super.Exec(t.Context(), `
CREATE TABLE "odd name" ("a: b" text DEFAULT E'one\n\n  two: three\n# four', "C" int);
COMMENT ON TABLE "odd name" IS 'a comment is no fact'`)
	require.NoError(t, err)
	facts, major, err := catalog.Read(t.Context(), db.App)
	require.NoError(t, err)
	require.GreaterOrEqual(t, major, 15)
	require.Greater(t, len(facts), 500)
	text := catalog.Format(facts)
	again, err := catalog.Parse(text)
	require.NoError(t, err)
	require.Equal(t, facts, again)
	require.Contains(t, string(text), "public.loans | table\n")
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"one word", "  type: bigint", "public.a | table\n  owner"} {
		_, err := catalog.Parse([]byte(text))
		require.Error(t, err, text)
	}
}

// TestEveryRoleReadsTheSame proves that a check needs no rights, and that neither
// the role nor the search path of whoever reads words anything differently.
func TestEveryRoleReadsTheSame(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	want, _, err := catalog.Read(t.Context(), db.Super)
	require.NoError(t, err)
	for _, role := range []string{testdb.RoleApp, testdb.RoleReadonly, testdb.RoleOwner} {
		got, _, err := catalog.Read(t.Context(), db.Pool(t, role))
		require.NoError(t, err)
		require.Equal(t, string(catalog.Format(want)), string(catalog.Format(got)), role)
	}
	tx, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SET LOCAL search_path = river, public`)
	require.NoError(t, err)
	got, _, err := catalog.Read(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, string(catalog.Format(want)), string(catalog.Format(got)))
	var path string
	require.NoError(t, tx.QueryRow(t.Context(), `SHOW search_path`).Scan(&path))
	require.Equal(t, "river, public", path)
	require.NoError(t, tx.Rollback(t.Context()))
}
