package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/backup"
	"loanserve/queries"
)

const (
	// archiveRetry is how soon another process takes over from one that has died.
	archiveRetry = 3 * time.Second
	// A failure is followed by a pause, each longer than the one before.
	archivePause, longestArchivePause = time.Second, 30 * time.Second
)

// WALArchive archives the server's WAL for as long as the process lives, beside its
// jobs: it never ends, so it is none. Of all processes that do, one archives, and
// the others wait to take over. Its failures are logged and counted.
type WALArchive struct {
	db      DB
	jobs    *river.Client[pgx.Tx]
	backups *Backups
	metrics *walMetrics
	log     *slog.Logger

	cancel context.CancelFunc
	ended  chan struct{}
	begun  bool // in this attempt
	waits  bool // and that was said
}

// ArchiveSlot is the replication slot by which the server keeps what is not archived.
const ArchiveSlot = backup.ArchiveSlot

// StartWALArchive starts to archive. It goes on until Stop, whatever becomes of ctx.
// client takes the physical backups that become due at once: a new archive is of no
// use without one, nor is what follows a gap.
func StartWALArchive(ctx context.Context, db DB, client *river.Client[pgx.Tx], b *Backups, m *Metrics, log *slog.Logger,
) *WALArchive {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &WALArchive{
		db: db, jobs: client, backups: b, metrics: &m.wal, log: log, cancel: cancel, ended: make(chan struct{}),
	}
	go a.run(run)
	return a
}

// Stop ends it. What was not stored yet the server keeps.
func (a *WALArchive) Stop() {
	a.cancel()
	<-a.ended
}

func (a *WALArchive) run(ctx context.Context) {
	defer close(a.ended)
	pause := archivePause
	for {
		a.begun = false
		err := a.archive(ctx)
		a.metrics.archiving.Set(0)
		if ctx.Err() != nil {
			return
		}
		wait := archiveRetry
		if errors.Is(err, backup.ErrArchived) {
			if !a.waits {
				a.log.LogAttrs(ctx, slog.LevelInfo, "another process archives the WAL")
			}
			a.waits = true
		} else {
			if a.begun {
				pause = archivePause
			}
			wait, pause = pause, min(2*pause, longestArchivePause)
			a.failed(ctx, err, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (a *WALArchive) archive(ctx context.Context) error {
	s, err := a.backups.Open(ctx)
	if err != nil {
		return &backup.StageError{Stage: backup.StageStore, Err: err}
	}
	return backup.ArchiveWAL(ctx, backup.ArchiveOptions{
		DatabaseURL: a.backups.DatabaseURL, Store: s, Recipients: a.backups.Recipients, Interval: a.backups.WALInterval,
		Observer: a,
	})
}

func (a *WALArchive) failed(ctx context.Context, err error, pause time.Duration) {
	a.waits = false
	stage := string(backup.StageOf(err))
	if stage == "" {
		stage = "other"
	}
	a.metrics.failures.WithLabelValues(stage).Inc()
	a.log.LogAttrs(ctx, slog.LevelError, "archiving WAL failed", slog.String("stage", stage), slog.Any("error", err),
		slog.Duration("again_in", pause))
}

// Began implements backup.ArchiveObserver.
func (a *WALArchive) Began(ctx context.Context, start backup.ArchiveStart) error {
	if start.New {
		if err := a.ask(ctx, "physical for the archive from "+start.LSN+" of "+start.SystemIdentifier); err != nil {
			return err
		}
	}
	a.begun, a.waits = true, false
	a.metrics.archiving.Set(1)
	a.log.LogAttrs(ctx, slog.LevelInfo, "archiving WAL", slog.String("system_identifier", start.SystemIdentifier),
		slog.Int("timeline", start.Timeline), slog.String("lsn", start.LSN))
	if start.Unbounded {
		a.log.LogAttrs(ctx, slog.LevelWarn,
			"max_slot_wal_keep_size is -1: while WAL cannot be archived the server keeps it until its disk is full")
	}
	return nil
}

// Stored implements backup.ArchiveObserver.
func (a *WALArchive) Stored(piece backup.ArchivedPiece) {
	a.metrics.pieces.Inc()
	a.metrics.bytes.Add(float64(piece.Bytes))
	a.metrics.storedBytes.Add(float64(piece.StoredBytes))
}

// Covered implements backup.ArchiveObserver.
func (a *WALArchive) Covered(through time.Time) { a.metrics.covered.Set(unixSeconds(through)) }

// Missing implements backup.ArchiveObserver: across a gap nothing is restored, so a
// new backup is due at once.
func (a *WALArchive) Missing(ctx context.Context, gap backup.WALGap) error {
	a.metrics.gaps.Inc()
	a.log.LogAttrs(ctx, slog.LevelError, "WAL was lost before it was archived: no moment in the gap can be restored",
		slog.Int("timeline", gap.Timeline), slog.String("from_lsn", gap.From), slog.String("to_lsn", gap.To))
	return a.ask(ctx, "physical after the gap from "+gap.From+" to "+gap.To+" of "+gap.System)
}

// ask asks for a physical backup, once for each reason.
func (a *WALArchive) ask(ctx context.Context, key string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make backup id: %w", err)
	}
	hash := sha256.Sum256([]byte(key))
	err = pgx.BeginFunc(ctx, a.db, func(tx pgx.Tx) error {
		row, err := queries.New(tx).InsertBackup(ctx, queries.InsertBackupParams{
			ID: id, Kind: queries.BackupKindPhysical, RequestedBy: scheduledBy, IdempotencyKey: key, RequestHash: hash[:],
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // It was asked for before.
		}
		if err != nil {
			return err
		}
		_, err = a.jobs.InsertTx(ctx, tx, BackUpDatabaseArgs{BackupID: row.ID}, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("ask for a physical backup: %w", err)
	}
	return nil
}
