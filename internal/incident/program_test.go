package incident_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that the test waits for.
const patience = 60 * time.Second

// deployment is the built program with its settings.
type deployment struct {
	t      *testing.T
	binary string
	env    []string
	token  string
	runs   []string // the commands that were run, as shape tells them
	api    string
	admin  string
}

// command returns a run of the program that has not started.
func (d *deployment) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Env = append(os.Environ(), d.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs a command to its end, which must be with the exit code.
func (d *deployment) run(code int, args ...string) (stdout string) {
	d.t.Helper()
	d.runs = append(d.runs, shape(args))
	cmd := d.command(d.t.Context(), args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	_ = cmd.Run() // The exit code says it.
	require.Equal(d.t, code, cmd.ProcessState.ExitCode(), "loanserve %s\n%s%s", strings.Join(args, " "), &out, &said)
	return out.String()
}

// shape is a command with the names of its flags and without their values. How it
// prints and whom it asks is left out.
func shape(args []string) string {
	var all []string
	for i, arg := range args {
		value := i > 0 && strings.HasPrefix(args[i-1], "--") && !strings.HasPrefix(arg, "--")
		if !value && arg != "--json" && arg != "--yes" {
			all = append(all, arg)
		}
	}
	return strings.Join(all, " ")
}

// started is what a process logs when it has started.
type started struct {
	Msg   string `json:"msg"`
	API   string `json:"api"`
	Admin string `json:"admin"`
}

// journal keeps what a process writes, and notices that it has started.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	started chan started
}

// Write implements io.Writer. The program writes whole lines.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(b)
	for line := range bytes.Lines(b) {
		var at started
		if json.Unmarshal(line, &at) == nil && at.Msg == "started" {
			j.started <- at
		}
	}
	return len(b), nil
}

// String returns the end of what was written.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	const enough = 4096
	return string(j.text.Bytes()[max(0, j.text.Len()-enough):])
}

// serve runs the program until the test ends, and returns once it has started.
func (d *deployment) serve() {
	t := d.t
	t.Helper()
	log, ended := &journal{started: make(chan started, 1)}, make(chan struct{})
	cmd := d.command(context.WithoutCancel(t.Context()),
		"serve", "--workers", "10", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("serve wrote:\n%s", log)
		}
	})
	select {
	case at := <-log.started:
		d.api, d.admin = at.API, at.Admin
	case <-ended:
		require.FailNow(t, "serve ended before it had started", "%s", log)
	case <-time.After(patience):
		require.FailNow(t, "serve did not start", "%s", log)
	}
}

// post sends a request that must be answered with the status, and returns where what
// came of it is.
func (d *deployment) post(status int, path, body, key string) (location string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.api+path, strings.NewReader(body))
	require.NoError(d.t, err)
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(d.t, err)
	require.Equal(d.t, status, res.StatusCode, "%s: %s", path, text)
	return res.Header.Get("Location")
}

// metric reads a metric without labels; ok is false where there is none.
func (d *deployment) metric(name string) (value int, ok bool) {
	d.t.Helper()
	res, err := http.Get(d.admin + "/metrics")
	require.NoError(d.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(d.t, err)
	m := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(text)
	if m == nil {
		return 0, false
	}
	value, err = strconv.Atoi(string(m[1]))
	require.NoError(d.t, err)
	return value, true
}

// loanPath is where payments of a loan go.
func loanPath(id int64) string { return fmt.Sprintf("/v1/loans/%d/payments", id) }
