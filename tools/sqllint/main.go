// Command sqllint looks over the migrations before they are applied anywhere: it
// parses each with PostgreSQL's own parser and names the steps that lock, rewrite or
// lose what a running release needs, and it compares each with the checksum under
// which it was listed, because an applied migration never changes.
//
//	sqllint [-queries DIR] DIR      check the migrations of a directory
//	sqllint -list DIR               list those that are new
//
// A finding that is meant is allowed by a comment in the file, with the reason:
//
//	-- lint: allow index: the table is new and empty
//
// Files that were listed before they could say so are in lint_allowed.txt, one a
// line: file, rule, reason.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	queries := flag.String("queries", "", "the `directory` of the queries that the running release makes")
	list := flag.Bool("list", false, "list new migrations with their checksums")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *queries, *list); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, queries string, list bool) error {
	files, err := migrationsOf(dir)
	if err != nil {
		return err
	}
	if list {
		return listNew(dir, files)
	}
	findings, err := compareListed(dir, files)
	if err != nil {
		return err
	}
	more, err := lint(dir, queries, files)
	if err != nil {
		return err
	}
	findings = append(findings, more...)
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d findings in the migrations", len(findings))
	}
	return nil
}
