package backup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"loanserve/backup/internal/replication"
	"loanserve/backup/store"
)

// WALFate is what becomes of a server's archived WAL, and why.
type WALFate struct {
	SystemIdentifier string `json:"system_identifier"`
	// Before is where what stays begins; "" where all of it stays.
	Before string `json:"before_lsn,omitempty"`
	// Pieces and Bytes are of what goes.
	Pieces int    `json:"pieces"`
	Bytes  int64  `json:"bytes"`
	Why    string `json:"why"`
}

// PruneWAL deletes WAL from before the window in which every moment can be reached:
// all that comes before the newest verified physical backup that is older than the
// window. Older backups stay what they are, since each has the WAL that it needs in
// itself. Where backups or their verification have stopped, everything stays.
//
// It returns what it has deleted also when it could not go on to the end.
func PruneWAL(ctx context.Context, s store.Store, r Retention, now time.Time, dryRun bool) ([]WALFate, error) {
	entries, err := List(ctx, s)
	if err != nil {
		return nil, stageError(StageStore, err)
	}
	plan := r.Plan(entries, now)
	systems, err := listSystems(ctx, s)
	if err != nil {
		return nil, stageError(StageStore, err)
	}
	fates := []WALFate{}
	for _, system := range systems {
		anchor, why := r.anchor(entries, plan, system, now)
		fate := WALFate{SystemIdentifier: system, Why: why}
		if anchor != nil {
			if err := pruneSystem(ctx, s, anchor, &fate, dryRun); err != nil {
				return append(fates, fate), stageError(StageStore, fmt.Errorf("prune WAL of %s: %w", system, err))
			}
		}
		fates = append(fates, fate)
	}
	return fates, nil
}

// listSystems lists the servers whose WAL the store has.
func listSystems(ctx context.Context, s store.Store) ([]string, error) {
	objects, err := s.List(ctx, walRoot)
	if err != nil {
		return nil, fmt.Errorf("list WAL: %w", err)
	}
	var systems []string
	for _, o := range objects {
		rest := strings.TrimPrefix(o.Name, walRoot)
		if system, name, ok := strings.Cut(rest, "/"); ok && name == walFactsName {
			systems = append(systems, system)
		}
	}
	slices.Sort(systems)
	return systems, nil
}

// anchor returns the backup from which on every moment stays within reach, and why.
func (r Retention) anchor(entries []Entry, plan []Fate, system string, now time.Time) (*Manifest, string) {
	var newestFirst []int
	for i, e := range slices.Backward(entries) {
		if e.Manifest.Kind == Physical && e.Manifest.Database.SystemIdentifier == system {
			newestFirst = append(newestFirst, i)
		}
	}
	if len(newestFirst) == 0 {
		return nil, "nothing is deleted: there is no physical backup of this server"
	}
	if why := r.refusal(entries, newestFirst, now); why != "" {
		return nil, why
	}
	for _, i := range newestFirst {
		m := entries[i].Manifest
		if entries[i].Verified() && !plan[i].Delete && m.WAL != nil && now.Sub(m.StartedAt) >= r.WAL {
			return m, "what follows " + m.ID + " stays, the newest verified physical backup from before the window"
		}
	}
	return nil, fmt.Sprintf(
		"nothing is deleted: no physical backup that stays is verified and older than the window of %s", r.WAL)
}

// pruneSystem deletes pieces that end before the anchor begins and were stored before
// it began: places alone do not say what is older, since a timeline that was left may
// have gone further.
func pruneSystem(ctx context.Context, s store.Store, anchor *Manifest, fate *WALFate, dryRun bool) error {
	facts, err := readWALFacts(ctx, s, fate.SystemIdentifier)
	if err != nil {
		return err
	}
	start, err := replication.ParseLSN(anchor.WAL.StartLSN)
	if err != nil {
		return err
	}
	before := start.Floor(facts.SegmentBytes)
	fate.Before = before.String()
	pieces, err := listPieces(ctx, s, walHome(fate.SystemIdentifier)+"/")
	if err != nil {
		return err
	}
	for i := range pieces {
		p := &pieces[i]
		if p.end > before || !p.storedAt.Before(anchor.StartedAt) {
			continue
		}
		if !dryRun {
			if err := s.Delete(ctx, p.name()); err != nil {
				return err
			}
		}
		fate.Pieces++
		fate.Bytes += p.object.Bytes
	}
	return nil
}
