package drift_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/catalog"
	"loanserve/internal/drift"
	"loanserve/internal/testdb"
	"loanserve/migrations"
)

// expect returns what is written down for the server that tests use, and the reason
// where there is nothing.
func expect(t testing.TB, db catalog.DB) []catalog.Fact {
	t.Helper()
	_, major, err := catalog.Read(t.Context(), db)
	require.NoError(t, err)
	text, err := migrations.Expected(major)
	require.NoError(t, err)
	if text == nil {
		t.Skipf("nothing is written down for PostgreSQL %d", major)
	}
	facts, err := catalog.Parse(text)
	require.NoError(t, err)
	return facts
}

func check(t testing.TB, db catalog.DB, expected []catalog.Fact) []drift.Finding {
	t.Helper()
	found, _, err := catalog.Read(t.Context(), db)
	require.NoError(t, err)
	return drift.Compare(expected, found)
}

func messages(findings []drift.Finding) map[string]bool {
	said := map[string]bool{}
	for _, f := range findings {
		said[f.Message] = true
	}
	return said
}

// besides returns the findings that were not there already.
func besides(findings []drift.Finding, already map[string]bool) []drift.Finding {
	return slices.DeleteFunc(findings, func(f drift.Finding) bool { return already[f.Message] })
}

func TestCleanDatabaseHasNoFindings(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	require.Empty(t, check(t, db.App, expect(t, db.App)))
}

// TestSeeds plants each drift in a live database, in a transaction that is rolled
// back, because roles are those of every database of the server.
func TestSeeds(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	expected := expect(t, db.Super)
	db.SwitchOffDDLGuards(t)
	already := messages(check(t, db.Super, expected)) // What had to be switched off to plant anything.
	require.GreaterOrEqual(t, len(seeds), 40)
	for _, s := range seeds { //nolint:paralleltest // They lock the same tables.
		t.Run(s.name, func(t *testing.T) {
			tx, err := db.Super.Begin(t.Context())
			require.NoError(t, err)
			defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
			_, err = tx.Exec(t.Context(), s.sql)
			require.NoError(t, err)

			findings := besides(check(t, tx, expected), already)
			requireMessages(t, s.found, findings)
			first := findingWith(t, findings, s.found[0])
			require.Contains(t, first.Remedy, s.remedy)
			require.Equal(t, drift.Severity(s.severity), first.Severity)
			if s.unmended {
				return
			}
			mend(t, tx, findings)
			require.Empty(t, besides(check(t, tx, expected), already))
		})
	}
}

// requireMessages wants each part in a finding of its own, and no finding besides.
func requireMessages(t *testing.T, parts []string, findings []drift.Finding) {
	t.Helper()
	for _, part := range parts {
		findingWith(t, findings, part)
	}
	var unexpected []string
	for _, f := range findings {
		expected := false
		for _, part := range parts {
			expected = expected || strings.Contains(f.Message, part)
		}
		if !expected {
			unexpected = append(unexpected, f.Message)
		}
	}
	require.Empty(t, unexpected)
}

func findingWith(t *testing.T, findings []drift.Finding, part string) drift.Finding {
	t.Helper()
	var all []string
	for _, f := range findings {
		if strings.Contains(f.Message, part) {
			return f
		}
		all = append(all, f.Message)
	}
	require.Failf(t, "not found", "%q in:\n%s", part, strings.Join(all, "\n"))
	return drift.Finding{}
}

// mend applies each remedy, and again those that needed another one's work.
func mend(t *testing.T, tx pgx.Tx, findings []drift.Finding) {
	t.Helper()
	for round := 0; len(findings) > 0; round++ {
		var left []drift.Finding
		var why error
		for _, f := range findings {
			require.NotEmpty(t, f.Remedy, f.Message)
			err := pgx.BeginFunc(t.Context(), tx, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), f.Remedy)
				return err
			})
			if err != nil {
				left, why = append(left, f), err
				t.Logf("%s\n%v", f.Remedy, err)
			}
		}
		require.Less(t, len(left), len(findings), "%v", why)
		findings = left
	}
}

// TestWithoutASuperuser compares a database in which nobody could make event triggers,
// nor take a function from the owner, with one in which somebody could.
func TestWithoutASuperuser(t *testing.T) {
	t.Parallel()
	guard := func(owner string) catalog.Fact {
		return catalog.Fact{Place: "ddl_guard.refuse()", Kind: "function", Attributes: map[string]string{
			"owner": owner, "definition": "CREATE OR REPLACE FUNCTION ddl_guard.refuse() RETURNS event_trigger",
		}}
	}
	trigger := func(fires string) catalog.Fact {
		return catalog.Fact{Place: "loanserve_refuse", Kind: "event trigger", Attributes: map[string]string{
			"event": "sql_drop", "function": "ddl_guard.refuse", "fires": fires,
		}}
	}
	expected := []catalog.Fact{guard("a superuser"), trigger("always")}
	found := drift.Compare(expected, []catalog.Fact{guard("loanserve_owner")})
	require.Len(t, found, 2)
	require.Equal(t, drift.Protection, found[0].Severity)
	require.Equal(t, "event trigger loanserve_refuse is missing", found[0].Message)
	require.Equal(t, "CREATE EVENT TRIGGER loanserve_refuse ON sql_drop EXECUTE FUNCTION ddl_guard.refuse();\n"+
		"ALTER EVENT TRIGGER loanserve_refuse ENABLE ALWAYS;", found[0].Remedy)
	require.Equal(t, drift.Extra, found[1].Severity)
	require.Equal(t, "ALTER FUNCTION ddl_guard.refuse() OWNER TO CURRENT_USER;", found[1].Remedy)
	require.False(t, drift.Refuses(found))

	found = drift.Compare(expected, []catalog.Fact{guard("a superuser"), trigger("never")})
	require.Len(t, found, 1)
	require.True(t, drift.Refuses(found), "somebody has switched it off")
}
