// Package receiver is a server that webhooks are sent to: for tests only.
package receiver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Answer is how the receiver answers.
type Answer struct {
	Status     int
	RetryAfter string // of the header; left out where it is empty
	Before     func() // called before it answers, where it is not nil
}

// Receiver is a server on this machine that takes messages.
type Receiver struct {
	URL string

	t      testing.TB
	mu     sync.Mutex
	answer Answer
	got    []Message
}

// Message is one as the receiver has got it.
type Message struct {
	ID, Signature string
	At            time.Time
	Raw           []byte
	Type          string
	Data          map[string]any
}

// New starts a receiver that answers so, and stops it when the test ends.
func New(t testing.TB, answer Answer) *Receiver {
	t.Helper()
	r := &Receiver{t: t, answer: answer}
	server := httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Then has it answer so from now on.
func (r *Receiver) Then(answer Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// Messages are those it has got.
func (r *Receiver) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *Receiver) take(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("receiver: read a message: %v", err)
	}
	m := Message{ID: req.Header.Get("Webhook-Id"), Signature: req.Header.Get("Webhook-Signature"), Raw: raw}
	var body struct {
		Type string         `json:"type"`
		Data map[string]any `json:"data"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		r.t.Errorf("receiver: a body that is no message: %v", err)
	}
	seconds, err := strconv.ParseInt(req.Header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil {
		r.t.Errorf("receiver: a timestamp that is none: %v", err)
	}
	m.Type, m.Data, m.At = body.Type, body.Data, time.Unix(seconds, 0)
	r.mu.Lock()
	r.got = append(r.got, m)
	answer := r.answer
	r.mu.Unlock()
	if answer.Before != nil {
		answer.Before()
	}
	if answer.RetryAfter != "" {
		w.Header().Set("Retry-After", answer.RetryAfter)
	}
	w.WriteHeader(answer.Status)
}
