package mortgage_test

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

// Whoever meets a rule in the ledger finds its paragraph in docs/arithmetic.md
// under that very name.
func TestEveryRuleHasItsParagraph(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile(filepath.Join("..", "docs", "arithmetic.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	paragraphs := map[string]bool{}
	for i, line := range lines {
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			paragraphs[heading] = i+2 < len(lines) && lines[i+1] == "" && lines[i+2] != ""
		}
	}
	rules := rulesInSource(t)
	if len(rules) == 0 {
		t.Fatal("the source holds no constant of type Rule")
	}
	for name, rule := range rules {
		if !paragraphs[rule] {
			t.Errorf("docs/arithmetic.md has no paragraph headed %q; want one for %s", "### "+rule, name)
		}
	}
	if len(paragraphs) != len(rules) {
		t.Errorf("docs/arithmetic.md has paragraphs %v; want just those of %v", paragraphs, rules)
	}
}

// rulesInSource returns every constant of type Rule by its name.
func rulesInSource(t *testing.T) map[string]string {
	t.Helper()

	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
				return true
			}
			kind, isNamed := spec.Type.(*ast.Ident)
			value, isLiteral := spec.Values[0].(*ast.BasicLit)
			if isNamed && isLiteral && kind.Name == "Rule" {
				rule, err := strconv.Unquote(value.Value)
				if err != nil {
					t.Fatal(err)
				}
				rules[spec.Names[0].Name] = rule
			}
			return true
		})
	}
	return rules
}
