package drift

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"loanserve/internal/catalog"
)

// comparison is a comparison under way.
type comparison struct {
	expected, found map[catalog.Key]*catalog.Fact
	// order lists the keys of both, so that the same differences come out the same.
	order []catalog.Key
	// absorbed are differences that another finding tells of.
	absorbed map[catalog.Key]bool
	findings []Finding
}

func newComparison(expected, found []catalog.Fact) *comparison {
	c := &comparison{
		expected: byKey(expected), found: byKey(found), order: nil,
		absorbed: map[catalog.Key]bool{}, findings: nil,
	}
	return c
}

// byKey copies the facts, so that renames can be taken back in the copy.
func byKey(facts []catalog.Fact) map[catalog.Key]*catalog.Fact {
	m := make(map[catalog.Key]*catalog.Fact, len(facts))
	for _, f := range facts {
		f.Attributes = maps.Clone(f.Attributes)
		m[f.Key()] = &f
	}
	return m
}

func (c *comparison) sortKeys() {
	seen := map[catalog.Key]bool{}
	c.order = c.order[:0]
	for _, m := range []map[catalog.Key]*catalog.Fact{c.expected, c.found} {
		for k := range m {
			if !seen[k] {
				seen[k] = true
				c.order = append(c.order, k)
			}
		}
	}
	slices.SortFunc(c.order, func(a, b catalog.Key) int {
		return strings.Compare(a.Place+"\x00"+a.Kind+"\x00"+a.Name, b.Place+"\x00"+b.Kind+"\x00"+b.Name)
	})
}

// missing and extra return the facts that only one side has, in order.
func (c *comparison) missing() []*catalog.Fact { return c.only(c.expected, c.found) }
func (c *comparison) extra() []*catalog.Fact   { return c.only(c.found, c.expected) }

func (c *comparison) only(in, out map[catalog.Key]*catalog.Fact) []*catalog.Fact {
	var facts []*catalog.Fact
	for _, k := range c.order {
		if f := in[k]; f != nil && out[k] == nil && !c.absorbed[k] {
			facts = append(facts, f)
		}
	}
	return facts
}

func (c *comparison) add(s Severity, f *catalog.Fact, message string, remedy []string) {
	c.findings = append(c.findings, Finding{
		Severity: s, Kind: f.Kind, Object: object(f), Message: message, Remedy: script(remedy),
	})
}

// script joins statements. One that only says something ends with its comment.
func script(statements []string) string {
	var lines []string
	for _, s := range statements {
		if s = strings.TrimRight(s, "; \n"); s != "" {
			lines = append(lines, s+";")
		}
	}
	return strings.Join(lines, "\n")
}

func (c *comparison) compare() {
	c.sortKeys()
	c.absorbMissing()
	c.absorbIdentities()
	c.absorbExtra()
	for _, k := range c.order {
		e, f := c.expected[k], c.found[k]
		switch {
		case c.absorbed[k]:
		case k.Kind == kindPrivileges || k.Kind == kindDefaultPrivileges:
			c.comparePrivileges(e, f)
		case f == nil:
			c.add(severityOfMissing(e), e, words(e)+missingSuffix, c.create(e))
		case e == nil:
			c.addExtra(f)
		case !e.Same(f) && !c.follows(e, f):
			c.add(severityOfChange(e, f), e, words(e)+" has changed: "+strings.Join(changes(e, f), "; "), c.alter(e, f))
		}
	}
}

// absorbMissing lets the finding of what is missing tell of all that went with it.
func (c *comparison) absorbMissing() {
	for _, f := range c.missing() {
		switch f.Kind {
		case kindTable, kindView, kindMatview, kindSequence, kindFunction, kindProcedure, kindDomain, kindSchema:
			for _, part := range c.parts(c.expected, f) {
				c.absorb(part)
			}
		case kindColumn:
			for _, part := range c.partsOfColumn(c.expected, f) {
				c.absorb(part)
			}
		}
	}
}

func (c *comparison) absorb(f *catalog.Fact) {
	if c.expected[f.Key()] == nil || c.found[f.Key()] == nil {
		c.absorbed[f.Key()] = true
	}
}

// absorbIdentities lets the finding of a column that lost its identity tell of the
// sequence that went with it.
func (c *comparison) absorbIdentities() {
	for _, k := range c.order {
		e, f := c.expected[k], c.found[k]
		if k.Kind != kindColumn || e == nil || f == nil || e.Attributes["identity"] == "" || f.Attributes["identity"] != "" {
			continue
		}
		for _, part := range c.partsOfColumn(c.expected, e) {
			if part.Kind == kindSequence || part.Kind == kindPrivileges {
				c.absorb(part)
			}
		}
	}
}

// absorbExtra does the same for what is there besides. A foreign key always has a
// finding of its own: it reaches into other tables.
func (c *comparison) absorbExtra() {
	for _, f := range c.extra() {
		switch f.Kind {
		case kindTable, kindView, kindMatview, kindSequence, kindFunction, kindProcedure, kindDomain, kindSchema:
			for _, part := range c.parts(c.found, f) {
				if !reaches(part) {
					c.absorb(part)
				}
			}
		case kindColumn:
			for _, part := range c.partsOfColumn(c.found, f) {
				if !reaches(part) {
					c.absorb(part)
				}
			}
		}
	}
}

// reaches says whether the constraint acts on another table's rows, or refuses what
// happens to them.
func reaches(f *catalog.Fact) bool {
	return f.Kind == kindConstraint && strings.HasPrefix(f.Attributes["definition"], "FOREIGN KEY")
}

// parts returns what is at the place of f besides f, and the sequences that its
// columns own with what is at theirs.
func (c *comparison) parts(in map[catalog.Key]*catalog.Fact, f *catalog.Fact) []*catalog.Fact {
	var parts []*catalog.Fact
	for _, k := range c.order {
		p := in[k]
		if p == nil || p == f {
			continue
		}
		if k.Place == f.Place {
			parts = append(parts, p)
		}
		if f.Kind == kindTable && p.Kind == kindSequence && strings.HasPrefix(p.Attributes["owned by"], f.Place+".") {
			parts = append(parts, p)
			parts = append(parts, c.parts(in, p)...)
		}
	}
	return parts
}

// partsOfColumn returns the constraints, indexes and sequences that go with a
// column, and what is granted on it alone.
func (c *comparison) partsOfColumn(in map[catalog.Key]*catalog.Fact, column *catalog.Fact) []*catalog.Fact {
	var parts []*catalog.Fact
	for _, k := range c.order {
		p := in[k]
		switch {
		case p == nil || p == column:
		case k.Kind == kindSequence && p.Attributes["owned by"] == column.Place+"."+column.Name:
			parts = append(parts, p)
			parts = append(parts, c.parts(in, p)...)
		case k.Place != column.Place:
		case k.Kind == kindConstraint && mentions(ownColumns(p.Attributes["definition"]), column.Name),
			k.Kind == kindIndex && mentions(afterUsing(p.Attributes["definition"]), column.Name):
			parts = append(parts, p)
		}
	}
	return parts
}

// ownColumns cuts from a foreign key the names that are of the other table.
func ownColumns(definition string) string {
	own, _, _ := strings.Cut(definition, " REFERENCES ")
	return own
}

// afterUsing cuts from an index the names of itself and of its table.
func afterUsing(definition string) string {
	_, columns, _ := strings.Cut(definition, " USING ")
	return columns
}

// changes says how the attributes differ.
func changes(e, f *catalog.Fact) []string {
	names := map[string]bool{}
	for name := range e.Attributes {
		names[name] = true
	}
	for name := range f.Attributes {
		names[name] = true
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, y := e.Attributes[name], f.Attributes[name]
		if x == y {
			continue
		}
		if name == "values" {
			all = append(all, valueChanges(x, y))
			continue
		}
		x, y = firstDifference(x, y)
		all = append(all, fmt.Sprintf("%s: expected %s, found %s", name, quoted(x), quoted(y)))
	}
	return all
}

func quoted(text string) string {
	if text == "" {
		return "none"
	}
	return "«" + text + "»"
}

// firstDifference cuts texts of many lines down to the first line that differs.
func firstDifference(x, y string) (string, string) {
	a, b := strings.Split(x, "\n"), strings.Split(y, "\n")
	if len(a) == 1 && len(b) == 1 {
		return x, y
	}
	for i := range max(len(a), len(b)) {
		var p, q string
		if i < len(a) {
			p = strings.TrimSpace(a[i])
		}
		if i < len(b) {
			q = strings.TrimSpace(b[i])
		}
		if p != q {
			return p, q
		}
	}
	return x, y // They differ in blanks.
}

// valueChanges says which values an enum lacks, and which it has besides.
func valueChanges(x, y string) string {
	a, b := strings.Split(x, "\n"), strings.Split(y, "\n")
	var said []string
	if lacks := without(a, b); len(lacks) > 0 {
		said = append(said, "it lacks the value "+strings.Join(lacks, ", "))
	}
	if has := without(b, a); len(has) > 0 {
		said = append(said, "it has besides the value "+strings.Join(has, ", "))
	}
	if len(said) == 0 {
		return "its values are in another order: expected " + strings.Join(a, ", ") + ", found " + strings.Join(b, ", ")
	}
	return strings.Join(said, "; ")
}

// without returns what is in a and not in b.
func without(a, b []string) []string {
	var rest []string
	for _, v := range a {
		if !slices.Contains(b, v) {
			rest = append(rest, v)
		}
	}
	return rest
}
