package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ensureRoles creates the database roles where they are missing and may be
// created. Roles belong to the whole server, so two databases migrated at the
// same moment can meet here; the loser tries again.
func ensureRoles(ctx context.Context, url string) error {
	text, err := files.ReadFile("roles.sql")
	if err != nil {
		return fmt.Errorf("read roles: %w", err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))

	const tries = 20
	for try := 1; ; try++ {
		_, err = conn.Exec(ctx, string(text))
		if err == nil {
			return nil
		}
		if try == tries || !isConcurrentGrant(err) {
			return rolesError(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}

// isConcurrentGrant says whether another session changed the same role or
// database row first: "tuple concurrently updated" has no SQLSTATE of its own.
func isConcurrentGrant(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "XX000" || pgErr.Code == "23505" || pgErr.Code == "40001")
}

// rolesError says what an administrator has to do where the login may not
// create roles.
func rolesError(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42501" {
		return fmt.Errorf("the login may not create or grant the database roles; have an administrator run "+
			"migrations/roles.sql once and grant loanserve_migrator to it: %w", err)
	}
	return fmt.Errorf("create roles: %w", err)
}
