package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"loanserve/server"
)

const (
	// loginsPerSecond is a steady rate that leaves the machine time for the rest:
	// each login hashes a password for some 30 ms.
	loginsPerSecond = 8
	// loginAccounts is how many people log in in turn.
	loginAccounts = 100
	// loginsAlone is how long logins are measured with nothing beside them.
	loginsAlone   = time.Minute
	benchPassword = "a password of the bench"
)

// purges measures how fast ended sessions and old login attempts are deleted
// while people log in, beside one DELETE of the same rows by the database alone.
func (b *bench) purges(ctx context.Context, out io.Writer) error {
	if b.purgeRows == 0 {
		return nil
	}
	fmt.Fprintf(os.Stderr, "storing %d sessions and %d login attempts\n", b.purgeRows, b.purgeRows)
	if err := b.fillPurges(ctx); err != nil {
		return err
	}
	raw, err := b.rawDeletes(ctx)
	if err != nil {
		return err
	}
	base, stop, err := b.api.serve(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	fmt.Fprintln(os.Stderr, "logins alone, then with the purges")
	alone, cancel := context.WithTimeout(ctx, loginsAlone)
	before := logIns(alone, base)
	cancel()

	beside, cancel := context.WithCancel(ctx)
	defer cancel()
	during := make(chan latencies, 1)
	go func() { during <- logIns(beside, base) }()
	took, memory, err := b.purge(ctx, base)
	cancel()
	with := <-during
	if err := errors.Join(err, before.err, with.err); err != nil {
		return err
	}
	printPurges(out, float64(b.purgeRows), took, raw, before, with)
	fmt.Fprintf(out, "memory of the worker in MiB: %.0f at its start, %.0f at most\n",
		memory[0]/mebi, slices.Max(memory)/mebi)
	return nil
}

const mebi = 1 << 20

func printPurges(out io.Writer, rows float64, took, raw time.Duration, before, with latencies) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "path\tper second\tlimit in the same run\tper second\tratio")
	fmt.Fprintf(w, "sessions and login attempts purged\t%.0f\tone DELETE for each table\t%.0f\t%.2f\n",
		rows/took.Seconds(), rows/raw.Seconds(), raw.Seconds()/took.Seconds())
	fmt.Fprintln(w, "\nlogins at a steady rate\tn\tp50\tp99\tp99, ratio to alone")
	fmt.Fprintf(w, "alone\t%d\t%v\t%v\t\n", len(before.took), before.quantile(50), before.quantile(99))
	fmt.Fprintf(w, "with the purges\t%d\t%v\t%v\t%.2f\n", len(with.took), with.quantile(50), with.quantile(99),
		with.ratioTo(before, 99))
	_ = w.Flush()
}

// fillPurges stores rows of which every other one is to go.
func (b *bench) fillPurges(ctx context.Context) error {
	hash := server.HashPassword(benchPassword)
	return b.each(ctx,
		fmt.Sprintf(`INSERT INTO users (name, full_name, password_hash) SELECT 'bench' || n, 'Bench', '%s'
			FROM generate_series(1, %d) n`, hash, loginAccounts),
		fmt.Sprintf(`INSERT INTO sessions (user_id, token_hash, ip, user_agent, created_at, last_seen_at, expires_at,
				revoked_at)
			SELECT u.first + n %% %d, sha256(''), '192.0.2.1', 'bench', x.at - interval '12 hours', x.at, x.at,
				CASE WHEN n %% 10 = 0 THEN x.at END
			FROM (SELECT min(id) AS first FROM users) u, generate_series(1, %d) n,
				LATERAL (SELECT now() + CASE WHEN n %% 2 = 0 THEN -interval '2 days' ELSE interval '6 hours' END
					+ n * interval '1 millisecond') x (at)`, loginAccounts, b.purgeRows),
		fmt.Sprintf(`INSERT INTO login_attempts (name, ip, outcome, attempted_at)
			SELECT 'somebody' || n %% 10000, '192.0.2.1'::inet + n %% 60000, 'wrong_password',
				now() - CASE WHEN n %% 2 = 0 THEN interval '100 days' ELSE interval '2 days' END + n * interval '1 millisecond'
			FROM generate_series(1, %d) n`, b.purgeRows),
		"VACUUM ANALYZE sessions", "VACUUM ANALYZE login_attempts", "CHECKPOINT")
}

// rawDeletes is the limit: one statement for each of two tables with the same
// rows and indexes, and nobody beside it.
func (b *bench) rawDeletes(ctx context.Context) (took time.Duration, err error) {
	// In a schema of their own, whose tables may be dropped.
	if err := b.each(ctx, "CREATE SCHEMA raw"); err != nil {
		return 0, err
	}
	for table, where := range map[string]string{
		"sessions":       "expires_at < now() - interval '1 day'",
		"login_attempts": "attempted_at < now() - interval '90 days'",
	} {
		columns := "id, user_id, token_hash, ip, user_agent, created_at, last_seen_at, expires_at, revoked_at"
		if table == "login_attempts" {
			columns = "id, user_id, name, ip, outcome, attempted_at"
		}
		err = b.each(ctx, fmt.Sprintf("CREATE TABLE raw.rows (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)", table),
			fmt.Sprintf("INSERT INTO raw.rows (%s) SELECT %s FROM %s", columns, columns, table),
			"VACUUM ANALYZE raw.rows", "CHECKPOINT")
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := b.each(ctx, "DELETE FROM raw.rows WHERE "+where); err != nil {
			return 0, err
		}
		took += time.Since(start)
		if err := b.each(ctx, "DROP TABLE raw.rows", "CHECKPOINT"); err != nil {
			return 0, err
		}
	}
	return took, nil
}

// purge asks for both purges, works them in a process of its own, and returns
// how long that took, and that process's memory, second by second.
func (b *bench) purge(ctx context.Context, base string) (took time.Duration, memory []float64, err error) {
	cmd := b.api.command(ctx, "token", "create", "--name", "bench-purge", "--scope", "housekeeping:run")
	token, err := cmd.Output()
	if err != nil {
		return 0, nil, fmt.Errorf("token: %w", err)
	}
	for _, path := range []string{"/v1/session-cleanups", "/v1/login-attempt-prunings"} {
		if err := askFor(ctx, base+path, strings.TrimSpace(string(token))); err != nil {
			return 0, nil, err
		}
	}
	_, admin, err := freePorts()
	if err != nil {
		return 0, nil, err
	}
	work := b.api.command(ctx, "work", "--workers", "1", "--admin-listen", admin)
	work.Stderr = os.Stderr
	// So that its memory is what it uses, without the garbage that it may leave.
	work.Env = append(work.Env, "GOGC=100")
	if err := work.Start(); err != nil {
		return 0, nil, fmt.Errorf("start: %w", err)
	}
	defer func() {
		_ = work.Process.Signal(os.Interrupt)
		_ = work.Wait()
	}()
	start := time.Now()
	for left := int64(1); left > 0; {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
		if bytes, ok := residentMemory(ctx, admin); ok {
			memory = append(memory, bytes)
		}
		err := b.pool.QueryRow(ctx, `SELECT count(*) FROM runs WHERE kind <> 'close_day' AND finished_at IS NULL`).Scan(&left)
		if err != nil {
			return 0, nil, fmt.Errorf("look at runs: %w", err)
		}
	}
	if len(memory) == 0 {
		memory = []float64{0}
	}
	return time.Since(start), memory, b.checkPurged(ctx)
}

// checkPurged makes sure that what was to go is gone, and nothing else.
func (b *bench) checkPurged(ctx context.Context) error {
	var sessions, attempts, counted int64
	err := b.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM sessions WHERE user_agent = 'bench'),
		(SELECT count(*) FROM login_attempts WHERE outcome = 'wrong_password'),
		(SELECT sum(attempts) FROM login_attempt_counts)::bigint`).Scan(&sessions, &attempts, &counted)
	half := int64(b.purgeRows / 2)
	if err == nil && (sessions != int64(b.purgeRows)-half || attempts != int64(b.purgeRows)-half || counted != half) {
		err = fmt.Errorf("%d sessions and %d attempts are left of %d, and %d counted",
			sessions, attempts, b.purgeRows, counted)
	}
	return err
}

func askFor(ctx context.Context, url, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", `"bench `+req.URL.Path+`"`)
	return answered(req, http.StatusAccepted)
}

// answered sends a request that must be answered with the status.
func answered(req *http.Request, status int) error {
	_, err := answer(req, status)
	return err
}

// answer is the body of an answer that must have the status.
func answer(req *http.Request, status int) ([]byte, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != status {
		err = fmt.Errorf("%s: status %d: %s", req.URL.Path, res.StatusCode, body)
	}
	return body, err
}

// logIn logs one of the people in whose turn it is.
func logIn(ctx context.Context, base string, n int) error {
	body := fmt.Sprintf(`{"name":"bench%d","password":%q}`, n%loginAccounts+1, benchPassword)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/sessions", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	// People do not all come from one address.
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", n%loginAccounts+1))
	return answered(req, http.StatusCreated)
}

// logIns lets people log in at the steady rate until ctx ends.
func logIns(ctx context.Context, base string) latencies {
	return atRate(ctx, loginsPerSecond, func(ctx context.Context, n int) error { return logIn(ctx, base, n) })
}

var residentBytes = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`)

// residentMemory asks a process for what it has of the machine's memory.
func residentMemory(ctx context.Context, admin string) (float64, bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return 0, false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	found := residentBytes.FindSubmatch(text)
	if err != nil || found == nil {
		return 0, false
	}
	bytes, err := strconv.ParseFloat(string(found[1]), 64)
	return bytes, err == nil
}
