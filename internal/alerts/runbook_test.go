package alerts_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

var (
	sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)```")
	anchor   = regexp.MustCompile(`\]\(#([a-z]+)\)`)
)

// What the runbook has somebody paste at night runs, by the role that it says, and
// changes nothing but where it says so.
func TestRunbookSQL(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	reading, writing := db.Pool(t, testdb.RoleBackup), db.App
	statements := 0
	for _, block := range sqlBlock.FindAllStringSubmatch(readFile(t, "docs/runbook.md"), -1) {
		for sql := range strings.SplitSeq(strings.TrimSpace(block[1]), ";\n") {
			statements++
			pool, options := reading, pgx.TxOptions{AccessMode: pgx.ReadOnly}
			if strings.HasPrefix(sql, "UPDATE river.") {
				pool, options = writing, pgx.TxOptions{}
			}
			err := pgx.BeginTxFunc(t.Context(), pool, options, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), sql)
				return err
			})
			require.NoError(t, err, sql)
		}
	}
	require.Greater(t, statements, 20)
}

func TestRunbookLinks(t *testing.T) {
	t.Parallel()
	text := readFile(t, "docs/runbook.md")
	sections := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		sections[strings.ToLower(m[1])] = true
	}
	for _, m := range anchor.FindAllStringSubmatch(text, -1) {
		require.True(t, sections[m[1]], m[1])
	}
}
