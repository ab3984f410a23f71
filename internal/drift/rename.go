package drift

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"loanserve/internal/catalog"
)

// mentions says whether the text has the name as a word of its own.
func mentions(text, name string) bool { return word(name).MatchString(text) }

func word(name string) *regexp.Regexp {
	return regexp.MustCompile(`(^|[^\w$"])` + regexp.QuoteMeta(name) + `($|[^\w$"])`)
}

// replaceWord replaces the name wherever it stands as a word.
func replaceWord(text, old, name string) string {
	if old == name || !strings.Contains(text, old) {
		return text
	}
	re := word(old)
	for {
		next := re.ReplaceAllString(text, "${1}"+strings.ReplaceAll(name, "$", "$$")+"${2}")
		if next == text || mentions(name, old) {
			return next
		}
		text = next
	}
}

// findRenames tells what was renamed from what is missing while something else is
// there besides, one kind after the other: a table takes its parts along.
func (c *comparison) findRenames() {
	c.sortKeys()
	for _, kind := range []string{kindTable, kindEnum, kindDomain, kindColumn} {
		c.renamesOf(kind)
		c.sortKeys()
	}
	for _, kind := range []string{kindFunction, kindConstraint, kindIndex, kindTrigger} {
		c.renamesOf(kind)
		c.sortKeys()
	}
}

func (c *comparison) renamesOf(kind string) {
	missing, extra := ofKind(c.missing(), kind), ofKind(c.extra(), kind)
	type pair struct {
		e, f  *catalog.Fact
		score int
	}
	var pairs []pair
	for _, e := range missing {
		for _, f := range extra {
			if score := c.likeness(e, f, missing, extra); score > 0 {
				pairs = append(pairs, pair{e, f, score})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return b.score - a.score })
	used := map[catalog.Key]bool{}
	for _, p := range pairs {
		if used[p.e.Key()] || used[p.f.Key()] {
			continue
		}
		used[p.e.Key()], used[p.f.Key()] = true, true
		c.rename(p.e, p.f)
	}
}

func ofKind(facts []*catalog.Fact, kind string) []*catalog.Fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f *catalog.Fact) bool { return f.Kind != kind })
}

// likeness says how much f looks like a renamed e; 0 is not at all.
func (c *comparison) likeness(e, f *catalog.Fact, missing, extra []*catalog.Fact) int {
	switch e.Kind {
	case kindColumn:
		if e.Place != f.Place {
			return 0
		}
		return likenessOfColumns(e, f, missing, extra)
	case kindTable:
		a, b := c.columns(c.expected, e.Place), c.columns(c.found, f.Place)
		if len(a) > 0 && maps.Equal(a, b) {
			return 1
		}
		return 0
	case kindConstraint, kindIndex, kindTrigger:
		if e.Place != f.Place {
			return 0
		}
	}
	if sameBut(e, f) {
		return 1
	}
	return 0
}

// columns returns the columns of a table with their types.
func (c *comparison) columns(in map[catalog.Key]*catalog.Fact, place string) map[string]string {
	columns := map[string]string{}
	for k, f := range in {
		if k.Kind == kindColumn && k.Place == place {
			columns[k.Name] = f.Attributes["type"]
		}
	}
	return columns
}

// sameBut says whether the facts differ in nothing but their own names.
func sameBut(e, f *catalog.Fact) bool {
	return e.Same(&catalog.Fact{
		Place: e.Place, Kind: e.Kind, Name: e.Name, Attributes: replacedIn(f.Attributes, ownName(f), ownName(e)),
	})
}

func ownName(f *catalog.Fact) string {
	if f.Name != "" {
		return f.Name
	}
	name, _, _ := strings.Cut(f.Place, "(")
	return name
}

func replacedIn(attributes map[string]string, old, name string) map[string]string {
	replaced := make(map[string]string, len(attributes))
	for k, v := range attributes {
		replaced[replaceWord(k, old, name)] = replaceWord(v, old, name)
	}
	return replaced
}

// likenessOfColumns takes columns for the same that have like names, or are alike
// when the table lacks no other and has no other besides.
func likenessOfColumns(e, f *catalog.Fact, missing, extra []*catalog.Fact) int {
	count := func(facts []*catalog.Fact) (n int) {
		for _, x := range facts {
			if x.Place == e.Place {
				n++
			}
		}
		return n
	}
	score := 0
	if similar(e.Name, f.Name) {
		score = 2
	}
	if e.Same(f) && (score > 0 || count(missing) == 1 && count(extra) == 1) {
		score += 2
	} else if score > 0 && e.Attributes["type"] == f.Attributes["type"] {
		score++
	}
	return score
}

// similar says whether one name has the other in it, in whole words, or begins with
// it. That a name is id says nothing: half of all columns end so.
func similar(a, b string) bool {
	if a == "id" || b == "id" {
		return false
	}
	return extends(a, b) || extends(b, a)
}

// leastPrefix is how long a name must be that another one begins with.
const leastPrefix = 4

// extends says whether the longer name is the name with something added.
func extends(longer, name string) bool {
	squeeze := func(s string) string { return strings.ReplaceAll(strings.ToLower(strings.Trim(s, `"`)), "_", "") }
	words := func(s string) string { return "_" + strings.Trim(s, `"`) + "_" }
	short := squeeze(name)
	return strings.Contains(words(longer), words(name)) || squeeze(longer) == short ||
		len(short) >= leastPrefix && strings.HasPrefix(squeeze(longer), short)
}

// rename adds the finding, and takes the rename back in the facts that were found,
// so that what names the thing is not told besides.
func (c *comparison) rename(e, f *catalog.Fact) {
	remedy := renameTo(e, f)
	message := fmt.Sprintf("%s is missing; found %s", words(e), strings.TrimPrefix(ownName(f), "public."))
	old, name := ownName(f), ownName(e)
	delete(c.found, f.Key())
	renamed := *f
	renamed.Place, renamed.Name = e.Place, e.Name
	renamed.Attributes = maps.Clone(f.Attributes)
	if e.Kind != kindColumn {
		renamed.Attributes = replacedIn(f.Attributes, old, name)
	}
	c.found[e.Key()] = &renamed
	c.takeBack(f, e, old, name)
	if !e.Same(&renamed) {
		message += ", and that has changed: " + strings.Join(changes(e, &renamed), "; ")
		remedy = append(remedy, c.alter(e, &renamed)...)
		for _, k := range c.order {
			if x, y := c.expected[k], c.found[k]; x != nil && y != nil && !x.Same(y) && c.follows(x, y) {
				c.absorbed[k] = true
			}
		}
	}
	c.found[e.Key()] = e
	c.add(severityOfMissing(e), e, message, remedy)
}

// takeBack replaces the name in whatever becomes what is expected by that.
func (c *comparison) takeBack(f, e *catalog.Fact, old, name string) {
	for _, k := range slices.Collect(maps.Keys(c.found)) {
		x := c.found[k]
		want := k
		if e.Kind != kindColumn && x.Place == f.Place {
			want.Place = e.Place
		}
		as := c.expected[want]
		if as == nil && e.Kind == kindColumn && x.Place == e.Place && x.Kind != kindColumn {
			as = x // It may be a part that was renamed as well.
			c.found[k] = &catalog.Fact{
				Place: x.Place, Kind: x.Kind, Name: x.Name, Attributes: replacedIn(x.Attributes, old, name),
			}
		}
		if as == nil || as.Same(x) && want == k {
			continue
		}
		attributes := replacedIn(x.Attributes, old, name)
		for key, v := range attributes { // A view names its columns as the table did.
			attributes[key] = strings.ReplaceAll(v, name+" AS "+name, name)
		}
		candidate := catalog.Fact{Place: want.Place, Kind: want.Kind, Name: want.Name, Attributes: attributes}
		if want != k {
			delete(c.found, k)
			c.found[want] = &candidate
		} else if as.Same(&candidate) || c.follows(as, &candidate) {
			c.found[k] = &candidate
		}
	}
}

// follows says whether a definition only differs by the casts that came with
// another type of a column, which has a finding of its own.
func (c *comparison) follows(e, f *catalog.Fact) bool {
	switch e.Kind {
	case kindConstraint, kindIndex, kindTrigger, kindView, kindMatview:
	default:
		return false
	}
	retyped := false
	for k, x := range c.expected {
		y := c.found[k]
		if k.Kind == kindColumn && y != nil && x.Attributes["type"] != y.Attributes["type"] &&
			(k.Place == e.Place || e.Kind == kindView || e.Kind == kindMatview) &&
			mentions(f.Attributes["definition"], k.Name) {
			retyped = true
		}
	}
	if !retyped {
		return false
	}
	bare := catalog.Fact{Place: e.Place, Kind: e.Kind, Name: e.Name, Attributes: maps.Clone(f.Attributes)}
	other := catalog.Fact{Place: e.Place, Kind: e.Kind, Name: e.Name, Attributes: maps.Clone(e.Attributes)}
	bare.Attributes["definition"] = withoutCasts(bare.Attributes["definition"])
	other.Attributes["definition"] = withoutCasts(other.Attributes["definition"])
	return bare.Same(&other)
}

// casts are what a change of type puts into definitions: ::name, and parentheses.
var casts = regexp.MustCompile(`::(?:"[^"]+"|[\w.]+)(?: varying| without time zone| with time zone| precision)?` +
	`(?:\(\d+(?:,\d+)?\))?(?:\[\])?|[()]`)

func withoutCasts(definition string) string { return casts.ReplaceAllString(definition, "") }
