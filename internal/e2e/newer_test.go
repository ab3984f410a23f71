package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testNewerSchema goes through the rolling out of the next release, as a process of
// this one sees it: the schema becomes newer, the process goes on and can be started
// again, until a later migration says that it cannot work there.
func testNewerSchema(t *testing.T, p *program) {
	t.Helper()
	running := p.start("serve")
	migrate := func(sql string) {
		_, err := p.db.Super.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	ready := func(proc *process) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proc.admin+"/readyz", nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	migrate(`ALTER TABLE loans ADD COLUMN notes text;
INSERT INTO schema_migrations (version, name, sha256) VALUES (99998, '99998_notes', repeat('0', 64))`)
	require.Equal(t, http.StatusOK, ready(running))
	again := p.start("work")
	require.Contains(t, again.log.String(), "the database is newer than this program")
	require.NotContains(t, again.log.String(), "schema drift", "what the next release made is not judged by this one")

	migrate(`INSERT INTO schema_migrations (version, name, sha256) VALUES (99999, '99999_contract', repeat('0', 64));
INSERT INTO schema_requirements VALUES (99999, 99998)`)
	require.Eventually(t, func() bool { return ready(running) == http.StatusServiceUnavailable }, patience,
		50*time.Millisecond)
	out, err := p.command(t.Context(), "serve", "--admin-listen", anyPort).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the database schema needs a newer program: it has to know migration 99998")
}
