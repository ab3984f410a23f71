package server

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// maxWait is the longest a client may ask to wait.
	maxWait = 30 * time.Second
	// pollEvery is how often the waiters are looked up together: it is the
	// delay a waiting client sees, and twenty cheap reads a second at most.
	pollEvery = 50 * time.Millisecond
	// pollTimeout bounds one look-up.
	pollTimeout = 5 * time.Second
	// pollPause is how long a failed look-up is left alone.
	pollPause = time.Second
	// maxWaiters is how many requests may wait at once. Further ones are
	// answered at once: to wait is a preference, not a right.
	maxWaiters = 5_000
)

// finishedFunc returns those of the ids whose work is over.
type finishedFunc func(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)

// waiters holds the requests that wait for work to be over. All of them share
// one loop, which runs while somebody waits and asks for all ids at once, so
// that a thousand of them cost what one does. PostgreSQL's NOTIFY would cost
// every posting something, waited for or not.
type waiters struct {
	finished finishedFunc
	log      *slog.Logger
	closing  context.Context //nolint:containedctx // Its end is the end of all waiting.
	close    context.CancelFunc

	mu      sync.Mutex
	byID    map[uuid.UUID]map[chan struct{}]struct{}
	count   int
	polling bool
}

func newWaiters(finished finishedFunc, log *slog.Logger) *waiters {
	closing, stop := context.WithCancel(context.Background())
	return &waiters{
		finished: finished, log: log, closing: closing, close: stop,
		byID: map[uuid.UUID]map[chan struct{}]struct{}{},
	}
}

// wait returns when the work with the id is over, when the time is up, when ctx
// ends or when the server closes. It does not say which: the caller reads the
// resource again and answers with what it finds.
func (w *waiters) wait(ctx context.Context, id uuid.UUID, atMost time.Duration) {
	over := make(chan struct{})
	if atMost <= 0 || !w.enter(id, over) {
		return
	}
	defer w.leave(id, over)

	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-ctx.Done():
	case <-w.closing.Done():
	}
}

func (w *waiters) enter(id uuid.UUID, over chan struct{}) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= maxWaiters || w.closing.Err() != nil {
		return false
	}
	if w.byID[id] == nil {
		w.byID[id] = map[chan struct{}]struct{}{}
	}
	w.byID[id][over] = struct{}{}
	w.count++
	if !w.polling {
		w.polling = true
		go w.poll()
	}
	return true
}

func (w *waiters) leave(id uuid.UUID, over chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, waiting := w.byID[id][over]; waiting {
		w.count--
		delete(w.byID[id], over)
	}
	if len(w.byID[id]) == 0 {
		delete(w.byID, id)
	}
}

// poll looks the waiters up until there are none.
func (w *waiters) poll() {
	pause := pollEvery
	for {
		select {
		case <-time.After(pause):
		case <-w.closing.Done():
		}
		ids := w.ids()
		if ids == nil {
			return
		}
		ctx, cancel := context.WithTimeout(w.closing, pollTimeout)
		finished, err := w.finished(ctx, ids)
		cancel()
		pause = pollEvery
		if err != nil && w.closing.Err() == nil {
			w.log.LogAttrs(ctx, slog.LevelWarn, "look up waiters", causeAttr(err))
			pause = pollPause
		}
		w.release(finished)
	}
}

// ids returns what is waited for. When that is nothing, polling is over.
func (w *waiters) ids() []uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.byID) == 0 || w.closing.Err() != nil {
		w.polling = false
		return nil
	}
	ids := make([]uuid.UUID, 0, len(w.byID))
	for id := range w.byID {
		ids = append(ids, id)
	}
	return ids
}

// release lets those go whose work is over.
func (w *waiters) release(finished []uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range finished {
		for over := range w.byID[id] {
			w.count--
			close(over)
		}
		delete(w.byID, id)
	}
}

// waitPreference reads the wait preference of a Prefer header (RFC 7240,
// section 4.3). What it returns is capped, and applied is the preference as it
// will be honored, for Preference-Applied. A preference that cannot be read is
// ignored, as the RFC wants.
func waitPreference(prefer string) (atMost time.Duration, applied string) {
	for preference := range strings.SplitSeq(prefer, ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
		if err != nil {
			return 0, ""
		}
		atMost = min(time.Duration(seconds)*time.Second, maxWait)
		return atMost, "wait=" + strconv.Itoa(int(atMost/time.Second))
	}
	return 0, ""
}
