package server_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"loanserve/internal/contract"
	"loanserve/queries"
	"loanserve/server"
)

// The operation on which the foundation is tested: it has every sort of place
// in which a request can be wrong.
type submitInput struct {
	LoanID int64  `path:"loan_id" minimum:"1" maximum:"9007199254740991"`
	Count  int    `query:"count" minimum:"1" maximum:"12"`
	After  string `query:"after" format:"uuid"`
	Key    string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"300"`
	Body   submission
}

type submission struct {
	AmountCents int64       `json:"amount_cents" minimum:"1" maximum:"10000000000"`
	ReceivedOn  server.Date `json:"received_on"`
	Channel     string      `json:"channel" enum:"ach,lockbox"`
	Memo        string      `json:"memo,omitzero" maxLength:"20"`
	Early       bool        `json:"early,omitzero"`
	Lines       []line      `json:"lines,omitzero" maxItems:"2"`
}

type line struct {
	Ref         string `json:"ref" minLength:"1" maxLength:"10"`
	AmountCents int64  `json:"amount_cents" minimum:"1" maximum:"10000000000"`
}

type submitOutput struct {
	Location string `header:"Location"`
	Body     struct {
		AmountCents int64  `json:"amount_cents"`
		Principal   string `json:"principal"`
	}
}

const goodBody = `{"amount_cents":100,"received_on":"2026-01-31","channel":"ach"}`

// fixture is a server with test operations, a token for it and its log.
type fixture struct {
	*server.Server
	token    string
	log      *lockedBuffer
	registry *prometheus.Registry
	stored   *storedTokens
	judged   http.Handler
}

// Handler is the way of every request of these tests: what is answered must be as
// the contract says.
func (f *fixture) Handler() http.Handler { return f.judged }

// fixtureJudge knows the contract of the test operations, which is always the same.
var fixtureJudge struct {
	once  sync.Once
	judge *contract.Judge
	err   error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// storedTokens stands in for the table of tokens, and counts its use.
type storedTokens struct {
	mu     sync.Mutex
	byID   map[int64]queries.ApiToken
	err    error
	reads  int
	writes int
}

func (s *storedTokens) get(_ context.Context, id int64) (queries.ApiToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	token, ok := s.byID[id]
	if !ok {
		return token, cmp.Or(s.err, pgx.ErrNoRows)
	}
	return token, s.err
}

func (s *storedTokens) markUsed(context.Context, int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return nil
}

func (s *storedTokens) set(id int64, token queries.ApiToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = token
}

func (s *storedTokens) counts() (reads, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.writes
}

func setup(t testing.TB) *fixture {
	t.Helper()

	f := &fixture{
		log: &lockedBuffer{}, registry: prometheus.NewRegistry(),
		stored: &storedTokens{byID: map[int64]queries.ApiToken{}},
	}
	secret := server.NewTokenSecret()
	f.token = server.FormatToken(7, secret)
	f.stored.set(7, queries.ApiToken{
		TokenHash: server.HashTokenSecret(secret), Name: "lockbox", Scopes: []string{server.ScopePaymentsWrite},
	})
	srv := server.NewServer(server.Options{Log: slog.New(slog.NewJSONHandler(f.log, nil)), Registerer: f.registry},
		server.TokenTable(f.stored.get, f.stored.markUsed), nil)
	testRoutes(srv)
	require.NoError(t, server.RouteDocs(srv))
	t.Cleanup(srv.Close)
	f.Server = srv
	fixtureJudge.once.Do(func() { fixtureJudge.judge, fixtureJudge.err = contract.New(srv.OpenAPI()) })
	require.NoError(t, fixtureJudge.err)
	f.judged = fixtureJudge.judge.Handler(t, srv.Handler())
	return f
}

func testRoutes(s *server.Server) {
	server.Register(s, server.ScopePaymentsWrite, huma.Operation{
		OperationID: "submit", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/payments",
		DefaultStatus: http.StatusAccepted,
	}, func(ctx context.Context, in *submitInput) (*submitOutput, error) {
		out := &submitOutput{Location: "/v1/payments/1"}
		out.Body.AmountCents = in.Body.AmountCents
		out.Body.Principal = server.PrincipalOf(ctx).ID
		return out, nil
	})
	server.Register(s, server.ScopeLoansRead, huma.Operation{
		OperationID: "forbidden", Method: http.MethodGet, Path: "/v1/forbidden",
	}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	server.Register(s, server.ScopePaymentsWrite, huma.Operation{
		OperationID: "fail", Method: http.MethodGet, Path: "/v1/fail/{how}",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(_ context.Context, in *failInput) (*submitOutput, error) { return nil, failures[in.How]() })
}

type failInput struct {
	How string `path:"how" maxLength:"20"`
}

// do sends a request with a valid token and an idempotency key, as changed by
// edit, and returns the answer.
func (f *fixture) do(method, target, body string, edit func(*http.Request)) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	r.Header.Set("Authorization", "Bearer "+f.token)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", `"k-1"`)
	}
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r)
	return w
}

// problem reads a problem and checks what every problem has.
func (f *fixture) problem(t *testing.T, w *httptest.ResponseRecorder) server.Problem {
	t.Helper()

	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), w.Body.String())
	var p server.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), w.Body.String())
	require.Equal(t, w.Code, p.Status)
	require.Equal(t, "/problems/"+p.Code, p.Type)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	require.Equal(t, w.Header().Get("X-Request-Id"), p.RequestID)
	require.Equal(t, "urn:request:"+p.RequestID, p.Instance)
	return p
}
