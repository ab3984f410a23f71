package e2e_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testRefusesDrift renames a column as it was named in a database whose users could
// not be managed for two days, and takes away a guard: the program names both and does
// not start, unless it is told to, loudly.
func testRefusesDrift(t *testing.T, p *program) {
	t.Helper()
	p.db.Tamper(t, `
ALTER TABLE user_ip_allowlist RENAME COLUMN ip TO ip_address;
ALTER TABLE loans DISABLE TRIGGER refuse_removal`)
	for _, verb := range []string{"serve", "work"} {
		out, err := p.command(t.Context(), verb, "--admin-listen", anyPort).CombinedOutput()
		require.Error(t, err, "%s must refuse to start", verb)
		require.Contains(t, string(out), "column user_ip_allowlist.ip is missing; found ip_address")
		require.Contains(t, string(out), "trigger refuse_removal of loans has changed")
		require.Contains(t, string(out), "--allow-drift")
	}
	proc := p.start("work", "--allow-drift")
	require.Contains(t, proc.log.String(), "starting on a drifted schema")
	require.Contains(t, proc.log.String(), "column user_ip_allowlist.ip is missing; found ip_address")
	require.Contains(t, p.metrics(proc), "loanserve_schema_drift_allowed 1\n")
	require.Eventually(t, func() bool {
		var found int
		err := p.db.Super.QueryRow(t.Context(), `
SELECT count(*) FROM runs, jsonb_array_elements(findings) f
WHERE kind = 'check_schema' AND status = 'finished' AND f->>'object' = 'public.user_ip_allowlist.ip'`).Scan(&found)
		return err == nil && found == 1
	}, patience, 50*time.Millisecond, "the clock's own check")

	_, err := p.db.Super.Exec(t.Context(), `
ALTER TABLE user_ip_allowlist RENAME COLUMN ip_address TO ip;
ALTER TABLE loans ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE loans ADD COLUMN notes text`)
	require.NoError(t, err)
	serving := p.start("serve")
	require.Contains(t, serving.log.String(), "column loans.notes is not of this program", "told, and no reason to refuse")
	require.Contains(t, p.metrics(serving), "loanserve_schema_drift_allowed 0\n")
}

// metrics are what the process shows for Prometheus.
func (p *program) metrics(proc *process) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, proc.admin+"/metrics", nil)
	require.NoError(p.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return string(text)
}
