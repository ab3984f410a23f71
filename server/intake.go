package server

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/requestid"
	"loanserve/internal/tracing"
	"loanserve/queries"
)

const (
	// intakeLimit is the most payments in one transaction. Beyond a few hundred
	// it costs what the rows cost, and everybody in it waits longer.
	intakeLimit = 500
	// intakeFlushers is how many transactions are under way at once: while one
	// waits for the disk, the next is sent.
	intakeFlushers = 2
	// maxIntake is how many requests may wait for a transaction. Further ones are
	// asked to come back: they would wait longer than their clients do.
	maxIntake = 4096
	// intakeTimeout bounds one transaction, which takes milliseconds. It is well
	// under requestTimeout, so that those in it are told.
	intakeTimeout = 10 * time.Second
)

var (
	errIntakeFull   = errors.New("too many requests wait to be stored")
	errIntakeClosed = errors.New("the server takes no more requests")
	// errStoreAlone says that a payment was not stored together with others, for
	// a reason that only a transaction of its own will tell.
	errStoreAlone = errors.New("not stored together with others")
)

// storeFunc stores payments in one transaction and says in their order what
// became of each.
type storeFunc func(ctx context.Context, set []queries.InsertPaymentParams) []stored

// stored is what became of one payment: its row, or why there is none.
type stored struct {
	row queries.Payment
	err error
}

// intake gathers payments that arrive while others are being stored, and stores
// them together: they share the round trips and the wait for the disk. There is
// no timer. A transaction takes what has come since the one before it began, so
// that a lone payment goes at once.
type intake struct {
	store storeFunc

	mu       sync.Mutex
	waiting  []arrival
	flushing int // transactions under way
	closed   bool
	done     sync.WaitGroup
}

// arrival is one payment that waits, and is answered once.
type arrival struct {
	arg    queries.InsertPaymentParams
	gone   <-chan struct{} // closed when nobody waits for the answer any more
	answer chan<- stored   // never blocks
	span   trace.Span      // of the request
	id     string          // of the request
}

// accept stores the payment together with whichever others wait, and returns
// its row once it is committed. When ctx ends first, it may still be stored.
func (i *intake) accept(ctx context.Context, arg queries.InsertPaymentParams) (queries.Payment, error) {
	answer := make(chan stored, 1)
	if err := i.enter(arrival{
		arg: arg, gone: ctx.Done(), answer: answer, span: trace.SpanFromContext(ctx), id: requestid.Of(ctx),
	}); err != nil {
		return queries.Payment{}, err
	}
	select {
	case s := <-answer:
		return s.row, s.err
	case <-ctx.Done():
		return queries.Payment{}, context.Cause(ctx)
	}
}

// enter lets the payment wait, and starts a transaction when not enough of them
// are under way.
func (i *intake) enter(a arrival) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return unavailable("The server is shutting down. Try again.", errIntakeClosed)
	}
	if len(i.waiting) >= maxIntake {
		return unavailable("Too many payments arrive at once. Try again.", errIntakeFull)
	}
	i.waiting = append(i.waiting, a)
	if i.flushing < intakeFlushers {
		i.flushing++
		i.done.Go(i.run)
	}
	return nil
}

// run stores what waits until nothing does.
func (i *intake) run() {
	for set := i.next(); len(set) > 0; set = i.next() {
		set = slices.DeleteFunc(set, arrival.abandoned)
		if len(set) > 0 {
			i.flush(set)
		}
	}
}

// next takes those that have waited longest. When nobody waits, the flusher
// that asks is over. Requests that can go on before it does go first: those of
// them that are about to wait here are in the set, and it costs no time when
// there are none.
func (i *intake) next() []arrival {
	runtime.Gosched()
	i.mu.Lock()
	defer i.mu.Unlock()
	n := min(len(i.waiting), intakeLimit)
	set := i.waiting[:n:n]
	i.waiting = i.waiting[n:]
	if n == 0 {
		i.waiting = nil
		i.flushing--
	}
	return set
}

// abandoned says whether nobody waits for the answer: then there is no point
// in starting what has not begun.
func (a arrival) abandoned() bool {
	select {
	case <-a.gone:
		return true
	default:
		return false
	}
}

// flush stores a set and answers each. Its context is its own: a client that
// hangs up takes nobody else's payment with it.
func (i *intake) flush(set []arrival) {
	ctx, cancel := context.WithTimeout(context.Background(), intakeTimeout)
	defer cancel()
	ctx, span := tracing.Together(ctx, "store payments", set, func(a *arrival) trace.Span { return a.span })
	defer span.End()
	if len(set) == 1 { // Where there are several, their job is no one's.
		ctx = requestid.With(ctx, set[0].id)
	}
	args := make([]queries.InsertPaymentParams, len(set))
	for n, a := range set {
		args[n] = a.arg
	}
	for n, s := range i.storeSafely(ctx, args) {
		set[n].answer <- s
	}
}

// storeSafely turns a panic into an error for each of the set. Outside of a
// request's goroutine it would end the process.
func (i *intake) storeSafely(ctx context.Context, set []queries.InsertPaymentParams) (answers []stored) {
	defer func() {
		if v := recover(); v != nil {
			answers = allOf(set, &panicError{value: v, stack: debug.Stack()})
		}
	}()
	return i.store(ctx, set)
}

// allOf is the same answer for each of a set.
func allOf(set []queries.InsertPaymentParams, err error) []stored {
	answers := make([]stored, len(set))
	for n := range answers {
		answers[n].err = err
	}
	return answers
}

// close refuses what comes from now on, and returns when all that was accepted
// is answered.
func (i *intake) close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.done.Wait()
}
