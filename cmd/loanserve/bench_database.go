package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
	"loanserve/migrations"
)

// benchDatabase is the database that a bench makes for itself.
type benchDatabase struct {
	name             string
	server           string // how to reach the server by the login that made the database
	ownerURL, appURL string
	app, owner       *pgxpool.Pool
}

// benchPatience bounds making the database, and dropping it, for which the server
// writes a checkpoint first.
const benchPatience = 2 * time.Minute

// benchTable is where commits are measured.
const benchTable = "bench_commits"

// createDatabase makes the database, to its end once it has begun: so it is known
// whether there is one to be dropped.
func (b *benchCommand) createDatabase(ctx context.Context) (*benchDatabase, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	db := &benchDatabase{
		name: "loanserve_bench_" + strings.ToLower(rand.Text()[:12]), server: string(b.MigrateDatabaseURL),
	}
	if db.server == "" {
		db.server = string(b.DatabaseURL)
	}
	var err error
	if db.ownerURL, err = database.InDatabase(db.server, db.name); err != nil {
		return nil, err
	}
	if db.appURL, err = database.InDatabase(string(b.DatabaseURL), db.name); err != nil {
		return nil, err
	}
	err = db.execute(ctx, "CREATE DATABASE "+db.name+" TEMPLATE template0 ENCODING 'UTF8'")
	if err != nil {
		return nil, mayNotCreate(err, db.server)
	}
	return db, nil
}

// mayNotCreate says what to do where the login may not create databases.
func mayNotCreate(err error, server string) error {
	const insufficientPrivilege = "42501"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || refusal.Code != insufficientPrivilege {
		return fmt.Errorf("create a database: %w", err)
	}
	login := "this login"
	if config, err := pgx.ParseConfig(server); err == nil {
		login = pgx.Identifier{config.User}.Sanitize()
	}
	return fmt.Errorf("bench works in a database of its own, and %s may not create one: ALTER ROLE %s CREATEDB, "+
		"or name a login that may by --migrate-database-url: %w", login, login, refusal)
}

// execute runs one statement in the server's own database, whatever becomes of ctx.
func (db *benchDatabase) execute(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), benchPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, db.server)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// drop closes the pools and drops the database.
func (db *benchDatabase) drop(ctx context.Context) error {
	for _, pool := range []*pgxpool.Pool{db.app, db.owner} {
		if pool != nil {
			pool.Close()
		}
	}
	// A session that was interrupted may take a moment to go, and a login that is no
	// superuser may end neither those of others nor an autovacuum. Without FORCE the server
	// ends the latter and waits five seconds for the rest.
	for begin := time.Now(); ; {
		for _, force := range []string{" WITH (FORCE)", ""} {
			err := db.execute(ctx, "DROP DATABASE "+db.name+force)
			if err == nil {
				return nil
			}
			if !isOccupied(err) || time.Since(begin) > benchPatience {
				return fmt.Errorf("drop database %s: %w", db.name, err)
			}
		}
	}
}

// isOccupied says whether a database was not dropped because of the sessions in it.
func isOccupied(err error) bool {
	const insufficientPrivilege, objectInUse = "42501", "55006"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refusal.Code == insufficientPrivilege || refusal.Code == objectInUse)
}

// open migrates the database and opens its pools.
func (db *benchDatabase) open(ctx context.Context, log *slog.Logger) (err error) {
	if _, err := migrations.Up(ctx, db.ownerURL, log); err != nil {
		return err
	}
	const owners = 2
	db.owner, err = database.Open(ctx, db.ownerURL, database.Options{
		Role: roleOwner, MaxConns: owners, ApplicationName: "loanserve bench",
	})
	if err != nil {
		return err
	}
	if _, err := db.owner.Exec(ctx, `CREATE TABLE `+benchTable+` (n bigint)`); err != nil {
		return fmt.Errorf("create table: %w", err)
	}
	db.app, err = database.Open(ctx, db.appURL, database.Options{
		Role: database.RoleApp, MaxConns: benchPool, ApplicationName: "loanserve bench",
	})
	return err
}

// benchLatencies is how long one thing took that was done again and again.
type benchLatencies struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

// latencies runs one statement on one connection, one after the other, until it is
// enough.
func latencies(
	ctx context.Context, pool *pgxpool.Pool, sql string, enough time.Duration,
) (l benchLatencies, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return l, err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, sql); err != nil { // It is prepared here, and not counted.
		return l, err
	}
	var took []time.Duration
	for end := time.Now().Add(enough); len(took) == 0 || time.Now().Before(end); {
		start := time.Now()
		if _, err := conn.Exec(ctx, sql); err != nil {
			return l, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	at := func(percent int) float64 {
		return float64(took[(len(took)-1)*percent/100]) / float64(time.Millisecond)
	}
	return benchLatencies{Count: len(took), P50: at(50), P99: at(99)}, nil
}
