package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

// makeToken asks for a token of the scopes, under a key of its own; more is
// further members of the body.
func (l *live) makeToken(scopes, more string) *httptest.ResponseRecorder {
	return l.ask("/v1/tokens", fmt.Sprintf(`{"name":"lockbox","scopes":["%s"]%s}`,
		strings.ReplaceAll(scopes, " ", `","`), more))
}

// team is a server with a person of each role but auditor, each logged in.
func team(t *testing.T, edits ...func(*server.Options)) (l *live, by map[string]*live) {
	t.Helper()
	l = setupLive(t, edits...)
	by = map[string]*live{}
	for _, role := range []string{"viewer", "operator", "approver", "admin"} {
		l.user(t, role, role)
		by[role] = l.as(l.logIn(t, role, goodPassword))
	}
	return l, by
}

func TestPeopleMakeTokens(t *testing.T) {
	t.Parallel()

	l, by := team(t)
	payments := payTo(t, l)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	w := by["operator"].makeToken("payments:write payments:write loans:read",
		`,"cidrs":["192.0.2.0/24","2001:db8::1"],"expires_at":"`+until+`"`)
	got := answer(t, w, http.StatusCreated)
	token := got["token"].(string)
	require.Equal(t, fmt.Sprint("/v1/tokens/", got["token_id"]), w.Header().Get("Location"))
	delete(got, "token")
	require.Equal(t, []any{"loans:read", "payments:write"}, got["scopes"])
	require.Equal(t, []any{"192.0.2.0/24", "2001:db8::1/128"}, got["cidrs"])
	require.Equal(t, []any{until, "user:2", 2.0}, []any{got["expires_at"], got["requested_by"], got["user_id"]})

	call := func(peer, method, target, body string, header ...string) int {
		return l.from(peer, method, target, body, append(header, "Authorization", "Bearer "+token)...).Code
	}
	require.Equal(t, 202, call("192.0.2.9", http.MethodPost, payments, paymentBody, "Idempotency-Key", "k"))
	require.Equal(t, 403, call("192.0.3.9", http.MethodGet, "/v1/loans", ""), "from elsewhere")
	require.Equal(t, 403, call("192.0.2.9", http.MethodPost, "/v1/loans", boardingBody), "another scope of its user")

	listed := answer(t, by["operator"].call(http.MethodGet, "/v1/tokens", ""), 200)["data"].([]any)
	require.Len(t, listed, 1)
	require.NotContains(t, listed[0], "token")
	for range 2 { // Again is no mistake.
		require.Equal(t, 204, by["operator"].call(http.MethodDelete, w.Header().Get("Location"), "").Code)
	}
	require.Equal(t, 401, call("192.0.2.9", http.MethodGet, "/v1/loans", ""), "at once, where it was revoked")
	listed = answer(t, by["operator"].call(http.MethodGet, "/v1/tokens", ""), 200)["data"].([]any)
	require.NotEmpty(t, listed[0].(map[string]any)["revoked_at"])

	require.Equal(t, []string{"user:2 user:2"}, l.events(t, "token_created"))
	require.Equal(t, []string{"user:2 user:2"}, l.events(t, "token_revoked"))
	require.NotContains(t, strings.Join(l.events(t, "request_made"), "\n"), " 201 /v1/tokens", "told twice")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM auth_events WHERE kind = 'token_created'
		AND details->'scopes' = '["loans:read","payments:write"]' AND details ? 'expires_at'`))
	require.NotContains(t, l.log.String(), token)
}

// Nobody gets by a token what he does not have, whatever his powers over others.
func TestTokensGiveNothingNew(t *testing.T) {
	t.Parallel()

	l, by := team(t)
	money := slices.Concat(server.Roles["operator"], server.Roles["approver"])
	money = slices.DeleteFunc(money, func(scope string) bool {
		return slices.Contains(server.Roles["admin"], scope)
	})
	for _, scope := range money {
		// His own, an operator's, an approver's.
		for _, owner := range []string{"", `,"user_id":4`, `,"user_id":2`, `,"user_id":3`} {
			w := by["admin"].makeToken("runs:read "+scope, owner)
			require.Equal(t, []string{"/scopes/1"}, refused(t, w, 403, "forbidden"), "an admin has no money: %s", scope)
		}
	}
	refused(t, by["operator"].makeToken("payments:reverse payments:approve", ""), 403, "forbidden")
	refused(t, by["approver"].makeToken("payments:approve payments:reverse", ""), 403, "forbidden")
	refused(t, by["operator"].makeToken("users:write", ""), 403, "forbidden")
	refused(t, by["viewer"].makeToken("loans:read", `,"user_id":2`), 403, "forbidden")
	require.Equal(t, []string{"/scopes/0"}, refused(t, by["viewer"].makeToken("self", ""), 422, "invalid"))
	w := by["admin"].makeToken("runs:read users:read", `,"user_id":1`)
	require.Equal(t, []string{"/scopes/1"}, refused(t, w, 422, "invalid"), "a viewer has no such scope")
	require.Equal(t, []string{"/user_id"}, refused(t, by["admin"].makeToken("runs:read", `,"user_id":77`), 422, "invalid"))

	// A token makes no token, nor does whoever has every scope and no session.
	refused(t, l.makeToken("loans:read", ""), 403, "forbidden")
	made := answer(t, by["viewer"].makeToken("loans:read", ""), 201)
	refused(t, l.as(made["token"].(string)).makeToken("loans:read", ""), 403, "forbidden")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM api_tokens WHERE requested_by IS NOT NULL`))
	require.Len(t, l.events(t, "token_created"), 1)

	// What the admin may do himself he may let a machine of another user do.
	watch := answer(t, by["admin"].makeToken("runs:read", `,"user_id":1`), 201)
	require.InDelta(t, 1, watch["user_id"], 0)
	require.Equal(t, 200, l.as(watch["token"].(string)).call(http.MethodGet, "/v1/runs", "").Code)
	require.Contains(t, l.events(t, "token_created"), "user:4 user:1")
}

// Who was operator and is approver does not approve what he asked for, by
// whatever token: it does no more than he may, and it is the same person.
func TestTokensKeepMakerAndCheckerApart(t *testing.T) {
	t.Parallel()

	l, by := team(t, withApproval)
	l.work(t)
	payment := l.pay(t, testdb.Loan(t, l.db.App), receipts[0])[0]
	maker := l.as(answer(t, by["operator"].makeToken("payments:reverse payments:read", ""), 201)["token"].(string))
	asked := maker.ask(payment+"/reversals", `{"reason":"R01"}`)
	require.Equal(t, "pending_approval", answer(t, asked, http.StatusAccepted)["status"])
	approval := asked.Header().Get("Location") + "/approval"
	refused(t, maker.call(http.MethodPost, approval, ""), 403, "forbidden")

	require.Equal(t, 204, by["admin"].call(http.MethodDelete, userPath(2, "/roles/operator"), "").Code)
	require.Equal(t, 204, by["admin"].call(http.MethodPut, userPath(2, "/roles/approver"), "").Code)
	checker := l.as(answer(t, by["operator"].makeToken("payments:approve", ""), 201)["token"].(string))
	refused(t, by["operator"].call(http.MethodPost, approval, ""), 403, "own-request")
	refused(t, checker.call(http.MethodPost, approval, ""), 403, "own-request")
	refused(t, by["operator"].makeToken("payments:reverse", ""), 403, "forbidden")
	server.ForgetTokens(l.Server)
	refused(t, maker.ask(payment+"/reversals", `{"reason":"R01"}`), 403, "forbidden")

	other := l.as(answer(t, by["approver"].makeToken("payments:approve", ""), 201)["token"].(string))
	require.Equal(t, "requested", answer(t, other.call(http.MethodPost, approval, ""), 202)["status"])
}

// Who may come only from some networks comes from no others by a token.
func TestTokensKeepToTheNetworksOfTheirUser(t *testing.T) {
	t.Parallel()

	l, by := team(t)
	token := answer(t, by["viewer"].makeToken("loans:read", `,"cidrs":["10.0.0.0/8","192.0.2.0/24"]`), 201)["token"]
	use := func(peer string) int {
		server.ForgetTokens(l.Server)
		return l.from(peer, http.MethodGet, "/v1/loans", "", "Authorization", "Bearer "+token.(string)).Code
	}
	require.Equal(t, []int{200, 200, 403}, []int{use("10.1.1.1"), use("192.0.2.1"), use("203.0.113.1")})
	for _, ip := range []string{"192.0.2.0/24", "203.0.113.0/24"} {
		body := fmt.Sprintf(`{"ip":%q,"label":"office"}`, ip)
		require.Equal(t, 201, by["admin"].call(http.MethodPost, userPath(1, "/networks"), body).Code)
	}
	require.Equal(t, []int{403, 200, 403}, []int{use("10.1.1.1"), use("192.0.2.1"), use("203.0.113.1")})
	l.super(t, `UPDATE user_ip_allowlist SET begins_at = now() - interval '2 hours', ends_at = now() - interval '1 hour'`)
	require.Equal(t, []int{403, 403, 403}, []int{use("10.1.1.1"), use("192.0.2.1"), use("203.0.113.1")})
}

func TestRepeatedTokens(t *testing.T) {
	t.Parallel()

	l, by := team(t)
	const body = `{"name":"n","scopes":["runs:read"]}`
	create := func(who, body string) *httptest.ResponseRecorder {
		return by[who].call(http.MethodPost, "/v1/tokens", body, "Idempotency-Key", "t-1")
	}
	first := create("viewer", body)
	made := answer(t, first, 201)
	again := create("viewer", `{"scopes": ["runs:read"], "name": "n"}`)
	got := answer(t, again, 201)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
	require.NotContains(t, got, "token", "nobody has the secret any more")
	delete(made, "token")
	require.Equal(t, made, got)
	refused(t, create("viewer", `{"name":"m","scopes":["runs:read"]}`), 422, "key-reused")
	require.NotEqual(t, made["token_id"], answer(t, create("admin", body), 201)["token_id"], "keys are each one's own")
	refused(t, by["viewer"].call(http.MethodPost, "/v1/tokens", body), 400, "key-missing")

	var secrets, answers sync.Map
	var together sync.WaitGroup
	for n := range 16 {
		together.Go(func() {
			w := by["viewer"].call(http.MethodPost, "/v1/tokens", body, "Idempotency-Key", "t-2")
			answers.Store(n, w.Code)
			if strings.Contains(w.Body.String(), "loanserve_") {
				secrets.Store(n, true)
			}
		})
	}
	together.Wait()
	n := 0
	secrets.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n, "one of them is told the secret")
	answers.Range(func(_, code any) bool { require.Equal(t, 201, code); return true })
	require.Equal(t, 3, l.count(t, `SELECT count(*) FROM api_tokens WHERE idempotency_key IS NOT NULL`))
	require.Len(t, l.events(t, "token_created"), 3)
}

func TestTokensAreSeenByWhoMay(t *testing.T) {
	t.Parallel()

	l, by := team(t)
	machine := l.as(l.newToken(t, "runs:read", "self")) // token 2; token 1 may everything
	for _, who := range []string{"viewer", "operator", "viewer"} {
		require.Equal(t, 201, by[who].makeToken("runs:read", "").Code)
	}
	ids := func(w *httptest.ResponseRecorder) (all []float64) {
		for _, item := range answer(t, w, 200)["data"].([]any) {
			all = append(all, item.(map[string]any)["token_id"].(float64))
		}
		return all
	}
	list := func(who, query string) *httptest.ResponseRecorder {
		return by[who].call(http.MethodGet, "/v1/tokens"+query, "")
	}
	require.Equal(t, []float64{3, 5}, ids(list("viewer", "")))
	require.Equal(t, []float64{3, 5}, ids(list("viewer", "?user_id=1")))
	refused(t, list("viewer", "?user_id=2"), 403, "forbidden")
	require.Equal(t, []float64{1, 2, 3, 4, 5}, ids(list("admin", "")))
	require.Equal(t, []float64{1, 2, 3, 4, 5}, ids(l.call(http.MethodGet, "/v1/tokens", "")))
	require.Equal(t, []float64{3, 5}, ids(list("admin", "?user_id=1")))
	page := list("admin", "?user_id=1&limit=1")
	require.Equal(t, []float64{3}, ids(page))
	_, next, _ := strings.Cut(page.Header().Get("Link"), "<")
	next, _, _ = strings.Cut(next, ">")
	require.Equal(t, []float64{5}, ids(by["admin"].call(http.MethodGet, next, "")))
	refused(t, machine.call(http.MethodGet, "/v1/tokens", ""), 403, "forbidden")

	revoke := func(l *live, id int) *httptest.ResponseRecorder {
		return l.call(http.MethodDelete, fmt.Sprint("/v1/tokens/", id), "")
	}
	for _, id := range []int{1, 4, 77} { // nobody's, another's, none
		refused(t, revoke(by["viewer"], id), 404, "not-found")
	}
	refused(t, revoke(machine, 2), 403, "forbidden")
	require.Zero(t, l.count(t, `SELECT count(*) FROM api_tokens WHERE revoked_at IS NOT NULL`))
	refused(t, revoke(by["admin"], 77), 404, "not-found")
	require.Equal(t, 204, revoke(by["admin"], 2).Code)
	require.Equal(t, 204, revoke(l, 4).Code, "a machine that may change users")
	require.Equal(t, []string{"user:4", "token:1 user:2"}, l.events(t, "token_revoked"))
}

func TestTokensThatAreNotMade(t *testing.T) {
	t.Parallel()

	l, by := team(t)
	past, far := time.Now().Add(-time.Minute), time.Now().AddDate(11, 0, 0)
	for more, where := range map[string]string{
		`,"expires_at":"` + past.Format(time.RFC3339) + `"`: "/expires_at",
		`,"expires_at":"` + far.Format(time.RFC3339) + `"`:  "/expires_at",
		`,"expires_at":"soon"`:                              "/expires_at",
		`,"cidrs":["192.0.2.0/24","192.0.2.1/24"]`:          "/cidrs/1",
		`,"cidrs":["` + strings.Repeat("1", 51) + `"]`:      "/cidrs/0",
		`,"user_id":0`: "/user_id",
		`,"token":"x"`: "/token",
	} {
		require.Equal(t, []string{where}, refused(t, by["viewer"].makeToken("runs:read", more), 422, "invalid"), more)
	}
	many := by["viewer"].makeToken("runs:read", `,"cidrs":[`+strings.Repeat(`"192.0.2.1",`, 32)+`"192.0.2.1"]`)
	require.Equal(t, []string{"/cidrs"}, refused(t, many, 422, "invalid"))
	require.Zero(t, l.count(t, `SELECT count(*) FROM api_tokens WHERE requested_by IS NOT NULL`))
}

// The contract lists every scope that a token can have.
func TestTheScopesOfTokensAreInTheContract(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	var listed []string
	for _, scope := range l.API().OpenAPI().Components.Schemas.Map()["NewToken"].Properties["scopes"].Items.Enum {
		listed = append(listed, scope.(string))
	}
	all := maps.Clone(server.Scopes)
	delete(all, server.ScopeSelf)
	require.Equal(t, slices.Sorted(maps.Keys(all)), listed)
}
