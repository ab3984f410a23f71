package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/backup"
	"loanserve/internal/localday"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// verifyAgainAfter is how old a backup has to be for its verification again, and
	// how often one is chosen.
	verifyAgainAfter = 2 * 24 * time.Hour
	verifyAgainEvery = 7 * 24 * time.Hour
	// lostAfter is how old a wish is at least whose job is missed: the wish and its
	// job are stored together, and a job that ends says so in the wish.
	lostAfter = time.Hour
)

// lastNight returns the night whose backups are due at the instant: that of today
// when the clock on the wall shows the hour or later, and otherwise yesterday's.
func (b *Backups) lastNight(at time.Time) mortgage.Date {
	today, hour := localday.Of(at, b.Zone)
	if hour < b.At {
		return today - 1
	}
	return today
}

// periodic is the tick that looks for what is due. As with the close of a day, the
// queue's clock decides nothing: the catalog says what was asked for, so that no
// restart skips a night.
func (b *Backups) periodic() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(scheduleTick),
		func() (river.JobArgs, *river.InsertOpts) { return ScheduleBackupsArgs{}, nil },
		&river.PeriodicJobOpts{ID: ScheduleBackupsArgs{}.Kind(), RunOnStart: true})
}

// ScheduleBackupsArgs names nothing: the moment of the job says which night is
// meant.
type ScheduleBackupsArgs struct{}

// Kind is stored with every job, so it never changes.
func (ScheduleBackupsArgs) Kind() string { return "schedule_backups" }

// InsertOpts implements river.JobArgsWithInsertOpts. The tick is quick, and does
// not wait behind a backup.
func (ScheduleBackupsArgs) InsertOpts() river.InsertOpts {
	return alone(river.InsertOpts{Queue: QueueCycle, MaxAttempts: scheduleAttempts})
}

// ScheduleBackups asks for the backups of the last night, unless that was done, and
// once a week for an older one to be verified again.
type ScheduleBackups struct {
	river.WorkerDefaults[ScheduleBackupsArgs]

	DB      DB
	Jobs    *river.Client[pgx.Tx]
	Backups *Backups // nil where this process makes none
}

// Work stores what is due with its jobs, all or nothing.
func (w *ScheduleBackups) Work(ctx context.Context, job *river.Job[ScheduleBackupsArgs]) error {
	if w.Backups == nil || len(w.Backups.Kinds) == 0 {
		return nil // Another worker, which is set up differently, has ticked.
	}
	night := w.Backups.lastNight(job.ScheduledAt)
	if err := w.endLost(ctx, job.ScheduledAt); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		for _, kind := range w.Backups.Kinds {
			if err := w.ask(ctx, tx, kind, night); err != nil {
				return fmt.Errorf("ask for the %s backup of %v: %w", kind, night, err)
			}
		}
		return w.askAgain(ctx, tx, job.ScheduledAt)
	})
}

// endLost says of backups that nobody is going to make any more that they failed.
func (w *ScheduleBackups) endLost(ctx context.Context, at time.Time) error {
	return pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		q := queries.New(tx)
		rows, err := q.MarkLostBackupsFailed(ctx, at.Add(-lostAfter), BackUpDatabaseArgs{}.Kind())
		if err != nil {
			return fmt.Errorf("end backups that were lost: %w", err)
		}
		var events []webhookEvent
		for i := range rows {
			events = append(events, backupEvent(EventBackupFailed, &rows[i]))
		}
		return announce(ctx, q, events...)
	})
}

// ask stores the wish for a night's backup, once.
func (w *ScheduleBackups) ask(ctx context.Context, tx pgx.Tx, kind backup.Kind, night mortgage.Date) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make backup id: %w", err)
	}
	key := string(kind) + " " + night.String()
	hash := sha256.Sum256([]byte(key))
	row, err := queries.New(tx).InsertBackup(ctx, queries.InsertBackupParams{
		ID: id, Kind: queries.BackupKind(kind), RequestedBy: scheduledBy, IdempotencyKey: key, RequestHash: hash[:],
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // The night was asked for before.
	}
	if err != nil {
		return fmt.Errorf("insert backup: %w", err)
	}
	if _, err := w.Jobs.InsertTx(ctx, tx, BackUpDatabaseArgs{BackupID: row.ID}, nil); err != nil {
		return fmt.Errorf("enqueue backup: %w", err)
	}
	return nil
}

// askAgain has an older backup verified once more, chosen at random: what was good
// when it was stored may have rotted since.
func (w *ScheduleBackups) askAgain(ctx context.Context, tx pgx.Tx, at time.Time) error {
	row, err := queries.New(tx).GetBackupToVerifyAgain(ctx, at.Add(-verifyAgainAfter), at.Add(-verifyAgainEvery))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("choose a backup to verify again: %w", err)
	}
	pending, err := queries.New(tx).CountJobsOfKind(ctx, VerifyBackupArgs{}.Kind())
	if err != nil || pending > 0 {
		return err
	}
	if _, err := w.Jobs.InsertTx(ctx, tx, VerifyBackupArgs{BackupID: row.ID}, nil); err != nil {
		return fmt.Errorf("enqueue verification: %w", err)
	}
	return nil
}
