// Package contract judges what the API is asked and what it answers against its
// OpenAPI document, by a validator that others have written. It is for tests.
package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	validation "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// everywhere are headers of HTTP itself and those that every answer carries as a
// rule for browsers: they are not part of what an operation promises.
var everywhere = []string{
	"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type",
	"Cross-Origin-Resource-Policy", "Date", "Referrer-Policy", "Vary", "X-Content-Type-Options",
}

// Judge holds a document. It may be used by many at the same time.
type Judge struct {
	validator validator.Validator
	document  *v3.Document
	options   *config.ValidationOptions
}

// New reads the document, which must be valid itself.
func New(document []byte) (*Judge, error) {
	parsed, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	model, err := parsed.BuildV3Model()
	if err != nil {
		return nil, fmt.Errorf("build the contract's model: %w", err)
	}
	// Tokens are the server's business. The document closes every object, so that a
	// member that is not declared is found without the validator's strict mode, which
	// mistakes a reference with a description for an object without members.
	options := []config.Option{config.WithFormatAssertions(), config.WithoutSecurityValidation()}
	v := validator.NewValidatorFromV3Model(&model.Model, options...)
	v.SetDocument(parsed)
	if ok, faults := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("the contract is not valid: %w", inWords(faults))
	}
	return &Judge{validator: v, document: &model.Model, options: config.NewValidationOptions(options...)}, nil
}

// Exchange is a request with its answer.
type Exchange struct {
	Request *http.Request
	// Sent is the request's body, and nil where the request is not to be judged.
	Sent   []byte
	Status int
	Header http.Header
	Body   []byte
}

// Check returns what of the exchange is not as the document says: an answer that
// is not declared, in its status, headers, media type or body. Where the server
// has accepted a request it must be as the document says too; one that is
// refused may be as wrong as it likes.
func (j *Judge) Check(x Exchange) error {
	r := x.Request
	if r.Method == http.MethodHead {
		return nil // It is answered as a GET is, without the body that is to be judged.
	}
	if strings.Contains(r.URL.Path, "//") || strings.HasSuffix(r.URL.Path, "/") {
		return notInDocument(x) // An empty part fits no parameter.
	}
	item, faults, path := paths.FindPath(r, j.document, j.options)
	if item == nil || len(faults) > 0 {
		return notInDocument(x)
	}
	answer := &http.Response{
		StatusCode: x.Status, Header: x.Header, Body: io.NopCloser(bytes.NewReader(x.Body)), Request: r,
	}
	found := []error{}
	if _, faults := j.validator.ValidateHttpResponse(r, answer); len(faults) > 0 {
		found = append(found, inWords(faults))
	}
	if op := item.GetOperations().GetOrZero(strings.ToLower(r.Method)); op != nil {
		found = append(found, checkHeaders(op, x)...)
	}
	if x.Status < http.StatusBadRequest && x.Sent != nil {
		copied := r.Clone(r.Context())
		copied.Body = io.NopCloser(bytes.NewReader(x.Sent))
		if _, faults := j.validator.ValidateHttpRequestSync(copied); len(faults) > 0 {
			found = append(found, fmt.Errorf("a request that was accepted: %w", inWords(faults)))
		}
	}
	if err := errors.Join(found...); err != nil {
		return fmt.Errorf("%s %s answered %d is not as the contract says of %s: %w",
			r.Method, r.URL, x.Status, path, err)
	}
	return nil
}

// notInDocument is about what the document does not have: of the API only
// refusals, which are problems too.
func notInDocument(x Exchange) error {
	if !strings.HasPrefix(x.Request.URL.Path, "/v1/") {
		return nil
	}
	mediaType := x.Header.Get("Content-Type")
	if x.Status < http.StatusBadRequest || mediaType != "application/problem+json" {
		return fmt.Errorf("%s %s is in no contract and is answered %d %s",
			x.Request.Method, x.Request.URL, x.Status, mediaType)
	}
	return nil
}

// checkHeaders looks for headers that the answer has and the document does not,
// also where it declares none at all, and for bodies where there is to be none.
func checkHeaders(op *v3.Operation, x Exchange) (found []error) {
	declared := op.Responses.Codes.GetOrZero(strconv.Itoa(x.Status))
	if declared == nil {
		return nil // That was found before.
	}
	known := slices.Clone(everywhere)
	if declared.Headers != nil {
		for name := range declared.Headers.KeysFromOldest() {
			known = append(known, http.CanonicalHeaderKey(name))
		}
	}
	for name := range x.Header {
		if !slices.Contains(known, http.CanonicalHeaderKey(name)) {
			found = append(found, fmt.Errorf("the header %s is not declared", name))
		}
	}
	if (declared.Content == nil || declared.Content.Len() == 0) && len(x.Body) > 0 {
		found = append(found, errors.New("a body where none is declared"))
	}
	if _, _, err := mime.ParseMediaType(x.Header.Get("Content-Type")); err != nil && len(x.Body) > 0 {
		found = append(found, fmt.Errorf("the media type: %w", err))
	}
	return found
}

// inWords puts what the validator found on lines of their own.
func inWords(faults []*validation.ValidationError) error {
	all := make([]error, 0, len(faults))
	for _, fault := range faults {
		all = append(all, errors.New(fault.Message+": "+fault.Reason))
		for _, of := range fault.SchemaValidationErrors {
			all = append(all, errors.New("\t"+of.FieldPath+" "+of.Reason))
		}
	}
	return errors.Join(all...)
}
