package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/backup"
	"loanserve/queries"
)

// VerifyBackupArgs name the backup that is to be proven.
type VerifyBackupArgs struct {
	BackupID uuid.UUID `json:"backup_id"`
}

// Kind is stored with every job, so it never changes.
func (VerifyBackupArgs) Kind() string { return "verify_backup" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (VerifyBackupArgs) InsertOpts() river.InsertOpts { return alone(opsOpts()) }

// VerifyBackup restores a backup into a scratch server, records what it found, and
// asks for what is not needed any more to be deleted.
type VerifyBackup struct {
	river.WorkerDefaults[VerifyBackupArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx] // takes the pruning
	Backups *Backups
	Metrics *Metrics
}

// Timeout implements river.Worker.
func (*VerifyBackup) Timeout(*river.Job[VerifyBackupArgs]) time.Duration { return opsTimeout }

// Work verifies. A backup that is refused is a finished job: the verdict stands in
// the catalog and in the store, and an alert looks at the age of the newest one
// that is verified.
func (w *VerifyBackup) Work(ctx context.Context, job *river.Job[VerifyBackupArgs]) error {
	row, err := getBackup(ctx, w.DB, job.Args.BackupID)
	if err != nil || row.StoreName == nil || row.Status == queries.BackupStatusPruned {
		return err
	}
	v, err := w.verify(ctx, *row.StoreName)
	if err != nil {
		return errors.Join(err, markFailure(ctx, w.DB, w.Metrics, row, err, false))
	}
	if !v.Verified {
		w.Metrics.backupFailures.WithLabelValues(string(row.Kind), string(backup.StageCompare)).Inc()
	}
	return w.record(ctx, row.ID, v)
}

func (w *VerifyBackup) verify(ctx context.Context, name string) (*backup.Verification, error) {
	if w.Backups == nil {
		return nil, errNoStore
	}
	s, err := w.Backups.Open(ctx)
	if err != nil {
		return nil, &backup.StageError{Stage: backup.StageFetch, Err: err}
	}
	return backup.Verify(ctx, backup.VerifyOptions{
		RestoreOptions: backup.RestoreOptions{
			Store: s, Identities: w.Backups.Identities, Scratch: w.Backups.Scratch,
		},
		Program: w.Backups.Program, Figures: BookFigures(), Checks: BookChecks(),
	}, name)
}

// millis are in a second.
const millis = 1000

func (w *VerifyBackup) record(ctx context.Context, id uuid.UUID, v *backup.Verification) error {
	findings, err := json.Marshal(v.Findings)
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		q := queries.New(tx)
		row, err := q.MarkBackupVerified(ctx, queries.MarkBackupVerifiedParams{
			ID: id, Verified: v.Verified, VerifiedAt: v.FinishedAt, Findings: findings,
			RestoreMs: int64(v.RestoreSeconds * millis),
		})
		switch {
		case errors.Is(err, pgx.ErrNoRows): // It was pruned meanwhile.
		case err != nil:
			return fmt.Errorf("record verification: %w", err)
		default:
			if err := announce(ctx, q, verifiedEvent(&row)); err != nil {
				return err
			}
		}
		_, err = w.Jobs.InsertTx(ctx, tx, PruneBackupsArgs{}, nil)
		return err
	})
}
