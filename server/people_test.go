package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/queries"
	"loanserve/server"
)

const goodPassword = "correct horse battery"

// anOperator is who makes people in tests.
var anOperator = server.Operator

// user adds a person with the good password.
func (l *live) user(t *testing.T, name string, roles ...string) queries.User {
	t.Helper()
	var user queries.User
	require.NoError(t, pgx.BeginFunc(t.Context(), l.db.App, func(tx pgx.Tx) (err error) {
		user, err = server.Users{Tx: tx}.Create(t.Context(), anOperator, queries.InsertUserParams{
			Name: name, FullName: "Person " + name, PasswordHash: server.HashPasswordAt(goodPassword, cheap),
		}, roles)
		return err
	}))
	return user
}

// anonymous sends a request without a token; header is pairs of name and value.
func (l *live) anonymous(method, target, body string, header ...string) *httptest.ResponseRecorder {
	return l.call(method, target, body, append(header, "Authorization", "")...)
}

func loginBody(name, password string) string {
	return fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)
}

// logIn returns the bearer token of a new session.
func (l *live) logIn(t *testing.T, name, password string) string {
	t.Helper()
	body := answer(t, l.anonymous(http.MethodPost, "/v1/sessions", loginBody(name, password)), http.StatusCreated)
	return body["token"].(string)
}

// logInBrowser returns the cookie of a new session.
func (l *live) logInBrowser(t *testing.T, name string, header ...string) string {
	t.Helper()
	body := strings.TrimSuffix(loginBody(name, goodPassword), "}") + `,"cookie":true}`
	w := l.anonymous(http.MethodPost, "/v1/sessions", body, header...)
	require.NotContains(t, answer(t, w, http.StatusCreated), "token", "a script must not see it")
	set := w.Header().Get("Set-Cookie")
	for _, attribute := range []string{"; Path=/;", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		require.Contains(t, set, attribute)
	}
	require.NotContains(t, set, "Domain")
	cookie, _, _ := strings.Cut(set, ";")
	require.True(t, strings.HasPrefix(cookie, server.SessionCookie+"="), set)
	return cookie
}

// events returns the actor, status and route of every event of the kind.
func (l *live) events(t *testing.T, kind string) []string {
	t.Helper()
	server.WriteEvents(l.Server)
	rows, err := l.db.Super.Query(t.Context(), `
		SELECT concat_ws(' ', actor, target, details->>'status', details->>'route') FROM auth_events
		WHERE kind = $1 ORDER BY id`, kind)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}

// super runs a statement that nobody but a test may.
func (l *live) super(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := l.db.Super.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// from sends a request without a token from the peer.
func (l *live) from(peer, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(peer), 4711).String()
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	return w
}
