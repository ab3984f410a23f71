package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// loginOf makes a login with these options, for as long as the test runs, and returns
// the database's URL by it.
func loginOf(t *testing.T, db *testdb.DB, name, options string) string {
	t.Helper()
	name = db.Name + "_" + name // Logins are the whole server's.
	login := pgx.Identifier{name}.Sanitize()
	sql(t, db.URL, "CREATE ROLE "+login+" LOGIN "+options)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, db.URL)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "DROP ROLE "+login)
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	u, err := url.Parse(db.URL)
	require.NoError(t, err)
	u.User = url.User(name)
	return u.String()
}

// benchIn returns the database that a bench has named, or "".
func benchIn(stderr string) string {
	return regexp.MustCompile(`loanserve_bench_[a-z0-9]+|$`).FindString(stderr)
}

func requireDropped(t *testing.T, db *testdb.DB, stderr string) {
	t.Helper()
	name := benchIn(stderr)
	require.NotEmpty(t, name, stderr)
	var there bool
	require.NoError(t, db.Super.QueryRow(t.Context(),
		`SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there))
	require.False(t, there, "%s is still there", name)
}

// A login that is no superuser will do, as a small deployment has one.
func TestBench(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": loginOf(t, db, "any", "CREATEDB IN ROLE loanserve_owner, loanserve_app")}
	got := runWith(t.Context(), env, "bench", "--payments", "40", "--seconds", "1", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	requireDropped(t, db, got.stderr)
	var f benchFigures
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &f))
	for _, l := range []benchLatencies{f.RoundTrip, f.Commit} {
		require.Positive(t, l.Count)
		require.Positive(t, l.P50)
		require.GreaterOrEqual(t, l.P99, l.P50)
	}
	require.Equal(t, 40, f.Payments)
	require.Positive(t, f.RawPerSecond)
	require.InEpsilon(t, f.PostedPerSecond/f.RawPerSecond, f.Ratio, 1e-9)
	require.NotEmpty(t, f.Server.Version)

	var loans int
	require.NoError(t, db.Super.QueryRow(t.Context(), `SELECT count(*) FROM loans`).Scan(&loans))
	require.Zero(t, loans, "nothing was boarded in the database that the URL names")
}

func TestBenchSaysHowToReadIt(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := benchFigures{
		Server:    benchServer{Version: "15.18", Fsync: "on", SynchronousCommit: "on"},
		RoundTrip: benchLatencies{Count: 9, P50: 0.1, P99: 0.25}, Commit: benchLatencies{Count: 9, P50: 1.5, P99: 20},
		Payments: 5000, RawPerSecond: 1609.4, PostedPerSecond: 4526.2, Ratio: 2.812,
	}
	require.NoError(t, new(benchCommand).print(&program{stdout: &out}, f))
	require.Regexp(t, `(?m)^commit of one row +1\.500  20\.000$`, out.String())
	require.Regexp(t, `(?m)^payments posted by this program +4526$`, out.String())
	require.Contains(t, out.String(), "2.81 times as many")
	require.NotContains(t, out.String(), "no disk")

	f.Server.Fsync = "off"
	require.NoError(t, new(benchCommand).print(&program{stdout: &out}, f))
	require.Contains(t, out.String(), "no disk")
}

func TestBenchNeedsItsRights(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": loginOf(t, db, "app", "")}
	got := runWith(t.Context(), env, "bench")
	require.Equal(t, exitFailure, got.code)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, `_app" CREATEDB, or name a login that may by --migrate-database-url`)
	require.Empty(t, benchIn(got.stderr), "it has made none")

	// It fails once the database is there.
	env["MIGRATE_DATABASE_URL"] = db.URL
	got = runWith(t.Context(), env, "bench")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "may not act as role loanserve_app")
	requireDropped(t, db, got.stderr)
}

func TestBenchLeavesNothingWhenInterrupted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signal os.Signal
		when   string // a condition of the sessions in its database, d
	}{
		"while it migrates": {syscall.SIGTERM, `d.application_name = 'loanserve migrate'`},
		"while it measures": {syscall.SIGINT, `d.application_name = 'loanserve bench' AND d.query = 'SELECT 1'`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Clone(t)
			said := &output{}
			bench := programItself(t, "bench", "--seconds", "600")
			bench.Env = append(bench.Env, "DATABASE_URL="+db.URL)
			bench.Stderr = said
			require.NoError(t, bench.Start())
			t.Cleanup(func() { _ = bench.Process.Kill() })
			require.Eventually(t, func() (there bool) {
				err := db.Super.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity d
  WHERE d.datname = $1 AND `+tt.when+`)`, benchIn(said.String())).Scan(&there)
				return err == nil && there
			}, patience, 5*time.Millisecond, said)
			require.NoError(t, bench.Process.Signal(tt.signal))
			require.Error(t, bench.Wait())
			require.Equal(t, exitFailure, bench.ProcessState.ExitCode(), said)
			require.Contains(t, said.String(), "loanserve: interrupted")
			requireDropped(t, db, said.String())
		})
	}
}

// In a strict deployment the login that drops may not end the sessions of the other. It
// waits until they have gone.
func TestBenchWaitsForSessionsThatItMayNotEnd(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	b := &benchCommand{databaseFlags: databaseFlags{DatabaseURL: databaseURL(db.URL)}}
	b.MigrateDatabaseURL = databaseURL(loginOf(t, db, "made", "CREATEDB"))
	made, err := b.createDatabase(t.Context())
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), made.appURL)
	require.NoError(t, err)
	dropped := make(chan error, 1)
	go func() { dropped <- made.drop(t.Context()) }()
	require.Eventually(t, func() (waits bool) {
		err := db.Super.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
  WHERE query = $1 AND state = 'active')`, "DROP DATABASE "+made.name).Scan(&waits)
		return err == nil && waits
	}, patience, 5*time.Millisecond)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, <-dropped)
	requireDropped(t, db, made.name)
}
