package ops_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogInAndOut(t *testing.T) {
	t.Parallel()

	s := setup(t)
	anybody := s.browser(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/ops/loans?q=a", nil)
	require.NoError(t, err)
	status, header, _ := anybody.send(t, r)
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/ops/login?next="+url.QueryEscape("/ops/loans?q=a"), header.Get("Location"))

	b := s.user(t, "pat", "viewer")
	require.Contains(t, b.page(t, "/ops/loans"), "Loans")
	status, header, _ = b.post(t, "/ops/logout", nil)
	require.Equal(t, []any{http.StatusSeeOther, "/ops/login"}, []any{status, header.Get("Location")})
	status, _ = b.get(t, "/ops/loans")
	require.Equal(t, http.StatusSeeOther, status, "the session has ended")
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()

	s := setup(t)
	s.user(t, "pat", "viewer")
	b := s.browser(t)
	guess := url.Values{"name": {"pat"}, "password": {"wrong"}}
	for range 5 {
		status, _, body := b.post(t, "/ops/login", guess)
		require.Equal(t, http.StatusUnauthorized, status)
		require.Contains(t, body, "The name or the password is wrong.")
		require.Contains(t, body, `value="pat"`)
		require.NotContains(t, body, "wrong\"")
	}
	status, header, body := b.post(t, "/ops/login", guess)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	require.Contains(t, body, "Try again in")
	status, _, body = b.post(t, "/ops/login", url.Values{"name": {""}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "Give your name and your password.")
}

func TestLogInGoesNowhereElse(t *testing.T) {
	t.Parallel()

	s := setup(t)
	s.user(t, "pat", "viewer")
	for next, want := range map[string]string{
		"/ops/loans?q=a":    "/ops/loans?q=a",
		"":                  "/ops/",
		"https://evil.test": "/ops/",
		"//evil.test/ops/":  "/ops/",
		"/ops/..//evil":     "/ops/",
		"/ops/\\evil.test":  "/ops/",
		"/v1/loans":         "/ops/",
	} {
		status, header, _ := s.browser(t).post(t, "/ops/login",
			url.Values{"name": {"pat"}, "password": {password}, "next": {next}})
		require.Equal(t, []any{http.StatusSeeOther, want}, []any{status, header.Get("Location")}, next)
	}
}

// Another site can neither log somebody in nor have anything done.
func TestOtherSites(t *testing.T) {
	t.Parallel()

	s := setup(t)
	b := s.user(t, "pat", "operator")
	b.from = "cross-site"
	status, _, _ := b.post(t, "/ops/login", url.Values{"name": {"pat"}, "password": {password}})
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = b.post(t, "/ops/do/close-day", url.Values{"as_of_on": {"2026-01-02"}, "idempotency_key": {"k"}})
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = b.post(t, "/ops/logout", nil)
	require.Equal(t, http.StatusForbidden, status)
	var runs int
	require.NoError(t, s.db.App.QueryRow(t.Context(), `SELECT count(*) FROM runs`).Scan(&runs))
	require.Zero(t, runs)
	b.from = "same-origin"
	b.page(t, "/ops/loans")
}
