package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// unit is columns of a table that become what they were together.
type unit struct {
	columns []string
	// lost is the condition that row w named one, by these columns, that was deleted
	// and comes back; "" where they name nothing that was.
	lost string
}

// units are a foreign key each, where rows that it names were deleted, and all other
// columns together. Of all only what the transaction changed is in them, so that no
// guard of a column that nobody touched is asked.
func (s *Salvage) units(ctx context.Context, q querier, f *found) ([]unit, error) {
	changed, err := s.changedColumns(ctx, q, f)
	if err != nil || s.DeletedOnly {
		return nil, err
	}
	var all []unit
	rest := changed
	for _, k := range s.schema.keys {
		touched := slices.ContainsFunc(k.columns, func(c string) bool { return slices.Contains(changed, c) })
		if k.table != f.table.name || s.found[k.target] == nil || !touched {
			continue
		}
		u := unit{lost: fmt.Sprintf(`EXISTS (SELECT FROM %s g WHERE g.%s AND %s)`,
			gone(k.target), selected, same("g", k.targetColumns, "w", k.columns))}
		for _, c := range k.columns {
			if !slices.Contains(f.table.key, c) {
				u.columns = append(u.columns, c)
			}
		}
		if len(u.columns) == 0 {
			continue
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(c string) bool { return slices.Contains(u.columns, c) })
		all = append(all, u)
	}
	if len(rest) > 0 {
		all = append(all, unit{columns: rest})
	}
	return all, nil
}

// changedColumns are the columns that the transaction changed in any row.
func (s *Salvage) changedColumns(ctx context.Context, q querier, f *found) ([]string, error) {
	name := f.table.name
	var candidates, counts []string
	for _, c := range f.columns {
		if slices.Contains(f.table.key, c) {
			continue
		}
		candidates = append(candidates, c)
		counts = append(counts,
			fmt.Sprintf("coalesce(bool_or(w.%[1]s::text IS DISTINCT FROM b.%[1]s::text), false)", quote(c)))
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	var differs []bool
	err := q.QueryRow(ctx, fmt.Sprintf(`SELECT ARRAY[%s] FROM %s w JOIN %s b ON %s`,
		strings.Join(counts, ", "), was(name), became(name), same("w", f.table.key, "b", f.table.key))).Scan(&differs)
	if err != nil {
		return nil, fmt.Errorf("look for changed columns: %w", err)
	}
	var changed []string
	for i, c := range candidates {
		if differs[i] {
			changed = append(changed, c)
		}
	}
	return changed, nil
}

// source are the rows of a unit that the transaction changed and that are there still:
// w as they were, b as they became, and l as they are.
func (s *Salvage) source(f *found, u unit) (from, where string) {
	name := f.table.name
	eligible := "w." + selected
	if u.lost != "" {
		eligible = "(w." + selected + " OR " + u.lost + ")"
	}
	from = fmt.Sprintf(`%s w JOIN %s b ON %s`, was(name), became(name), same("w", f.table.key, "b", f.table.key))
	where = fmt.Sprintf(`%s AND %s AND NOT %s`,
		same("l", f.table.key, "w", f.table.key), eligible, alike(u.columns, "w", "b"))
	return from, where
}

// planChanges plans what was changed: a row becomes what it was unless somebody has
// changed it since. Where that is a reference that the deletion had taken away, the new
// one is kept; anything else is for a person to decide.
func (s *Salvage) planChanges(ctx context.Context, q querier, p *Plan, f *found, t *TablePlan) error {
	units, err := s.units(ctx, q, f)
	if err != nil {
		return err
	}
	for _, u := range units {
		from, where := s.source(f, u)
		touched := "NOT " + alike(u.columns, "l", "b") + " AND NOT " + alike(u.columns, "l", "w")
		var back, kept int64
		lost := u.lost
		if lost == "" {
			lost = "false"
		}
		err := q.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FILTER (WHERE %s), count(*) FILTER (WHERE %s AND %s)
FROM %s, public.%s l WHERE %s`, alike(u.columns, "l", "b"), touched, lost, from, quote(f.table.name), where)).
			Scan(&back, &kept)
		if err != nil {
			return fmt.Errorf("plan changed rows: %w", err)
		}
		t.SetBack, t.Kept = t.SetBack+back, t.Kept+kept
		if back > 0 {
			t.Columns = append(t.Columns, u.columns...)
		}
		err = p.addConflicts(ctx, q, ConflictChanged, f, list(u.columns, "", ""), fmt.Sprintf(
			`(SELECT %s FROM %s, public.%s l WHERE %s AND %s AND NOT %s) g`,
			list(f.table.key, "w.", ""), from, quote(f.table.name), where, touched, lost))
		if err != nil {
			return err
		}
	}
	return nil
}

// setBack makes the columns of a unit what they were, in the rows that nobody has
// touched since.
func (s *Salvage) setBack(ctx context.Context, tx pgx.Tx, f *found, u unit) (int64, error) {
	from, where := s.source(f, u)
	assignments := make([]string, len(u.columns))
	for i, c := range u.columns {
		assignments[i] = quote(c) + " = w." + quote(c)
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(`UPDATE public.%s l SET %s FROM %s WHERE %s AND %s`,
		quote(f.table.name), strings.Join(assignments, ", "), from, where, alike(u.columns, "l", "b")))
	return tag.RowsAffected(), err
}
