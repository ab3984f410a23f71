package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"loanserve/backup/internal/replication"
	"loanserve/backup/store"
)

// walFetchers is how many pieces are fetched at a time: with a store that is far
// away most of the time is waiting.
const walFetchers = 8

// FetchWAL writes the WAL that follows the beginning of a physical backup into dir,
// which it creates: the server's own files, under their names, and the histories of
// timelines. The last file is filled up with zeros. That is what pg_waldump reads
// and what a server may be given to restore.
//
// Where the archive has a gap the error is a GapError, and dir has what comes
// before it.
func FetchWAL(ctx context.Context, o RestoreOptions, from *Manifest, dir string) error {
	cov, chain, err := coverBackup(ctx, o.Store, from)
	if err != nil {
		return stageOrBroken(StageFetch, err)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return stageError(StageRestore, err)
	}
	broken, err := o.layWAL(ctx, chain, cov, dir)
	if err != nil {
		return stageOrBroken(StageFetch, err)
	}
	if broken != nil {
		return broken
	}
	if cov.gap != nil {
		return stageError(StageFetch, &GapError{Gap: *cov.gap})
	}
	return nil
}

// coverBackup finds the WAL that follows the beginning of a backup, up to the end
// of the newest timeline.
func coverBackup(ctx context.Context, s store.Store, m *Manifest) (coverage, *walChain, error) {
	if m.Kind != Physical || m.WAL == nil {
		return coverage{}, nil, errors.New("only physical backups have WAL that follows them")
	}
	start, err := replication.ParseLSN(m.WAL.StartLSN)
	if err != nil {
		return coverage{}, nil, &BrokenError{What: "its manifest does not say where its WAL begins"}
	}
	chain, err := readChain(ctx, s, m.Database.SystemIdentifier)
	if err != nil {
		return coverage{}, nil, err
	}
	from := position{timeline: m.Database.Timeline, at: start.Floor(chain.facts.SegmentBytes)}
	way, err := chain.newest(position{timeline: from.timeline, at: start})
	if err != nil {
		return coverage{}, nil, err
	}
	return chain.cover(way, from.at), chain, nil
}

// layWAL writes files of WAL and histories. In the place of a piece that is broken
// there are zeros, where a server's WAL ends: what comes before is good, and broken
// says what the first one is.
func (o *RestoreOptions) layWAL(ctx context.Context, chain *walChain, cov coverage, dir string,
) (broken *BrokenError, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	defer root.Close()
	for timeline, text := range chain.histories {
		if err := root.WriteFile(fmt.Sprintf("%08X.history", timeline), text, fileMode); err != nil {
			return nil, fmt.Errorf("write history: %w", err)
		}
	}
	files := &walFiles{root: root, cov: &cov, size: chain.facts.SegmentBytes, open: map[string]*walFile{}}
	defer files.close()
	for i := range cov.parts { // Each file is closed with its last part.
		files.expect(&cov.parts[i])
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(walFetchers)
	var mu sync.Mutex
	var done int64
	first := forever // where the first broken piece is
	for i := range cov.parts {
		part := &cov.parts[i]
		g.Go(func() error {
			err := o.layPart(gctx, files, part)
			bad, isBroken := errors.AsType[*BrokenError](err)
			if err != nil && !isBroken {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if isBroken && part.from <= first {
				broken, first = bad, part.from
			}
			done += int64(part.to - part.from)
			o.report(done, int64(cov.end-cov.from))
			return nil
		})
	}
	return broken, g.Wait()
}

// layPart writes what is used of a piece to its place, or zeros if it is broken.
func (o *RestoreOptions) layPart(ctx context.Context, files *walFiles, p *walPart) (err error) {
	file, err := files.get(p)
	if err != nil {
		return err
	}
	defer func() {
		if broken, ok := errors.AsType[*BrokenError](err); ok {
			_, zeroed := file.f.WriteAt(make([]byte, p.to-p.from), files.offset(p))
			err = broken
			if zeroed != nil {
				err = zeroed
			}
		}
		if closed := files.put(file); closed != nil {
			err = closed
		}
	}()
	f, err := fetch(ctx, o.Store, p.dir, p.object, o.Identities)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(io.Discard, f, int64(p.from-p.start)); err != nil {
		return shortPiece(p, err)
	}
	at := io.NewOffsetWriter(file.f, files.offset(p))
	if _, err := io.CopyN(at, f, int64(p.to-p.from)); err != nil {
		return shortPiece(p, err)
	}
	rest, err := io.Copy(io.Discard, f) // To the end, where the checksum is compared.
	if err != nil {
		return err
	}
	if rest != int64(p.end-p.to) {
		return &BrokenError{What: p.name() + " holds more than its name says"}
	}
	return nil
}

func shortPiece(p *walPart, err error) error {
	if errors.Is(err, io.EOF) {
		return &BrokenError{What: p.name() + " holds less than its name says"}
	}
	return err
}

// walFiles are the files of WAL that are being written.
type walFiles struct {
	root *os.Root
	cov  *coverage
	size int64

	mu   sync.Mutex
	open map[string]*walFile
}

// walFile is one of them.
type walFile struct {
	name  string
	f     *os.File
	parts int // that are still to come
}

func (w *walFiles) nameOf(p *walPart) string {
	start := p.from.Floor(w.size)
	return segmentName(w.cov.timelineOf(start, w.size), start, w.size)
}

// offset is where in its file a part begins.
func (w *walFiles) offset(p *walPart) int64 { return int64(p.from - p.from.Floor(w.size)) }

func (w *walFiles) expect(p *walPart) {
	name := w.nameOf(p)
	if w.open[name] == nil {
		w.open[name] = &walFile{name: name}
	}
	w.open[name].parts++
}

// get returns the file of a part, which it makes as long as the server expects.
func (w *walFiles) get(p *walPart) (*walFile, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	file := w.open[w.nameOf(p)]
	if file.f != nil {
		return file, nil
	}
	var err error
	if file.f, err = w.root.OpenFile(file.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode); err != nil {
		return nil, fmt.Errorf("create file of WAL: %w", err)
	}
	if err := file.f.Truncate(w.size); err != nil {
		return nil, fmt.Errorf("size file of WAL: %w", err)
	}
	return file, nil
}

// put closes a file when all of it is written.
func (w *walFiles) put(file *walFile) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if file.parts--; file.parts > 0 {
		return nil
	}
	f := file.f
	file.f = nil
	return f.Close()
}

// close closes what an error left open.
func (w *walFiles) close() {
	for _, file := range w.open {
		if file.f != nil {
			_ = file.f.Close()
		}
	}
}

// walBelow says whether a directory is where files of WAL of a server are.
func walBelow(data string) string { return filepath.Join(data, "pg_wal") }
