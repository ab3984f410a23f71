package server

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"loanserve/internal/remittance"
	"loanserve/mortgage"
)

const (
	// maxUploadBytes is the largest file that is taken.
	maxUploadBytes = 64 << 20
	// maxUploads is how many files are read and stored at the same time: each
	// may hold a few times its size in memory.
	maxUploads = 2
	// uploadTimeout is how long a file may take to arrive, and storeTimeout to
	// be stored: longer than any other request, which is why few are let in.
	uploadTimeout = 2 * time.Minute
	storeTimeout  = 4 * time.Minute
	// maxFileFaults is how many mistakes in a file one answer lists.
	maxFileFaults = 100
)

// The media types of a file by itself, and of one in a form.
var uploadMediaTypes = []string{"text/csv", "application/octet-stream"}

const formMediaType = "multipart/form-data"

// upload is the body of a request that has not been read.
type upload struct {
	w http.ResponseWriter
	r *http.Request

	today mortgage.Date
}

type uploadKey struct{}

// registerUpload is register for an operation whose body is a file. The body is
// declared to clients and kept from huma, which would hold all of it in memory.
func registerUpload[I, O any](
	s *Server, scope string, op huma.Operation, handle func(context.Context, *I) (*O, error),
) {
	op.Errors = append(op.Errors, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType)
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		next(huma.WithValue(ctx, uploadKey{}, upload{w: w, r: r, today: s.receiving.today(time.Now())}))
	})
	register(s, scope, op, handle)
	content := map[string]*huma.MediaType{}
	for _, mediaType := range uploadMediaTypes {
		content[mediaType] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	content[formMediaType] = &huma.MediaType{Schema: formSchema()}
	operationAt(s.api.OpenAPI(), op.Method, op.Path).RequestBody = &huma.RequestBody{
		Description: "The file, up to 64 MiB.", Required: true, Content: content,
	}
}

// check refuses a body that cannot be a file before any of it is read.
func (u upload) check() error {
	if u.r.ContentLength > maxUploadBytes+maxFormBytes {
		return tooLarge()
	}
	mediaType, params, err := mime.ParseMediaType(u.r.Header.Get("Content-Type"))
	allowed := strings.Join(uploadMediaTypes, ", ") + " or " + formMediaType
	switch {
	case err == nil && mediaType == formMediaType && params["boundary"] == "":
		return newProblem(kindMediaType, "A form must say what separates its parts.",
			inHeader("Content-Type", "must have a boundary"))
	case err != nil || mediaType != formMediaType && !slices.Contains(uploadMediaTypes, mediaType):
		return newProblem(kindMediaType, "The file must be sent as "+allowed+".",
			inHeader("Content-Type", "must be "+allowed))
	case mediaType != formMediaType && u.r.ContentLength > maxUploadBytes:
		return tooLarge()
	}
	if p := checkEncoding(u.r.Header); p != nil { // A nil *problem must not become a non-nil error.
		return p
	}
	return nil
}

// read reads the file as one of the format. What it returns as an error is a
// problem that lists the faults of the file, or of the form around it.
func (u upload) read(format remittance.Format, control *remittance.Control) (*remittance.File, error) {
	// A writer that cannot set a deadline is a test's.
	deadline := http.NewResponseController(u.w)
	_ = deadline.SetWriteDeadline(time.Now().Add(uploadTimeout + storeTimeout + writeTimeout))
	_ = deadline.SetReadDeadline(time.Now().Add(uploadTimeout))
	file, err := u.readBody(format, control)
	_ = deadline.SetReadDeadline(time.Time{})
	if err != nil {
		return nil, uploadProblem(err)
	}
	return file, u.checkItems(file)
}

// readBody reads the body, which is the file or a form that holds it.
func (u upload) readBody(format remittance.Format, control *remittance.Control) (*remittance.File, error) {
	limits := remittance.Limits{Bytes: maxUploadBytes, LineBytes: 0, Items: 0, Faults: maxFileFaults}
	if mediaType, _, _ := mime.ParseMediaType(u.r.Header.Get("Content-Type")); mediaType != formMediaType {
		return remittance.Read(format, u.r.Body, control, limits)
	}
	form, err := openForm(u.w, u.r)
	if err != nil {
		return nil, err
	}
	file, err := remittance.Read(format, form, control, limits)
	if err != nil {
		return nil, err
	}
	return file, form.end()
}

// uploadProblem turns whatever keeps a file from being read into a problem.
func uploadProblem(err error) error {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if faults, ok := errors.AsType[*remittance.Faults](err); ok {
		return badFile(faults.Listed, faults.Count)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return timedOut()
	}
	return malformed("The body could not be read to its end.")
}

// checkItems finds what a file may say and this program does not take.
func (u upload) checkItems(file *remittance.File) error {
	var listed []remittance.Fault
	count := 0
	refuse := func(item *remittance.Item, reason string) {
		if count++; len(listed) < maxFileFaults {
			listed = append(listed, remittance.Fault{Line: item.Line, Column: 0, Reason: reason})
		}
	}
	for i := range file.Items {
		item := &file.Items[i]
		if item.ReceivedOn > u.today+1 {
			refuse(item, "received_on: must not be after tomorrow")
		}
	}
	if count > 0 {
		return badFile(listed, count)
	}
	return nil
}

// badFile is the problem with a file that is not taken. The faults say where it
// is wrong, and repeat nothing of it.
func badFile(listed []remittance.Fault, count int) *problem {
	faults := make([]fault, len(listed))
	for i, f := range listed {
		faults[i] = fault{Line: f.Line, Column: f.Column, Detail: f.Reason}
	}
	detail := "The file has a fault; nothing of it is stored."
	if count > 1 {
		detail = fmt.Sprintf("The file has %d faults, of which errors lists the first; nothing of it is stored.", count)
	}
	return newProblem(kindInvalid, detail, faults...)
}
