package server

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// The names of the security schemes in the contract.
const (
	bearer = "bearer" // a token of a machine or a session, in a header
	cookie = "cookie" // a session's token, in a browser
)

// register adds an operation that needs the scope. Whatever error the handler
// returns is answered as a problem. It panics when the operation or its types
// are not fit for the contract, which a test that builds a server shows.
func register[I, O any](s *Server, scope string, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.Security = []map[string][]string{{bearer: {scope}}, {cookie: {scope}}}
	op.Errors = append(op.Errors, http.StatusForbidden)
	add(s, op, handle)
}

// registerPublic adds an operation that anybody may call: one by which somebody
// shows who he is.
func registerPublic[I, O any](s *Server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.Security = []map[string][]string{}
	add(s, op, handle)
}

func add[I, O any](s *Server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusUnauthorized,
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	if _, ok := reflect.TypeFor[I]().FieldByName("Body"); ok {
		op.Errors = append(op.Errors, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType)
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBodyBytes
	}
	op.MaxBodyBytes++          // huma refuses a body of exactly its limit.
	op.SkipValidateBody = true // readBody has done it.
	op.BodyReadTimeout = -1    // receive has set one, and huma then reads from memory.

	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, asProblem(ctx, err)
		}
		return out, nil
	})
	registered := operationAt(s.api.OpenAPI(), op.Method, op.Path)
	if registered.RequestBody != nil {
		mustBeBounded(s.api.OpenAPI().Components.Schemas, bodySchema(registered), op.OperationID)
	}
	for _, p := range registered.Parameters {
		mustBeBounded(s.api.OpenAPI().Components.Schemas, p.Schema, op.OperationID+" "+p.Name)
	}
}

// operationAt returns a registered operation, or nil.
func operationAt(api *huma.OpenAPI, method, path string) *huma.Operation {
	item := api.Paths[path]
	if item == nil {
		return nil
	}
	return map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
		http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}[method]
}

// mustBeBounded panics unless the schema sets a limit to everything and uses
// only what the checker knows.
func mustBeBounded(registry huma.Registry, s *huma.Schema, where string) {
	s = resolve(registry, s)
	bounded := len(s.Enum) > 0
	switch s.Type {
	case huma.TypeObject:
		bounded = s.AdditionalProperties == false
		for name, property := range s.Properties {
			mustBeBounded(registry, property, where+"."+name)
		}
	case huma.TypeArray:
		bounded = s.MaxItems != nil
		mustBeBounded(registry, s.Items, where+"[]")
	case huma.TypeBoolean:
		bounded = true
	case huma.TypeInteger:
		bounded = bounded || s.Minimum != nil && s.Maximum != nil
	case huma.TypeString:
		bounded = bounded || s.MaxLength != nil || slices.Contains([]string{"date", "date-time", "uuid"}, s.Format)
	}
	if !bounded || s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil {
		panic(fmt.Sprintf("server: the schema of %s is not bounded", where))
	}
}

// setUpHuma sets what huma keeps in package variables. It must run before the
// first operation is registered.
var setUpHuma = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return internal(fmt.Errorf("huma: %d %s: %w", status, msg, firstError(errs)))
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return asProblem(ctx.Context(), parameterProblem(ctx, status, errs))
	}
})

func firstError(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// parameterProblem turns huma's findings about path, query and headers into a
// problem. Bodies never come here: readBody has refused them before. Huma's own
// words are not used, because some of them quote the value.
func parameterProblem(ctx huma.Context, status int, errs []error) *problem {
	if status >= http.StatusInternalServerError {
		return internal(firstError(errs))
	}
	var faults []fault
	k := kindInvalid
	for _, err := range errs {
		detail, ok := err.(*huma.ErrorDetail) //nolint:errorlint // Huma adds them bare.
		if !ok {
			continue
		}
		in, name, _ := strings.Cut(detail.Location, ".")
		f, worst := parameterFault(ctx, in, name)
		if worst != kindInvalid {
			k = worst
		}
		faults = append(faults, f)
	}
	slices.SortFunc(faults, func(a, b fault) int {
		return strings.Compare(a.Parameter+a.Header, b.Parameter+b.Header)
	})
	p := newProblem(k, "A parameter is not one the operation accepts.", faults[:min(len(faults), maxFaults)]...)
	if k == kindKeyMissing {
		p.Detail = "This operation needs an Idempotency-Key, so that it can be repeated safely."
	}
	return p
}

// unreadable is said of a body that was checked and then could not be decoded.
const unreadable = "cannot be read as the schema says"

// parameterFault says what is the matter with the parameter, and of what kind
// the problem is.
func parameterFault(ctx huma.Context, in, name string) (fault, kind) {
	params := ctx.Operation().Parameters
	i := slices.IndexFunc(params, func(p *huma.Param) bool { return p.In == in && p.Name == name })
	if in == "body" { // readBody let pass what does not decode; a fuzz test looks for such.
		return inBody("", unreadable), kindMalformed
	}
	if i < 0 {
		if len(name) > maxNameEcho {
			return fault{Detail: "a query parameter is not known"}, kindMalformed
		}
		return inParameter(name, "is not known"), kindMalformed
	}
	if in != "header" {
		return inParameter(name, describe(params[i].Schema)), kindInvalid
	}
	if ctx.Header(name) == "" {
		if name == keyHeader {
			return inHeader(name, "is required"), kindKeyMissing
		}
		return inHeader(name, "is required"), kindMalformed
	}
	return inHeader(name, describe(params[i].Schema)), kindMalformed
}
