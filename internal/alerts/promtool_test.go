package alerts_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/promserver"
)

// programs returns those of Prometheus, fetched where they are missing. They are 95 MB
// that not every run of all tests should wait for: make test/alerts asks for them.
func programs(t *testing.T) promserver.Programs {
	t.Helper()
	if os.Getenv("LOANSERVE_TEST_ALERTS") == "" {
		t.Skip("make test/alerts runs this")
	}
	p, err := promserver.Provision(t.Context(), func(line string) { t.Log(line) })
	require.NoError(t, err)
	return p
}

func TestPromtoolChecks(t *testing.T) {
	t.Parallel()
	p := programs(t)
	for name, args := range map[string][]string{
		"rules":  append([]string{"check", "rules"}, glob(t, "deploy/prometheus/rules/*.yml")...),
		"config": {"check", "config", root + "/deploy/prometheus/prometheus.yml"},
	} {
		out, err := exec.CommandContext(t.Context(), p.Promtool, args...).CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
}

// Each file of tests runs by itself, so that those with coarse steps are quick.
func TestRules(t *testing.T) {
	t.Parallel()
	p := programs(t)
	for _, path := range glob(t, "deploy/prometheus/tests/*.yml") {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), p.Promtool, "test", "rules", path).CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}
