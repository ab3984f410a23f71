package backup

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"loanserve/backup/internal/replication"
	"loanserve/backup/internal/walstream"
	"loanserve/internal/pgcluster"
)

// checkEnd sees that a server which was to replay all of the archive has done so. A
// record that does not fit is the end of the WAL to it, wherever it comes: only the
// last one may be unfinished.
func (o *RestoreOptions) checkEnd(ctx context.Context, cov *coverage, segment int64, c *pgcluster.Cluster) error {
	reached, err := branchedAt(ctx, c)
	if err != nil {
		return stageError(StageRestore, err)
	}
	if reached >= cov.end {
		return nil
	}
	at := reached + pageHeader(reached, segment)
	length := make([]byte, 4)
	n, err := o.readWAL(ctx, cov, at, length)
	if err != nil {
		return stageOrBroken(StageFetch, err)
	}
	if n < len(length) || recordEnd(at, binary.LittleEndian.Uint32(length), segment) > cov.end {
		return nil
	}
	return &BrokenError{What: fmt.Sprintf("the WAL can be replayed up to %s only, and the archive reaches to %s: "+
		"what follows is damaged, or another server's; a moment before it is reached", reached, cov.end)}
}

// branchedAt is where the WAL of a server ends that it was made of: there its own
// timeline begins.
func branchedAt(ctx context.Context, c *pgcluster.Cluster) (replication.LSN, error) {
	conn, err := connect(ctx, c.URL("postgres"))
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var timeline string
	err = conn.QueryRow(ctx, `SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)`).Scan(&timeline)
	if err != nil {
		return 0, fmt.Errorf("ask the restored server for its timeline: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(walBelow(c.Dir()), timeline+".history"))
	if err != nil {
		return 0, err
	}
	history, err := walstream.ParseHistory(text)
	if err != nil || len(history) == 0 {
		return 0, fmt.Errorf("read the history of the restored server: %w", errOr(err, io.ErrUnexpectedEOF))
	}
	return history[len(history)-1].End, nil
}

// Pages of WAL begin with a header, and files with a longer one. A server may be
// built with other pages, which nobody does.
const (
	walPage    = 8192
	pageShort  = 24
	pageLonger = 40
)

// pageHeader is how much comes before what is at a place that begins a page.
func pageHeader(l replication.LSN, segment int64) replication.LSN {
	switch {
	case l%replication.LSN(segment) == 0:
		return pageLonger
	case l%walPage == 0:
		return pageShort
	default:
		return 0
	}
}

// recordEnd is where a record of a length ends that begins at a place.
func recordEnd(at replication.LSN, length uint32, segment int64) replication.LSN {
	for left := replication.LSN(length); left > 0; {
		at += pageHeader(at, segment)
		n := min(left, walPage-at%walPage)
		at, left = at+n, left-n
	}
	return at
}

// readWAL reads what the archive has at a place into p, and returns how much that is.
func (o *RestoreOptions) readWAL(ctx context.Context, cov *coverage, at replication.LSN, p []byte) (n int, err error) {
	for i := range cov.parts {
		part := &cov.parts[i]
		if next := at + replication.LSN(n); n == len(p) || next < part.from || next >= part.to {
			continue
		}
		content, err := o.readPiece(ctx, part)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], content[at+replication.LSN(n)-part.start:part.to-part.start])
	}
	return n, nil
}

func (o *RestoreOptions) readPiece(ctx context.Context, p *walPart) ([]byte, error) {
	f, err := fetch(ctx, o.Store, p.dir, p.object, o.Identities)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, blockBytes+1))
	if err == nil && len(content) != int(p.end-p.start) {
		err = &BrokenError{What: p.name() + " holds more or less than its name says"}
	}
	return content, err
}
