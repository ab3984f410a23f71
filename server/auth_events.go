package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"loanserve/jobs"
	"loanserve/queries"
)

// The audit trail is written in two ways. What changes people, roles, sessions
// and tokens is told in the transaction that does it (Actor.tell). Every other
// request that changes something, and every refused one, is told by the event
// log: gathered, and written a moment after the answer. What such a request has
// changed is known without it, from rows that name their principal.

const (
	// eventPause is how long events gather before they are written together.
	eventPause = 100 * time.Millisecond
	// maxEvents bounds those that wait. Beyond it they are lost, and counted.
	maxEvents = 16384
	// eventTimeout bounds the writing of one set, for which nobody waits.
	eventTimeout = 10 * time.Second
)

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

// eventLog gathers events and writes them.
type eventLog struct {
	db   jobs.DB // nil where there is no audit trail
	log  *slog.Logger
	lost prometheus.Counter

	mu      sync.Mutex
	waiting []*event
	refused map[alike]*event // of those that wait
	dropped int              // because too many wait
	running bool
	closed  chan struct{}
	writer  sync.WaitGroup
}

func newEventLog(log *slog.Logger, registerer prometheus.Registerer) *eventLog {
	l := &eventLog{
		log: log, refused: map[alike]*event{}, closed: make(chan struct{}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "loanserve_auth_events_lost_total",
			Help: "Events that could not be written to the audit trail, and are only in the log.",
		}),
	}
	registerer.MustRegister(l.lost)
	return l
}

// observe tells of a request that was refused, or that may have changed
// something.
func (l *eventLog) observe(r *http.Request, req *request, route string, status int) {
	e := &event{
		at: time.Now(), kind: eventMade, actor: Principal{ID: nobody, Name: nobody},
		ip: middleware.GetClientIPAddr(r.Context()), requestID: req.id, requests: 1,
		details: eventDetails{Method: r.Method, Route: route, Status: status},
	}
	if req.principal != nil {
		e.actor = *req.principal
	}
	switch {
	case l.db == nil:
		return
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		e.kind = eventRefused
	case req.principal == nil, r.Method == http.MethodGet, r.Method == http.MethodHead,
		req.told && status < http.StatusBadRequest:
		return
	}
	l.add(e)
}

func (l *eventLog) add(e *event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := alike{actor: e.actor.ID, ip: e.ip, details: e.details}
	if first := l.refused[same]; first != nil && e.kind == eventRefused {
		first.requests++
		return
	}
	if len(l.waiting) >= maxEvents {
		l.dropped++
		return
	}
	l.waiting = append(l.waiting, e)
	if e.kind == eventRefused {
		l.refused[same] = e
	}
	if !l.running {
		l.running = true
		l.writer.Go(l.write)
	}
}

// write writes what waits until nothing does.
func (l *eventLog) write() {
	pause := time.NewTimer(eventPause)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-l.closed:
		}
		l.mu.Lock()
		events, dropped := l.waiting, l.dropped
		l.waiting, l.dropped, l.refused = nil, 0, map[alike]*event{}
		l.running = len(events) > 0
		l.mu.Unlock()
		if len(events) == 0 {
			return
		}
		if dropped > 0 {
			l.lose(dropped, "too many wait")
		}
		l.store(events)
		pause.Reset(eventPause)
	}
}

// store writes events, and tries once more where that fails: an actor may have
// been deleted in the same moment.
func (l *eventLog) store(events []*event) {
	var arg queries.InsertAuthEventsParams
	for _, e := range events {
		details, err := json.Marshal(e.details)
		if err != nil {
			panic(err) // A struct of texts and a number: cannot happen.
		}
		ip := ""
		if e.ip.IsValid() {
			ip = e.ip.String()
		}
		arg.OccurredAt = append(arg.OccurredAt, e.at)
		arg.Kind = append(arg.Kind, e.kind)
		arg.Actor = append(arg.Actor, e.actor.ID)
		arg.ActorName = append(arg.ActorName, e.actor.Name)
		arg.ActorUserID = append(arg.ActorUserID, e.actor.UserID)
		arg.Ip = append(arg.Ip, ip)
		arg.RequestID = append(arg.RequestID, e.requestID)
		arg.Requests = append(arg.Requests, e.requests)
		arg.Details = append(arg.Details, string(details))
	}
	var err error
	for range 2 {
		if err = l.insert(arg); err == nil {
			return
		}
	}
	l.lose(len(events), err.Error())
}

// insert writes a set without waiting for the disk: should the database's
// machine fail in the next moment, the requests themselves are safe.
func (l *eventLog) insert(arg queries.InsertAuthEventsParams) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, l.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if err := q.SetAsynchronousCommit(ctx); err != nil {
			return err
		}
		return q.InsertAuthEvents(ctx, arg)
	})
}

// lose counts events that the audit trail will not have. The log has a line for
// each of their requests.
func (l *eventLog) lose(events int, why string) {
	l.lost.Add(float64(events))
	l.log.LogAttrs(context.Background(), slog.LevelError, "auth events lost",
		slog.Int("events", events), slog.String("error", why))
}

// close writes what waits. What comes later is written as well.
func (l *eventLog) close() {
	l.mu.Lock()
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	l.mu.Unlock()
	l.writer.Wait()
}
