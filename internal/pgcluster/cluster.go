package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Options say which server Start starts. The zero value is a fast, throw-away
// one with the programs that Find finds.
type Options struct {
	// Dir is the data directory (PGDATA). Start creates and fills it if it is
	// missing or empty. The server's log is server.log in it.
	//
	// "" means a new temporary directory, removed at Stop: in memory if it need
	// not be durable and 2 GiB are free there, else in os.TempDir.
	Dir string
	// Template is the data directory of a server that has ended, for a server without
	// Dir: it begins as a copy, with the same databases and the same identifier, which
	// takes less than a new one that is migrated.
	Template string
	// Binaries are the programs to run; Major may be left 0. Without Dir in them
	// Start takes those that Find finds, of the version of the data if it has one.
	Binaries Binaries
	// Durable keeps what is committed through a crash of the machine. Without
	// it writing is faster, and such a crash can ruin Dir; a crash of the server
	// or of this process cannot.
	Durable bool
	// Settings are server settings by name, with precedence over the defaults of
	// this package, over postgresql.conf in Dir, which is not read, and over
	// ALTER SYSTEM.
	Settings map[string]string
	// Yields lets other processes of the machine go first, as Yield does.
	Yields bool
}

// Cluster is a PostgreSQL server and the databases in it.
type Cluster struct {
	data      string
	socketDir string
	server    *server // Nil when another process serves data.
	log       *os.File
	temporary bool       // Data goes at Stop.
	temps     []*tempDir // The first is that of sockets and configuration.
	lock      *os.File   // Of Options.Dir.
	stop      func() error
}

// Start starts a server and returns when it accepts connections. ctx bounds
// the start only, and only ctx does: the recovery of a restored directory can
// take its time. The server runs until Stop, or until this process ends.
//
// It refuses a Dir that is neither empty nor a data directory, or that is of
// another version than the programs, and changes nothing in it. When another
// process, or this one, has started a server on Dir and it still runs, the
// result is attached to that server: its Options count, not these, and it ends
// when its owner says so. While that server starts or stops, Start waits.
//
// A root process runs the server as the owner of Dir, or else (then Dir is
// given to it) as user postgres, or else as uid 65534: that user must be able
// to reach Dir. Start also removes the temporary directories that killed
// processes of the same user left behind.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	for _, base := range tempBases() {
		sweep(base)
	}
	c := &Cluster{}
	c.stop = sync.OnceValue(c.end)
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), c.discard())
	}
	return c, nil
}

// URL is the connection string of a database for the superuser, postgres. The
// database need not exist yet; postgres and template1 do.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(superuser),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {c.socketDir}, "port": {port}}.Encode(),
	}
	return u.String()
}

// Dir is the data directory.
func (c *Cluster) Dir() string { return c.data }

// Attached tells that the server was running before Start, so that Stop will
// not stop it.
func (c *Cluster) Attached() bool { return c.server == nil }

// Stop ends the server, breaking the connections it has, and removes what is
// temporary. It is for the owner: if c is attached, Stop does nothing. Calling
// it again gives the first result again. A server that had already ended, by
// itself, is an error.
func (c *Cluster) Stop() error { return c.stop() }

func (c *Cluster) end() error {
	if c.server == nil {
		return nil
	}
	signal := syscall.SIGINT // Fast shutdown.
	if c.temporary {
		signal = syscall.SIGQUIT // Immediate: no last checkpoint of what goes anyway.
	}
	return errors.Join(c.server.stop(signal, time.Minute), c.release())
}

// discard undoes a start that failed.
func (c *Cluster) discard() error {
	if c.server != nil {
		_ = c.server.stop(syscall.SIGINT, time.Minute) // The start says why it failed.
	}
	return c.release()
}

// release gives up everything but the server, which has ended.
func (c *Cluster) release() error {
	var errs []error
	for _, t := range c.temps {
		if err := t.remove(); err != nil {
			errs = append(errs, fmt.Errorf("remove temporary directory: %w", err))
		}
	}
	for _, file := range []*os.File{c.log, c.lock} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// ping connects once. pending tells that the server is not ready yet, rather
// than refuses.
func (c *Cluster) ping(ctx context.Context) (pending bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, c.URL("postgres"))
	if err == nil {
		return false, conn.Close(ctx)
	}
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return false, err // PGSERVICE and its like, in our environment.
	}
	const cannotConnectNow = "57P03"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || refusal.Code == cannotConnectNow, err
}

func configPath(run string) string { return filepath.Join(run, "postgresql.conf") }
func accessPath(run string) string { return filepath.Join(run, "pg_hba.conf") }
func identPath(run string) string  { return filepath.Join(run, "pg_ident.conf") }
func socketDir(run string) string  { return filepath.Join(run, socketDirName) }
