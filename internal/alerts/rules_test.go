package alerts_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var (
	heading     = regexp.MustCompile(`(?m)^## (\w+)$`)
	usedLabel   = regexp.MustCompile(`\$labels\.(\w+)`)
	testedAlert = regexp.MustCompile(`^ALERTS\{alertname="(\w+)"\}$`)
	sampleLabel = regexp.MustCompile(`(\w+)="`)
	successOf   = regexp.MustCompile(`_scrape_success$`)
)

// Every alert says what it is, how urgent, and where the runbook helps, and the runbook
// has no section that nobody is sent to.
func TestAlertsHaveTheirSections(t *testing.T) {
	t.Parallel()
	var sections, names []string
	for _, m := range heading.FindAllStringSubmatch(readFile(t, "docs/runbook.md"), -1) {
		sections = append(sections, m[1])
	}
	for _, a := range readAlerts(t) {
		names = append(names, a.Alert)
		require.Contains(t, []string{"page", "warning"}, a.Labels["severity"], a.Alert)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		require.Equal(t, "docs/runbook.md#"+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
	}
	slices.Sort(sections)
	slices.Sort(names)
	require.Equal(t, names, sections)
}

// A rule that names a metric that nobody exports never fires.
func TestRulesNameWhatIsExported(t *testing.T) {
	t.Parallel()
	metrics := readMetrics(t)
	var all []string
	for _, a := range readAlerts(t) {
		for _, name := range seriesOf(a.Expr) {
			require.True(t, exported(metrics, name), "%s names %s", a.Alert, name)
			all = append(all, name)
		}
	}
	require.Greater(t, len(all), 40)
}

// ruleTests is a file of unit tests, as promtool reads it.
type ruleTests struct {
	Tests []struct {
		Name        string `yaml:"name"`
		InputSeries []struct {
			Series string `yaml:"series"`
		} `yaml:"input_series"`
		ExprTests []struct {
			Expr    string `yaml:"expr"`
			Samples []struct {
				Labels string `yaml:"labels"`
			} `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

// Every alert is seen to fire and not to fire, the second before it may where it waits,
// what it says of labels is of labels that it has, and what it is tested with exists.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	metrics := readMetrics(t)
	firing, quiet, pending, blind := map[string][]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, path := range glob(t, "deploy/prometheus/tests/*.yml") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var file ruleTests
		require.NoError(t, yaml.Unmarshal(text, &file), path)
		for _, test := range file.Tests {
			for _, in := range test.InputSeries {
				name := word.FindString(in.Series)
				require.True(t, exported(metrics, name), "%s: %s", test.Name, name)
				blind[name] = true
			}
			for _, e := range test.ExprTests {
				m := testedAlert.FindStringSubmatch(e.Expr)
				require.NotNil(t, m, e.Expr)
				require.True(t, strings.HasPrefix(test.Name, m[1]+": "), test.Name)
				quiet[m[1]] = quiet[m[1]] || len(e.Samples) == 0
				for _, s := range e.Samples {
					pending[m[1]] = pending[m[1]] || strings.Contains(s.Labels, `"pending"`)
					if strings.Contains(s.Labels, `"firing"`) {
						firing[m[1]] = append(firing[m[1]], s.Labels)
					}
				}
			}
		}
	}
	for _, a := range readAlerts(t) {
		require.NotEmpty(t, firing[a.Alert], "%s is not seen to fire", a.Alert)
		require.True(t, quiet[a.Alert], "%s is not seen to be quiet", a.Alert)
		require.Equal(t, a.For != "", pending[a.Alert], "%s is seen to wait, where it waits", a.Alert)
		for _, text := range a.Annotations {
			for _, label := range usedLabel.FindAllStringSubmatch(text, -1) {
				has := slices.ContainsFunc(sampleLabel.FindAllStringSubmatch(firing[a.Alert][0], -1),
					func(m []string) bool { return m[1] == label[1] })
				require.True(t, has, "%s has no label %s", a.Alert, label[1])
			}
		}
	}
	for name := range metrics {
		if successOf.MatchString(name) {
			require.True(t, blind[name], "%s is not tested", name)
		}
	}
}
