package testdb

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/pgcluster"
	"loanserve/migrations"
)

// OwnDatabase is the migrated database of an OwnServer.
const OwnDatabase = "loanserve"

// OwnServer starts a server that no other test uses, with one migrated database, and
// ends it with the test: for what concerns all of a server, like its WAL and its
// copies. A Clone costs a fraction of it.
//
// Servers of one process are copies of one, so they have the same identifier.
func OwnServer(t testing.TB) *pgcluster.Cluster {
	t.Helper()
	template, err := serverTemplate()
	if err != nil {
		t.Fatalf("testdb: make template of servers: %v", err)
	}
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Template: template.dir})
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Errorf("testdb: %v", err)
		}
	})
	return cluster
}

// serverDir is the data directory that the servers are copies of. Whoever holds remove
// keeps it: it goes with the first server that starts after the process has ended.
type serverDir struct {
	dir    string
	remove func() error
}

// serverTemplate makes it once for a process.
var serverTemplate = sync.OnceValues(func() (template serverDir, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if _, err := pgcluster.Provision(ctx, nil); err != nil {
		return serverDir{}, err
	}
	home, remove, err := pgcluster.Scratch(ctx, pgcluster.Temp())
	if err != nil {
		return serverDir{}, err
	}
	template = serverDir{dir: filepath.Join(home, "template"), remove: remove}
	cluster, err := pgcluster.Start(ctx, pgcluster.Options{Dir: template.dir})
	if err != nil {
		return serverDir{}, err
	}
	defer func() {
		if e := cluster.Stop(); err == nil {
			err = e
		}
	}()
	conn, err := pgx.Connect(ctx, cluster.URL("postgres"))
	if err != nil {
		return serverDir{}, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+OwnDatabase+` TEMPLATE template0 ENCODING 'UTF8'`); err != nil {
		return serverDir{}, fmt.Errorf("create database: %w", err)
	}
	if err := conn.Close(ctx); err != nil {
		return serverDir{}, fmt.Errorf("close: %w", err)
	}
	_, err = migrations.Up(ctx, cluster.URL(OwnDatabase), slog.New(slog.DiscardHandler))
	return template, err
})
