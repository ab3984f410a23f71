package drift

import (
	"maps"
	"slices"
	"strings"

	"loanserve/internal/catalog"
)

// alter returns the statements that make f into e; none where no statement does.
func (c *comparison) alter(e, f *catalog.Fact) []string {
	a, b := e.Attributes, f.Attributes
	var owner []string
	if a["owner"] != b["owner"] {
		owner = ownerOf(e)
	}
	switch e.Kind {
	case kindTable:
		return append(owner, alterTable(e, f)...)
	case kindColumn:
		return c.alterColumn(e, f)
	case kindEnum:
		return append(owner, alterEnum(e, f)...)
	case kindDomain:
		return append(owner, alterDomain(e, f)...)
	case kindSequence:
		return append(owner, alterSequence(e, f)...)
	case kindView, kindMatview:
		if a["definition"] == b["definition"] && a["options"] == b["options"] {
			return owner
		}
		return append([]string{"DROP " + strings.ToUpper(e.Kind) + " " + e.Place}, c.create(e)...)
	case kindFunction, kindProcedure:
		if a["definition"] == b["definition"] {
			return owner
		}
		return append(createOne(e), owner...)
	case kindConstraint:
		return alterConstraint(e, f)
	case kindIndex:
		if a["definition"] == b["definition"] {
			return []string{"REINDEX INDEX " + schemaOf(e) + e.Name}
		}
	case kindTrigger, kindRule, kindEventTrigger:
		same := *f
		same.Attributes = maps.Clone(b)
		same.Attributes["fires"] = a["fires"]
		if e.Same(&same) {
			return []string{setFires(e)}
		}
	case kindRole:
		return []string{"ALTER ROLE " + e.Place + roleOptions(a)}
	case kindExtension:
		return []string{"ALTER EXTENSION " + e.Place + " UPDATE TO " + literal(a["version"])}
	case kindSetting:
		return createOne(e)
	case kindSchema, kindComposite:
		return owner
	}
	return append(drop(f), createOne(e)...)
}

func alterTable(e, f *catalog.Fact) []string {
	a, b := e.Attributes, f.Attributes
	table := "ALTER TABLE " + e.Place + " "
	var all []string
	either := func(attribute, on, off string) {
		if a[attribute] == b[attribute] {
			return
		}
		if a[attribute] != "" {
			all = append(all, table+on)
		} else {
			all = append(all, table+off)
		}
	}
	either("persistence", "SET UNLOGGED", "SET LOGGED")
	either("row security", "ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY")
	either("forced row security", "FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY")
	either("replica identity", "REPLICA IDENTITY "+strings.ToUpper(a["replica identity"]), "REPLICA IDENTITY DEFAULT")
	if a["options"] != b["options"] {
		if b["options"] != "" {
			var names []string
			for option := range strings.SplitSeq(b["options"], ", ") {
				name, _, _ := strings.Cut(option, "=")
				names = append(names, name)
			}
			all = append(all, table+"RESET ("+strings.Join(names, ", ")+")")
		}
		if a["options"] != "" {
			all = append(all, table+"SET ("+a["options"]+")")
		}
	}
	return all
}

// alterColumn does to a column what alterColumn below says, and makes anew around it
// what a change of type would leave with casts or be refused for.
func (c *comparison) alterColumn(e, f *catalog.Fact) []string {
	all := alterColumn(e, f)
	if e.Attributes["identity"] != "" && f.Attributes["identity"] == "" {
		for _, p := range c.partsOfColumn(c.expected, e) {
			if p.Kind == kindPrivileges {
				all = append(all, createOne(p)...)
			}
		}
	}
	if e.Attributes["type"] == f.Attributes["type"] {
		return all
	}
	var before, after []string
	for _, k := range c.order {
		x, y := c.expected[k], c.found[k]
		if x == nil || y == nil || !mentions(x.Attributes["definition"], e.Name) {
			continue
		}
		switch k.Kind {
		case kindConstraint, kindIndex:
			if k.Place == e.Place && !x.Same(y) && c.follows(x, y) {
				before, after = append(before, drop(y)...), append(after, createOne(x)...)
			}
		case kindTrigger:
			if k.Place == e.Place {
				before, after = append(before, drop(y)...), append(after, createOne(x)...)
			}
		case kindView, kindMatview:
			if mentions(x.Attributes["definition"], e.Place) {
				before, after = append(before, drop(y)...), append(after, c.create(x)...)
			}
		}
	}
	return append(append(before, all...), after...)
}

// alterColumn changes the type between taking the default away and setting it, so
// that an old default that does not fit the type is not in the way.
func alterColumn(e, f *catalog.Fact) []string {
	a, b := e.Attributes, f.Attributes
	alter := "ALTER TABLE " + e.Place + " ALTER COLUMN " + e.Name + " "
	if a["generated"] != b["generated"] || a["generated kind"] != b["generated kind"] {
		if a["generated"] == "" {
			return append([]string{alter + "DROP EXPRESSION"}, alterColumn(e, withoutExpression(f))...)
		}
		return []string{
			"ALTER TABLE " + e.Place + " DROP COLUMN " + e.Name,
			"ALTER TABLE " + e.Place + " ADD COLUMN " + column(e),
		}
	}
	var all []string
	retype := a["type"] != b["type"] || a["collation"] != b["collation"]
	if b["identity"] != "" && a["identity"] == "" {
		all = append(all, alter+"DROP IDENTITY")
	}
	if b["default"] != "" && (retype || a["default"] == "") {
		all = append(all, alter+"DROP DEFAULT")
	}
	if retype {
		collate := ""
		if a["collation"] != "" {
			collate = " COLLATE " + a["collation"]
		} else if b["collation"] != "" {
			collate = ` COLLATE "default"`
		}
		all = append(all, alter+"TYPE "+a["type"]+collate+" USING "+e.Name+"::text::"+a["type"])
	}
	if a["default"] != "" && (retype || a["default"] != b["default"]) {
		all = append(all, alter+"SET DEFAULT "+a["default"])
	}
	if a["not null"] != b["not null"] {
		if a["not null"] != "" {
			all = append(all, alter+"SET NOT NULL")
		} else {
			all = append(all, alter+"DROP NOT NULL")
		}
	}
	if a["identity"] != "" && a["identity"] != b["identity"] {
		if b["identity"] == "" {
			all = append(all, alter+"ADD GENERATED "+a["identity"]+" AS IDENTITY")
		} else {
			all = append(all, alter+"SET GENERATED "+a["identity"])
		}
	}
	return all
}

// withoutExpression is the column as it is once its expression is gone.
func withoutExpression(f *catalog.Fact) *catalog.Fact {
	g := *f
	g.Attributes = maps.Clone(f.Attributes)
	delete(g.Attributes, "generated")
	delete(g.Attributes, "generated kind")
	return &g
}

// alterEnum adds values and renames one. PostgreSQL takes none away, and changes no
// order: there a migration makes the type anew.
func alterEnum(e, f *catalog.Fact) []string {
	want, have := strings.Split(e.Attributes["values"], "\n"), strings.Split(f.Attributes["values"], "\n")
	lacks, besides := without(want, have), without(have, want)
	if len(lacks) == 1 && len(besides) == 1 && slices.Index(want, lacks[0]) == slices.Index(have, besides[0]) {
		return []string{"ALTER TYPE " + e.Place + " RENAME VALUE " + besides[0] + " TO " + lacks[0]}
	}
	var all []string
	for _, v := range lacks {
		place := ""
		if i := slices.Index(want, v); i > 0 {
			place = " AFTER " + want[i-1]
		} else if len(want) > 1 {
			place = " BEFORE " + firstOf(want[1:], have)
		}
		all = append(all, "ALTER TYPE "+e.Place+" ADD VALUE "+v+place)
	}
	return all
}

// firstOf returns the first value that is there already.
func firstOf(values, have []string) string {
	for _, v := range values {
		if slices.Contains(have, v) {
			return v
		}
	}
	return have[0]
}

func alterDomain(e, f *catalog.Fact) []string {
	a, b := e.Attributes, f.Attributes
	domain := "ALTER DOMAIN " + e.Place + " "
	var all []string
	if a["default"] != b["default"] {
		if a["default"] != "" {
			all = append(all, domain+"SET DEFAULT "+a["default"])
		} else {
			all = append(all, domain+"DROP DEFAULT")
		}
	}
	if a["not null"] != b["not null"] {
		if a["not null"] != "" {
			all = append(all, domain+"SET NOT NULL")
		} else {
			all = append(all, domain+"DROP NOT NULL")
		}
	}
	return all
}

func alterSequence(e, f *catalog.Fact) []string {
	a, b := e.Attributes, f.Attributes
	var all []string
	if a["type"]+parameters(e) != b["type"]+parameters(f) {
		all = append(all, "ALTER SEQUENCE "+e.Place+" AS "+a["type"]+parameters(e))
	}
	if a["owned by"] != b["owned by"] && a["identity"] == b["identity"] {
		all = append(all, ownedBy(e))
	}
	return all
}

// alterConstraint validates, turns on, or makes anew.
func alterConstraint(e, f *catalog.Fact) []string {
	var all []string
	for line := range strings.SplitSeq(f.Attributes["disabled"], "\n") {
		if table, trigger, ok := strings.Cut(line, " "); ok {
			all = append(all, "ALTER TABLE "+table+" ENABLE TRIGGER "+trigger)
		}
	}
	want, have := e.Attributes["definition"], f.Attributes["definition"]
	switch {
	case want == have:
		return all
	case have == want+" NOT VALID":
		return append(all, "ALTER TABLE "+e.Place+" VALIDATE CONSTRAINT "+e.Name)
	default:
		return append(drop(f), createOne(e)...)
	}
}

func schemaOf(f *catalog.Fact) string {
	schema, _, _ := strings.Cut(f.Place, ".")
	return schema + "."
}

// renameTo gives f the name of e.
func renameTo(e, f *catalog.Fact) []string {
	bare := func(name string) string {
		name, _, _ = strings.Cut(name, "(")
		return name[strings.LastIndex(name, ".")+1:]
	}
	switch e.Kind {
	case kindColumn, kindConstraint:
		return []string{
			"ALTER TABLE " + e.Place + " RENAME " + strings.ToUpper(e.Kind) + " " + f.Name + " TO " + e.Name,
		}
	case kindIndex:
		return []string{"ALTER INDEX " + schemaOf(f) + f.Name + " RENAME TO " + e.Name}
	case kindTrigger:
		return []string{"ALTER TRIGGER " + f.Name + " ON " + e.Place + " RENAME TO " + e.Name}
	case kindEnum:
		return []string{"ALTER TYPE " + f.Place + " RENAME TO " + bare(e.Place)}
	default:
		return []string{"ALTER " + strings.ToUpper(e.Kind) + " " + f.Place + " RENAME TO " + bare(e.Place)}
	}
}
