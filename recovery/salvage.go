package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Origin says who brings back what, for the audit trail.
type Origin struct {
	Actor, ActorName string
	// XIDs are the transactions that took it.
	XIDs []string
}

// Salvage is what transactions took, in temporary tables of a session of the database
// at work: there it can be compared with what is there now. It goes with the session.
type Salvage struct {
	Origin Origin
	// DeletedOnly leaves rows as they are that the transaction changed.
	DeletedOnly bool

	live *pgx.Conn

	schema *schema // of the newest image before; what hangs on what was true then
	now    *schema // of the database at work
	found  map[string]*found
	order  []string // of the names of found, sorted
	images int      // pairs that were compared
	image  string   // the URL of the newest image before
	loans  Loans    // that are selected
	jobs   map[int64]waitingJob
}

// found is what is different in one table.
type found struct {
	table *table
	// columns are those that are kept: all but generated ones.
	columns                    []string
	deleted, changed, inserted int64
}

// The temporary tables of a table: rows that were deleted, and those that were changed
// as they were before and after.
func gone(name string) string   { return "pg_temp." + quote("gone_"+name) }
func was(name string) string    { return "pg_temp." + quote("was_"+name) }
func became(name string) string { return "pg_temp." + quote("became_"+name) }

// selected marks rows that are to come back, in the temporary tables of deleted and of
// changed rows.
const selected = "recovery_selected"

// Open begins a salvage. The URL names the database at work, by a login that may
// become the owner of the tables.
func Open(ctx context.Context, url string) (*Salvage, error) {
	live, err := connectLive(ctx, url)
	if err != nil {
		return nil, err
	}
	s := &Salvage{live: live, found: map[string]*found{}, jobs: map[int64]waitingJob{}}
	if s.now, err = readSchema(ctx, live); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// Close ends the session, and with it what was salvaged.
func (s *Salvage) Close(ctx context.Context) error {
	return s.live.Close(context.WithoutCancel(ctx))
}

// images are sessions of an image before and one after. Each has one that reads along
// the tables, and one that fetches rows meanwhile.
type images struct {
	before, beforeRows, after, afterRows *pgx.Conn
}

func openImages(ctx context.Context, before, after string) (*images, error) {
	i := &images{}
	for _, open := range []struct {
		conn **pgx.Conn
		url  string
	}{{&i.before, before}, {&i.beforeRows, before}, {&i.after, after}, {&i.afterRows, after}} {
		conn, err := connect(ctx, open.url)
		if err != nil {
			i.close(ctx)
			return nil, fmt.Errorf("open image: %w", err)
		}
		*open.conn = conn
	}
	return i, nil
}

func (i *images) close(ctx context.Context) {
	for _, conn := range []*pgx.Conn{i.before, i.beforeRows, i.after, i.afterRows} {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}
}

// Collect compares the images of before and after a transaction, and keeps what the
// transaction deleted and changed. The URLs name the images by logins that may read
// everything. Several transactions are collected one after the other, the newest
// first: of a row that two of them took, what the later one took counts.
func (s *Salvage) Collect(
	ctx context.Context, before, after string, progress func(table string, done, total int),
) error {
	i, err := openImages(ctx, before, after)
	if err != nil {
		return err
	}
	defer i.close(ctx)
	if err := s.sameServer(ctx, i.before); err != nil {
		return err
	}
	old, err := readSchema(ctx, i.before)
	if err != nil {
		return err
	}
	now, err := readSchema(ctx, i.after)
	if err != nil {
		return err
	}
	if s.schema == nil {
		s.schema, s.image = old, before
	}
	for n, name := range old.names() {
		if progress != nil {
			progress(name, n, len(old.tables))
		}
		if err := s.collectTable(ctx, i, old.tables[name], now.tables[name]); err != nil {
			return fmt.Errorf("compare images of table %s: %w", name, err)
		}
	}
	s.images++
	if err := s.dropRepeated(ctx); err != nil {
		return err
	}
	return s.collectJobs(ctx, i.before)
}

// ErrOtherServer is returned for images of another server than that of the database at
// work: a store may have backups of several, and their transactions have the same numbers.
var ErrOtherServer = errors.New("the archive is of another server than the database at work")

// sameServer compares what a server is told by, which a physical copy of it keeps.
func (s *Salvage) sameServer(ctx context.Context, image *pgx.Conn) error {
	var ours, theirs int64
	const sql = `SELECT system_identifier FROM pg_control_system()`
	err := s.live.QueryRow(ctx, sql).Scan(&ours)
	if err == nil {
		err = image.QueryRow(ctx, sql).Scan(&theirs)
	}
	if err != nil {
		return fmt.Errorf("read identifier of server: %w", err)
	}
	if ours != theirs {
		return fmt.Errorf("%w: %d and %d", ErrOtherServer, theirs, ours)
	}
	return nil
}

// batch is how many rows are fetched at once.
const batch = 500

// collectTable keeps what differs in one table. now is nil where it is missing after.
func (s *Salvage) collectTable(ctx context.Context, i *images, old, now *table) error {
	compared := []string{}
	for _, c := range old.columns {
		if now == nil {
			compared = append(compared, c.name)
		} else if _, ok := now.column(c.name); ok {
			compared = append(compared, c.name)
		}
	}
	f := s.found[old.name]
	if f == nil {
		f = &found{table: old}
		for _, c := range old.columns {
			if !c.generated {
				f.columns = append(f.columns, c.name)
			}
		}
	}
	var goneKeys, changedKeys [][]string
	flush := func(least int) error {
		if len(goneKeys)+len(changedKeys) < least {
			return nil
		}
		if err := s.keep(ctx, f); err != nil {
			return err
		}
		err := errors.Join(
			s.copyRows(ctx, i.beforeRows, f, goneKeys, gone(old.name)),
			s.copyRows(ctx, i.beforeRows, f, changedKeys, was(old.name)),
			s.copyRows(ctx, i.afterRows, f, changedKeys, became(old.name)))
		goneKeys, changedKeys = nil, nil
		return err
	}
	err := compareTable(ctx, i.before, i.after, old, compared, now == nil, func(what change, key []string) error {
		switch what {
		case inserted:
			f.inserted++
			return nil
		case deleted:
			f.deleted++
			goneKeys = append(goneKeys, key)
		case changed:
			f.changed++
			changedKeys = append(changedKeys, key)
		}
		return flush(batch)
	})
	if err != nil {
		return err
	}
	if f.inserted > 0 { // Then the plan tells of it.
		return errors.Join(s.keep(ctx, f), flush(1))
	}
	return flush(1)
}

// keep makes the temporary tables of a table, once.
func (s *Salvage) keep(ctx context.Context, f *found) error {
	name := f.table.name
	if s.found[name] != nil {
		return nil
	}
	var columns []string
	for _, c := range f.table.columns {
		if !c.generated {
			columns = append(columns, quote(c.name)+" "+c.typ)
		}
	}
	definition := strings.Join(append(columns, selected+" boolean NOT NULL DEFAULT false"), ", ")
	for _, temporary := range []string{gone(name), was(name), became(name)} {
		if _, err := s.live.Exec(ctx, `CREATE TEMPORARY TABLE `+temporary+` (`+definition+`)`); err != nil {
			return fmt.Errorf("make temporary table: %w", err)
		}
	}
	s.found[name] = f
	s.order = append(s.order, name)
	slices.Sort(s.order)
	return nil
}

// dropRepeated forgets what an earlier transaction took and a later one again: the
// later one was collected first.
func (s *Salvage) dropRepeated(ctx context.Context) error {
	for _, name := range s.order {
		if s.images > 1 {
			for _, temporary := range []string{gone(name), was(name), became(name)} {
				_, err := s.live.Exec(ctx, fmt.Sprintf(`DELETE FROM %[1]s a USING %[1]s b WHERE %[2]s AND a.ctid > b.ctid`,
					temporary, same("a", s.found[name].table.key, "b", s.found[name].table.key)))
				if err != nil {
					return fmt.Errorf("forget rows that were taken twice: %w", err)
				}
			}
		}
	}
	return nil
}

// analyze tells the planner of what was salvaged, of which it otherwise expects next to
// nothing, and then compares each row with each.
func (s *Salvage) analyze(ctx context.Context) error {
	for _, name := range s.order {
		_, err := s.live.Exec(ctx, `ANALYZE `+gone(name)+`; ANALYZE `+was(name)+`; ANALYZE `+became(name))
		if err != nil {
			return fmt.Errorf("analyze what was salvaged: %w", err)
		}
	}
	return nil
}
