package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/backup/internal/replication"
	"loanserve/backup/internal/walstream"
	"loanserve/backup/store"
)

// ArchiveSlot is the replication slot by which the server keeps WAL until it is in
// the store, and by which one process archives at a time.
const ArchiveSlot = "loanserve_archive"

// DefaultArchiveInterval is how long WAL waits at most until it is stored: what may
// be lost with the site, beside the time that storing takes.
const DefaultArchiveInterval = 5 * time.Second

// ErrArchived is returned where another process archives already.
var ErrArchived = errors.New("another process archives the WAL of this server")

// ArchiveOptions say which server's WAL to archive, and where to.
type ArchiveOptions struct {
	// DatabaseURL is by a login with the attribute REPLICATION.
	DatabaseURL string
	Store       store.Store
	// Recipients each can decrypt the archive; without any it is not encrypted.
	Recipients []age.Recipient
	// Interval is how long WAL waits at most; 0 is DefaultArchiveInterval.
	Interval time.Duration
	Observer ArchiveObserver
}

// ArchiveObserver is told what an archive does, one thing at a time.
type ArchiveObserver interface {
	// Began says that this process is the one that archives, from a place on. Nothing
	// is archived before it returns nil.
	Began(ctx context.Context, start ArchiveStart) error
	// Stored says that a piece is in the store.
	Stored(piece ArchivedPiece)
	// Covered says up to which moment all WAL is known to be in the store.
	Covered(through time.Time)
	// Missing is told of WAL that cannot be archived any more. What follows is not
	// archived before it returns nil.
	Missing(ctx context.Context, gap WALGap) error
}

// ArchiveStart says where an archive begins.
type ArchiveStart struct {
	SystemIdentifier string
	Timeline         int
	LSN              string
	// New says that the store had nothing before: with the physical backups made until
	// now no moment can be reached.
	New bool
	// Unbounded says that the server keeps WAL for the archive until its disk is full.
	Unbounded bool
}

// ArchivedPiece is a part of WAL that is in the store.
type ArchivedPiece struct {
	Timeline int
	From, To string
	// Bytes are of WAL, and StoredBytes of what is stored.
	Bytes, StoredBytes int64
}

// ArchiveWAL stores the server's WAL as it is written, until ctx ends or something
// fails; the caller then calls it again. It goes on where the store ends, so that
// nothing is lost or doubled, wherever it was killed: the server keeps WAL until
// it has been told that it is stored. Where another process archives it returns
// ErrArchived at once.
func ArchiveWAL(ctx context.Context, o ArchiveOptions) error {
	if o.Interval <= 0 {
		o.Interval = DefaultArchiveInterval
	}
	err := archiveOnce(ctx, o, false)
	const undefinedFile = "58P01"
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == undefinedFile {
		err = archiveOnce(ctx, o, true) // The server has removed what is next.
	}
	return err
}

// archive is a session under way.
type archive struct {
	ArchiveOptions

	session *walstream.Session
	// path are the server's timelines up to its own, the oldest first.
	path []walstream.Switch
}

// position is a place on a timeline.
type position struct {
	timeline int
	at       replication.LSN
	first    bool // of a new archive
}

func archiveOnce(ctx context.Context, o ArchiveOptions, removed bool) error {
	config, err := pgconn.ParseConfig(o.DatabaseURL)
	if err != nil {
		return stageError(StageConnect, errors.New("read database URL: it is not a PostgreSQL connection string"))
	}
	config.ConnectTimeout = connectTimeout
	session, err := walstream.Connect(ctx, config)
	if err != nil {
		return stageError(StageConnect, err)
	}
	defer session.Close(context.WithoutCancel(ctx))
	a := &archive{ArchiveOptions: o, session: session}
	slot, err := a.slot(ctx)
	if err != nil {
		return stageError(StageConnect, err)
	}
	if err := a.readPath(ctx); err != nil {
		return stageError(StageConnect, err)
	}
	if err := a.putHistory(ctx, session.Timeline); err != nil {
		return err
	}
	from, err := a.resume(ctx, slot)
	if err != nil {
		return err
	}
	if removed {
		if from, err = a.skip(ctx, from, slot); err != nil {
			return err
		}
	}
	return a.follow(ctx, from)
}

// slot sees to it that there is a slot that keeps WAL.
func (a *archive) slot(ctx context.Context) (walstream.Slot, error) {
	slot, err := a.session.ReadSlot(ctx, ArchiveSlot)
	if err != nil {
		return slot, fmt.Errorf("read replication slot: %w", err)
	}
	if slot.Exists && slot.Restart != 0 {
		return slot, nil
	}
	if slot.Exists { // It kept too much, and the server gave it up.
		if err := a.session.DropSlot(ctx, ArchiveSlot); err != nil {
			return slot, fmt.Errorf("drop the replication slot that was lost: %w", err)
		}
	}
	if err := a.session.CreateSlot(ctx, ArchiveSlot); err != nil {
		return slot, fmt.Errorf("create replication slot: %w", err)
	}
	slot, err = a.session.ReadSlot(ctx, ArchiveSlot)
	if err == nil && slot.Restart == 0 {
		err = errors.New("the server keeps no WAL for it")
	}
	if err != nil {
		return slot, fmt.Errorf("read replication slot: %w", err)
	}
	return slot, nil
}

// readPath reads the timelines that the server has come through.
func (a *archive) readPath(ctx context.Context) error {
	own := walstream.Switch{Timeline: a.session.Timeline, End: forever}
	if own.Timeline == 1 {
		a.path = []walstream.Switch{own}
		return nil
	}
	text, err := a.session.History(ctx, own.Timeline)
	if err == nil {
		a.path, err = walstream.ParseHistory(text)
	}
	if err != nil {
		return fmt.Errorf("read history of timeline %d: %w", own.Timeline, err)
	}
	a.path = append(a.path, own)
	return nil
}

// at returns the timeline on the path that a place is on.
func (a *archive) at(l replication.LSN) position {
	for _, s := range a.path {
		if l < s.End {
			return position{timeline: s.Timeline, at: l}
		}
	}
	return position{timeline: a.session.Timeline, at: l}
}

// resume returns where the archive goes on: where the store's ends on the newest of
// the server's timelines that it knows, and in a new archive where the slot begins.
func (a *archive) resume(ctx context.Context, slot walstream.Slot) (position, error) {
	for i, s := range slices.Backward(a.path) {
		end, err := a.end(ctx, s.Timeline, slot.Restart)
		if err != nil {
			return position{}, stageError(StageStore, err)
		}
		if end == 0 {
			continue
		}
		if end >= s.End {
			return position{timeline: a.path[i+1].Timeline, at: s.End}, nil
		}
		if s.Timeline == a.session.Timeline && end > a.session.Flushed {
			return position{}, stageError(StageRead, fmt.Errorf(
				"the archive of timeline %d ends at %s and the server's WAL at %s: the server was set back to an earlier state; "+
					"archive it into another store, or promote it, so that it writes another timeline",
				s.Timeline, end, a.session.Flushed))
		}
		return position{timeline: s.Timeline, at: end}, nil
	}
	from := a.at(slot.Restart.Floor(a.session.SegmentBytes))
	from.first = true
	return from, nil
}

// end returns where the pieces of a timeline end; 0 where there are none. Mostly
// that is near what the server keeps, and then only a few names are listed.
func (a *archive) end(ctx context.Context, timeline int, near replication.LSN) (replication.LSN, error) {
	dir := walDir(a.session.SystemIdentifier, timeline)
	var end replication.LSN
	list := func(prefix string) (n int, err error) {
		pieces, err := listPieces(ctx, a.Store, prefix)
		for _, p := range pieces {
			end = max(end, p.end)
		}
		return len(pieces), err
	}
	for block := (near - 1).Floor(blockBytes); ; block += blockBytes {
		n, err := list(path.Join(dir, place(block)[:dirDigits], place(block)[:blockDigits]))
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
	}
	if end >= near {
		return end, nil
	}
	_, err := list(dir + "/")
	return end, err
}

// skip notes that WAL is lost and returns from where on the server still has it.
func (a *archive) skip(ctx context.Context, from position, slot walstream.Slot) (position, error) {
	to := a.at(max(from.at, slot.Restart).Floor(a.session.SegmentBytes))
	if to.at <= from.at {
		return to, stageError(StageRead, fmt.Errorf("the server has removed WAL at %s, which it should keep", from.at))
	}
	gap := WALGap{
		System: a.session.SystemIdentifier, Timeline: from.timeline, From: from.at.String(), To: to.at.String(),
		SeenAt: time.Now().UTC(),
	}
	if err := putGap(ctx, a.Store, gap); err != nil {
		return to, stageError(StageStore, fmt.Errorf("note gap: %w", err))
	}
	return to, a.Observer.Missing(ctx, gap)
}

// follow archives from a place on, timeline by timeline.
func (a *archive) follow(ctx context.Context, from position) error {
	err := putFacts(ctx, a.Store, walFacts{
		Format: walFormat, SystemIdentifier: a.session.SystemIdentifier, SegmentBytes: a.session.SegmentBytes,
	})
	if err != nil {
		return stageError(StageStore, err)
	}
	kept, err := a.session.Show(ctx, "max_slot_wal_keep_size")
	if err != nil {
		return stageError(StageConnect, err)
	}
	for begun := false; ; begun = true {
		if err := a.putHistory(ctx, from.timeline); err != nil {
			return err
		}
		stream, err := a.session.Start(ctx, ArchiveSlot, from.timeline, from.at)
		const objectInUse = "55006"
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == objectInUse {
			return ErrArchived
		}
		if err != nil {
			return stageError(StageRead, err)
		}
		if !begun {
			err := a.Observer.Began(ctx, ArchiveStart{
				SystemIdentifier: a.session.SystemIdentifier, Timeline: from.timeline, LSN: from.at.String(),
				New: from.first, Unbounded: kept == "-1",
			})
			if err != nil {
				return err
			}
		}
		end, err := a.stream(ctx, stream, from)
		if err != nil {
			return err
		}
		if from, err = a.next(position{timeline: from.timeline, at: end}); err != nil {
			return err
		}
	}
}

// next returns where the timeline begins that followed one which has ended.
func (a *archive) next(ended position) (position, error) {
	for i, s := range a.path {
		if s.Timeline == ended.timeline && i+1 < len(a.path) {
			return position{timeline: a.path[i+1].Timeline, at: s.End}, nil
		}
	}
	// The server was a standby and has been promoted since: it is another now.
	return ended, stageError(StageRead, fmt.Errorf("timeline %d has ended at %s, and the server has gone on to another",
		ended.timeline, ended.at))
}

// putHistory stores where a timeline comes from, before anything of it. It is not
// encrypted: it names places and reasons, and nothing of a borrower.
func (a *archive) putHistory(ctx context.Context, timeline int) error {
	if timeline == 1 {
		return nil
	}
	text, err := a.session.History(ctx, timeline)
	if err != nil {
		return stageError(StageConnect, fmt.Errorf("read history of timeline %d: %w", timeline, err))
	}
	sum := sha256.Sum256(text)
	name := path.Join(walDir(a.session.SystemIdentifier, timeline), historyPrefix+hex.EncodeToString(sum[:]))
	known, err := a.Store.List(ctx, strings.TrimSuffix(name, hex.EncodeToString(sum[:])))
	if err != nil {
		return stageError(StageStore, fmt.Errorf("list histories: %w", err))
	}
	if slices.ContainsFunc(known, func(o store.Object) bool { return o.Name != name }) {
		return stageError(StageStore, fmt.Errorf(
			"another server has archived a timeline %d of its own here: archive this one into another store", timeline))
	}
	if len(known) > 0 {
		return nil
	}
	return stageError(StageStore, a.Store.Put(ctx, name, bytes.NewReader(text), int64(len(text))))
}
