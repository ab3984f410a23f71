package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/localday"
	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// backups is what a process in New York makes, in a directory of the test's.
func backups(t *testing.T, db *testdb.DB, kinds ...backup.Kind) (b *jobs.Backups, dir string) {
	t.Helper()
	dir = t.TempDir()
	zone, err := localday.ParseZone("America/New_York")
	require.NoError(t, err)
	hour, err := localday.ParseHour("02:00")
	require.NoError(t, err)
	return &jobs.Backups{
		Open: func(ctx context.Context) (store.Store, error) {
			return store.Open(ctx, "file://"+dir, os.Getenv)
		},
		DatabaseURL: db.URL, Retention: backup.DefaultRetention(), Program: "test", Kinds: kinds, Zone: zone, At: hour,
	}, dir
}

// backupWorkers are the workers of the kinds, without a queue around them.
type backupWorkers struct {
	db      *testdb.DB
	backups *jobs.Backups
	metrics *jobs.Metrics
	proc    process
}

func setupBackups(t *testing.T, b *jobs.Backups, db *testdb.DB) backupWorkers {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	metrics := jobs.NewMetrics(prometheus.NewRegistry(), log)
	inserter, err := jobs.NewInserter(db.App, metrics, log)
	require.NoError(t, err)
	return backupWorkers{db: db, backups: b, metrics: metrics, proc: process{inserter: inserter}}
}

func (w backupWorkers) make(t *testing.T, id uuid.UUID, attempt int) error {
	t.Helper()
	worker := &jobs.BackUpDatabase{DB: w.db.App, Jobs: w.proc.inserter, Backups: w.backups, Metrics: w.metrics}
	return worker.Work(t.Context(), &river.Job[jobs.BackUpDatabaseArgs]{
		JobRow: &rivertype.JobRow{Attempt: attempt, MaxAttempts: 2}, Args: jobs.BackUpDatabaseArgs{BackupID: id},
	})
}

func (w backupWorkers) verify(t *testing.T, id uuid.UUID) error {
	t.Helper()
	worker := &jobs.VerifyBackup{DB: w.db.App, Jobs: w.proc.inserter, Backups: w.backups, Metrics: w.metrics}
	return worker.Work(t.Context(), &river.Job[jobs.VerifyBackupArgs]{
		JobRow: &rivertype.JobRow{Attempt: 1, MaxAttempts: 2}, Args: jobs.VerifyBackupArgs{BackupID: id},
	})
}

func (w backupWorkers) prune(t *testing.T, at time.Time) error {
	t.Helper()
	worker := &jobs.PruneBackups{DB: w.db.App, Backups: w.backups}
	return worker.Work(t.Context(), &river.Job[jobs.PruneBackupsArgs]{JobRow: &rivertype.JobRow{ScheduledAt: at}})
}

func (w backupWorkers) tick(t *testing.T, at time.Time) {
	t.Helper()
	worker := &jobs.ScheduleBackups{DB: w.db.App, Jobs: w.proc.inserter, Backups: w.backups}
	require.NoError(t, worker.Work(t.Context(), &river.Job[jobs.ScheduleBackupsArgs]{
		JobRow: &rivertype.JobRow{ScheduledAt: at},
	}))
}

func (w backupWorkers) row(t *testing.T, id uuid.UUID) queries.Backup {
	t.Helper()
	row, err := queries.New(w.db.App).GetBackup(t.Context(), id)
	require.NoError(t, err)
	return row
}

func (w backupWorkers) jobs(t *testing.T, kind string) (n int) {
	t.Helper()
	err := w.db.Super.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job WHERE kind = $1`, kind).Scan(&n)
	require.NoError(t, err)
	return n
}

// needDump skips a test where no pg_dump can dump the server of the tests.
func needDump(t *testing.T, db *testdb.DB) {
	t.Helper()
	programs, err := pgcluster.Provision(t.Context(), nil)
	require.NoError(t, err)
	var server int
	err = db.Super.QueryRow(t.Context(), `SELECT current_setting('server_version_num')::int / 10000`).Scan(&server)
	require.NoError(t, err)
	if programs.Major < server {
		t.Skipf("pg_dump is of PostgreSQL %d, the server of %d", programs.Major, server)
	}
}

func logical(p *queries.InsertBackupParams) { p.Kind = queries.BackupKindLogical }

// A backup goes from a wish to a proof, each step asks for the next, and each done
// again changes nothing.
func TestBackupJobs(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	needDump(t, db)
	testdb.Loan(t, db.App)
	b, dir := backups(t, db)
	w := setupBackups(t, b, db)
	wish := testdb.Backup(t, db.App, logical)

	require.NoError(t, w.make(t, wish.ID, 1))
	row := w.row(t, wish.ID)
	require.Equal(t, queries.BackupStatusStored, row.Status)
	require.DirExists(t, filepath.Join(dir, *row.StoreName))
	require.Positive(t, *row.SizeBytes)
	require.NoError(t, w.make(t, wish.ID, 1))
	require.Equal(t, row, w.row(t, wish.ID))
	require.Equal(t, 1, w.jobs(t, jobs.VerifyBackupArgs{}.Kind()))

	require.NoError(t, w.verify(t, wish.ID))
	row = w.row(t, wish.ID)
	require.Equal(t, queries.BackupStatusVerified, row.Status)
	require.JSONEq(t, `[]`, string(row.Findings))
	require.Equal(t, 1, w.jobs(t, jobs.PruneBackupsArgs{}.Kind()))
	gathered := prometheus.NewRegistry()
	gathered.MustRegister(jobs.NewBackupCollector(db.App, slog.New(slog.DiscardHandler)))
	const proven = "loanserve_backup_last_verified_timestamp_seconds"
	require.InDelta(t, row.StartedAt.Unix(), gauge(t, gathered, proven, "logical"), 1)
	require.Zero(t, gauge(t, gathered, proven, "physical"))
	require.InDelta(t, *row.SizeBytes, gauge(t, gathered, "loanserve_backup_size_bytes", "logical"), 0)

	require.NoError(t, w.prune(t, row.StoredAt.Add(time.Hour)))
	require.Equal(t, queries.BackupStatusVerified, w.row(t, wish.ID).Status)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, *row.StoreName)))
	require.NoError(t, w.prune(t, row.StoredAt.Add(time.Hour)))
	require.Equal(t, queries.BackupStatusPruned, w.row(t, wish.ID).Status)
	require.NoError(t, w.verify(t, wish.ID), "what is gone is not looked for")
}

// gauge returns a gauge of a kind of backup.
func gauge(t *testing.T, r *prometheus.Registry, name, kind string) float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == kind {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s of %s", name, kind)
	return 0
}

// A backup that is damaged in the store is refused, which is a finished job.
func TestVerifyBackupRefuses(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	needDump(t, db)
	b, dir := backups(t, db)
	w := setupBackups(t, b, db)
	wish := testdb.Backup(t, db.App, logical)
	require.NoError(t, w.make(t, wish.ID, 1))
	require.NoError(t, os.Truncate(filepath.Join(dir, *w.row(t, wish.ID).StoreName, "database.dump.zst"), 100))
	require.NoError(t, w.verify(t, wish.ID))
	row := w.row(t, wish.ID)
	require.Equal(t, queries.BackupStatusRefused, row.Status)
	require.Contains(t, string(row.Findings), "bytes and should have")
}

var errAway = errors.New("the store is away")

// A store that is away is tried again, and given up in the end, and the catalog
// says where it failed.
func TestBackUpDatabaseFails(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	b, _ := backups(t, db)
	b.Open = func(context.Context) (store.Store, error) { return nil, errAway }
	w := setupBackups(t, b, db)
	wish := testdb.Backup(t, db.App, logical)
	require.ErrorIs(t, w.make(t, wish.ID, 1), errAway)
	row := w.row(t, wish.ID)
	require.Equal(t, queries.BackupStatusRequested, row.Status)
	require.Equal(t, "store", *row.FailedStage)
	require.ErrorIs(t, w.make(t, wish.ID, 2), errAway)
	require.Equal(t, queries.BackupStatusFailed, w.row(t, wish.ID).Status)
	require.NoError(t, w.make(t, wish.ID, 1), "what was given up is not taken up again")
	require.Zero(t, w.jobs(t, jobs.VerifyBackupArgs{}.Kind()))
}

// Every night is asked for once, whoever ticks and however often, and what nobody
// ticked for is made up by the next tick.
func TestScheduleBackups(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	b, _ := backups(t, db, backup.Physical, backup.Logical)
	w := setupBackups(t, b, db)
	for _, at := range []string{
		"2026-01-16T06:59:00Z", "2026-01-16T06:59:30Z", // 01:59 in New York: the night before.
		"2026-01-16T07:00:00Z", "2026-01-16T20:00:00Z", // The night of the 16th.
		"2026-01-19T23:00:00Z", // Restarted in the evening after two nights without anybody.
	} {
		w.tick(t, moment(t, at))
	}
	var keys []string
	err := db.Super.QueryRow(t.Context(), `SELECT array_agg(idempotency_key ORDER BY created_at, kind) FROM backups
WHERE requested_by = 'schedule'`).Scan(&keys)
	require.NoError(t, err)
	require.Equal(t, []string{
		"physical 2026-01-15", "logical 2026-01-15", "physical 2026-01-16", "logical 2026-01-16",
		"physical 2026-01-19", "logical 2026-01-19",
	}, keys)
	require.Equal(t, 6, w.jobs(t, jobs.BackUpDatabaseArgs{}.Kind()))

	w.backups = nil
	w.tick(t, moment(t, "2026-02-01T12:00:00Z"))
	require.Equal(t, 6, w.jobs(t, jobs.BackUpDatabaseArgs{}.Kind()))
}

// A worker that starts in the middle of the day makes the night's backup and proves
// it, with nobody asking.
func TestWorkerMakesTheNightsBackup(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	needDump(t, db)
	b, _ := backups(t, db, backup.Logical)
	p := newProcess(t, db)
	worker, err := jobs.NewWorker(db.App, jobs.Config{
		PaymentWorkers: 1, Backups: b, Metrics: p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	defer func() { require.NoError(t, worker.Stop(context.WithoutCancel(t.Context()))) }()
	require.Eventually(t, func() bool {
		rows, err := queries.New(db.App).ListBackups(t.Context(), uuid.Max, 10)
		return err == nil && len(rows) == 1 && rows[0].Status == queries.BackupStatusVerified
	}, 4*patience, 50*time.Millisecond)
}

// Once a week an older backup is verified again.
func TestScheduleVerifiesAgain(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	b, _ := backups(t, db, backup.Logical)
	w := setupBackups(t, b, db)
	old := testdb.Backup(t, db.App, logical)
	now := moment(t, "2026-03-20T12:00:00Z")
	_, err := db.Super.Exec(t.Context(), `UPDATE backups SET status = 'verified', store_name = 'x', size_bytes = 1,
started_at = $2, stored_at = $2, verified_at = $2 WHERE id = $1`, old.ID, now.Add(-49*time.Hour))
	require.NoError(t, err)
	w.tick(t, now.Add(-2*time.Hour))
	require.Zero(t, w.jobs(t, jobs.VerifyBackupArgs{}.Kind()), "it is not old enough")
	w.tick(t, now)
	w.tick(t, now.Add(time.Minute))
	require.Equal(t, 1, w.jobs(t, jobs.VerifyBackupArgs{}.Kind()))

	_, err = db.Super.Exec(t.Context(), `UPDATE backups SET verified_at = $2 WHERE id = $1`, old.ID, now)
	require.NoError(t, err)
	_, err = db.Super.Exec(t.Context(), `UPDATE river.river_job SET state = 'completed', finalized_at = now()`)
	require.NoError(t, err)
	w.tick(t, now.Add(6*24*time.Hour))
	require.Equal(t, 1, w.jobs(t, jobs.VerifyBackupArgs{}.Kind()))
	w.tick(t, now.Add(8*24*time.Hour))
	require.Equal(t, 2, w.jobs(t, jobs.VerifyBackupArgs{}.Kind()))
}

// While loans are missing no backup is deleted: it may be what they come back from.
func TestPruneBackupsRefusesWhileLoansAreMissing(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	b, dir := backups(t, db)
	w := setupBackups(t, b, db)
	require.NoError(t, w.prune(t, time.Now()))
	_, err := db.Super.Exec(t.Context(), `INSERT INTO integrity_findings
  (kind, severity, loan_id, subject, details, suggested_action, first_seen_at, last_seen_at)
VALUES ('loan_missing', 'critical', 7, '', '{}', 'Bring it back.', now(), now())`)
	require.NoError(t, err)
	opened := false
	b.Open = func(ctx context.Context) (store.Store, error) {
		opened = true
		return store.Open(ctx, "file://"+dir, os.Getenv)
	}
	err = w.prune(t, time.Now())
	require.ErrorIs(t, err, jobs.ErrLosses)
	require.ErrorAs(t, err, new(*rivertype.JobCancelError))
	require.False(t, opened)

	_, err = db.Super.Exec(t.Context(), `UPDATE integrity_findings SET resolved_at = now()`)
	require.NoError(t, err)
	require.NoError(t, w.prune(t, time.Now()))
	require.True(t, opened)
}
