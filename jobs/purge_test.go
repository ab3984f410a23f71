package jobs_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// someone stores a user by SQL, and returns the id.
func someone(t *testing.T, db queries.DBTX) int64 {
	t.Helper()
	user, err := queries.New(db).InsertUser(t.Context(), queries.InsertUserParams{
		Name: "u" + fmt.Sprint(time.Now().UnixNano()), FullName: "Pat", PasswordHash: "$argon2id$v=19$m=64,t=1,p=1$YWJj$YWJj",
	})
	require.NoError(t, err)
	return user.ID
}

// sessions stores n sessions, of which every other one ended the days ago: half
// of those expired, half were revoked.
func sessions(t *testing.T, db *testdb.DB, n, days int) {
	t.Helper()
	_, err := db.Super.Exec(t.Context(), `
		INSERT INTO sessions (user_id, token_hash, ip, user_agent, created_at, last_seen_at, expires_at, revoked_at)
		SELECT $1, sha256(n::text::bytea), '192.0.2.1', '', at - interval '12 hours', at - interval '12 hours',
			CASE WHEN n % 4 = 2 THEN at + interval '9 days' ELSE at END, CASE WHEN n % 4 = 2 THEN at END
		FROM generate_series(1, $2::int) n,
			LATERAL (SELECT now() + CASE WHEN n % 2 = 0 THEN -make_interval(days => $3) ELSE interval '1 hour' END) x (at)`,
		someone(t, db.Super), n, days)
	require.NoError(t, err)
}

// attempts stores n attempts of the outcome that many days ago, after a second.
func attempts(t *testing.T, db *testdb.DB, n, days int, outcome string) {
	t.Helper()
	_, err := db.Super.Exec(t.Context(), `
		INSERT INTO login_attempts (name, ip, outcome, attempted_at)
		SELECT 'n' || n, '192.0.2.1', $3, now() - make_interval(days => $2, secs => 1) FROM generate_series(1, $1::int) n`,
		n, days, outcome)
	require.NoError(t, err)
}

// ask stores the wish for a purge and returns the run.
func ask(t *testing.T, db *testdb.DB, kind queries.RunKind, age time.Duration, dry bool) queries.Run {
	t.Helper()
	run := testdb.Run(t, db.App, func(arg *queries.InsertRunParams) { arg.Kind = kind })
	_, err := queries.New(db.App).InsertRunPurge(t.Context(), queries.InsertRunPurgeParams{
		RunID: run.ID, AgeSeconds: int32(age.Seconds()), DryRun: dry,
	})
	require.NoError(t, err)
	return run
}

func count(t *testing.T, db *testdb.DB, sql string, args ...any) (n int64) {
	t.Helper()
	require.NoError(t, db.Super.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func purgeOf(t *testing.T, db *testdb.DB, run queries.Run) queries.RunPurge {
	t.Helper()
	row, err := queries.New(db.App).GetRunPurge(t.Context(), run.ID)
	require.NoError(t, err)
	return row
}

const aDay = 24 * time.Hour

func TestCleanUpSessions(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	const n = 40_000
	sessions(t, db, n, 3)
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(t.Context())) }()
	work := func(age time.Duration, dry bool) queries.Run {
		run := ask(t, db, queries.RunKindCleanUpSessions, age, dry)
		_, err := p.inserter.Insert(t.Context(), jobs.CleanUpSessionsArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
		untilOver(t, db, run)
		return run
	}

	run := work(aDay, true)
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{n / 2, 0, 0})
	require.EqualValues(t, n/2, *purgeOf(t, db, run).Remaining)
	require.EqualValues(t, n, count(t, db, `SELECT count(*) FROM sessions`), "a dry run deletes nothing")

	run = work(4*aDay, false) // They ended three days ago.
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{0, 0, 0})

	run = work(aDay, false)
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{n / 2, n / 2, 0})
	left := purgeOf(t, db, run)
	require.Zero(t, *left.Remaining)
	require.NotNil(t, left.OldestAt)
	require.EqualValues(t, n/2, count(t, db,
		`SELECT count(*) FROM sessions WHERE revoked_at IS NULL AND expires_at > now()`), "what lives stays")
	require.EqualValues(t, n/2, count(t, db, `SELECT count(*) FROM sessions`))
	require.InDelta(t, n/2, metric(t, p.registry, "loanserve_purge_deleted_rows_total"), 0)

	run = work(aDay, false) // Again is nothing.
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{0, 0, 0})
}

func TestPruneLoginAttempts(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	attempts(t, db, 7_000, 91, "wrong_password")
	attempts(t, db, 300, 91, "throttled")
	attempts(t, db, 5, 100, "succeeded")
	attempts(t, db, 10, 89, "wrong_password")
	attempts(t, db, 10, 0, "wrong_password")
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(t.Context())) }()
	work := func(age time.Duration, dry bool) queries.Run {
		run := ask(t, db, queries.RunKindPruneLoginAttempts, age, dry)
		_, err := p.inserter.Insert(t.Context(), jobs.PruneLoginAttemptsArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
		untilOver(t, db, run)
		return run
	}
	requireRun(t, db, work(90*aDay, true).ID, queries.RunStatusFinished, [3]int64{7_305, 0, 0})
	requireRun(t, db, work(90*aDay, false).ID, queries.RunStatusFinished, [3]int64{7_305, 7_305, 0})
	require.EqualValues(t, 20, count(t, db, `SELECT count(*) FROM login_attempts`))
	counts := func(outcome string) int64 {
		return count(t, db, `SELECT coalesce(sum(attempts), 0)::bigint FROM login_attempt_counts
			WHERE outcome = $1::login_outcome`, outcome)
	}
	require.Equal(t, []int64{7_000, 300, 5}, []int64{counts("wrong_password"), counts("throttled"), counts("succeeded")})

	// A day's count grows by what goes later.
	attempts(t, db, 3, 91, "wrong_password")
	work(90*aDay, false)
	require.EqualValues(t, 7_003, counts("wrong_password"))

	// Nothing that the throttle still counts goes, whoever asks.
	run := work(23*time.Hour, false)
	failed := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
	require.Contains(t, string(failed.Findings), "still needed")
	require.EqualValues(t, 20, count(t, db, `SELECT count(*) FROM login_attempts`))
	run = work(24*time.Hour, false)
	requireRun(t, db, run.ID, queries.RunStatusFinished, [3]int64{10, 10, 0})
}

// Several workers, several runs, and people who log in and are deleted
// meanwhile: every row goes once, and no row that lives goes.
func TestPurgesSideBySide(t *testing.T) {
	t.Parallel()
	const n = 30_000
	db := testdb.Clone(t)
	sessions(t, db, n, 3)
	attempts(t, db, n, 91, "wrong_password")
	p := newProcess(t, db)
	var runs []queries.Run
	for range 3 {
		for _, kind := range []queries.RunKind{queries.RunKindCleanUpSessions, queries.RunKindPruneLoginAttempts} {
			run := ask(t, db, kind, 2*aDay, false)
			runs = append(runs, run)
			var args river.JobArgs = jobs.CleanUpSessionsArgs{RunID: run.ID}
			if kind == queries.RunKindPruneLoginAttempts {
				args = jobs.PruneLoginAttemptsArgs{RunID: run.ID}
			}
			for range 2 { // The same job twice at the same time, as after a lost connection.
				_, err := p.inserter.Insert(t.Context(), args, nil)
				require.NoError(t, err)
			}
		}
	}
	// Somebody holds some rows: they are passed over, and stay.
	hold, err := db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = hold.Exec(t.Context(), `SELECT FROM sessions WHERE id % 1000 = 0 FOR UPDATE`)
	require.NoError(t, err)
	workers := []*jobs.Worker{p.start(t, db), p.start(t, db)}
	var others sync.WaitGroup
	others.Go(func() {
		for range 50 {
			id := someone(t, db.Super)
			_, err := db.App.Exec(t.Context(), `INSERT INTO sessions (user_id, token_hash, ip, user_agent, expires_at)
				VALUES ($1, sha256('x'), '192.0.2.1', '', now() + interval '1 hour')`, id)
			require.NoError(t, err)
			_, err = queries.New(db.App).DeleteUser(context.WithoutCancel(t.Context()), id)
			require.NoError(t, err)
		}
	})
	others.Wait()
	var deleted int64
	for _, run := range runs {
		untilOver(t, db, run)
		row, err := queries.New(db.App).GetRun(t.Context(), run.ID)
		require.NoError(t, err)
		require.Equal(t, queries.RunStatusFinished, row.Status)
		deleted += row.Changed
	}
	require.NoError(t, hold.Rollback(t.Context()))
	for _, worker := range workers {
		require.NoError(t, worker.Stop(t.Context()))
	}
	const held = n / 1000
	require.EqualValues(t, n/2-held+n, deleted)
	require.EqualValues(t, n/2+held, count(t, db, `SELECT count(*) FROM sessions`))
	require.Zero(t, count(t, db, `SELECT count(*) FROM login_attempts`))
	require.EqualValues(t, n, count(t, db, `SELECT sum(attempts)::bigint FROM login_attempt_counts`))
}

// By the clock: once in a period, whatever the number of workers and restarts.
func TestHousekeepingByTheClock(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	sessions(t, db, 100, 3)
	attempts(t, db, 100, 91, "wrong_password")
	p := newProcess(t, db)
	for range 3 {
		worker := p.startWith(t, db, &jobs.Housekeeping{
			SessionGrace: jobs.DefaultSessionGrace, AttemptRetention: jobs.DefaultAttemptRetention,
			HistoryRetention: jobs.DefaultHistoryRetention, WebhookRetention: jobs.DefaultWebhookRetention,
		})
		require.Eventually(t, func() bool {
			var n int
			err := db.App.QueryRow(context.Background(), `SELECT count(*) FROM runs WHERE status = 'finished'`).Scan(&n)
			return err == nil && n >= 4
		}, patience, 10*time.Millisecond)
		require.NoError(t, worker.Stop(t.Context()))
	}
	// An hour and a day may have ended in between.
	require.LessOrEqual(t, count(t, db, `SELECT count(*) FROM runs`), int64(8))
	require.EqualValues(t, 50, count(t, db, `SELECT count(*) FROM sessions`))
	require.Zero(t, count(t, db, `SELECT count(*) FROM login_attempts`))
	require.Zero(t, count(t, db, `SELECT count(*) FROM runs
		WHERE requested_by <> 'schedule' OR NOT EXISTS (SELECT FROM principals WHERE principal = requested_by)`))
}

// A purge that can never be done ends, and says so.
func TestPurgeGivesUp(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	sessions(t, db, 10, 3)
	_, err := db.Super.Exec(t.Context(), `
		CREATE TABLE notes (id bigint PRIMARY KEY REFERENCES sessions ON DELETE RESTRICT);
		INSERT INTO notes SELECT id FROM sessions`)
	require.NoError(t, err)
	p := newProcess(t, db)
	run := ask(t, db, queries.RunKindCleanUpSessions, aDay, false)
	_, err = p.inserter.Insert(t.Context(), jobs.CleanUpSessionsArgs{RunID: run.ID}, &river.InsertOpts{MaxAttempts: 1})
	require.NoError(t, err)
	worker := p.start(t, db)
	untilOver(t, db, run)
	require.NoError(t, worker.Stop(t.Context()))
	got := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
	require.Contains(t, string(got.Findings), "too often")
	require.EqualValues(t, 10, count(t, db, `SELECT count(*) FROM sessions`), "all of a batch or nothing")
}

func TestPurgeJobsAreUniqueByTheClock(t *testing.T) {
	t.Parallel()
	for _, args := range []interface{ InsertOpts() river.InsertOpts }{
		jobs.CleanUpSessionsArgs{}, jobs.PruneLoginAttemptsArgs{}, jobs.PruneHistoryArgs{}, jobs.PruneWebhookMessagesArgs{},
	} {
		opts := args.InsertOpts()
		require.Equal(t, jobs.QueueHousekeeping, opts.Queue)
		require.Positive(t, opts.UniqueOpts.ByPeriod)
	}
	named := uuid.New()
	require.Zero(t, jobs.CleanUpSessionsArgs{RunID: named}.InsertOpts().UniqueOpts.ByPeriod)
	require.Zero(t, jobs.PruneLoginAttemptsArgs{RunID: named}.InsertOpts().UniqueOpts.ByPeriod)
	require.Zero(t, jobs.PruneWebhookMessagesArgs{RunID: named}.InsertOpts().UniqueOpts.ByPeriod)
}

// The batches go by an index, however large the table is.
func TestPurgesUseIndexes(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	sessions(t, db, 20_000, 3)
	attempts(t, db, 20_000, 91, "wrong_password")
	_, err := db.Super.Exec(t.Context(), `ANALYZE sessions, login_attempts`)
	require.NoError(t, err)
	for sql, index := range map[string]string{
		`SELECT id FROM sessions WHERE expires_at >= '-infinity' AND expires_at < now() - interval '1 day'
			ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED`: "sessions_expires_at_idx",
		`SELECT id FROM sessions WHERE revoked_at >= '-infinity' AND revoked_at < now() - interval '1 day'
			ORDER BY revoked_at LIMIT 500 FOR UPDATE SKIP LOCKED`: "sessions_revoked_at_idx",
		`SELECT id FROM login_attempts WHERE attempted_at >= '-infinity' AND attempted_at < now() - interval '90 days'
			ORDER BY attempted_at LIMIT 500 FOR UPDATE SKIP LOCKED`: "login_attempts_attempted_at_idx",
	} {
		rows, err := db.App.Query(t.Context(), "EXPLAIN "+sql)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(plan), index)
		require.NotContains(t, fmt.Sprint(plan), "Sort")
	}
}

// One job does a part. What is left is another job's, of the same run.
func TestPurgesGoOn(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	attempts(t, db, 5_000, 91, "wrong_password")
	run := ask(t, db, queries.RunKindPruneLoginAttempts, 90*aDay, false)
	worker := rivertest.NewWorker(t, riverpgxv5.New(db.App), &river.Config{Schema: jobs.Schema},
		&jobs.PruneLoginAttempts{DB: db.App, Metrics: newMetrics(), Batches: 2})
	want := []queries.RunStatus{queries.RunStatusRunning, queries.RunStatusRunning, queries.RunStatusFinished}
	for i, done := range []int64{2_000, 5_000, 5_000} {
		tx, err := db.App.Begin(t.Context())
		require.NoError(t, err)
		_, err = worker.Work(t.Context(), t, tx, jobs.PruneLoginAttemptsArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback(t.Context()))
		row, err := queries.New(db.App).GetRun(t.Context(), run.ID)
		require.NoError(t, err)
		require.Equal(t, want[i], row.Status)
		require.Equal(t, done, row.Done, "beginning is a batch of its own, and so is the end")
		require.EqualValues(t, min(i+1, 2), count(t, db, `SELECT count(*) FROM river.river_job
			WHERE kind = 'prune_login_attempts' AND args->>'run_id' = $1`, run.ID.String()), "jobs that go on")
	}
}
