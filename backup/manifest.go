package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"loanserve/backup/store"
)

// Kind is a kind of backup.
type Kind string

// The kinds of backups.
const (
	// Physical is a copy of all files of a server, with the WAL that makes them
	// consistent.
	Physical Kind = "physical"
	// Logical is a dump of one database.
	Logical Kind = "logical"
)

// Kinds lists the kinds there are.
func Kinds() []Kind { return []Kind{Physical, Logical} }

// manifestFormat is the version of the manifest's format.
const manifestFormat = 1

const (
	manifestName = "manifest.json"
	// maxManifest bounds what is read as one: a thousand tables take 300 kB.
	maxManifest = 64 << 20
)

// Manifest says what a backup consists of and what the database held.
type Manifest struct {
	Format  int    `json:"format"`
	ID      string `json:"id"`
	Kind    Kind   `json:"kind"`
	Program string `json:"program_version"`
	// Note is what an operator should know, such as that the other kind could not
	// be made.
	Note string `json:"note,omitempty"`

	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`

	Database  Database   `json:"database"`
	Schema    Schema     `json:"schema"`
	Tables    []Table    `json:"tables"`
	Sequences []Sequence `json:"sequences"`
	Figures   []Figure   `json:"figures"`
	WAL       *WAL       `json:"wal,omitempty"` // of a physical backup
	Objects   []Object   `json:"objects"`
}

// Database says where a backup is from.
type Database struct {
	Name             string `json:"name"`
	ServerVersion    int    `json:"server_version"` // such as 150018
	SystemIdentifier string `json:"system_identifier,omitempty"`
	Timeline         int    `json:"timeline,omitempty"`
	// Snapshot is what the tables were read in, as pg_current_snapshot tells.
	Snapshot string `json:"snapshot"`
	Encoding string `json:"encoding"`
	Collate  string `json:"collate"`
	CType    string `json:"ctype"`
	// Roles own or may use something in the database.
	Roles []string `json:"roles"`
}

// Major is the major version of the server.
func (d Database) Major() int { return d.ServerVersion / 10_000 }

// Schema says what the schema was.
type Schema struct {
	Version int64 `json:"version"` // the newest migration; 0 where there are none
	// Fingerprint is a SHA-256 over what the catalog says of the schema.
	Fingerprint string `json:"fingerprint"`
}

// Table says what a table held in the snapshot.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// CheckedRows are those that Checksum is of. In a logical backup that is all of
	// them; in a physical one, those whose transactions had all ended.
	CheckedRows int64 `json:"checked_rows"`
	// Checksum is the sum of a hash of each row's text.
	Checksum string `json:"checksum"`
	// KeptRows are those of CheckedRows that nobody had changed or deleted when a
	// physical backup was finished.
	KeptRows int64 `json:"kept_rows"`
}

// settled says whether the table's checked rows were the same from the beginning
// to the end of the backup, so that they must be exactly those in the restored one.
func (t Table) settled() bool { return t.KeptRows == t.CheckedRows }

// Sequence is how far a sequence had come.
type Sequence struct {
	Name      string `json:"name"`
	LastValue int64  `json:"last_value"`
}

// Figure is something that people know the books by, such as a total.
type Figure struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// WAL says which part of the write-ahead log makes a physical backup consistent.
type WAL struct {
	StartLSN string `json:"start_lsn"`
	EndLSN   string `json:"end_lsn"`
	// OldestXID is the oldest transaction that had not ended in the snapshot.
	OldestXID uint64 `json:"oldest_xid"`
}

// Object is one stored object of a backup.
type Object struct {
	Name string `json:"name"` // below the backup's own
	// Bytes and SHA256 are of what is stored, so that a store can be checked
	// without the key.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Content is what went in: Bytes before encryption and our own compression.
	ContentBytes int64 `json:"content_bytes"`
	Zstd         bool  `json:"zstd"`
	Encrypted    bool  `json:"encrypted"`
}

// Bytes is the size of all objects as they are stored.
func (m *Manifest) Bytes() int64 {
	var sum int64
	for _, o := range m.Objects {
		sum += o.Bytes
	}
	return sum
}

// Encrypted says whether it takes a key to restore the backup.
func (m *Manifest) Encrypted() bool {
	for _, o := range m.Objects {
		if o.Encrypted {
			return true
		}
	}
	return false
}

// object returns the object that has the role of a name: base.tar, for example.
func (m *Manifest) object(role string) (Object, error) {
	for _, o := range m.Objects {
		if role == strings.TrimSuffix(strings.TrimSuffix(o.Name, ".age"), ".zst") {
			return o, nil
		}
	}
	return Object{}, &BrokenError{What: fmt.Sprintf("the manifest names no %s", role)}
}

const (
	idTime = "20060102T150405Z"
	// idPrefix is what the names of this millennium's backups begin with, and none of
	// the many pieces of WAL beside them.
	idPrefix = "2"
)

// newID names a backup by the moment it began, so that names sort by age. The
// random part keeps two that begin in the same second apart.
func newID(kind Kind, at time.Time) string {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // It never fails.
	return at.UTC().Format(idTime) + "-" + string(kind) + "-" + hex.EncodeToString(random)
}

// parseID returns the kind and the moment in a backup's name; ok is false for a
// name that is none.
func parseID(id string) (at time.Time, kind Kind, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 || len(parts[2]) != 8 {
		return at, kind, false
	}
	at, err := time.Parse(idTime, parts[0])
	kind = Kind(parts[1])
	return at, kind, err == nil && (kind == Physical || kind == Logical)
}

// BrokenError is returned for a backup that is not what its manifest says.
type BrokenError struct{ What string }

// Error implements error.
func (e *BrokenError) Error() string { return "the backup is broken: " + e.What }

// ErrNoBackup is returned for an id of which there is no manifest.
var ErrNoBackup = errors.New("there is no such backup")

// writeManifest stores the manifest, which makes the backup one.
func writeManifest(ctx context.Context, s store.Store, m *Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return s.Put(ctx, path.Join(m.ID, manifestName), bytes.NewReader(text), int64(len(text)))
}

// ReadManifest returns the manifest of a backup. It returns ErrNoBackup where
// there is none, and a BrokenError for one that cannot be this backup's.
func ReadManifest(ctx context.Context, s store.Store, id string) (*Manifest, error) {
	text, err := readSmall(ctx, s, path.Join(id, manifestName))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", id, ErrNoBackup)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, &BrokenError{What: "its manifest is not one: " + err.Error()}
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("backup %s has a manifest of format %d, and this program knows %d",
			id, m.Format, manifestFormat)
	}
	if m.ID != id {
		return nil, &BrokenError{What: fmt.Sprintf("at %s is the manifest of %s", id, m.ID)}
	}
	if len(m.Objects) == 0 || len(m.Tables) == 0 {
		return nil, &BrokenError{What: "its manifest names no objects or no tables"}
	}
	for _, o := range m.Objects {
		if o.Name == "" || strings.ContainsAny(o.Name, "/\\") {
			return nil, &BrokenError{What: fmt.Sprintf("its manifest names an object %q", o.Name)}
		}
	}
	return m, nil
}

func readSmall(ctx context.Context, s store.Store, name string) ([]byte, error) {
	r, err := s.Get(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxManifest))
}
