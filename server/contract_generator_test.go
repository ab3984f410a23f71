package server_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// generator makes requests from schemas: most of them good, the others wrong in
// one of the ways in which clients are.
type generator struct {
	*rand.Rand

	schemas huma.Registry
	seen    []string
}

// one is true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

type sentBody struct {
	text      []byte
	mediaType string
}

func (g generator) bodyOf(op *huma.Operation) sentBody {
	if op.RequestBody == nil {
		if g.one(20) {
			return sentBody{[]byte(g.oddText()), "application/json"}
		}
		return sentBody{[]byte{}, ""}
	}
	types := slices.Sorted(maps.Keys(op.RequestBody.Content))
	mediaType := types[g.IntN(len(types))]
	var text []byte
	if schema := op.RequestBody.Content[mediaType].Schema; mediaType == "application/json" {
		value, err := json.Marshal(g.value(schema, "", 0))
		if err != nil {
			panic(err) // Nothing that is made here cannot be written.
		}
		text = value
	} else {
		text = []byte(csvHeader + strings.Repeat("A-1,10.00,2026-01-15,check,periodic,r-1\n", g.IntN(3)) + g.oddText())
	}
	if g.one(8) {
		text = g.spoil(text)
	}
	if g.one(30) {
		mediaType = []string{
			"", "text/plain", "application/xml", "application/json; charset=utf-16", ";;", "multipart/form-data",
		}[g.IntN(6)]
	}
	return sentBody{text, mediaType}
}

// spoil makes what is no longer JSON, or not what it was.
func (g generator) spoil(text []byte) []byte {
	switch whole := string(text); g.IntN(8) {
	case 0:
		return text[:g.IntN(len(text)+1)]
	case 1:
		return []byte(strings.Replace(whole, "{", `{"a":1,"a":2,`, 1))
	case 2:
		return []byte(whole + whole)
	case 3:
		return []byte(strings.Repeat("[", 9000) + strings.Repeat("]", 9000))
	case 4:
		return []byte("\ufeff" + whole)
	case 5:
		return []byte(strings.Replace(whole, `:"`, ":\"\xff\\ud800", 1))
	case 6:
		return []byte("null")
	default:
		return []byte(strings.Replace(whole, "{", `{"memo_":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+",", 1))
	}
}

// value is one that the schema allows, and one time in 25 any other.
func (g generator) value(s *huma.Schema, name string, depth int) any {
	if s.Ref != "" {
		s = g.schemas.SchemaFromRef(s.Ref)
	}
	if g.one(25) {
		return g.odd()
	}
	if len(s.Enum) > 0 {
		return s.Enum[g.IntN(len(s.Enum))]
	}
	switch s.Type {
	case huma.TypeObject:
		return g.object(s, depth)
	case huma.TypeArray:
		list := make([]any, 0, 3)
		for range g.IntN(3) {
			list = append(list, g.value(s.Items, name, depth+1))
		}
		return list
	case huma.TypeInteger, huma.TypeNumber:
		return g.integer(s)
	case huma.TypeBoolean:
		return g.one(2)
	default:
		return g.text(s, name)
	}
}

func (g generator) object(s *huma.Schema, depth int) any {
	made := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if depth < 6 && (slices.Contains(s.Required, name) && !g.one(40) || g.one(2)) {
			made[name] = g.value(s.Properties[name], name, depth+1)
		}
	}
	if g.one(40) {
		made[g.oddText()] = g.odd()
	}
	return made
}

// integer is small, at a limit, or just beyond it.
func (g generator) integer(s *huma.Schema) any {
	low, high := int64(0), int64(1)<<53
	if s.Minimum != nil {
		low = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		high = int64(*s.Maximum)
	}
	switch g.IntN(12) {
	case 0:
		return low
	case 1:
		return high
	case 2:
		return low - 1
	case 3:
		return json.Number(strconv.FormatUint(uint64(max(high, 0))+1, 10))
	case 4:
		return low + g.Int64N(max(high-low, 1))
	default:
		return low + g.Int64N(min(max(high-low, 1), 4))
	}
}

// samples are texts of the forms that the contract's patterns ask for.
var samples = []string{
	"2026-01-15", "2026-02-30", "1900-01-01", "2199-12-31", "2026-12", "R01", "misapplied", "abc", "A-1", "NY", "12345",
	"123456789", "021000021", "10.00", "2026-01-15T10:00:00Z", "test", "a", "1", "0", "127.0.0.1/32", "10.0.0.0/8", "payments:read",
}

func (g generator) text(s *huma.Schema, name string) any {
	if s.Format == "uuid" || strings.HasSuffix(name, "_id") && len(g.seen) > 0 && g.one(2) {
		if len(g.seen) > 0 && !g.one(4) {
			return g.seen[g.IntN(len(g.seen))]
		}
		return uuid.UUID{0: byte(g.IntN(256)), 6: 0x40, 8: 0x80}.String()
	}
	switch s.Format {
	case "date":
		return samples[g.IntN(4)]
	case "date-time":
		return []string{
			"2026-01-15T10:00:00Z", "2026-01-15T23:59:60Z", "0000-01-01T00:00:00Z", "2026-01-15T10:00:00+14:00",
		}[g.IntN(4)]
	}
	if s.Pattern != "" {
		fits := regexp.MustCompile(s.Pattern)
		for range 40 {
			if sample := samples[g.IntN(len(samples))]; fits.MatchString(sample) {
				return sample
			}
		}
	}
	most := 40
	if s.MaxLength != nil {
		most = *s.MaxLength
	}
	switch g.IntN(8) {
	case 0:
		return strings.Repeat("x", min(most, 5000))
	case 1:
		return strings.Repeat("x", min(most, 5000)+1)
	case 2:
		return strings.Repeat("\u1e9e", min(most, 5000))
	case 3:
		return g.oddText()
	default:
		return samples[g.IntN(len(samples))]
	}
}

// odd is what no schema asks for at its place.
func (g generator) odd() any {
	return []any{
		nil, true, -1, 0, 1.5, json.Number("1e400"), json.Number("9223372036854775808"), json.Number("-0"),
		json.Number("1E2"), "",
		[]any{},
		map[string]any{},
		[]any{nil},
		map[string]any{"": nil},
		g.oddText(),
	}[g.IntN(15)]
}

func (g generator) oddText() string {
	return []string{
		"", " ", "\x00", "a\x00b", "\u202e\u200f", "e\u0301", "\U0001f600", "'; DROP TABLE loans --", "../../etc/passwd", "%00",
		"\r\nX: y", "<script>alert(1)</script>", "NaN", "Infinity", "-1", "99999999999999999999", "0x10", "1e3", "a/b", "..", ".",
		"\ufffd", "\xff\xfe", "\u0130", strings.Repeat("9", 400), "{}", "null", "?", "#",
	}[g.IntN(29)]
}

// asText is a parameter, as it is written in a path, a query or a header.
func (g generator) asText(s *huma.Schema, name string) string {
	if g.one(12) {
		return g.oddText()
	}
	switch v := g.value(s, name, 0).(type) {
	case string:
		return v
	default:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // Nothing that is made here cannot be written.
		}
		return string(text)
	}
}
