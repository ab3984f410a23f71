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

// Whoever meets a rule in an analysis finds its paragraph in docs/escrow.md
// under that very name.
func TestEveryEscrowRuleHasItsParagraph(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile(filepath.Join("..", "docs", "escrow.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## The rules\n")
	section, _, _ := strings.Cut(after, "\n## ")
	paragraphs := map[string]bool{}
	for part := range strings.SplitSeq(section, "\n### ") {
		heading, body, _ := strings.Cut(part, "\n\n")
		if heading != "" && strings.TrimSpace(body) != "" {
			paragraphs[heading] = true
		}
	}
	rules := escrowRulesInSource(t)
	if len(rules) == 0 {
		t.Fatal("escrow_rule.go holds no constant of type EscrowRule")
	}
	for _, rule := range rules {
		if !paragraphs[rule] {
			t.Errorf("docs/escrow.md has no paragraph headed %q", "### "+rule)
		}
	}
	if len(paragraphs) != len(rules) {
		t.Errorf("docs/escrow.md has %d paragraphs of rules; want the %d of escrow_rule.go", len(paragraphs), len(rules))
	}
}

// escrowRulesInSource returns the constants of type EscrowRule.
func escrowRulesInSource(t *testing.T) []string {
	t.Helper()

	file, err := parser.ParseFile(token.NewFileSet(), "escrow_rule.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		kind, isNamed := spec.Type.(*ast.Ident)
		value, isLiteral := spec.Values[0].(*ast.BasicLit)
		if isNamed && isLiteral && kind.Name == "EscrowRule" {
			rule, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, rule)
		}
		return true
	})
	return rules
}
