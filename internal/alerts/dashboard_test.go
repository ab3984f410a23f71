package alerts_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const dashboardPath = "deploy/grafana/loanserve.json"

// dashboard is what Grafana reads, as far as a mistake in it would show. Names without
// a tag are found whatever their case.
type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	}
	Targets []struct {
		RefID        string
		Expr         string `json:"expr"`
		LegendFormat string
		Datasource   struct {
			Type string `json:"type"`
			UID  string `json:"uid"`
		} `json:"datasource"`
	} `json:"targets"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	require.NoError(t, json.Unmarshal([]byte(readFile(t, dashboardPath)), &d))
	require.NotEmpty(t, d.Panels)
	return d
}

// query is the target's expression as Grafana would send it.
func query(expr string) string { return strings.ReplaceAll(expr, "$__rate_interval", "5m") }

func TestDashboard(t *testing.T) {
	t.Parallel()
	d, metrics := readDashboard(t), readMetrics(t)
	require.Equal(t, "loanserve", d.UID)
	require.Len(t, d.Templating.List, 1)
	require.Equal(t, "datasource", d.Templating.List[0].Type)
	ids, titles, taken, shown := map[int]bool{}, map[string]bool{}, map[string]string{}, map[string]bool{}
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], "id %d is taken", p.ID)
		require.False(t, titles[p.Title], "title %s is taken", p.Title)
		ids[p.ID], titles[p.Title] = true, true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := fmt.Sprintf("%d/%d", p.GridPos.X+x, p.GridPos.Y+y)
				require.Empty(t, taken[at], "%s lies on another panel", p.Title)
				taken[at] = p.Title
			}
		}
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		refs := map[string]bool{}
		for _, target := range p.Targets {
			require.False(t, refs[target.RefID], "%s has two of %s", p.Title, target.RefID)
			refs[target.RefID] = true
			require.Equal(t, "${"+d.Templating.List[0].Name+"}", target.Datasource.UID, p.Title)
			require.NotEmpty(t, target.LegendFormat, p.Title)
			for _, name := range seriesOf(query(target.Expr)) {
				require.True(t, exported(metrics, name), "%s names %s", p.Title, name)
				for _, part := range []string{"", "_bucket", "_count"} {
					shown[strings.TrimSuffix(name, part)] = true
				}
			}
		}
	}
	for name, m := range metrics {
		read := strings.HasSuffix(name, "_scrape_success") || // By a pattern.
			strings.HasPrefix(name, "loanserve_purge_") // Details of a run.
		require.True(t, shown[name] || read, "the dashboard does not show %s (%s)", name, m.kind)
	}
}

// Every query parses: as the expression of a rule, which promtool checks.
func TestDashboardQueriesParse(t *testing.T) {
	t.Parallel()
	p := programs(t)
	var rules []map[string]string
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			rules = append(rules, map[string]string{
				"record": fmt.Sprintf("panel:%d:%s", panel.ID, target.RefID), "expr": query(target.Expr),
			})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	out, err := exec.CommandContext(t.Context(), p.Promtool, "check", "rules", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), fmt.Sprintf("%d rules found", len(rules)))
}
