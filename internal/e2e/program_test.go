package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
const patience = 60 * time.Second

// TestProgram runs every test of the program on one build of it.
func TestProgram(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "loanserve")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "loanserve/cmd/loanserve").CombinedOutput()
	require.NoErrorf(t, err, "build: %s", out)

	for name, test := range map[string]func(*testing.T, *program){
		"crash":       testCrash,
		"audit crash": testAuditCrash,
		"file crash":  testFileCrash,
		"escrow":      testEscrowCrash,
		"idempotency": testIdempotency,
		"hostile":     testHostile,
		"regz":        testRegZ,
		"curtailment": testCurtailment,
		"reversals":   testReversalCrash,
		"webhooks":    testWebhookCrash,
		"provider":    testProviderIsAway,
		"schedule":    testClosesDays,
		"disburse":    testDisburse,
		"integrity":   testIntegrityCrash,
		"migrations":  testRefusesPendingMigrations,
		"drift":       testRefusesDrift,
		"newer":       testNewerSchema,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &program{t: t, binary: binary, db: testdb.Clone(t)})
		})
	}
}

// program is the built program with a database of its own.
type program struct {
	t      *testing.T
	binary string
	db     *testdb.DB
	token  string
}

// command returns a run of the program that has not started.
func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+p.db.URL, "LOANSERVE_LOG_FORMAT=json", "LOANSERVE_LOG_LEVEL=info",
		"LOANSERVE_CLOSE_DAY_AT=off") // The loans of the tests live in days of their own.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// process is a running process of the program.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	api   string
	admin string
	log   *log
	ended chan struct{}
}

// log keeps what a process wrote, to show when a test fails, and notices the
// line that says that it has started.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	read    int            // bytes of text that were looked at
	started chan addresses // nil once the line was seen
}

// addresses are where a process listens; API is "" where there is none.
type addresses struct {
	Msg   string `json:"msg"`
	API   string `json:"api"`
	Admin string `json:"admin"`
}

// Write implements io.Writer. What comes at once need not be whole lines.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	for l.started != nil {
		line, rest, whole := bytes.Cut(l.text.Bytes()[l.read:], []byte("\n"))
		if !whole {
			break
		}
		l.read = l.text.Len() - len(rest)
		var at addresses
		if json.Unmarshal(line, &at) == nil && at.Msg == "started" {
			l.started <- at
			l.started = nil
		}
	}
	return len(b), nil
}

// String returns the end of what was written.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	const enough = 4096
	text := l.text.String()
	return text[max(0, len(text)-enough):]
}

// anyPort lets the system choose, so that no two processes choose the same.
const anyPort = "127.0.0.1:0"

// start runs serve or work until the test ends, and returns once it is ready.
func (p *program) start(verb string, args ...string) *process {
	t := p.t
	t.Helper()
	started := make(chan addresses, 1)
	proc := &process{t: t, log: &log{started: started}, ended: make(chan struct{})}
	args = append([]string{verb, "--admin-listen", anyPort}, args...)
	if verb == "serve" {
		args = append(args, "--listen", anyPort)
	}
	proc.cmd = p.command(context.WithoutCancel(t.Context()), args...)
	proc.cmd.Stderr, proc.cmd.Stdout = proc.log, proc.log
	require.NoError(t, proc.cmd.Start())
	go func() { _ = proc.cmd.Wait(); close(proc.ended) }()
	t.Cleanup(func() {
		proc.signal(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s wrote:\n%s", verb, proc.log)
		}
	})
	select {
	case at := <-started:
		proc.api, proc.admin = at.API, at.Admin
		proc.requireReady(at.Admin)
	case <-proc.ended:
		require.FailNow(t, verb+" ended before it had started")
	case <-time.After(patience):
		require.FailNow(t, verb+" did not start")
	}
	return proc
}

// requireReady checks that a process that has started says so to operators.
func (proc *process) requireReady(admin string) {
	proc.t.Helper()
	ready := func() bool {
		res, err := http.Get(admin + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode == http.StatusOK
	}
	require.Eventually(proc.t, ready, patience, 10*time.Millisecond)
}

// signal sends a signal and waits for the end of the process.
func (proc *process) signal(s syscall.Signal) {
	_ = proc.cmd.Process.Signal(s)
	select {
	case <-proc.ended:
	case <-time.After(patience):
		proc.t.Errorf("the process did not end after %v", s)
	}
}

// makeToken makes the token that requests carry.
func (p *program) makeToken(scopes ...string) {
	p.t.Helper()
	args := []string{"token", "create", "--name", "test"}
	for _, scope := range scopes {
		args = append(args, "--scope", scope)
	}
	out, err := p.command(p.t.Context(), args...).Output()
	require.NoError(p.t, err)
	p.token = strings.TrimSpace(string(out))
}

// answer is an HTTP answer that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

// field returns the member at the path of a JSON object, as text.
func (a answer) field(t *testing.T, path ...string) string {
	t.Helper()
	var value any
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.UseNumber()
	require.NoErrorf(t, decoder.Decode(&value), "body: %s", a.body)
	for _, name := range path {
		object, ok := value.(map[string]any)
		require.Truef(t, ok, "no %v in %s", path, a.body)
		value = object[name]
	}
	return fmt.Sprint(value)
}

// request sends a request with the program's token. Headers are name, value.
func (p *program) request(proc *process, method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), method, proc.api+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(text)}, err
}

// mustRequest is request that succeeds with the given status.
func (p *program) mustRequest(proc *process, status int, method, path, body string, headers ...string) answer {
	p.t.Helper()
	a, err := p.request(proc, method, path, body, headers...)
	require.NoError(p.t, err)
	require.Equalf(p.t, status, a.status, "%s %s: %s", method, path, a.body)
	return a
}

// regZLoan is a loan whose periodic payment is 1,000.00, the next one due on
// 2026-01-01.
func regZLoan(number string) string {
	return fmt.Sprintf(`{"loan_number":%q,"name":"Regulation Z","borrowers":[{"full_name":"Ada Example","role":"primary"}],
"property":{"street":"1 Main Street","city":"Springfield","state":"IL","postal_code":"62701"},
"original_principal_cents":18750000,"principal_cents":18750000,"rate_ppm":35000,"principal_and_interest_cents":84196,
"escrow_payment_cents":15804,"originated_on":"2025-11-15","maturity_on":"2055-12-01","next_due_on":"2026-01-01",
"interest_method":"scheduled_30_360","application_order":"conventional","excess_policy":"principal",
"late_charge":{"grace_days":15,"rate_ppm":50000,"minimum_cents":0}}`, number)
}

// board boards a loan and returns the path of its resource.
func (p *program) board(proc *process, number string) string {
	p.t.Helper()
	return p.mustRequest(proc, http.StatusCreated, http.MethodPost, "/v1/loans", regZLoan(number)).header.Get("Location")
}

func paymentOf(cents int, on string) string {
	return fmt.Sprintf(`{"amount_cents":%d,"received_on":%q,"channel":"ach","designation":"periodic"}`, cents, on)
}

// requireSoundBooks checks that the ledger balances, that every seal holds and
// that every loan is the sum of its ledger.
func (p *program) requireSoundBooks() {
	p.t.Helper()
	var broken, unreconciled, gaps, balance int64
	err := p.db.Super.QueryRow(p.t.Context(), `SELECT
  (SELECT count(*) FROM broken_seals), (SELECT count(*) FROM unreconciled_loans),
  (SELECT count(*) FROM (SELECT FROM transactions GROUP BY loan_id HAVING max(seq) <> count(*)) g),
  (SELECT coalesce(sum(balance_cents), 0) FROM trial_balance)`).Scan(&broken, &unreconciled, &gaps, &balance)
	require.NoError(p.t, err)
	require.Zero(p.t, broken, "broken seals")
	require.Zero(p.t, unreconciled, "loans that are not the sum of their ledger")
	require.Zero(p.t, gaps, "loans with gaps in their ledger")
	require.Zero(p.t, balance, "trial balance")
	out, err := p.command(p.t.Context(), "check", "integrity", "--full").CombinedOutput()
	require.NoError(p.t, err, "%s", out)
}
