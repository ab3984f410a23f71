package server

import (
	"errors"
	"io"
	"strconv"
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

// rawNumbers keeps numbers as they were written. As float64 the difference
// between 9007199254740993 and its neighbor would be lost before it is checked.
var rawNumbers = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() == '0' {
		*v = jsontext.Value(nil)
	}
	return errors.ErrUnsupported
}))

// maxPointer is the longest place an answer repeats: ours are shorter.
const maxPointer = 200

// readJSON parses a request body into maps, slices, strings, booleans, nil and
// numbers as jsontext.Value. The error names the place of the mistake.
func readJSON(body []byte) (any, *problem) {
	if !utf8.Valid(body) {
		return nil, malformed("The body is not valid UTF-8.")
	}
	var tree any
	err := json.Unmarshal(body, &tree, strict, rawNumbers)
	if err == nil {
		return tree, nil
	}
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return nil, malformed("The body is not valid JSON.", inBody("", "is not valid JSON"))
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
	return nil, malformed("The body is not valid JSON.", inBody(pointer, detail))
}
