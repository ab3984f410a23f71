package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"loanserve/server"
)

const audience = "https://loans.example.com"

// issuer is an OpenID provider on this machine, with keys of its own.
type issuer struct {
	*httptest.Server

	mu      sync.Mutex
	keys    []jose.JSONWebKey // that it publishes
	asked   int               // how often for its keys
	status  int               // of every answer; 200 where it is 0
	signers map[string]crypto.Signer
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()

	i := &issuer{signers: map[string]crypto.Signer{}}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	i.publish("rsa", rsaKey)
	i.publish("ec", ecKey)
	i.publish("ed", edKey)
	return i
}

// publish adds a key to those that the provider has.
func (i *issuer) publish(kid string, key crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signers[kid] = key
	i.keys = append(i.keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"})
}

// answerWith makes the provider answer everything with the status.
func (i *issuer) answerWith(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

func (i *issuer) timesAsked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if i.status != 0 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(i.status)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"HS256"},
		})
	case "/keys":
		i.asked++
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// options make a server take the provider's tokens.
func (i *issuer) options(o *server.Options) {
	o.OIDC = server.OIDC{Issuer: i.URL, Audience: audience, KeysURL: i.URL + "/keys"}
}

// says returns the claims of a good token, with some of them changed.
func (i *issuer) says(changes map[string]any) map[string]any {
	now := time.Now()
	all := map[string]any{
		"iss": i.URL, "aud": audience, "sub": "svc-lockbox", "client_id": "lockbox", "jti": "1",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "scope": "openid loans:read loans:fly payments:write",
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// sign returns a token with the claims, signed by the key under its kid.
func (i *issuer) sign(t *testing.T, alg jose.SignatureAlgorithm, kid, typ string, claims map[string]any) string {
	t.Helper()
	i.mu.Lock()
	key := any(i.signers[kid])
	i.mu.Unlock()
	return signWith(t, alg, key, kid, typ, claims)
}

func signWith(t *testing.T, alg jose.SignatureAlgorithm, key any, kid, typ string, claims map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	return signText(t, alg, key, kid, typ, text)
}

func signText(t testing.TB, alg jose.SignatureAlgorithm, key any, kid, typ string, text []byte) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithHeader("kid", kid)
	if typ != "" {
		o = o.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	require.NoError(t, err)
	signed, err := signer.Sign(text)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}

// good returns a token that is good.
func (i *issuer) good(t *testing.T) string {
	t.Helper()
	return i.sign(t, jose.RS256, "rsa", "at+jwt", i.says(nil))
}

// publicKeyDER is the provider's RSA key as everybody can read it.
func (i *issuer) publicKeyDER(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(i.signers["rsa"].Public())
	require.NoError(t, err)
	return der
}
