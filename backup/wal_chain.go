package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"loanserve/backup/internal/replication"
	"loanserve/backup/internal/walstream"
	"loanserve/backup/store"
)

// forever is beyond every place in the WAL.
const forever = ^replication.LSN(0)

// walChain is the WAL of a server as the store has it.
type walChain struct {
	facts walFacts
	// pieces are those of each timeline, in order of where they begin.
	pieces map[int][]walPiece
	// histories are the files that say where timelines come from.
	histories map[int][]byte
}

// readChain lists a server's WAL. It returns errNoWAL where there is none.
func readChain(ctx context.Context, s store.Store, system string) (*walChain, error) {
	facts, err := readWALFacts(ctx, s, system)
	if err != nil {
		return nil, err
	}
	c := &walChain{facts: facts, pieces: map[int][]walPiece{}, histories: map[int][]byte{}}
	objects, err := s.List(ctx, walHome(system)+"/")
	if err != nil {
		return nil, fmt.Errorf("list WAL: %w", err)
	}
	for _, o := range objects {
		if p, ok := parsePiece(o); ok {
			c.pieces[p.timeline] = append(c.pieces[p.timeline], p)
		} else if sum, ok := strings.CutPrefix(path.Base(o.Name), historyPrefix); ok {
			if err := c.readHistory(ctx, s, o.Name, sum); err != nil {
				return nil, err
			}
		}
	}
	for _, list := range c.pieces {
		slices.SortFunc(list, func(a, b walPiece) int {
			return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
		})
	}
	return c, nil
}

func (c *walChain) readHistory(ctx context.Context, s store.Store, name, sum string) error {
	timeline, err := strconv.ParseUint(path.Base(path.Dir(name)), 16, 31)
	if err != nil {
		return &BrokenError{What: name + " is of no timeline"}
	}
	text, err := readSmall(ctx, s, name)
	if err != nil {
		return fmt.Errorf("read history of timeline %d: %w", timeline, err)
	}
	if got := sha256.Sum256(text); hex.EncodeToString(got[:]) != sum {
		return &BrokenError{What: fmt.Sprintf("the history of timeline %d has another checksum than its name", timeline)}
	}
	c.histories[int(timeline)] = text
	return nil
}

// path returns the timelines up to one, the oldest first, each with its end.
func (c *walChain) path(timeline int) ([]walstream.Switch, error) {
	var list []walstream.Switch
	if timeline > 1 {
		text, known := c.histories[timeline]
		if !known {
			return nil, &BrokenError{What: fmt.Sprintf("the archive does not say where timeline %d comes from", timeline)}
		}
		var err error
		if list, err = walstream.ParseHistory(text); err != nil {
			return nil, &BrokenError{What: err.Error()}
		}
	}
	return append(list, walstream.Switch{Timeline: timeline, End: forever}), nil
}

// newest returns the way to the newest timeline that a place on a timeline leads
// to.
func (c *walChain) newest(from position) (way []walstream.Switch, err error) {
	for timeline := range c.pieces {
		if timeline < from.timeline || way != nil && timeline < way[len(way)-1].Timeline {
			continue
		}
		candidate, err := c.path(timeline)
		if err != nil {
			return nil, err
		}
		for _, s := range candidate {
			if s.Timeline == from.timeline && from.at < s.End {
				way = candidate
			}
		}
	}
	if way == nil {
		return nil, errNoWAL
	}
	return way, nil
}

// walPart is what is used of a piece: from its beginning, or a later place, on.
type walPart struct {
	walPiece

	from, to replication.LSN
}

// coverage is the WAL of a way from a place on, as far as it is whole.
type coverage struct {
	way   []walstream.Switch
	from  replication.LSN
	parts []walPart
	end   replication.LSN
	gap   *WALGap // what comes after it, if there is more
}

// cover collects pieces from a place on until the archive ends, or has a gap.
func (c *walChain) cover(way []walstream.Switch, from replication.LSN) coverage {
	cov := coverage{way: way, from: from, end: from}
	for _, s := range way {
		if s.End <= cov.end {
			continue
		}
		for _, p := range c.pieces[s.Timeline] {
			if p.end <= cov.end || p.start >= s.End || cov.end >= s.End {
				continue
			}
			if p.start > cov.end {
				cov.gap = c.gap(s.Timeline, cov.end, p.start)
				return cov
			}
			part := walPart{walPiece: p, from: cov.end, to: min(p.end, s.End)}
			cov.parts = append(cov.parts, part)
			cov.end = part.to
		}
		if cov.end < s.End && s.End != forever { // It went on to the next one at its end.
			if c.beyond(way, s.Timeline) {
				cov.gap = c.gap(s.Timeline, cov.end, s.End)
			}
			return cov
		}
	}
	return cov
}

// afterGap is where the archive goes on.
func (cov *coverage) afterGap() (replication.LSN, error) { return replication.ParseLSN(cov.gap.To) }

func (c *walChain) gap(timeline int, from, to replication.LSN) *WALGap {
	return &WALGap{System: c.facts.SystemIdentifier, Timeline: timeline, From: from.String(), To: to.String()}
}

// beyond says whether the archive has anything of the timelines after one.
func (c *walChain) beyond(way []walstream.Switch, timeline int) bool {
	after := false
	for _, s := range way {
		if after && len(c.pieces[s.Timeline]) > 0 {
			return true
		}
		after = after || s.Timeline == timeline
	}
	return false
}

// timelineOf returns the timeline that the file of WAL that begins at a place is
// named by: the newest that has a part in it.
func (cov *coverage) timelineOf(start replication.LSN, size int64) int {
	last := min(start+replication.LSN(size), cov.end) - 1
	for _, s := range cov.way {
		if last < s.End {
			return s.Timeline
		}
	}
	return cov.way[len(cov.way)-1].Timeline
}

// segmentName is what the server calls such a file.
func segmentName(timeline int, start replication.LSN, size int64) string {
	const wide = 1 << 32
	number := uint64(start) / uint64(size)
	perWide := uint64(wide) / uint64(size)
	return fmt.Sprintf("%08X%08X%08X", timeline, number/perWide, number%perWide)
}
