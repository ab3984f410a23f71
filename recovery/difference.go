package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// change is what a row is in the image before and in the one after.
type change int

const (
	deleted change = iota
	changed
	inserted
)

// keyed is a row of an image: the texts of its key, and a hash of all of its text.
type keyed struct {
	key  []string
	hash int64
}

// stream reads the rows of a table in the order of the bytes of their keys' texts,
// which is the same whatever the images sort by.
type stream struct {
	rows pgx.Rows
	row  keyed
	more bool
}

func newStream(ctx context.Context, conn *pgx.Conn, t *table, columns []string) (*stream, error) {
	order := list(t.key, "t.", `::text COLLATE "C"`)
	rows, err := conn.Query(ctx, fmt.Sprintf(
		`SELECT ARRAY[%s], hashtextextended(ROW(%s)::text, 0) FROM public.%s t ORDER BY %s`,
		list(t.key, "t.", "::text"), list(columns, "t.", ""), quote(t.name), order))
	if err != nil {
		return nil, err
	}
	s := &stream{rows: rows}
	return s, s.next()
}

func (s *stream) next() error {
	if s.more = s.rows.Next(); !s.more {
		return s.rows.Err()
	}
	s.row = keyed{} // The one before is kept by whoever has got it.
	return s.rows.Scan(&s.row.key, &s.row.hash)
}

// compareTable tells of each row that differs between two images of a table, in the
// order of keys. It holds one row of each at a time. In an image of which the table is
// missing it has no rows.
func compareTable(ctx context.Context, before, after *pgx.Conn, t *table, columns []string, gone bool,
	tell func(change, []string) error,
) error {
	old, err := newStream(ctx, before, t, columns)
	if err != nil {
		return err
	}
	defer old.rows.Close()
	now := &stream{}
	if !gone {
		if now, err = newStream(ctx, after, t, columns); err != nil {
			return err
		}
		defer now.rows.Close()
	}
	for old.more || now.more {
		what, differs := changed, true
		switch order := order(old, now); {
		case order < 0:
			what = deleted
		case order > 0:
			what = inserted
		default:
			differs = old.row.hash != now.row.hash
		}
		row := old.row
		if what == inserted {
			row = now.row
		}
		if what != inserted {
			err = old.next()
		}
		if err == nil && what != deleted {
			err = now.next()
		}
		if err == nil && differs {
			err = tell(what, row.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// order says which stream's row comes first; one that has ended comes last.
func order(old, now *stream) int {
	switch {
	case !now.more:
		return -1
	case !old.more:
		return 1
	}
	return slices.CompareFunc(old.row.key, now.row.key, strings.Compare)
}
