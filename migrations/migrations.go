// Package migrations holds the one forward history of the database schema, the
// program's and River's, and applies it.
//
// Inside: the numbered SQL files, the database roles, and the code that applies
// them safely when several processes start at once, and that refuses a history
// that is not the one this program was built with. Not inside: any change to
// data that the servicing rules make.
//
// The idea to hold: a file that was applied anywhere never changes. Each one's
// SHA-256 is stored in the transaction that applies it, and is compared before
// anything else runs.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

const (
	// lockTimeout is how long a migration waits for a table lock. A longer wait
	// would make every query behind it wait as well.
	lockTimeout = 3 * time.Second
	// attempts is how often a migration is tried that found a table locked.
	attempts = 5
	// historyTable is where applied migrations are recorded.
	historyTable = "schema_migrations"
	// historyLock is the advisory lock that one migrating process holds.
	historyLock int64 = 7_201_969_002
)

// repeated are the files that run every time, before and after the history.
var repeated = []string{"roles.sql", "event_triggers.sql"}

// Migration is one step of the history.
type Migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	SHA256    string    `json:"sha256"`
	AppliedAt time.Time `json:"applied_at,omitzero"` // zero while it is pending
}

// Up applies every pending migration and returns those it applied. Done twice,
// the second time applies nothing; done by several processes at once, one
// applies and the others wait and find it done.
//
// The login that the URL names must be able to become loanserve_owner; where
// the roles do not exist yet it must be able to create them.
//
// Afterwards the event triggers that guard the schema are created where the login
// may; DropsAreRefused says whether they are there.
//
// It returns an error, and changes nothing, when a migration that was applied
// before is missing or differs here.
func Up(ctx context.Context, url string, log *slog.Logger) ([]Migration, error) {
	if err := ensureRoles(ctx, url); err != nil {
		return nil, err
	}
	h, err := open(url)
	if err != nil {
		return nil, err
	}
	defer h.close()

	var applied []Migration
	for attempt := 1; ; attempt++ {
		done, err := h.up(ctx)
		applied = append(applied, done...)
		if err == nil {
			if err = GuardDDL(ctx, url); errors.Is(err, ErrNoEventTriggers) {
				err = nil // It takes rights that a managed database gives nobody.
			}
			return applied, err
		}
		if attempt == attempts || !isLockTimeout(err) {
			return applied, fmt.Errorf("migrate: %w", err)
		}
		pause := time.Duration(attempt) * time.Second
		log.WarnContext(ctx, "migration found a table locked and will try again",
			slog.Int("attempt", attempt), slog.Duration("pause", pause))
		select {
		case <-ctx.Done():
			return applied, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Status returns the whole history in order, applied and pending. It returns
// an error when the database's history is not a beginning of this one.
func Status(ctx context.Context, url string) ([]Migration, error) {
	h, err := open(url)
	if err != nil {
		return nil, err
	}
	defer h.close()
	return h.status(ctx)
}

// ErrPending reports a database that lacks migrations of this program.
var ErrPending = errors.New("the database schema is older than this program: run `loanserve migrate up`")

// ErrHistory reports a database with another history than this program's.
var ErrHistory = errors.New("the database has another history of migrations")

// ErrOutdated reports a database whose schema needs a newer program.
var ErrOutdated = errors.New("the database schema needs a newer program")

// Check returns nil when this program can work on the database: all of its history
// is there, and nothing that came after it needs a newer program. So a process of
// the previous release goes on, and can be started again, while a new one is rolled
// out.
//
// It returns ErrPending when migrations are missing there, ErrHistory when the two
// histories are not the beginning of one another, and ErrOutdated.
func Check(ctx context.Context, q Querier) error {
	_, err := Newer(ctx, q)
	return err
}

// Newer does what Check does, and returns how many migrations the database has that
// this program does not know.
func Newer(ctx context.Context, q Querier) (int, error) {
	recorded, err := readHistory(ctx, q)
	if err != nil {
		return 0, err
	}
	all, newer, err := compare(recorded)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrHistory, err)
	}
	if newest := all[len(all)-1]; newer > 0 {
		required, err := requirement(ctx, q)
		if err != nil {
			return newer, err
		}
		if required > newest.Version {
			return newer, fmt.Errorf("%w: it has to know migration %d, and this one's newest is %s",
				ErrOutdated, required, newest.Name)
		}
	}
	for _, m := range all {
		if m.AppliedAt.IsZero() {
			return newer, ErrPending
		}
	}
	return newer, nil
}

// Fingerprint returns a SHA-256 in hexadecimal over the whole history. Two
// programs with the same fingerprint make the same schema.
func Fingerprint() (string, error) {
	all, err := known()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, m := range all {
		fmt.Fprintf(sum, "%d %s %s\n", m.Version, m.Name, m.SHA256)
	}
	for _, name := range repeated {
		text, err := files.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		sum.Write(text)
	}
	sum.Write([]byte(strings.Join(createHistory, ";\n")))
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// known returns the history as this program was built, in order.
func known() ([]Migration, error) {
	names, err := fs.Glob(files, "[0-9]*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	all := riverMigrations()
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("number of migration %s: %w", name, err)
		}
		sum := sha256.Sum256(text)
		all = append(all, Migration{
			Version: version, Name: strings.TrimSuffix(path.Base(name), ".sql"), SHA256: hex.EncodeToString(sum[:]),
		})
	}
	return sorted(all), nil
}

// history is an open connection to one database's history.
type history struct {
	config *pgx.ConnConfig
	db     *sql.DB
}

// open connects as the owner. Every session gives up soon on a locked table.
func open(url string) (*history, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	config.RuntimeParams["role"] = "loanserve_owner"
	config.RuntimeParams["lock_timeout"] = strconv.FormatInt(lockTimeout.Milliseconds(), 10)
	config.RuntimeParams["search_path"] = "public"
	config.RuntimeParams["application_name"] = "loanserve migrate"
	return &history{config: config, db: stdlib.OpenDB(*config)}, nil
}

func (h *history) close() { _ = h.db.Close() }

// up applies what is pending, one migration after the other.
func (h *history) up(ctx context.Context) ([]Migration, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(historyLock), lock.WithLockTimeout(1, 120))
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	store, err := newStore()
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider("", h.db, files,
		goose.WithStore(store), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true),
		goose.WithExcludeNames(repeated),
		goose.WithGoMigrations(h.riverSteps()...))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if _, err := h.status(ctx); err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		results = partial.Applied
	}
	applied := make([]Migration, 0, len(results))
	for _, r := range results {
		applied = append(applied, store.known[r.Source.Version])
	}
	return applied, err
}

func (h *history) status(ctx context.Context) ([]Migration, error) {
	conn, err := pgx.ConnectConfig(ctx, h.config)
	if isUnknownRole(err) {
		return same(nil) // A server without our roles has none of our schemas.
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	recorded, err := readHistory(ctx, conn)
	if err != nil {
		return nil, err
	}
	return same(recorded)
}

// isUnknownRole says whether the role to become does not exist.
func isUnknownRole(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "22023" // invalid_parameter_value, of the parameter "role"
}

// isLockTimeout says whether a table stayed locked by somebody else.
func isLockTimeout(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "55P03"
}
