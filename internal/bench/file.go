package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/postingrate"
	"loanserve/jobs"
	"loanserve/queries"
)

// setSize is how many payments one statement of the set-based limit posts.
const setSize = 1_000

// setClients is how many such statements run at the same time: two are as fast
// as the two cores of the machine that the targets were set on.
const setClients = 2

// csvFile returns a file of payments of 1,000.00 for half of the loans, in an
// order without a pattern. No two are the same file.
func (b *bench) csvFile() []byte {
	var file bytes.Buffer
	name := uuid.NewString()
	file.WriteString("loan_number,amount,received_on,channel,designation,external_ref\n")
	for i := range b.items {
		fmt.Fprintf(&file, "BENCH-%d,1000.00,2026-02-01,lockbox,periodic,%s/%d\n", b.portfolio.LoanAt(i, 1), name, i)
	}
	return file.Bytes()
}

// fileStored is how fast filePosted, which is measured before it, has stored its
// file.
func (b *bench) fileStored(ctx context.Context) (float64, error) {
	if b.stored == 0 {
		if _, err := b.filePosted(ctx); err != nil {
			return 0, err
		}
	}
	stored := b.stored
	b.stored = 0
	return stored, nil
}

// filePosted sends a file to the program, whose workers wait until it is stored,
// and stops the clock when the batch is finished.
func (b *bench) filePosted(ctx context.Context) (rate float64, err error) {
	queue, err := jobs.NewInserter(b.pool, jobs.NewMetrics(prometheus.NewRegistry(), b.log), b.log)
	if err != nil {
		return 0, err
	}
	program, err := b.api.start(ctx, workers)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, program.stop()) }()
	if err := queue.QueuePause(ctx, jobs.QueueBatches, nil); err != nil {
		return 0, fmt.Errorf("pause the queue: %w", err)
	}
	file := b.csvFile()
	start := time.Now()
	batch, err := b.sendFile(ctx, program.base, file)
	if err != nil {
		return 0, err
	}
	b.stored = float64(b.items) / time.Since(start).Seconds()
	err = b.each(ctx, "VACUUM ANALYZE payments", "VACUUM ANALYZE payment_batch_items", "CHECKPOINT")
	if err != nil {
		return 0, err
	}
	if waits, err := b.batchIs(ctx, batch, "received"); err != nil || !waits {
		return 0, errors.Join(err, errors.New("the workers have not waited"))
	}
	profiled := b.profile(ctx, program, "file")
	start = time.Now()
	if err := queue.QueueResume(ctx, jobs.QueueBatches, nil); err != nil {
		return 0, fmt.Errorf("resume the queue: %w", err)
	}
	err = b.untilFinished(ctx, batch)
	rate = float64(b.items) / time.Since(start).Seconds()
	return rate, errors.Join(err, profiled())
}

// fileToBooks sends a file to the program, which posts it, and stops the clock
// when the batch is finished.
func (b *bench) fileToBooks(ctx context.Context) (rate float64, err error) {
	base, stop, err := b.api.serve(ctx, workers)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	file := b.csvFile()
	start := time.Now()
	batch, err := b.sendFile(ctx, base, file)
	if err == nil {
		err = b.untilFinished(ctx, batch)
	}
	return float64(b.items) / time.Since(start).Seconds(), err
}

func (b *bench) sendFile(ctx context.Context, base string, file []byte) (batch uuid.UUID, err error) {
	url := fmt.Sprintf("%s/v1/payment-batches?format=csv&items=%d&total_cents=%d", base, b.items, b.items*1000_00)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(file))
	if err != nil {
		return batch, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+b.api.token)
	r.Header.Set("Content-Type", "text/csv")
	r.Header.Set("Idempotency-Key", uuid.NewString())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return batch, fmt.Errorf("send file: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusAccepted {
		return batch, fmt.Errorf("send file: status %d: %s: %w", res.StatusCode, answer, err)
	}
	var accepted struct {
		BatchID uuid.UUID `json:"batch_id"`
	}
	if err := json.Unmarshal(answer, &accepted); err != nil {
		return batch, fmt.Errorf("read answer: %w", err)
	}
	return accepted.BatchID, nil
}

// untilFinished returns once the batch is finished.
func (b *bench) untilFinished(ctx context.Context, batch uuid.UUID) error {
	return postingrate.Until(ctx, func() (bool, error) { return b.batchIs(ctx, batch, "finished") })
}

func (b *bench) batchIs(ctx context.Context, batch uuid.UUID, status string) (is bool, err error) {
	err = b.pool.QueryRow(ctx, `SELECT status::text = $2 FROM payment_batches WHERE id = $1`, batch, status).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("look at the batch: %w", err)
	}
	return is, nil
}

// rawCopy is the limit of storing: COPY of the same rows into the same two
// tables, in one transaction.
func (b *bench) rawCopy(ctx context.Context) (float64, error) {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	ids, batch := postingrate.NewIDs(b.items), uuid.Must(uuid.NewV7())
	first := b.loans/2 + 1
	items := pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
		loan := b.portfolio.LoanAt(i, first)
		return []any{
			batch, i + 2, fmt.Sprintf("BENCH-%d", loan), 1000_00, postingrate.PaymentDay(), "ach",
			"periodic", ids[i].String(), "stored", loan, ids[i],
		}, nil
	})
	start := time.Now()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
INSERT INTO payment_batches (id, format, sha256, items, total_cents, requested_by, idempotency_key, request_hash)
VALUES ($1, 'csv', sha256($2::text::bytea), $3, $4, 'bench:post', $2, sha256(''))`,
			batch, batch.String(), b.items, b.items*1000_00); err != nil {
			return fmt.Errorf("insert batch: %w", err)
		}
		rows := b.portfolio.PaymentRows(ids, first)
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"payments"}, postingrate.PaymentColumns(), rows); err != nil {
			return fmt.Errorf("copy payments: %w", err)
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"payment_batch_items"}, []string{
			"batch_id", "line", "loan_number", "amount_cents", "received_on", "channel", "designation", "external_ref",
			"status", "loan_id", "payment_id",
		}, items)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("copy: %w", err)
	}
	rate := float64(b.items) / time.Since(start).Seconds()
	return rate, b.each(ctx, "UPDATE payments SET status = 'rejected', reason = 'raw' WHERE status = 'received'",
		"VACUUM ANALYZE payments")
}

// rawSets is the limit: what the database alone does when one statement posts a
// thousand payments, writing the same rows of the same tables, with no
// arithmetic and no queue.
func (b *bench) rawSets(ctx context.Context) (float64, error) {
	ids, err := b.portfolio.Receive(ctx, b.loans/2+1, b.items)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for c := range setClients {
		group.Go(func() error {
			for from := c * setSize; from < len(ids); from += setClients * setSize {
				if err := b.postSet(ctx, ids[from:min(from+setSize, len(ids))]); err != nil {
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

func (b *bench) postSet(ctx context.Context, ids []uuid.UUID) error {
	return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		var posted int
		if err := jobs.AllowRows(ctx, queries.New(tx), len(ids)); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
WITH due AS (
  SELECT p.id, l.id AS loan_id, l.last_seq + 1 AS seq
  FROM payments p JOIN loans l ON l.id = p.loan_id
  WHERE p.id = ANY($1) AND p.status = 'received'
  ORDER BY l.id, p.id
  FOR NO KEY UPDATE OF l, p
), added AS (
  INSERT INTO transactions
  SELECT loan_id, seq, 'installment', '2026-02-01', now(), '2026-02-01', id, NULL,
    100000, -29508, -54688, -15804, 0, 0, 0, 0, 0, 0, 0, 'raw', 'bench:raw', sha256('') FROM due
), moved AS (
  UPDATE loans l SET principal_cents = principal_cents - 29508, escrow_cents = escrow_cents + 15804,
    next_due_on = '2026-03-01', last_seq = due.seq, last_hash = sha256(''), updated_at = now()
  FROM due WHERE l.id = due.loan_id
), ended AS (
  UPDATE payments p SET status = 'posted', posted_at = now(), interest_cents = 54688,
    principal_cents = 29508, escrow_cents = 15804, first_seq = due.seq, last_seq = due.seq
  FROM due WHERE p.id = due.id
  RETURNING p.id
)
SELECT count(*) FROM ended`, ids).Scan(&posted)
		if err == nil && posted != len(ids) {
			err = fmt.Errorf("%d of %d were posted", posted, len(ids))
		}
		if err != nil {
			return fmt.Errorf("post set: %w", err)
		}
		return nil
	})
}
