package recovery

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyRows copies the rows with these keys from an image into a temporary table, one
// at a time: a document is large.
func (s *Salvage) copyRows(ctx context.Context, image *pgx.Conn, f *found, keys [][]string, into string) error {
	if len(keys) == 0 {
		return nil
	}
	rows, err := image.Query(ctx, fetchSQL(f), keyColumns(f.table.key, keys)...)
	if err != nil {
		return fmt.Errorf("fetch rows: %w", err)
	}
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writeRows(rows, len(f.columns), w)
		_ = w.CloseWithError(err) // It never fails.
		written <- err
	}()
	_, err = s.live.PgConn().CopyFrom(ctx, r, `COPY `+into+` (`+list(f.columns, "", "")+`) FROM STDIN`)
	_ = r.CloseWithError(err) // So that the writer ends, who has nobody to write to.
	if failed := <-written; failed != nil && err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("copy rows: %w", err)
	}
	return nil
}

// fetchSQL reads rows as text, by an array for each column of the key.
func fetchSQL(f *found) string {
	var arrays, names []string
	for i, name := range f.table.key {
		c, _ := f.table.column(name)
		arrays = append(arrays, fmt.Sprintf("$%d::text[]::%s[]", i+1, c.typ))
		names = append(names, name)
	}
	return fmt.Sprintf(`SELECT %s FROM unnest(%s) AS k (%s) JOIN public.%s t ON %s`,
		list(f.columns, "t.", "::text"), strings.Join(arrays, ", "), list(names, "", ""), quote(f.table.name),
		same("t", names, "k", names))
}

// keyColumns turns keys into an array for each of their columns.
func keyColumns(key []string, keys [][]string) []any {
	all := make([]any, len(key))
	for i := range key {
		values := make([]string, len(keys))
		for n, k := range keys {
			values[n] = k[i]
		}
		all[i] = values
	}
	return all
}

// escape spells a text as COPY reads it.
var escape = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// writeRows writes rows of texts as COPY reads them.
func writeRows(rows pgx.Rows, columns int, to io.Writer) error {
	defer rows.Close()
	w := bufio.NewWriter(to)
	values, targets := make([]*string, columns), make([]any, columns)
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values {
			if i > 0 {
				_ = w.WriteByte('\t') // Flush tells what failed.
			}
			if v == nil {
				_, _ = w.WriteString(`\N`)
				continue
			}
			_, _ = escape.WriteString(w, *v)
		}
		_ = w.WriteByte('\n')
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return w.Flush()
}
