package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/queries"
	"loanserve/server"
)

// ledger stands in for the database: it stores when it is let.
type ledger struct {
	mu    sync.Mutex
	begun int   // transactions
	sets  []int // how many payments each had that is over
	let   chan struct{}
}

func (l *ledger) store(_ context.Context, set []queries.InsertPaymentParams) []server.Stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
	l.mu.Unlock()
	<-l.let
	l.mu.Lock()
	l.sets = append(l.sets, len(set))
	return make([]server.Stored, len(set))
}

// untilBegun returns when so many transactions have begun.
func (l *ledger) untilBegun(t *testing.T, want int) {
	t.Helper()

	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.begun == want
	}, patience, time.Millisecond)
}

const patience = 30 * time.Second

// untilWaiting returns when so many payments wait.
func untilWaiting(t *testing.T, i *server.Intake, want int) {
	t.Helper()

	require.Eventually(t, func() bool {
		waiting, _ := server.IntakeState(i)
		return waiting == want
	}, patience, time.Millisecond)
}

func TestIntakeIsBounded(t *testing.T) {
	t.Parallel()

	l := &ledger{let: make(chan struct{})}
	i := server.NewIntake(l.store)
	var all sync.WaitGroup
	accept := func() {
		all.Go(func() {
			if _, err := server.Accept(i, t.Context(), queries.InsertPaymentParams{}); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range server.IntakeFlushers { // Each of them goes at once.
		accept()
		l.untilBegun(t, n+1)
	}
	for range server.MaxIntake {
		accept()
	}
	untilWaiting(t, i, server.MaxIntake)

	_, err := server.Accept(i, t.Context(), queries.InsertPaymentParams{})
	p, ok := errors.AsType[*server.Problem](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 503, p.Status)
	require.NotEmpty(t, p.GetHeaders().Get("Retry-After"))

	close(l.let)
	all.Wait()
	require.Len(t, l.sets, server.IntakeFlushers+(server.MaxIntake+server.IntakeLimit-1)/server.IntakeLimit)
	for _, n := range l.sets {
		require.LessOrEqual(t, n, server.IntakeLimit)
	}
}

// A panic is an answer to those whom it concerns, and the intake goes on.
func TestIntakeSurvivesAPanic(t *testing.T) {
	t.Parallel()

	first := true
	i := server.NewIntake(func(_ context.Context, set []queries.InsertPaymentParams) []server.Stored {
		if first {
			first = false
			panic("the vault is open")
		}
		return []server.Stored{server.StoredRow(queries.Payment{ID: set[0].ID})}
	})
	_, err := server.Accept(i, t.Context(), queries.InsertPaymentParams{})
	require.EqualError(t, err, "panic")
	id := uuid.New()
	row, err := server.Accept(i, t.Context(), queries.InsertPaymentParams{ID: id})
	require.NoError(t, err)
	require.Equal(t, id, row.ID)
}

// Closing answers what was accepted and refuses the rest.
func TestIntakeCloses(t *testing.T) {
	t.Parallel()

	l := &ledger{let: make(chan struct{})}
	i := server.NewIntake(l.store)
	const count = 10
	errs := make(chan error, count)
	for n := range count {
		go func() {
			_, err := server.Accept(i, t.Context(), queries.InsertPaymentParams{})
			errs <- err
		}()
		l.untilBegun(t, min(n+1, server.IntakeFlushers))
	}
	untilWaiting(t, i, count-server.IntakeFlushers)
	closed := make(chan struct{})
	go func() { defer close(closed); server.CloseIntake(i) }()
	require.Eventually(t, func() bool {
		_, closed := server.IntakeState(i)
		return closed
	}, patience, time.Millisecond)

	_, err := server.Accept(i, t.Context(), queries.InsertPaymentParams{})
	p, ok := errors.AsType[*server.Problem](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 503, p.Status)
	select {
	case <-closed:
		t.Error("closed while payments wait")
	default:
	}
	close(l.let)
	for range count {
		require.NoError(t, <-errs)
	}
	<-closed
}

// What was accepted before the server closes is stored and answered.
func TestClosingFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	c := gatherCrowd(t, l)
	crowd := make([]*sent, 20)
	for i := range crowd {
		crowd[i] = c.send(t, c.path(), paymentBody, fmt.Sprint("good-", i))
	}
	c.untilGathered(t)
	closed := make(chan struct{})
	go func() { defer close(closed); l.Close() }()
	require.Eventually(t, func() bool {
		_, closed := server.IntakeState(server.IntakeOf(l.Server))
		return closed
	}, patience, time.Millisecond)

	late := l.call(http.MethodPost, c.path(), paymentBody, "Idempotency-Key", "late")
	refused(t, late, 503, "unavailable")
	require.NotEmpty(t, late.Header().Get("Retry-After"))
	c.answered(t)
	<-closed
	for _, s := range crowd {
		answer(t, s.ResponseRecorder, http.StatusAccepted)
	}
	require.Equal(t, server.IntakeFlushers+len(crowd), l.count(t, countPayments))
}
