package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

func TestLogInAndOut(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	user := l.user(t, "pat", "viewer")
	w := l.anonymous(http.MethodPost, "/v1/sessions", loginBody("PAT", goodPassword), "User-Agent", "test/1")
	opened := answer(t, w, http.StatusCreated)
	require.Empty(t, w.Header().Get("Set-Cookie"))
	require.Equal(t, []any{"viewer"}, opened["roles"])
	require.Equal(t, "Person pat", opened["full_name"])
	token := opened["token"].(string)

	answer(t, l.as(token).call(http.MethodGet, "/v1/loans", ""), 200)
	refused(t, l.as(token).call(http.MethodPost, "/v1/loans", boardingBody), 403, "forbidden")
	refused(t, l.as(token).call(http.MethodGet, "/v1/users", ""), 403, "forbidden")
	other := l.logIn(t, "pat", goodPassword)
	list := answer(t, l.as(token).call(http.MethodGet, "/v1/sessions", ""), 200)["data"].([]any)
	require.Len(t, list, 2)
	mine := list[1].(map[string]any)
	require.Equal(t, []any{true, "test/1", "192.0.2.1"}, []any{mine["current"], mine["user_agent"], mine["ip"]})

	gone := l.as(token).call(http.MethodDelete, "/v1/sessions/current", "")
	require.Equal(t, http.StatusNoContent, gone.Code, gone.Body.String())
	require.Contains(t, gone.Header().Get("Set-Cookie"), server.SessionCookie+"=; Path=/; Max-Age=0")
	refused(t, l.as(token).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	answer(t, l.as(other).call(http.MethodGet, "/v1/loans", ""), 200)

	me := fmt.Sprintf("user:%d", user.ID)
	require.Equal(t, []string{me + " " + me, me + " " + me}, l.events(t, "logged_in"))
	require.Equal(t, []string{me + " " + me}, l.events(t, "logged_out"))
	require.Equal(t, []string{
		me + " 403 /v1/loans", me + " 403 /v1/users", "nobody 401 /v1/loans",
	}, l.events(t, "request_refused"))
	require.NotContains(t, l.log.String(), goodPassword)
	require.NotContains(t, l.log.String(), token)
}

// A whole answer to whom nothing is known of: the same for each reason.
func TestLogInRefuses(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat")
	off := l.user(t, "off")
	far := l.user(t, "far")
	l.super(t, `UPDATE users SET disabled_at = now() WHERE id = $1`, off.ID)
	l.super(t, `INSERT INTO user_ip_allowlist (user_id, ip, label) VALUES ($1, '198.51.100.0/24', 'office')`, far.ID)
	want := ""
	for name, password := range map[string]string{
		"pat": "wrong password", "nobody": goodPassword, "off": goodPassword, "far": goodPassword,
	} {
		w := l.anonymous(http.MethodPost, "/v1/sessions", loginBody(name, password), "X-Request-Id", "r")
		refused(t, w, 401, "unauthenticated")
		if want == "" {
			want = w.Body.String()
		}
		require.Equal(t, want, w.Body.String(), name)
	}
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM sessions`))
	require.Equal(t, 4, l.count(t, `SELECT count(*) FROM login_attempts WHERE (name, outcome::text) IN (
		('pat', 'wrong_password'), ('nobody', 'unknown_name'), ('off', 'disabled'), ('far', 'address_refused'))`))
	for body, place := range map[string]string{
		`{"name":"pat"}`:                      "/password",
		`{"name":"","password":"x"}`:          "/name",
		`{"name":"pat","password":"x","a":1}`: "/a",
	} {
		require.Equal(t, []string{place}, refused(t, l.anonymous(http.MethodPost, "/v1/sessions", body), 422, "invalid"))
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	user := l.user(t, "pat", "viewer")
	for name, end := range map[string]string{
		"idle":               `UPDATE sessions SET last_seen_at = now() - interval '30 minutes 1 second'`,
		"expired":            `UPDATE sessions SET created_at = now() - interval '12 hours 1 second', expires_at = now() - interval '1 second'`,
		"revoked":            `UPDATE sessions SET revoked_at = now()`,
		"the user disabled":  `UPDATE users SET disabled_at = now()`,
		"deleted by cleanup": `DELETE FROM sessions`,
	} {
		token := l.logIn(t, "pat", goodPassword)
		answer(t, l.as(token).call(http.MethodGet, "/v1/sessions", ""), 200)
		l.super(t, end)
		w := l.as(token).call(http.MethodGet, "/v1/sessions", "")
		refused(t, w, 401, "unauthenticated")
		require.Contains(t, w.Header().Get("WWW-Authenticate"), "invalid_token", name)
		l.super(t, `UPDATE users SET disabled_at = NULL`)
		l.super(t, `DELETE FROM sessions`)
	}

	// Use moves the end of idleness on, to the minute.
	token := l.logIn(t, "pat", goodPassword)
	l.super(t, `UPDATE sessions SET last_seen_at = now() - interval '29 minutes'`)
	answer(t, l.as(token).call(http.MethodGet, "/v1/sessions", ""), 200)
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM sessions WHERE last_seen_at > now() - interval '1 minute'`))
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM sessions WHERE expires_at - created_at = interval '12 hours'`))

	// Roles are not remembered with it.
	l.super(t, `DELETE FROM user_roles WHERE user_id = $1`, user.ID)
	refused(t, l.as(token).call(http.MethodGet, "/v1/loans", ""), 403, "forbidden")
}

// A wrong secret, another session's number, and tokens of other kinds open nothing.
func TestForgedSessions(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat", "viewer")
	token := l.logIn(t, "pat", goodPassword)
	for name, forged := range map[string]string{
		"another secret":    server.SessionToken(1, server.NewTokenSecret()),
		"another number":    server.SessionToken(2, strings.Split(token, "_")[2][:32]),
		"a reset's token":   server.ResetToken(1, strings.Split(token, "_")[2][:32]),
		"a machine's token": server.FormatToken(1, strings.Split(token, "_")[2][:32]),
		"cut short":         token[:len(token)-1],
	} {
		refused(t, l.as(forged).call(http.MethodGet, "/v1/sessions", ""), 401, "unauthenticated")
		w := l.anonymous(http.MethodGet, "/v1/sessions", "", "Cookie", server.SessionCookie+"="+forged)
		require.Equal(t, 401, w.Code, name)
	}
	w := l.anonymous(http.MethodGet, "/v1/sessions", "", "Cookie", "loanserve="+token)
	refused(t, w, 401, "unauthenticated")
}

// Whoever makes a victim's browser hold a session, or a token of his making,
// gains nothing: logging in always opens a new one, and ends the one held.
func TestSessionFixation(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat", "viewer")
	planted := l.logInBrowser(t, "pat")
	answer(t, l.anonymous(http.MethodGet, "/v1/loans", "", "Cookie", planted), 200)
	fresh := l.logInBrowser(t, "pat", "Cookie", planted)
	require.NotEqual(t, planted, fresh)
	refused(t, l.anonymous(http.MethodGet, "/v1/loans", "", "Cookie", planted), 401, "unauthenticated")
	answer(t, l.anonymous(http.MethodGet, "/v1/loans", "", "Cookie", fresh), 200)

	made := server.SessionToken(77, server.NewTokenSecret())
	fresh = l.logInBrowser(t, "pat", "Cookie", server.SessionCookie+"="+made)
	require.NotContains(t, fresh, made)
	refused(t, l.as(made).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	require.Equal(t, []string{"nobody 401 /v1/loans", "nobody 401 /v1/loans"}, l.events(t, "request_refused"))
}

func TestPasswordChangeEndsEverySession(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat", "viewer")
	stolen, mine := l.logInBrowser(t, "pat"), l.logIn(t, "pat", goodPassword)
	change := func(current, next string) string {
		return fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, next)
	}
	const next = "another good password"
	refused(t, l.as(mine).call(http.MethodPut, "/v1/password", change("a guess", next)), 401, "unauthenticated")
	w := l.as(mine).call(http.MethodPut, "/v1/password", change(goodPassword, "short"))
	require.Equal(t, []string{"/new_password"}, refused(t, w, 422, "invalid"))
	answer(t, l.anonymous(http.MethodGet, "/v1/loans", "", "Cookie", stolen), 200)

	w = l.as(mine).call(http.MethodPut, "/v1/password", change(goodPassword, next))
	require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	refused(t, l.anonymous(http.MethodGet, "/v1/loans", "", "Cookie", stolen), 401, "unauthenticated")
	refused(t, l.as(mine).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	refused(t, l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword)), 401, "unauthenticated")
	l.logIn(t, "pat", next)
	require.Len(t, l.events(t, "password_changed"), 1)
	require.Contains(t, l.events(t, "request_refused"), "nobody 401 /v1/loans")
	require.NotContains(t, l.log.String(), next)
}

func TestLogOutEverywhere(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat", "viewer")
	l.user(t, "sam", "viewer")
	a, b, sam := l.logIn(t, "pat", goodPassword), l.logIn(t, "pat", goodPassword), l.logIn(t, "sam", goodPassword)

	// A session of somebody else is not there to be ended.
	refused(t, l.as(a).call(http.MethodDelete, "/v1/sessions/3", ""), 404, "not-found")
	require.Equal(t, http.StatusNoContent, l.as(a).call(http.MethodDelete, "/v1/sessions/2", "").Code)
	refused(t, l.as(b).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")

	require.Equal(t, http.StatusNoContent, l.as(a).call(http.MethodDelete, "/v1/sessions", "").Code)
	refused(t, l.as(a).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	answer(t, l.as(sam).call(http.MethodGet, "/v1/loans", ""), 200)
	refused(t, l.call(http.MethodDelete, "/v1/sessions", ""), 403, "forbidden") // a machine has none
}

// What another site makes a browser send changes nothing; reading is harmless,
// because the site does not see the answer.
func TestCrossSiteWrites(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat", "operator")
	cookie := l.logInBrowser(t, "pat", "Sec-Fetch-Site", "same-origin")
	loan := testdb.Loan(t, l.db.App)
	pay := func(header ...string) int {
		w := l.anonymous(http.MethodPost, fmt.Sprintf("/v1/loans/%d/payments", loan.ID), paymentBody,
			append(header, "Idempotency-Key", "k-1")...)
		return w.Code
	}
	for _, foreign := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		require.Equal(t, 403, pay(append(foreign, "Cookie", cookie)...), foreign)
		w := l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword), foreign...)
		refused(t, w, 403, "forbidden")
	}
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM payments`))
	answer(t, l.anonymous(http.MethodGet, "/v1/loans", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"), 200)
	require.Equal(t, 202, pay("Cookie", cookie, "Sec-Fetch-Site", "same-origin"))
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM payments JOIN principals ON principal = requested_by
		WHERE name = 'pat'`))
	require.Contains(t, l.events(t, "request_refused"), "nobody 403 /v1/loans/{loan_id}/payments")
	require.Equal(t, []string{"user:1 202 /v1/loans/{loan_id}/payments"}, l.events(t, "request_made"))
}
