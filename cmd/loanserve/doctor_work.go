package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/backup"
	"loanserve/jobs"
	"loanserve/queries"
)

// The limits are those of the alerts in deploy/prometheus/rules.
const (
	paymentsLate = 5 * time.Minute
	othersLate   = time.Hour
	backupLate   = 26 * time.Hour
	backupLost   = 50 * time.Hour
)

// queues looks whether somebody works, and whether anything is stuck.
func (e *examination) queues(ctx context.Context, pool *pgxpool.Pool) {
	shown, err := queuesShown(ctx, queries.New(pool))
	if err != nil {
		e.unseen("queues", err, "run `loanserve queue list`")
		return
	}
	var paused, late, discarded, worked []string
	for _, s := range shown {
		limit := othersLate
		if s.Queue == jobs.QueuePayments || s.Queue == jobs.QueueAlarm {
			limit = paymentsLate
		}
		if s.Worked {
			worked = append(worked, s.Queue)
		}
		if s.PausedAt != nil {
			paused = append(paused, s.Queue+" since "+s.PausedAt.Format(time.RFC3339))
		} else if s.OldestJobAgeSeconds > limit.Seconds() {
			late = append(late, s.Queue+" for "+ageOf(s.OldestJobAgeSeconds))
		}
		if n := s.Jobs["discarded"]; n > 0 {
			discarded = append(discarded, fmt.Sprintf("%s %d", s.Queue, n))
		}
	}
	if len(worked) == 0 {
		e.fail("workers", "no process has reported to work a queue within the last half hour",
			"start `loanserve work`, or `loanserve serve --workers`")
	} else {
		e.ok("workers", "worked: "+strings.Join(worked, ", "))
	}
	if len(paused) > 0 {
		e.warn("queues", "paused: "+strings.Join(paused, ", "), "`loanserve queue resume`, when whoever paused them is done")
	}
	if len(late) > 0 {
		e.fail("queues", "jobs wait: "+strings.Join(late, ", "),
			"start more workers, or see why they fail: `loanserve queue jobs`")
	}
	if len(discarded) > 0 {
		e.warn("queues", "given up: "+strings.Join(discarded, ", "),
			"see why by `loanserve queue jobs --state discarded`, and then `loanserve queue retry`")
	}
	if len(paused)+len(late)+len(discarded) == 0 {
		e.ok("queues", "nothing is paused, late or given up")
	}
}

func (e *examination) losses(ctx context.Context, pool *pgxpool.Pool) {
	n, err := queries.New(pool).CountOpenLosses(ctx)
	switch {
	case err != nil:
		e.unseen("loans", err, "run `loanserve check integrity`")
	case n > 0:
		e.fail("loans", fmt.Sprintf("%d open findings say that loans were lost", n),
			"docs/runbook.md, LoanServeLoansMissing, now")
	default:
		e.ok("loans", "none is reported lost")
	}
}

func (e *examination) integrity(ctx context.Context, pool *pgxpool.Pool) {
	q := queries.New(pool)
	open, err := q.CountOpenFindings(ctx)
	if err != nil {
		e.unseen("integrity", err, "run `loanserve check integrity`")
		return
	}
	last, err := q.ListLastIntegrityChecks(ctx)
	if err != nil {
		e.unseen("integrity", err, "run `loanserve check integrity`")
		return
	}
	var newest time.Time
	for _, check := range last {
		if check.FinishedAt != nil && check.FinishedAt.After(newest) {
			newest = *check.FinishedAt
		}
	}
	var found []string
	for _, f := range open {
		found = append(found, fmt.Sprintf("%s %d", f.Kind, f.Findings))
	}
	const next = "run `loanserve check integrity`"
	switch {
	case len(found) > 0:
		e.fail("integrity", "open findings: "+strings.Join(found, ", "), next)
	case newest.IsZero():
		e.warn("integrity", "the stored data were never checked", next+", or start workers, which do it by themselves")
	case time.Since(newest) > backupLost:
		e.warn("integrity", "last checked "+ago(newest), next+", and see that workers run")
	default:
		e.ok("integrity", "no open finding, last checked "+ago(newest))
	}
}

// ago is how long ago something was, to the minute.
func ago(at time.Time) string { return time.Since(at).Truncate(time.Minute).String() + " ago" }

// backups looks at the backups that the database knows of: those that workers made.
func (e *examination) backups(ctx context.Context, pool *pgxpool.Pool) {
	states, err := queries.New(pool).ListBackupStates(ctx)
	if err != nil {
		e.unseen("backups", err, "run `loanserve backup list`")
		return
	}
	any := false
	for _, s := range states {
		if s.StoredEpoch == 0 && s.VerifiedEpoch == 0 {
			continue
		}
		any = true
		name := "backups " + string(s.Kind)
		if s.VerifiedEpoch == 0 {
			e.fail(name, "some were made, and none is verified", "run `loanserve backup verify --latest`")
			continue
		}
		e.backupAge(name, time.Unix(int64(s.VerifiedEpoch), 0))
	}
	if !any {
		e.warn("backups", "no worker has made one", "set LOANSERVE_BACKUP_URL where workers run (docs/backups.md)")
	}
}

// backupAge judges the age of the newest backup that is proven.
func (e *examination) backupAge(name string, at time.Time) {
	detail := fmt.Sprintf("the newest verified one was begun %s, %s", at.UTC().Format(time.RFC3339), ago(at))
	const next = "see why by `loanserve queue jobs --queue ops`, and run `loanserve backup create` and `verify --latest`"
	switch age := time.Since(at); {
	case age > backupLost:
		e.fail(name, detail, next)
	case age > backupLate:
		e.warn(name, detail, next)
	default:
		e.ok(name, detail)
	}
}

// wal looks at the slot by which the server keeps WAL for the archive.
func (e *examination) wal(ctx context.Context, pool *pgxpool.Pool) {
	slot, err := queries.New(pool).GetArchiveSlot(ctx, backup.ArchiveSlot)
	const next = "docs/backups.md, and the log of the processes with LOANSERVE_BACKUP_WAL=on"
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		e.ok("wal archive", "off: a lost site loses what was written since the newest backup")
	case err != nil:
		e.unseen("wal archive", err, "see the server's log")
	case slot.Lost:
		e.fail("wal archive", "the server has given its slot up, so that WAL may be missing", next)
	case !slot.Active:
		e.fail("wal archive", "nobody archives, and the server keeps "+megabytes(slot.KeptBytes), next)
	default:
		e.ok("wal archive", megabytes(slot.KeptBytes)+" not yet archived")
	}
}
