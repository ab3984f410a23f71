package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
)

const (
	// maxBodyBytes is the largest request body where an operation sets no other.
	maxBodyBytes = 64 << 10
	// bodyTimeout is how long a request body may take to arrive.
	bodyTimeout = 10 * time.Second
)

const jsonMediaType = "application/json"

// readBody is the huma middleware that reads and checks the body of every
// operation that takes one. huma then finds bytes that are known to decode.
func (s *Server) readBody(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.RequestBody == nil || bodySchema(op) == nil { // none, or a file that its operation reads
		next(ctx)
		return
	}
	r, w := humachi.Unwrap(ctx)
	body, err := receive(w, r, op)
	if err == nil {
		err = s.checkBody(op, body)
	}
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next(ctx)
}

func (s *Server) checkBody(op *huma.Operation, body []byte) error {
	if len(body) == 0 {
		if op.RequestBody.Required {
			return malformed("The request needs a JSON body.", inBody("", "is required"))
		}
		return nil
	}
	tree, p := readJSON(body)
	if p == nil {
		p = checkBody(s.api.OpenAPI().Components.Schemas, bodySchema(op), tree)
	}
	if p != nil { // A nil *problem must not become a non-nil error.
		return p
	}
	return nil
}

// bodySchema is the schema of the operation's JSON body, or nil.
func bodySchema(op *huma.Operation) *huma.Schema {
	if content := op.RequestBody.Content[jsonMediaType]; content != nil {
		return content.Schema
	}
	return nil
}

// receive reads the body within its limits of type, size and time.
func receive(w http.ResponseWriter, r *http.Request, op *huma.Operation) ([]byte, error) {
	limit := op.MaxBodyBytes - 1 // see register
	if r.ContentLength > limit {
		return nil, tooLarge()
	}
	if r.ContentLength != 0 { // -1 where the length is not known
		if p := checkMediaType(r.Header); p != nil {
			return nil, p
		}
	}
	// The server has no global timeouts, which would cut long polls. A writer
	// that cannot set one is a test's.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTimeout))
	body := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	_ = deadline.SetReadDeadline(time.Time{})

	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil, timedOut()
	}
	if err != nil {
		return nil, malformed("The body could not be read to its end.")
	}
	return body.Bytes(), nil
}

func tooLarge() *problem {
	return newProblem(kindTooLarge, "The body is larger than this operation takes.", inBody("", "is too large"))
}

func timedOut() *problem {
	return newProblem(kindTimeout, "The body did not arrive in time.").with("Connection", "close")
}

// checkMediaType accepts JSON in UTF-8 that is not compressed.
func checkMediaType(h http.Header) *problem {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset, named := params["charset"]
	if err != nil || mediaType != jsonMediaType || named && !strings.EqualFold(charset, "utf-8") {
		return newProblem(kindMediaType, "The body must be sent as application/json.",
			inHeader("Content-Type", "must be application/json"))
	}
	return checkEncoding(h)
}

func checkEncoding(h http.Header) *problem {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return newProblem(kindMediaType, "The body must not be compressed.",
			inHeader("Content-Encoding", "must be left out"))
	}
	return nil
}
