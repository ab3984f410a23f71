package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxFaults is how many mistakes one answer lists.
	maxFaults = 16
	// maxNameEcho is the longest unknown name an answer repeats.
	maxNameEcho = 64
)

// checker holds a parsed body against the schema the contract publishes.
//
// huma can do that, too, but names places as dotted text in which a client's
// own names are not told apart, puts the rejected value into the error, takes
// null for an optional member, and checks numbers as floats. So the walk is
// here and only single values are left to it.
type checker struct {
	registry huma.Registry
	faults   []fault
}

// checkBody returns the problem with the body, or nil.
func checkBody(registry huma.Registry, s *huma.Schema, body any) *problem {
	c := checker{registry: registry}
	c.check(s, body, "")
	if len(c.faults) > 0 {
		return invalid(c.faults...)
	}
	return nil
}

func (c *checker) add(at jsontext.Pointer, detail string) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, inBody(string(at), detail))
	}
}

func (c *checker) check(s *huma.Schema, v any, at jsontext.Pointer) {
	s = resolve(c.registry, s)
	if v == nil {
		if !s.Nullable {
			c.add(at, "must not be null; leave an optional member out instead")
		}
		return
	}
	switch s.Type {
	case huma.TypeObject:
		c.checkObject(s, v, at)
	case huma.TypeArray:
		c.checkArray(s, v, at)
	default:
		c.checkScalar(s, v, at)
	}
}

func (c *checker) checkObject(s *huma.Schema, v any, at jsontext.Pointer) {
	object, ok := v.(map[string]any)
	if !ok {
		c.add(at, "must be an object")
		return
	}
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			c.add(at.AppendToken(name), "is required")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property, ok := s.Properties[name]
		switch {
		case ok:
			c.check(property, object[name], at.AppendToken(name))
		case len(name) > maxNameEcho:
			c.add(at, "has a member that is not known")
		default:
			c.add(at.AppendToken(name), "is not known")
		}
	}
}

func (c *checker) checkArray(s *huma.Schema, v any, at jsontext.Pointer) {
	array, ok := v.([]any)
	if !ok || s.MinItems != nil && len(array) < *s.MinItems || s.MaxItems != nil && len(array) > *s.MaxItems {
		c.add(at, describe(s))
		return
	}
	for i, item := range array {
		c.check(s.Items, item, at.AppendToken(strconv.Itoa(i)))
	}
}

func (c *checker) checkScalar(s *huma.Schema, v any, at jsontext.Pointer) {
	if text, ok := v.(string); ok && strings.ContainsRune(text, 0) {
		c.add(at, "must not contain the character U+0000") // PostgreSQL cannot store it.
		return
	}
	if number, ok := v.(jsontext.Value); ok {
		whole, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil { // A fraction, an exponent, or beyond 64 bits.
			c.add(at, describe(s))
			return
		}
		v = whole
	}
	if !valid(c.registry, s, v) {
		c.add(at, describe(s))
	}
}

// valid says whether huma accepts a single value.
func valid(registry huma.Registry, s *huma.Schema, v any) bool {
	var result huma.ValidateResult
	huma.Validate(registry, s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &result)
	return len(result.Errors) == 0
}

func resolve(registry huma.Registry, s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	return s
}

// describe says what a value must be, from the schema alone, so that nothing of
// the value can be in it.
func describe(s *huma.Schema) string {
	switch {
	case len(s.Enum) == 1:
		return fmt.Sprint("must be ", s.Enum[0])
	case len(s.Enum) > 0:
		names := make([]string, len(s.Enum))
		for i, name := range s.Enum {
			names[i] = fmt.Sprint(name)
		}
		return "must be one of " + strings.Join(names, ", ")
	case s.PatternDescription != "":
		return "must be " + s.PatternDescription
	}
	switch s.Type {
	case huma.TypeInteger:
		return "must be a whole number" + span(s.Minimum, s.Maximum, "", "")
	case huma.TypeBoolean:
		return "must be true or false"
	case huma.TypeArray:
		return "must be an array" + span(s.MinItems, s.MaxItems, " of", " items")
	case huma.TypeObject:
		return "must be an object"
	}
	switch s.Format {
	case "date":
		return "must be a calendar day written YYYY-MM-DD"
	case "date-time":
		return "must be an instant as in RFC 3339"
	case "uuid":
		return "must be a UUID"
	case "email":
		return "must be an e-mail address"
	default:
		return "must be text" + span(s.MinLength, s.MaxLength, " of", " characters")
	}
}

// span words a range of which either end may be open.
func span[N int | float64](low, high *N, before, after string) string {
	text := func(n *N) string { return strconv.FormatFloat(float64(*n), 'f', -1, 64) }
	switch {
	case low != nil && high != nil:
		if before == "" {
			return " from " + text(low) + " to " + text(high)
		}
		return before + " " + text(low) + " to " + text(high) + after
	case low != nil:
		return before + " at least " + text(low) + after
	case high != nil:
		return before + " at most " + text(high) + after
	default:
		return ""
	}
}
