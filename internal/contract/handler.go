package contract

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// largestJudged is the size from which on bodies pass without being judged: such
// are files, of which the document says no more than that they are.
const largestJudged = 1 << 20

// Handler passes requests on, and fails the test on an answer that is not as the
// document says.
func (j *Judge) Handler(tb testing.TB, next http.Handler) http.Handler {
	tb.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := Exchange{Request: r.Clone(r.Context()), Sent: nil, Status: 0, Header: nil, Body: nil}
		sent := &bounded{}
		if r.Body != nil {
			r.Body = &heard{ReadCloser: r.Body, by: sent}
		}
		answer := &recording{ResponseWriter: w}
		next.ServeHTTP(answer, r) // When it panics, the connection ends and there is no answer.

		if answer.body.over || r.Context().Err() != nil {
			return
		}
		if !sent.over {
			x.Sent = sent.buffer.Bytes()
			if x.Sent == nil {
				x.Sent = []byte{}
			}
		}
		x.Status, x.Header, x.Body = answer.status, answer.header, answer.body.buffer.Bytes()
		if answer.status == 0 {
			x.Status, x.Header = http.StatusOK, w.Header().Clone()
		}
		if err := j.Check(x); err != nil {
			tb.Error(err)
		}
	})
}

// bounded keeps what is written, as long as it is not too much.
type bounded struct {
	buffer bytes.Buffer
	over   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.over = b.over || b.buffer.Len()+len(p) > largestJudged; !b.over {
		b.buffer.Write(p)
	}
	return len(p), nil
}

// heard is a request's body, of which a copy is kept as it is read.
type heard struct {
	io.ReadCloser

	by *bounded
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	_, _ = h.by.Write(p[:n]) // It never fails.
	return n, err
}

// recording is an answer, of which a copy is kept as it is written.
type recording struct {
	http.ResponseWriter

	status int
	header http.Header
	body   bounded
}

// Unwrap lets http.ResponseController find what the writer can do.
func (w *recording) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader keeps status and headers of the answer proper.
func (w *recording) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status, w.header = status, w.Header().Clone()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recording) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status, w.header = http.StatusOK, w.Header().Clone()
	}
	_, _ = w.body.Write(p) // It never fails.
	return w.ResponseWriter.Write(p)
}
