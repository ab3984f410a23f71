package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// findConflicts looks for what stands in the way of inserting a table's rows.
func (s *Salvage) findConflicts(ctx context.Context, q querier, p *Plan, f *found, columns []string) error {
	name := f.table.name
	err := p.addConflicts(ctx, q, ConflictAlive, f, "a row with the same key holds something else", fmt.Sprintf(
		`%s g JOIN public.%s l ON %s WHERE g.%s AND NOT %s`,
		gone(name), quote(name), same("l", f.table.key, "g", f.table.key), selected, alike(columns, "l", "g")))
	if err != nil {
		return err
	}
	indexes, err := readUniqueIndexes(ctx, q, name)
	if err != nil {
		return err
	}
	for _, i := range indexes {
		if slices.ContainsFunc(i.columns, func(c string) bool { return !slices.Contains(columns, c) }) {
			continue // Of a column that was added since, whose values are new ones.
		}
		if err := p.addConflicts(ctx, q, ConflictUnique, f, i.name, s.taken(f, i)); err != nil {
			return err
		}
	}
	for _, k := range s.foreignKeysOf(name) {
		what := k.name + " names rows of " + k.target
		if err := p.addConflicts(ctx, q, ConflictReference, f, what, s.dangling(f, k)); err != nil {
			return err
		}
	}
	return nil
}

// addConflicts adds the rows of a source, as g, unless there are none.
func (p *Plan) addConflicts(ctx context.Context, q querier, kind ConflictKind, f *found, what, source string) error {
	c := Conflict{Kind: kind, Table: f.table.name, What: what, Keys: []string{}}
	_, err := query(ctx, q, func(row pgx.CollectableRow) (struct{}, error) {
		var key string
		err := row.Scan(&key, &c.Count)
		c.Keys = append(c.Keys, key)
		return struct{}{}, err
	}, fmt.Sprintf(`SELECT concat_ws(', ', %s), count(*) OVER () FROM %s ORDER BY %s LIMIT %d`,
		list(f.table.key, "g.", "::text"), source, list(f.table.key, "g.", ""), maxKeys))
	if err != nil {
		return fmt.Errorf("look for conflicts with %s: %w", what, err)
	}
	if c.Count > 0 {
		p.Conflicts = append(p.Conflicts, c)
	}
	return nil
}

// uniqueIndex is one that is not the primary key's.
type uniqueIndex struct {
	name        string
	expressions []string
	condition   string
	notDistinct bool     // nulls are equal to it
	columns     []string // that are in it as such
}

func readUniqueIndexes(ctx context.Context, q querier, table string) ([]uniqueIndex, error) {
	return query(ctx, q, func(row pgx.CollectableRow) (i uniqueIndex, err error) {
		err = row.Scan(&i.name, &i.expressions, &i.condition, &i.notDistinct, &i.columns)
		return i, err
	}, `
SELECT c.relname,
  ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts) n ORDER BY n),
  coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'), i.indnullsnotdistinct,
  ARRAY(SELECT a.attname::text FROM pg_attribute a
    WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[]) AND a.attnum > 0)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE i.indisunique AND NOT i.indisprimary AND t.relname = $1 AND t.relnamespace = 'public'::regnamespace
ORDER BY c.relname COLLATE "C"`, table)
}

// taken are the missing rows, as g, whose unique values another row has now.
func (s *Salvage) taken(f *found, i uniqueIndex) string {
	// Each side in a query of its own: the index's expressions know one table.
	var values, equal []string
	operator := "="
	if i.notDistinct {
		operator = "IS NOT DISTINCT FROM"
	}
	for n, expression := range i.expressions {
		values = append(values, fmt.Sprintf("%s AS recovery_value_%d", expression, n))
		equal = append(equal, fmt.Sprintf("g.recovery_value_%[1]d %[2]s l.recovery_value_%[1]d", n, operator))
	}
	keys, all := list(f.table.key, "", ""), strings.Join(values, ", ")
	return fmt.Sprintf(`(SELECT %[1]s, %[2]s FROM %[3]s AND (%[4]s)) g WHERE EXISTS (
  SELECT FROM (SELECT %[2]s FROM public.%[5]s WHERE %[4]s) l WHERE %[6]s)`,
		keys, all, s.missing(f), i.condition, quote(f.table.name), strings.Join(equal, " AND "))
}

// foreignKeysOf are the keys of a table, as the image has them and as they are now:
// what somebody dropped must hold all the same.
func (s *Salvage) foreignKeysOf(name string) []foreignKey {
	var all []foreignKey
	for _, k := range slices.Concat(s.schema.keys, s.now.keys) {
		known := slices.ContainsFunc(all, func(o foreignKey) bool { return o.name == k.name })
		if k.table == name && !known {
			all = append(all, k)
		}
	}
	return all
}

// dangling are the missing rows, as g, that name a row that is not there and does not
// come back.
func (s *Salvage) dangling(f *found, k foreignKey) string {
	unknown := func(c string) bool { return !slices.Contains(f.columns, c) }
	if slices.ContainsFunc(k.columns, unknown) { // It was added since, with the column.
		return s.missing(f) + " AND false"
	}
	var present []string
	for _, c := range k.columns {
		present = append(present, "g."+quote(c)+" IS NOT NULL")
	}
	source := s.missing(f) + " AND " + strings.Join(present, " AND ")
	if s.now.tables[k.target] != nil {
		source += fmt.Sprintf(` AND NOT EXISTS (SELECT FROM public.%s r WHERE %s)`,
			quote(k.target), same("r", k.targetColumns, "g", k.columns))
	}
	if s.found[k.target] != nil {
		source += fmt.Sprintf(` AND NOT EXISTS (SELECT FROM %s r WHERE r.%s AND %s)`,
			gone(k.target), selected, same("r", k.targetColumns, "g", k.columns))
	}
	return source
}
