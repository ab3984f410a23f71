package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

func TestUserCommands(t *testing.T) {
	t.Parallel()

	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": db.URL}
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("correct horse battery\n"), 0o600))
	try := func(code int, args ...string) outcome {
		t.Helper()
		got := runWith(t.Context(), env, append([]string{"user"}, args...)...)
		require.Equal(t, code, got.code, got.stdout+got.stderr)
		require.NotContains(t, got.stdout+got.stderr, "battery")
		return got
	}
	got := try(exitOK, "create", "--name", "root", "--full-name", "Root Admin", "--admin",
		"--password-file", file, "--json")
	var created person
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &created))
	require.Equal(t, []string{"admin"}, created.Roles)
	try(exitOK, "create", "--name", "pat", "--full-name", "Pat", "--role", "viewer,operator", "--password-file", file)
	got = try(exitFailure, "create", "--name", "pat", "--full-name", "Pat", "--password-file", file)
	require.Contains(t, got.stderr, "belongs to another user")

	try(exitOK, "grant", "PAT", "auditor")
	try(exitFailure, "grant", "pat", "approver") // He is operator.
	try(exitOK, "revoke", "pat", "operator")
	try(exitOK, "grant", "pat", "approver")
	try(exitUsage, "grant", "pat", "root")
	try(exitFailure, "grant", "nobody", "viewer")
	try(exitOK, "disable", "pat")
	require.Regexp(t, `(?m)^ *2  pat +Pat +disabled .* viewer approver auditor$`, try(exitOK, "list").stdout)
	try(exitOK, "enable", "pat")
	try(exitOK, "password", "pat", "--password-file", file)

	// Somebody must be left who manages users.
	for _, last := range [][]string{{"delete", "root"}, {"disable", "root"}, {"revoke", "root", "admin"}} {
		require.Contains(t, try(exitFailure, last...).stderr, "admin")
	}
	token := runWith(t.Context(), env, "token", "create", "--name", "pats", "--scope", "loans:read", "--user", "pat",
		"--cidr", "10.0.0.0/8", "--cidr", "2001:db8::1", "--json")
	require.Equal(t, exitOK, token.code, token.stderr)
	require.Contains(t, token.stdout, `"2001:db8::1/128"`)
	try(exitOK, "delete", "pat")
	require.NotContains(t, try(exitOK, "list").stdout, "pat")
	require.NotContains(t, runWith(t.Context(), env, "token", "list").stdout, "pats")

	var events []string
	require.NoError(t, db.Super.QueryRow(t.Context(),
		`SELECT array_agg(DISTINCT kind ORDER BY kind) FROM auth_events WHERE actor = 'command'`).Scan(&events))
	require.Equal(t, []string{
		"password_changed", "role_granted", "role_revoked", "token_created", "user_created", "user_deleted",
		"user_disabled", "user_enabled",
	}, events)
}

func TestPasswordsOfUsers(t *testing.T) {
	t.Parallel()

	env := environment{"DATABASE_URL": "postgres://localhost/loans"}
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	for name, file := range map[string]string{
		"too short":      write("short", "secret\n"),
		"two lines":      write("lines", "correct horse\nbattery staple\n"),
		"its name":       write("name", "pat.averylongname\n"),
		"too large":      write("large", string(make([]byte, 5000))),
		"no such file":   filepath.Join(dir, "none"),
		"not a terminal": "",
	} {
		args := []string{"user", "create", "--name", "pat.averylongname", "--full-name", "Pat"}
		if file != "" {
			args = append(args, "--password-file", file)
		}
		got := runWith(t.Context(), env, args...)
		require.Equal(t, exitFailure, got.code, name)
		require.NotContains(t, got.stdout+got.stderr, "secret", name)
	}
	for _, args := range [][]string{
		{"--name", "Pat", "--full-name", "Pat"},
		{"--name", "pat", "--full-name", ""},
		{"--name", "pat", "--full-name", "Pat", "--role", "root"},
		{"--name", "pat", "--full-name", "Pat", "--password", "x"},
	} {
		got := runWith(t.Context(), env, append([]string{"user", "create"}, args...)...)
		require.Equal(t, exitUsage, got.code, args)
	}
}
