package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"loanserve/jobs"
)

// receive stores n payments of 1,000.00 as received, spread over half of the
// loans in an order without a pattern, and returns their ids.
func (b *bench) receive(ctx context.Context, firstLoan, n int) ([]uuid.UUID, error) {
	ids := newIDs(n)
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"payments"}, paymentColumns, b.paymentRows(ids, firstLoan))
	if err != nil {
		return nil, fmt.Errorf("store payments: %w", err)
	}
	return ids, b.each(ctx, "VACUUM ANALYZE payments", "CHECKPOINT")
}

func newIDs(n int) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	return ids
}

var paymentColumns = []string{
	"id", "loan_id", "amount_cents", "received_on", "channel", "designation", "external_ref",
	"requested_by", "idempotency_key", "request_hash",
}

var paymentDay = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

func (b *bench) paymentRows(ids []uuid.UUID, firstLoan int) pgx.CopyFromSource {
	return pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
		ref := ids[i].String()
		return []any{
			ids[i], b.loanAt(i, firstLoan), 1000_00, paymentDay, "ach", "periodic", ref, "bench:post", ref, make([]byte, 32),
		}, nil
	})
}

// loanAt is the loan of the payment at this place: half of the loans come in
// turn, in an order without a pattern.
func (b *bench) loanAt(i, firstLoan int) int {
	const stride = 7919 // a prime, so that neighbors in time are not neighbors in the table
	return firstLoan + i*stride%(b.loans/2)
}

// rawPosting is the limit: what the database alone does when each payment is
// one transaction that locks, inserts and updates the same rows of the same
// tables, statement by statement, with no arithmetic and no queue.
func (b *bench) rawPosting(ctx context.Context) (float64, error) {
	ids, err := b.receive(ctx, b.loans/2+1, b.payments)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for c := range b.clients {
		group.Go(func() error {
			for i := c; i < len(ids); i += b.clients {
				if err := b.postRaw(ctx, ids[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(len(ids)) / time.Since(start).Seconds(), nil
}

func (b *bench) postRaw(ctx context.Context, id uuid.UUID) error {
	return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		var loan, seq int
		if err := tx.QueryRow(ctx, `SELECT loan_id FROM payments WHERE id = $1 AND status = 'received' FOR NO KEY UPDATE`,
			id).Scan(&loan); err != nil {
			return fmt.Errorf("lock payment: %w", err)
		}
		if err := tx.QueryRow(ctx, `SELECT last_seq + 1 FROM loans WHERE id = $1 FOR NO KEY UPDATE`,
			loan).Scan(&seq); err != nil {
			return fmt.Errorf("lock loan: %w", err)
		}
		if _, err := tx.Exec(ctx, `
INSERT INTO transactions VALUES ($1, $2, 'installment', '2026-02-01', now(), '2026-02-01', $3, NULL,
  100000, -29508, -54688, -15804, 0, 0, 0, 0, 0, 0, 0, 'raw', 'bench:raw', sha256(''))`, loan, seq, id); err != nil {
			return fmt.Errorf("insert transaction: %w", err)
		}
		if _, err := tx.Exec(ctx, `
UPDATE loans SET principal_cents = principal_cents - 29508, escrow_cents = escrow_cents + 15804,
  next_due_on = '2026-03-01', last_seq = $2, last_hash = sha256(''), updated_at = now()
WHERE id = $1`, loan, seq); err != nil {
			return fmt.Errorf("update loan: %w", err)
		}
		if _, err := tx.Exec(ctx, `
UPDATE payments SET status = 'posted', posted_at = now(), interest_cents = 54688,
  principal_cents = 29508, escrow_cents = 15804, first_seq = $2, last_seq = $2 WHERE id = $1`, id, seq); err != nil {
			return fmt.Errorf("update payment: %w", err)
		}
		return nil
	})
}

// jobPath posts stored payments by their jobs, in a worker as it ships.
func (b *bench) jobPath(ctx context.Context) (float64, error) {
	ids, err := b.receive(ctx, 1, b.payments)
	if err != nil {
		return 0, err
	}
	metrics := jobs.NewMetrics(prometheus.NewRegistry(), b.log)
	inserter, err := jobs.NewInserter(b.pool, metrics, b.log)
	if err != nil {
		return 0, err
	}
	params := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		params[i] = river.InsertManyParams{Args: jobs.PostPaymentArgs{PaymentID: id}}
	}
	if _, err := inserter.InsertManyFast(ctx, params); err != nil {
		return 0, fmt.Errorf("enqueue: %w", err)
	}
	worker, err := jobs.NewWorker(b.pool, jobs.Config{PaymentWorkers: workers, Metrics: metrics, Log: b.log})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := worker.Start(ctx); err != nil {
		return 0, err
	}
	err = b.untilPosted(ctx)
	took := time.Since(start)
	if stopErr := worker.Stop(ctx); err == nil {
		err = stopErr
	}
	return float64(len(ids)) / took.Seconds(), err
}

// untilPosted returns once no job is left to be worked.
func (b *bench) untilPosted(ctx context.Context) error {
	return b.until(ctx, func() (none bool, err error) {
		err = b.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM river.river_job
  WHERE state IN ('available', 'running', 'retryable', 'scheduled') AND queue = 'payments')`).Scan(&none)
		return none, err
	})
}

// until returns once the condition holds.
func (b *bench) until(ctx context.Context, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	for {
		over, err := holds()
		if err != nil {
			return fmt.Errorf("look whether it is over: %w", err)
		}
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
