// Package database opens the program's pools of connections.
//
// Inside: what every session of the program has in common, and which errors of
// connecting have a cause that an operator can remove. Not inside: any query.
//
// The idea to hold: a login only lets the program in. What a session may do is
// decided by the role it runs as, which is set when the session starts, so that
// even RESET ROLE leads back to it and never to the login's own rights.
package database

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// RoleApp is the database role that serving and working run as.
const RoleApp = "loanserve_app"

const (
	// idleInTransaction ends a session that holds its locks and does nothing: no
	// transaction of ours waits for anything but the database.
	idleInTransaction = time.Minute
	// statementTimeout ends a statement whose sender is gone. While it lives, its
	// context ends the statement long before.
	statementTimeout = 5 * time.Minute
	// connectTimeout bounds one attempt to connect.
	connectTimeout = 5 * time.Second
	// maxConnLifetime lets connections move to a new server after a failover;
	// they do not all leave in the same moment.
	maxConnLifetime       = 30 * time.Minute
	maxConnLifetimeJitter = 5 * time.Minute
)

// ErrURL reports a connection string that cannot be read. It does not repeat
// the text, which may hold a password.
var ErrURL = errors.New("not a PostgreSQL connection string such as postgres://user@host:5432/database")

// Options say what the sessions of a pool are like.
type Options struct {
	// Role is the database role the sessions run as; "" is the login itself.
	Role string
	// MaxConns is the size of the pool; 0 leaves it to the connection string.
	MaxConns int
	// ApplicationName is what the server's own views call the sessions.
	ApplicationName string
	// Tracer sees every statement; nil is none.
	Tracer pgx.QueryTracer
}

// Open returns a pool that has connected once. The caller closes it.
//
// It returns ErrURL for a connection string that cannot be read, and says what
// to do when the login may not become the role.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, ErrURL
	}
	if o.MaxConns > 0 {
		config.MaxConns = int32(o.MaxConns)
	}
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = maxConnLifetime, maxConnLifetimeJitter
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.AfterConnect = RegisterTypes
	config.ConnConfig.Tracer = o.Tracer
	setSession(config.ConnConfig.RuntimeParams, o)

	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, explain(err, config.ConnConfig, o.Role)
	}
	return pool, nil
}

// Check returns ErrURL when the connection string cannot be read.
func Check(url string) error {
	if _, err := pgxpool.ParseConfig(url); err != nil || url == "" {
		return ErrURL
	}
	return nil
}

// setSession sets what a session starts with. A timeout that the connection
// string sets stays: its author knows why.
func setSession(params map[string]string, o Options) {
	params["timezone"] = "UTC"
	params["search_path"] = "public"
	if o.Role != "" {
		params["role"] = o.Role
	}
	if o.ApplicationName != "" {
		params["application_name"] = o.ApplicationName
	}
	for name, timeout := range map[string]time.Duration{
		"idle_in_transaction_session_timeout": idleInTransaction,
		"statement_timeout":                   statementTimeout,
	} {
		if _, set := params[name]; !set {
			params[name] = strconv.FormatInt(timeout.Milliseconds(), 10)
		}
	}
}

// explain says what to do about a failure to connect, where that is known. The
// role is set while connecting, so what is wrong with it shows there.
func explain(err error, config *pgx.ConnConfig, role string) error {
	const insufficientPrivilege, invalidParameter, noDatabase = "42501", "22023", "3D000"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && role != "" && refusal.Code == insufficientPrivilege:
		return fmt.Errorf("login %s may not act as role %s: GRANT %s TO %s, "+
			"or run `loanserve migrate up` as a login that may: %w",
			config.User, role, role, pgx.Identifier{config.User}.Sanitize(), refusal)
	case ok && role != "" && refusal.Code == invalidParameter:
		return fmt.Errorf("role %s is not there yet: run `loanserve migrate up`: %w", role, refusal)
	case ok && refusal.Code == noDatabase:
		return fmt.Errorf("database %s does not exist on %s: create it first: %w", config.Database, config.Host, refusal)
	default:
		return fmt.Errorf("connect to database: %w", err)
	}
}
