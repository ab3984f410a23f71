package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"loanserve/internal/requestid"
)

const (
	// requestTimeout bounds the work on one request: the longest wait a client
	// may ask for, and ten seconds for everything else.
	requestTimeout = maxWait + 10*time.Second
	// writeTimeout bounds the whole answer, so that a reader who stops reading
	// does not hold a connection for ever.
	writeTimeout = requestTimeout + 20*time.Second
)

// request is what is learned about a request while it is served. It belongs to
// one goroutine.
type request struct {
	id        string
	accept    string // the header Accept, for what has several forms
	principal *Principal
	told      bool // where it succeeds, an event of its own tells of it
	page      bool // It is for a page, which asks the API, and that tells of what it is asked.
	traceID   string
	cause     error // why the answer is a problem, where that is not the client's business
}

type requestKey struct{}

// requestOf returns the request that ctx belongs to, or nil.
func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// observe is the outermost middleware. It names the request, catches panics,
// and when the answer is out writes the one log line and the one measurement.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		req := &request{id: requestID(r.Header.Get("X-Request-Id")), accept: r.Header.Get("Accept")}
		answer := &answering{
			WrapResponseWriter: middleware.NewWrapResponseWriter(w, r.ProtoMajor),
			tell:               func(status int) { s.events.observe(r, req, status, false) },
		}
		answer.Header().Set("X-Request-Id", req.id)

		// A writer that cannot set a deadline is a test's.
		_ = http.NewResponseController(w).SetWriteDeadline(started.Add(writeTimeout))
		ctx, span := s.startSpan(r, req)
		ctx = context.WithValue(requestid.With(ctx, req.id), requestKey{}, req)
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()

		aborted := s.serve(next, answer, r.WithContext(ctx))
		endSpan(span, r, s.record(answer, r, req, time.Since(started)))
		if aborted {
			panic(http.ErrAbortHandler) // The server closes the connection, and logs nothing.
		}
	})
}

// serve runs the handler and answers a panic as an internal problem. It says
// whether the answer had begun by then, so that it must be cut off.
func (s *Server) serve(next http.Handler, w middleware.WrapResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err, ok := v.(error)
		if ok && errors.Is(err, http.ErrAbortHandler) {
			aborted = true
			return
		}
		cause := &panicError{value: v, stack: debug.Stack()}
		if aborted = w.Status() != 0; aborted {
			requestOf(r.Context()).cause = cause
			return
		}
		writeProblem(w, r, internal(cause))
	}()
	next.ServeHTTP(w, r)
	return false
}

// panicError is a panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

// Error implements error. The value is not in it: it can be anything.
func (e *panicError) Error() string { return "panic" }

// record writes the log line and the measurement of a request, and returns the status
// that they state.
func (s *Server) record(w *answering, r *http.Request, req *request, took time.Duration) (status int) {
	status = w.Status()
	if status == 0 {
		status = http.StatusOK
	}
	if errors.Is(r.Context().Err(), context.Canceled) && status >= http.StatusInternalServerError {
		status = statusClientGone
	}
	route := routeOf(r)
	s.metrics.observe(r.Method, route, status, took)
	if w.tell != nil {
		s.events.observe(r, req, status, true)
	}

	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !s.log.Enabled(r.Context(), level) {
		return status
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.Int("response_bytes", w.BytesWritten()),
		slog.String("request_id", req.id),
	}
	attrs = append(attrs, subjectOf(r.Context())...)
	if req.traceID != "" {
		attrs = append(attrs, slog.String("trace_id", req.traceID))
	}
	if req.principal != nil {
		attrs = append(attrs, slog.String("principal", req.principal.ID))
	}
	if req.cause != nil {
		attrs = append(attrs, causeAttr(req.cause))
		if p, ok := errors.AsType[*panicError](req.cause); ok {
			attrs = append(attrs, slog.Any("panic", p.value), slog.String("stack", string(p.stack)))
		}
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
	return status
}

// routeOf is the pattern of the path that the request was routed by.
func routeOf(r *http.Request) string {
	if route := chi.RouteContext(r.Context()).RoutePattern(); route != "" {
		return route
	}
	return "unmatched"
}

// statusClientGone is recorded, never sent, when the client hung up before an
// answer: counted as a server error it would wake somebody for nothing. The
// number is nginx's.
const statusClientGone = 499

// requestID keeps an identifier given by the caller's side if it is a plain
// token, so that it can stand in a header and in a log, and makes one otherwise.
func requestID(given string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	if given == "" || len(given) > 64 || strings.ContainsFunc(given, func(r rune) bool { return !plain(r) }) {
		return rand.Text()
	}
	return given
}

// always are the headers of securityHeaders, by their canonical names. A header
// that is set anew gets values of its own, so that these can be shared.
var always = http.Header{
	"Cache-Control":                {"no-store"},
	"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Referrer-Policy":              {"no-referrer"},
	"X-Content-Type-Options":       {"nosniff"},
}

// securityHeaders are right for every answer of an API. The pages that need
// more than nothing say so themselves.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), always)
		next.ServeHTTP(w, r)
	})
}

// checkTarget refuses what would be read differently by different readers: a
// target that is not text, and a parameter or a header given twice.
func checkTarget(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := targetProblem(r); p != nil {
			writeProblem(w, r, p)
			return
		}
		// There is one representation of nearly everything; whoever accepts something
		// else gets it all the same (RFC 9110, 12.4.1). What has several looks at what
		// observe has kept.
		r.Header.Del("Accept")
		next.ServeHTTP(w, r)
	})
}

func targetProblem(r *http.Request) *problem {
	if !storable(r.URL.Path) {
		return malformed("The request target cannot be read.")
	}
	if p := queryProblem(r.URL.RawQuery); p != nil {
		return p
	}
	for _, name := range [...]string{keyHeader, "Authorization", "Content-Type"} {
		if len(r.Header[name]) > 1 {
			return malformed("A header is given more than once.", inHeader(name, "is given more than once"))
		}
	}
	return nil
}

func queryProblem(raw string) *problem {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return malformed("The request target cannot be read.")
	}
	for name, values := range query {
		if !storable(name) || !storable(values[0]) {
			return malformed("The request target cannot be read.")
		}
		if len(values) > 1 {
			return malformed("A query parameter is given more than once.")
		}
	}
	return nil
}

// storable says whether PostgreSQL can hold the text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// notFoundHandler answers for paths without a route.
func notFoundHandler(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, r, notFound("There is nothing at this path."))
}

// methodNotAllowed answers for a path that has a route for other methods. chi
// knows which but does not tell a custom handler, so they are looked up.
func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	p := newProblem(kindMethodNotAllowed, "The path does not take this method; the header Allow lists those it takes.")
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		look := method
		if method == http.MethodHead {
			look = http.MethodGet
		}
		if s.router.Match(chi.NewRouteContext(), look, r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	writeProblem(w, r, p.with("Allow", strings.Join(allowed, ", ")))
}
