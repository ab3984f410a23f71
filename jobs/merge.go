package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/tracing"
)

const (
	// mergeLimit is the most payments in one transaction. Beyond a few hundred
	// the statement costs what the rows cost, and locks are only held longer.
	mergeLimit = 500
	// mergers is how many transactions are under way at once: while one commits,
	// the next is computed.
	mergers = 2
)

// merger posts payments whose jobs run at the same time together, in one
// transaction: they share its round trips and its wait for the disk. There is
// no timer. A transaction takes what has come since the one before it began, so
// that a lone payment goes at once.
type merger struct {
	db      DB
	waiting chan mergeRequest
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// mergeRequest is the wish that one payment be posted, answered once.
type mergeRequest struct {
	payment uuid.UUID
	answer  chan<- mergeAnswer
	span    trace.Span // of the job
}

type mergeAnswer struct {
	payment uuid.UUID
	outcome postOutcome
	err     error
}

// startMerger returns a merger that works until stop, whatever becomes of ctx.
func startMerger(ctx context.Context, db DB) *merger {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &merger{db: db, waiting: make(chan mergeRequest, mergeLimit), cancel: cancel}
	for range mergers {
		m.done.Go(func() { m.loop(run) })
	}
	return m
}

// stop cuts off what is under way, which rolls back, and returns when it has.
func (m *merger) stop() {
	m.cancel()
	m.done.Wait()
}

// post posts payments together with whichever others wait, and returns what
// became of each. When ctx ends first, some of those without an answer may
// still be posted; asking again is then harmless.
func (m *merger) post(ctx context.Context, payments ...uuid.UUID) ([]mergeAnswer, error) {
	answered := make(chan mergeAnswer, len(payments))
	span := trace.SpanFromContext(ctx)
	for _, payment := range payments {
		select {
		case m.waiting <- mergeRequest{payment: payment, answer: answered, span: span}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	answers := make([]mergeAnswer, 0, len(payments))
	for range payments {
		select {
		case a := <-answered:
			answers = append(answers, a)
		case <-ctx.Done():
			return answers, context.Cause(ctx)
		}
	}
	return answers, nil
}

func (m *merger) loop(run context.Context) {
	for {
		select {
		case first := <-m.waiting:
			postTogether(run, m.db, m.gather(first))
		case <-run.Done():
			return
		}
	}
}

// gather returns the first request and all that wait behind it.
func (m *merger) gather(first mergeRequest) []mergeRequest {
	set := []mergeRequest{first}
	for len(set) < mergeLimit {
		select {
		case r := <-m.waiting:
			set = append(set, r)
		default:
			return set
		}
	}
	return set
}

// postApart posts payments with nobody else's, in the caller's goroutine, and
// returns what became of each.
func postApart(ctx context.Context, db DB, payments []uuid.UUID) []mergeAnswer {
	if len(payments) == 0 {
		return nil
	}
	set := make([]mergeRequest, len(payments))
	answered := make(chan mergeAnswer, len(payments))
	for i, payment := range payments {
		set[i] = mergeRequest{payment: payment, answer: answered, span: trace.SpanFromContext(ctx)}
	}
	postTogether(ctx, db, set)
	answers := make([]mergeAnswer, len(payments))
	for i := range answers {
		answers[i] = <-answered
	}
	return answers
}

// allPosted says whether every payment was posted, and by whoever answers.
func allPosted(answers []mergeAnswer) bool {
	posted := 0
	for _, a := range answers {
		posted += a.outcome.posted
	}
	return posted == len(answers)
}

// postTogether posts a set and answers each request. Where one payment spoils
// the set, each half is posted by itself, and so on, until that one is alone
// and fails alone.
func postTogether(ctx context.Context, db DB, set []mergeRequest) {
	outcome, err := tryTogether(ctx, db, set)
	if len(set) > 1 && isOfOnePayment(err) {
		half := len(set) / 2
		postTogether(ctx, db, set[:half])
		postTogether(ctx, db, set[half:])
		return
	}
	for i, r := range set {
		if i > 0 {
			outcome = postOutcome{} // The set is counted once.
		}
		r.answer <- mergeAnswer{payment: r.payment, outcome: outcome, err: err}
	}
}

func tryTogether(ctx context.Context, db DB, set []mergeRequest) (postOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, postPaymentTimeout)
	defer cancel()
	ctx, span := tracing.Together(ctx, "post payments", set, func(r *mergeRequest) trace.Span { return r.span })
	defer span.End()
	payments := make([]uuid.UUID, len(set))
	for i, r := range set {
		payments[i] = r.payment
	}
	outcome, err := postPayments(ctx, db, payments)
	if err != nil && len(set) > 1 {
		err = fmt.Errorf("together with %d others: %w", len(set)-1, err)
	}
	return outcome, err
}

// isOfOnePayment says whether an error comes from what one payment or loan
// holds, and not from the database's state.
func isOfOnePayment(err error) bool {
	if _, ok := errors.AsType[*river.JobCancelError](err); ok {
		return true
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code[:2] == "22" || pgErr.Code[:2] == "23") // data exception, constraint violation
}
