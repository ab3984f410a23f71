package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
	"loanserve/internal/pgcluster"
	"loanserve/internal/portfolio"
	"loanserve/jobs"
	"loanserve/migrations"
	"loanserve/queries"
	"loanserve/server"
)

// demoDatabase is the database that the demo works on, as its owner sees it.
type demoDatabase struct {
	appURL string        // for the engine
	owner  *pgxpool.Pool // also holds the lock that keeps a second demo out
	token  int64         // the row of the demo's token
}

const roleOwner = "loanserve_owner"

// openDatabase returns a migrated database that belongs to the demo: a private
// one, or the one that was named.
func (d *demo) openDatabase(ctx context.Context) (*demoDatabase, error) {
	appURL, ownerURL := string(d.DatabaseURL), string(d.MigrateDatabaseURL)
	if appURL == "" {
		url, err := d.startCluster(ctx)
		if err != nil {
			return nil, err
		}
		appURL, ownerURL = url, url
	}
	if ownerURL == "" {
		ownerURL = appURL
	}
	if err := refuseForeignLoans(ctx, ownerURL); err != nil {
		return nil, err
	}
	applied, err := migrations.Up(ctx, ownerURL, d.log)
	if err != nil {
		return nil, err
	}
	d.progress.done(ctx, "schema migrated", slog.Int("applied", len(applied)))
	owner, err := openAsOwner(ctx, ownerURL)
	if err != nil {
		return nil, err
	}
	d.later(func(context.Context) error { owner.Close(); return nil })
	return &demoDatabase{appURL: appURL, owner: owner}, keepOut(ctx, d, owner)
}

// startCluster starts a private server that ends with the demo.
func (d *demo) startCluster(ctx context.Context) (url string, err error) {
	d.progress.show("looking for PostgreSQL")
	binaries, err := pgcluster.Provision(ctx, func(line string) { d.progress.done(ctx, line) })
	if err != nil {
		return "", err
	}
	d.progress.show("starting a private PostgreSQL")
	// Durable, so that the demo's speed is that of books that are kept.
	cluster, err := pgcluster.Start(ctx, pgcluster.Options{Binaries: binaries, Durable: true})
	if err != nil {
		return "", err
	}
	d.later(func(context.Context) error { return cluster.Stop() })
	d.progress.done(ctx, "private PostgreSQL started", slog.Int("major", binaries.Major))
	return cluster.URL("postgres"), nil
}

func openAsOwner(ctx context.Context, url string) (*pgxpool.Pool, error) {
	const conns = 2 // One holds the lock.
	return database.Open(ctx, url, database.Options{
		Role: roleOwner, MaxConns: conns, ApplicationName: "loanserve demo",
	})
}

// refuseForeignLoans protects a database in which somebody works: it looks
// before anything is changed there.
func refuseForeignLoans(ctx context.Context, url string) error {
	pool, err := openAsOwner(ctx, url)
	if neverMigrated(err) {
		return nil // A server without the role has no database with our loans.
	}
	if err != nil {
		return err
	}
	defer pool.Close()
	var exists bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('public.loans') IS NOT NULL`).Scan(&exists); err != nil {
		return fmt.Errorf("look for loans: %w", err)
	}
	if !exists {
		return nil
	}
	var numbers, keys []string
	for _, l := range portfolio.Loans() {
		numbers, keys = append(numbers, l.Number), append(keys, l.Key)
	}
	var foreign int
	err = pool.QueryRow(ctx, `
SELECT count(*) FROM loans
WHERE NOT EXISTS (
  SELECT FROM unnest($1::text[], $2::text[]) AS ours (number, key)
  WHERE number = loan_number AND key = idempotency_key
)`,
		numbers, keys).Scan(&foreign)
	if err != nil {
		return fmt.Errorf("look for loans: %w", err)
	}
	if foreign > 0 {
		return fmt.Errorf("the database holds loans that are not the demo's (%d): give the demo a database of its own, "+
			"or none, and it brings one", foreign)
	}
	return nil
}

// demoLock is the advisory lock that a demo holds on its database.
const demoLock int64 = 7_201_969_004

// keepOut takes the lock for as long as the demo runs. A second demo would take
// over the first one's token.
func keepOut(ctx context.Context, d *demo, owner *pgxpool.Pool) error {
	conn, err := owner.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	d.later(func(context.Context) error { conn.Release(); return nil })
	var locked bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, demoLock).Scan(&locked); err != nil {
		return fmt.Errorf("lock the demo's database: %w", err)
	}
	if !locked {
		return errors.New("another demo is at work in this database")
	}
	return nil
}

// demoTokenName is what the demo's token is called.
const demoTokenName = "loanserve demo"

// lendToken returns a token with every scope. Idempotency keys belong to a
// token's number: the number stays from one demo in a database to the next, so
// that its requests are repetitions, and the secret is new each time.
func (db *demoDatabase) lendToken(ctx context.Context) (string, error) {
	secret := server.NewTokenSecret()
	err := db.owner.QueryRow(ctx, `
WITH renewed AS (
  UPDATE api_tokens SET token_hash = $2, scopes = $3, expires_at = NULL, revoked_at = NULL
  WHERE id = (SELECT min(id) FROM api_tokens WHERE name = $1)
  RETURNING id
), added AS (
  INSERT INTO api_tokens (name, token_hash, scopes)
  SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM renewed)
  RETURNING id
)
SELECT id FROM renewed UNION ALL SELECT id FROM added`,
		demoTokenName, server.HashTokenSecret(secret), allScopes()).Scan(&db.token)
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return server.FormatToken(db.token, secret), nil
}

func (db *demoDatabase) endToken(ctx context.Context) error {
	if _, err := queries.New(db.owner).MarkAPITokenRevoked(ctx, db.token); err != nil {
		return fmt.Errorf("revoke the demo's token: %w", err)
	}
	return nil
}

// demoBooks is what the database itself says of the books.
type demoBooks struct {
	transactions, debitCents, creditCents int64
	brokenSeals, unreconciled             int64
	integrity                             jobs.CheckReport
}

func (b demoBooks) inOrder() bool {
	return b.debitCents == b.creditCents && b.brokenSeals == 0 && b.unreconciled == 0 &&
		len(b.integrity.Findings) == 0
}

func (db *demoDatabase) checkBooks(ctx context.Context) (demoBooks, error) {
	var b demoBooks
	err := db.owner.QueryRow(ctx, `
SELECT (SELECT count(*) FROM transactions),
  (SELECT coalesce(sum(debit_cents), 0)::bigint FROM trial_balance),
  (SELECT coalesce(sum(credit_cents), 0)::bigint FROM trial_balance),
  (SELECT count(*) FROM broken_seals), (SELECT count(*) FROM unreconciled_loans)`).
		Scan(&b.transactions, &b.debitCents, &b.creditCents, &b.brokenSeals, &b.unreconciled)
	if err != nil {
		return b, fmt.Errorf("check the books: %w", err)
	}
	return b, nil
}
