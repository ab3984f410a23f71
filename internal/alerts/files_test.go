package alerts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const root = "../.."

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}

// glob lists files by a pattern below the root; there are some.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	return files
}

// alert is one alert rule.
type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// readAlerts returns all alerts of the files in deploy/prometheus/rules.
func readAlerts(t *testing.T) []alert {
	t.Helper()
	var all []alert
	for _, path := range glob(t, "deploy/prometheus/rules/*.yml") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var file struct {
			Groups []struct {
				Rules []alert `yaml:"rules"`
			} `yaml:"groups"`
		}
		require.NoError(t, yaml.Unmarshal(text, &file), path)
		for _, group := range file.Groups {
			all = append(all, group.Rules...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// metric is a row of docs/metrics.md, which `make verify` holds against the program.
type metric struct {
	labels []string
	kind   string
}

var (
	metricRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]*) \\| (counter|gauge|histogram) \\|")
	code      = regexp.MustCompile("`([^`]+)`")
)

// readMetrics returns what the program exports, by name.
func readMetrics(t *testing.T) map[string]metric {
	t.Helper()
	metrics := map[string]metric{}
	for _, row := range metricRow.FindAllStringSubmatch(readFile(t, "docs/metrics.md"), -1) {
		m := metric{kind: row[3]}
		for _, label := range code.FindAllStringSubmatch(row[2], -1) {
			m.labels = append(m.labels, label[1])
		}
		metrics[row[1]] = m
	}
	require.Greater(t, len(metrics), 40)
	return metrics
}

// exported says whether a query may name the series: a metric of the program, a part
// of a histogram of it, or what Prometheus and its client library make by themselves.
func exported(metrics map[string]metric, name string) bool {
	if _, ok := metrics[name]; ok || name == "up" {
		return true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, part); ok && metrics[base].kind == "histogram" {
			return true
		}
	}
	return slices.Contains([]string{"go_goroutines", "process_resident_memory_bytes", "process_start_time_seconds"}, name)
}

var (
	quoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector = regexp.MustCompile(`\{[^}]*\}`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	ranges   = regexp.MustCompile(`\[[^\]]*\]`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

// seriesOf lists the names of the series in an expression: words that are neither
// functions nor labels nor words of the language.
func seriesOf(expr string) []string {
	for _, not := range []*regexp.Regexp{quoted, selector, grouping, ranges} {
		expr = not.ReplaceAllString(expr, " ")
	}
	var names []string
	for _, at := range word.FindAllStringIndex(expr, -1) {
		name, rest := expr[at[0]:at[1]], strings.TrimLeft(expr[at[1]:], " \n\t")
		digit := at[0] > 0 && expr[at[0]-1] >= '0' && expr[at[0]-1] <= '9' // 1e9 is a number.
		if digit || strings.HasPrefix(rest, "(") ||
			slices.Contains([]string{"and", "or", "unless", "bool", "offset", "by", "without", "inf", "nan"}, name) {
			continue
		}
		names = append(names, name)
	}
	return names
}

func TestSeriesOf(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string][]string{
		`max(a_total{b="c"}) > 0 or sum by (d) (rate(e_bucket[5m])) > 1e9`: {"a_total", "e_bucket"},
		`f == on () group_left () max(g)`:                                  {"f", "g"},
		`{__name__=~"h.*"} == 0`:                                           nil,
		`time() - max by (k) (i > 0) > 26 * 3600`:                          {"i"},
		`label_replace(j, "l", "$1", "m", "(.+)")`:                         {"j"},
	} {
		require.Equal(t, want, seriesOf(expr), expr)
	}
}
