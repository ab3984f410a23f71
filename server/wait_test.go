package server_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/server"
)

// work stands in for the table of payments: what is over, and how often it was
// asked.
type work struct {
	mu    sync.Mutex
	over  map[uuid.UUID]bool
	err   error
	asked []int // how many ids each look-up had
}

func (w *work) finished(_ context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, len(ids))
	var over []uuid.UUID
	for _, id := range ids {
		if w.over[id] {
			over = append(over, id)
		}
	}
	return over, w.err
}

func (w *work) finish(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over[id] = true
}

func (w *work) lookups() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func setupWaiters(t *testing.T) (*work, *server.Waiters, *lockedBuffer) {
	t.Helper()

	w, log := &work{over: map[uuid.UUID]bool{}}, &lockedBuffer{}
	return w, server.NewWaiters(w.finished, slog.New(slog.NewJSONHandler(log, nil))), log
}

func TestWaitersShareOneLookUp(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		w, waiters, _ := setupWaiters(t)
		id, started := uuid.New(), time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { server.Wait(waiters, t.Context(), id, 10*time.Second) })
		}
		time.Sleep(time.Second)
		require.InDelta(t, int(time.Second/server.PollEvery), w.lookups(), 1)
		require.Equal(t, 1, w.asked[0])
		w.finish(id)
		all.Wait()
		require.Less(t, time.Since(started), time.Second+2*server.PollEvery)

		// Nobody waits any more, so nobody asks.
		time.Sleep(time.Second)
		before := w.lookups()
		time.Sleep(time.Minute)
		require.Equal(t, before, w.lookups())

		// And the next waiter starts it again.
		w.finish(id)
		server.Wait(waiters, t.Context(), id, 10*time.Second)
		require.Equal(t, before+1, w.lookups())
		server.CloseWaiters(waiters)
	})
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		_, waiters, log := setupWaiters(t)
		took := func(ctx context.Context, atMost time.Duration) time.Duration {
			started := time.Now()
			server.Wait(waiters, ctx, uuid.New(), atMost)
			return time.Since(started)
		}
		require.Equal(t, 3*time.Second, took(t.Context(), 3*time.Second), "when the time is up")
		require.Zero(t, took(t.Context(), 0), "before it began")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, time.Second, took(ctx, 10*time.Second), "when the client is gone")

		time.AfterFunc(2*time.Second, func() { server.CloseWaiters(waiters) })
		require.Equal(t, 2*time.Second, took(t.Context(), 10*time.Second), "at shutdown")
		require.Zero(t, took(t.Context(), 10*time.Second), "after it")
		synctest.Wait()
		require.Empty(t, log.String())
	})
}

func TestLookUpThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		w, waiters, log := setupWaiters(t)
		w.err = errors.New("away")
		server.Wait(waiters, t.Context(), uuid.New(), 10*time.Second)
		require.InDelta(t, int(10*time.Second/server.PollPause), w.lookups(), 1)
		require.Contains(t, log.String(), `"msg":"look up waiters"`)
		server.CloseWaiters(waiters)
		synctest.Wait()
	})
}

func TestWaitPreference(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		want    time.Duration
		applied string
	}{
		"":                             {},
		"wait=5":                       {5 * time.Second, "wait=5"},
		"Wait = 5":                     {5 * time.Second, "wait=5"},
		"respond-async, wait=5; x=1":   {5 * time.Second, "wait=5"},
		"wait=30":                      {30 * time.Second, "wait=30"},
		"wait=31":                      {30 * time.Second, "wait=30"},
		"wait=2000000000":              {30 * time.Second, "wait=30"},
		"wait=0":                       {0, "wait=0"},
		"wait=-1":                      {},
		"wait=1.5":                     {},
		"wait":                         {},
		"wait=99999999999999999999999": {},
		"waiting=5":                    {},
	}
	for prefer, tt := range tests {
		t.Run(prefer, func(t *testing.T) {
			t.Parallel()

			got, applied := server.WaitPreference(prefer)
			if got != tt.want || applied != tt.applied {
				t.Errorf("waitPreference(%q) = %v, %q; want %v, %q", prefer, got, applied, tt.want, tt.applied)
			}
		})
	}
}
