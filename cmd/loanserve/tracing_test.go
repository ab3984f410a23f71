package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// collector takes spans as a collector does, over HTTP.
type collector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	names map[string]bool // of services
	raw   strings.Builder
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent collectortrace.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, of := range sent.ResourceSpans {
		c.names[attributesOf(of.Resource.Attributes)["service.name"]] = true
		for _, scope := range of.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func attributesOf(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			all[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[kv.Key] = fmt.Sprint(v.IntValue)
		}
	}
	return all
}

// find returns the spans of a name.
func (c *collector) find(name string) (found []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// one waits for the only span of a name.
func (c *collector) one(t *testing.T, name string) *tracepb.Span {
	t.Helper()
	require.Eventually(t, func() bool { return len(c.find(name)) > 0 }, patience, 20*time.Millisecond, name)
	found := c.find(name)
	require.Len(t, found, 1, name)
	return found[0]
}

// below returns the names of the spans whose parent is the span.
func (c *collector) below(parent *tracepb.Span) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if string(s.ParentSpanId) == string(parent.SpanId) {
			names = append(names, s.Name)
		}
	}
	return names
}

const callersTrace, callersSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

// TestTracing is one payment, from the caller's trace to the job that posts it, as a
// collector gets to know it; and then a collector that is not there.
func TestTracing(t *testing.T) {
	t.Parallel()
	t.Run("a payment", func(t *testing.T) {
		t.Parallel()
		testTracedPayment(t)
	})
	t.Run("no collector", func(t *testing.T) {
		t.Parallel()
		testNoCollector(t)
	})
	t.Run("mistakes", func(t *testing.T) {
		t.Parallel()
		cmd := programItself(t, "serve")
		cmd.Env = append(cmd.Env, "DATABASE_URL=postgres://localhost/loans",
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
		out, err := cmd.CombinedOutput()
		require.ErrorContains(t, err, "exit status 80")
		require.Contains(t, string(out), `OTEL_EXPORTER_OTLP_PROTOCOL: there is http/protobuf; not "grpc"`)
	})
}

// pay posts a payment through the API and waits until it is posted.
func pay(t *testing.T, db *testdb.DB, serve *running, loan queries.Loan, header http.Header) (token string) {
	t.Helper()
	got := runWith(t.Context(), environment{"DATABASE_URL": db.URL}, "token", "create", "--name", "test",
		"--scope", "payments:write", "--scope", "payments:read")
	require.Equal(t, exitOK, got.code, got.stderr)
	token = strings.TrimSpace(got.stdout)
	client := newDemoClient(serve.api, token)
	var payment demoPayment
	header.Set("Idempotency-Key", "traced")
	body := []byte(`{"amount_cents":100,"received_on":"2026-10-01","channel":"ach","external_ref":"Quimby-4711"}`)
	_, err := client.call(t.Context(), http.MethodPost, loanPath(loan.ID)+"/payments", header, body, &payment)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := client.call(t.Context(), http.MethodGet, "/v1/payments/"+payment.PaymentID,
			http.Header{"Prefer": {"wait=10"}}, nil, &payment)
		return err == nil && payment.Status == "posted"
	}, patience, 10*time.Millisecond)
	return token
}

func testTracedPayment(t *testing.T) {
	t.Helper()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	c := &collector{names: map[string]bool{}}
	takes := httptest.NewServer(c)
	defer takes.Close()
	serve := startWith(t, db, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + takes.URL, "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_SERVICE_NAME=books",
	}, "serve", "--workers", "2")
	token := pay(t, db, serve, loan, http.Header{"Traceparent": {"00-" + callersTrace + "-" + callersSpan + "-01"}})

	request := c.one(t, "POST /v1/loans/{loan_id}/payments")
	require.Equal(t, callersTrace, fmt.Sprintf("%x", request.TraceId))
	require.Equal(t, callersSpan, fmt.Sprintf("%x", request.ParentSpanId))
	require.Equal(t, "202", attributesOf(request.Attributes)["http.response.status_code"])
	store := c.one(t, "store payments")
	require.Equal(t, string(request.SpanId), string(store.ParentSpanId), "for one, it is that one's child")
	require.Contains(t, c.below(store), "InsertPayment")
	require.Contains(t, c.below(store), "commit")

	job := c.one(t, "job post_payment")
	require.Empty(t, job.ParentSpanId, "a trace of its own")
	require.NotEqual(t, string(request.TraceId), string(job.TraceId))
	require.Len(t, job.Links, 1)
	require.Equal(t, string(request.TraceId), string(job.Links[0].TraceId))
	require.Equal(t, "post_payment", attributesOf(job.Attributes)["kind"])
	post := c.one(t, "post payments")
	require.Equal(t, string(job.SpanId), string(post.ParentSpanId))
	require.Contains(t, c.below(post), "LockPaymentsToPost")
	require.Contains(t, c.below(post), "commit")

	log := serve.log.String()
	require.Contains(t, log, `"trace_id":"`+callersTrace+`"`)
	require.Contains(t, log, fmt.Sprintf(`"trace_id":"%x"`, job.TraceId))
	serve.signal(t, syscall.SIGTERM)
	require.NoError(t, serve.end(t))
	require.Equal(t, map[string]bool{"books": true}, c.names)
	// A statement without a name is called by its verb; more of its text is never told.
	for _, secret := range []string{"Quimby", token, "SELECT ", "INSERT ", " FROM ", "VALUES"} {
		told := strings.Contains(c.raw.String(), secret)
		require.False(t, told, secret)
	}
	for _, secret := range []string{"Quimby", token} {
		require.NotContains(t, serve.log.String(), secret)
	}
}

// A collector that takes connections and never answers is worse than none.
func testNoCollector(t *testing.T) {
	t.Helper()
	db := testdb.Clone(t)
	hold := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(hold)
	serve := startWith(t, db, []string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + silent.URL + "/v1/traces", "OTEL_BSP_SCHEDULE_DELAY=100",
	}, "serve", "--workers", "2")
	pay(t, db, serve, testdb.Loan(t, db.App), http.Header{})
	began := time.Now()
	serve.signal(t, syscall.SIGTERM)
	require.NoError(t, serve.end(t), "%s", serve.log)
	require.Less(t, time.Since(began), 20*time.Second)
}
