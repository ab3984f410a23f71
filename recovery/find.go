package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/backup"
	"loanserve/internal/pgcluster"
	"loanserve/queries"
)

// Taking is a committed transaction that deleted rows of loans or of what hangs on
// them, or that emptied or dropped a table.
type Taking struct {
	XID         uint64    `json:"xid"`
	CommittedAt time.Time `json:"committed_at"`
	// Deleted is how many rows it deleted of which table.
	Deleted map[string]int64 `json:"deleted"`
	// Dropped is how many files of tables and indexes it dropped, as TRUNCATE and DROP
	// do. Which tables they were of only an image from before can tell.
	Dropped int `json:"dropped_files"`
}

// TookLoans says whether it deleted loans.
func (t *Taking) TookLoans() bool { return t.Deleted[loansTable] > 0 }

// Search is what was found.
type Search struct {
	Takings []Taking `json:"transactions"` // the newest first
	// Backup is the backup from which on the WAL was read, and From when it began.
	Backup string    `json:"backup_id"`
	From   time.Time `json:"from"`
	// Missing are the loans that are registered and not there.
	Missing []Loan `json:"missing_loans"`
	// Gap, if not empty, says why the WAL was not read to its end.
	Gap string `json:"gap,omitempty"`
}

// ErrNoBackup is returned where there is nothing to begin at.
var ErrNoBackup = errors.New("the store has no physical backup of the server of this database, so no WAL can be read")

// Find reads the archived WAL for transactions that deleted rows of loans, from the
// newest physical backup on that ended before a time, from the oldest where there is
// none, and from the newest for the zero time. The URL names the database at work, which says what the tables are.
func Find(ctx context.Context, o backup.RestoreOptions, url string, since time.Time) (found *Search, err error) {
	live, err := connectLive(ctx, url)
	if err != nil {
		return nil, err
	}
	defer live.Close(context.WithoutCancel(ctx))
	base, err := baseFor(ctx, o, live, since)
	if err != nil {
		return nil, err
	}
	found = &Search{Takings: []Taking{}, Backup: base.ID, From: base.StartedAt, Missing: []Loan{}}
	missing, err := queries.New(live).ListMissingLoans(ctx, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("list missing loans: %w", err)
	}
	for _, l := range missing {
		found.Missing = append(found.Missing, Loan{ID: l.LoanID, Number: l.LoanNumber})
	}
	watched, err := watch(ctx, live)
	if err != nil {
		return nil, err
	}
	dir, remove, err := pgcluster.Scratch(ctx, o.Scratch)
	if err != nil {
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	dir = filepath.Join(dir, "wal")
	err = backup.FetchWAL(ctx, o, base, dir)
	if gap, ok := errors.AsType[*backup.GapError](err); ok {
		found.Gap = gap.Error()
	} else if err != nil {
		return nil, err
	}
	takings, err := readWAL(ctx, dir, base.Database.Major(), watched)
	if err != nil {
		return nil, err
	}
	for _, t := range takings {
		if since.IsZero() || !t.CommittedAt.Before(since) {
			found.Takings = append(found.Takings, t)
		}
	}
	slices.SortStableFunc(found.Takings, func(a, b Taking) int {
		return cmp.Or(b.CommittedAt.Compare(a.CommittedAt), cmp.Compare(b.XID, a.XID))
	})
	return found, nil
}

// baseFor returns the manifest of the server's newest physical backup that ended before
// a time, and of its oldest where there is none.
func baseFor(ctx context.Context, o backup.RestoreOptions, live *pgx.Conn, since time.Time) (*backup.Manifest, error) {
	var server string
	err := live.QueryRow(ctx, `SELECT system_identifier::text FROM pg_control_system()`).Scan(&server)
	if err != nil {
		return nil, fmt.Errorf("read identifier of server: %w", err)
	}
	entries, err := backup.List(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	var base *backup.Manifest
	for _, e := range slices.Backward(entries) {
		if e.Broken != "" || e.Manifest.Kind != backup.Physical || e.Manifest.WAL == nil ||
			e.Manifest.Database.SystemIdentifier != server {
			continue
		}
		if base = e.Manifest; since.IsZero() || base.FinishedAt.Before(since) {
			break
		}
	}
	if base == nil {
		return nil, ErrNoBackup
	}
	return base, nil
}

// watched are the tables whose deletions count.
type watched struct {
	database uint32
	files    map[uint32]string // table by the number of its file
	// now is a transaction number of now, of 64 bits: those in the WAL have 32.
	now uint64
}

// watch reads which files the tables of loans are in.
func watch(ctx context.Context, live *pgx.Conn) (*watched, error) {
	s, err := readSchema(ctx, live)
	if err != nil {
		return nil, err
	}
	tables := s.ofLoans()
	w := &watched{files: map[uint32]string{}}
	err = live.QueryRow(ctx, `SELECT oid, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
FROM pg_database WHERE datname = current_database()`).Scan(&w.database, &w.now)
	if err != nil {
		return nil, fmt.Errorf("read facts of the database: %w", err)
	}
	rows, err := live.Query(ctx, `SELECT pg_relation_filenode(oid), relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname = ANY ($1)`, tables)
	if err != nil {
		return nil, fmt.Errorf("read files of tables: %w", err)
	}
	var file uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&file, &name}, func() error {
		w.files[file] = name
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read files of tables: %w", err)
	}
	return w, nil
}

// ofLoans are the tables whose rows hang on loans, and those that they name.
func (s *schema) ofLoans() []string {
	tables := []string{loansTable}
	add := func(up bool) (more bool) {
		for _, k := range s.keys {
			from, to := k.target, k.table
			if up {
				from, to = to, from
			}
			if slices.Contains(tables, from) && !slices.Contains(tables, to) {
				tables, more = append(tables, to), true
			}
		}
		return more
	}
	more := true
	for more {
		more = add(false)
	}
	add(true)
	return tables
}

// ErrNoWaldump is returned where the program that reads WAL is missing.
var ErrNoWaldump = errors.New("pg_waldump of the server's major version is not installed on this machine: " +
	"it comes with the server's package; or name the transaction, by history.xid or from the server's log")

// waldump finds the program that reads the WAL of a major version.
func waldump(major int) (pgcluster.Binaries, error) {
	b, err := pgcluster.FindMajor(major)
	if err == nil {
		_, err = os.Stat(filepath.Join(b.Dir, "pg_waldump"))
	}
	if err != nil {
		return b, fmt.Errorf("%w (PostgreSQL %d)", ErrNoWaldump, major)
	}
	return b, nil
}
