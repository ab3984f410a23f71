package server_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"loanserve/server"
)

// Whoever the provider vouches for does what the token's scopes allow, and is
// recorded with it as everybody else is.
func TestAccessTokens(t *testing.T) {
	t.Parallel()

	i := newIssuer(t)
	l := setupLive(t, i.options)
	payments := payTo(t, l)
	for name, token := range map[string]string{
		"RS256":             i.good(t),
		"PS256":             i.sign(t, jose.PS256, "rsa", "at+jwt", i.says(nil)),
		"ES256":             i.sign(t, jose.ES256, "ec", "at+jwt", i.says(nil)),
		"EdDSA":             i.sign(t, jose.EdDSA, "ed", "at+jwt", i.says(nil)),
		"the whole type":    i.sign(t, jose.ES256, "ec", "application/AT+JWT", i.says(nil)),
		"without a kid":     signWith(t, jose.ES256, i.signers["ec"], "", "at+jwt", i.says(nil)),
		"several audiences": i.sign(t, jose.ES256, "ec", "at+jwt", i.says(map[string]any{"aud": []string{"x", audience}})),
		"began a while ago": i.sign(t, jose.ES256, "ec", "at+jwt", i.says(map[string]any{"nbf": time.Now().Unix() - 9})),
	} {
		require.Equal(t, http.StatusOK, l.as(token).call(http.MethodGet, "/v1/loans", "").Code, name)
	}
	require.Equal(t, 1, i.timesAsked(), "keys are kept")

	w := l.as(i.good(t)).call(http.MethodPost, payments, paymentBody, "Idempotency-Key", "k")
	require.Equal(t, "oidc:svc-lockbox", answer(t, w, http.StatusAccepted)["requested_by"])
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM payments JOIN principals ON principal = requested_by
		WHERE principals.name = 'svc-lockbox'`))
	require.Contains(t, l.events(t, "request_made"),
		"oidc:svc-lockbox 202 /v1/loans/{loan_id}/payments")
	require.NotContains(t, l.log.String(), "eyJ", "a token in the log")
}

// What a token may not do is told as it is of other tokens.
func TestAccessTokensLackScopes(t *testing.T) {
	t.Parallel()

	i := newIssuer(t)
	l := setupLive(t, i.options)
	for name, scope := range map[string]any{
		"another": "payments:write", "none": nil, "unknown ones": "openid loans:fly LOANS:READ", "one's own": "self",
	} {
		token := i.sign(t, jose.ES256, "ec", "at+jwt", i.says(map[string]any{"scope": scope, "sub": name[:3]}))
		w := l.as(token).call(http.MethodGet, "/v1/loans", "")
		refused(t, w, http.StatusForbidden, "forbidden")
		require.Contains(t, w.Header().Get("WWW-Authenticate"), `scope="loans:read"`, name)
		refused(t, l.as(token).call(http.MethodGet, "/v1/sessions", ""), http.StatusForbidden, "forbidden")
	}
	require.Contains(t, l.events(t, "request_refused"), "oidc:ano 403 /v1/loans")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM principals WHERE principal LIKE 'oidc:%'`),
		"who can cause nothing is not kept")
}

func TestAccessTokensAreRefused(t *testing.T) {
	t.Parallel()

	i := newIssuer(t)
	l := setupLive(t, i.options)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ec := func(changes map[string]any) string { return i.sign(t, jose.ES256, "ec", "at+jwt", i.says(changes)) }
	signed := func(text string) string {
		return signText(t, jose.ES256, i.signers["ec"], "ec", "at+jwt", []byte(text))
	}
	all, err := json.Marshal(i.says(map[string]any{"sub": nil}))
	require.NoError(t, err)
	header, payload, signature := parts(i.good(t))
	other, err := json.Marshal(i.says(map[string]any{"sub": "root"}))
	require.NoError(t, err)

	tests := map[string]string{
		"another audience":       ec(map[string]any{"aud": "https://other.example.com"}),
		"no audience":            ec(map[string]any{"aud": nil}),
		"another issuer":         ec(map[string]any{"iss": i.URL + "/"}),
		"no issuer":              ec(map[string]any{"iss": nil}),
		"expired":                ec(map[string]any{"exp": time.Now().Unix() - 1}),
		"never expires":          ec(map[string]any{"exp": nil}),
		"not yet":                ec(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"an ID token":            i.sign(t, jose.RS256, "rsa", "JWT", i.says(nil)),
		"no type":                i.sign(t, jose.RS256, "rsa", "", i.says(nil)),
		"another type":           i.sign(t, jose.RS256, "rsa", "logout+jwt", i.says(nil)),
		"a longer hash":          i.sign(t, jose.RS512, "rsa", "at+jwt", i.says(nil)),
		"the public key as HMAC": signWith(t, jose.HS256, i.publicKeyDER(t), "rsa", "at+jwt", i.says(nil)),
		"a stranger's key":       signWith(t, jose.RS256, stranger, "rsa", "at+jwt", i.says(nil)),
		"an unknown key":         signWith(t, jose.RS256, stranger, "other", "at+jwt", i.says(nil)),
		"not signed":             encode(`{"alg":"none","typ":"at+jwt"}`) + "." + payload + ".",
		"signed by none":         encode(`{"alg":"none","typ":"at+jwt"}`) + "." + payload + "." + signature,
		"another payload":        header + "." + encode(string(other)) + "." + signature,
		"another header":         encode(`{"alg":"PS256","kid":"rsa","typ":"at+jwt"}`) + "." + payload + "." + signature,
		"another signature":      header + "." + payload + "." + strings.Repeat("A", len(signature)),
		"no subject":             ec(map[string]any{"sub": nil}),
		"an empty subject":       ec(map[string]any{"sub": ""}),
		"a long subject":         ec(map[string]any{"sub": strings.Repeat("x", 196)}),
		"a blank in the subject": ec(map[string]any{"sub": "a b"}),
		"a line in the subject":  ec(map[string]any{"sub": "a\nb"}),
		"a zero in the subject":  ec(map[string]any{"sub": "a\x00b"}),
		"letters of elsewhere":   ec(map[string]any{"sub": "аdmin"}),
		"a number as subject":    ec(map[string]any{"sub": 7}),
		"scopes in an array":     ec(map[string]any{"scope": []string{"loans:read"}}),
		"a claim twice":          signed(`{"sub":"a","sub":"b",` + string(all[1:])),
		"in two spellings":       signed(`{"sub":"a","Sub":"b",` + string(all[1:])),
		"no object":              signed(`[]`),
		"too long":               ec(map[string]any{"filler": strings.Repeat("x", 8192)}),
	}
	for name, token := range tests {
		w := l.as(token).call(http.MethodGet, "/v1/loans", "")
		require.Empty(t, refused(t, w, http.StatusUnauthorized, "unauthenticated"), name)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="invalid_token"`, name)
	}
	require.Equal(t, http.StatusOK, l.as(ec(map[string]any{"sub": strings.Repeat("x", 195)})).
		call(http.MethodGet, "/v1/loans", "").Code, "the longest subject")
	l.events(t, "request_refused")
	require.Equal(t, len(tests), l.count(t, `SELECT sum(requests) FROM auth_events WHERE kind = 'request_refused'
		AND actor = 'nobody' AND details->>'status' = '401'`), "each is told")
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func parts(token string) (header, payload, signature string) {
	all := strings.Split(token, ".")
	return all[0], all[1], all[2]
}

// Without a provider such a token is as bad as any.
func TestAccessTokensAreOffUnlessAskedFor(t *testing.T) {
	t.Parallel()

	i := newIssuer(t)
	l := setupLive(t)
	refused(t, l.as(i.good(t)).call(http.MethodGet, "/v1/loans", ""), http.StatusUnauthorized, "unauthenticated")
	require.Zero(t, i.timesAsked())
}

// A provider changes its keys: a token by a new one is good at once, and by one
// that was withdrawn no longer than until the keys are fetched again, which is at
// last when they are old.
func TestProvidersChangeTheirKeys(t *testing.T) {
	t.Parallel()

	i := newIssuer(t)
	l := setupLive(t, i.options)
	read := func(token string) int { return l.as(token).call(http.MethodGet, "/v1/loans", "").Code }
	before := i.good(t)
	require.Equal(t, http.StatusOK, read(before))

	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.mu.Lock()
	i.keys = nil
	i.mu.Unlock()
	i.publish("fresh", fresh)
	require.Equal(t, http.StatusOK, read(before), "nobody has asked")
	require.Equal(t, http.StatusOK, read(i.sign(t, jose.RS256, "fresh", "at+jwt", i.says(nil))))
	require.Equal(t, 2, i.timesAsked())
	require.Equal(t, http.StatusUnauthorized, read(before))

	after := i.sign(t, jose.RS256, "fresh", "at+jwt", i.says(nil))
	i.mu.Lock()
	i.keys = nil
	i.mu.Unlock()
	server.AgeKeys(l.Server)
	require.Equal(t, http.StatusUnauthorized, read(after), "withdrawn")
	i.Close()
	server.AgeKeys(l.Server)
	require.Equal(t, http.StatusServiceUnavailable, read(after), "nobody can say whether it is")
}

// While the provider is away, whoever it vouches for by a known key comes in,
// and nobody else. It is found by its metadata where nobody said where its keys
// are.
func TestTheProviderIsAway(t *testing.T) {
	t.Parallel()

	for name, o := range map[string]func(*issuer) server.OIDC{
		"its keys": func(i *issuer) server.OIDC {
			return server.OIDC{Issuer: i.URL, Audience: audience, KeysURL: i.URL + "/keys"}
		},
		"its metadata": func(i *issuer) server.OIDC { return server.OIDC{Issuer: i.URL, Audience: audience} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			i := newIssuer(t)
			i.answerWith(http.StatusInternalServerError)
			l := setupLive(t, func(to *server.Options) { to.OIDC = o(i) })
			read := func() int { return l.as(i.good(t)).call(http.MethodGet, "/v1/loans", "").Code }
			w := l.as(i.good(t)).call(http.MethodGet, "/v1/loans", "")
			refused(t, w, http.StatusServiceUnavailable, "unavailable")
			require.Equal(t, "2", w.Header().Get("Retry-After"))
			require.Contains(t, l.log.String(), "the provider answered 500")
			i.answerWith(http.StatusFound)
			require.Equal(t, http.StatusServiceUnavailable, read(), "it may not send elsewhere")
			i.answerWith(0)
			require.Equal(t, http.StatusOK, read(), "it is back")
			i.Close()
			require.Equal(t, http.StatusOK, read(), "its keys are known")
			refused(t, l.as(i.sign(t, jose.RS256, "rsa", "JWT", i.says(nil))).call(http.MethodGet, "/v1/loans", ""),
				http.StatusUnauthorized, "unauthenticated")
			unknown := signWith(t, jose.RS256, i.signers["rsa"], "other", "at+jwt", i.says(nil))
			refused(t, l.as(unknown).call(http.MethodGet, "/v1/loans", ""), http.StatusServiceUnavailable, "unavailable")
		})
	}
}

// Strangers who send tokens by unknown keys do not make the server ask its
// provider each time.
func TestProvidersAreAskedSeldom(t *testing.T) {
	t.Parallel()

	i := newIssuer(t)
	l := setupLive(t, i.options)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	began := time.Now()
	var guesses sync.WaitGroup
	for n := range 8 {
		guesses.Go(func() {
			for m := range 10 {
				token := signWith(t, jose.RS256, key, fmt.Sprint(n, m), "at+jwt", i.says(nil))
				if w := l.as(token).call(http.MethodGet, "/v1/loans", ""); w.Code != http.StatusUnauthorized {
					t.Errorf("a guess: %d %s", w.Code, w.Body)
				}
			}
		})
	}
	guesses.Wait()
	require.LessOrEqual(t, i.timesAsked(), server.AskBurst+1+int(time.Since(began)/server.AskEvery))
	require.Equal(t, http.StatusOK, l.as(i.good(t)).call(http.MethodGet, "/v1/loans", "").Code)
}

func TestCheckProviderURL(t *testing.T) {
	t.Parallel()

	for _, good := range []string{
		"https://id.example.com", "https://id.example.com/realms/a", "http://127.0.0.1:8080", "http://localhost/x",
		"http://[::1]/",
	} {
		require.NoError(t, server.CheckProviderURL(good), good)
	}
	for _, bad := range []string{
		"", "id.example.com", "http://id.example.com", "https://", "https://u:p@id.example.com", "ftp://127.0.0.1",
		"https://id.example.com/#x", "http://127.0.0.1.example.com",
	} {
		require.Error(t, server.CheckProviderURL(bad), bad)
	}
}

// Whatever the provider signs, who is let in has a name that can be stored and
// scopes that there are, for this audience.
func FuzzAccessToken(f *testing.F) {
	i := newIssuer(f)
	tokens := server.NewAccessTokens(server.OIDC{Issuer: i.URL, Audience: audience, KeysURL: i.URL + "/keys"},
		func(context.Context, string, string) error { return nil })
	claims := func(changes map[string]any) string {
		text, err := json.Marshal(i.says(changes))
		require.NoError(f, err)
		return strings.ReplaceAll(string(text), i.URL, "ISSUER") // Its port is another every time.
	}
	f.Add(claims(map[string]any{"exp": 1e10}), "at+jwt")
	f.Add(claims(map[string]any{"exp": 1e10, "aud": []string{"a", audience}, "nbf": 1}), "application/at+jwt")
	f.Add(`{"iss":"ISSUER","ISS":"x","sub":null}`, "JWT")
	f.Fuzz(func(t *testing.T, payload, typ string) {
		payload = strings.ReplaceAll(payload, "ISSUER", i.URL)
		token := signText(t, jose.ES256, i.signers["ec"], "ec", typ, []byte(payload))
		p, err := server.AccessTokenPrincipal(tokens, t.Context(), token)
		if err != nil {
			return
		}
		var read struct {
			Issuer   string `json:"iss"`
			Audience any    `json:"aud"`
			Expires  any    `json:"exp"`
		}
		require.NoError(t, json.Unmarshal([]byte(payload), &read))
		require.Equal(t, i.URL, read.Issuer)
		require.Contains(t, read.Audience, audience)
		require.NotNil(t, read.Expires)
		require.Regexp(t, `^oidc:[!-~]{1,195}$`, p.ID)
		for _, scope := range p.Scopes {
			require.Contains(t, server.Scopes, scope)
		}
	})
}
