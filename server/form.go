package server

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// formPart is the name of the part that is the file. There is no other.
	formPart = "file"
	// maxFormBytes is what a form may add to its file: boundaries and headers.
	maxFormBytes = 16 << 10
)

// formSchema is the form as the contract shows it.
func formSchema() *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{formPart}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{formPart: {Type: huma.TypeString, Format: "binary"}},
	}
}

// form reads the one file of a form (RFC 7578) as it arrives. Nothing of it is
// kept in memory or on disk.
type form struct {
	parts *multipart.Reader
	file  *multipart.Part
}

// openForm reads up to the beginning of the file.
func openForm(w http.ResponseWriter, r *http.Request) (*form, error) {
	body := http.MaxBytesReader(w, r.Body, maxUploadBytes+maxFormBytes)
	// The package takes the end of the body for the end of the form in places
	// where it is cut off. It gets to see only the form's own end, behind which
	// there need not be a line ending (RFC 2046, section 5.1.1).
	r.Body = io.NopCloser(io.MultiReader(body, strings.NewReader("\r\n"), cutOff{}))
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, badForm()
	}
	file, err := parts.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, invalidForm(inBody("/"+formPart, "is required"))
	case err != nil:
		return nil, formError(err)
	case file.FormName() != formPart:
		return nil, invalidForm(strayPart(file))
	}
	switch strings.ToLower(file.Header.Get("Content-Transfer-Encoding")) {
	case "", "7bit", "8bit", "binary":
		return &form{parts: parts, file: file}, nil
	default:
		return nil, invalidForm(inBody("/"+formPart, "must not have a Content-Transfer-Encoding"))
	}
}

// Read implements io.Reader: it reads the file.
func (f *form) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = formError(err)
	}
	return n, err
}

// end reads what is left, and refuses whatever comes behind the file: a part of
// which nobody knows what it should be must not be passed over.
func (f *form) end() error {
	stray, err := f.parts.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return formError(err)
	case stray.FormName() == formPart:
		return invalidForm(inBody("/"+formPart, "must be there once"))
	default:
		return invalidForm(strayPart(stray))
	}
}

// cutOff is what a form meets that has no end of its own.
type cutOff struct{}

// Read implements io.Reader.
func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// formError tells what keeps a form from being read: the connection and the
// limit of a body speak for themselves, and everything else is the form's.
func formError(err error) error {
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	if tooLong || passing(err) {
		return err
	}
	return badForm()
}

func badForm() *problem {
	return malformed("The form cannot be read, or ends before its last boundary.",
		inBody("", "must be multipart/form-data, whole"))
}

func invalidForm(f fault) *problem {
	return newProblem(kindInvalid, `The form must have one part, named "`+formPart+`", which is the file.`, f)
}

// strayPart names a part that a form may not have.
func strayPart(part *multipart.Part) fault {
	name := part.FormName()
	switch {
	case name == "":
		return inBody("", "has a part without a name")
	case len(name) > maxNameEcho || !utf8.ValidString(name):
		return inBody("", "has a part of another name")
	default:
		return inBody(string(jsontext.Pointer("").AppendToken(name)), "is not a part that a form may have")
	}
}
