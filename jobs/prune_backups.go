package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/backup"
	"loanserve/queries"
)

// PruneBackupsArgs name nothing: what goes is decided by what is in the store.
type PruneBackupsArgs struct{}

// Kind is stored with every job, so it never changes.
func (PruneBackupsArgs) Kind() string { return "prune_backups" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (PruneBackupsArgs) InsertOpts() river.InsertOpts { return alone(opsOpts()) }

// PruneBackups deletes the backups that no generation needs, and records those
// that are gone. Done twice, the second time deletes nothing.
type PruneBackups struct {
	river.WorkerDefaults[PruneBackupsArgs]

	DB      DB
	Backups *Backups
}

// Timeout implements river.Worker.
func (*PruneBackups) Timeout(*river.Job[PruneBackupsArgs]) time.Duration { return opsTimeout }

// ErrLosses is returned where backups would be deleted while loans are missing, or
// the register that tells is broken: an old backup may be what they are brought back
// from.
var ErrLosses = errors.New("nothing is deleted while the loss alarm is on: " +
	"loans are missing, or the register of loans is broken")

// CheckLosses returns ErrLosses while the loss alarm is on.
func CheckLosses(ctx context.Context, db queries.DBTX) error {
	n, err := queries.New(db).CountOpenLosses(ctx)
	if err != nil {
		return fmt.Errorf("look at the loss alarm: %w", err)
	}
	if n > 0 {
		return ErrLosses
	}
	return nil
}

// Work prunes as of the moment of the job, and lists the store afterwards: what it
// does not hold is pruned, whoever deleted it. A backup that was stored since is
// left alone.
func (w *PruneBackups) Work(ctx context.Context, job *river.Job[PruneBackupsArgs]) error {
	if w.Backups == nil {
		return errNoStore
	}
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error { return CheckLosses(ctx, tx) })
	if errors.Is(err, ErrLosses) {
		return river.JobCancel(err) // The next verification asks again.
	}
	if err != nil {
		return err
	}
	s, err := w.Backups.Open(ctx)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if _, err := backup.Prune(ctx, s, w.Backups.Retention, job.ScheduledAt, false); err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	if _, err := backup.PruneWAL(ctx, s, w.Backups.Retention, job.ScheduledAt, false); err != nil {
		return fmt.Errorf("prune WAL: %w", err)
	}
	left, err := backup.List(ctx, s)
	if err != nil {
		return fmt.Errorf("list backups: %w", err)
	}
	names := []string{}
	for _, e := range left {
		names = append(names, e.Manifest.ID)
	}
	return pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		if _, err := queries.New(tx).MarkBackupsPruned(ctx, job.ScheduledAt, names); err != nil {
			return fmt.Errorf("record what was pruned: %w", err)
		}
		return nil
	})
}
