package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/backup/store/storetest"
	"loanserve/internal/pgcluster"
)

// late serves a request before the gate in front of it can hold it up: the store then
// has what it never says that it has.
type late struct{ http.Handler }

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Late") == "" {
		l.Handler.ServeHTTP(w, r)
		return
	}
	l.Handler.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// archiving starts the program as it archives.
func archiving(t *testing.T, env environment) *running {
	t.Helper()
	r := &running{log: &output{}, ended: make(chan error, 1)}
	r.cmd = programItself(t, "work", "--workers", "1")
	r.cmd.Env = append(r.cmd.Env, "LOANSERVE_ADMIN_LISTEN=127.0.0.1:0", "LOANSERVE_LOG_FORMAT=json",
		"LOANSERVE_BACKUP_AT=off", "LOANSERVE_CLOSE_DAY_AT=off", "LOANSERVE_BACKUP_WAL=on", "LOANSERVE_BACKUP_WAL_INTERVAL=100ms")
	for name, value := range env {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.Stderr = r.log
	require.NoError(t, r.cmd.Start())
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	require.Eventually(t, func() bool {
		r.admin = r.logged("admin")
		return r.admin != "" && status(t, r.admin+"/readyz") == http.StatusOK
	}, patience, 20*time.Millisecond, "not ready: %s", r.log)
	return r
}

// metric reads a metric of the process.
func (r *running) metric(t *testing.T, name string) float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.admin+"/metrics", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	value, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(t, err)
	return value
}

// writer writes the past, line by line, until it is told to stop.
type writer struct {
	stop  chan struct{}
	ended chan error
	xids  []int64
}

func startWriter(t *testing.T, url string) *writer {
	t.Helper()
	sql(t, url, `CREATE TABLE diary (n int PRIMARY KEY); GRANT SELECT ON diary TO loanserve_backup`)
	sql(t, url, `ALTER DATABASE books SET synchronous_commit = on`) // What is not written yet cannot be archived.
	w := &writer{stop: make(chan struct{}), ended: make(chan error, 1)}
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	go func() {
		defer conn.Close(context.Background())
		for {
			select {
			case <-w.stop:
				w.ended <- nil
				return
			default:
			}
			var xid int64
			err := conn.QueryRow(context.Background(), `INSERT INTO diary VALUES ($1)
RETURNING pg_current_xact_id()::text::bigint`, len(w.xids)).Scan(&xid)
			if err != nil {
				w.ended <- err
				return
			}
			w.xids = append(w.xids, xid)
		}
	}()
	return w
}

// Killed at any moment, the process that archives is replaced by the one that waits,
// and nothing of the past is missing or doubled.
func TestArchiveIsKilled(t *testing.T) {
	t.Parallel()
	_, env := backupServer(t)
	url := env["DATABASE_URL"]
	g := &gate{Handler: &late{storetest.Fake(t)}}
	env["LOANSERVE_BACKUP_URL"] = storetest.URL(t, g, nil)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		env[name] = storetest.Environment(name)
	}
	alive := []*running{archiving(t, env)}
	require.Eventually(t, func() bool {
		for _, b := range listBackups(t, env) {
			if b.Kind == "physical" && b.State == "verified" {
				return true
			}
		}
		return false
	}, patience, 50*time.Millisecond, "a new archive asks for the backup that it follows: %s", alive[0].log)

	w := startWriter(t, url)
	alive = append(alive, archiving(t, env))
	for _, moment := range []struct {
		name   string
		late   bool
		nowait bool
	}{{name: "before a piece is stored"}, {name: "after it", late: true}, {name: "at any time", nowait: true}} {
		if !moment.nowait {
			reached, open := g.close(func(r *http.Request) bool {
				if !storing("0000")(r) {
					return false
				}
				if moment.late {
					r.Header.Set("X-Late", "1")
				}
				return true
			})
			await(t, reached, moment.name)
			if moment.late {
				open <- true // It is stored, and the answer is lost.
			} else {
				defer func() { open <- false }()
			}
		}
		killed := kill(t, alive)
		alive = []*running{alive[1-killed], archiving(t, env)}
	}
	close(w.stop)
	require.NoError(t, <-w.ended)
	caughtUp(t, alive)

	o := restored(t, env, "--to-latest")
	require.Equal(t, len(w.xids), o)
	middle := len(w.xids) / 2
	require.Equal(t, middle, restored(t, env, "--before-xid", fmt.Sprint(w.xids[middle])))
	require.Equal(t, middle+1, restored(t, env, "--to-xid", fmt.Sprint(w.xids[middle])))
}

// kill kills the process that archives, with SIGKILL, and returns which it was.
func kill(t *testing.T, alive []*running) (which int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for i, r := range alive {
			if r.metric(t, "loanserve_wal_archiving") == 1 {
				which = i
				return true
			}
		}
		return false
	}, patience, 20*time.Millisecond, "nobody archives")
	require.NoError(t, alive[which].cmd.Process.Kill())
	require.Error(t, <-alive[which].ended)
	return which
}

// caughtUp waits until all that was written by now is in the store.
func caughtUp(t *testing.T, alive []*running) {
	t.Helper()
	now := float64(time.Now().UnixMilli()) / 1000
	require.Eventually(t, func() bool {
		for _, r := range alive {
			if r.metric(t, "loanserve_wal_archived_timestamp_seconds") > now {
				return true
			}
		}
		return false
	}, patience, 20*time.Millisecond, "the archive does not catch up")
}

// restored restores a moment and returns how many lines it finds, which are the
// first ones.
func restored(t *testing.T, env environment, point ...string) (lines int) {
	t.Helper()
	home, remove, err := pgcluster.Scratch(t.Context(), pgcluster.Temp())
	require.NoError(t, err)
	defer func() { require.NoError(t, remove()) }()
	dir := filepath.Join(home, "restored")
	got := runWith(t.Context(), env, append([]string{"restore", "--into", dir}, point...)...)
	require.Equal(t, exitOK, got.code, got.stderr)
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, cluster.Stop()) }()
	conn, err := pgx.Connect(t.Context(), cluster.URL("books"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var highest int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*), coalesce(max(n), -1) + 1 FROM diary`).
		Scan(&lines, &highest))
	require.Equal(t, lines, highest)
	return lines
}
