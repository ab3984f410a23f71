package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
	"loanserve/internal/drift"
	"loanserve/migrations"
	"loanserve/queries"
)

const (
	// slowRoundTrip is from where on the way to the database is what payments wait for:
	// posting one takes about ten round trips of its own.
	slowRoundTrip = 5 * time.Millisecond
	// The differences between the two clocks that matter: the first makes ages in logs
	// and metrics wrong, the second makes processes disagree about the day.
	clockWarn, clockFail = 2 * time.Second, time.Minute
	pings                = 5
)

// database looks at all that the database can tell.
func (e *examination) database(ctx context.Context) {
	var login *pgxpool.Pool
	look(ctx, func(ctx context.Context) { login = e.connect(ctx) })
	if login == nil {
		return
	}
	defer login.Close()
	var pool *pgxpool.Pool
	look(ctx, func(ctx context.Context) { pool = e.role(ctx) })
	if pool == nil {
		return
	}
	defer pool.Close()
	for _, examine := range []func(context.Context, *pgxpool.Pool){
		e.clock, e.schema, e.drift, e.river, e.queues, e.losses, e.integrity, e.backups, e.wal,
	} {
		look(ctx, func(ctx context.Context) { examine(ctx, pool) })
	}
}

func (e *examination) open(ctx context.Context, role string) (*pgxpool.Pool, error) {
	return database.Open(ctx, string(e.DatabaseURL), database.Options{
		Role: role, MaxConns: 2, ApplicationName: "loanserve doctor",
	})
}

// connect looks at the way to the server, as the login alone.
func (e *examination) connect(ctx context.Context) *pgxpool.Pool {
	pool, err := e.open(ctx, "")
	if err != nil {
		e.unseen("connection", err, "see that the server runs, and that DATABASE_URL names its host, port, "+
			"database, user and password; nothing in the database was looked at")
		return nil
	}
	facts, err := queries.New(pool).GetServerFacts(ctx)
	if err != nil {
		e.unseen("connection", err, "see the server's log")
		pool.Close()
		return nil
	}
	best := doctorPatience
	for range pings {
		began := time.Now()
		if err := pool.Ping(ctx); err != nil {
			e.unseen("connection", err, "see the server's log")
			pool.Close()
			return nil
		}
		best = min(best, time.Since(began))
	}
	config := pool.Config().ConnConfig
	detail := fmt.Sprintf("%s on %s, %.1f ms a round trip, ",
		config.Database, config.Host, float64(best.Microseconds())/1000)
	switch {
	case facts.Tls == "" && !isLocal(config.Host):
		e.warn("connection", detail+"without TLS", "let DATABASE_URL say sslmode=verify-full: passwords and "+
			"servicing data cross the network in the clear")
	case best > slowRoundTrip:
		e.warn("connection", detail+transport(facts.Tls), "run the program nearer to the database: each payment waits "+
			"for several round trips")
	default:
		e.ok("connection", detail+transport(facts.Tls))
	}
	e.version(facts)
	return pool
}

func transport(tls string) string {
	if tls == "" {
		return "no TLS, on this machine"
	}
	return tls
}

// isLocal says whether the host is this machine: a socket's directory or a loopback
// address.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

const versionsPerMajor = 10000 // of server_version_num

func (e *examination) version(facts queries.GetServerFactsRow) {
	major := int(facts.VersionNum) / versionsPerMajor
	expected, err := migrations.Expected(major)
	detail := "PostgreSQL " + facts.Version
	switch {
	case err != nil:
		e.unseen("version", err, "this program is broken: install it again")
	case facts.InRecovery:
		e.fail("version", detail+", a standby, which takes no writes", "let DATABASE_URL name the primary")
	case expected == nil:
		e.warn("version", detail+", a major version this release was not tested with",
			"use PostgreSQL 15 or 18; `loanserve check schema` needs a login with CREATEDB here")
	default:
		e.ok("version", detail)
	}
}

// role looks whether the program can become what it runs as, and opens the database as
// that.
func (e *examination) role(ctx context.Context) *pgxpool.Pool {
	pool, err := e.open(ctx, database.RoleApp)
	if err != nil {
		e.fail("roles", strings.Join(strings.Fields(err.Error()), " "),
			"run `loanserve migrate up` by a login that may create roles; what needs the role was not looked at")
		return nil
	}
	facts, err := queries.New(pool).GetServerFacts(ctx)
	switch {
	case err != nil:
		e.unseen("roles", err, "see the server's log")
	case facts.Superuser:
		e.warn("roles", fmt.Sprintf("login %s runs as %s, and is a superuser, whom no guard stops", facts.Login, facts.Role),
			"give the program a login of its own: CREATE ROLE … LOGIN; GRANT loanserve_app TO …")
	default:
		e.ok("roles", fmt.Sprintf("login %s runs as %s", facts.Login, facts.Role))
	}
	return pool
}

// clock compares the clocks of this machine and of the server, between whose reading
// lies half a round trip.
func (e *examination) clock(ctx context.Context, pool *pgxpool.Pool) {
	began := time.Now()
	facts, err := queries.New(pool).GetServerFacts(ctx)
	took := time.Since(began)
	if err != nil {
		e.unseen("clock", err, "see the server's log")
		return
	}
	off := began.Add(took / 2).Sub(facts.Clock).Abs()
	detail := fmt.Sprintf("%s from the database's; it is %s in %s", off.Round(time.Millisecond),
		facts.Clock.In(e.TimeZone.Location).Format("2006-01-02 15:04"), e.TimeZone.Location)
	const next = "set both machines by NTP"
	switch {
	case off > clockFail:
		e.fail("clock", detail, next)
	case off > clockWarn:
		e.warn("clock", detail, next)
	default:
		e.ok("clock", detail)
	}
}

func (e *examination) schema(ctx context.Context, pool *pgxpool.Pool) {
	newer, err := migrations.Newer(ctx, pool)
	switch {
	case errors.Is(err, migrations.ErrPending):
		e.fail("schema", "migrations of this program are missing", "run `loanserve migrate up`")
	case errors.Is(err, migrations.ErrHistory), errors.Is(err, migrations.ErrOutdated):
		e.fail("schema", err.Error(), "run the release that migrated this database")
	case err != nil:
		e.unseen("schema", err, "run `loanserve migrate status`")
	case newer > 0:
		e.warn("schema", fmt.Sprintf("%d migrations newer than this program, which goes on working", newer),
			"finish the upgrade of this machine")
	default:
		e.ok("schema", "every migration of this program is there")
	}
	guarded, err := migrations.DDLGuarded(ctx, pool)
	switch {
	case err != nil:
		e.unseen("guards", err, "run `loanserve migrate status`")
	case !guarded:
		e.warn("guards", "the database does not refuse drops", "run `loanserve migrate up` as a superuser, once")
	default:
		e.ok("guards", "drops are refused")
	}
}

// drift looks at what the schema, its guards and its privileges are against what they
// should be.
func (e *examination) drift(ctx context.Context, pool *pgxpool.Pool) {
	findings, err := drift.NewChecker(pool, string(e.DatabaseURL)).Check(ctx)
	switch {
	case errors.Is(err, drift.ErrHistory): // The line before has said so.
	case errors.Is(err, drift.ErrUnjudged):
		e.warn("drift", err.Error(), "let a release check it that knows this schema")
	case err != nil:
		e.unseen("drift", err, "run `loanserve check schema`")
	case drift.Refuses(findings):
		e.fail("drift", counted(findings)+"; the first: "+findings[0].Message,
			"run `loanserve check schema`, which says what mends it")
	case len(findings) > 0:
		e.warn("drift", counted(findings)+"; the first: "+findings[0].Message, "run `loanserve check schema`")
	default:
		e.ok("drift", "schema, guards and privileges are what the migrations make")
	}
}

func (e *examination) river(ctx context.Context, pool *pgxpool.Pool) {
	has, brings, err := migrations.RiverVersions(ctx, pool)
	switch {
	case err != nil:
		e.unseen("queue schema", err, "run `loanserve migrate status`")
	case has != brings:
		e.fail("queue schema", fmt.Sprintf("version %d, and this program works with %d", has, brings),
			"run `loanserve migrate up`, and never River's own migrations")
	default:
		e.ok("queue schema", fmt.Sprintf("version %d of River's", has))
	}
}
