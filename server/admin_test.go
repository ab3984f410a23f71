package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

func serveAdmin(f *fixture, checks []server.Check, target string) *httptest.ResponseRecorder {
	admin := server.NewAdmin(slog.New(slog.NewJSONHandler(f.log, nil)), f.registry, checks)
	w := httptest.NewRecorder()
	admin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func TestAdmin(t *testing.T) {
	t.Parallel()

	good := server.Check{Name: "database", Run: func(context.Context) error { return nil }}
	bad := server.Check{Name: "schema", Run: func(context.Context) error { return errors.New("version 3 of 4") }}
	tests := map[string]struct {
		checks []server.Check
		target string
		status int
		body   string
	}{
		"alive although nothing works": {[]server.Check{bad}, "/livez", 200, "ok\n"},
		"ready":                        {[]server.Check{good}, "/readyz", 200, "ok\n"},
		"not ready":                    {[]server.Check{good, bad}, "/readyz", 503, "service unavailable\n"},
		"which check failed":           {[]server.Check{good, bad}, "/readyz?verbose", 503, "database: ok\nschema: failed\n"},
		"profiles":                     {nil, "/debug/pprof/cmdline", 200, ""},
		"nothing else":                 {nil, "/", 404, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := setup(t)
			w := serveAdmin(f, tt.checks, tt.target)
			require.Equal(t, tt.status, w.Code)
			if tt.body != "" {
				require.Equal(t, tt.body, w.Body.String())
			}
			require.NotContains(t, w.Body.String(), "version")
		})
	}
}

// However many probes there are, the log has a line for each change.
func TestReadinessIsLoggedWhenItChanges(t *testing.T) {
	t.Parallel()

	f := setup(t)
	var fails atomic.Bool
	checks := []server.Check{
		{Name: "database", Run: func(context.Context) error { return nil }},
		{Name: "schema", Run: func(ctx context.Context) error {
			if fails.Load() {
				return errors.New("version 3 of 4")
			}
			return ctx.Err()
		}},
	}
	admin := server.NewAdmin(slog.New(slog.NewJSONHandler(f.log, nil)), f.registry, checks)
	probe := func(ctx context.Context) {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)
		admin.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, failing := range []bool{false, true, false, true} {
		fails.Store(failing)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { probe(t.Context()) })
		}
		all.Wait()
	}
	require.Equal(t, 2, strings.Count(f.log.String(), `"msg":"not ready","check":"schema","error":"version 3 of 4"`))
	require.Equal(t, 1, strings.Count(f.log.String(), `"msg":"ready again","check":"schema"`))

	// Who hangs up learns nothing, and neither do we.
	fails.Store(false)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	probe(gone)
	require.Equal(t, 3, strings.Count(f.log.String(), "\n"), f.log.String())
}
