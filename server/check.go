package server

import (
	"fmt"
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
	at       []string // names and indexes on the way to where the walk is
	faults   []fault

	path   huma.PathBuffer // for huma, which wants one
	result huma.ValidateResult
}

// checkBody returns the problem with the body, or nil.
func checkBody(registry huma.Registry, s *huma.Schema, body any) *problem {
	c := checker{registry: registry}
	c.check(s, body)
	if len(c.faults) > 0 {
		return invalid(c.faults...)
	}
	return nil
}

// add adds a fault of what is below the place where the walk is.
func (c *checker) add(detail string, below ...string) {
	if len(c.faults) == maxFaults {
		return
	}
	var at jsontext.Pointer
	for _, token := range append(c.at, below...) {
		at = at.AppendToken(token)
	}
	c.faults = append(c.faults, inBody(string(at), detail))
}

// checkBelow checks a member or an item of what is checked.
func (c *checker) checkBelow(name string, s *huma.Schema, v any) {
	c.at = append(c.at, name)
	c.check(s, v)
	c.at = c.at[:len(c.at)-1]
}

func (c *checker) check(s *huma.Schema, v any) {
	s = resolve(c.registry, s)
	if v == nil {
		if !s.Nullable {
			c.add("must not be null; leave an optional member out instead")
		}
		return
	}
	switch s.Type {
	case huma.TypeObject:
		c.checkObject(s, v)
	case huma.TypeArray:
		c.checkArray(s, v)
	default:
		c.checkScalar(s, v)
	}
}

func (c *checker) checkObject(s *huma.Schema, v any) {
	object, ok := v.(jsonObject)
	if !ok {
		c.add("must be an object")
		return
	}
	for _, name := range s.Required {
		if !slices.ContainsFunc(object, func(m jsonMember) bool { return m.name == name }) {
			c.add("is required", name)
		}
	}
	for _, m := range object {
		property, ok := s.Properties[m.name]
		switch {
		case ok:
			c.checkBelow(m.name, property, m.value)
		case len(m.name) > maxNameEcho:
			c.add("has a member that is not known")
		default:
			c.add("is not known", m.name)
		}
	}
}

func (c *checker) checkArray(s *huma.Schema, v any) {
	array, ok := v.(jsonArray)
	if !ok || s.MinItems != nil && len(array) < *s.MinItems || s.MaxItems != nil && len(array) > *s.MaxItems {
		c.add(describe(s))
		return
	}
	for i, item := range array {
		c.checkBelow(strconv.Itoa(i), s.Items, item)
	}
}

func (c *checker) checkScalar(s *huma.Schema, v any) {
	if text, ok := v.(string); ok && strings.ContainsRune(text, 0) {
		c.add("must not contain the character U+0000") // PostgreSQL cannot store it.
		return
	}
	if number, ok := v.(jsonNumber); ok {
		whole, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil { // A fraction, an exponent, or beyond 64 bits.
			c.add(describe(s))
			return
		}
		v = whole
	}
	if !c.valid(s, v) {
		c.add(describe(s))
	}
}

// valid says whether huma accepts a single value.
func (c *checker) valid(s *huma.Schema, v any) bool {
	c.path.Reset()
	c.result.Reset()
	huma.Validate(c.registry, s, &c.path, huma.ModeWriteToServer, v, &c.result)
	return len(c.result.Errors) == 0
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
		names := make([]string, 0, len(s.Enum))
		for _, name := range s.Enum {
			if name != nil { // Null says that nothing is set.
				names = append(names, fmt.Sprint(name))
			}
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
