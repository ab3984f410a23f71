package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"loanserve/backup/internal/replication"
	"loanserve/backup/store"
)

const (
	// walRoot is what the names of all WAL in a store begin with. No backup's does.
	walRoot = "wal/"
	// blockBytes is the most WAL that one piece holds. No piece crosses a multiple of
	// it, nor the end of one of the server's files.
	blockBytes = 16 << 20
	// Places are written in hexadecimal digits, so that names sort by them: those of a
	// directory's name are of 256 MiB, and those of a block's of blockBytes.
	placeDigits, dirDigits, blockDigits = 16, 9, 10

	historyPrefix = "history-"
	gapPrefix     = "gap-"
	walFormat     = 1
	walFactsName  = "archive.json"
)

// walFacts are what has to be known of a server to put its WAL together again.
type walFacts struct {
	Format           int    `json:"format"`
	SystemIdentifier string `json:"system_identifier"`
	SegmentBytes     int64  `json:"segment_bytes"`
}

// errNoWAL is returned where a store holds no WAL of a server.
var errNoWAL = errors.New("the store holds no WAL of this server")

// walHome is the directory of a server's WAL.
func walHome(system string) string { return walRoot + system }

// walDir is the directory of a timeline.
func walDir(system string, timeline int) string {
	return path.Join(walHome(system), fmt.Sprintf("%08X", timeline))
}

func readWALFacts(ctx context.Context, s store.Store, system string) (f walFacts, err error) {
	text, err := readSmall(ctx, s, path.Join(walHome(system), walFactsName))
	if errors.Is(err, store.ErrNotFound) {
		return f, errNoWAL
	}
	if err != nil {
		return f, fmt.Errorf("read facts of the archive: %w", err)
	}
	const smallest, largest = 1 << 20, 1 << 30
	if err := json.Unmarshal(text, &f); err != nil || f.Format != walFormat || f.SystemIdentifier != system ||
		f.SegmentBytes < smallest || f.SegmentBytes > largest || f.SegmentBytes&(f.SegmentBytes-1) != 0 {
		return f, fmt.Errorf("%s of server %s cannot be read by this program", walFactsName, system)
	}
	return f, nil
}

// putFacts notes them once. A server whose files have another size now needs
// another archive.
func putFacts(ctx context.Context, s store.Store, f walFacts) error {
	known, err := readWALFacts(ctx, s, f.SystemIdentifier)
	if err == nil && known.SegmentBytes != f.SegmentBytes {
		return fmt.Errorf("the archive has files of %d bytes and the server of %d", known.SegmentBytes, f.SegmentBytes)
	}
	if !errors.Is(err, errNoWAL) {
		return err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.Put(ctx, path.Join(walHome(f.SystemIdentifier), walFactsName), bytes.NewReader(text), int64(len(text)))
}

// walPiece is a part of a timeline's WAL as it is stored. Its name says all of it.
type walPiece struct {
	timeline   int
	start, end replication.LSN
	dir        string
	object     Object
	storedAt   time.Time
}

func (p *walPiece) name() string { return path.Join(p.dir, p.object.Name) }

// place writes a place as it stands in names.
func place(l replication.LSN) string { return fmt.Sprintf("%016X", uint64(l)) }

// newPiece names a piece by what it holds, and by the hash of what is stored.
func newPiece(system string, timeline int, start, end replication.LSN, sum [sha256.Size]byte, encrypted bool) walPiece {
	name := place(start) + "-" + place(end) + "-" + hex.EncodeToString(sum[:]) + ".zst"
	if encrypted {
		name += ".age"
	}
	return walPiece{
		timeline: timeline, start: start, end: end, dir: path.Join(walDir(system, timeline), place(start)[:dirDigits]),
		object: Object{Name: name, SHA256: hex.EncodeToString(sum[:]), Zstd: true, Encrypted: encrypted},
	}
}

// parsePiece reads a piece's name; ok is false for one that is none.
func parsePiece(o store.Object) (p walPiece, ok bool) {
	const parts = 5 // wal, system, timeline, directory, name
	fields := strings.Split(o.Name, "/")
	if len(fields) != parts {
		return p, false
	}
	name := fields[4]
	bare, encrypted := strings.CutSuffix(name, ".age")
	bare, packed := strings.CutSuffix(bare, ".zst")
	bounds := strings.Split(bare, "-")
	const bounded = 3
	if !packed || len(bounds) != bounded || len(bounds[0]) != placeDigits || len(bounds[1]) != placeDigits ||
		len(bounds[2]) != 2*sha256.Size {
		return p, false
	}
	timeline, errT := strconv.ParseUint(fields[2], 16, 31)
	start, errS := strconv.ParseUint(bounds[0], 16, 64)
	end, errE := strconv.ParseUint(bounds[1], 16, 64)
	if errT != nil || errS != nil || errE != nil || start >= end || end-start > blockBytes {
		return p, false
	}
	return walPiece{
		timeline: int(timeline), start: replication.LSN(start), end: replication.LSN(end), dir: path.Dir(o.Name),
		object: Object{
			Name: name, Bytes: o.Bytes, SHA256: bounds[2], ContentBytes: int64(end - start), Zstd: true, Encrypted: encrypted,
		},
		storedAt: o.StoredAt,
	}, true
}

// listPieces lists the pieces whose names begin so.
func listPieces(ctx context.Context, s store.Store, prefix string) ([]walPiece, error) {
	objects, err := s.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list WAL: %w", err)
	}
	var list []walPiece
	for _, o := range objects {
		if p, ok := parsePiece(o); ok {
			list = append(list, p)
		}
	}
	return list, nil
}

// unclosed is written to by what wants to close it.
type unclosed struct{ io.Writer }

// Close implements io.Closer.
func (unclosed) Close() error { return nil }

// pack compresses and encrypts what is small enough to be held in memory.
func pack(content []byte, recipients []age.Recipient) ([]byte, error) {
	var packed bytes.Buffer
	var w io.WriteCloser = unclosed{&packed}
	if len(recipients) > 0 {
		encrypted, err := age.Encrypt(&packed, recipients...)
		if err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
		w = encrypted
	}
	compressed, err := zstd.NewWriter(w,
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	_, err = compressed.Write(content)
	if err = errors.Join(err, compressed.Close(), w.Close()); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return packed.Bytes(), nil
}

// WALGap is WAL that the archive does not have although it has what follows.
type WALGap struct {
	System   string    `json:"system_identifier"`
	Timeline int       `json:"timeline"`
	From     string    `json:"from_lsn"`
	To       string    `json:"to_lsn"`
	SeenAt   time.Time `json:"seen_at"`
}

// String says it in words.
func (g WALGap) String() string {
	return fmt.Sprintf("WAL from %s to %s of timeline %d is missing", g.From, g.To, g.Timeline)
}

// GapError is returned where the way to a moment leads through a gap.
type GapError struct{ Gap WALGap }

// Error implements error.
func (e *GapError) Error() string {
	return "the archive has a gap: " + e.Gap.String() +
		"; restore to a moment before it, or from a physical backup that began after it"
}

// putGap remembers a gap in the store, beside the pieces. It is for people: what
// is missing is seen from the pieces as well.
func putGap(ctx context.Context, s store.Store, g WALGap) error {
	text, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return err
	}
	name := gapPrefix + strings.ReplaceAll(g.From, "/", "-") + "-" + g.SeenAt.UTC().Format(idTime) + ".json"
	return s.Put(ctx, path.Join(walDir(g.System, g.Timeline), name), bytes.NewReader(text), int64(len(text)))
}
