package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// rows returns the lines of the demo's tables, which do not depend on when and
// where it runs.
func rows(stdout string) []string {
	return regexp.MustCompile(`(?m)^(LS-\d+ |20\d\d-|Books:).*$`).FindAllString(stdout, -1)
}

func demoOn(t *testing.T, url string) outcome {
	t.Helper()
	return runWith(t.Context(), environment{"DATABASE_URL": url, "LOANSERVE_LOG_FORMAT": "json"},
		"demo", "--exit", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
}

func TestDemoTwiceInOneDatabase(t *testing.T) {
	t.Parallel()

	db := testdb.Empty(t)
	first := demoOn(t, db.URL)
	require.Equal(t, exitOK, first.code, first.stderr)
	require.Contains(t, first.stderr, `"step":"payments posted","payments":26`)
	require.NotContains(t, first.stdout+first.stderr, "\x1b", "nothing is drawn where there is no terminal")

	table := rows(first.stdout)
	require.Len(t, table, 23+3+1, first.stdout)
	require.Regexp(t, `^LS-1003 +Pasterino +1 installment`, table[2])
	// Source: 12 CFR 1026 Supplement I, comment 41(d)(3)-1.
	require.Regexp(t, `^2026-08-03 +600\.00 +0\.00 +600\.00 `, table[23])
	require.Regexp(t, `^2026-09-03 +300\.00 +0\.00 +900\.00 `, table[24])
	require.Regexp(t, `^2026-10-05 +400\.00 +1,000\.00 +300\.00 .*due 2026-08-01`, table[25])
	require.Contains(t, table[26], "trial balance 0.00; every seal intact; every loan equals its ledger")

	second := demoOn(t, db.URL)
	require.Equal(t, exitOK, second.code, second.stderr)
	require.Contains(t, second.stderr, `"already_there":23`)
	require.Equal(t, table, rows(second.stdout), "the second run repeats the same requests")

	var valid int
	err := db.Super.QueryRow(t.Context(), `SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL`).Scan(&valid)
	require.NoError(t, err)
	require.Zero(t, valid, "the demo's token ends with the demo")
}

func TestDemoKeepsOutOfOtherPeoplesDatabases(t *testing.T) {
	t.Parallel()

	db := testdb.Clone(t)
	testdb.Loan(t, db.App)
	got := demoOn(t, db.URL)
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "not the demo's")

	var tokens int
	require.NoError(t, db.Super.QueryRow(t.Context(), `SELECT count(*) FROM api_tokens`).Scan(&tokens))
	require.Zero(t, tokens, "nothing was changed")
}

func TestDemoKeepsOutOfAnotherDemo(t *testing.T) {
	t.Parallel()

	db := testdb.Clone(t)
	other, err := pgx.Connect(t.Context(), db.URL)
	require.NoError(t, err)
	defer func() { _ = other.Close(context.WithoutCancel(t.Context())) }()
	_, err = other.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, demoLock)
	require.NoError(t, err)

	got := demoOn(t, db.URL)
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "another demo")
}

// output collects what a program writes while it runs.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestDemoStaysUpOnAPrivateServer(t *testing.T) {
	t.Parallel()

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout output
	p := &program{env: environment{}.lookup, stdout: &stdout, stderr: io.Discard, dir: t.TempDir()}
	ended := make(chan int, 1)
	go func() {
		ended <- p.run(ctx, []string{"demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"})
	}()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "Ctrl-C") },
		2*time.Minute, 50*time.Millisecond, "the demo says how to end it")

	path := filepath.Join(p.dir, ".demo", "env")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	env := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^export (\w+)='([^']+)'$`).FindAllStringSubmatch(string(text), -1) {
		env[m[1]] = m[2]
	}
	loan, err := newDemoClient(env["LOANSERVE_URL"], env["LOANSERVE_TOKEN"]).loan(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "active", loan.Status)

	interrupt()
	require.Equal(t, exitOK, <-ended)
	require.NoDirExists(t, filepath.Dir(path))
}

func TestDemoGoesOnWithoutItsFile(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".demo"), nil, 0o600)) // Not a directory.
	env := writeDemoEnv(dir, "http://127.0.0.1:1", "http://127.0.0.1:2", "token", "")
	require.Error(t, env.err)
	require.NoError(t, env.remove(t.Context()))
}

func TestDemoFileOfAnotherDemoStays(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	mine := writeDemoEnv(dir, "http://127.0.0.1:1", "http://127.0.0.1:2", "mine", "")
	theirs := writeDemoEnv(dir, "http://127.0.0.1:3", "http://127.0.0.1:4", "theirs", "")
	require.NoError(t, mine.remove(t.Context()))
	require.FileExists(t, theirs.path)
	require.NoError(t, theirs.remove(t.Context()))
	require.NoFileExists(t, theirs.path)
}
