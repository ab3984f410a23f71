package pgcluster_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// installation is an archive of a server of the version.
func installation(t *testing.T, version string) []byte {
	t.Helper()
	return archive(t,
		program("package/native/bin/postgres", version),
		program("package/native/bin/initdb", version),
		file("package/native/lib/libpq.so", 0o644, ""),
	)
}

func TestProvision(t *testing.T) {
	t.Parallel()

	r := serve(t, installation(t, "18.4"))
	s := pgcluster.Search{Cache: filepath.Join(tempDir(t), "loanserve", "postgresql")}
	_, err := s.Find(0)
	require.ErrorIs(t, err, pgcluster.ErrNotFound)

	// Of those that come at once, one fetches.
	const callers = 4
	type result struct {
		binaries pgcluster.Binaries
		err      error
	}
	results := make(chan result, callers)
	for range callers {
		go func() {
			b, err := s.Provision(t.Context(), func(string) {}, r.source())
			results <- result{b, err}
		}()
	}
	for range callers {
		got := <-results
		require.NoError(t, got.err)
		require.Equal(t, 18, got.binaries.Major)
		require.DirExists(t, got.binaries.LibDir)
	}
	require.Equal(t, int64(1), r.downloads.Load())

	b, err := s.Find(18)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(b.Dir, "postgres"))
	_, err = s.Find(17)
	require.ErrorIs(t, err, pgcluster.ErrNotFound)
}

func TestProvisionRefuses(t *testing.T) {
	t.Parallel()

	good, old := serve(t, installation(t, "18.4")), serve(t, installation(t, "14.1"))
	broken := serve(t, archive(t, file("package/native/bin/postgres", 0o755, "#!/bin/sh\nexit 1\n")))
	evil := serve(t, archive(t, file("package/../../../evil", 0o755, "")))
	tests := map[string]pgcluster.Source{
		"another archive than the pinned one": pgcluster.NPMAt(good.url, old.sha512),
		"a platform without an archive":       pgcluster.NPMAt(good.url, ""),
		"a server that does not answer":       pgcluster.NPMAt("http://127.0.0.1:1/", good.sha512),
		"a version that is too old":           old.source(),
		"programs that do not run":            broken.source(),
		"names that lead out":                 evil.source(),
	}
	for name, source := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := pgcluster.Search{Cache: filepath.Join(tempDir(t), "loanserve", "postgresql")}
			_, err := s.Provision(t.Context(), func(string) {}, source)
			require.ErrorIs(t, err, pgcluster.ErrNotFound)
			require.ErrorContains(t, err, "install PostgreSQL with")
			left, err := os.ReadDir(s.Cache)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestProvisionTriesTheNextSource(t *testing.T) {
	t.Parallel()

	good := serve(t, installation(t, "18.4"))
	s := pgcluster.Search{Cache: filepath.Join(tempDir(t), "loanserve", "postgresql")}
	half := filepath.Join(s.Cache, "unpack-123", "native", "bin")
	require.NoError(t, os.MkdirAll(half, 0o755))
	b, err := s.Provision(t.Context(), func(string) {}, pgcluster.NPMAt(good.url, "wrong"), good.source())
	require.NoError(t, err)
	require.Equal(t, 18, b.Major)
	require.NoDirExists(t, half, "what a killed process left is gone")
}

// The real sources, over the network: set LOANSERVE_TEST_NETWORK=1.
func TestProvisionFromNetwork(t *testing.T) {
	t.Parallel()

	if os.Getenv("LOANSERVE_TEST_NETWORK") != "1" {
		t.Skip("LOANSERVE_TEST_NETWORK is not 1")
	}
	sources := map[string]pgcluster.Source{"debian": pgcluster.Debian(), "npm": pgcluster.NPM()}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := pgcluster.Search{Cache: filepath.Join(tempDir(t), "loanserve", "postgresql")}
			begin := time.Now()
			b, err := s.Provision(t.Context(), func(line string) { t.Log(line) }, source)
			require.NoError(t, err)
			t.Logf("fetched in %s: %+v", time.Since(begin), b)

			begin = time.Now()
			c, err := pgcluster.Start(t.Context(), pgcluster.Options{Binaries: b})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Stop()) })
			t.Logf("started in %s", time.Since(begin))
			t.Log(query(t, c.URL("postgres"), "SELECT version()"))
			require.Equal(t, "2026-07-01 12:00:00", query(t, c.URL("postgres"),
				"SELECT to_char(timestamptz '2026-07-01 16:00Z' AT TIME ZONE 'America/New_York', 'YYYY-MM-DD HH24:MI:SS')"))
			execute(t, c.URL("postgres"), "SET jit = on; SET jit_above_cost = 0; SELECT sum(g) FROM generate_series(1, 10) g")
			execute(t, c.URL("postgres"), "CREATE EXTENSION pgcrypto; CREATE EXTENSION amcheck")
		})
	}
}
