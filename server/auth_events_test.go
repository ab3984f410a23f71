package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

// watcher is an answer that looks at the audit trail before it begins.
type watcher struct {
	*httptest.ResponseRecorder

	look func()
}

func (w *watcher) WriteHeader(status int) {
	w.look()
	w.ResponseRecorder.WriteHeader(status)
}

// Whatever is refused is on record before anybody learns of it, and so is what
// changes people.
func TestEventsComeBeforeAnswers(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	payments := payTo(t, l)
	l.user(t, "pat", "admin")
	admin := l.logIn(t, "pat", goodPassword)
	reader := l.newToken(t, server.ScopeLoansRead)
	throttled := func() {
		for range server.FreeFailures {
			l.guess(t, "nobody", "wrong")
		}
	}
	for name, tt := range map[string]struct {
		before             func()
		token              string
		method, path, body string
		status             int
		kind, actor        string
	}{
		"a bad token":         {nil, "x", "GET", "/v1/loans", "", 401, "request_refused", "nobody"},
		"a missing scope":     {nil, reader, "POST", payments, paymentBody, 403, "request_refused", "token:2"},
		"a wrong password":    {nil, "", "POST", "/v1/sessions", loginBody("pat", "wrong"), 401, "request_refused", "nobody"},
		"too many guesses":    {throttled, "", "POST", "/v1/sessions", loginBody("nobody", "wrong"), 429, "request_refused", "nobody"},
		"a body that is none": {nil, l.token, "POST", payments, `{"amount_cents":0}`, 422, "request_made", "token:1"},
		"a user that is none": {nil, admin, "DELETE", userPath(77, ""), "", 404, "request_made", "user:1"},
		"a new user":          {nil, admin, "POST", "/v1/users", `{"name":"new","full_name":"New"}`, 201, "user_created", "user:1"},
		"a role":              {nil, admin, "PUT", userPath(1, "/roles/admin"), "", 403, "request_refused", "user:1"},
		"a log-in":            {nil, "", "POST", "/v1/sessions", loginBody("pat", goodPassword), 201, "logged_in", "user:1"},
		"a password":          {nil, admin, "POST", userPath(1, "/password-resets"), "", 201, "password_reset_allowed", "user:1"},
	} {
		if tt.before != nil {
			tt.before()
		}
		id := strings.ReplaceAll(name, " ", "-")
		seen := 0
		w := &watcher{ResponseRecorder: httptest.NewRecorder(), look: func() {
			seen = l.count(t, fmt.Sprintf(`SELECT count(*) FROM auth_events
				WHERE request_id = '%s' AND kind = '%s' AND actor = '%s'`, id, tt.kind, tt.actor))
		}}
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-Id", id)
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		l.Handler().ServeHTTP(w, r)
		require.Equal(t, tt.status, w.Code, "%s: %s", name, w.Body)
		require.Equal(t, 1, seen, name)
	}
	server.WriteEvents(l.Server)
	require.Zero(t, l.count(t, `SELECT count(*) FROM (SELECT FROM auth_events WHERE request_id LIKE 'a-%'
		GROUP BY request_id HAVING count(*) > 1) twice`))
}

// A flood of refusals is not one of rows, and none is left out.
func TestRefusalsThatAreAlikeBecomeOne(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	const clients, each = 40, 25
	began := time.Now()
	var flood sync.WaitGroup
	for range clients {
		flood.Go(func() {
			for range each {
				if w := l.as("x").call(http.MethodGet, "/v1/loans", ""); w.Code != http.StatusUnauthorized {
					t.Errorf("a bad token: %d %s", w.Code, w.Body)
				}
			}
		})
	}
	flood.Wait()
	require.Equal(t, clients*each, l.count(t, `SELECT sum(requests) FROM auth_events`), "each, and before its answer")
	require.LessOrEqual(t, l.count(t, `SELECT count(*) FROM auth_events`), 1+int(time.Since(began)/server.EventRest))
}

// While the audit trail cannot be written, what is refused stays refused, and
// whoever asks learns it. Payments do not wait for it at all.
func TestTheAuditTrailIsInTheWay(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	payments := payTo(t, l)
	answer(t, l.call(http.MethodGet, "/v1/loans", ""), 200) // The token is known.
	held, err := l.db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), `LOCK TABLE auth_events IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	began := time.Now()
	answer(t, l.call(http.MethodPost, payments, paymentBody, "Idempotency-Key", "k"), 202)
	require.Less(t, time.Since(began), server.EventPatience)
	refused(t, l.as("x").call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	require.NoError(t, held.Rollback(t.Context()))
	require.Equal(t, []string{"nobody 401 /v1/loans"}, l.events(t, "request_refused"), "it was only late")

	l.db.App.Close()
	for range 3 {
		refused(t, l.as("x").call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	}
	server.WriteEvents(l.Server)
	require.Contains(t, l.log.String(), "auth events lost")
}

// An address that only the machine itself can tell apart is stored without that.
func TestEventsOfLinkLocalAddresses(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat", "viewer")
	for _, body := range []string{loginBody("pat", "wrong"), loginBody("pat", goodPassword)} {
		r := httptest.NewRequest(http.MethodPost, "/v1/sessions", strings.NewReader(body))
		r.RemoteAddr = "[fe80::1%eth0]:4711"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		l.Handler().ServeHTTP(w, r)
		require.Less(t, w.Code, 500, w.Body.String())
	}
	require.Equal(t, 2, l.count(t, `SELECT count(*) FROM auth_events WHERE ip = 'fe80::1'
		AND kind IN ('request_refused', 'logged_in')`))
}

// What changes nothing, because it was so before, is told as a request.
func TestChangesThatChangeNothing(t *testing.T) {
	t.Parallel()

	l, root, admin := admins(t)
	grant := userPath(root.ID+1, "/roles/auditor")
	for range 2 {
		require.Equal(t, 204, l.as(admin).call(http.MethodPut, grant, "").Code)
	}
	require.Len(t, l.events(t, "role_granted"), 1)
	require.Equal(t, []string{"user:1 204 /v1/users/{user_id}/roles/{role}"}, l.events(t, "request_made"))
}
