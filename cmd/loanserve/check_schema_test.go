package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/drift"
	"loanserve/internal/testdb"
)

func TestCheckSchema(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": db.URL}
	for _, args := range [][]string{{"check"}, {"check", "all"}, {"check", "schema"}} {
		got := runWith(t.Context(), env, args...)
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "the database is what the migrations make")
	}
	type printed struct {
		Drift    bool            `json:"drift"`
		Findings []drift.Finding `json:"findings"`
	}
	read := func(want int) (p printed) {
		got := runWith(t.Context(), env, "check", "schema", "--json")
		require.Equal(t, want, got.code, got.stderr)
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &p))
		return p
	}
	require.Equal(t, printed{Drift: false, Findings: []drift.Finding{}}, read(exitOK))

	_, err := db.Super.Exec(t.Context(), `
		ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address; ALTER TABLE loans ADD COLUMN notes text`)
	require.NoError(t, err)
	for _, args := range [][]string{{"check"}, {"check", "schema"}} {
		got := runWith(t.Context(), env, args...)
		require.Equal(t, exitFinding, got.code, got.stderr)
		require.Contains(t, got.stdout, "breaking: column user_ip_allowlist.ip is missing; found ip_address\n"+
			"    ALTER TABLE public.user_ip_allowlist RENAME COLUMN ip_address TO ip;\n")
		require.Contains(t, got.stderr, "1 breaking, 0 protection, 1 extra")
	}
	require.Len(t, read(exitFinding).Findings, 2)

	_, err = db.Super.Exec(t.Context(), `DELETE FROM schema_migrations WHERE version > 60`)
	require.NoError(t, err)
	for _, args := range [][]string{{"check"}, {"check", "schema"}} {
		got := runWith(t.Context(), env, args...)
		require.Equal(t, exitFailure, got.code)
		require.Contains(t, got.stderr, "loanserve migrate up")
	}
}
