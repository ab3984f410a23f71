package migrations

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// expected holds, for each major version of PostgreSQL that it could be read from,
// what a database is made of that this history has made. Servers of two versions
// word the same thing differently.
//
//go:embed expected_schema.*.txt
var expected embed.FS

// expectedOf begins the first line of such a file, which names the history.
const expectedOf = "# Of the migrations with fingerprint "

// Expected returns what a database of the server's major version is made of, as
// internal/catalog writes it; no text where that was never written down.
func Expected(major int) ([]byte, error) {
	text, err := expected.ReadFile(ExpectedFile(major))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read expected schema: %w", err)
	}
	return text, nil
}

// ExpectedFile names the file for a major version.
func ExpectedFile(major int) string { return fmt.Sprintf("expected_schema.%d.txt", major) }

// ExpectedHead returns the lines that such a file begins with.
func ExpectedHead() (string, error) {
	fingerprint, err := Fingerprint()
	if err != nil {
		return "", err
	}
	return expectedOf + fingerprint + "\n" +
		"# What they make of an empty database. Written by `make generate/schema`; docs/drift.md says how.\n", nil
}

// StaleExpected returns the names of the files that are of another history.
func StaleExpected() ([]string, error) {
	names, err := fs.Glob(expected, "*.txt")
	if err != nil {
		return nil, fmt.Errorf("list expected schemas: %w", err)
	}
	fingerprint, err := Fingerprint()
	if err != nil {
		return nil, err
	}
	var stale []string
	for _, name := range names {
		text, err := expected.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read expected schema: %w", err)
		}
		line, _, _ := bufio.NewReader(bytes.NewReader(text)).ReadLine()
		if strings.TrimPrefix(string(line), expectedOf) != fingerprint {
			stale = append(stale, name)
		}
	}
	return stale, nil
}
