package catalog

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	separator    = " | "
	indent       = "  "
	continuation = "    "
)

// Format writes the facts as text that people review: a line for each fact, and
// below it, indented, one for each attribute, whose further lines are indented
// twice. It writes the same for the same facts.
func Format(facts []Fact) []byte {
	var b bytes.Buffer
	for _, f := range facts {
		b.WriteString(f.Place + separator + f.Kind)
		if f.Name != "" {
			b.WriteString(separator + f.Name)
		}
		b.WriteByte('\n')
		for _, name := range slices.Sorted(maps.Keys(f.Attributes)) {
			value := strings.ReplaceAll(f.Attributes[name], "\n", "\n"+continuation)
			b.WriteString(indent + name + ": " + value + "\n")
		}
	}
	return b.Bytes()
}

// Parse reads what Format has written. Lines that begin with # say something
// about the facts, and are none.
func Parse(text []byte) ([]Fact, error) {
	var facts []Fact
	var attribute string
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, continuation) && attribute != "":
			facts[len(facts)-1].Attributes[attribute] += "\n" + line[len(continuation):]
		case strings.HasPrefix(line, indent) && len(facts) > 0:
			name, value, ok := strings.Cut(line[len(indent):], ": ")
			if !ok {
				return nil, fmt.Errorf("line %d of the facts is no attribute", n)
			}
			attribute = name
			facts[len(facts)-1].Attributes[name] = value
		default:
			parts := strings.SplitN(line, separator, 3)
			if len(parts) < 2 {
				return nil, fmt.Errorf("line %d of the facts is no fact", n)
			}
			parts = append(parts, "")
			facts = append(facts, Fact{Place: parts[0], Kind: parts[1], Name: parts[2], Attributes: map[string]string{}})
			attribute = ""
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read facts: %w", err)
	}
	return facts, nil
}
