package alerts_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// patience is how long anything may take that a test waits for.
const patience = 90 * time.Second

// program is the built program with a database and a store of backups of its own.
type program struct {
	t      *testing.T
	binary string
	db     *testdb.DB
	// offsite is where the store is mounted, so to speak.
	offsite string
}

func buildProgram(t *testing.T) *program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "loanserve")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "loanserve/cmd/loanserve").CombinedOutput()
	require.NoError(t, err, "build: %s", out)
	p := &program{t: t, binary: binary, db: testdb.Clone(t), offsite: filepath.Join(t.TempDir(), "offsite")}
	require.NoError(t, os.Mkdir(p.offsite, 0o750))
	return p
}

func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+p.db.URL, "LOANSERVE_LOG_FORMAT=json", "LOANSERVE_LOG_LEVEL=info",
		"LOANSERVE_CLOSE_DAY_AT=off", "LOANSERVE_BACKUP_AT=off", "LOANSERVE_BACKUP_KINDS=logical",
		"LOANSERVE_BACKUP_URL=file://"+filepath.Join(p.offsite, "backups"))
	return cmd
}

// output runs a command of the program to its end.
func (p *program) output(args ...string) string {
	p.t.Helper()
	out, err := p.command(p.t.Context(), args...).CombinedOutput()
	require.NoError(p.t, err, "%v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// process is a running serve or work.
type process struct {
	t                  *testing.T
	cmd                *exec.Cmd
	API, Admin         string
	mu                 sync.Mutex
	log                bytes.Buffer
	started, ended     chan struct{}
	once               sync.Once
	verb, adminAddress string
}

// start runs serve or work until the test ends, and returns once it has started.
func (p *program) start(verb, admin string, args ...string) *process {
	t := p.t
	t.Helper()
	proc := &process{t: t, verb: verb, started: make(chan struct{}), ended: make(chan struct{})}
	proc.cmd = p.command(context.WithoutCancel(t.Context()), append([]string{verb, "--admin-listen", admin}, args...)...)
	out, err := proc.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, proc.cmd.Start())
	go proc.read(out)
	t.Cleanup(func() {
		proc.stop(syscall.SIGKILL)
		if t.Failed() {
			proc.mu.Lock()
			defer proc.mu.Unlock()
			t.Logf("%s wrote:\n%s", verb, proc.log.String())
		}
	})
	select {
	case <-proc.started:
	case <-proc.ended:
		require.FailNow(t, verb+" ended before it had started")
	case <-time.After(patience):
		require.FailNow(t, verb+" did not start")
	}
	proc.adminAddress = strings.TrimPrefix(proc.Admin, "http://")
	return proc
}

// read keeps the log, notices the line that says that it has started, and then waits
// for the end.
func (proc *process) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var at struct{ Msg, API, Admin string }
		started := json.Unmarshal(lines.Bytes(), &at) == nil && at.Msg == "started"
		proc.mu.Lock()
		proc.log.Write(lines.Bytes())
		proc.log.WriteByte('\n')
		proc.mu.Unlock()
		if started {
			proc.API, proc.Admin = at.API, at.Admin
			proc.once.Do(func() { close(proc.started) })
		}
	}
	_ = proc.cmd.Wait()
	close(proc.ended)
}

func (proc *process) stop(s syscall.Signal) {
	_ = proc.cmd.Process.Signal(s)
	select {
	case <-proc.ended:
	case <-time.After(patience):
		proc.t.Errorf("%s did not end", proc.verb)
	}
}

// request sends a request and returns its status and body.
func (proc *process) request(method, url, token, body string, headers ...string) (int, string) {
	proc.t.Helper()
	req, err := http.NewRequestWithContext(proc.t.Context(), method, url, strings.NewReader(body))
	require.NoError(proc.t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(proc.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(proc.t, err)
	return res.StatusCode, string(text)
}
