package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settings gives a flag that is not on the command line the value of its
// environment variable, or else of the configuration file. Kong could read the
// environment by itself, but would then let a file win over it.
type settings struct {
	env func(name string) (string, bool)

	file     string // its name
	fromFile map[string]string
	loaded   bool
}

// secretSuffix makes of a secret's name the name of the variable that holds
// the path of a file with it.
const secretSuffix = "_FILE"

// setting is the name of the flag's environment variable, or "".
func setting(v *kong.Value) string { return v.Tag.Get("setting") }

func secret(v *kong.Value) bool { return v.Tag.Has("secret") }

// helpText is a flag's help with the name of its environment variable.
func helpText(v *kong.Value) string {
	name := setting(v)
	if name == "" {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (" + variables(v) + ")."
}

// variables names the environment variables of a flag that has some.
func variables(v *kong.Value) string {
	names := "$" + setting(v)
	if secret(v) {
		names += " or $" + setting(v) + secretSuffix
	}
	return names
}

// missing names the variables of required flags that nobody set, for the end
// of kong's own message, which names the flags.
func missing(err error) string {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil || parse.Context.Selected() == nil ||
		!strings.HasPrefix(parse.Error(), "missing flags") { // Whatever else is wrong is not of those flags.
		return ""
	}
	for _, flag := range parse.Context.Flags() {
		if flag.Required && !flag.Set && setting(flag.Value) != "" {
			return " (" + variables(flag.Value) + ")"
		}
	}
	return ""
}

// Validate implements kong.Resolver.
func (*settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. Its errors name the variable, and kong puts
// the flag before it.
func (s *settings) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	name := setting(flag.Value)
	if name == "" {
		return nil, nil //nolint:nilnil // That is how a resolver says it knows nothing.
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	for _, source := range []struct {
		name   string
		lookup func(string) (string, bool)
	}{
		{"", s.lookupEnv},
		{" in " + s.file, s.lookupFile},
	} {
		text, found, err := read(source.lookup, name, secret(flag.Value))
		if err == nil && found {
			err = check(flag, text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", name, source.name, err)
		}
		if found {
			return text, nil
		}
	}
	return nil, nil //nolint:nilnil // See above.
}

// lookupEnv takes a variable that is empty for one that is not set, as shells
// and container platforms leave them behind.
func (s *settings) lookupEnv(name string) (string, bool) {
	value, ok := s.env(name)
	return value, ok && value != ""
}

// read looks a setting up, directly or in the file that NAME_FILE names.
func read(lookup func(string) (string, bool), name string, secret bool) (text string, found bool, err error) {
	text, found = lookup(name)
	if !secret {
		return text, found, nil
	}
	path, inFile := lookup(name + secretSuffix)
	if found && inFile {
		return "", false, fmt.Errorf("is set, and %s as well: set one of them", name+secretSuffix)
	}
	if !inFile {
		return text, found, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", false, fmt.Errorf("read the file that %s names: %w", name+secretSuffix, err)
	}
	return strings.TrimRight(string(content), "\r\n"), true, nil
}

// check tries the text on a value like the flag's, so that the error can name
// where the text came from.
func check(flag *kong.Flag, text string) error {
	scan := kong.Scan().PushTyped(text, kong.FlagValueToken)
	err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, reflect.New(flag.Target.Type()).Elem())
	if err != nil && secret(flag.Value) && !errors.As(err, new(safeError)) {
		return errors.New("is not a value for it") // The error may repeat the text.
	}
	return err
}

func (s *settings) lookupFile(name string) (string, bool) {
	value, ok := s.fromFile[name]
	return value, ok
}

// load reads the configuration file, once, if there is one.
func (s *settings) load(ctx *kong.Context) error {
	if s.loaded {
		return nil
	}
	s.loaded = true
	for _, flag := range ctx.Flags() {
		if flag.Name == "config" {
			s.file, _ = ctx.FlagValue(flag).(string)
		}
	}
	if s.file == "" {
		s.file, _ = s.env("LOANSERVE_CONFIG")
	}
	if s.file == "" {
		return nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	s.fromFile, err = parseSettings(string(text), known(ctx.Model.Node))
	if err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	return nil
}

// parseSettings reads NAME=VALUE lines. Blank lines and those that begin with #
// are skipped, and quotes around a value are taken off. Values are not in its
// errors.
func parseSettings(text string, known []string) (map[string]string, error) {
	values := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		switch _, twice := values[name]; {
		case !ok:
			return nil, fmt.Errorf("line %d is not NAME=VALUE", n)
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("line %d sets %q, which is no setting of this program", n, name)
		case twice:
			return nil, fmt.Errorf("line %d sets %s a second time", n, name)
		}
		values[name] = unquote(strings.TrimSpace(value))
	}
	return values, lines.Err()
}

func unquote(s string) string {
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		return s[1 : n-1]
	}
	return s
}

// known lists the names of all settings of all commands.
func known(node *kong.Node) []string {
	var names []string
	for _, flag := range node.Flags {
		if name := setting(flag.Value); name != "" && name != "LOANSERVE_CONFIG" {
			names = append(names, name)
			if secret(flag.Value) {
				names = append(names, name+secretSuffix)
			}
		}
	}
	for _, child := range node.Children {
		names = append(names, known(child)...)
	}
	return names
}
