package recovery

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	"loanserve/backup"
	"loanserve/queries"
)

// OwnerRole owns every table: who inserts with its rights needs no guard switched off.
const OwnerRole = "loanserve_owner"

// connect opens a session in which the same row has the same text everywhere.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("read database URL: it is not a PostgreSQL connection string")
	}
	maps.Copy(config.RuntimeParams, backup.RowSettings())
	config.RuntimeParams["application_name"] = "loanserve recover"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// connectLive opens a session of the database at work that acts as the owner of the
// tables.
func connectLive(ctx context.Context, url string) (*pgx.Conn, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, `SELECT set_config('role', $1, false), set_config('search_path', 'public', false)`, OwnerRole)
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("become %s, which takes a login that may migrate: %w", OwnerRole, err)
	}
	return conn, nil
}

// querier is a session, or a transaction in it.
type querier = queries.DBTX

// query collects the rows of a query.
func query[T any](ctx context.Context, q querier, row func(pgx.CollectableRow) (T, error), sql string, args ...any,
) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, row)
}
