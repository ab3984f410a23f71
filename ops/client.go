package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
)

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK { // Not one of those that come before the answer.
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// refusal is an answer of the API that is a problem (RFC 9457).
type refusal struct {
	Status int     `json:"status"`
	Code   string  `json:"code"`
	Title  string  `json:"title"`
	Detail string  `json:"detail"`
	Faults []fault `json:"errors"`

	retryAfter string
}

// fault is what is the matter with one part of a request.
type fault struct {
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter"`
	Header    string `json:"header"`
	Detail    string `json:"detail"`
}

// Error implements error.
func (r *refusal) Error() string { return fmt.Sprintf("the API answered %d %s", r.Status, r.Code) }

// handed are the headers of a browser's request that the API has to know of the
// requests made for it: who it is, where he comes from, and which site made it. Their
// spans are children of the page's by the context.
var handed = [...]string{"Cookie", "User-Agent", "X-Forwarded-For", "X-Request-Id", "Sec-Fetch-Site", "Origin"}

// call makes a request of the API for whoever made r. Its error is a *refusal where
// the API answered with a problem.
func (p *Pages) call(r *http.Request, method, target string, body any, more http.Header) (*answer, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("write body: %w", err)
		}
	}
	// Without the route of the page, which the API's router would take for its own.
	ctx := context.WithValue(r.Context(), chi.RouteCtxKey, nil)
	inner, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	inner.Host, inner.RemoteAddr, inner.RequestURI = r.Host, r.RemoteAddr, target
	for _, name := range handed {
		if values := r.Header.Values(name); len(values) > 0 {
			inner.Header[name] = values
		}
	}
	maps.Copy(inner.Header, more)
	if body != nil {
		inner.Header.Set("Content-Type", "application/json")
	}
	a := &answer{header: http.Header{}}
	p.api.ServeHTTP(a, inner)
	if a.status >= http.StatusBadRequest {
		refused := &refusal{retryAfter: a.header.Get("Retry-After")}
		if err := json.Unmarshal(a.body.Bytes(), refused); err != nil {
			return nil, fmt.Errorf("read problem: %w", err)
		}
		refused.Status = a.status
		return a, refused
	}
	return a, nil
}

// get reads a resource of the API.
func get[T any](p *Pages, r *http.Request, path string, query url.Values) (T, error) {
	var resource T
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	a, err := p.call(r, http.MethodGet, path, nil, nil)
	if err != nil {
		return resource, err
	}
	if err := json.Unmarshal(a.body.Bytes(), &resource); err != nil {
		return resource, fmt.Errorf("read %s: %w", path, err)
	}
	return resource, nil
}

// page is a page of a list of the API.
type page[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"next_cursor"`
}
