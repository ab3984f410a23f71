package server

import (
	"context"
	"net/http"
	"slices"
)

// Mount hands requests at the path and below it to pages that are not part of the
// API. They are logged and measured as all others are, and have the same headers
// unless they set their own. They learn the request's id from X-Request-Id, so that
// what they ask of the API on its behalf carries it too. Call it before Handler is
// used.
func (s *Server) Mount(path string, pages http.Handler) {
	s.router.Mount(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if req := requestOf(r.Context()); req != nil {
			r.Header.Set("X-Request-Id", req.id)
			req.page = true
		}
		pages.ServeHTTP(w, r)
	}))
}

// Guard lets through to pages that know no principals only requests of somebody who
// has the scope read, or where they may change something, the scope write. Those are
// told to the audit trail as the API's own are.
func (s *Server) Guard(read, write string, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		principal, err := s.identify(r)
		if req := requestOf(r.Context()); req != nil {
			req.page = false
			if principal.ID != "" {
				req.principal = &principal
			}
		}
		if err != nil {
			writeProblem(w, r, err)
			return
		}
		scope := read
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			scope = write
		}
		if !slices.Contains(principal.Scopes, scope) {
			writeProblem(w, r, forbidden("This takes the scope "+scope+", which you lack."))
			return
		}
		pages.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, principal)))
	})
}
