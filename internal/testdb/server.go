package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/pgcluster"
	"loanserve/migrations"
)

const (
	// namePrefix begins the name of every database made here, and nothing that
	// does not begin so is ever dropped.
	namePrefix = "loanserve_test_"
	// nameDigits of the fingerprint follow it. They fit an advisory lock's key.
	nameDigits = 8
	// template0 is PostgreSQL's own empty database.
	template0 = "template0"
	// buildLock and useLock are classes of advisory locks: a server's databases
	// are prepared by one process at a time, and those of a schema are in use.
	buildLock, useLock = 720_196_901, 720_196_902
	// openTimeout bounds starting a server and migrating a database, or waiting
	// for another process that does.
	openTimeout = 3 * time.Minute
)

// server is where tests get their databases from.
type server struct {
	base     url.URL
	admin    *pgxpool.Pool // On the maintenance database.
	shared   *pgxpool.Pool // On the database that Tx uses, as loanserve_app.
	use      *pgx.Conn     // Holds useLock as long as the process lives.
	strategy string        // How databases are copied.
	prefix   string        // Of the names of databases with this schema.
	template string
	stop     func() error // Ends a private server, which ends with the process anyway.
}

// processServer opens the server once.
var processServer = sync.OnceValues(func() (*server, error) {
	return openServer(context.Background())
})

func openServer(ctx context.Context) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if address := os.Getenv("DATABASE_URL"); address != "" {
		return newServer(ctx, address)
	}
	cluster, err := startCluster(ctx)
	if err != nil {
		return nil, err
	}
	s, err := newServer(ctx, cluster.URL("postgres"))
	if err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	s.stop = cluster.Stop
	return s, nil
}

func startCluster(ctx context.Context) (*pgcluster.Cluster, error) {
	log := func(line string) { fmt.Fprintln(os.Stderr, "testdb:", line) }
	binaries, err := pgcluster.Provision(ctx, log)
	if err != nil {
		return nil, err
	}
	return pgcluster.Start(ctx, pgcluster.Options{Binaries: binaries})
}

// newServer connects, and prepares the template and the shared database.
func newServer(ctx context.Context, address string) (*server, error) {
	s := &server{strategy: "WAL_LOG", stop: func() error { return nil }}
	if err := s.parse(address); err != nil {
		return nil, err
	}
	fingerprint, err := migrations.Fingerprint()
	if err != nil {
		return nil, err
	}
	s.prefix = namePrefix + fingerprint[:nameDigits] + "_"
	s.template = s.prefix + "template"
	if s.admin, err = newPool(address, RoleSuper); err != nil {
		return nil, err
	}
	if s.use, err = pgx.Connect(ctx, address); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := s.prepare(ctx, fingerprint[:nameDigits]); err != nil {
		return nil, fmt.Errorf("prepare test databases: %w", err)
	}
	s.shared, err = newPool(s.url(s.prefix+"shared"), RoleApp)
	return s, err
}

func (s *server) parse(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("DATABASE_URL is not of the form postgres://login@host:port/database")
	}
	query := u.Query()
	query.Del("dbname") // It would win over the path.
	u.RawQuery = query.Encode()
	s.base = *u
	return nil
}

// url is the connection string of a database of this server.
func (s *server) url(database string) string {
	u := s.base
	u.Path = "/" + database
	return u.String()
}

// prepare makes what is missing of the template and the shared database. It
// excludes other processes meanwhile, and drops what dead ones left behind.
func (s *server) prepare(ctx context.Context, digits string) error {
	var fsync string
	if err := s.use.QueryRow(ctx, `SHOW fsync`).Scan(&fsync); err != nil {
		return fmt.Errorf("read fsync: %w", err)
	}
	if fsync == "off" {
		s.strategy = "FILE_COPY" // It needs two checkpoints, which now cost nothing.
	}
	if _, err := s.use.Exec(ctx, `SELECT pg_advisory_lock($1, 0)`, buildLock); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	s.sweep(ctx)
	if _, err := s.use.Exec(ctx, `SELECT pg_advisory_lock_shared($1, $2)`, useLock, lockKey(digits)); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if err := s.buildTemplate(ctx); err != nil {
		return err
	}
	if err := s.buildShared(ctx); err != nil {
		return err
	}
	_, err := s.use.Exec(ctx, `SELECT pg_advisory_unlock($1, 0)`, buildLock)
	return err
}

// lockKey is the advisory lock's key for a fingerprint's first digits.
func lockKey(digits string) int32 {
	n, _ := strconv.ParseUint(digits, 16, 32) // A name that is not ours shares key 0.
	return int32(uint32(n))
}

// sweep drops the databases whose processes are gone: those of other schemas,
// and of this one all but the template and the shared database. It is done as
// well as may be: what is not dropped now is dropped by a later process.
func (s *server) sweep(ctx context.Context) {
	rows, err := s.use.Query(ctx,
		`SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname`, namePrefix)
	if err != nil {
		return
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return
	}
	for _, name := range names {
		if name == s.template || name == s.prefix+"shared" {
			continue
		}
		digits, _, _ := strings.Cut(strings.TrimPrefix(name, namePrefix), "_")
		var unused bool
		err := s.use.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, useLock, lockKey(digits)).Scan(&unused)
		if err != nil || !unused {
			continue
		}
		_, _ = s.use.Exec(ctx, `DROP DATABASE IF EXISTS `+quote(name)) // Not while somebody is connected.
		_, _ = s.use.Exec(ctx, `SELECT pg_advisory_unlock($1, $2)`, useLock, lockKey(digits))
	}
}

// buildTemplate migrates a database under another name and renames it: what
// has the template's name is complete.
func (s *server) buildTemplate(ctx context.Context) error {
	if exists, err := s.exists(ctx, s.template); exists || err != nil {
		return err
	}
	name, err := s.create(ctx, "build", template0)
	if err != nil {
		return err
	}
	if _, err := migrations.Up(ctx, s.url(name), slog.New(slog.DiscardHandler)); err != nil {
		return errors.Join(err, s.drop(ctx, name))
	}
	// Copying a database needs that nobody is connected to it.
	if _, err := s.use.Exec(ctx, `ALTER DATABASE `+quote(name)+` WITH ALLOW_CONNECTIONS false`); err != nil {
		return fmt.Errorf("close template: %w", err)
	}
	_, err = s.use.Exec(ctx, `ALTER DATABASE `+quote(name)+` RENAME TO `+quote(s.template))
	if isDuplicate(err) { // By a process that came through another maintenance database.
		return s.drop(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("name template: %w", err)
	}
	return nil
}

func (s *server) buildShared(ctx context.Context) error {
	name := s.prefix + "shared"
	if exists, err := s.exists(ctx, name); exists || err != nil {
		return err
	}
	if err := s.copy(ctx, name, s.template); err != nil && !isDuplicate(err) {
		return err
	}
	return nil
}

// exists tells whether there is a database of that name. One that PostgreSQL
// could not drop to the end counts as none, and is dropped.
func (s *server) exists(ctx context.Context, name string) (bool, error) {
	var valid bool
	err := s.use.QueryRow(ctx, `SELECT datconnlimit <> -2 FROM pg_database WHERE datname = $1`, name).Scan(&valid)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for database: %w", err)
	}
	if !valid {
		return false, s.drop(ctx, name)
	}
	return true, nil
}

// create makes a database of a new name.
func (s *server) create(ctx context.Context, kind, template string) (name string, err error) {
	name = s.prefix + kind + "_" + strings.ToLower(rand.Text())
	return name, s.copy(ctx, name, template)
}

func (s *server) copy(ctx context.Context, name, template string) error {
	sql := `CREATE DATABASE ` + quote(name) + ` TEMPLATE ` + quote(template) + ` STRATEGY ` + s.strategy
	if template == template0 {
		sql += ` ENCODING 'UTF8'`
	}
	if _, err := s.admin.Exec(ctx, sql); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	if template == template0 {
		return nil
	}
	// What is granted on the database itself is not copied.
	if _, err := s.admin.Exec(ctx, `GRANT CREATE ON DATABASE `+quote(name)+` TO `+RoleOwner); err != nil {
		return fmt.Errorf("grant on database: %w", err)
	}
	return nil
}

// drop removes a database with whoever is connected to it.
func (s *server) drop(ctx context.Context, name string) error {
	if _, err := s.admin.Exec(ctx, `DROP DATABASE IF EXISTS `+quote(name)+` WITH (FORCE)`); err != nil {
		return fmt.Errorf("drop database: %w", err)
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// isDuplicate says whether a database of that name existed already.
func isDuplicate(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "42P04"
}
