package drift

import (
	"strings"

	"loanserve/internal/catalog"
)

// addExtra tells of something that is there besides, and what it is a duplicate of.
func (c *comparison) addExtra(f *catalog.Fact) {
	severity := severityOfExtra(f)
	message := words(f) + " is not of this program"
	if original := c.originalOf(f); original != "" {
		message = words(f) + " is a duplicate of " + original
		if f.Kind == kindEnum || f.Kind == kindDomain || f.Kind == kindComposite {
			message = "type " + strings.TrimPrefix(f.Place, "public.") + " is a duplicate of " + original
		}
	}
	if d := f.Attributes["definition"]; d != "" && !strings.Contains(d, "\n") {
		message += ": " + d
	}
	c.add(severity, f, message, drop(f))
}

// originalOf returns what the program knows and f looks like; "" for nothing.
func (c *comparison) originalOf(f *catalog.Fact) string {
	for _, k := range c.order {
		e := c.expected[k]
		if e == nil || e.Kind != f.Kind || c.found[k] == nil {
			continue
		}
		switch f.Kind {
		case kindEnum:
			if e.Attributes["values"] == f.Attributes["values"] || likeTypes(e, f) {
				return strings.TrimPrefix(e.Place, "public.")
			}
		case kindColumn:
			if e.Place == f.Place && e.Name != "id" && extends(f.Name, e.Name) && e.Attributes["type"] == f.Attributes["type"] {
				return strings.TrimPrefix(e.Place, "public.") + "." + e.Name
			}
		case kindIndex, kindConstraint, kindTrigger:
			if e.Place == f.Place && sameBut(e, f) {
				return e.Name
			}
		case kindDomain, kindComposite, kindFunction:
			if sameBut(e, f) {
				return strings.TrimPrefix(e.Place, "public.")
			}
		}
	}
	return ""
}

// likeTypes says whether the one type is the other with some values more or less,
// under a name that says so.
func likeTypes(e, f *catalog.Fact) bool {
	bare := func(place string) string { return place[strings.LastIndex(place, ".")+1:] }
	if !extends(bare(f.Place), bare(e.Place)) {
		return false
	}
	a, b := strings.Split(e.Attributes["values"], "\n"), strings.Split(f.Attributes["values"], "\n")
	return len(without(a, b)) == 0 || len(without(b, a)) == 0
}

// drop removes what is there besides. Where that loses data, it says so.
func drop(f *catalog.Fact) []string {
	table := "ALTER TABLE " + f.Place + " "
	switch f.Kind {
	case kindTable, "foreign table", kindMatview, kindView, kindSequence, kindDomain,
		kindFunction, kindProcedure, kindSchema, "aggregate":
		return []string{"DROP " + strings.ToUpper(f.Kind) + " " + f.Place}
	case kindEnum, kindComposite, "range":
		return []string{"DROP TYPE " + f.Place}
	case kindColumn:
		return []string{table + "DROP COLUMN " + f.Name}
	case kindConstraint:
		if f.Attributes["of"] != "" {
			table = "ALTER DOMAIN " + f.Place + " "
		}
		return []string{table + "DROP CONSTRAINT IF EXISTS " + f.Name}
	case kindIndex:
		return []string{"DROP INDEX IF EXISTS " + schemaOf(f) + f.Name}
	case kindTrigger, kindRule, kindPolicy:
		return []string{"DROP " + strings.ToUpper(f.Kind) + " IF EXISTS " + f.Name + " ON " + f.Place}
	case kindEventTrigger, kindExtension:
		return []string{"DROP " + strings.ToUpper(f.Kind) + " " + f.Place}
	case kindMembership:
		return []string{"REVOKE " + f.Name + " FROM " + f.Place}
	case kindSetting:
		return []string{setting(f) + " RESET " + f.Name}
	case kindPrivileges, kindDefaultPrivileges:
		return revokes(f, f.Attributes)
	}
	return nil
}
