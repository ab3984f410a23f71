package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/pgcluster"
)

const (
	dumpObject = "database.dump"
	// endPatience is how long a program of PostgreSQL may take to end when asked.
	endPatience = 10 * time.Second
)

// logical prepares a dump in the transaction's snapshot. pg_dump does not compress:
// in this format it knows only gzip, which takes four times as long as zstd.
func (c *creation) logical(ctx context.Context, tx pgx.Tx, read *contents, role string,
) (func(context.Context) (*WAL, error), error) {
	programs, err := pgcluster.Provision(ctx, nil)
	if err != nil {
		return nil, stageError(StageConnect, fmt.Errorf("find pg_dump: %w", err))
	}
	if server := read.Database.Major(); programs.Major < server {
		return nil, stageError(StageConnect, fmt.Errorf("pg_dump in %s is of PostgreSQL %d and cannot dump a server of %d: "+
			"install postgresql-client-%d, or name it in LOANSERVE_PG_BIN", programs.Dir, programs.Major, server, server))
	}
	var snapshot string
	var estimate int64
	err = tx.QueryRow(ctx, `SELECT pg_export_snapshot(), pg_database_size(current_database())`).Scan(&snapshot, &estimate)
	if err != nil {
		return nil, stageError(StageRead, fmt.Errorf("export snapshot: %w", err))
	}
	// The identity of the server is for people: the dump restores anywhere.
	_ = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
		return inner.QueryRow(ctx, `SELECT system_identifier::text FROM pg_control_system()`).
			Scan(&read.Database.SystemIdentifier)
	})
	args := []string{"--format=custom", "--compress=0", "--no-password", "--snapshot=" + snapshot}
	if role != "" {
		args = append(args, "--role="+role)
	}
	return func(ctx context.Context) (*WAL, error) {
		return nil, c.store(ctx, dumpObject, true, estimate, func(u *upload) error {
			w := io.Writer(u)
			if c.Progress != nil {
				w = &reporting{w: u, total: estimate, report: c.Progress}
			}
			return runClient(ctx, programs, c.DatabaseURL, nil, w, "pg_dump", args...)
		})
	}, nil
}

// reporting reports what was written.
type reporting struct {
	w           io.Writer
	done, total int64
	report      func(done, total int64)
}

// Write implements io.Writer.
func (r *reporting) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	r.done += int64(n)
	r.report(r.done, r.total)
	return n, err
}

var errDSN = errors.New("the database must be named by a URL (postgres://…) for pg_dump and pg_restore")

// runClient runs a client program of PostgreSQL on a database. Its error has what
// the program said. The password is not among its arguments, which every user of
// the machine can see.
func runClient(ctx context.Context, b pgcluster.Binaries, databaseURL string, stdin io.Reader, stdout io.Writer,
	program string, args ...string,
) error {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errDSN
	}
	cmd := b.Client(ctx, program)
	if password, set := u.User.Password(); set {
		cmd.Env = append(cmd.Env, "PGPASSWORD="+password)
		u.User = url.User(u.User.Username())
	}
	parameters := u.Query()
	for name := range parameters {
		if strings.HasPrefix(name, "pool_") || ours[name] {
			parameters.Del(name) // For our own driver, and unknown to theirs.
		}
	}
	u.RawQuery = parameters.Encode()
	cmd.Args = append(append(cmd.Args, args...), "--dbname="+u.String())
	said := &lastWords{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endPatience
	if err = cmd.Start(); err == nil {
		pgcluster.Yield(cmd.Process) // Payments do not wait for it.
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", program, context.Cause(ctx))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%s ended with %s: %s", program, exit.ProcessState, said)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// ours are parameters of a URL that only pgx knows.
var ours = map[string]bool{
	"default_query_exec_mode": true, "statement_cache_capacity": true, "description_cache_capacity": true,
}

// lastWords keeps the end of what a program says.
type lastWords struct{ text []byte }

// Write implements io.Writer.
func (l *lastWords) Write(p []byte) (int, error) {
	const enough = 4096
	l.text = append(l.text, p...)
	if over := len(l.text) - enough; over > 0 {
		l.text = l.text[over:]
	}
	return len(p), nil
}

// String returns it.
func (l *lastWords) String() string { return string(bytes.TrimSpace(l.text)) }

func join(name pgx.Identifier) string { return strings.Join(name, ".") }
