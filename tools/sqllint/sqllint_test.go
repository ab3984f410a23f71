package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository's.
const root = "../.."

// copied is the repository's migrations, in a directory of the test's own.
func copied(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "migrations")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "migrations"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// findings are all there are in a directory.
func findings(t *testing.T, dir string) []string {
	t.Helper()
	files, err := migrationsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := compareListed(dir, files)
	if err != nil {
		t.Fatal(err)
	}
	more, err := lint(dir, filepath.Join(root, "queries"), files)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, more...)
}

func TestRepositoryHasNoFindings(t *testing.T) {
	t.Parallel()
	if all := findings(t, copied(t)); len(all) > 0 {
		t.Errorf("%s", strings.Join(all, "\n"))
	}
}

// TestDangerousStepsAreFound makes a file of each alone, and wants it found by its
// rule, nothing else found, and nothing where it is allowed.
func TestDangerousStepsAreFound(t *testing.T) {
	t.Parallel()
	for sql, rule := range map[string]string{
		`ALTER TABLE loans ALTER loan_number TYPE varchar(50);`:                                    "rewrite",
		`ALTER TABLE loans ADD x uuid DEFAULT gen_random_uuid();`:                                  "rewrite",
		`ALTER TABLE loans ADD x bigint GENERATED ALWAYS AS (id * 2) STORED;`:                      "rewrite",
		`ALTER TABLE loans ADD x bigint GENERATED ALWAYS AS IDENTITY;`:                             "rewrite",
		`ALTER TABLE loans SET UNLOGGED;`:                                                          "rewrite",
		`CLUSTER loans USING loans_pkey;`:                                                          "rewrite",
		`CREATE INDEX x ON loans (status);`:                                                        "index",
		`CREATE INDEX CONCURRENTLY x ON loans (status);`:                                           "index",
		`ALTER TABLE loans ADD UNIQUE (property_id);`:                                              "index",
		`ALTER TABLE loans ADD x text UNIQUE;`:                                                     "index",
		`ALTER TABLE loans ADD CHECK (id > 0);`:                                                    "not-valid",
		`ALTER TABLE loans ADD x int CHECK (x > 0);`:                                               "not-valid",
		`ALTER TABLE loans ADD FOREIGN KEY (id) REFERENCES documents ON DELETE RESTRICT;`:          "not-valid",
		`ALTER TABLE loans ADD x bigint REFERENCES documents ON DELETE RESTRICT;`:                  "not-valid",
		`ALTER TABLE loans ALTER paid_off_on SET NOT NULL;`:                                        "not-null",
		`ALTER TABLE loans ADD x int NOT NULL;`:                                                    "not-null",
		`ALTER TABLE loans DROP COLUMN suspense_cents;`:                                            "reads",
		`ALTER TABLE loans RENAME suspense_cents TO held_cents;`:                                   "reads",
		`ALTER TABLE loans RENAME TO mortgages;`:                                                   "reads",
		`DROP TABLE documents;`:                                                                    "reads",
		`DROP VIEW ledger_entries;`:                                                                "",
		`DROP TABLE nobody_reads_it;`:                                                              "drop",
		`ALTER TABLE loans DROP nobody_reads_it;`:                                                  "drop",
		`DELETE FROM loans WHERE status = 'archived';`:                                             "data",
		`WITH x AS (DELETE FROM loans RETURNING id) SELECT count(*) FROM x;`:                       "data",
		`UPDATE loans SET status = 'archived';`:                                                    "data",
		`TRUNCATE documents;`:                                                                      "data",
		`CREATE TABLE x (id bigint PRIMARY KEY, loan_id bigint REFERENCES loans);`:                 "delete-rule",
		`CREATE TABLE x (id bigint REFERENCES loans ON DELETE CASCADE);`:                           "delete-rule",
		`CREATE TABLE x (id bigint, FOREIGN KEY (id) REFERENCES loans ON DELETE SET NULL);`:        "delete-rule",
		`ALTER TABLE loans ADD FOREIGN KEY (id) REFERENCES documents ON DELETE CASCADE NOT VALID;`: "delete-rule",
		`SET lock_timeout = 0;`:                                                                    "lock-timeout",
		`SET LOCAL lock_timeout = '10min';`:                                                        "lock-timeout",
		`RESET lock_timeout;`:                                                                      "lock-timeout",
		`SELEC 1;`:                                                                                 "syntax",
		// What is safe.
		`CREATE TABLE x (id bigint PRIMARY KEY REFERENCES loans ON DELETE RESTRICT); CREATE INDEX ON x (id);
		 ALTER TABLE x ADD CHECK (id > 0); ALTER TABLE x ADD y int NOT NULL; DELETE FROM x; DROP TABLE x;`: "",
		`ALTER TABLE loans ADD x int NOT NULL DEFAULT 0;`:                                            "",
		`ALTER TABLE loans ADD x timestamptz DEFAULT now();`:                                         "",
		`ALTER TABLE loans ADD CHECK (id > 0) NOT VALID;`:                                            "",
		`ALTER TABLE loans VALIDATE CONSTRAINT c; ALTER TABLE loans ALTER paid_off_on SET NOT NULL;`: "",
		"-- +goose NO TRANSACTION\nCREATE INDEX CONCURRENTLY x ON loans (status);":                   "",
		`CREATE TABLE x (id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE);`:                 "",
		`SET LOCAL lock_timeout = '2s';`:                                                             "",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			const name = "99999_new.sql"
			added := func(comment string) []string {
				all, err := lint(dir, filepath.Join(root, "queries"), []migration{{name: name, text: "-- +goose Up\n" + comment + sql + "\n"}})
				if err != nil {
					t.Fatal(err)
				}
				return all
			}
			found := added("")
			if rule == "" {
				if len(found) > 0 {
					t.Errorf("it is safe: %v", found)
				}
				return
			}
			if len(found) != 1 || !strings.HasPrefix(found[0], name) || !strings.Contains(found[0], ": "+rule+": ") {
				t.Errorf("wanted %s, found %v", rule, found)
			}
			if rule == "syntax" {
				return
			}
			if left := added("-- lint: allow " + rule + ": the test says so\n"); len(left) > 0 {
				t.Errorf("it is allowed: %v", left)
			}
			if left := added("-- lint: allow " + rule + ":\n"); len(left) != 1 {
				t.Errorf("an allowance gives its reason: %v", left)
			}
		})
	}
}

// TestListedMigrationsNeverChange changes the copy as somebody does who means well.
func TestListedMigrationsNeverChange(t *testing.T) {
	t.Parallel()
	const old, newest = "00003_guards.sql", "99999_new.sql"
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		wanted string
	}{
		"edited": {func(t *testing.T, dir string) { write(t, dir, old, read(t, dir, old)+"-- A comment.\n") }, old + ": listed was edited"},
		"missing": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, old)); err != nil {
				t.Fatal(err)
			}
		}, old + ": listed is missing"},
		"renumbered": {func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, old), filepath.Join(dir, "00039_guards.sql")); err != nil {
				t.Fatal(err)
			}
		}, "00039_guards.sql: listed would come before"},
		"added in between": {func(t *testing.T, dir string) { write(t, dir, "00024_new.sql", "SELECT 1;") }, "00024_new.sql: listed would come before"},
		"the list reordered": {func(t *testing.T, dir string) {
			lines := strings.SplitAfter(read(t, dir, listFile), "\n")
			lines[0], lines[1] = lines[1], lines[0]
			write(t, dir, listFile, strings.Join(lines, ""))
		}, "the order never changes"},
		"not listed": {func(t *testing.T, dir string) { write(t, dir, newest, "SELECT 1;") }, newest + ": listed not yet: run \"make migrations/list\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			c.change(t, dir)
			if all := strings.Join(findings(t, dir), "\n"); !strings.Contains(all, c.wanted) {
				t.Errorf("wanted %q, found %q", c.wanted, all)
			}
			if err := run(dir, "", false); err == nil {
				t.Error("the command must fail")
			}
		})
	}
}

func TestNewMigrationIsListed(t *testing.T) {
	t.Parallel()
	dir := copied(t)
	before := read(t, dir, listFile)
	write(t, dir, "99999_new.sql", "SELECT 1;")
	for range 2 { // The second time adds nothing.
		if err := run(dir, "", true); err != nil {
			t.Fatal(err)
		}
	}
	after := read(t, dir, listFile)
	if !strings.HasPrefix(after, before) || strings.Count(after, "99999_new.sql") != 1 {
		t.Errorf("the list grew by %q", strings.TrimPrefix(after, before))
	}
	if all := findings(t, dir); len(all) > 0 {
		t.Errorf("%v", all)
	}
}

// TestQueriesMustFitTheSchema has sqlc, as "make verify" runs it, refuse queries that
// a new migration leaves behind, and take them where it does not.
func TestQueriesMustFitTheSchema(t *testing.T) {
	t.Parallel()
	for sql, wanted := range map[string]string{
		`ALTER TABLE loans DROP COLUMN suspense_cents;`:          "suspense_cents",
		`ALTER TABLE loans RENAME suspense_cents TO held_cents;`: "suspense_cents",
		`DROP TABLE login_attempts;`:                             "login_attempts",
		`CREATE TABLE aside (id bigint);`:                        "",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, part := range []string{"migrations", "queries"} {
				if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(root, part))); err != nil {
					t.Fatal(err)
				}
			}
			write(t, dir, "sqlc.yaml", read(t, root, "sqlc.yaml"))
			write(t, filepath.Join(dir, "migrations"), "99999_new.sql", sql)
			out, err := exec.CommandContext(t.Context(), "go", "tool", "sqlc", "-f", filepath.Join(dir, "sqlc.yaml"), "diff").CombinedOutput()
			switch {
			case wanted == "" && err != nil:
				t.Errorf("%v: %s", err, out)
			case wanted != "" && (err == nil || !strings.Contains(string(out), wanted)):
				t.Errorf("wanted it to fail for %s: %v: %s", wanted, err, out)
			}
		})
	}
}

func TestEveryRuleIsProven(t *testing.T) {
	t.Parallel()
	source := read(t, ".", "rules.go")
	proof := read(t, ".", "sqllint_test.go")
	rules := map[string]bool{}
	for part := range strings.SplitSeq(source, `l.find("`) {
		rule, _, _ := strings.Cut(part, `"`)
		rules[rule] = true
	}
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		if !strings.HasPrefix(rule, "package") && strings.Count(proof, `"`+rule+`"`) == 0 {
			t.Errorf("no test plants a finding of %s", rule)
		}
	}
}
