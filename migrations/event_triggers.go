package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// eventTriggers is how many event triggers event_triggers.sql makes.
const eventTriggers = 5

// ErrNoEventTriggers reports a database without the event triggers that refuse
// drops and weakened guards: the login that migrates may not create them.
var ErrNoEventTriggers = errors.New("the database does not refuse drops: its event triggers are missing or disabled, " +
	"and this login may not create them; have a superuser run migrations/event_triggers.sql once")

// GuardDDL creates the event triggers that refuse drops and weakened guards, or
// enables them again, by the login that the URL names. It returns
// ErrNoEventTriggers where that login may not and nobody else has done it.
func GuardDDL(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if guarded, err := DDLGuarded(ctx, conn); guarded || err != nil {
		return err
	}
	text, err := files.ReadFile("event_triggers.sql")
	if err != nil {
		return fmt.Errorf("read event triggers: %w", err)
	}
	_, err = conn.Exec(ctx, string(text))
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "42501" {
		return ErrNoEventTriggers
	}
	if err != nil {
		return fmt.Errorf("create event triggers: %w", err)
	}
	return nil
}

// DDLGuarded says whether all event triggers are there and always fire, and whether
// the owner of the tables cannot drop them with what they call.
func DDLGuarded(ctx context.Context, q Querier) (bool, error) {
	rows, err := q.Query(ctx, `SELECT count(*) FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
WHERE e.evtname LIKE 'loanserve\__\_%' AND e.evtenabled = 'A' AND p.pronamespace = to_regnamespace('ddl_guard')
  AND p.proowner <> to_regrole('loanserve_owner')`)
	if err != nil {
		return false, fmt.Errorf("look for event triggers: %w", err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	if err != nil {
		return false, fmt.Errorf("look for event triggers: %w", err)
	}
	return n == eventTriggers, nil
}

// DropsAreRefused says of the database that the URL names what DDLGuarded says.
func DropsAreRefused(ctx context.Context, url string) (bool, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return DDLGuarded(ctx, conn)
}
