package remittance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// reasonsInSource returns every reason by the name of its constant.
func reasonsInSource(tb testing.TB) map[string]string {
	tb.Helper()

	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, parser.SkipObjectResolution)
	if err != nil {
		tb.Fatal(err)
	}
	reasons := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "reason") {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			tb.Fatal(err)
		}
		reasons[spec.Names[0].Name] = text
		return true
	})
	return reasons
}

// matches says whether a reason is the constant, behind the name of a field or
// before the number of a line where it has one.
func matches(reason, constant string) bool {
	switch {
	case strings.HasPrefix(constant, ":"):
		return strings.HasSuffix(reason, constant) && strings.Count(reason, ":") == strings.Count(constant, ":")
	case strings.HasSuffix(constant, "line"):
		number, ok := strings.CutPrefix(reason, constant+" ")
		_, err := strconv.Atoi(number)
		return ok && err == nil
	default:
		return reason == constant
	}
}

func isReason(reason string, reasons map[string]string) bool {
	for _, constant := range reasons {
		if matches(reason, constant) {
			return true
		}
	}
	return false
}

// Whoever meets a fault finds it in docs/files.md, word for word, and there is
// no fault that no test has seen.
func TestEveryReasonIsDocumentedAndTested(t *testing.T) {
	t.Parallel()

	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "files.md"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := reasonsInSource(t)
	if len(reasons) < 40 {
		t.Fatalf("the source holds %d reasons", len(reasons))
	}
	seen := map[string]bool{ // in tests of their own
		"reasonBytes": true, "reasonItems": true, "reasonControlItems": true, "reasonControlTotal": true,
	}
	for _, tt := range allFaults() {
		for _, fault := range tt.want {
			for name, constant := range reasons {
				seen[name] = seen[name] || matches(fault.Reason, constant)
			}
		}
	}
	for name, constant := range reasons {
		if !strings.Contains(string(manual), "| `"+strings.TrimPrefix(constant, ": ")) {
			t.Errorf("docs/files.md has no row for %s: %q", name, constant)
		}
		if !seen[name] {
			t.Errorf("no case of a fault has %s: %q", name, constant)
		}
	}
}

// The examples in the manual are the files that the tests read.
func TestExamplesAreReal(t *testing.T) {
	t.Parallel()

	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "files.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{csvFile, lockboxFile, debitsFile, returnsFile} {
		text := strings.ReplaceAll(golden(t, name), strings.Repeat("9", 94)+"\n", "")
		if !strings.Contains(string(manual), "```text\n"+text+"```") {
			t.Errorf("docs/files.md does not show %s", name)
		}
	}
}
