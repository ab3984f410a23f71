package server_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/queries"
	"loanserve/server"
)

// admins gives a server with two admins, and the token of the first's session.
func admins(t *testing.T) (l *live, root queries.User, token string) {
	t.Helper()
	l = setupLive(t)
	root = l.user(t, "root", "admin")
	l.user(t, "deputy", "admin")
	return l, root, l.logIn(t, "root", goodPassword)
}

func userPath(id any, rest string) string { return fmt.Sprintf("/v1/users/%v%s", id, rest) }

func TestCreateAndChangeUsers(t *testing.T) {
	t.Parallel()

	l, root, admin := admins(t)
	body := `{"name":"pat","full_name":"Pat Lee","password":"correct horse battery","roles":["viewer","operator"]}`
	w := l.as(admin).call(http.MethodPost, "/v1/users", body)
	made := answer(t, w, http.StatusCreated)
	location := w.Header().Get("Location")
	require.Equal(t, userPath(made["user_id"], ""), location)
	require.Equal(t, []any{"viewer", "operator"}, made["roles"])
	require.NotContains(t, w.Body.String(), "battery")
	require.Equal(t, []string{"/name"}, refused(t, l.as(admin).call(http.MethodPost, "/v1/users", body), 409, "conflict"))
	pat := l.logIn(t, "pat", goodPassword)

	put := func(role string) int { return l.as(admin).call(http.MethodPut, location+"/roles/"+role, "").Code }
	require.Equal(t, 409, put("approver"), "nobody is operator and approver")
	require.Equal(t, 204, l.as(admin).call(http.MethodDelete, location+"/roles/operator", "").Code)
	require.Equal(t, 204, put("approver"))
	require.Equal(t, 204, put("approver"), "again is no mistake")
	require.Equal(t, 422, put("root"))
	got := answer(t, l.as(admin).call(http.MethodGet, location, ""), 200)
	require.Equal(t, []any{"viewer", "approver"}, got["roles"])
	require.Equal(t, 1, l.count(t, fmt.Sprintf(`SELECT count(*) FROM user_roles
		WHERE assigned_by = %d AND assigned_by_name = 'root' AND role_id = 3`, root.ID)))

	// Nobody gives himself a role, nor takes one from himself.
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		refused(t, l.as(admin).call(method, userPath(root.ID, "/roles/auditor"), ""), 403, "forbidden")
	}

	disabled := answer(t, l.as(admin).call(http.MethodPatch, location, `{"disabled":true}`), 200)
	require.Equal(t, true, disabled["disabled"])
	refused(t, l.as(pat).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	answer(t, l.as(admin).call(http.MethodPatch, location, `{"disabled":false}`), 200)
	refused(t, l.as(pat).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated") // It does not come back.
	pat = l.logIn(t, "pat", goodPassword)

	require.Equal(t, 204, l.as(admin).call(http.MethodDelete, location, "").Code)
	refused(t, l.as(pat).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	for _, w := range []int{
		l.as(admin).call(http.MethodGet, location, "").Code, l.as(admin).call(http.MethodDelete, location, "").Code,
		l.as(admin).call(http.MethodPatch, location, `{"disabled":true}`).Code, put("viewer"),
		l.as(admin).call(http.MethodPost, location+"/networks", `{"ip":"10.0.0.0/8","label":"x"}`).Code,
		l.as(admin).call(http.MethodPost, location+"/password-resets", "").Code,
	} {
		require.Equal(t, 404, w)
	}
	require.Equal(t, []string{"user:1 user:3"}, l.events(t, "user_deleted"))
	require.Len(t, l.events(t, "role_granted"), 1, "a role given again is no event")
	require.Contains(t, l.events(t, "request_made"), "user:1 404 /v1/users/{user_id}", "a try is one")
}

func TestUsersAreRefused(t *testing.T) {
	t.Parallel()

	l, _, admin := admins(t)
	for body, place := range map[string]string{
		`{"name":"Pat","full_name":"P"}`:                                                  "/name",
		`{"name":"-pat","full_name":"P"}`:                                                 "/name",
		`{"name":"pat","full_name":""}`:                                                   "/full_name",
		`{"name":"pat","full_name":"P","password":"short"}`:                               "/password",
		`{"name":"pat.averylongname","full_name":"P","password":"PAT.averylongname"}`:     "/password",
		`{"name":"pat","full_name":"P","roles":["root"]}`:                                 "/roles/0",
		`{"name":"pat","full_name":"P","password_hash":"$argon2id$v=19$m=8,t=1,p=1$a$b"}`: "/password_hash",
	} {
		w := l.as(admin).call(http.MethodPost, "/v1/users", body)
		require.Equal(t, []string{place}, refused(t, w, 422, "invalid"), body)
	}
	w := l.as(admin).call(http.MethodPost, "/v1/users", `{"name":"pat","full_name":"P","roles":["operator","approver"]}`)
	refused(t, w, 409, "conflict")

	// A viewer, an operator and a machine manage nobody.
	l.user(t, "op", "operator")
	op := l.logIn(t, "op", goodPassword)
	machine := l.newToken(t, server.ScopeUsersRead)
	for _, token := range []string{op, machine} {
		for _, try := range [][2]string{
			{http.MethodPost, "/v1/users"},
			{http.MethodDelete, "/v1/users/1"},
			{http.MethodPut, "/v1/users/1/roles/admin"},
			{http.MethodPost, "/v1/users/1/networks"},
			{http.MethodPost, "/v1/users/1/password-resets"},
		} {
			refused(t, l.as(token).call(try[0], try[1], ""), 403, "forbidden")
		}
	}
	answer(t, l.as(machine).call(http.MethodGet, "/v1/users", ""), 200)
}

// Two admins who take each other away at the same moment: one of them is left.
func TestTheLastAdminStays(t *testing.T) {
	t.Parallel()

	for round := range 10 {
		l, root, admin := admins(t)
		deputy := l.logIn(t, "deputy", goodPassword)
		l.user(t, "off", "admin")
		l.super(t, `UPDATE users SET disabled_at = now() WHERE name = 'off'`) // A disabled one is none.
		other := root.ID + 1
		tries := []func(token string, id int64) int{
			func(token string, id int64) int {
				return l.as(token).call(http.MethodDelete, userPath(id, ""), "").Code
			},
			func(token string, id int64) int {
				return l.as(token).call(http.MethodPatch, userPath(id, ""), `{"disabled":true}`).Code
			},
			func(token string, id int64) int {
				return l.as(token).call(http.MethodDelete, userPath(id, "/roles/admin"), "").Code
			},
		}
		var both sync.WaitGroup
		both.Go(func() { tries[round%3](admin, other) })
		both.Go(func() { tries[(round/3)%3](deputy, root.ID) })
		both.Wait()
		require.Equal(t, 1, l.count(t, `SELECT count(*) FROM user_roles ur JOIN users u ON u.id = ur.user_id
			WHERE ur.role_id = 5 AND u.disabled_at IS NULL`), round)
	}
	l := setupLive(t)
	root := l.user(t, "root", "admin")
	admin := l.logIn(t, "root", goodPassword)
	refused(t, l.as(admin).call(http.MethodDelete, userPath(root.ID, ""), ""), 409, "conflict")
	refused(t, l.as(admin).call(http.MethodPatch, userPath(root.ID, ""), `{"disabled":true}`), 409, "conflict")
}

func TestListUsersAndEvents(t *testing.T) {
	t.Parallel()

	l, _, admin := admins(t)
	for i := range 5 {
		l.user(t, "pat"+strconv.Itoa(i), "viewer")
	}
	var names []string
	for next := "/v1/users?limit=3"; next != ""; {
		w := l.as(admin).call(http.MethodGet, next, "")
		for _, item := range answer(t, w, 200)["data"].([]any) {
			names = append(names, item.(map[string]any)["name"].(string))
			require.NotContains(t, item, "password_hash")
		}
		next = nextPage(w)
	}
	require.Equal(t, []string{"root", "deputy", "pat0", "pat1", "pat2", "pat3", "pat4"}, names)

	seen := 0
	last := 1e18
	for next := "/v1/auth-events?limit=3"; next != ""; {
		w := l.as(admin).call(http.MethodGet, next, "")
		for _, item := range answer(t, w, 200)["data"].([]any) {
			e := item.(map[string]any)
			require.Less(t, e["event_id"].(float64), last, "the latest first")
			last = e["event_id"].(float64)
			require.NotEmpty(t, e["actor_name"])
			seen++
		}
		next = nextPage(w)
	}
	require.Equal(t, 8, seen, "seven users and a login")
}

func TestNetworks(t *testing.T) {
	t.Parallel()

	l, _, admin := admins(t)
	user := l.user(t, "pat", "viewer")
	networks := userPath(user.ID, "/networks")
	pat := l.logIn(t, "pat", goodPassword)
	for body, place := range map[string]string{
		`{"ip":"192.0.2.1/24","label":"x"}`:                                "/ip",
		`{"ip":"x","label":"x"}`:                                           "/ip",
		`{"ip":"","label":"x"}`:                                            "/ip",
		`{"ip":"10.0.0.0/8","label":""}`:                                   "/label",
		`{"ip":"10.0.0.0/8","label":"x","ends_at":"2020-01-01T00:00:00Z"}`: "/ends_at",
	} {
		require.Equal(t, []string{place}, refused(t, l.as(admin).call(http.MethodPost, networks, body), 422, "invalid"), body)
	}
	first := answer(t, l.as(admin).call(http.MethodPost, networks, `{"ip":"198.51.100.0/24","label":"office"}`), 201)
	refused(t, l.as(admin).call(http.MethodPost, networks, `{"ip":"198.51.100.0/24","label":"again"}`), 409, "conflict")
	refused(t, l.as(pat).call(http.MethodGet, "/v1/loans", ""), 403, "forbidden") // At once, for sessions that are open.

	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	answer(t, l.as(admin).call(http.MethodPost, networks, `{"ip":"192.0.2.1","label":"desk","ends_at":"`+until+`"}`), 201)
	answer(t, l.as(pat).call(http.MethodGet, "/v1/loans", ""), 200)
	data := answer(t, l.as(admin).call(http.MethodGet, networks, ""), 200)["data"].([]any)
	require.Len(t, data, 2)
	require.Equal(t, "192.0.2.1/32", data[1].(map[string]any)["ip"])

	path := fmt.Sprintf("%s/%v", networks, first["network_id"])
	require.Equal(t, 204, l.as(admin).call(http.MethodDelete, path, "").Code)
	refused(t, l.as(admin).call(http.MethodDelete, path, ""), 404, "not-found")
	require.Len(t, l.events(t, "network_allowed"), 2)
	require.Len(t, l.events(t, "network_removed"), 1)
}

func TestPasswordResets(t *testing.T) {
	t.Parallel()

	l, _, admin := admins(t)
	made := answer(t, l.as(admin).call(http.MethodPost, "/v1/users", `{"name":"pat","full_name":"Pat"}`), 201)
	resets := userPath(made["user_id"], "/password-resets")
	void := answer(t, l.as(admin).call(http.MethodPost, resets, ""), 201)["token"].(string)
	token := answer(t, l.as(admin).call(http.MethodPost, resets, ""), 201)["token"].(string)
	set := func(token, password string) int {
		body := fmt.Sprintf(`{"token":%q,"new_password":%q}`, token, password)
		return l.anonymous(http.MethodPost, "/v1/password-resets", body).Code
	}
	require.Equal(t, 401, set(void, goodPassword), "a new one voids it")
	require.Equal(t, 401, set("x", goodPassword))
	require.Equal(t, 401, set(server.ResetToken(int64(made["user_id"].(float64)), server.NewTokenSecret()), goodPassword))
	require.Equal(t, 401, set(server.ResetToken(99, server.NewTokenSecret()), goodPassword))
	require.Equal(t, 422, set(token, "short"))
	require.Equal(t, 204, set(token, goodPassword))
	require.Equal(t, 401, set(token, goodPassword), "once")
	session := l.logIn(t, "pat", goodPassword)

	token = answer(t, l.as(admin).call(http.MethodPost, resets, ""), 201)["token"].(string)
	l.super(t, `UPDATE password_resets
		SET created_at = now() - interval '1 hour', expires_at = now() - interval '1 second'`)
	require.Equal(t, 401, set(token, "another good one"))
	token = answer(t, l.as(admin).call(http.MethodPost, resets, ""), 201)["token"].(string)
	require.Equal(t, 204, set(token, "another good one"))
	refused(t, l.as(session).call(http.MethodGet, "/v1/sessions", ""), 401, "unauthenticated")
	require.Equal(t, []string{"user:3 user:3", "user:3 user:3"}, l.events(t, "password_changed"))
}

// A token is good only from its networks, and does no more than its owner may.
func TestTokensOfUsers(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	user := l.user(t, "pat", "viewer")
	make := func(edit func(*queries.InsertAPITokenParams)) string {
		secret := server.NewTokenSecret()
		arg := queries.InsertAPITokenParams{
			Name: "machine", TokenHash: server.HashTokenSecret(secret),
			Scopes: []string{server.ScopeLoansRead, server.ScopeLoansWrite},
		}
		edit(&arg)
		var row queries.ApiToken
		require.NoError(t, pgx.BeginFunc(t.Context(), l.db.App, func(tx pgx.Tx) (err error) {
			row, err = server.CreateToken(t.Context(), tx, anOperator, arg)
			return err
		}))
		return server.FormatToken(row.ID, secret)
	}
	from := func(networks ...string) func(*queries.InsertAPITokenParams) {
		return func(arg *queries.InsertAPITokenParams) {
			for _, n := range networks {
				arg.Cidrs = append(arg.Cidrs, netip.MustParsePrefix(n))
			}
		}
	}
	get := func(token, peer string) int {
		return l.from(peer, http.MethodGet, "/v1/loans", "", "Authorization", "Bearer "+token).Code
	}
	fenced := make(from("10.0.0.0/8", "2001:db8::/32"))
	require.Equal(t, []int{200, 200, 403, 403}, []int{
		get(fenced, "10.1.1.1"), get(fenced, "2001:db8::1"), get(fenced, "192.0.2.1"), get(fenced, "2001:db9::1"),
	})
	require.Contains(t, l.events(t, "request_refused"), "token:2 403 /v1/loans")

	past := time.Now().Add(-time.Second)
	expired := make(func(arg *queries.InsertAPITokenParams) { later := past.Add(time.Hour); arg.ExpiresAt = &later })
	l.super(t, `UPDATE api_tokens SET created_at = $1::timestamptz - interval '1 hour', expires_at = $1
		WHERE id = 3`, past)
	require.Equal(t, 401, get(expired, "10.1.1.1"))
	require.Contains(t, l.events(t, "request_refused"), "token:3 401 /v1/loans")

	owned := make(func(arg *queries.InsertAPITokenParams) { arg.UserID = &user.ID })
	answer(t, l.as(owned).call(http.MethodGet, "/v1/loans", ""), 200)
	refused(t, l.as(owned).call(http.MethodPost, "/v1/loans", boardingBody), 403, "forbidden") // Its owner is a viewer.
	off := make(func(arg *queries.InsertAPITokenParams) { arg.UserID = &user.ID })
	l.super(t, `UPDATE users SET disabled_at = now()`)
	refused(t, l.as(off).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	require.Len(t, l.events(t, "token_created"), 4)
}
