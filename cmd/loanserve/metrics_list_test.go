package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page is what was committed: make generate writes it.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	out := runWith(t.Context(), environment{}, "metrics")
	require.Zero(t, out.code, out.stderr)
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	require.Equal(t, string(page), out.stdout)
}

// A metric that nobody has described where it belongs, or whose labels may be anything,
// is a mistake of whoever adds it.
func TestMetricsPageRefuses(t *testing.T) {
	t.Parallel()
	_, err := metricsPage([]metric{{name: "loanserve_surprises_total", kind: "counter"}})
	require.ErrorContains(t, err, "loanserve_surprises_total is in no section")
	_, err = metricsPage([]metric{{name: "loanserve_queue_age", kind: "gauge", labels: []string{"loan_id"}}})
	require.ErrorContains(t, err, "the label loan_id")
}

// What the runbook has somebody type is a command line that the program takes.
func TestRunbookCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	env := environment{
		"DATABASE_URL": "postgres://localhost/loans", "LOANSERVE_BACKUP_URL": "file:///var/backups",
	}
	commands := 0
	for line := range strings.Lines(string(text)) {
		args, ok := strings.CutPrefix(line, "    loanserve ")
		if !ok {
			continue
		}
		commands++
		var stdout, stderr bytes.Buffer
		p := &program{env: env.lookup, stdout: &stdout, stderr: &stderr}
		command, _ := p.parse(strings.Fields(args))
		require.NotNil(t, command, "%s: %s", line, stderr.String())
	}
	require.Greater(t, commands, 5)
}
