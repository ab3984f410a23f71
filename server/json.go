package server

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// strict is how every request body is decoded. The decoder itself is
// case-sensitive and refuses duplicate names, invalid UTF-8 and anything after
// the value.
var strict = json.RejectUnknownMembers(true)

// jsonFormat is the one format of huma's bodies, in both directions.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		body, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			return err
		}
		_, err = w.Write(append(body, '\n'))
		return err
	},
	Unmarshal: func(body []byte, v any) error { return json.Unmarshal(body, v, strict) },
}

// What a body is read into before it is decoded: text, booleans and nil as they
// are, and these. A number stays as it was written: as float64 the difference
// between 9007199254740993 and its neighbor would be lost before it is checked.
type (
	jsonNumber string
	jsonArray  []any
	jsonObject []jsonMember // in order of name
	jsonMember struct {
		name  string
		value any
	}
)

// maxPointer is the longest place an answer repeats: ours are shorter.
const maxPointer = 200

// readJSON parses a request body. The error names the place of the mistake.
func readJSON(body []byte) (any, *problem) {
	if !utf8.Valid(body) {
		return nil, malformed("The body is not valid UTF-8.")
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	tree, err := readValue(d)
	if err == nil {
		if _, err = d.ReadToken(); errors.Is(err, io.EOF) {
			return tree, nil
		}
		return nil, badJSON("", "is not valid JSON at byte "+strconv.FormatInt(d.InputOffset(), 10))
	}
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return nil, badJSON("", "is not valid JSON")
	}
	pointer := string(syntactic.JSONPointer)
	if len(pointer) > maxPointer {
		pointer = ""
	}
	detail := "is not valid JSON at byte " + strconv.FormatInt(syntactic.ByteOffset, 10)
	switch {
	case errors.Is(syntactic.Err, jsontext.ErrDuplicateName):
		detail = "appears twice"
	case errors.Is(syntactic.Err, io.ErrUnexpectedEOF):
		detail = "ends too early"
	}
	return nil, badJSON(pointer, detail)
}

func badJSON(pointer, detail string) *problem {
	return malformed("The body is not valid JSON.", inBody(pointer, detail))
}

func readValue(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return readObject(d)
	case '[':
		return readArray(d)
	case '"':
		return token.String(), nil
	case '0':
		return jsonNumber(token.String()), nil
	case 'n':
		return nil, nil //nolint:nilnil // That is null.
	default:
		return token.Bool(), nil
	}
}

// readObject reads the members of an object, and its end.
func readObject(d *jsontext.Decoder) (jsonObject, error) {
	object := make(jsonObject, 0, 8)
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		m := jsonMember{name: name.String(), value: nil} // The token ends with the next.
		if m.value, err = readValue(d); err != nil {
			return nil, err
		}
		object = append(object, m)
	}
	slices.SortFunc(object, func(a, b jsonMember) int { return strings.Compare(a.name, b.name) })
	_, err := d.ReadToken()
	return object, err
}

// readArray reads the items of an array, and its end.
func readArray(d *jsontext.Decoder) (jsonArray, error) {
	array := jsonArray{}
	for d.PeekKind() != ']' {
		item, err := readValue(d)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
	_, err := d.ReadToken()
	return array, err
}
