// Command writeschema writes down what a database is made of that the migrations
// have made:
//
//	go run ./internal/testdb/writeschema [-check]
//
// It reads a migrated database of its own, on the server that DATABASE_URL names
// or on a private one, and writes the file in migrations that is for the server's
// major version. With -check it writes nothing, and fails where that file says
// something else, or where any such file is of other migrations than these.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/catalog"
	"loanserve/internal/testdb"
	"loanserve/migrations"
)

func main() {
	check := flag.Bool("check", false, "compare, and write nothing")
	flag.Parse()
	if err := run(context.Background(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "writeschema:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool) error {
	text, major, err := read(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join("migrations", migrations.ExpectedFile(major))
	if !check {
		fmt.Println("writing", path)
		return os.WriteFile(path, text, 0o644) //nolint:gosec // It is source, which everybody reads.
	}
	stale, err := migrations.StaleExpected()
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		return fmt.Errorf("%s: of other migrations than these; docs/drift.md says how each is renewed",
			strings.Join(stale, ", "))
	}
	have, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Printf("nothing is written down for PostgreSQL %d\n", major)
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(have, text) {
		return fmt.Errorf("%s is not what the migrations make: run \"make generate/schema\"", path)
	}
	return nil
}

// read returns the text for the server's major version.
func read(ctx context.Context) (text []byte, major int, err error) {
	head, err := migrations.ExpectedHead()
	if err != nil {
		return nil, 0, err
	}
	err = testdb.Lend(ctx, func(url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer conn.Close(ctx)
		var facts []catalog.Fact
		facts, major, err = catalog.Read(ctx, conn)
		text = append([]byte(head), catalog.Format(facts)...)
		return err
	})
	return text, major, err
}
