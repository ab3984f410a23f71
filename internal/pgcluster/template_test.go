package pgcluster_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// Two servers begin as copies of a third one, and go their own ways.
func TestTemplate(t *testing.T) {
	t.Parallel()

	needServer(t)
	template := filepath.Join(tempDir(t), "data")
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: template})
	require.NoError(t, err)
	execute(t, c.URL("postgres"), "CREATE TABLE loans AS SELECT 23 AS loan_id")
	require.NoError(t, c.Stop())

	before := snapshot(t, template)
	const count = "SELECT count(*)::text FROM loans"
	first, second := start(t, pgcluster.Options{Template: template}), start(t, pgcluster.Options{Template: template})
	execute(t, first.URL("postgres"), "INSERT INTO loans VALUES (24)")
	require.Equal(t, "2", query(t, first.URL("postgres"), count))
	require.Equal(t, "1", query(t, second.URL("postgres"), count))
	require.Equal(t, before, snapshot(t, template))

	dir := filepath.Join(tempDir(t), "data")
	_, err = pgcluster.Start(t.Context(), pgcluster.Options{Template: template, Dir: dir})
	require.ErrorContains(t, err, "a template is for a server without a directory")
}
