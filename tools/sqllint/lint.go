package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	pgquery "github.com/wasilibs/go-pgquery"
)

// allowedFile allows findings of files that were listed before there was a lint.
const allowedFile = "lint_allowed.txt"

// node is a part of a parse tree: PostgreSQL's own, as JSON.
type node = map[string]any

// linter goes through the files in order, and remembers.
type linter struct {
	queries string // all that the running release asks, as one text

	file      migration
	created   map[string]bool // tables that this file makes, which nobody uses yet
	validated map[string]bool // tables of which it validates a constraint
	allowed   map[string]bool
	line      int
	out       []string
}

// lint names the dangerous steps of the files.
func lint(dir, queries string, files []migration) ([]string, error) {
	old, err := readAllowed(dir)
	if err != nil {
		return nil, err
	}
	l := &linter{}
	if l.queries, err = readQueries(queries); err != nil {
		return nil, err
	}
	for _, m := range files {
		l.file, l.created, l.validated, l.allowed = m, map[string]bool{}, map[string]bool{}, allowances(m)
		for _, rule := range old[m.name] {
			l.allowed[rule] = true
		}
		if err := l.parse(); err != nil {
			l.out = append(l.out, fmt.Sprintf("%s: syntax: %v", m.name, err))
		}
	}
	return l.out, nil
}

var allowance = regexp.MustCompile(`(?m)^-- lint: allow ([a-z-]+): (\S.*)$`)

func allowances(m migration) map[string]bool {
	all := map[string]bool{}
	for _, found := range allowance.FindAllStringSubmatch(m.text, -1) {
		all[found[1]] = true
	}
	return all
}

func readAllowed(dir string) (map[string][]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, allowedFile))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.SplitN(line, " ", 3)
		if len(words) != 3 {
			return nil, fmt.Errorf("%s: not a file, a rule and a reason: %q", allowedFile, line)
		}
		all[words[0]] = append(all[words[0]], words[1])
	}
	return all, nil
}

var comments = regexp.MustCompile(`(?m)--.*$`)

func readQueries(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		all.WriteString(comments.ReplaceAllString(string(text), "") + "\n")
	}
	return all.String(), nil
}

// reads says whether a query of the running release names it.
func (l *linter) reads(name string) bool {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(l.queries)
}

func (l *linter) parse() error {
	text, err := pgquery.ParseToJSON(l.file.text)
	if err != nil {
		return err
	}
	var tree struct {
		Stmts []struct {
			Stmt     node `json:"stmt"`
			Location int  `json:"stmt_location"`
		} `json:"stmts"`
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return err
	}
	for _, s := range tree.Stmts {
		l.line = l.lineOf(s.Location)
		l.statement(s.Stmt)
	}
	return nil
}

// lineOf is the line on which the statement at a place begins, past its comments.
func (l *linter) lineOf(at int) int {
	rest := l.file.text[at:]
	for {
		trimmed := strings.TrimLeft(rest, " \t\r\n")
		if !strings.HasPrefix(trimmed, "--") {
			return 1 + strings.Count(l.file.text[:len(l.file.text)-len(trimmed)], "\n")
		}
		_, rest, _ = strings.Cut(trimmed, "\n")
	}
}

func (l *linter) find(rule, format string, args ...any) {
	if l.allowed[rule] {
		return
	}
	finding := fmt.Sprintf("%s:%d: %s: %s", l.file.name, l.line, rule, fmt.Sprintf(format, args...))
	if !slices.Contains(l.out, finding) {
		l.out = append(l.out, finding)
	}
}

// old says whether a table was there before the file, with rows in it and users.
func (l *linter) old(table string) bool { return !l.created[table] }
