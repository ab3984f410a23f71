package server_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"loanserve/queries"
	"loanserve/server"
)

func TestTokensAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()

	secret := server.NewTokenSecret()
	require.NotEqual(t, secret, server.NewTokenSecret())
	for _, id := range []int64{1, 7, 1 << 62} {
		token := server.FormatToken(id, secret)
		gotID, gotSecret, err := server.ParseToken(token)
		require.NoError(t, err)
		require.Equal(t, id, gotID)
		require.Equal(t, secret, gotSecret)

		// One wrong character anywhere is noticed without the database.
		for i := range token {
			for _, c := range []string{"a", "b", "2", "_"} {
				wrong := token[:i] + c + token[i+1:]
				if wrong == token {
					continue
				}
				_, _, err := server.ParseToken(wrong)
				require.Error(t, err, wrong)
			}
		}
	}
	require.Len(t, server.HashTokenSecret(secret), 32)
}

func FuzzParseToken(f *testing.F) {
	f.Add("loanserve_7_abc")
	f.Add(server.FormatToken(7, strings.Repeat("a", 32)))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		id, secret, err := server.ParseToken(token)
		if err == nil && server.FormatToken(id, secret) != token {
			t.Errorf("ParseToken(%q) = %d, %q: FormatToken makes another token of these", token, id, secret)
		}
	})
}

func TestAuthentication(t *testing.T) {
	t.Parallel()

	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	secret := server.NewTokenSecret()
	scopes := []string{server.ScopePaymentsWrite}
	hash := server.HashTokenSecret(secret)
	tests := map[string]struct {
		token         queries.ApiToken
		authorization string
		err           error
		status        int
		code          string
		challenge     string
	}{
		"good token":             {token: queries.ApiToken{TokenHash: hash, Scopes: scopes, ExpiresAt: &future}, status: 202},
		"the scheme in any case": {token: queries.ApiToken{TokenHash: hash, Scopes: scopes}, authorization: "bEARER " + server.FormatToken(9, secret), status: 202},
		"revoked":                {token: queries.ApiToken{TokenHash: hash, Scopes: scopes, RevokedAt: &past}, status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"expired":                {token: queries.ApiToken{TokenHash: hash, Scopes: scopes, ExpiresAt: &past}, status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"another secret":         {token: queries.ApiToken{TokenHash: server.HashTokenSecret("x"), Scopes: scopes}, status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"no hash":                {token: queries.ApiToken{Scopes: scopes}, status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"no header":              {authorization: "-", status: 401, code: "unauthenticated", challenge: `Bearer realm="loanserve"`},
		"another scheme":         {authorization: "Basic " + server.FormatToken(9, secret), status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"not our token":          {authorization: "Bearer x", status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"unknown id":             {authorization: "Bearer " + server.FormatToken(10, secret), status: 401, code: "unauthenticated", challenge: "invalid_token"},
		"another scope":          {token: queries.ApiToken{TokenHash: hash, Scopes: []string{server.ScopeLoansRead}}, status: 403, code: "forbidden", challenge: `scope="payments:write"`},
		"no scope":               {token: queries.ApiToken{TokenHash: hash}, status: 403, code: "forbidden", challenge: `error="insufficient_scope"`},
		"database away":          {token: queries.ApiToken{TokenHash: hash}, err: context.DeadlineExceeded, status: 503, code: "unavailable"},
		"database broken":        {token: queries.ApiToken{TokenHash: hash}, err: errors.New("oops"), status: 500, code: "internal"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := setup(t)
			f.stored.set(9, tt.token)
			f.stored.err = tt.err
			w := f.do(http.MethodPost, "/v1/loans/1/payments", goodBody, func(r *http.Request) {
				r.Header.Set("Authorization", "Bearer "+server.FormatToken(9, secret))
				if tt.authorization != "" {
					r.Header.Set("Authorization", tt.authorization)
				}
				if tt.authorization == "-" {
					r.Header.Del("Authorization")
				}
			})
			require.Equal(t, tt.status, w.Code, w.Body.String())
			require.NotContains(t, f.log.String()+w.Body.String(), secret)
			if tt.code != "" {
				require.Equal(t, tt.code, f.problem(t, w).Code)
				require.Contains(t, w.Header().Get("WWW-Authenticate"), tt.challenge)
			}
		})
	}
}

// Nothing about a request is looked at before it is known who sends it.
func TestAuthenticationComesFirst(t *testing.T) {
	t.Parallel()

	f := setup(t)
	w := f.do(http.MethodPost, "/v1/loans/x/payments?foo=1", "{", func(r *http.Request) { r.Header.Del("Authorization") })
	require.Equal(t, http.StatusUnauthorized, w.Code)
}

func TestTokensAreCachedBriefly(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		call := func() int { return f.do(http.MethodPost, "/v1/loans/1/payments", goodBody, nil).Code }
		expect := func(status, reads, writes int) {
			t.Helper()
			require.Equal(t, status, call())
			synctest.Wait()
			gotReads, gotWrites := f.stored.counts()
			require.Equal(t, []int{reads, writes}, []int{gotReads, gotWrites}, "reads and writes")
		}
		expect(202, 1, 1)
		expect(202, 1, 1) // found in the cache
		time.Sleep(server.TokenCacheFor)
		expect(202, 2, 1) // read again, its use not recorded again
		time.Sleep(server.MarkUsedEvery)
		expect(202, 3, 2)

		revoked := f.stored.byID[7]
		now := time.Now()
		revoked.RevokedAt = &now
		f.stored.set(7, revoked)
		expect(202, 3, 2) // for a moment it still works
		time.Sleep(server.TokenCacheFor)
		expect(401, 4, 2)
		time.Sleep(server.MarkUsedEvery)
		expect(401, 5, 2) // a refused token is not a used one
	})
}

// The same walk as in the contract's test, on an operation made to fail it.
func TestOperationsDeclareOneScope(t *testing.T) {
	t.Parallel()

	f := setup(t)
	requireScopes(t, f.API().OpenAPI())
}

// public are the operations that anybody may call.
var public = []string{"log-in", "reset-password"}

// Every scope is given by a role, and no role gives what is no scope. That
// everybody may look after himself is no role's doing.
func TestRolesGiveEveryScope(t *testing.T) {
	t.Parallel()

	given := map[string]bool{server.ScopeSelf: true}
	for role, scopes := range server.Roles {
		require.NotEmpty(t, scopes, role)
		for _, scope := range scopes {
			require.Contains(t, server.Scopes, scope, role)
			require.NotEqual(t, server.ScopeSelf, scope, role)
			given[scope] = true
		}
	}
	require.Len(t, given, len(server.Scopes), "a scope that no role gives is of no use to people")
	for _, scope := range server.Roles["operator"] {
		require.False(t, strings.HasSuffix(scope, ":approve"), "who asks does not approve: %s", scope)
		if !strings.HasSuffix(scope, ":read") {
			require.NotContains(t, server.Roles["approver"], scope)
		}
	}
}

func requireScopes(t *testing.T, api *huma.OpenAPI) {
	t.Helper()

	seen := 0
	for path, item := range api.Paths {
		for method, op := range map[string]*huma.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		} {
			if op == nil {
				continue
			}
			seen++
			if slices.Contains(public, op.OperationID) {
				require.Empty(t, op.Security, "%s %s", method, path)
				continue
			}
			require.Len(t, op.Security, 2, "%s %s", method, path)
			require.Len(t, op.Security[0]["bearer"], 1, "%s %s", method, path)
			require.Equal(t, op.Security[0]["bearer"], op.Security[1]["cookie"], "%s %s", method, path)
			require.Contains(t, server.Scopes, op.Security[0]["bearer"][0], "%s %s", method, path)
		}
	}
	require.Positive(t, seen)
}
