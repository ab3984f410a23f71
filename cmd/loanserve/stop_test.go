package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// patience is how long anything may take that a test waits for.
const patience = time.Minute

// TestStopping runs the tests of signals.
func TestStopping(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]func(*testing.T){
		"requests finish":   testRequestsFinish,
		"readiness fails":   testReadinessFailsFirst,
		"work ends as well": testWorkEnds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// running is a process of the program.
type running struct {
	cmd        *exec.Cmd
	log        *output
	api, admin string
	ended      chan error
}

// start starts the real program and returns once it is ready.
func start(t *testing.T, db *testdb.DB, args ...string) *running {
	t.Helper()
	return startWith(t, db, nil, args...)
}

// startWith starts it with more variables.
func startWith(t *testing.T, db *testdb.DB, env []string, args ...string) *running {
	t.Helper()
	r := &running{log: &output{}, ended: make(chan error, 1)}
	r.cmd = programItself(t, args...)
	r.cmd.Env = append(r.cmd.Env, "DATABASE_URL="+db.URL, "LOANSERVE_ADMIN_LISTEN=127.0.0.1:0",
		"LOANSERVE_LISTEN=127.0.0.1:0", "LOANSERVE_LOG_FORMAT=json")
	r.cmd.Env = append(r.cmd.Env, env...)
	r.cmd.Stderr = r.log
	require.NoError(t, r.cmd.Start())
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })

	require.Eventually(t, func() bool {
		r.api, r.admin = r.logged("api"), r.logged("admin")
		return r.admin != "" && status(t, r.admin+"/readyz") == http.StatusOK
	}, patience, 20*time.Millisecond, "%v is not ready", args)
	return r
}

// logged returns the first value of a string attribute in the log.
func (r *running) logged(attr string) string {
	m := regexp.MustCompile(`"` + attr + `":"([^"]*)"`).FindStringSubmatch(r.log.String())
	if m == nil {
		return ""
	}
	return m[1]
}

func (r *running) signal(t *testing.T, s os.Signal) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(s))
}

// end waits for the end of the process and returns how it ended.
func (r *running) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		t.Fatalf("the program did not end; it wrote:\n%s", r.log)
		return nil
	}
}

// fetch does a GET; its status is 0 where nobody answers.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func status(t *testing.T, url string) int {
	t.Helper()
	status, _ := fetch(t, url)
	return status
}

func get(t *testing.T, url string) string {
	t.Helper()
	_, body := fetch(t, url)
	return body
}

// A payment that nobody works keeps its long poll waiting, until the process
// is told to stop: then the client is answered, and everything ends with 0.
func testRequestsFinish(t *testing.T) {
	t.Helper()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	token := runWith(t.Context(), environment{"DATABASE_URL": db.URL}, "token", "create", "--name", "test",
		"--scope", "payments:write", "--scope", "payments:read")
	require.Equal(t, exitOK, token.code, token.stderr)
	serve := start(t, db, "serve")
	client := newDemoClient(serve.api, token.stdout[:len(token.stdout)-1])
	var payment demoPayment
	body := []byte(`{"amount_cents":100,"received_on":"2026-10-01","channel":"ach"}`)
	_, err := client.call(t.Context(), http.MethodPost, loanPath(loan.ID)+"/payments",
		http.Header{"Idempotency-Key": {"stop"}}, body, &payment)
	require.NoError(t, err)

	answered := make(chan error, 1)
	go func() {
		_, err := client.call(t.Context(), http.MethodGet, "/v1/payments/"+payment.PaymentID,
			http.Header{"Prefer": {"wait=30"}}, nil, &payment)
		answered <- err
	}()
	require.Eventually(t, func() bool {
		return strings.Contains(get(t, serve.admin+"/debug/pprof/goroutine?debug=1"), "(*waiters).wait+")
	}, patience, 10*time.Millisecond, "the long poll is under way")
	began := time.Now()
	serve.signal(t, syscall.SIGTERM)
	require.NoError(t, <-answered)
	require.NoError(t, serve.end(t), serve.log.String())
	require.Less(t, time.Since(began), 15*time.Second, "nothing waited for the long poll's 30 s")
	require.Equal(t, "received", payment.Status)
}

// A load balancer sees the failing check while requests are still served. A
// second signal does not wait for it.
func testReadinessFailsFirst(t *testing.T) {
	t.Helper()
	serve := start(t, testdb.Clone(t), "serve", "--workers", "2", "--drain-delay", "10m")
	require.Equal(t, http.StatusOK, status(t, serve.admin+"/livez"))
	serve.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool { return status(t, serve.admin+"/readyz") == http.StatusServiceUnavailable },
		patience, 20*time.Millisecond)
	require.Equal(t, http.StatusOK, status(t, serve.api+"/openapi.yaml"), "requests are still served")

	serve.signal(t, syscall.SIGTERM)
	require.Error(t, serve.end(t), "ended by the signal")
}

func testWorkEnds(t *testing.T) {
	t.Helper()
	work := start(t, testdb.Clone(t), "work", "--workers", "3")
	require.Empty(t, work.api, "work serves no API")
	require.Equal(t, http.StatusOK, status(t, work.admin+"/metrics"))
	work.signal(t, syscall.SIGINT)
	require.NoError(t, work.end(t), work.log.String())
}
