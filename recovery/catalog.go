package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// column is a column of a table.
type column struct {
	name      string
	typ       string // as a cast spells it
	generated bool   // by the database, from others: never written
}

// table is a table of schema public that has a primary key.
type table struct {
	name    string
	columns []column // in their order
	key     []string // the primary key's columns
}

func (t *table) column(name string) (column, bool) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		return column{}, false
	}
	return t.columns[i], true
}

// foreignKey says that rows of a table name rows of another.
type foreignKey struct {
	name          string
	table         string
	columns       []string
	target        string
	targetColumns []string
	deferrable    bool
}

// LeftAlone is a table that recovery does not look into, and why.
type LeftAlone struct {
	Table  string `json:"table"`
	Reason string `json:"reason"`
}

// schema is what a database's catalog says.
type schema struct {
	tables    map[string]*table
	keys      []foreignKey
	leftAlone []LeftAlone
}

// names are the names of the tables, sorted.
func (s *schema) names() []string {
	var all []string
	for name := range s.tables {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// readSchema reads the catalog. Partitioned tables are left alone: the only one keeps
// what was changed or deleted, and grows by the recovery itself.
func readSchema(ctx context.Context, q querier) (*schema, error) {
	s := &schema{tables: map[string]*table{}}
	if err := s.readTables(ctx, q); err != nil {
		return nil, fmt.Errorf("read tables of the catalog: %w", err)
	}
	keys, err := query(ctx, q, func(row pgx.CollectableRow) (k foreignKey, err error) {
		err = row.Scan(&k.name, &k.table, &k.target, &k.deferrable, &k.columns, &k.targetColumns)
		return k, err
	}, `
SELECT c.conname, t.relname, r.relname, c.condeferrable,
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY u (n, o)
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = n ORDER BY o),
  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY u (n, o)
    JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = n ORDER BY o)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.contype = 'f' AND tn.nspname = 'public' AND rn.nspname = 'public'
ORDER BY t.relname COLLATE "C", c.conname COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("read foreign keys of the catalog: %w", err)
	}
	s.keys = keys
	return s, nil
}

func (s *schema) readTables(ctx context.Context, q querier) error {
	_, err := query(ctx, q, func(row pgx.CollectableRow) (struct{}, error) {
		var schemaName, name, kind string
		t := &table{}
		var names, types []string
		var generated []bool
		if err := row.Scan(&schemaName, &name, &kind, &t.key, &names, &types, &generated); err != nil {
			return struct{}{}, err
		}
		t.name = name
		for i := range names {
			t.columns = append(t.columns, column{name: names[i], typ: types[i], generated: generated[i]})
		}
		if reason := whyLeftAlone(schemaName, kind, t); reason != "" {
			s.leftAlone = append(s.leftAlone, LeftAlone{Table: schemaName + "." + name, Reason: reason})
		} else {
			s.tables[name] = t
		}
		return struct{}{}, nil
	}, `
SELECT n.nspname, c.relname, c.relkind::text,
  ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY u (n, o)
    JOIN pg_attribute a ON a.attnum = n WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid ORDER BY o),
  array_agg(a.attname::text ORDER BY a.attnum), array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
  array_agg(a.attgenerated <> '' ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname !~ '^pg_(toast|temp)'
GROUP BY n.nspname, c.relname, c.relkind, c.oid
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`)
	return err
}

// historyTable is the migrations' own.
const historyTable = "schema_migrations"

func whyLeftAlone(schemaName, kind string, t *table) string {
	switch {
	case schemaName == "river":
		return "the job queue's own: jobs that are gone are asked for again"
	case schemaName == "history_parts" || kind == "p":
		return "it keeps what was changed and deleted, and is only ever added to"
	case schemaName != "public":
		return "it is outside the schema public"
	case t.name == historyTable:
		return "it says which migrations there are, which is the program's to say"
	case len(t.key) == 0:
		return "it has no primary key, by which its rows could be told apart"
	}
	return ""
}

// quote spells an identifier.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// list spells columns, each with a prefix such as "t." and a suffix such as "::text".
func list(columns []string, prefix, suffix string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = prefix + quote(c) + suffix
	}
	return strings.Join(all, ", ")
}

// same is the condition that columns of two rows are equal, none of them null.
func same(left string, leftColumns []string, right string, rightColumns []string) string {
	all := make([]string, len(leftColumns))
	for i := range leftColumns {
		all[i] = left + "." + quote(leftColumns[i]) + " = " + right + "." + quote(rightColumns[i])
	}
	return strings.Join(all, " AND ")
}

// alike is the condition that columns of two rows have the same text: not every type
// has an equality, and what was not touched looks the same.
func alike(columns []string, left, right string) string {
	return "ROW(" + list(columns, left+".", "") + ")::text = ROW(" + list(columns, right+".", "") + ")::text"
}
