package backup

import (
	"context"
	"errors"
	"slices"
	"time"

	"loanserve/backup/store"
)

// WALStatus is what a store has of a server's WAL.
type WALStatus struct {
	SystemIdentifier string `json:"system_identifier"`
	// Timeline is the newest, and From and To are where its way begins and ends.
	Timeline int    `json:"timeline"`
	From     string `json:"from_lsn"`
	To       string `json:"to_lsn"`
	// StoredAt is when the newest piece was stored, by the store's clock.
	StoredAt time.Time `json:"stored_at"`
	Pieces   int       `json:"pieces"`
	Bytes    int64     `json:"bytes"` // as they are stored
	// Gaps are parts of the way that are missing: no moment in them can be restored,
	// and none after them from a backup that began before them.
	Gaps []WALGap `json:"gaps"`
}

// ListWAL tells what a store has of each server's WAL, and what is missing in it. It
// goes by names: what pieces hold is checked when they are read.
func ListWAL(ctx context.Context, s store.Store) ([]WALStatus, error) {
	systems, err := listSystems(ctx, s)
	if err != nil {
		return nil, stageError(StageFetch, err)
	}
	list := []WALStatus{}
	for _, system := range systems {
		chain, err := readChain(ctx, s, system)
		if err != nil {
			return nil, stageOrBroken(StageFetch, err)
		}
		status, err := chain.status()
		if errors.Is(err, errNoWAL) {
			continue
		}
		if err != nil {
			return nil, stageOrBroken(StageFetch, err)
		}
		list = append(list, status)
	}
	return list, nil
}

func (c *walChain) status() (WALStatus, error) {
	st := WALStatus{SystemIdentifier: c.facts.SystemIdentifier, Gaps: []WALGap{}}
	for timeline, list := range c.pieces {
		st.Timeline = max(st.Timeline, timeline)
		for _, p := range list {
			st.Pieces++
			st.Bytes += p.object.Bytes
			st.StoredAt = slices.MaxFunc([]time.Time{st.StoredAt, p.storedAt}, time.Time.Compare)
		}
	}
	if st.Pieces == 0 {
		return st, errNoWAL
	}
	way, err := c.path(st.Timeline)
	if err != nil {
		return st, err
	}
	first := forever
	for _, s := range way {
		if list := c.pieces[s.Timeline]; len(list) > 0 {
			first = min(first, list[0].start)
		}
	}
	st.From = first.String()
	for {
		cov := c.cover(way, first)
		st.To = cov.end.String()
		if cov.gap == nil {
			return st, nil
		}
		st.Gaps = append(st.Gaps, *cov.gap)
		if first, err = cov.afterGap(); err != nil {
			return st, err
		}
	}
}
