package e2e_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// testProviderIsAway starts the program while its OpenID provider cannot be
// reached: it serves everybody but those whom the provider vouches for.
func testProviderIsAway(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("loans:read")
	serve := p.start("serve", "--oidc-issuer", "http://127.0.0.1:1", "--oidc-audience", "loans")
	p.mustRequest(serve, http.StatusOK, http.MethodGet, "/v1/loans", "")

	text := base64.RawURLEncoding.EncodeToString
	p.token = text([]byte(`{"alg":"RS256","kid":"k","typ":"at+jwt"}`)) + "." + text([]byte(`{"sub":"x"}`)) + ".c2lnbmVk"
	a := p.mustRequest(serve, http.StatusServiceUnavailable, http.MethodGet, "/v1/loans", "")
	require.Equal(t, "unavailable", a.field(t, "code"))
}
