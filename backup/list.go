package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"loanserve/backup/store"
)

// Entry is a backup in a store, with what is known of it.
type Entry struct {
	Manifest *Manifest
	// Verification is the latest one; nil where there is none.
	Verification *Verification
	// Broken is why the backup's manifest could not be read; Manifest then has the
	// id, the kind and the time that its name tells.
	Broken string
}

// Verified says whether the latest verification found the backup as it should be.
func (e *Entry) Verified() bool { return e.Verification != nil && e.Verification.Verified }

// List returns the backups in a store, the oldest first. What has no manifest is
// no backup.
func List(ctx context.Context, s store.Store) ([]Entry, error) {
	objects, err := s.List(ctx, idPrefix)
	if err != nil {
		return nil, err
	}
	newest := map[string]string{} // the latest verification of each
	var ids []string
	for _, o := range objects {
		id, name := path.Dir(o.Name), path.Base(o.Name)
		if _, _, ours := parseID(id); !ours {
			continue
		}
		if name == manifestName {
			ids = append(ids, id)
		}
		if strings.HasPrefix(name, verificationPrefix) {
			newest[id] = max(newest[id], o.Name)
		}
	}
	slices.Sort(ids)
	entries := make([]Entry, 0, len(ids))
	for _, id := range ids {
		entry, err := readEntry(ctx, s, id, newest[id])
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func readEntry(ctx context.Context, s store.Store, id, verification string) (e Entry, err error) {
	e.Manifest, err = ReadManifest(ctx, s, id)
	if broken, ok := errors.AsType[*BrokenError](err); ok {
		at, kind, _ := parseID(id)
		e.Manifest, e.Broken = &Manifest{ID: id, Kind: kind, StartedAt: at, FinishedAt: at}, broken.What
		return e, nil
	}
	if err != nil || verification == "" {
		return e, err
	}
	text, err := readSmall(ctx, s, verification)
	if err != nil {
		return e, fmt.Errorf("read verification: %w", err)
	}
	v := &Verification{}
	if err := json.Unmarshal(text, v); err != nil || v.BackupID != id {
		return e, nil //nolint:nilerr // What cannot be read proves nothing.
	}
	e.Verification = v
	return e, nil
}

// Find returns a backup by its id, or the newest of a kind for "" (of any kind for
// the empty one).
func Find(ctx context.Context, s store.Store, id string, kind Kind) (Entry, error) {
	entries, err := List(ctx, s)
	if err != nil {
		return Entry{}, err
	}
	for _, e := range slices.Backward(entries) {
		if e.Manifest.ID == id || id == "" && (kind == "" || e.Manifest.Kind == kind) {
			return e, nil
		}
	}
	if id == "" {
		return Entry{}, fmt.Errorf("%s holds no backup: %w", s.URL(), ErrNoBackup)
	}
	return Entry{}, fmt.Errorf("%s: %w", id, ErrNoBackup)
}

// Age is how long ago the backup's content was what it is.
func (e *Entry) Age(now time.Time) time.Duration { return now.Sub(e.Manifest.StartedAt) }
