package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// RiverSchema is the database schema of the job queue's own tables.
const RiverSchema = "river"

// riverVersions pairs a number in our history with the version of River's
// schema that it brings, and with what it then grants. A new version of River's
// schema takes a new number.
var riverVersions = []struct {
	version int64
	river   int
	grants  string
}{
	{version: 1, river: 8, grants: `
GRANT USAGE ON SCHEMA river TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA river TO loanserve_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA river TO loanserve_app;
GRANT SELECT ON ALL TABLES IN SCHEMA river TO loanserve_readonly, loanserve_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA river TO loanserve_backup`},
}

func riverMigrations() []Migration {
	var all []Migration
	for _, v := range riverVersions {
		sum := sha256.Sum256([]byte("river schema " + strconv.Itoa(v.river) + v.grants))
		all = append(all, Migration{
			Version: v.version, Name: fmt.Sprintf("%05d_river_%d", v.version, v.river), SHA256: hex.EncodeToString(sum[:]),
		})
	}
	return all
}

// riverSteps returns the same as steps for goose. River commits each of its
// versions by itself and remembers it, so a step cut short is taken up again.
func (h *history) riverSteps() []*goose.Migration {
	steps := make([]*goose.Migration, 0, len(riverVersions))
	for _, v := range riverVersions {
		up := func(ctx context.Context, _ *sql.DB) error { return h.river(ctx, v.river, v.grants) }
		steps = append(steps, goose.NewGoMigration(v.version, &goose.GoFunc{RunDB: up}, nil))
	}
	return steps
}

// river brings the queue's tables to a version of River's schema, and lets the
// application work the queue.
func (h *history) river(ctx context.Context, target int, grants string) error {
	config, err := pgxpool.ParseConfig(h.config.ConnString())
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	config.ConnConfig = h.config.Copy()
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+RiverSchema); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: RiverSchema})
	if err != nil {
		return fmt.Errorf("river migrator: %w", err)
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: target})
	if err != nil {
		return fmt.Errorf("migrate river to %d: %w", target, err)
	}
	if _, err = pool.Exec(ctx, grants); err != nil {
		return fmt.Errorf("grant river: %w", err)
	}
	return nil
}

// RiverVersions returns the version of River's schema that the database has, and the
// one that this program's migrations bring.
func RiverVersions(ctx context.Context, q Querier) (has, brings int, err error) {
	brings = riverVersions[len(riverVersions)-1].river
	rows, err := q.Query(ctx, `SELECT coalesce(max(version), 0) FROM `+RiverSchema+`.river_migration`)
	if err == nil {
		has, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	}
	if err != nil {
		return 0, brings, fmt.Errorf("read the version of the queue's schema: %w", err)
	}
	return has, brings, nil
}
