package drift

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/catalog"
	"loanserve/internal/database"
	"loanserve/migrations"
)

// ErrUnjudged reports that it is not known what the database should be made of: no
// expectation is written down for its major version, and none could be made, or a newer
// release has migrated it. That is no drift.
var ErrUnjudged = errors.New("the schema cannot be judged")

// ErrHistory reports a database that lacks migrations of this program, or has others.
// What they make is then not to be expected there.
var ErrHistory = errors.New("the migrations are not this program's")

// scratchTimeout bounds what is done to remove a scratch database.
const scratchTimeout = 30 * time.Second

// DB is what a check reads.
type DB interface {
	catalog.DB
	migrations.Querier
}

// Checker checks one database, again and again.
type Checker struct {
	db  DB
	url string

	mu       sync.Mutex
	expected map[int][]catalog.Fact // by major version
}

// NewChecker returns a checker of the database that db is connected to. The URL is
// how to connect to its server; only an expectation that is not written down needs
// it.
func NewChecker(db DB, url string) *Checker {
	return &Checker{db: db, url: url, mu: sync.Mutex{}, expected: map[int][]catalog.Fact{}}
}

// Check returns how the database differs from what the migrations make, the worst
// first, and nothing where it does not.
//
// It returns an error that wraps ErrHistory where the database has not this program's
// migrations, and one that wraps ErrUnjudged where it is not known what they
// make there.
func (c *Checker) Check(ctx context.Context) ([]Finding, error) {
	newer, err := migrations.Newer(ctx, c.db)
	if errors.Is(err, migrations.ErrPending) || errors.Is(err, migrations.ErrHistory) {
		return nil, fmt.Errorf("%w: %w", ErrHistory, err)
	}
	if err != nil {
		return nil, err
	}
	if newer > 0 {
		return nil, fmt.Errorf("%w: the database has %d migrations that this program does not know; "+
			"a program that does can judge it", ErrUnjudged, newer)
	}
	found, major, err := catalog.Read(ctx, c.db)
	if err != nil {
		return nil, err
	}
	expected, err := c.expect(ctx, major)
	if err != nil {
		return nil, err
	}
	return Compare(expected, found), nil
}

// expect returns what a database of the major version is made of.
func (c *Checker) expect(ctx context.Context, major int) ([]catalog.Fact, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if facts := c.expected[major]; facts != nil {
		return facts, nil
	}
	text, err := migrations.Expected(major)
	if err != nil {
		return nil, err
	}
	var facts []catalog.Fact
	if text != nil {
		facts, err = catalog.Parse(text)
	} else {
		facts, err = Scratch(ctx, c.url)
		if err != nil {
			err = fmt.Errorf("%w: nothing is written down for PostgreSQL %d, and a scratch database to read it from "+
				"cannot be made (the login needs CREATEDB and must be able to become loanserve_owner): %w",
				ErrUnjudged, major, err)
		}
	}
	if err != nil {
		return nil, err
	}
	c.expected[major] = facts
	return facts, nil
}

// Scratch makes a database on the server that the URL names, lets the migrations
// make what they make, reads it, and drops the database.
func Scratch(ctx context.Context, url string) (facts []catalog.Fact, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL cannot be read")
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := "loanserve_scratch_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return nil, fmt.Errorf("create scratch database: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scratchTimeout)
		defer cancel()
		if _, dropErr := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("drop scratch database: %w", dropErr))
		}
	}()
	// What the URL adds for sessions, such as certificates, must stay as it is.
	there, err := database.InDatabase(url, name)
	if err != nil {
		return nil, err
	}
	if _, err := migrations.Up(ctx, there, slog.New(slog.DiscardHandler)); err != nil {
		return nil, fmt.Errorf("migrate scratch database: %w", err)
	}
	scratch, err := pgx.Connect(ctx, there)
	if err != nil {
		return nil, fmt.Errorf("connect to scratch database: %w", err)
	}
	defer scratch.Close(context.WithoutCancel(ctx))
	facts, _, err = catalog.Read(ctx, scratch)
	return facts, err
}
