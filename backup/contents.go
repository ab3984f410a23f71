package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/internal/catalog"
)

// Question is asked for a Figure, in a transaction that finds what is in schema
// public.
type Question struct {
	Name string
	Ask  func(ctx context.Context, tx pgx.Tx) (string, error)
}

// Check counts what is not as it has to be in any database of this program.
type Check struct {
	Name  string
	Count func(ctx context.Context, tx pgx.Tx) (int64, error)
}

// contents is what a database holds, as far as it is compared.
type contents struct {
	Database  Database
	Schema    Schema
	Tables    []Table
	Sequences []Sequence
	Figures   []Figure
}

// xidWindow is how many transaction ids after the oldest open one count as new.
// Ids wrap around after 2^32, and a row that was frozen keeps the one that it was
// written with: so new is only what lies within a window that no backup outlasts.
const xidWindow = 1 << 28

// readFacts reads what takes no time. Sequences follow no snapshot: read here, before
// anything is copied, they are not ahead of what any copy has of them.
func readFacts(ctx context.Context, tx querier) (c contents, oldestXID uint64, err error) {
	d := &c.Database
	err = tx.QueryRow(ctx, `
SELECT current_database(), current_setting('server_version_num')::int, pg_current_snapshot()::text,
  pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_encoding_to_char(encoding), datcollate, datctype
FROM pg_database WHERE datname = current_database()`).
		Scan(&d.Name, &d.ServerVersion, &d.Snapshot, &oldestXID, &d.Encoding, &d.Collate, &d.CType)
	if err != nil {
		return c, 0, fmt.Errorf("read facts of the database: %w", err)
	}
	d.Roles, err = query(ctx, tx, pgx.RowTo[string], `
SELECT DISTINCT r.rolname::text FROM pg_shdepend d
JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND r.rolname !~ '^pg_' ORDER BY 1`)
	if err != nil {
		return c, 0, fmt.Errorf("list roles: %w", err)
	}
	c.Sequences, err = readSequences(ctx, tx)
	return c, oldestXID, err
}

// readSchema reads the schema's version and fingerprint.
func readSchema(ctx context.Context, tx pgx.Tx) (s Schema, err error) {
	var migrated bool
	err = tx.QueryRow(ctx, `SELECT to_regclass('public.schema_migrations') IS NOT NULL`).Scan(&migrated)
	if err == nil && migrated {
		err = tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM public.schema_migrations`).Scan(&s.Version)
	}
	if err != nil {
		return s, fmt.Errorf("read schema version: %w", err)
	}
	facts, _, err := catalog.Read(ctx, tx)
	if err != nil {
		return s, err
	}
	s.Fingerprint, s.Method = catalog.Fingerprint(facts), catalog.FingerprintMethod
	return s, nil
}

// listTables lists what is compared. A table that is not logged is empty after
// every crash, so nobody misses what it held.
func listTables(ctx context.Context, tx querier) ([]pgx.Identifier, error) {
	list, err := query(ctx, tx, func(row pgx.CollectableRow) (pgx.Identifier, error) {
		var schema, name string
		err := row.Scan(&schema, &name)
		return pgx.Identifier{schema, name}, err
	}, `
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return list, nil
}

// tableSQL counts and hashes a table. In a physical backup the checked rows are
// those of transactions that had ended before the snapshot's oldest: they can be
// told from later ones in the restored database, and a row never joins them.
const tableSQL = `
SELECT count(*), count(*) FILTER (WHERE checked), coalesce(sum(hash) FILTER (WHERE checked), 0)::text
FROM (SELECT %s AS checked, hashtextextended(t::text, 0)::numeric AS hash FROM %s t) rows`

// checked is the condition of rows that are checked.
func checked(kind Kind, oldestXID uint64) string {
	if kind == Logical {
		return "true"
	}
	// By how many ids the row's is after the oldest open one. An id has no arithmetic
	// of its own. Its age has, and counting by it takes half as long as by its text.
	return fmt.Sprintf("(((SELECT age('%d'::xid))::bigint - age(t.xmin)::bigint) & 4294967295) >= %d",
		oldestXID&0xffffffff, int64(xidWindow))
}

// readTable counts and hashes one table.
func readTable(ctx context.Context, tx querier, name pgx.Identifier, kind Kind, oldestXID uint64) (Table, error) {
	t := Table{Name: join(name)}
	err := tx.QueryRow(ctx, fmt.Sprintf(tableSQL, checked(kind, oldestXID), name.Sanitize())).
		Scan(&t.Rows, &t.CheckedRows, &t.Checksum)
	if err != nil {
		return t, fmt.Errorf("read table %s: %w", t.Name, err)
	}
	t.KeptRows = t.CheckedRows
	return t, nil
}

// countKept returns how many of a table's checked rows are there still. Each
// update and deletion since takes one from them, and nothing adds any.
func countKept(ctx context.Context, tx querier, name pgx.Identifier, oldestXID uint64) (n int64, err error) {
	sql := fmt.Sprintf(`SELECT count(*) FROM %s t WHERE %s`, name.Sanitize(), checked(Physical, oldestXID))
	if err := tx.QueryRow(ctx, sql).Scan(&n); err != nil {
		return 0, fmt.Errorf("count in table %s: %w", join(name), err)
	}
	return n, nil
}

// readSequences reads how far sequences are.
func readSequences(ctx context.Context, tx querier) ([]Sequence, error) {
	list, err := query(ctx, tx, pgx.RowToStructByPos[Sequence], `
SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences
WHERE schemaname !~ '^pg_' AND increment_by > 0 ORDER BY schemaname COLLATE "C", sequencename COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("read sequences: %w", err)
	}
	return list, nil
}

// readFigures asks the questions. One about something that this schema does not
// have has no answer.
func readFigures(ctx context.Context, tx pgx.Tx, questions []Question) ([]Figure, error) {
	figures := []Figure{}
	if err := findPublic(ctx, tx); err != nil {
		return nil, err
	}
	for _, question := range questions {
		f := Figure{Name: question.Name}
		err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) (err error) {
			f.Value, err = question.Ask(ctx, inner)
			return err
		})
		if isUndefined(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", question.Name, err)
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// findPublic has the rest of a transaction find what is in schema public.
func findPublic(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SET LOCAL search_path = public`)
	return err
}

// isUndefined says whether the error is that a table or column does not exist.
func isUndefined(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refusal.Code == "42P01" || refusal.Code == "42703" || refusal.Code == "42883" || refusal.Code == "3F000")
}

// read reads what takes time, in the one snapshot of the transaction.
func (c *contents) read(ctx context.Context, tx pgx.Tx, kind Kind, oldestXID uint64, questions []Question) (err error) {
	if c.Schema, err = readSchema(ctx, tx); err != nil {
		return err
	}
	names, err := listTables(ctx, tx)
	if err != nil {
		return err
	}
	for _, name := range names {
		table, err := readTable(ctx, tx, name, kind, oldestXID)
		if err != nil {
			return err
		}
		c.Tables = append(c.Tables, table)
	}
	c.Figures, err = readFigures(ctx, tx, questions)
	return err
}
