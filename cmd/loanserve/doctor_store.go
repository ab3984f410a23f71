package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"loanserve/backup"
	"loanserve/backup/store"
)

const (
	// walLate is how old the newest piece of WAL may be. A server that writes nothing
	// for so long is possible, and no servicer's.
	walLate = 15 * time.Minute
	// The free parts of the store's file system, in percent, that are too little.
	diskWarn, diskFail = 20, 5
)

// store looks at the store of backups, which is there when the database is not.
func (e *examination) store(ctx context.Context) {
	if e.BackupURL == "" {
		e.warn("store", "no store of backups is named, so none was looked at", "set LOANSERVE_BACKUP_URL, or --backup-url")
		return
	}
	const next = "see that LOANSERVE_BACKUP_URL names the store, and that this machine may read it"
	directory, isDirectory := strings.CutPrefix(string(e.BackupURL), "file://")
	if isDirectory {
		// Opening the store would create it.
		if _, err := os.Stat(directory); err != nil {
			e.unseen("store", err, next)
			return
		}
		e.disk(directory)
	}
	s, err := store.Open(ctx, string(e.BackupURL), e.p.getenv)
	if err != nil {
		e.unseen("store", err, next)
		return
	}
	entries, err := backup.List(ctx, s)
	if err != nil {
		e.unseen("store", err, next)
		return
	}
	e.stored(s.URL(), entries)
	list, err := backup.ListWAL(ctx, s)
	if err != nil {
		e.unseen("stored wal", err, next)
		return
	}
	for _, st := range list {
		e.storedWAL(st)
	}
}

func (e *examination) stored(url string, entries []backup.Entry) {
	var newest time.Time
	broken := 0
	for i := range entries {
		if entries[i].Broken != "" {
			broken++
		} else if at := entries[i].Manifest.StartedAt; entries[i].Verified() && at.After(newest) {
			newest = at
		}
	}
	switch {
	case len(entries) == 0:
		e.fail("store", url+" holds no backup", "run `loanserve backup create`")
		return
	case newest.IsZero():
		e.fail("store", fmt.Sprintf("%s holds %d backups, and none is verified", url, len(entries)),
			"run `loanserve backup verify --latest`")
		return
	}
	e.backupAge("store", newest)
	if broken > 0 {
		e.warn("store", fmt.Sprintf("%d backups cannot be read", broken), "run `loanserve backup list`")
	}
}

func (e *examination) storedWAL(st backup.WALStatus) {
	name := "stored wal"
	detail := fmt.Sprintf("of server %s, the newest stored %s", st.SystemIdentifier, ago(st.StoredAt))
	switch {
	case len(st.Gaps) > 0:
		e.fail(name, fmt.Sprintf("%s, not whole: %s", detail, st.Gaps[0]),
			"make a new backup: moments before it cannot all be reached")
	case time.Since(st.StoredAt) > walLate:
		e.warn(name, detail, "see that a process runs with LOANSERVE_BACKUP_WAL=on")
	default:
		e.ok(name, detail)
	}
}

// disk looks at the room in a store that is a directory.
func (e *examination) disk(directory string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(directory, &fs); err != nil {
		e.unseen("store disk", err, "see that this machine may read "+directory)
		return
	}
	free, total := fs.Bavail*uint64(fs.Bsize), fs.Blocks*uint64(fs.Bsize)
	percent := 100 * free / max(total, 1)
	detail := fmt.Sprintf("%s of %s free (%d%%) in %s",
		megabytes(int64(free)), megabytes(int64(total)), percent, directory)
	const next = "give it more room, or keep fewer: `loanserve backup prune`"
	switch {
	case percent < diskFail:
		e.fail("store disk", detail, next)
	case percent < diskWarn:
		e.warn("store disk", detail, next)
	default:
		e.ok("store disk", detail)
	}
}
