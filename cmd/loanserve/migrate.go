package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/migrations"
)

type migrateCommand struct {
	Up     migrateUpCommand     `cmd:"" help:"Apply the migrations that are pending."`
	Status migrateStatusCommand `cmd:"" help:"Show which migrations are applied; exit code 1 when some are pending."`
}

// migrateFlags are for migrating, which has a login of its own in a strict
// deployment.
type migrateFlags struct {
	MigrateDatabaseURL databaseURL `name:"migrate-database-url" placeholder:"URL" setting:"MIGRATE_DATABASE_URL" secret:"" help:"PostgreSQL by a login that may become loanserve_owner; otherwise that of --database-url."`
	DatabaseURL        databaseURL `name:"database-url" placeholder:"URL" setting:"DATABASE_URL" secret:"" help:"PostgreSQL to use: postgres://user@host:5432/database."`
	JSON               bool        `name:"json" help:"Print JSON."`
}

func (f *migrateFlags) url() (string, error) {
	if f.MigrateDatabaseURL != "" {
		return string(f.MigrateDatabaseURL), nil
	}
	if f.DatabaseURL == "" {
		return "", usageError{errors.New("missing flags: --database-url or --migrate-database-url " +
			"($DATABASE_URL, $MIGRATE_DATABASE_URL)")}
	}
	return string(f.DatabaseURL), nil
}

type migrateUpCommand struct{ migrateFlags }

// Run implements the command.
func (m *migrateUpCommand) Run(ctx context.Context, p *program, c *cli) error {
	url, err := m.url()
	if err != nil {
		return err
	}
	applied, err := migrations.Up(ctx, url, p.logger(c, slog.LevelDebug))
	if err != nil {
		return err
	}
	guarded, err := migrations.DropsAreRefused(ctx, url)
	if err != nil {
		return err
	}
	if m.JSON {
		return printJSON(p.stdout, map[string]any{"applied": notNil(applied), "drops_are_refused": guarded})
	}
	for _, step := range applied {
		fmt.Fprintln(p.stdout, "applied", step.Name)
	}
	if len(applied) == 0 {
		fmt.Fprintln(p.stdout, "nothing to do: the schema is the newest")
	}
	if !guarded {
		fmt.Fprintln(p.stderr, "warning:", migrations.ErrNoEventTriggers)
	}
	return nil
}

type migrateStatusCommand struct{ migrateFlags }

// Run implements the command.
func (m *migrateStatusCommand) Run(ctx context.Context, p *program) error {
	url, err := m.url()
	if err != nil {
		return err
	}
	all, err := migrations.Status(ctx, url)
	virgin := neverMigrated(err)
	if err != nil && !virgin {
		return err
	}
	pending := 0
	for _, step := range all {
		if step.AppliedAt.IsZero() {
			pending++
		}
	}
	upToDate := pending == 0 && !virgin
	guarded := false
	if !virgin {
		if guarded, err = migrations.DropsAreRefused(ctx, url); err != nil {
			return err
		}
	}
	if err := m.print(p, all, upToDate, guarded); err != nil {
		return err
	}
	if upToDate && !guarded {
		fmt.Fprintln(p.stderr, "warning:", migrations.ErrNoEventTriggers)
	}
	if upToDate {
		return nil
	}
	if virgin {
		fmt.Fprintln(p.stderr, "nothing is applied: the server has none of this program's roles; run `loanserve migrate up`")
	} else {
		fmt.Fprintf(p.stderr, "%d pending: run `loanserve migrate up`\n", pending)
	}
	return errFinding
}

func (m *migrateStatusCommand) print(p *program, all []migrations.Migration, upToDate, guarded bool) error {
	if m.JSON {
		return printJSON(p.stdout, map[string]any{
			"up_to_date": upToDate, "drops_are_refused": guarded, "migrations": notNil(all),
		})
	}
	t := newTable("MIGRATION", "APPLIED")
	for _, step := range all {
		applied := "pending"
		if !step.AppliedAt.IsZero() {
			applied = step.AppliedAt.UTC().Format(time.RFC3339)
		}
		t.add(step.Name, applied)
	}
	return t.print(p.stdout)
}

// neverMigrated says whether the error is that the role of the owner does not
// exist: the first migration of a server creates it.
func neverMigrated(err error) bool {
	const invalidParameter = "22023"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == invalidParameter
}

// notNil makes an empty list of no list, for JSON.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
