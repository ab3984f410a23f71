package drift

import (
	"fmt"
	"slices"
	"strings"

	"loanserve/internal/catalog"
)

// create returns the statements that make what is missing, with all that belongs
// to it; none where only a migration or an administrator could.
func (c *comparison) create(e *catalog.Fact) []string {
	switch e.Kind {
	case kindTable:
		return c.createTable(e)
	case kindColumn:
		return c.createColumn(e)
	case kindSchema:
		return c.createWithParts([]string{"CREATE SCHEMA " + e.Place}, e)
	case kindView, kindMatview, kindFunction, kindProcedure, kindDomain, kindSequence:
		return c.createWithParts(createOne(e), e)
	default:
		return createOne(e)
	}
}

func (c *comparison) createWithParts(statements []string, e *catalog.Fact) []string {
	statements = append(statements, ownerOf(e)...)
	for _, part := range c.parts(c.expected, e) {
		statements = append(statements, createOne(part)...)
	}
	return statements
}

// createOne makes a thing without what belongs to it.
func createOne(e *catalog.Fact) []string {
	a := e.Attributes
	table := "ALTER TABLE " + e.Place + " "
	switch e.Kind {
	case kindSequence:
		return createSequence(e)
	case kindView, kindMatview:
		with := ""
		if a["options"] != "" {
			with = " WITH (" + a["options"] + ")"
		}
		return []string{"CREATE " + strings.ToUpper(e.Kind) + " " + e.Place + with + " AS\n" + a["definition"]}
	case kindEnum:
		statement := "CREATE TYPE " + e.Place + " AS ENUM (" + strings.ReplaceAll(a["values"], "\n", ", ") + ")"
		return append([]string{statement}, ownerOf(e)...)
	case kindComposite:
		statement := "CREATE TYPE " + e.Place + " AS (" + strings.ReplaceAll(a["columns"], "\n", ", ") + ")"
		return append([]string{statement}, ownerOf(e)...)
	case kindDomain:
		statement := "CREATE DOMAIN " + e.Place + " AS " + a["type"]
		if a["default"] != "" {
			statement += " DEFAULT " + a["default"]
		}
		if a["not null"] != "" {
			statement += " NOT NULL"
		}
		return []string{statement}
	case kindFunction, kindProcedure:
		return []string{a["definition"]}
	case kindConstraint:
		if a["of"] != "" {
			table = "ALTER DOMAIN " + e.Place + " "
		}
		return []string{table + "ADD CONSTRAINT " + e.Name + " " + a["definition"]}
	case kindIndex:
		return []string{a["definition"]}
	case kindTrigger, kindRule:
		return append([]string{a["definition"]}, fires(e)...)
	case kindPolicy:
		return []string{createPolicy(e)}
	case kindPrivileges, kindDefaultPrivileges:
		return grants(e, a)
	case kindRole:
		return []string{"CREATE ROLE " + e.Place + roleOptions(a)}
	case kindMembership:
		return []string{"GRANT " + e.Name + " TO " + e.Place + adminOption(a)}
	case kindSetting:
		return []string{setting(e) + " SET " + e.Name + " = " + literal(a["value"])}
	case kindEventTrigger:
		return append([]string{createEventTrigger(e)}, fires(e)...)
	case kindExtension:
		return []string{"CREATE EXTENSION " + e.Place + " SCHEMA " + a["schema"] + " VERSION " + literal(a["version"])}
	}
	return nil
}

// createTable makes the table with everything that has its place. Keys come before
// what refers to them.
func (c *comparison) createTable(e *catalog.Fact) []string {
	parts := c.parts(c.expected, e)
	var columns, before, after []string
	owned := map[string]bool{}
	for _, p := range parts {
		switch {
		case p.Kind == kindSequence && p.Attributes["identity"] == "":
			before = append(before, createSequence(p)...)
			after = append(append(after, ownerOf(p)...), ownedBy(p))
			owned[p.Place] = true
		case p.Kind == kindColumn:
			columns = append(columns, "  "+column(p))
		}
	}
	head := "CREATE TABLE "
	if e.Attributes["persistence"] == "unlogged" {
		head = "CREATE UNLOGGED TABLE "
	}
	tail := ")"
	if key := e.Attributes["partition key"]; key != "" {
		tail += " PARTITION BY " + key
	}
	made := append(before, head+e.Place+" (\n"+strings.Join(columns, ",\n")+"\n"+tail)
	made = append(append(made, ownerOf(e)...), after...)
	made = append(made, alterTable(e, &catalog.Fact{
		Place: e.Place, Kind: e.Kind, Name: "", Attributes: map[string]string{
			"owner": e.Attributes["owner"], "persistence": e.Attributes["persistence"],
		},
	})...)
	return append(made, createParts(parts)...)
}

// createParts makes parts in an order in which each finds what it needs.
func createParts(parts []*catalog.Fact) []string {
	rank := func(p *catalog.Fact) int {
		switch {
		case isKey(p):
			return 0
		case p.Kind == kindConstraint:
			return 1
		case p.Kind == kindIndex:
			return 2
		default:
			return 3
		}
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(p *catalog.Fact) bool {
		return p.Kind == kindColumn || p.Kind == kindSequence
	})
	slices.SortStableFunc(parts, func(a, b *catalog.Fact) int { return rank(a) - rank(b) })
	var made []string
	for _, p := range parts {
		made = append(made, createOne(p)...)
	}
	return made
}

// createColumn adds the column, and what went with it.
func (c *comparison) createColumn(e *catalog.Fact) []string {
	parts := c.partsOfColumn(c.expected, e)
	var made, after []string
	for _, p := range parts {
		if p.Kind == kindSequence && p.Attributes["identity"] == "" {
			made = append(made, createSequence(p)...)
			after = append(append(after, ownerOf(p)...), ownedBy(p))
		}
	}
	made = append(made, "ALTER TABLE "+e.Place+" ADD COLUMN "+column(e))
	made = append(append(made, after...), createParts(parts)...)
	for _, k := range c.order {
		p := c.expected[k]
		if p == nil || k.Kind != kindPrivileges || k.Place != e.Place {
			continue
		}
		for privilege, how := range p.Attributes {
			if columnOf(privilege) == e.Name {
				made = append(made, grants(p, map[string]string{privilege: how})...)
			}
		}
	}
	return made
}

// column is a column as CREATE TABLE has it.
func column(e *catalog.Fact) string {
	a := e.Attributes
	text := e.Name + " " + a["type"]
	if a["collation"] != "" {
		text += " COLLATE " + a["collation"]
	}
	if a["generated"] != "" {
		text += " GENERATED ALWAYS AS (" + a["generated"] + ") " + a["generated kind"]
	}
	if a["identity"] != "" {
		text += " GENERATED " + a["identity"] + " AS IDENTITY"
	}
	if a["default"] != "" {
		text += " DEFAULT " + a["default"]
	}
	if a["not null"] != "" {
		text += " NOT NULL"
	}
	return text
}

func createSequence(e *catalog.Fact) []string {
	if e.Attributes["identity"] != "" {
		return nil // It comes with its column.
	}
	return []string{"CREATE SEQUENCE " + e.Place + " AS " + e.Attributes["type"] + parameters(e)}
}

func parameters(e *catalog.Fact) string {
	a := e.Attributes
	text := fmt.Sprintf(" INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s",
		a["increment"], a["minimum"], a["maximum"], a["start"], a["cache"])
	if a["cycle"] != "" {
		return text + " CYCLE"
	}
	return text + " NO CYCLE"
}

func ownedBy(e *catalog.Fact) string {
	if e.Attributes["owned by"] == "" {
		return "ALTER SEQUENCE " + e.Place + " OWNED BY NONE"
	}
	return "ALTER SEQUENCE " + e.Place + " OWNED BY " + e.Attributes["owned by"]
}

func createPolicy(e *catalog.Fact) string {
	a := e.Attributes
	text := "CREATE POLICY " + e.Name + " ON " + e.Place
	if a["as"] != "" {
		text += " AS " + a["as"]
	}
	text += " FOR " + a["for"] + " TO " + a["to"]
	if a["using"] != "" {
		text += " USING (" + a["using"] + ")"
	}
	if a["check"] != "" {
		text += " WITH CHECK (" + a["check"] + ")"
	}
	return text
}

func createEventTrigger(e *catalog.Fact) string {
	a := e.Attributes
	text := "CREATE EVENT TRIGGER " + e.Place + " ON " + a["event"]
	if a["tags"] != "" {
		text += " WHEN TAG IN ('" + strings.ReplaceAll(a["tags"], ", ", "', '") + "')"
	}
	return text + " EXECUTE FUNCTION " + a["function"] + "()"
}

// fires sets when a trigger or a rule fires, where that is not the default.
func fires(e *catalog.Fact) []string {
	if e.Attributes["fires"] == "origin" {
		return nil
	}
	return []string{setFires(e)}
}

func setFires(e *catalog.Fact) string {
	state := map[string]string{
		"origin": "ENABLE", "never": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS",
	}[e.Attributes["fires"]]
	if e.Kind == kindEventTrigger {
		return "ALTER EVENT TRIGGER " + e.Place + " " + state
	}
	return "ALTER TABLE " + e.Place + " " + state + " " + strings.ToUpper(e.Kind) + " " + e.Name
}

// superuser is what the catalog's reader calls an owner who is one.
const superuser = "a superuser"

// ownerOf gives the thing to its owner, whoever made it.
func ownerOf(e *catalog.Fact) []string {
	owner, kind := e.Attributes["owner"], strings.ToUpper(e.Kind)
	if owner == "" {
		return nil
	}
	if owner == superuser {
		owner = "CURRENT_USER" // Only a superuser can carry it out.
	}
	if e.Kind == kindEnum || e.Kind == kindComposite || e.Kind == "range" {
		kind = "TYPE"
	}
	return []string{"ALTER " + kind + " " + e.Place + " OWNER TO " + owner}
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
