package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

func TestEveryAnswerIsObserved(t *testing.T) {
	t.Parallel()

	f := setup(t)
	w := f.do(http.MethodPost, "/v1/loans/1/payments", goodBody, nil)
	require.Equal(t, http.StatusAccepted, w.Code)
	f.do("BREW", "/v1/loans/1/payments", "", nil)
	f.do(http.MethodGet, "/v1/"+secretValue, "", nil)

	lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], `"msg":"request","method":"POST","route":"/v1/loans/{loan_id}/payments","status":202`)
	require.Contains(t, lines[0], `"principal":"token:7"`)
	require.Contains(t, lines[0], `"request_id":"`+w.Header().Get("X-Request-Id")+`"`)
	require.Contains(t, lines[2], `"route":"unmatched","status":404`)
	require.NotContains(t, f.log.String(), f.token)

	const name = "http_server_request_duration_seconds"
	text := gather(t, f)
	require.Equal(t, 3, strings.Count(text, name+"_count{"))
	for _, labels := range []string{
		`http_request_method="POST",http_response_status_code="202",http_route="/v1/loans/{loan_id}/payments"`,
		`http_request_method="_OTHER",http_response_status_code="405",http_route="unmatched"`,
		`http_request_method="GET",http_response_status_code="404",http_route="unmatched"`,
	} {
		require.Contains(t, text, name+"_count{"+labels+"} 1")
	}
}

func gather(t *testing.T, f *fixture) string {
	t.Helper()

	w := serveAdmin(f, nil, "/metrics")
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()

	f := setup(t)
	for _, target := range []string{"/v1/fail/error", "/v1/fail/panic", "/nothing", "/openapi.yaml"} {
		h := f.do(http.MethodGet, target, "", nil).Header()
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), target)
		require.NotEmpty(t, h.Get("Content-Security-Policy"), target)
		require.NotEmpty(t, h.Get("X-Request-Id"), target)
		require.NotEmpty(t, h.Get("Cache-Control"), target)
	}
}

func TestMethodsOfAPath(t *testing.T) {
	t.Parallel()

	f := setup(t)
	w := f.do(http.MethodPut, "/v1/loans/1/payments", "", nil)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))
	w = f.do(http.MethodPut, "/openapi.yaml", "", nil)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	w = f.do(http.MethodHead, "/openapi.yaml", "", nil)
	require.Equal(t, http.StatusOK, w.Code)
	w = f.do(http.MethodHead, "/v1/fail/not-found", "", nil)
	require.Equal(t, http.StatusNotFound, w.Code)
}

func TestAcceptChangesNothing(t *testing.T) {
	t.Parallel()

	f := setup(t)
	for _, accept := range []string{"text/html", "json", "application/problem+json", "application/cbor, */*;q=0"} {
		w := f.do(http.MethodPost, "/v1/loans/1/payments", goodBody, func(r *http.Request) {
			r.Header.Set("Accept", accept)
		})
		require.Equal(t, http.StatusAccepted, w.Code)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.JSONEq(t, `{"amount_cents":100,"principal":"token:7"}`, w.Body.String())
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()

	require.Equal(t, "a-1_B.2", server.RequestID("a-1_B.2"))
	for _, given := range []string{"", "a b", "a\nb", "ä", strings.Repeat("a", 65), `"`} {
		made := server.RequestID(given)
		require.NotEqual(t, given, made)
		require.Len(t, made, 26)
	}
}

// A client that starts a body and does not end it is let go, and one that stops
// reading does not hold the server either: both deadlines are the handler's.
func TestSlowBody(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		client, conn := net.Pipe()
		srv := &http.Server{Handler: f.Handler()}
		listener := &oneConn{conn: conn, done: make(chan struct{})}
		go srv.Serve(listener) //nolint:errcheck // It ends with the listener.
		defer func() {
			_ = client.Close()
			_ = srv.Close()
			synctest.Wait()
		}()

		started := time.Now()
		_, err := io.WriteString(client, "POST /v1/loans/1/payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+f.token+
			"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(client), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestTimeout, answer.StatusCode)
		require.Equal(t, 10*time.Second, time.Since(started))
		_ = answer.Body.Close()
	})
}

// oneConn is a listener with a single connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error { close(l.done); return nil }

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }
