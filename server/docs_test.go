package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContractIsPublicAndStable(t *testing.T) {
	t.Parallel()

	f := setup(t)
	public := func(r *http.Request) { r.Header.Del("Authorization") }
	w := f.do(http.MethodGet, "/openapi.yaml", "", public)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, string(f.OpenAPI()), w.Body.String())
	require.Contains(t, w.Body.String(), "openapi: 3.1.0")
	require.NotContains(t, w.Body.String(), "$schema")
	for range 5 {
		require.Equal(t, string(f.OpenAPI()), string(setup(t).OpenAPI()))
	}

	again := f.do(http.MethodGet, "/openapi.yaml", "", func(r *http.Request) {
		r.Header.Set("If-None-Match", w.Header().Get("Etag"))
	})
	require.Equal(t, http.StatusNotModified, again.Code)
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/openapi.json", "", public).Code)
}

// The page and its script name no other host, and all that the page loads is
// served here. What Swagger UI itself contains are links, not loads: the policy
// would stop them.
func TestDocumentationNeedsNoOtherHost(t *testing.T) {
	t.Parallel()

	f := setup(t)
	page := f.do(http.MethodGet, "/docs", "", func(r *http.Request) { r.Header.Del("Authorization") })
	require.Equal(t, http.StatusOK, page.Code)
	policy := page.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "script-src 'self';")
	require.NotContains(t, policy, "http")

	loads := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1)
	require.Len(t, loads, 4)
	for _, load := range loads {
		w := f.do(http.MethodGet, load[1], "", nil)
		require.Equal(t, http.StatusOK, w.Code, load[1])
		require.NotEmpty(t, w.Body.Bytes(), load[1])
		if strings.HasSuffix(load[1], ".css") {
			for _, u := range regexp.MustCompile(`url\(([^)]{0,8})`).FindAllStringSubmatch(w.Body.String(), -1) {
				require.Contains(t, u[1], "data:", "the style sheet loads something else")
			}
			require.NotContains(t, w.Body.String(), "@import")
		}
	}
	require.NotContains(t, page.Body.String(), "://")
	script := f.do(http.MethodGet, "/docs/start.js", "", nil).Body.String()
	require.NotContains(t, script, "://")
	require.Contains(t, script, "validatorUrl: null")
}
