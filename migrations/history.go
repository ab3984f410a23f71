package migrations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3/database"
)

// Querier reads from a database: a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readHistory returns what the database says was applied; nothing when it has
// no history at all.
func readHistory(ctx context.Context, q Querier) (map[int64]Migration, error) {
	rows, err := q.Query(ctx, `SELECT version, name, sha256, applied_at FROM public.`+historyTable+` WHERE version > 0`)
	if err == nil {
		var list []Migration
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Migration])
		recorded := make(map[int64]Migration, len(list))
		for _, m := range list {
			recorded[m.Version] = m
		}
		if err == nil {
			return recorded, nil
		}
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P01" { // undefined_table
		return nil, nil
	}
	return nil, fmt.Errorf("read schema history: %w", err)
}

// compare returns the known history with the times of application, and how many
// migrations the database has beyond it. It refuses a database that has another
// history: an edited migration, one left out before a later one, or one among them
// that this program does not know.
func compare(recorded map[int64]Migration) (all []Migration, newer int, err error) {
	all, err = known()
	if err != nil {
		return nil, 0, err
	}
	var pending string
	seen := 0
	for i, m := range all {
		r, applied := recorded[m.Version]
		switch {
		case !applied:
			pending = m.Name
			continue
		case r.SHA256 != m.SHA256 || r.Name != m.Name:
			return nil, 0, fmt.Errorf("migration %s was applied to this database as %s with SHA-256 %.12s, "+
				"but this program has SHA-256 %.12s: an applied migration never changes, add a new one",
				m.Name, r.Name, r.SHA256, m.SHA256)
		case pending != "":
			return nil, 0, fmt.Errorf("migration %s is applied although %s before it is not: "+
				"restore the order of the files", m.Name, pending)
		}
		seen++
		all[i].AppliedAt = r.AppliedAt
	}
	for version := range recorded {
		if version > all[len(all)-1].Version {
			newer++
		}
	}
	if seen+newer != len(recorded) {
		return nil, 0, fmt.Errorf("the database has %d migrations among this program's that it does not know",
			len(recorded)-seen-newer)
	}
	if newer > 0 && pending != "" {
		return nil, 0, fmt.Errorf("the database has %d migrations that this program does not know, and not %s",
			newer, pending)
	}
	return all, newer, nil
}

// same returns the history of a database that is not newer than this program.
func same(recorded map[int64]Migration) ([]Migration, error) {
	all, newer, err := compare(recorded)
	if err == nil && newer > 0 {
		err = fmt.Errorf("the database has %d migrations that this program does not know: "+
			"it is newer than this program", newer)
	}
	return all, err
}

// requirement returns the newest migration that a program has to know to work on
// the database, 0 where it does not say.
func requirement(ctx context.Context, q Querier) (int64, error) {
	rows, err := q.Query(ctx, `SELECT coalesce(max(requires), 0) FROM public.schema_requirements`)
	if err != nil {
		return 0, fmt.Errorf("read requirements of the schema: %w", err)
	}
	version, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, fmt.Errorf("read requirements of the schema: %w", err)
	}
	return version, nil
}

func sorted(all []Migration) []Migration {
	slices.SortFunc(all, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return all
}

// store records each migration with its SHA-256, in goose's own transaction.
type store struct {
	known map[int64]Migration
}

func newStore() (*store, error) {
	all, err := known()
	if err != nil {
		return nil, err
	}
	s := &store{known: make(map[int64]Migration, len(all))}
	for _, m := range all {
		s.known[m.Version] = m
	}
	return s, nil
}

// createHistory makes the table of applied migrations.
var createHistory = []string{
	`CREATE TABLE ` + historyTable + ` (
  version    bigint PRIMARY KEY,
  name       text NOT NULL,
  sha256     text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)`,
	`GRANT SELECT ON ` + historyTable + ` TO loanserve_app, loanserve_readonly, loanserve_backup`,
}

// Tablename implements database.Store.
func (*store) Tablename() string { return historyTable }

// CreateVersionTable implements database.Store.
func (*store) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	for _, statement := range createHistory {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create schema history: %w", err)
		}
	}
	return nil
}

// Insert implements database.Store.
func (s *store) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	m := s.known[req.Version] // version 0, which goose inserts first, has no name
	_, err := db.ExecContext(ctx, `INSERT INTO `+historyTable+` (version, name, sha256) VALUES ($1, $2, $3)`,
		req.Version, m.Name, m.SHA256)
	if err != nil {
		return fmt.Errorf("record migration %d: %w", req.Version, err)
	}
	return nil
}

// errForwardOnly answers an attempt to take a migration back.
var errForwardOnly = errors.New("migrations only go forward")

// Delete implements database.Store and refuses.
func (*store) Delete(context.Context, database.DBTxConn, int64) error { return errForwardOnly }

// GetMigration implements database.Store.
func (*store) GetMigration(
	ctx context.Context, db database.DBTxConn, version int64,
) (*database.GetMigrationResult, error) {
	var at time.Time
	rows, err := db.QueryContext(ctx, `SELECT applied_at FROM `+historyTable+` WHERE version = $1`, version)
	if err != nil {
		return nil, fmt.Errorf("read migration %d: %w", version, err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, errors.Join(database.ErrVersionNotFound, rows.Err())
	}
	if err := rows.Scan(&at); err != nil {
		return nil, fmt.Errorf("read migration %d: %w", version, err)
	}
	return &database.GetMigrationResult{Timestamp: at, IsApplied: true}, rows.Err()
}

// GetLatestVersion implements database.Store.
func (s *store) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	all, err := s.ListMigrations(ctx, db)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, database.ErrVersionNotFound
	}
	return all[0].Version, nil
}

// ListMigrations implements database.Store, the newest first.
func (*store) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	rows, err := db.QueryContext(ctx, `SELECT version FROM `+historyTable+` ORDER BY version DESC`)
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []*database.ListMigrationsResult
	for rows.Next() {
		r := &database.ListMigrationsResult{IsApplied: true}
		if err := rows.Scan(&r.Version); err != nil {
			return nil, fmt.Errorf("list migrations: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
