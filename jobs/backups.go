package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/localday"
	"loanserve/queries"
)

const (
	// QueueOps is the queue of backups and their verification. Only processes that
	// know a store work it.
	QueueOps = "ops"
	// opsWorkers is one: two backups at a time would take the disk twice, and a
	// backup is verified before the next one is made.
	opsWorkers = 1
	// opsTimeout is longer than any backup takes. There has to be one: a job without
	// is never given back by the queue when its worker dies.
	opsTimeout = 6 * time.Hour
	// opsAttempts is how often one job is tried: with the pauses between, for about
	// two hours, which a store's outage may last.
	opsAttempts = 30
)

// CanBackUp says whether a process that knows a store has been seen within the last
// half hour.
func CanBackUp(ctx context.Context, db queries.DBTX) (bool, error) {
	return queries.New(db).IsQueueWorked(ctx, QueueOps)
}

// Backups says where and when a process makes backups. The hour must be the same
// in every worker: the one that leads asks, and any of those that know a store
// answers.
type Backups struct {
	// Open opens the store. It is called for each job: a store that is away for a
	// while keeps nobody from working payments.
	Open func(ctx context.Context) (store.Store, error)
	// DatabaseURL is by a login that may read everything.
	DatabaseURL string
	Recipients  []age.Recipient
	// Identities open what is encrypted, to verify it.
	Identities []age.Identity
	Scratch    string
	Retention  backup.Retention
	Program    string
	// Kinds are made every night, when the clock on the wall in the zone shows the
	// hour; without any only on request.
	Kinds []backup.Kind
	Zone  *time.Location
	At    localday.Hour
	// WAL has the process archive the server's WAL, each at most so long after it was
	// written.
	WAL         bool
	WALInterval time.Duration
}

// opsOpts are the options of a job that works with backups.
func opsOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueOps, MaxAttempts: opsAttempts}
}

// alone keeps a second job of the kind, with the same arguments, from waiting
// beside the first.
func alone(opts river.InsertOpts) river.InsertOpts {
	opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByQueue: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
		rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}
	return opts
}

var errNoStore = errors.New("this process knows no store of backups")

// BackUpDatabaseArgs name the backup that is to be made.
type BackUpDatabaseArgs struct {
	BackupID uuid.UUID `json:"backup_id"`
}

// Kind is stored with every job, so it never changes.
func (BackUpDatabaseArgs) Kind() string { return "back_up_database" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (BackUpDatabaseArgs) InsertOpts() river.InsertOpts { return opsOpts() }

// BackUpDatabase makes a backup that was asked for, and asks for its verification.
// Worked twice it makes one: the catalog says that it is stored. When it dies
// between the store and the catalog there are two in the store, of which the
// catalog knows one; retention treats the other as not verified.
type BackUpDatabase struct {
	river.WorkerDefaults[BackUpDatabaseArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx] // takes the verification
	Backups *Backups
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*BackUpDatabase) Timeout(*river.Job[BackUpDatabaseArgs]) time.Duration { return opsTimeout }

// Work makes the backup. A failure is recorded where people look, and tried again;
// a server that does not let itself be copied stays so, and is a finished job.
func (w *BackUpDatabase) Work(ctx context.Context, job *river.Job[BackUpDatabaseArgs]) error {
	id := job.Args.BackupID
	row, err := getBackup(ctx, w.DB, id)
	if err != nil || row.Status != queries.BackupStatusRequested {
		return err
	}
	m, err := w.create(ctx, row)
	if err == nil {
		return w.record(ctx, id, m)
	}
	refused := errors.Is(err, backup.ErrNoReplication)
	final := refused || job.Attempt >= job.MaxAttempts
	err = errors.Join(err, markFailure(ctx, w.DB, w.Metrics, row, err, final))
	if refused {
		return river.JobCancel(err) // Trying again cannot help.
	}
	return err
}

func getBackup(ctx context.Context, db DB, id uuid.UUID) (row queries.Backup, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		row, err = queries.New(tx).GetBackup(ctx, id)
		return err
	})
	if err != nil {
		return row, fmt.Errorf("get backup: %w", err)
	}
	return row, nil
}

func (w *BackUpDatabase) create(ctx context.Context, row queries.Backup) (*backup.Manifest, error) {
	if w.Backups == nil {
		return nil, errNoStore
	}
	s, err := w.Backups.Open(ctx)
	if err != nil {
		return nil, &backup.StageError{Stage: backup.StageStore, Err: err}
	}
	return backup.Create(ctx, backup.Options{
		Kind: backup.Kind(row.Kind), DatabaseURL: w.Backups.DatabaseURL, Role: BackupRole, Store: s,
		Recipients: w.Backups.Recipients, Program: w.Backups.Program, Figures: BookFigures(),
	})
}

// record notes what is stored, together with the job that verifies it.
func (w *BackUpDatabase) record(ctx context.Context, id uuid.UUID, m *backup.Manifest) error {
	return pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		n, err := queries.New(tx).MarkBackupStored(ctx, queries.MarkBackupStoredParams{
			ID: id, StoreName: m.ID, SizeBytes: m.Bytes(), StartedAt: m.StartedAt, StoredAt: m.FinishedAt,
		})
		if err != nil || n == 0 {
			return err
		}
		_, err = w.Jobs.InsertTx(ctx, tx, VerifyBackupArgs{BackupID: id}, nil)
		return err
	})
}

// markFailure records a failure with its stage. It is done even when the job was
// cancelled.
func markFailure(ctx context.Context, db DB, m *Metrics, row queries.Backup, why error, final bool) error {
	stage := string(backup.StageOf(why))
	if stage == "" {
		stage = "other"
	}
	m.backupFailures.WithLabelValues(string(row.Kind), stage).Inc()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queueReadTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		row, err := q.MarkBackupFailure(ctx, queries.MarkBackupFailureParams{
			ID: row.ID, FailedStage: stage, Failure: why.Error(), Final: final,
		})
		if err != nil || row.Status != queries.BackupStatusFailed {
			return err
		}
		return announce(ctx, q, backupEvent(EventBackupFailed, &row))
	})
}
