package main

import (
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/backup/store/storetest"
	"loanserve/internal/testdb"
)

// gate holds up the first request that it is to, until it is opened, and then
// serves it or hangs up.
type gate struct {
	http.Handler

	mu      sync.Mutex
	hold    func(r *http.Request) bool // nil holds nothing
	reached chan struct{}
	opened  chan bool // whether to serve it
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	held := g.hold != nil && g.hold(r)
	if held {
		g.hold = nil
		close(g.reached)
	}
	opened := g.opened
	g.mu.Unlock()
	if held {
		select {
		case serve := <-opened:
			if !serve {
				panic(http.ErrAbortHandler)
			}
		case <-time.After(patience):
			panic(http.ErrAbortHandler)
		}
	}
	g.Handler.ServeHTTP(w, r)
}

// close has the next such request held up, and returns what tells that it came.
func (g *gate) close(hold func(r *http.Request) bool) (reached <-chan struct{}, open chan<- bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold, g.reached, g.opened = hold, make(chan struct{}), make(chan bool, 1)
	return g.reached, g.opened
}

// storing says whether a request stores (a part of) an object of that name.
func storing(name string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasPrefix(path.Base(r.URL.Path), name)
	}
}

// killedAt are the stages at which a backup is killed; the usual ones are a stage of
// each kind, and the last one, in which the backup is as good as there.
var killedAt = []struct {
	name, kind, object string
	usual              bool
}{
	{"base", "physical", "base.tar", true},
	{"list of files", "physical", "backup_manifest", false},
	{"manifest", "physical", "manifest.json", false},
	{"dump", "logical", "database.dump", false}, // pg_dump itself is killed there as well.
	{"manifest of one", "logical", "manifest.json", true},
}

// Killed at any stage, the program leaves nothing that looks like a backup, the
// older ones are as they were, and the next run succeeds.
func TestBackupIsKilled(t *testing.T) {
	t.Parallel()
	_, env := backupServer(t)
	// Enough that a part of it is stored while the rest is not read yet.
	sql(t, env["DATABASE_URL"], `CREATE TABLE noise (text text); ALTER TABLE noise ALTER text SET STORAGE EXTERNAL;
INSERT INTO noise SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1200000) i GROUP BY i % 1200;
GRANT SELECT ON noise TO loanserve_backup`)
	g := &gate{Handler: storetest.Fake(t)}
	env["LOANSERVE_BACKUP_URL"] = storetest.URL(t, g, nil)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		env[name] = storetest.Environment(name)
	}
	got := runWith(t.Context(), env, "backup", "create")
	require.Equal(t, exitOK, got.code, got.stderr)
	old := listBackups(t, env)
	require.Len(t, old, 2)

	for _, stage := range killedAt {
		if !stage.usual && !testdb.Long() {
			continue
		}
		reached, open := g.close(storing(stage.object))
		run, _ := startBackup(t, env, stage.kind)
		await(t, reached, stage.name)
		require.NoError(t, run.Process.Kill())
		require.Error(t, run.Wait())
		open <- false
		require.Equal(t, old, listBackups(t, env), stage.name)
	}
	if children("self") != nil {
		testDumpIsKilled(t, env, g)
		require.Equal(t, old, listBackups(t, env))
	}
	got = runWith(t.Context(), env, "backup", "create", "--kind", "logical")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Len(t, listBackups(t, env), 3)
	got = runWith(t.Context(), env, "backup", "verify", "--latest")
	require.Equal(t, exitOK, got.code, got.stdout+got.stderr)
}

func startBackup(t *testing.T, env environment, kind string) (cmd *exec.Cmd, said *output) {
	t.Helper()
	cmd = programItself(t, "backup", "create", "--kind", kind)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	said = &output{}
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, said
}

func await(t *testing.T, reached <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-reached:
	case <-time.After(patience):
		t.Fatalf("the backup did not come to store %s", what)
	}
}

// testDumpIsKilled ends pg_dump while the program waits for the store: the program
// says what happened.
func testDumpIsKilled(t *testing.T, env environment, g *gate) {
	t.Helper()
	reached, open := g.close(storing("database.dump"))
	run, said := startBackup(t, env, "logical")
	await(t, reached, "dump")
	dump := children(strconv.Itoa(run.Process.Pid))
	require.Len(t, dump, 1)
	require.NoError(t, syscall.Kill(dump[0], syscall.SIGKILL))
	open <- true
	require.Error(t, run.Wait())
	require.Contains(t, said.String(), "pg_dump ended with signal: killed")
}

// children lists the children of a process; nil where the system does not tell.
func children(pid string) []int {
	files, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil || len(files) == 0 {
		return nil
	}
	list := []int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // A thread that has ended.
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}
