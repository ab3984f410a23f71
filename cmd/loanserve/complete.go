package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"loanserve/backup"
	"loanserve/jobs"
)

// completeCommand prints the candidates for the last word of a command line that is
// being typed, one a line, with a tab before what it means. The line ":files" says that
// the names of files are candidates as well. Shells ask by it; see completion.go.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"The words after the program's name; the last one is not finished."`
}

const filesToo = ":files"

// Run implements the command.
func (c *completeCommand) Run(p *program, k *kong.Context) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, found := range candidates(k.Model.Node, words) {
		if _, err := fmt.Fprintln(p.stdout, found); err != nil {
			return err
		}
	}
	return nil
}

// typed is how far a command line was understood.
type typed struct {
	node    *kong.Node
	args    int  // how many arguments came after the last command
	noFlags bool // "--" has ended them
	lost    bool // a word was none of the commands
}

// candidates returns what the last of the words can be.
func candidates(root *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	t := typed{node: root, args: 0, noFlags: false, lost: false}
	current := words[len(words)-1]
	words = words[:len(words)-1]
	for i := 0; i < len(words); i++ {
		flag := t.flag(words[i])
		switch {
		case words[i] == "--" && !t.noFlags:
			t.noFlags = true
		case flag != nil:
			if isSwitch(flag) {
				continue
			}
			// Bash makes a word of its own of the sign between a flag and its value.
			if i+1 < len(words) && words[i+1] == "=" {
				i++
			}
			if i++; i >= len(words) {
				return valueCandidates(flag.Value, strings.TrimPrefix(current, "="), "")
			}
		case strings.HasPrefix(words[i], "-") && !t.noFlags: // With its value, or nothing we know.
		default:
			t.step(words[i])
		}
	}
	return t.candidates(current)
}

// flag is the flag that a whole word names, or nil.
func (t *typed) flag(word string) *kong.Flag {
	for _, f := range t.flags() {
		if !t.noFlags && (word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)) {
			return f
		}
	}
	return nil
}

// isSwitch says whether the flag has no value of its own. A type with a bool below that
// reads text has one.
func isSwitch(f *kong.Flag) bool {
	m, ok := f.Mapper.(kong.BoolMapper)
	return ok && m.IsBool()
}

// flags are those that can stand here: those of the command and all above it, and of
// the command that is meant where none is named.
func (t *typed) flags() []*kong.Flag {
	node := t.node
	if node.DefaultCmd != nil {
		node = node.DefaultCmd
	}
	return slices.Concat(node.AllFlags(true)...)
}

// step takes a word that is no flag: a command, or an argument.
func (t *typed) step(word string) {
	for _, child := range t.node.Children {
		if child.Name == word || slices.Contains(child.Aliases, word) {
			t.node, t.args = child, 0
			return
		}
	}
	t.args++
	t.lost = t.lost || len(t.node.Children) > 0
}

func (t *typed) candidates(current string) []string {
	if t.lost {
		return nil
	}
	if strings.HasPrefix(current, "-") && !t.noFlags {
		if name, value, ok := strings.Cut(current, "="); ok {
			if flag := t.flag(name); flag != nil {
				return valueCandidates(flag.Value, value, name+"=")
			}
			return nil
		}
		var found []string
		for _, f := range t.flags() {
			if name := "--" + f.Name; strings.HasPrefix(name, current) {
				found = append(found, name+"\t"+brief(f.Help))
			}
		}
		return found
	}
	var found []string
	for _, child := range t.node.Children {
		if !child.Hidden && strings.HasPrefix(child.Name, current) {
			found = append(found, child.Name+"\t"+brief(child.Help))
		}
	}
	if n := len(t.node.Positional); n > 0 {
		arg := t.node.Positional[min(t.args, n-1)]
		if t.args < n || arg.IsCumulative() {
			found = append(found, valueCandidates(arg, current, "")...)
		}
	}
	return found
}

// brief is the first part of a help text.
func brief(help string) string {
	for _, end := range []string{"; ", ". ", ": "} {
		help, _, _ = strings.Cut(help, end)
	}
	return strings.TrimSuffix(help, ".")
}

// valueCandidates returns the values of a flag or an argument that begin so, each with
// what has to stand before it.
func valueCandidates(v *kong.Value, begun, before string) []string {
	var found []string
	for _, value := range valuesOf(v) {
		if value != "" && strings.HasPrefix(value, begun) {
			found = append(found, before+value)
		}
	}
	if v.Tag.Type == "path" || v.Tag.Type == "existingfile" {
		found = append(found, filesToo)
	}
	return found
}

// valuesOf returns the values of a flag or an argument, where they are a closed set.
func valuesOf(v *kong.Value) []string {
	if v.Enum != "" {
		return v.EnumSlice()
	}
	kind := v.Target.Type()
	if kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	switch kind {
	case reflect.TypeFor[logLevel]():
		return []string{"debug", "info", "warn", "error"}
	case reflect.TypeFor[logFormat]():
		return []string{string(logJSON), string(logText)}
	case reflect.TypeFor[onOff]():
		return []string{"on", "off"}
	case reflect.TypeFor[backupKind]():
		var kinds []string
		for _, k := range backup.Kinds() {
			kinds = append(kinds, string(k))
		}
		return kinds
	}
	if kind.Kind() != reflect.String {
		return nil
	}
	switch v.Name {
	case "queue":
		return jobs.Queues()
	case "kind":
		return jobs.Kinds()
	case "scope":
		return allScopes()
	}
	return nil
}
