// Package drift compares what a database is made of with what the migrations make,
// and says each difference in words, with the statement that would mend it.
//
// Inside: what is expected, the comparison, and remedies. Not inside: reading the
// catalog (catalog), and carrying a remedy out. Nothing here does that: a remedy is
// for a person to read, who knows what else the database holds.
//
// The idea to hold: each difference is one finding. What follows from another
// difference, such as an index that names a renamed column, is not one of its own.
package drift

import (
	"cmp"
	"slices"
	"strings"

	"loanserve/internal/catalog"
)

// Severity says what a finding endangers.
type Severity string

const (
	// Breaking means that a statement of the program fails or means something else.
	Breaking Severity = "breaking"
	// Protection means that what protects the data is gone, off or wider.
	Protection Severity = "protection"
	// Extra means that something is there that the program does not know, and that
	// does not touch it.
	Extra Severity = "extra"
)

// Severities lists all of them, the worst first.
func Severities() []Severity { return []Severity{Breaking, Protection, Extra} }

// Finding is one difference.
type Finding struct {
	Severity Severity `json:"severity"`
	Kind     string   `json:"kind"`   // of the object: column, trigger
	Object   string   `json:"object"` // public.loans.status
	Message  string   `json:"message"`
	// Remedy is the statement, or the statements, that would mend it; "" where there
	// is none.
	Remedy string `json:"remedy,omitempty"`
}

// Refuses says whether a process must not start on a database with the findings. That
// an event trigger was never made does not keep it from starting: only a superuser can
// make one, and there are deployments without any.
func Refuses(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Severity != Extra && (f.Kind != kindEventTrigger || !strings.HasSuffix(f.Message, missingSuffix))
	})
}

// missingSuffix ends the message of what is not there at all.
const missingSuffix = " is missing"

// Count returns how many findings there are of each severity.
func Count(findings []Finding) map[Severity]int {
	counts := map[Severity]int{}
	for _, s := range Severities() {
		counts[s] = 0
	}
	for _, f := range findings {
		counts[f.Severity]++
	}
	return counts
}

// Compare returns the differences, the worst first.
func Compare(expected, found []catalog.Fact) []Finding {
	c := newComparison(expected, found)
	c.findRenames()
	c.compare()
	rank := func(s Severity) int { return slices.Index(Severities(), s) }
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Message, b.Message))
	})
	return c.findings
}

// words names the thing in messages: "column loans.status".
func words(f *catalog.Fact) string {
	place := strings.TrimPrefix(f.Place, "public.")
	if f.Kind == kindSchema {
		place = f.Place
	}
	switch f.Kind {
	case kindColumn:
		return "column " + place + "." + f.Name
	case kindPrivileges:
		return "privileges on " + strings.ToLower(typeOf(f)) + " " + place + " of " + granteeOf(f)
	case kindDefaultPrivileges:
		return "default privileges " + place + " on " + strings.ToLower(typeOf(f)) + " of " + granteeOf(f)
	case kindMembership:
		return "membership of role " + place + " in " + f.Name
	case kindSetting:
		return "setting " + f.Name + " of role " + place
	}
	if f.Name != "" {
		return f.Kind + " " + f.Name + " of " + place
	}
	return f.Kind + " " + place
}

// object names the thing for machines.
func object(f *catalog.Fact) string {
	if f.Name == "" {
		return f.Place
	}
	return f.Place + "." + f.Name
}

// The kinds that are treated each in its own way.
const (
	kindSchema            = "schema"
	kindTable             = "table"
	kindView              = "view"
	kindMatview           = "materialized view"
	kindSequence          = "sequence"
	kindEnum              = "enum"
	kindDomain            = "domain"
	kindComposite         = "composite type"
	kindFunction          = "function"
	kindProcedure         = "procedure"
	kindColumn            = "column"
	kindConstraint        = "constraint"
	kindIndex             = "index"
	kindTrigger           = "trigger"
	kindRule              = "rule"
	kindPolicy            = "policy"
	kindPrivileges        = "privileges"
	kindDefaultPrivileges = "default privileges"
	kindRole              = "role"
	kindMembership        = "membership"
	kindSetting           = "setting"
	kindEventTrigger      = "event trigger"
	kindExtension         = "extension"
)

// typeOf and granteeOf are the two halves of the name of privileges.
func typeOf(f *catalog.Fact) string {
	kind, _, _ := strings.Cut(f.Name, " TO ")
	return kind
}

func granteeOf(f *catalog.Fact) string {
	_, grantee, _ := strings.Cut(f.Name, " TO ")
	return grantee
}
