package migrations_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"loanserve/migrations"
)

// patience bounds every wait for what another session does. It is long because
// it is only waited for when something is broken.
const patience = 60 * time.Second

// querier is a pool, a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// exec runs statements that must succeed.
func exec(t *testing.T, db querier, sql string, args ...any) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// column returns the first column of all rows.
func column[T any](t *testing.T, db querier, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return all
}

// one returns the only row of one column.
func one[T any](t *testing.T, db querier, sql string, args ...any) T {
	t.Helper()
	all := column[T](t, db, sql, args...)
	require.Len(t, all, 1, sql)
	return all[0]
}

// state returns an error's SQLSTATE and hint, and nothing where it has none.
func state(err error) (code, hint string) {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code, pgErr.Hint
	}
	return "", ""
}

// contents returns every table of the schema with a hash over all its rows.
func contents(t *testing.T, db querier) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range column[string](t, db,
		`SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'river')`) {
		all[table] = one[string](t, db,
			`SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM `+table+` t`)
	}
	return all
}

// names returns the names of migrations.
func names(all []migrations.Migration) []string {
	list := make([]string, 0, len(all))
	for _, m := range all {
		list = append(list, m.Name)
	}
	return list
}
