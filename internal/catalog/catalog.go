// Package catalog reads what a database is made of, as facts that can be sorted,
// compared and written down.
//
// Inside: the facts about the program's schemas, roles and event triggers, and
// their form as text. Not inside: what they should be, and what a difference
// means (drift).
//
// The idea to hold: a fact is a place, a kind and a name with attributes in words,
// and the server itself words them, so that two databases of one major version
// that are made alike give the same text.
package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// schemas are those that the program's migrations make or use. What they make at
// run time, such as partitions that come and go, is in none of them.
var schemas = []string{"public", "river", "ddl_guard"}

// roles are those that migrations/roles.sql makes.
var roles = []string{
	"loanserve_app", "loanserve_backup", "loanserve_migrator", "loanserve_owner", "loanserve_readonly",
}

// Fact is one thing in a database: a table, a column, what a role may do.
type Fact struct {
	// Place is what the thing is or belongs to, as SQL writes it with its schema:
	// public.loans.
	Place string
	// Kind says what it is: table, column, trigger.
	Kind string
	// Name is its own, where it is a part of its place, and "" otherwise.
	Name string
	// Attributes describe it. One that says nothing out of the ordinary is left out.
	Attributes map[string]string
}

// Key tells the fact from all others of its database.
type Key struct{ Place, Kind, Name string }

// Key returns the fact's key.
func (f *Fact) Key() Key { return Key{f.Place, f.Kind, f.Name} }

// Same says whether the attributes are those of the other fact.
func (f *Fact) Same(other *Fact) bool {
	if len(f.Attributes) != len(other.Attributes) {
		return false
	}
	for name, value := range f.Attributes {
		if v, ok := other.Attributes[name]; !ok || v != value {
			return false
		}
	}
	return true
}

// DB begins transactions: a pool, a connection or a transaction.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Read returns the facts of the database, sorted, and the server's major version.
// It needs no rights beyond those of any login, locks nothing and changes nothing.
func Read(ctx context.Context, db DB) (facts []Fact, major int, err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read catalog: %w", err)
	}
	// Rolling back also takes back the search path, where tx is a savepoint.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	q := queries.New(tx)
	version, err := q.GetServerMajor(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("get server version: %w", err)
	}
	if err := q.SetCatalogNames(ctx); err != nil {
		return nil, 0, fmt.Errorf("set search path: %w", err)
	}
	var l list
	relations, err := q.ListCatalogRelations(ctx, schemas)
	for _, r := range relations {
		l.add(r.Place, r.Kind, r.Name, r.Attributes)
	}
	l.fail("list relations", err)
	parts, err := q.ListCatalogParts(ctx, schemas)
	for _, r := range parts {
		l.add(r.Place, r.Kind, r.Name, r.Attributes)
	}
	l.fail("list parts of relations", err)
	privileges, err := q.ListCatalogPrivileges(ctx, schemas)
	for _, r := range privileges {
		l.add(r.Place, r.Kind, r.Name, r.Attributes)
	}
	l.fail("list privileges", err)
	globals, err := q.ListCatalogGlobals(ctx, roles)
	for _, r := range globals {
		l.add(r.Place, r.Kind, r.Name, r.Attributes)
	}
	l.fail("list roles and event triggers", err)
	sortFacts(l.facts)
	return l.facts, int(version), l.err
}

// list gathers facts until something fails.
type list struct {
	facts []Fact
	err   error
}

func (l *list) fail(act string, err error) {
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("%s: %w", act, err)
	}
}

func (l *list) add(place, kind, name string, attributes []byte) {
	f := Fact{Place: place, Kind: kind, Name: name, Attributes: nil}
	l.fail("read attributes", json.Unmarshal(attributes, &f.Attributes))
	for name, value := range f.Attributes {
		if value == "" {
			delete(f.Attributes, name)
		}
	}
	l.facts = append(l.facts, f)
}

func sortFacts(facts []Fact) {
	slices.SortFunc(facts, func(a, b Fact) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}
