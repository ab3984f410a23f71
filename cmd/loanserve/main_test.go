package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// outcome is what a run of the program did.
type outcome struct {
	code           int
	stdout, stderr string
}

// environment is the variables a run sees, and no others.
type environment map[string]string

func (e environment) lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

func runWith(ctx context.Context, env environment, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	p := &program{env: env.lookup, stdout: &stdout, stderr: &stderr}
	code := p.run(ctx, args)
	return outcome{code, stdout.String(), stderr.String()}
}

const secretURL = "postgres://loans:hunter2@db.example.com:notaport/loans"

func TestMistakesAreUsageErrors(t *testing.T) {
	t.Parallel()

	url := environment{"DATABASE_URL": "postgres://localhost/loans"}
	with := func(name, value string) environment {
		return environment{"DATABASE_URL": url["DATABASE_URL"], name: value}
	}
	tests := map[string]struct {
		env  environment
		args []string
		says []string // to be found in what is said
	}{
		"no command":                   {says: []string{"demo", "serve"}},
		"unknown command":              {args: []string{"sevre"}, says: []string{"serve"}},
		"unknown flag":                 {env: url, args: []string{"serve", "--wrokers", "3"}, says: []string{"--workers"}},
		"no database":                  {args: []string{"serve"}, says: []string{"--database-url", "$DATABASE_URL_FILE"}},
		"no database to migrate":       {args: []string{"migrate", "up"}, says: []string{"--database-url", "MIGRATE_DATABASE_URL"}},
		"no name for a token":          {env: url, args: []string{"token", "create", "--scope", "loans:read"}, says: []string{"--name"}},
		"unknown scope":                {env: url, args: []string{"token", "create", "--name", "n", "--scope", "all"}, says: []string{"--scope", "loans:read"}},
		"no such lifetime":             {env: url, args: []string{"token", "create", "--name", "n", "--scope", "loans:read", "--expires-in", "soon"}, says: []string{"--expires-in"}},
		"token to revoke not a number": {env: url, args: []string{"token", "revoke", "x"}, says: []string{"id"}},
		"flag not a number":            {env: url, args: []string{"serve", "--workers", "many"}, says: []string{"--workers"}},
		"variable not a number":        {env: with("LOANSERVE_WORKERS", "many"), args: []string{"serve"}, says: []string{"--workers", "LOANSERVE_WORKERS"}},
		"variable out of range":        {env: with("LOANSERVE_POOL_SIZE", "-1"), args: []string{"work"}, says: []string{"--pool-size", "LOANSERVE_POOL_SIZE"}},
		"variable not a level":         {env: with("LOANSERVE_LOG_LEVEL", "loud"), args: []string{"serve"}, says: []string{"--log-level", "LOANSERVE_LOG_LEVEL"}},
		"variable not a format":        {env: with("LOANSERVE_LOG_FORMAT", "xml"), args: []string{"serve"}, says: []string{"--log-format", "LOANSERVE_LOG_FORMAT"}},
		"variable not an address":      {env: with("LOANSERVE_LISTEN", "8080"), args: []string{"serve"}, says: []string{"--listen", "LOANSERVE_LISTEN"}},
		"attempts kept too briefly":    {env: with("LOANSERVE_LOGIN_ATTEMPT_RETENTION", "23h"), args: []string{"work"}, says: []string{"--attempt-retention", "LOANSERVE_LOGIN_ATTEMPT_RETENTION", "24h"}},
		"webhooks kept too briefly":    {env: with("LOANSERVE_WEBHOOK_RETENTION", "6d"), args: []string{"work"}, says: []string{"--webhook-retention", "LOANSERVE_WEBHOOK_RETENTION", "7d"}},
		"proxy that is no network":     {env: url, args: []string{"serve", "--trusted-proxy", "10.0.0.1/8"}, says: []string{"--trusted-proxy", "192.0.2.0/24"}},
		"provider in the clear":        {env: with("LOANSERVE_OIDC_ISSUER", "http://id.example.com"), args: []string{"serve"}, says: []string{"--oidc-issuer", "LOANSERVE_OIDC_ISSUER", "https"}},
		"provider without audience":    {env: with("LOANSERVE_OIDC_ISSUER", "https://id.example.com"), args: []string{"serve"}, says: []string{"--oidc-audience"}},
		"audience without provider":    {env: with("LOANSERVE_OIDC_AUDIENCE", "loans"), args: []string{"serve"}, says: []string{"--oidc-issuer"}},
		"keys without provider":        {env: with("LOANSERVE_OIDC_KEYS_URL", "https://id.example.com/keys"), args: []string{"serve"}, says: []string{"--oidc-keys-url"}},
		"token for no network":         {env: url, args: []string{"token", "create", "--name", "n", "--scope", "loans:read", "--cidr", "office"}, says: []string{"--cidr"}},
		"recovery of nothing":          {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"recover", "--yes"}, says: []string{"--before-xid", "recover find"}},
		"recovery that nobody can ask": {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"recover", "--before-xid", "740"}, says: []string{"--yes"}},
		"recovery of no such loans":    {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"recover", "--before-xid", "740", "--loans", "9-3"}, says: []string{"--loans", "1-16"}},
		"recovery to no such time":     {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"recover", "--to-time", "yesterday"}, says: []string{"--to-time", "zone"}},
		"recovery to two points":       {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"recover", "--before-xid", "740", "--to-time", "2026-11-28T03:04:05Z"}, says: []string{"--before-xid", "--to-time"}},
		"search of no store":           {env: url, args: []string{"recover", "find"}, says: []string{"--backup-url", "LOANSERVE_BACKUP_URL"}},
		"half a servicer":              {env: with("LOANSERVE_SERVICER_NAME", "Prairie"), args: []string{"serve"}, says: []string{"--servicer-address"}},
		"half a servicer of workers":   {env: with("LOANSERVE_SERVICER_PHONE", "1"), args: []string{"work"}, says: []string{"--servicer-address"}},
		"a servicer of two lines":      {env: with("LOANSERVE_SERVICER_NAME", "a\nb"), args: []string{"work"}, says: []string{"LOANSERVE_SERVICER_NAME"}},
		"variable not a duration":      {env: with("LOANSERVE_STOP_TIMEOUT", "30"), args: []string{"serve"}, says: []string{"--stop-timeout", "LOANSERVE_STOP_TIMEOUT"}},
		"database that is not one":     {env: environment{"DATABASE_URL": secretURL}, args: []string{"serve"}, says: []string{"--database-url", "DATABASE_URL"}},
		"the same from a flag":         {args: []string{"serve", "--database-url", secretURL}, says: []string{"--database-url"}},
		"database empty":               {env: environment{"DATABASE_URL": ""}, args: []string{"serve"}, says: []string{"DATABASE_URL"}},
		"secret given twice":           {env: with("DATABASE_URL_FILE", "/dev/null"), args: []string{"serve"}, says: []string{"DATABASE_URL_FILE"}},
		"secret's file missing":        {env: environment{"DATABASE_URL_FILE": "/nonexistent/url"}, args: []string{"serve"}, says: []string{"DATABASE_URL_FILE"}},
		"configuration missing":        {env: url, args: []string{"serve", "--config", "/nonexistent/file"}, says: []string{"/nonexistent/file"}},
		"variable not a zone":          {env: with("LOANSERVE_TIME_ZONE", "EST5"), args: []string{"work"}, says: []string{"--time-zone", "LOANSERVE_TIME_ZONE"}},
		"variable not an hour":         {env: with("LOANSERVE_CUT_OFF", "5pm"), args: []string{"serve"}, says: []string{"--cut-off", "LOANSERVE_CUT_OFF"}},
		"cut-off at midnight":          {env: url, args: []string{"serve", "--cut-off", "00:00"}, says: []string{"--cut-off", "24:00"}},
		"variable not off either":      {env: with("LOANSERVE_CLOSE_DAY_AT", "never"), args: []string{"work"}, says: []string{"--close-day-at", "LOANSERVE_CLOSE_DAY_AT", "off"}},
		"no place for backups":         {env: url, args: []string{"backup", "create"}, says: []string{"--backup-url", "LOANSERVE_BACKUP_URL"}},
		"place that is none":           {env: with("LOANSERVE_BACKUP_URL", "ftp://host/x"), args: []string{"backup", "list"}, says: []string{"--backup-url", "file:///DIRECTORY"}},
		"secret in the place":          {env: with("LOANSERVE_BACKUP_URL", "s3://key:hunter2@bucket/"), args: []string{"backup", "list"}, says: []string{"AWS_SECRET_ACCESS_KEY"}},
		"recipient that is no key":     {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"backup", "create", "--recipient", "me"}, says: []string{"--recipient", "age1"}},
		"no such kind of backup":       {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"backup", "create", "--kind", "full"}, says: []string{"--kind", "physical"}},
		"no backup to verify":          {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"backup", "verify"}, says: []string{"--latest"}},
		"encrypted and not verified":   {env: environment{"DATABASE_URL": url["DATABASE_URL"], "LOANSERVE_BACKUP_URL": "file:///b", "LOANSERVE_BACKUP_RECIPIENTS": "age1fst9ljlxw2z07m33s8gdu9lqd45n49ar5kcq4evzqwhw9ayxl3tqhung66"}, args: []string{"work"}, says: []string{"--backup-identity"}},
		"nowhere to restore":           {env: with("LOANSERVE_BACKUP_URL", "file:///b"), args: []string{"restore", "latest"}, says: []string{"--into"}},
		"nothing to back up":           {env: environment{"LOANSERVE_BACKUP_URL": "file:///b"}, args: []string{"backup", "create"}, says: []string{"--database-url", "LOANSERVE_BACKUP_DATABASE_URL"}},
		"work without workers":         {env: url, args: []string{"work", "--workers", "0"}, says: []string{"--workers", "LOANSERVE_WORKERS"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := runWith(t.Context(), tt.env, tt.args...)
			require.Equal(t, exitUsage, got.code, got.stderr)
			require.Empty(t, got.stdout)
			for _, words := range tt.says {
				require.Contains(t, got.stderr, words)
			}
			require.NotContains(t, got.stderr, "hunter2")
		})
	}
}

// What is wrong with a value says nothing of a flag that is merely not given.
func TestMistakesBlameNoOtherFlag(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"queue", "retry", "99999999999999999999"}, {"restore", "--to-time", "yesterday", "--into", "/d"},
	} {
		got := runWith(t.Context(), environment{}, args...)
		require.Equal(t, exitUsage, got.code)
		require.NotContains(t, got.stderr, "DATABASE_URL")
		require.NotContains(t, got.stderr, "LOANSERVE_BACKUP_URL")
	}
}

func TestHelpNamesTheVariables(t *testing.T) {
	t.Parallel()

	tests := map[string][]string{
		"":             {"LOANSERVE_CONFIG", "LOANSERVE_LOG_LEVEL", "LOANSERVE_LOG_FORMAT", "80"},
		"serve":        {"DATABASE_URL_FILE", "LOANSERVE_TIME_ZONE", "LOANSERVE_CUT_OFF", "LOANSERVE_LISTEN", "LOANSERVE_ADMIN_LISTEN", "LOANSERVE_WORKERS", "LOANSERVE_STOP_TIMEOUT"},
		"work":         {"DATABASE_URL_FILE", "LOANSERVE_CLOSE_DAY_AT", "LOANSERVE_WORKERS", "LOANSERVE_POOL_SIZE", "LOANSERVE_DRAIN_DELAY"},
		"migrate up":   {"MIGRATE_DATABASE_URL_FILE", "DATABASE_URL"},
		"token create": {"DATABASE_URL", "payments:write"},
		"demo":         {"DATABASE_URL", "--exit"},
	}
	for command, names := range tests {
		t.Run(command, func(t *testing.T) {
			t.Parallel()

			got := runWith(t.Context(), nil, append(strings.Fields(command), "--help")...)
			require.Equal(t, exitOK, got.code)
			require.Empty(t, got.stderr)
			for _, name := range names {
				require.Contains(t, strings.Join(strings.Fields(got.stdout), " "), name)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()

	got := runWith(t.Context(), nil, "version", "--json")
	require.Equal(t, exitOK, got.code)
	var v map[string]string
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &v))
	require.NotEmpty(t, v["version"])
}

func TestOpenAPIIsTheSameEveryTime(t *testing.T) {
	t.Parallel()

	first, second := runWith(t.Context(), nil, "openapi"), runWith(t.Context(), nil, "openapi")
	require.Equal(t, exitOK, first.code, first.stderr)
	require.Contains(t, first.stdout, "openapi: 3.1")
	require.Equal(t, first.stdout, second.stdout)
}

func TestMigrateAndItsFindings(t *testing.T) {
	t.Parallel()

	env := environment{"MIGRATE_DATABASE_URL": testdb.Empty(t).URL}
	got := runWith(t.Context(), env, "migrate", "status")
	require.Equal(t, exitFinding, got.code, got.stderr)

	serve := environment{"DATABASE_URL": env["MIGRATE_DATABASE_URL"]}
	got = runWith(t.Context(), serve, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "migrate up")

	got = runWith(t.Context(), env, "migrate", "up", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	got = runWith(t.Context(), env, "migrate", "up", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.JSONEq(t, `{"applied":[],"drops_are_refused":true}`, got.stdout)
	got = runWith(t.Context(), env, "migrate", "status", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, `"up_to_date": true`)
}

func TestUndelete(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	var xid string
	require.NoError(t, db.Super.QueryRow(t.Context(), `
INSERT INTO users (name, full_name, password_hash) VALUES ('ann', 'x', '$argon2id$v=19$m=1,t=1,p=1$a$a')
RETURNING id::text`).Scan(&xid))
	require.NoError(t, db.App.QueryRow(t.Context(), `
WITH gone AS (DELETE FROM users RETURNING id) SELECT pg_current_xact_id()::text FROM gone`).Scan(&xid))
	users := func() (n int) {
		require.NoError(t, db.Super.QueryRow(t.Context(), `SELECT count(*) FROM users`).Scan(&n))
		return n
	}
	env := environment{"DATABASE_URL": db.URL}

	got := runWith(t.Context(), env, "undelete", "--xid", xid, "--dry-run")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Equal(t, "insert 1 rows into users\ndry run: nothing was changed\n", got.stdout)
	require.Zero(t, users())

	got = runWith(t.Context(), env, "undelete", "--xid", xid, "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.JSONEq(t, `{"xid":`+xid+`,"dry_run":false,"steps":["insert 1 rows into users"]}`, got.stdout)
	require.Equal(t, 1, users())
	var events int
	require.NoError(t, db.Super.QueryRow(t.Context(),
		`SELECT count(*) FROM auth_events WHERE kind = 'rows_undeleted' AND details ->> 'xid' = $1`, xid).Scan(&events))
	require.Equal(t, 1, events)

	got = runWith(t.Context(), env, "undelete", "--xid", xid)
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "nothing to do")
	got = runWith(t.Context(), env, "undelete", "--xid", "3")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "the history knows no row that transaction 3 deleted")
}

func TestTokens(t *testing.T) {
	t.Parallel()

	// The secret as a file, as container platforms mount it.
	path := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(path, []byte(testdb.Clone(t).URL+"\n"), 0o600))
	env := environment{"DATABASE_URL_FILE": path}

	got := runWith(t.Context(), env, "token", "create", "--name", "lockbox",
		"--scope", "payments:write", "--scope", "loans:read", "--expires-in", "90d", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	var created apiToken
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &created))
	require.Equal(t, []string{"loans:read", "payments:write"}, created.Scopes)
	require.NotNil(t, created.ExpiresAt)

	got = runWith(t.Context(), env, "token", "list")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "lockbox")
	require.NotContains(t, got.stdout, created.Token)

	for range 2 { // Again is no mistake.
		got = runWith(t.Context(), env, "token", "revoke", "1", "--json")
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "revoked_at")
	}
	got = runWith(t.Context(), env, "token", "revoke", "2")
	require.Equal(t, exitFailure, got.code)

	got = runWith(t.Context(), env, "token", "create", "--name", "n", "--scope", "loans:read")
	require.Regexp(t, `^loanserve_2_[a-z2-7]{39}\n$`, got.stdout, "a script takes stdout as the token")
}
