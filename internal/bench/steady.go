package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// latencies is how long each of a number of requests took, and what went wrong.
type latencies struct {
	took []time.Duration
	err  error
}

func (l latencies) quantile(percent int) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.took))
	return sorted[(len(sorted)-1)*percent/100].Round(100 * time.Microsecond)
}

// ratioTo is how many times as long a quantile is as another's.
func (l latencies) ratioTo(alone latencies, percent int) float64 {
	return l.quantile(percent).Seconds() / alone.quantile(percent).Seconds()
}

// atRate has requests made at a steady rate until ctx ends. Each begins in its
// moment, however long those before it take, and is timed from then on.
func atRate(ctx context.Context, perSecond int, request func(ctx context.Context, n int) error) latencies {
	var mu sync.Mutex
	var all sync.WaitGroup
	var result latencies
	start := time.Now()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		select {
		case <-ctx.Done():
			all.Wait()
			return result
		case <-time.After(time.Until(due)):
		}
		all.Go(func() {
			err := request(context.WithoutCancel(ctx), n)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			result.took = append(result.took, took)
			if err != nil {
				result.err = err
			}
		})
	}
}

const (
	// paymentsPerSecond is a steady rate far above what a servicer of a million
	// loans takes in on the first of a month.
	paymentsPerSecond = 500
	// paymentsAlone is how long payments are measured with nothing beside them.
	paymentsAlone = time.Minute
)

// payers sends payments over as many connections as are needed at a time.
type payers struct {
	b    *bench
	base string

	mu   sync.Mutex
	idle []*client
}

func (p *payers) take(ctx context.Context) (*client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c, nil
	}
	return dial(ctx, p.base)
}

func (p *payers) give(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
}

func (p *payers) close() {
	for _, c := range p.idle {
		_ = c.conn.Close()
	}
}

// pay sends one payment, to the loan whose turn it is.
func (p *payers) pay(ctx context.Context, n int) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/loans/%d/payments", p.b.portfolio.LoanAt(n, 1))
	if err := c.post(path, p.b.api.token, uuid.NewString(), steadyPayment); err != nil {
		_ = c.conn.Close()
		return err
	}
	p.give(c)
	return nil
}

var steadyPayment = []byte(
	`{"amount_cents":100000,"received_on":"2026-02-01","channel":"ach","designation":"periodic"}`)

// flow is what became of payments that came in at the steady rate: how long each
// waited for its answer, and from then for its place in the ledger.
type flow struct {
	answered latencies
	posted   latencies
}

var errNotPosted = errors.New("a payment was not posted")

// pay has payments come in at the steady rate until ctx ends, and returns when all
// of them are posted. One that is not is an error.
func (b *bench) pay(ctx context.Context, base string) (f flow, err error) {
	p := &payers{b: b, base: base}
	defer p.close()
	var since time.Time
	if err := b.pool.QueryRow(context.WithoutCancel(ctx), `SELECT now()`).Scan(&since); err != nil {
		return f, fmt.Errorf("look at the clock: %w", err)
	}
	f.answered = atRate(ctx, paymentsPerSecond, p.pay)
	if f.answered.err != nil {
		return f, f.answered.err
	}
	ctx = context.WithoutCancel(ctx)
	if err := b.portfolio.UntilPosted(ctx); err != nil {
		return f, err
	}
	f.posted, err = b.postedSince(ctx, since)
	if err == nil && len(f.posted.took) != len(f.answered.took) {
		err = fmt.Errorf("%d payments were answered and %d are posted", len(f.answered.took), len(f.posted.took))
	}
	return f, err
}

// postedSince is how long payments waited that came over HTTP since the instant.
func (b *bench) postedSince(ctx context.Context, since time.Time) (l latencies, err error) {
	rows, err := b.pool.Query(ctx, `
SELECT status = 'posted', coalesce(extract(epoch FROM posted_at - created_at), 0)::float8
FROM payments WHERE created_at >= $1 AND requested_by LIKE 'token:%'`, since)
	if err != nil {
		return l, fmt.Errorf("look at payments: %w", err)
	}
	var posted bool
	var seconds float64
	_, err = pgx.ForEachRow(rows, []any{&posted, &seconds}, func() error {
		if !posted {
			return errNotPosted
		}
		l.took = append(l.took, time.Duration(seconds*float64(time.Second)))
		return nil
	})
	return l, err
}
