package testdb

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Copy makes a database that holds what this one holds now. The test must not be
// using a connection of this one meanwhile, nor have opened one past its pools.
func (d *DB) Copy(t testing.TB) *DB {
	t.Helper()
	for _, pool := range []*pgxpool.Pool{d.App, d.Owner, d.Super} {
		pool.Reset() // A database that somebody is connected to cannot be copied.
	}
	return open(t).lend(t, d.Name)
}
