package server

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/yaml"
)

// sharedHeaders are those that answers have whatever the operation is, and what
// the contract says of them.
var sharedHeaders = map[string]string{
	"X-Request-Id":     "Names the request in our logs. A client may choose it by the same header.",
	"WWW-Authenticate": "What is missing (RFC 6750).",
	"Retry-After":      "Seconds after which to come back.",
}

// refusalHeaders are the headers of refusals beside the name of the request.
var refusalHeaders = map[int]string{
	http.StatusUnauthorized:       "WWW-Authenticate",
	http.StatusForbidden:          "WWW-Authenticate",
	http.StatusTooManyRequests:    "Retry-After",
	http.StatusServiceUnavailable: "Retry-After",
}

// contractTags are the parts of the contract, in the order in which they are read.
func contractTags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "loans", Description: "Loans, their balances, their transactions and what pays them off."},
		{Name: "loan changes", Description: "Changes of a loan's terms, and who approves them."},
		{Name: "payments", Description: "Payments and their reversals."},
		{Name: "payment batches", Description: "Files of payments, and what becomes of each line."},
		{Name: "escrow", Description: "Escrow analyses, lines, settings and statements."},
		{Name: "escrow bills", Description: "Bills of taxes and insurance."},
		{Name: "escrow disbursements", Description: "Payments of bills, and the files for the bank."},
		{Name: "escrow payees", Description: "Who is paid from escrow."},
		{Name: "runs", Description: "Day closes, purges, checks and other work, and how far it is."},
		{Name: "backups", Description: "Backups, and what proved them."},
		{Name: "integrity", Description: "What checks of the books found."},
		{Name: "operations", Description: "What operators see at a glance."},
		{Name: "jobs", Description: "Queues and jobs, and what is done about them."},
		{Name: "webhooks", Description: "Who is told of what, what was sent, and what became of it."},
		{Name: "users", Description: "People, their roles and the networks they come from."},
		{Name: "sessions", Description: "Logging in and out."},
		{Name: "tokens", Description: "Tokens of machines."},
	}
}

// describeAnswers completes the contract by what no single operation says: the
// headers that all answers have, and the refusals, which are the same everywhere
// and therefore written once. It comes after the last operation.
func describeAnswers(api *huma.OpenAPI) {
	api.Components.Headers = map[string]*huma.Header{}
	for name, doc := range sharedHeaders {
		api.Components.Headers[name] = &huma.Header{
			Description: doc, Schema: &huma.Schema{Type: huma.TypeString},
		}
	}
	for _, schema := range api.Components.Schemas.Map() {
		for _, property := range schema.Properties {
			if property.Nullable && len(property.Enum) > 0 {
				property.Enum = append(property.Enum, nil) // Or a list of values excludes it.
			}
		}
	}
	api.Components.Responses = map[string]*huma.Response{}
	for _, item := range api.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				describeAnswersOf(op, api.Components.Responses)
			}
		}
	}
}

func describeAnswersOf(op *huma.Operation, shared map[string]*huma.Response) {
	for code, response := range op.Responses {
		if response.Headers == nil {
			response.Headers = map[string]*huma.Param{}
		}
		response.Headers["X-Request-Id"] = sharedHeader("X-Request-Id")
		status, err := strconv.Atoi(code)
		if err != nil || status < http.StatusBadRequest {
			continue
		}
		if name := refusalHeaders[status]; name != "" {
			response.Headers[name] = sharedHeader(name)
		}
		if len(response.Headers) > 1 && refusalHeaders[status] == "" {
			continue // An operation has headers of its own for it.
		}
		name := strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(status))
		shared[name] = response
		op.Responses[code] = &huma.Response{Ref: "#/components/responses/" + name}
	}
}

func sharedHeader(name string) *huma.Param {
	return &huma.Param{Ref: "#/components/headers/" + name}
}

// writeContract returns the document as JSON and as YAML. Huma says in words what
// a pattern means by a keyword that is not in the standard, which asks of such
// that they begin with x-.
func writeContract(api *huma.OpenAPI) (asJSON, asYAML []byte, err error) {
	written, err := api.MarshalJSON()
	if err != nil {
		return nil, nil, fmt.Errorf("write the contract as JSON: %w", err)
	}
	// In a text the quotes would be escaped, so that this meets only names.
	asJSON = bytes.ReplaceAll(written, []byte(`"patternDescription":`), []byte(`"x-pattern-description":`))
	var b bytes.Buffer
	if err := yaml.Convert(&b, bytes.NewReader(asJSON)); err != nil {
		return nil, nil, fmt.Errorf("write the contract as YAML: %w", err)
	}
	return asJSON, b.Bytes(), nil
}
