package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"loanserve/jobs"
	"loanserve/queries"
)

const (
	// eventPause is how long events gather for which no answer waits.
	eventPause = 100 * time.Millisecond
	// eventRest is how long events gather for which one does, counted from the set
	// before them: one that comes alone goes at once, and a flood of refusals makes
	// no more than fifty sets a second.
	eventRest = 20 * time.Millisecond
	// maxEvents bounds those that wait. Beyond it they are lost, and counted.
	maxEvents = 16384
	// eventTimeout bounds the writing of one set.
	eventTimeout = 10 * time.Second
)

// eventSet is events that are written together.
type eventSet struct {
	events  []*event
	refused map[alike]*event // of the events
	dropped int              // because too many wait
	awaited bool             // An answer waits for one of them.
	over    chan struct{}    // closed when they are written, or lost
}

func newEventSet() *eventSet {
	return &eventSet{refused: map[alike]*event{}, over: make(chan struct{})}
}

// eventLog gathers events and writes them.
type eventLog struct {
	db   jobs.DB // nil where there is no audit trail
	log  *slog.Logger
	lost prometheus.Counter

	mu      sync.Mutex
	next    *eventSet
	running bool
	failing bool          // The set before could not be written: no answer waits until one can.
	hurry   chan struct{} // has something in it when an answer waits
	closed  chan struct{}
	writer  sync.WaitGroup
	written time.Time // when the writer was last done with a set; its own
}

func newEventLog(log *slog.Logger, registerer prometheus.Registerer) *eventLog {
	l := &eventLog{
		log: log, next: newEventSet(), hurry: make(chan struct{}, 1), closed: make(chan struct{}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "loanserve_auth_events_lost_total",
			Help: "Events that could not be written to the audit trail, and are only in the log.",
		}),
	}
	registerer.MustRegister(l.lost)
	return l
}

// add has the event written. Where an answer is to wait for that, it returns what
// is closed then; nil where there is nothing to wait for.
func (l *eventLog) add(e *event, awaited bool) (over <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	set := l.next
	same := alike{actor: e.actor.ID, ip: e.ip, details: e.details}
	switch first := set.refused[same]; {
	case first != nil && e.kind == eventRefused:
		first.requests++
	case len(set.events) >= maxEvents:
		set.dropped++
		return nil
	default:
		set.events = append(set.events, e)
		if e.kind == eventRefused {
			set.refused[same] = e
		}
	}
	if !l.running {
		l.running = true
		l.writer.Go(l.write)
	}
	if !awaited || l.failing {
		return nil
	}
	set.awaited = true
	select {
	case l.hurry <- struct{}{}:
	default:
	}
	return set.over
}

// write writes what waits until nothing does.
func (l *eventLog) write() {
	for {
		l.gather()
		l.mu.Lock()
		set := l.next
		l.next = newEventSet()
		l.running = len(set.events) > 0
		l.mu.Unlock()
		if len(set.events) == 0 {
			return
		}
		if set.dropped > 0 {
			l.lose(set.dropped, "too many wait")
		}
		err := l.store(set)
		l.written = time.Now()
		l.mu.Lock()
		l.failing = err != nil
		l.mu.Unlock()
		close(set.over)
	}
}

// gather returns when it is time to write what waits.
func (l *eventLog) gather() {
	pause := time.NewTimer(eventPause)
	defer pause.Stop()
	select {
	case <-pause.C:
		return
	case <-l.closed:
		return
	case <-l.hurry:
	}
	rest := time.NewTimer(eventRest - time.Since(l.written))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-l.closed:
	}
}

// store writes events, and tries once more where that fails: an actor may have
// been deleted in the same moment. Its error says that they are lost.
func (l *eventLog) store(set *eventSet) error {
	var arg queries.InsertAuthEventsParams
	for _, e := range set.events {
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
		if err = l.insert(arg, set.awaited); err == nil {
			return nil
		}
	}
	l.lose(len(set.events), err.Error())
	return err
}

// insert writes a set. Where no answer waits for it, it does not wait for the disk
// either: should the database's machine fail in the next moment, the requests
// themselves are safe.
func (l *eventLog) insert(arg queries.InsertAuthEventsParams, awaited bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, l.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if !awaited {
			if err := q.SetAsynchronousCommit(ctx); err != nil {
				return err
			}
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
