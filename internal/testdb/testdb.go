// Package testdb lends tests a real, migrated PostgreSQL database: for tests
// only.
//
// Inside: Tx, a transaction that is rolled back; Clone and Empty, a database of
// the test's own; and builders of plausible rows. Not inside: any mock, and any
// state that one test leaves to another.
//
// The one idea: a schema is migrated once for all tests and processes, into a
// template whose name carries migrations.Fingerprint; everything else is copied
// from it. Each test says what it needs, the cheapest first:
//
//   - Tx, under a millisecond, for whatever one transaction can show;
//   - Clone, tens of milliseconds, for races, commits and whole programs;
//   - Empty, for migrating itself.
//
// DATABASE_URL names the server to use, by a login that is a superuser; its
// database serves only to connect. Without it each process starts a private
// server that ends with the process.
package testdb

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
)

// The database roles that tests act as.
const (
	RoleApp      = "loanserve_app"
	RoleOwner    = "loanserve_owner"
	RoleReadonly = "loanserve_readonly"
	RoleBackup   = "loanserve_backup"
	// RoleSuper is the login itself, which is a superuser.
	RoleSuper = "none"
)

const (
	// cleanupTimeout bounds what is done after a test has ended.
	cleanupTimeout = 30 * time.Second
	// releaseTimeout bounds the wait for a connection that is still in use then.
	releaseTimeout = 5 * time.Second
	// maxConns is the size of each pool. Connections are made when first used.
	maxConns = 20
)

// Tx begins a transaction as loanserve_app in a database that all tests share,
// and rolls it back when the test ends. Other tests run beside it, so two of
// them must not insert the same unique value: the builders of this package
// never do. What locks a whole table (DDL, TRUNCATE) belongs in a Clone.
//
// The transaction cannot be committed: trying fails the test. What the code
// under test begins in it is a savepoint.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	tx, err := open(t).shared.Begin(t.Context())
	if err != nil {
		t.Fatalf("testdb: begin: %v", err)
	}
	own := &testTx{Tx: tx, t: t}
	t.Cleanup(own.end)
	return own
}

// testTx is a transaction that refuses to be committed.
type testTx struct {
	pgx.Tx

	t     testing.TB
	ended bool
}

var errCommit = errors.New("testdb: the transaction of a test is not committed; use a Clone")

// Commit fails the test.
func (tx *testTx) Commit(context.Context) error {
	tx.t.Error(errCommit)
	return errCommit
}

// Rollback ends the transaction early.
func (tx *testTx) Rollback(ctx context.Context) error {
	tx.ended = true
	return tx.Tx.Rollback(ctx)
}

func (tx *testTx) end() {
	if tx.ended {
		return
	}
	const idle = 'I' // Not in a transaction any more: some SQL has ended it.
	if conn := tx.Conn(); !conn.IsClosed() && conn.PgConn().TxStatus() == idle {
		tx.t.Error(errCommit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // It fails where the connection broke, which rolls back as well.
}

// DB is a test's own database.
type DB struct {
	Name string
	// URL connects as the superuser.
	URL string
	// App, Owner and Super are pools of the role they name.
	App, Owner, Super *pgxpool.Pool
}

// Clone makes a migrated database for one test, and drops it when the test
// ends, whoever is connected.
func Clone(t testing.TB) *DB {
	t.Helper()
	s := open(t)
	return s.lend(t, s.template)
}

// Empty makes a database without a schema for one test.
func Empty(t testing.TB) *DB {
	t.Helper()
	return open(t).lend(t, template0)
}

func (s *server) lend(t testing.TB, template string) *DB {
	t.Helper()
	name, err := s.create(t.Context(), "clone", template)
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("testdb: %v", err)
		}
	})
	db := &DB{Name: name, URL: s.url(name)}
	db.App, db.Owner, db.Super = db.Pool(t, RoleApp), db.Pool(t, RoleOwner), db.Pool(t, RoleSuper)
	return db
}

// Pool opens a pool whose connections act as the role, and closes it when the
// test ends. It connects when it is first used.
func (d *DB) Pool(t testing.TB, role string) *pgxpool.Pool {
	t.Helper()
	pool, err := newPool(d.URL, role)
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { defer close(closed); pool.Close() }()
		select {
		case <-closed:
		case <-time.After(releaseTimeout):
			t.Errorf("testdb: the test ended without releasing a connection of role %s", role)
		}
	})
	return pool
}

func newPool(url, role string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	config.ConnConfig.RuntimeParams["role"] = role
	config.MaxConns = maxConns
	config.AfterConnect = database.RegisterTypes // As the program's sessions have them.
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	return pool, nil
}

// open returns this process's server, and fails the test where there is none.
func open(t testing.TB) *server {
	t.Helper()
	s, err := processServer()
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	return s
}
