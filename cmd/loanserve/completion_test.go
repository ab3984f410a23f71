package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"loanserve/jobs"
)

// completed returns the candidates for the last word, without what they mean.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	got := runWith(t.Context(), environment{}, append([]string{"complete", "--"}, words...)...)
	require.Equal(t, exitOK, got.code, got.stderr)
	var found []string
	for line := range strings.Lines(got.stdout) {
		candidate, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		found = append(found, candidate)
	}
	return found
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	require.Contains(t, completed(t), "serve")
	require.NotContains(t, completed(t, ""), "complete", "it is hidden")
	require.Equal(t, []string{"doctor"}, completed(t, "do"))
	require.Equal(t, []string{"list", "jobs", "pause", "resume", "retry"}, completed(t, "queue", ""))
	require.Equal(t, []string{"resume", "retry"}, completed(t, "--log-level", "debug", "queue", "re"))
	require.Equal(t, []string{"discarded"}, completed(t, "queue", "jobs", "--state", "d"))
	require.Equal(t, []string{"--state=discarded"}, completed(t, "queue", "jobs", "--state=d"))
	require.Equal(t, []string{"discarded"}, completed(t, "queue", "jobs", "--state", "=", "d"))
	require.Contains(t, completed(t, "queue", "jobs", "--state", "="), "discarded")
	require.Equal(t, []string{"--json"}, completed(t, "queue", "jobs", "--j"))
	require.Equal(t, []string{"payment_batches", "payments"}, completed(t, "queue", "pause", "pay"))
	require.Equal(t, []string{"payment_batches", "payments"}, completed(t, "queue", "pause", "cycle", "pay"))
	require.ElementsMatch(t, jobs.Kinds(), completed(t, "queue", "jobs", "--kind", ""))
	require.Equal(t, []string{"--backup-wal=on", "--backup-wal=off"}, completed(t, "work", "--backup-wal=o"))
	require.Equal(t, []string{"on", "off"}, completed(t, "work", "--backup-wal", ""))
	require.Equal(t, allScopes(), completed(t, "token", "create", "--scope", ""))
	require.Contains(t, completed(t, "check", "--"), "--database-url", "those of what check alone does")
	require.Equal(t, []string{filesToo}, completed(t, "--config", ""))
	for _, words := range [][]string{
		{"nonsense", ""},
		{"version", ""},
		{"queue", "jobs", "--none", "x"},
		{"queue", "jobs", "--", "--st"},
		{"queue", "jobs", "--none="},
	} {
		require.Empty(t, completed(t, words...), words)
	}
}

// Every command and every flag of the program is a candidate where it can stand.
func TestCompletionKnowsEverything(t *testing.T) {
	t.Parallel()
	p := &program{env: environment{}.lookup, stdout: os.Stdout, stderr: os.Stderr}
	command, _ := p.parse([]string{"version"})
	var visit func(n *kong.Node, words []string)
	seen := 0
	visit = func(n *kong.Node, words []string) {
		all := completed(t, append(append([]string{}, words...), "--")...)
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				require.Contains(t, all, "--"+f.Name, words)
				seen++
			}
		}
		for _, child := range n.Children {
			if child.Hidden {
				continue
			}
			require.Contains(t, completed(t, append(append([]string{}, words...), "")...), child.Name)
			visit(child, append(append([]string{}, words...), child.Name))
		}
	}
	visit(command.context.Model.Node, nil)
	require.Greater(t, seen, 100)
}

// The real shells complete with the real program.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "loanserve")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for shell, c := range map[string]struct{ script, flag, queue string }{
		"bash": {
			script: `source <(loanserve completion bash)
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _loanserve; printf '%s\n' "${COMPREPLY[@]}"; }
complete -p loanserve >/dev/null || exit 1
`,
			flag: `try loanserve queue jobs --state = d`, queue: `try loanserve queue pause pay`,
		},
		"fish": {
			script: "loanserve completion fish | source\n",
			flag:   `complete -C "loanserve queue jobs --state d"`, queue: `complete -C "loanserve queue pause pay"`,
		},
		// What the completion system of zsh would do with the candidates needs a terminal:
		// _describe stands in for it.
		"zsh": {
			script: `compdef() { :; }; _describe() { print -rl -- "${(@P)2}"; }; _files() { :; }
eval "$(loanserve completion zsh)"
try() { words=("$@"); CURRENT=$#; _loanserve; }
`,
			flag: `try loanserve queue jobs --state d`, queue: `try loanserve queue pause pay`,
		},
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("%s is not installed", shell)
			}
			ask := func(what string) string {
				cmd := exec.CommandContext(t.Context(), path, "-c", c.script+what)
				cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				return string(out)
			}
			require.Equal(t, "discarded\n", ask(c.flag))
			require.ElementsMatch(t, []string{"payment_batches", "payments"}, strings.Fields(ask(c.queue)), "in its own order")
		})
	}
}
