package drift

import (
	"maps"
	"slices"
	"strings"

	"loanserve/internal/catalog"
)

// comparePrivileges compares what somebody may do with an object, where either side
// may know nothing of him.
func (c *comparison) comparePrivileges(e, f *catalog.Fact) {
	known := e
	if known == nil {
		known = f
	}
	var has, should map[string]string
	if f != nil {
		has = f.Attributes
	}
	if e != nil {
		should = e.Attributes
	}
	lacks, besides := map[string]string{}, map[string]string{}
	for p, how := range should {
		if weaker(has[p], how) && c.hasColumn(c.found, known.Place, p) {
			lacks[p] = how
		}
	}
	for p, how := range has {
		if weaker(should[p], how) && c.hasColumn(c.expected, known.Place, p) {
			besides[p] = how
		}
	}
	on := strings.ToLower(typeOf(known)) + " " + strings.TrimPrefix(known.Place, "public.")
	if known.Kind == kindDefaultPrivileges {
		on = strings.ToLower(typeOf(known)) + " to come " + known.Place
	}
	if len(lacks) > 0 {
		c.add(Protection, known, granteeOf(known)+" lacks "+listed(lacks)+" on "+on, grants(known, lacks))
	}
	if len(besides) == 0 {
		return
	}
	severity := Extra
	for p := range besides {
		if severityOfGrant(granteeOf(known), p) == Protection {
			severity = Protection
		}
	}
	// What is only to be had in another way is taken first and given again.
	remedy := revokes(known, besides)
	for p := range besides {
		if should[p] != "" {
			remedy = append(remedy, grants(known, map[string]string{p: should[p]})...)
		}
	}
	c.add(severity, known, granteeOf(known)+" has besides "+listed(besides)+" on "+on, remedy)
}

// weaker says whether the one way to have a privilege is less than the other.
func weaker(a, b string) bool { return a == "" || a == "yes" && b != "yes" }

// hasColumn says whether the column that a privilege is on is there; a privilege on
// the whole has no column that could lack.
func (c *comparison) hasColumn(in map[catalog.Key]*catalog.Fact, place, privilege string) bool {
	column := columnOf(privilege)
	if column == "" || in[catalog.Key{Place: place, Kind: kindTable, Name: ""}] == nil {
		return true
	}
	return in[catalog.Key{Place: place, Kind: kindColumn, Name: column}] != nil
}

// columnOf returns the column of UPDATE (column), and "" of a privilege on the whole.
func columnOf(privilege string) string {
	_, column, _ := strings.Cut(privilege, " (")
	return strings.TrimSuffix(column, ")")
}

func listed(privileges map[string]string) string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(privileges)) {
		if privileges[p] != "yes" {
			p += " " + privileges[p]
		}
		all = append(all, p)
	}
	return strings.Join(all, ", ")
}

// grants gives the privileges on what f is about.
func grants(f *catalog.Fact, privileges map[string]string) []string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(privileges)) {
		s := defaults(f) + "GRANT " + p + " ON " + target(f) + " TO " + granteeOf(f)
		if privileges[p] != "yes" {
			s += " WITH GRANT OPTION"
		}
		all = append(all, s)
	}
	return all
}

func revokes(f *catalog.Fact, privileges map[string]string) []string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(privileges)) {
		all = append(all, defaults(f)+"REVOKE "+p+" ON "+target(f)+" FROM "+granteeOf(f))
	}
	return all
}

func defaults(f *catalog.Fact) string {
	if f.Kind == kindDefaultPrivileges {
		return "ALTER DEFAULT PRIVILEGES " + f.Place + " "
	}
	return ""
}

func target(f *catalog.Fact) string {
	if f.Kind == kindDefaultPrivileges {
		return typeOf(f)
	}
	return typeOf(f) + " " + f.Place
}

// roleOptions are what a role may do by itself.
func roleOptions(a map[string]string) string {
	var text strings.Builder
	for _, option := range []string{
		"superuser", "inherit", "createrole", "createdb", "login", "replication", "bypassrls",
	} {
		no := " NO"
		if a[option] != "" {
			no = " "
		}
		text.WriteString(no + strings.ToUpper(option))
	}
	return text.String()
}

func adminOption(a map[string]string) string {
	if a["admin"] != "" {
		return " WITH ADMIN OPTION"
	}
	return ""
}

// setting begins a change of what a role's sessions start with.
func setting(f *catalog.Fact) string {
	if f.Attributes["database"] != "" {
		return "ALTER ROLE " + f.Place + " IN DATABASE :\"DBNAME\""
	}
	return "ALTER ROLE " + f.Place
}
