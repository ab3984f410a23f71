package server

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5/middleware"
)

// The audit trail is written in three ways. What changes people, roles, sessions
// and tokens is told in the transaction that does it (Actor.tell). A request that
// is refused or fails by its client's fault is told by the event log before it is
// answered: such requests wait, and are written together. Every other request
// that changes something is told a moment after its answer, for which payments
// would otherwise wait; what it has changed is known without it, from rows that
// name their principal.

// eventPatience is how long an answer waits for its event at most.
const eventPatience = 2 * time.Second

// The kinds of events about requests.
const (
	eventRefused = "request_refused"
	eventMade    = "request_made"
)

// nobody is the principal of a request by whom nobody knows.
const nobody = "nobody"

// event is a request that is to be told of.
type event struct {
	at        time.Time
	kind      string
	actor     Principal
	ip        netip.Addr
	requestID string
	requests  int32
	details   eventDetails
}

// eventDetails say which request it was, and how it was answered.
type eventDetails struct {
	Method string `json:"method"`
	Route  string `json:"route"`
	Status int    `json:"status"`
}

// alike is what refusals that are told as one have in common, so that a flood of
// them does not become a flood of rows.
type alike struct {
	actor   string
	ip      netip.Addr
	details eventDetails
}

// answering tells of a request that is refused, or that its client got wrong,
// when the status is known and nothing of the answer is sent.
type answering struct {
	middleware.WrapResponseWriter

	tell func(status int) // nil once it has told
}

// WriteHeader implements http.ResponseWriter.
func (a *answering) WriteHeader(status int) {
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError && a.tell != nil {
		a.tell(status)
		a.tell = nil
	}
	a.WrapResponseWriter.WriteHeader(status)
}

// observe tells of a request that was refused, or that may have changed
// something. Where it is not answered yet it returns when the event is written,
// or cannot be in time.
func (l *eventLog) observe(r *http.Request, req *request, status int, answered bool) {
	e := &event{
		at: time.Now(), kind: eventMade, actor: Principal{ID: nobody, Name: nobody},
		ip: peerOf(r.Context()), requestID: req.id, requests: 1,
		details: eventDetails{Method: r.Method, Route: routeOf(r), Status: status},
	}
	if req.principal != nil {
		e.actor = *req.principal
	}
	switch {
	case l.db == nil, req.page:
		return
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		e.kind = eventRefused
	case req.principal == nil, r.Method == http.MethodGet, r.Method == http.MethodHead,
		req.told && status < http.StatusBadRequest:
		return
	}
	over := l.add(e, !answered)
	if over == nil {
		return
	}
	patience := time.NewTimer(eventPatience)
	defer patience.Stop()
	select {
	case <-over:
	case <-patience.C:
	case <-r.Context().Done(): // Nobody is there to be answered.
	}
}
