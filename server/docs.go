package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/swaggest/swgui/v5/static"
)

//go:embed docs
var docsPages embed.FS

// docsPolicy lets the documentation page load its own files and nothing else.
// Swagger UI sets styles on elements and carries its icons as data.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// routeDocs serves the contract and a page that shows it. Both are public.
func (s *Server) routeDocs() error {
	r := s.router
	describeAnswers(s.api.OpenAPI())
	asJSON, asYAML, err := writeContract(s.api.OpenAPI())
	if err != nil {
		return err
	}
	s.contract = asYAML
	r.Method(http.MethodGet, "/openapi.yaml", staticFile("application/openapi+yaml;version=3.1", asYAML))
	r.Method(http.MethodGet, "/openapi.json", staticFile("application/openapi+json;version=3.1", asJSON))

	for name, mediaType := range map[string]string{
		"swagger-ui.css":       "text/css; charset=utf-8",
		"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
		"favicon-32x32.png":    "image/png",
	} {
		body, err := swaggerFile(name)
		if err != nil {
			return err
		}
		r.Method(http.MethodGet, "/docs/"+name, docsHeaders(staticFile(mediaType, body)))
	}
	page, err := docsPages.ReadFile("docs/index.html")
	if err != nil {
		return fmt.Errorf("read the documentation page: %w", err)
	}
	script, err := docsPages.ReadFile("docs/start.js")
	if err != nil {
		return fmt.Errorf("read the documentation page: %w", err)
	}
	r.Method(http.MethodGet, "/docs", docsHeaders(staticFile("text/html; charset=utf-8", page)))
	r.Method(http.MethodGet, "/docs/start.js", docsHeaders(staticFile("text/javascript; charset=utf-8", script)))
	return nil
}

// swaggerFile returns a file of Swagger UI, unpacked if it is kept packed.
func swaggerFile(name string) ([]byte, error) {
	if body, err := fs.ReadFile(static.FS, name); err == nil {
		return body, nil
	}
	packed, err := static.FS.Open(name + ".gz")
	if err != nil {
		return nil, fmt.Errorf("open Swagger UI: %w", err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path.Base(name), err)
	}
	body, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path.Base(name), err)
	}
	return body, nil
}

// staticFile serves bytes that do not change while the program runs.
func staticFile(mediaType string, body []byte) http.Handler {
	hash := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(hash[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range") // Nobody needs a part, and a wrong one is not answered as a problem.
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", "no-cache") // Keep it, but ask whether the tag still holds.
		w.Header().Set("Etag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}

func docsHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", docsPolicy)
		next.ServeHTTP(w, r)
	})
}
