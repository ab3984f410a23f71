// Package postingrate measures how many payments a second are posted, by the
// program's own worker and by the bare database.
//
// Inside: a portfolio of equal loans, payments for them, the two measurements, and the
// check that they got the money right. Not inside: where the database comes from, how
// often it is measured, and how it is told.
//
// The idea to hold: one half of the loans is the program's and the other the limit's,
// which writes rows without seals.
package postingrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"loanserve/jobs"
)

// Portfolio is loans in a migrated database that holds no others.
type Portfolio struct {
	// App is the application's pool, and Owner one that may board loans and vacuum.
	App, Owner *pgxpool.Pool
	Loans      int
	// Checkpoint says whether the server writes a checkpoint before each measurement, so
	// that none begins in the midst of it. Owner has to be allowed to.
	Checkpoint bool
	Log        *slog.Logger
}

// Receive stores n payments of 1,000.00 as received, spread over half of the
// loans in an order without a pattern, and returns their ids.
func (p *Portfolio) Receive(ctx context.Context, firstLoan, n int) ([]uuid.UUID, error) {
	ids := NewIDs(n)
	_, err := p.Owner.CopyFrom(ctx, pgx.Identifier{"payments"}, PaymentColumns(), p.PaymentRows(ids, firstLoan))
	if err != nil {
		return nil, fmt.Errorf("store payments: %w", err)
	}
	return ids, p.settle(ctx, "VACUUM ANALYZE payments")
}

// settle executes statements one by one, and then has a checkpoint written where that
// is wanted.
func (p *Portfolio) settle(ctx context.Context, statements ...string) error {
	if p.Checkpoint {
		statements = append(statements, "CHECKPOINT")
	}
	for _, sql := range statements {
		if _, err := p.Owner.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%.40s: %w", sql, err)
		}
	}
	return nil
}

// NewIDs returns ids for so many payments.
func NewIDs(n int) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	return ids
}

// PaymentColumns are the columns of PaymentRows.
func PaymentColumns() []string {
	return []string{
		"id", "loan_id", "amount_cents", "received_on", "channel", "designation", "external_ref",
		"requested_by", "idempotency_key", "request_hash",
	}
}

// PaymentDay is the day that all payments were received on, when all loans are due.
func PaymentDay() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) }

// PaymentRows are payments with these ids, of one half of the loans.
func (p *Portfolio) PaymentRows(ids []uuid.UUID, firstLoan int) pgx.CopyFromSource {
	return pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
		ref := ids[i].String()
		return []any{
			ids[i], p.LoanAt(i, firstLoan), 1000_00, PaymentDay(), "ach", "periodic", ref, "bench:post", ref, make([]byte, 32),
		}, nil
	})
}

// stride is a prime, so that neighbors in time are not neighbors in the table.
const stride = 7919

// LoansFor is how many loans make a portfolio whose halves have one for each of n
// payments.
func LoansFor(n int) int {
	if n%stride == 0 {
		n++ // Otherwise LoanAt would always be the same.
	}
	return 2 * n
}

// LoanAt is the loan of the payment at this place: half of the loans come in
// turn, in an order without a pattern.
func (p *Portfolio) LoanAt(i, firstLoan int) int {
	return firstLoan + i*stride%(p.Loans/2)
}

// Raw is the limit: what the database alone does when each payment is
// one transaction that locks, inserts and updates the same rows of the same
// tables, statement by statement, with no arithmetic and no queue. It returns how many
// of n payments so many clients post in a second.
func (p *Portfolio) Raw(ctx context.Context, n, clients int) (perSecond float64, err error) {
	ids, err := p.Receive(ctx, p.Loans/2+1, n)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for c := range clients {
		group.Go(func() error {
			for i := c; i < len(ids); i += clients {
				if err := p.postRaw(ctx, ids[i]); err != nil {
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

func (p *Portfolio) postRaw(ctx context.Context, id uuid.UUID) error {
	return pgx.BeginFunc(ctx, p.App, func(tx pgx.Tx) error {
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

// Jobs returns how many of n stored payments a worker as it ships posts in a second, by
// their jobs, from its start to the last one in the ledger.
func (p *Portfolio) Jobs(ctx context.Context, n, workers int) (perSecond float64, err error) {
	ids, err := p.Receive(ctx, 1, n)
	if err != nil {
		return 0, err
	}
	metrics := jobs.NewMetrics(prometheus.NewRegistry(), p.Log)
	inserter, err := jobs.NewInserter(p.App, metrics, p.Log)
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
	worker, err := jobs.NewWorker(p.App, jobs.Config{PaymentWorkers: workers, Metrics: metrics, Log: p.Log})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := worker.Start(ctx); err != nil {
		return 0, err
	}
	err = p.UntilPosted(ctx)
	took := time.Since(start)
	if stopErr := worker.Stop(ctx); err == nil {
		err = stopErr
	}
	return float64(len(ids)) / took.Seconds(), err
}

// UntilPosted returns once no job is left to be worked.
func (p *Portfolio) UntilPosted(ctx context.Context) error {
	return Until(ctx, func() (none bool, err error) {
		err = p.App.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM river.river_job
  WHERE state IN ('available', 'running', 'retryable', 'scheduled') AND queue = 'payments')`).Scan(&none)
		return none, err
	})
}

// ErrSlow ends a measurement that does not come to its end.
var ErrSlow = errors.New("not finished within five minutes")

// Patience is how long a measurement may take.
const Patience = 5 * time.Minute

// Until returns once the condition holds, or ErrSlow.
func Until(ctx context.Context, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, ErrSlow)
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
