package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every sort of problem and every code of a rule that refuses has a paragraph in
// docs/problems.md.
func TestProblemsAreExplained(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("../docs/problems.md")
	require.NoError(t, err)
	headings := strings.Split(string(page), "\n")
	files, err := filepath.Glob("../jobs/*.go")
	require.NoError(t, err)
	found := 0
	codes := regexp.MustCompile(`(?:kind\{|\t(?:reason|refusal|exception)[A-Z]\w* *= )"([a-z_-]+)"`)
	for _, file := range append(files, "problem.go", "payment_batch_lines.go") {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, code := range codes.FindAllStringSubmatch(string(source), -1) {
			found++
			require.True(t, slices.Contains(headings, "## "+code[1]), "%s of %s has no paragraph", code[1], file)
		}
	}
	require.Greater(t, found, 20, "codes")
}
