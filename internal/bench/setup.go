package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
	"loanserve/internal/pgcluster"
	"loanserve/jobs"
	"loanserve/migrations"
)

// bench is a migrated database of its own with a boarded portfolio.
type bench struct {
	options
	url    string        // as a login that may become any role
	pool   *pgxpool.Pool // as the application
	log    *slog.Logger
	api    *api
	stored float64 // items a second, of the file that was posted last
	close  func()

	escrowSets int // boarded until now
}

// measurement returns how many payments a second went its way.
type measurement struct {
	name    string
	measure func(ctx context.Context) (perSecond float64, err error)
}

func (b *bench) measurements() []measurement {
	return []measurement{
		{rawPosting, b.rawPosting},
		{jobPath, b.jobPath},
		{rawInsert, b.rawInsert},
		{httpIntake, b.httpIntake},
		{httpToBooks, b.httpToBooks},
		{rawCopy, b.rawCopy},
		{rawSets, b.rawSets},
		{filePosted, b.filePosted},
		{fileStored, b.fileStored},
		{fileToBooks, b.fileToBooks},
		{escrowRaw, b.escrowRaw},
		{escrowPure, b.escrowPure},
		{escrowRun, b.escrowRun},
	}
}

func setUp(ctx context.Context, o options) (_ *bench, err error) {
	b := &bench{options: o, log: slog.New(slog.DiscardHandler), close: func() {}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err := b.database(ctx); err != nil {
		return nil, err
	}
	if _, err := migrations.Up(ctx, b.url, b.log); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(b.url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	config.ConnConfig.RuntimeParams["role"] = "loanserve_app"
	config.MaxConns, config.AfterConnect = int32(o.clients), database.RegisterTypes
	if b.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	b.onClose(b.pool.Close)
	fmt.Fprintf(os.Stderr, "boarding %d loans\n", o.loans)
	if err := b.board(ctx); err != nil {
		return nil, err
	}
	if b.api, err = startAPI(ctx, b.url); err != nil {
		return nil, err
	}
	b.onClose(b.api.stop)
	return b, nil
}

// onClose adds a step before those that were added earlier.
func (b *bench) onClose(step func()) {
	before := b.close
	b.close = func() { step(); before() }
}

// database makes b.url a new, empty database, durable as production's is.
func (b *bench) database(ctx context.Context) error {
	server := os.Getenv("DATABASE_URL")
	if server == "" {
		binaries, err := pgcluster.Provision(ctx, func(s string) { fmt.Fprintln(os.Stderr, s) })
		if err != nil {
			return err
		}
		cluster, err := pgcluster.Start(ctx, pgcluster.Options{Binaries: binaries, Durable: true})
		if err != nil {
			return err
		}
		b.onClose(func() { _ = cluster.Stop() })
		server = cluster.URL("postgres")
	}
	name := "loanserve_bench_" + uuid.NewString()[:8]
	if err := execute(ctx, server, "CREATE DATABASE "+name); err != nil {
		return err
	}
	b.onClose(func() { _ = execute(context.WithoutCancel(ctx), server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	u.Path = "/" + name
	b.url = u.String()
	return nil
}

func execute(ctx context.Context, url, sql string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	config.RuntimeParams["loanserve.max_rows"] = strconv.Itoa(jobs.EveryRow)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%.40s: %w", sql, err)
	}
	return nil
}

// board stores the portfolio set-based: loans of 187,500.00 at 3.5 % whose
// periodic payment is 1,000.00, the next one due on 2026-02-01.
func (b *bench) board(ctx context.Context) error {
	err := execute(ctx, b.url, fmt.Sprintf(`
WITH property AS (
  INSERT INTO properties (street, city, state, postal_code)
  VALUES ('1 Bench Street', 'Springfield', 'IL', '62701') RETURNING id
), boarded AS (
  INSERT INTO loans (loan_number, name, property_id, original_principal_cents, rate_ppm,
    principal_and_interest_cents, escrow_payment_cents, originated_on, maturity_on, due_day, interest_method,
    application_order, excess_policy, rounding, late_charge_grace_days, late_charge_rate_ppm,
    late_charge_minimum_cents, boarded_next_due_on, boarded_at, boarded_by, request_hash, principal_cents,
    escrow_cents, suspense_cents, late_charges_due_cents, next_due_on, as_of_on, last_seq, last_hash, updated_at)
  SELECT 'BENCH-' || n, 'Bench loan ' || n, property.id, 18750000, 35000, 84196,
    15804, '2026-01-01', '2056-01-01', 1, 'scheduled_30_360', 'conventional', 'principal', 'half_up',
    15, 50000, 0, '2026-02-01', '2026-01-01 12:00Z', 'bench:board',
    sha256(''), 18750000, 0, 0, 0, '2026-02-01', '2026-01-01', 0, decode(repeat('00', 32), 'hex'), now()
  FROM generate_series(1, %d) n, property
  RETURNING *
), opening AS (
  SELECT ROW(id, 1, 'boarding', '2026-01-01', boarded_at, NULL, NULL, NULL,
    0, principal_cents, 0, 0, 0, 0, 0, 0, 0, 0, -principal_cents, 'boarding', boarded_by, last_hash)::transactions AS t
  FROM boarded
)
INSERT INTO transactions
SELECT (jsonb_populate_record(t, jsonb_build_object('hash', sha256((t).hash || transaction_text(t))))).*
FROM opening`, b.loans))
	if err != nil {
		return err
	}
	return b.each(ctx,
		`UPDATE loans l SET last_seq = 1, last_hash = t.hash FROM transactions t WHERE t.loan_id = l.id`,
		`VACUUM (FULL, ANALYZE) loans`, `VACUUM ANALYZE transactions`, `CHECKPOINT`)
}

// each executes statements one by one, as a login that may do anything.
func (b *bench) each(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if err := execute(ctx, b.url, sql); err != nil {
			return err
		}
	}
	return nil
}

// checkBooks refuses a fast run that got the money wrong. The raw limit writes
// rows without seals, to the upper half of the loans, and is left out.
func (b *bench) checkBooks(ctx context.Context) error {
	var broken, unreconciled int
	err := b.pool.QueryRow(ctx, `SELECT
  (SELECT count(*) FROM broken_seals WHERE loan_id <= $1 OR loan_id > $2),
  (SELECT count(*) FROM unreconciled_loans WHERE loan_id <= $1 OR loan_id > $2)`,
		b.loans/2, b.loans).Scan(&broken, &unreconciled)
	if err != nil {
		return fmt.Errorf("check the books: %w", err)
	}
	if broken+unreconciled > 0 {
		return fmt.Errorf("%d broken seals, %d loans that do not reconcile", broken, unreconciled)
	}
	fmt.Println("books checked: every seal intact, every loan equals its ledger")
	return nil
}

// errSlow ends a measurement that does not come to its end.
var errSlow = errors.New("not finished within five minutes")

const patience = 5 * time.Minute
