package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"loanserve/internal/portfolio"
)

// demoOutcome is what became of one loan.
type demoOutcome struct {
	loan     portfolio.Loan
	id       int64
	payments []demoPayment // the demo's, the oldest first
	after    demoLoan
}

// work boards the portfolio and submits its payments, and returns what became
// of each loan, in order of number.
func (d *demo) work(ctx context.Context, api *demoClient) ([]*demoOutcome, error) {
	outcomes, err := d.board(ctx, api)
	if err != nil {
		return nil, err
	}
	if err := d.pay(ctx, api, outcomes); err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if o.after, err = api.loan(ctx, o.id); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

func (d *demo) board(ctx context.Context, api *demoClient) ([]*demoOutcome, error) {
	start, replays := time.Now(), 0
	loans := portfolio.Loans()
	outcomes := make([]*demoOutcome, len(loans))
	for i, l := range loans {
		d.progress.count("boarding loans", i, len(loans))
		id, replayed, err := api.board(ctx, l.Key, l.Body)
		if err != nil {
			return nil, fmt.Errorf("board %s: %w", l.Number, err)
		}
		if replayed {
			replays++
		}
		outcomes[i] = &demoOutcome{loan: l, id: id}
	}
	d.progress.done(ctx, "loans boarded", slog.Int("loans", len(loans)),
		slog.Int("already_there", replays), slog.Int64("took_ms", time.Since(start).Milliseconds()))
	return outcomes, nil
}

// pay submits the payments: those of a loan one after the other, as they were
// received, and those of several loans at the same time.
func (d *demo) pay(ctx context.Context, api *demoClient, outcomes []*demoOutcome) error {
	start := time.Now()
	byLoan, total := map[string][]portfolio.Payment{}, 0
	for _, p := range portfolio.Payments() {
		byLoan[p.LoanNumber] = append(byLoan[p.LoanNumber], p)
		total++
	}
	var done atomic.Int64
	senders, ctx := errgroup.WithContext(ctx)
	senders.SetLimit(demoWorkers)
	for _, o := range outcomes {
		senders.Go(func() error {
			for _, p := range byLoan[o.loan.Number] {
				posted, err := api.pay(ctx, o.id, p.Key, p.Body)
				if err != nil {
					return fmt.Errorf("pay %s: %w", o.loan.Number, err)
				}
				o.payments = append(o.payments, posted)
				d.progress.count("posting payments", int(done.Add(1)), total)
			}
			return nil
		})
	}
	if err := senders.Wait(); err != nil {
		return err
	}
	d.progress.done(ctx, "payments posted", slog.Int("payments", total),
		slog.Int64("took_ms", time.Since(start).Milliseconds()))
	return nil
}
