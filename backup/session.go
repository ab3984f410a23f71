package backup

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// pinned are the settings that decide how a row looks as text: with the same
// ones the same row has the same checksum on any server. Nothing is found by a
// search path, so that what the server shows of a definition is always full.
var pinned = map[string]string{
	"datestyle":          "ISO, YMD",
	"timezone":           "UTC",
	"intervalstyle":      "postgres",
	"bytea_output":       "hex",
	"extra_float_digits": "1",
	"lc_monetary":        "C",
	"xmlbinary":          "base64",
	"search_path":        "",
	"client_encoding":    "UTF8",
	// Sessions of ours work for as long as it takes, and hold no lock that anybody
	// but a change of the schema waits for.
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"lock_timeout":                        "30s",
	"application_name":                    "loanserve backup",
}

const connectTimeout = 10 * time.Second

// connect opens a session with pinned settings.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read database URL: it is not a PostgreSQL connection string")
	}
	maps.Copy(config.RuntimeParams, pinned)
	config.ConnectTimeout = connectTimeout
	// Nothing is asked often enough to be prepared.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	return pgx.ConnectConfig(ctx, config)
}

// become has the session act as the role that may read everything, where there is
// one and the login may. Otherwise the login's own rights have to do.
func become(ctx context.Context, conn *pgx.Conn, role string) (string, error) {
	var may bool
	err := conn.QueryRow(ctx, `
SELECT coalesce((SELECT pg_has_role(session_user, oid,
  CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
  FROM pg_roles WHERE rolname = $1), false)`, role).Scan(&may)
	if err != nil || !may {
		return "", err
	}
	_, err = conn.Exec(ctx, `SET ROLE `+pgx.Identifier{role}.Sanitize())
	return role, err
}

// query collects the rows of a query.
func query[T any](ctx context.Context, q querier, row func(pgx.CollectableRow) (T, error), sql string, args ...any,
) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, row)
}

// querier is a session, or a transaction in it.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// RowSettings are the settings of a session in which the same row has the same text
// on any server.
func RowSettings() map[string]string { return maps.Clone(pinned) }
