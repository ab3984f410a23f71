package server

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/go-json-experiment/json"
)

// kind is one sort of problem: the name under which clients know it, its title
// and its status. docs/problems.md has a paragraph for each.
type kind struct {
	name   string
	title  string
	status int
}

var (
	kindMalformed          = kind{"malformed", "The request cannot be read", http.StatusBadRequest}
	kindKeyMissing         = kind{"key-missing", "An idempotency key is needed", http.StatusBadRequest}
	kindUnauthenticated    = kind{"unauthenticated", "Authentication is needed", http.StatusUnauthorized}
	kindForbidden          = kind{"forbidden", "Not allowed", http.StatusForbidden}
	kindOwnRequest         = kind{"own-request", "Another principal must decide", http.StatusForbidden}
	kindNotFound           = kind{"not-found", "Not found", http.StatusNotFound}
	kindMethodNotAllowed   = kind{"method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed}
	kindTimeout            = kind{"timeout", "The request took too long to arrive", http.StatusRequestTimeout}
	kindConflict           = kind{"conflict", "Conflict", http.StatusConflict}
	kindTooLarge           = kind{"too-large", "The request is too large", http.StatusRequestEntityTooLarge}
	kindMediaType          = kind{"media-type", "Media type not supported", http.StatusUnsupportedMediaType}
	kindInvalid            = kind{"invalid", "The request is not valid", http.StatusUnprocessableEntity}
	kindKeyReused          = kind{"key-reused", "The idempotency key was used before", http.StatusUnprocessableEntity}
	kindInternal           = kind{"internal", "Internal error", http.StatusInternalServerError}
	kindRateLimited        = kind{"rate-limited", "Too many attempts", http.StatusTooManyRequests}
	kindUnavailable        = kind{"unavailable", "Temporarily unavailable", http.StatusServiceUnavailable}
	kindPreconditionFailed = kind{"precondition-failed", "It has changed", http.StatusPreconditionFailed}
	kindPreconditionNeeded = kind{"precondition-needed", "An ETag is needed", http.StatusPreconditionRequired}
)

// retryAfterSeconds is what a 503 asks for: long enough for a failover's first
// second to pass, short enough that nobody notices a passing lock.
const retryAfterSeconds = "2"

// problem is an RFC 9457 answer, and the error that leads to one. It never
// carries a rejected value or anything of the inside.
type problem struct {
	Type      string  `json:"type" doc:"URI reference of this sort of problem." example:"/problems/invalid"`
	Title     string  `json:"title" doc:"What this sort of problem is called." example:"The request is not valid"`
	Status    int     `json:"status" doc:"The HTTP status." example:"422"`
	Code      string  `json:"code" doc:"The last part of type, to switch on." example:"invalid"`
	Detail    string  `json:"detail,omitzero" doc:"What is the matter this time."`
	Instance  string  `json:"instance,omitzero" doc:"URI of this occurrence." example:"urn:request:M3TXCLVPFOYMKQ5RCJ5IAF7T3D"`
	RequestID string  `json:"request_id,omitzero" doc:"Quote it when asking about this answer; our logs have it."`
	Errors    []fault `json:"errors,omitempty" doc:"The single mistakes, where there are several or a place can be named."`

	headers http.Header
	cause   error
}

// fault is one mistake in a request and the place where it was made: one of
// pointer, parameter, header, and line with its column.
type fault struct {
	Pointer   *string `json:"pointer,omitzero" nullable:"false" doc:"JSON Pointer (RFC 6901) into the request body; empty for the body itself." example:"/amount_cents"`
	Parameter string  `json:"parameter,omitzero" doc:"A path or query parameter." example:"limit"`
	Header    string  `json:"header,omitzero" doc:"A request header." example:"Idempotency-Key"`
	Line      int     `json:"line,omitzero" doc:"A line of the file that was sent, from 1; left out for the file as a whole." example:"7"`
	Column    int     `json:"column,omitzero" doc:"The byte of the line, from 1; left out for the line as a whole." example:"12"`
	Detail    string  `json:"detail" doc:"What is the matter with it." example:"must be a whole number from 1 to 10000000000"`
}

func newProblem(k kind, detail string, faults ...fault) *problem {
	return &problem{
		Type: "/problems/" + k.name, Title: k.title, Status: k.status, Code: k.name,
		Detail: detail, Errors: faults,
	}
}

// inBody, inParameter and inHeader name the place of a fault.
func inBody(pointer, detail string) fault   { return fault{Pointer: &pointer, Detail: detail} }
func inParameter(name, detail string) fault { return fault{Parameter: name, Detail: detail} }
func inHeader(name, detail string) fault    { return fault{Header: name, Detail: detail} }

func malformed(detail string, faults ...fault) *problem {
	return newProblem(kindMalformed, detail, faults...)
}

// invalid is a request that can be read and says something it may not.
func invalid(faults ...fault) *problem {
	return newProblem(kindInvalid, "A value is not one the operation accepts.", faults...)
}

func notFound(detail string) *problem { return newProblem(kindNotFound, detail) }

func conflict(detail string, faults ...fault) *problem {
	return newProblem(kindConflict, detail, faults...)
}

func keyReused() *problem {
	return newProblem(kindKeyReused, "The idempotency key belongs to a different request.",
		inHeader(keyHeader, "was used for a different request"))
}

func unavailable(detail string, cause error) *problem {
	p := newProblem(kindUnavailable, detail)
	p.cause = cause
	return p.with("Retry-After", retryAfterSeconds)
}

// forbidden is a request by somebody known who may not make it.
func forbidden(detail string) *problem { return newProblem(kindForbidden, detail) }

// internal hides its cause, which goes to the log.
func internal(cause error) *problem {
	p := newProblem(kindInternal, "Something went wrong on our side. Nothing about your request needs to change.")
	p.cause = cause
	return p
}

// with adds a response header.
func (p *problem) with(header, value string) *problem {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Set(header, value)
	return p
}

// Error implements error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// Unwrap returns what the caller is not told.
func (p *problem) Unwrap() error { return p.cause }

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header { return p.headers }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// asProblem turns any error into the problem that answers it, marked with the
// request it belongs to. An error that nobody foresaw is opaque.
func asProblem(ctx context.Context, err error) *problem {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = dbProblem(err)
	}
	if r := requestOf(ctx); r != nil {
		p.RequestID = r.id
		p.Instance = "urn:request:" + r.id
		r.cause = p.cause
	}
	return p
}

// writeProblem answers with a problem outside of huma.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(r.Context(), err)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // A struct of strings: cannot happen.
	}
	maps.Copy(w.Header(), p.headers)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // A client that went away is no concern of ours.
}
