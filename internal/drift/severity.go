package drift

import (
	"strings"

	"loanserve/internal/catalog"
)

// severityOfMissing says what it endangers that something is not there.
func severityOfMissing(f *catalog.Fact) Severity {
	switch f.Kind {
	case kindTrigger, kindRule, kindPolicy, kindEventTrigger, kindRole, kindMembership, kindSetting:
		return Protection
	case kindConstraint:
		if isKey(f) {
			return Breaking // What inserts names it: ON CONFLICT.
		}
		return Protection
	case kindFunction, kindProcedure:
		return severityOfFunction(f)
	default:
		return Breaking
	}
}

// isKey says whether a constraint is a primary or a unique key.
func isKey(f *catalog.Fact) bool {
	d := f.Attributes["definition"]
	return strings.HasPrefix(d, "PRIMARY KEY") || strings.HasPrefix(d, "UNIQUE")
}

// severityOfFunction tells what a trigger calls from what a statement does.
func severityOfFunction(f *catalog.Fact) Severity {
	d := f.Attributes["definition"]
	if strings.Contains(d, "RETURNS trigger") || strings.Contains(d, "RETURNS event_trigger") {
		return Protection
	}
	return Breaking
}

// severityOfChange says what a change endangers.
func severityOfChange(e, f *catalog.Fact) Severity {
	switch e.Kind {
	case kindExtension:
		return Extra
	case kindTable, kindSchema:
		return Protection // Its owner, its row security, whether it survives a crash.
	case kindEnum:
		a, b := strings.Split(e.Attributes["values"], "\n"), strings.Split(f.Attributes["values"], "\n")
		if len(without(b, a)) > 0 && strings.Join(without(b, without(b, a)), "\n") == e.Attributes["values"] &&
			e.Attributes["owner"] == f.Attributes["owner"] {
			return Extra // All values are there, in their order.
		}
		return Breaking
	}
	if len(changes(e, f)) == 1 && e.Attributes["owner"] == superuser {
		return Extra // It came without the event triggers, which only a superuser can make.
	}
	if len(changes(e, f)) == 1 && e.Attributes["owner"] != f.Attributes["owner"] {
		return Protection
	}
	return severityOfMissing(e)
}

// severityOfExtra says what it endangers that something is there besides.
func severityOfExtra(f *catalog.Fact) Severity {
	switch f.Kind {
	case kindConstraint:
		return Breaking // It refuses rows that the program writes, or removes some.
	case kindIndex:
		if strings.HasPrefix(f.Attributes["definition"], "CREATE UNIQUE") {
			return Breaking
		}
		return Extra
	case kindColumn:
		a := f.Attributes
		if a["not null"] != "" && a["default"] == "" && a["identity"] == "" && a["generated"] == "" {
			return Breaking // No row that the program inserts has it.
		}
		return Extra
	case kindTrigger, kindRule, kindPolicy, kindMembership, kindSetting:
		return Protection
	default:
		return Extra
	}
}

// severityOfGrant says what a privilege endangers that was not given by the
// migrations. One to read, for somebody of whom the program knows nothing, is for
// the deployment to decide.
func severityOfGrant(grantee, privilege string) Severity {
	known := grantee == "PUBLIC" || strings.HasPrefix(grantee, "loanserve_")
	reads := strings.HasPrefix(privilege, "SELECT") || strings.HasPrefix(privilege, "USAGE")
	if !known && reads {
		return Extra
	}
	return Protection
}
