package incident_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
	"loanserve/internal/portfolio"
	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/recovery"
)

// The loans that were lost, and those that were left.
var (
	lost = []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 20, 21}
	left = []int64{17, 18, 22, 23}
)

// lostList is how an operator names the lost ones.
const lostList = "1-16,19,20,21"

// checkInterval is how soon the alarm is to be known, and latency what it may take
// from there on a machine that is busy with all other tests.
const checkInterval, latency = time.Minute, 20 * time.Second

// TestIncident is the whole story.
func TestIncident(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	s.board()
	s.pay("before the backup", func(n int) bool { return n == 0 })
	s.change()
	s.backUp()
	s.pay("after it", func(n int) bool { return n > 0 })
	s.payOnce(slices.Concat(lost, left), "2026-10-29", "after")
	before := s.rows()
	s.told("%d loans, %d payments and %d transactions are there; a copy of all rows is taken",
		len(before["loans"]), len(before["payments"]), len(before["transactions"]))

	xid, at := s.lose()
	after := s.rows()
	s.payOnce(left, "2026-10-30", "later")
	s.find(xid, at)
	s.rehearse(at)
	s.alarm(at)
	since := s.rows()
	s.recover(xid)
	s.compare(before, after, since)
	s.mend()
	s.prove()
	s.post(http.StatusAccepted, loanPath(lost[0]), paymentOf("2026-10-30"), "restored")
	s.settle()
	require.Equal(t, "posted", one[string](t, s.super,
		`SELECT status::text FROM payments WHERE idempotency_key = 'restored'`))
	s.told("a payment on loan %d, which was lost, is posted", lost[0])
	s.followed()
}

// followed sees that the test has run every command of the runbook.
func (s *story) followed() {
	s.t.Helper()
	if !s.finds {
		return
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "recovery.md"))
	require.NoError(s.t, err)
	_, section, found := strings.Cut(string(text), "## Loans are missing\n")
	require.True(s.t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	commands := 0
	for line := range strings.Lines(section) {
		if command, ok := strings.CutPrefix(line, "    loanserve "); ok {
			require.Contains(s.t, s.runs, shape(strings.Fields(command)), "docs/recovery.md says: %s", line)
			commands++
		}
	}
	require.GreaterOrEqual(s.t, commands, 7)
}

// story is the deployment and what happens to it.
type story struct {
	*deployment

	super *pgxpool.Pool
	finds bool // the machine has what reads WAL
	began time.Time
	step  time.Time
}

// told says what was done, and how long it took.
func (s *story) told(format string, args ...any) {
	s.t.Helper()
	now := time.Now()
	s.t.Logf("%6.1f s  %5.2f s  %s", now.Sub(s.began).Seconds(), now.Sub(s.step).Seconds(), fmt.Sprintf(format, args...))
	s.step = now
}

// deploy starts a server, and the program on it with an archive of its WAL.
func deploy(t *testing.T) *story {
	t.Helper()
	s := &story{deployment: &deployment{t: t, binary: filepath.Join(t.TempDir(), "loanserve")}}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "loanserve/cmd/loanserve").CombinedOutput()
	require.NoErrorf(t, err, "build: %s", out)
	s.began, s.step = time.Now(), time.Now()
	binaries, err := pgcluster.Provision(t.Context(), nil)
	require.NoError(t, err)
	// A server sends what it has flushed, and tells of no commit that it has not.
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{
		Binaries: binaries, Settings: map[string]string{"synchronous_commit": "on", "max_slot_wal_keep_size": "1GB"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	conn, err := pgx.Connect(t.Context(), cluster.URL("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE DATABASE loanserve`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))

	url := cluster.URL("loanserve")
	s.super, err = pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(s.super.Close)
	s.env = []string{
		"DATABASE_URL=" + url, "LOANSERVE_BACKUP_URL=file://" + t.TempDir(), "LOANSERVE_BACKUP_WAL=on",
		"LOANSERVE_BACKUP_WAL_INTERVAL=500ms", "LOANSERVE_BACKUP_AT=off", "LOANSERVE_CLOSE_DAY_AT=off",
		"LOANSERVE_LOG_FORMAT=json", "LOANSERVE_LOG_LEVEL=info",
	}
	s.run(0, "migrate", "up")
	s.token = strings.TrimSpace(s.run(0, "token", "create", "--name", "incident",
		"--scope", "loans:write", "--scope", "loans:change", "--scope", "payments:write", "--scope", "payments:reverse"))
	s.serve()
	s.told("a server runs, the schema is there, and serve works with its WAL archived")
	return s
}

// board boards the demo's portfolio, whose loans get the ids from 1 to 23.
func (s *story) board() {
	for _, l := range portfolio.Loans() {
		s.post(http.StatusCreated, "/v1/loans", string(l.Body), l.Key)
	}
	require.Equal(s.t, "1-23", one[string](s.t, s.super, `SELECT min(id) || '-' || max(id) FROM loans`))
	s.told("23 loans are boarded over HTTP")
}

// pay submits those of each loan's payments that are asked for, by their place.
func (s *story) pay(when string, which func(n int) bool) {
	s.t.Helper()
	ids := map[string]int64{}
	for i, l := range portfolio.Loans() {
		ids[l.Number] = int64(i) + 1
	}
	seen, sent := map[string]int{}, 0
	for _, p := range portfolio.Payments() {
		if n := seen[p.LoanNumber]; which(n) {
			s.post(http.StatusAccepted, loanPath(ids[p.LoanNumber]), string(p.Body), p.Key)
			sent++
		}
		seen[p.LoanNumber]++
	}
	s.settle()
	s.told("%d payments are submitted and posted %s", sent, when)
}

// payOnce has each of the loans get one more payment, which is held.
func (s *story) payOnce(loans []int64, on, key string) {
	for _, id := range loans {
		s.post(http.StatusAccepted, loanPath(id), paymentOf(on), fmt.Sprintf("%s-%d", key, id))
	}
	s.settle()
	s.told("%d more payments of %s arrive", len(loans), on)
}

// change has more than payments hang on some loans, lost ones and others: a document,
// another payment from an installment on, and a payment that came back.
func (s *story) change() {
	for _, id := range []int64{2, 3, 20, 22} {
		testdb.Document(s.t, s.super, queries.Loan{ID: id})
		s.post(http.StatusAccepted, fmt.Sprintf("/v1/loans/%d/payment-changes", id),
			`{"due_on":"2026-12-01","reason":"analysis","escrow_payment_cents":40000}`, fmt.Sprintf("change-%d", id))
		payment := s.post(http.StatusAccepted, loanPath(id), paymentOf("2026-10-28"), fmt.Sprintf("returned-%d", id))
		s.settle()
		s.post(http.StatusAccepted, payment+"/reversals", `{"reason":"R01"}`, fmt.Sprintf("reversal-%d", id))
	}
	s.settle()
	require.Equal(s.t, "4 4", one[string](s.t, s.super, `SELECT concat_ws(' ',
  (SELECT count(*) FROM loan_changes WHERE status = 'posted'),
  (SELECT count(*) FROM payment_reversals WHERE status = 'posted'))`))
	s.told("4 loans have documents, a changed payment and a payment that came back")
}

func paymentOf(on string) string {
	return fmt.Sprintf(`{"amount_cents":12345,"received_on":%q,"channel":"ach","designation":"periodic"}`, on)
}

// settle waits until nothing waits to be posted.
func (s *story) settle() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return one[int](s.t, s.super, `SELECT (SELECT count(*) FROM payments WHERE status = 'received')
  + (SELECT count(*) FROM payment_reversals WHERE status = 'requested')
  + (SELECT count(*) FROM loan_changes WHERE status = 'requested')`) == 0
	}, patience, 20*time.Millisecond)
}

// backUp makes the night's backup and proves it.
func (s *story) backUp() {
	s.run(0, "backup", "create", "--kind", "physical")
	s.run(0, "backup", "verify", "--latest", "--kind", "physical")
	s.told("the night's backup is made, restored and compared")
}

// lose deletes 19 loans with everything, as somebody does who may do all.
func (s *story) lose() (xid string, at time.Time) {
	at = time.Now()
	xid = testdb.LoseLoans(s.t, s.super, lost...)
	require.Equal(s.t, "23 4", one[string](s.t, s.super, `SELECT max(id) || ' ' || count(*) FROM loans`))
	s.told("somebody disables the guards and deletes 19 loans in transaction %s: max(id) is 23, and count(*) 4", xid)
	return xid, at
}

// find has the program say which transaction it was.
func (s *story) find(xid string, at time.Time) {
	binaries, err := pgcluster.Find()
	require.NoError(s.t, err)
	if _, err := os.Stat(filepath.Join(binaries.Dir, "pg_waldump")); err != nil {
		s.told("recover find is left out: the programs of this machine lack pg_waldump")
		return
	}
	var found recovery.Search
	require.Eventually(s.t, func() bool { // The archive is half a second behind.
		found = recovery.Search{}
		require.NoError(s.t, json.Unmarshal([]byte(s.run(0, "recover", "find", "--json")), &found))
		return slices.ContainsFunc(found.Takings, func(of recovery.Taking) bool { return of.TookLoans() })
	}, patience, 100*time.Millisecond)
	i := slices.IndexFunc(found.Takings, func(of recovery.Taking) bool { return of.TookLoans() })
	require.Equal(s.t, xid, fmt.Sprint(found.Takings[i].XID))
	require.EqualValues(s.t, len(lost), found.Takings[i].Deleted["loans"])
	require.Len(s.t, found.Missing, len(lost))
	s.finds = true
	s.run(0, "recover", "find", "--since", at.Format(time.RFC3339Nano))
	s.told("recover find: transaction %s deleted %v", xid, found.Takings[i].Deleted)
}

// alarm waits until the metric says how many loans are missing.
func (s *story) alarm(at time.Time) {
	s.t.Helper()
	late := at.Add(checkInterval + latency)
	for {
		if n, ok := s.metric("loanserve_loans_missing"); ok && n > 0 {
			require.Equal(s.t, len(lost), n)
			break
		}
		require.True(s.t, time.Now().Before(late), "the alarm does not fire")
		time.Sleep(50 * time.Millisecond) // The metric is read as a monitoring system reads it.
	}
	s.told("the alarm says that 19 loans are missing, %.1f s after the deed", time.Since(at).Seconds())
}

// outcome is what the program prints of a recovery.
type outcome struct {
	Merged        bool           `json:"merged"`
	Plan          *recovery.Plan `json:"plan"`
	ImagesSeconds float64        `json:"images_seconds"`
	MergeSeconds  float64        `json:"merge_seconds"`
}

// rehearse shows the plan, for all that was deleted since the moment before the deed.
func (s *story) rehearse(at time.Time) {
	s.t.Helper()
	if !s.finds {
		return
	}
	planned := s.outcome("recover", "--to-time", at.Format(time.RFC3339Nano), "--dry-run", "--json")
	require.False(s.t, planned.Merged)
	require.Len(s.t, planned.Plan.Loans, len(lost))
	require.Equal(s.t, 4, one[int](s.t, s.super, `SELECT count(*) FROM loans`))
	s.told("recover --to-time --dry-run shows the plan")
}

// recover brings the loans back.
func (s *story) recover(xid string) {
	s.t.Helper()
	done := s.outcome("recover", "--loans", lostList, "--before-xid", xid, "--yes", "--json")
	require.True(s.t, done.Merged)
	require.Len(s.t, done.Plan.Loans, len(lost))
	inserted, setBack := done.Plan.Rows()
	s.told("recover brings 19 loans back: %d rows inserted, %d set back; images %.1f s, merge %.2f s",
		inserted, setBack, done.ImagesSeconds, done.MergeSeconds)
}

// outcome runs a recovery.
func (s *story) outcome(args ...string) (o outcome) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.run(0, args...)), &o))
	return o
}

// rows returns every row of every table, but of history and of those in which workers
// note what they do by the clock: they change all the time.
func (s *story) rows() map[string][]string {
	s.t.Helper()
	all := map[string][]string{}
	for _, table := range column[string](s.t, s.super,
		`SELECT tablename::text FROM pg_tables
WHERE schemaname = 'public' AND tablename NOT IN ('history', 'backups', 'runs', 'run_chunks', 'integrity_findings')`) {
		all[table] = column[string](s.t, s.super, `SELECT t::text FROM `+table+` t ORDER BY t::text COLLATE "C"`)
	}
	return all
}

// compare sees that every row that was taken is back as it was, and that nothing is
// gone or different that was written until the recovery.
func (s *story) compare(before, after, since map[string][]string) {
	s.t.Helper()
	now := s.rows()
	taken, tables := 0, []string{}
	for _, table := range slices.Sorted(maps.Keys(before)) {
		gone := minus(before[table], after[table])
		if len(gone) > 0 {
			tables = append(tables, table)
		}
		taken += len(gone)
		require.Empty(s.t, minus(gone, now[table]), "rows of %s that were taken are not as they were", table)
	}
	for _, table := range slices.Sorted(maps.Keys(since)) {
		require.Empty(s.t, minus(since[table], now[table]), "rows of %s that were written since are gone", table)
	}
	require.Contains(s.t, tables, "transactions")
	s.told("%d rows of %d tables are as they were to the byte, and nothing that was written since is lost: %s",
		taken, len(tables), strings.Join(tables, ", "))
}

// minus are the rows of one list that are not in another.
func minus(list, other []string) (rest []string) {
	for _, row := range list {
		if _, found := slices.BinarySearch(other, row); !found {
			rest = append(rest, row)
		}
	}
	return rest
}

// mend switches the guards on again, as the program says.
func (s *story) mend() {
	s.t.Helper()
	type report struct {
		Findings []struct {
			Severity, Message, Remedy string
		} `json:"findings"`
	}
	read := func(code int) (r report) {
		require.NoError(s.t, json.Unmarshal([]byte(s.run(code, "check", "schema", "--json")), &r))
		return r
	}
	found := read(1)
	disabled := slices.ContainsFunc(found.Findings, func(f struct{ Severity, Message, Remedy string }) bool {
		return strings.Contains(f.Message, "loans") && strings.Contains(f.Message, "refuse_removal")
	})
	require.True(s.t, disabled, "%+v", found)
	s.run(0, "migrate", "up")
	mended := 0
	for _, f := range read(1).Findings {
		_, err := s.super.Exec(s.t.Context(), f.Remedy)
		require.NoError(s.t, err, f.Remedy)
		mended++
	}
	require.Empty(s.t, read(0).Findings)
	_, err := s.super.Exec(s.t.Context(), `DELETE FROM loans WHERE id = 1`)
	require.ErrorContains(s.t, err, "servicing data is never removed")
	s.told("check schema names %d differences; migrate up and %d statements mend them, and guards hold",
		len(found.Findings), mended)
}

// prove checks the books, and that the alarm is over.
func (s *story) prove() {
	s.t.Helper()
	s.run(0, "check", "integrity", "--full")
	require.Equal(s.t, "0 0 0", one[string](s.t, s.super, `SELECT concat_ws(' ', (SELECT count(*) FROM broken_seals),
  (SELECT count(*) FROM unreconciled_loans), (SELECT sum(balance_cents) FROM trial_balance))`))
	require.Zero(s.t, one[int](s.t, s.super, `SELECT count(*) FROM integrity_findings WHERE resolved_at IS NULL`))
	s.told("check integrity --full finds every seal, balance and key in order")
}

func column[T any](t *testing.T, db *pgxpool.Pool, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return all
}

func one[T any](t *testing.T, db *pgxpool.Pool, sql string, args ...any) T {
	t.Helper()
	all := column[T](t, db, sql, args...)
	require.Len(t, all, 1, sql)
	return all[0]
}
