package backup_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/testdb"
)

// damaged is a copy of a store that a case damages.
type damaged struct {
	dir   string
	m     *backup.Manifest
	other *backup.Manifest // of the same kind
}

func (d *damaged) path(name string) string { return filepath.Join(d.dir, d.m.ID, name) }

// object is the path of the largest object.
func (d *damaged) object() string {
	largest := d.m.Objects[0]
	for _, o := range d.m.Objects {
		if o.Bytes > largest.Bytes {
			largest = o
		}
	}
	return d.path(largest.Name)
}

func (d *damaged) read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// edit changes the manifest.
func (d *damaged) edit(t *testing.T, id string, change func(m *backup.Manifest)) {
	t.Helper()
	m := &backup.Manifest{}
	require.NoError(t, json.Unmarshal(d.read(t, filepath.Join(d.dir, id, "manifest.json")), m))
	change(m)
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.path("manifest.json"), text, 0o600))
}

func table(m *backup.Manifest, name string) *backup.Table {
	for i := range m.Tables {
		if m.Tables[i].Name == name {
			return &m.Tables[i]
		}
	}
	return nil
}

// damages are what can happen to a backup, with words of the finding.
var damages = map[string]struct {
	damage func(t *testing.T, d *damaged)
	words  string
}{
	"flipped byte in the middle": {func(t *testing.T, d *damaged) {
		t.Helper()
		content := d.read(t, d.object())
		content[len(content)/2] ^= 1
		require.NoError(t, os.WriteFile(d.object(), content, 0o600))
	}, ""},
	"flipped last byte": {func(t *testing.T, d *damaged) {
		t.Helper()
		content := d.read(t, d.object())
		content[len(content)-1] ^= 1
		require.NoError(t, os.WriteFile(d.object(), content, 0o600))
	}, ""},
	"flipped first byte": {func(t *testing.T, d *damaged) {
		t.Helper()
		content := d.read(t, d.object())
		content[0] ^= 1
		require.NoError(t, os.WriteFile(d.object(), content, 0o600))
	}, ""},
	"truncated object": {func(t *testing.T, d *damaged) {
		t.Helper()
		require.NoError(t, os.Truncate(d.object(), int64(len(d.read(t, d.object())))/2))
	}, "bytes and should have"},
	"missing object": {func(t *testing.T, d *damaged) {
		t.Helper()
		require.NoError(t, os.Remove(d.object()))
	}, "is missing"},
	"object of another backup": {func(t *testing.T, d *damaged) {
		t.Helper()
		name := filepath.Base(d.object())
		content := d.read(t, filepath.Join(d.dir, d.other.ID, name))
		require.NoError(t, os.WriteFile(d.object(), content, 0o600))
	}, ""},
	"manifest of another backup": {func(t *testing.T, d *damaged) {
		t.Helper()
		content := d.read(t, filepath.Join(d.dir, d.other.ID, "manifest.json"))
		require.NoError(t, os.WriteFile(d.path("manifest.json"), content, 0o600))
	}, "is the manifest of"},
	"manifest of another backup with this one's name": {func(t *testing.T, d *damaged) {
		t.Helper()
		d.edit(t, d.other.ID, func(m *backup.Manifest) { m.ID = d.m.ID })
	}, ""},
	"manifest that is none": {func(t *testing.T, d *damaged) {
		t.Helper()
		require.NoError(t, os.WriteFile(d.path("manifest.json"), []byte("{"), 0o600))
	}, "its manifest is not one"},
}

// usualDamages are those that a physical backup, which is larger, gets outside the
// long tests: each way of losing bytes once. A logical one always gets them all.
var usualDamages = []string{"flipped byte in the middle", "truncated object", "missing object"}

// Whatever has happened to a backup, verification says so, in words, and the
// backup next to it is not touched by it.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, kind backup.Kind) {
		t.Helper()
		src := startSource(t, kind)
		s, dir := folder(t)
		identity := key(t)
		m := create(t, src, s, kind, identity.Recipient())
		src.board(t)
		other := create(t, src, s, kind, identity.Recipient())
		plain := create(t, src, s, kind)
		for name, c := range damages {
			if kind == backup.Physical && !testdb.Long() && !slices.Contains(usualDamages, name) {
				continue
			}
			for _, target := range []*backup.Manifest{m, plain} {
				if target == plain && !strings.HasPrefix(name, "flipped") {
					continue // To the others it is the same whether it is encrypted.
				}
				d := &damaged{dir: t.TempDir(), m: target, other: other}
				require.NoError(t, os.CopyFS(d.dir, os.DirFS(dir)))
				c.damage(t, d)
				copied, err := store.Open(t.Context(), "file://"+d.dir, os.Getenv)
				require.NoError(t, err)
				v := verify(t, copied, target, identity)
				require.False(t, v.Verified, name)
				require.NotEmpty(t, v.Findings, name)
				require.Contains(t, strings.Join(v.Findings, "\n"), c.words, name)

				entry, err := backup.Find(t.Context(), copied, target.ID, "")
				require.NoError(t, err, name)
				require.False(t, entry.Verified(), name)
			}
		}
		require.True(t, verify(t, s, other, identity).Verified)
	})
}

// A restored database that is not what the manifest says is told apart in each of
// the things that are compared.
func TestVerifyComparesEverything(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, kind backup.Kind) {
		t.Helper()
		src := startSource(t, kind)
		s, dir := folder(t)
		m := create(t, src, s, kind)
		d := &damaged{dir: dir, m: m}
		d.edit(t, m.ID, func(m *backup.Manifest) {
			loans := table(m, "public.loans") // A row more than there is.
			loans.Rows, loans.CheckedRows, loans.KeptRows = loans.Rows+1, loans.CheckedRows+1, loans.KeptRows+1
			table(m, "public.transactions").Checksum = "1" // As another cent would make it.
			table(m, "public.documents").Name = "public.lost"
			payments := table(m, "public.payments") // Less than stayed during the backup.
			payments.CheckedRows, payments.KeptRows = 9, 8
			m.Schema.Fingerprint = strings.Repeat("0", 64)
			m.Schema.Version++
			m.Sequences[0].LastValue += 1000
			m.Figures[0].Value = "17"
		})
		findings := strings.Join(verify(t, s, m).Findings, "\n")
		for _, words := range []string{
			"table public.loans has 3 rows and should have 4", "table public.transactions has other rows",
			"table public.lost is missing", "table public.documents should not be there",
			"table public.payments has 3 rows and should have 8 to 9", "the schema has the fingerprint",
			"the schema is of version", "sequence ",
		} {
			require.Contains(t, findings, words)
		}
		if kind == backup.Logical {
			require.Contains(t, findings, "transactions is 3 and should be 17")
		}
	})
}

// Seals that do not hold in the database do not hold in the backup either.
func TestVerifyFindsWhatWasBrokenBefore(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Logical)
	exec(t, src.url, `
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT evtname FROM pg_event_trigger LOOP
    EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name);
  END LOOP;
END
$$`)
	exec(t, src.url, `ALTER TABLE transactions DISABLE TRIGGER ALL; UPDATE transactions SET caused_by = 'somebody else'
WHERE loan_id = (SELECT min(id) FROM loans); ALTER TABLE transactions ENABLE TRIGGER ALL`)
	s, _ := folder(t)
	v := verify(t, s, create(t, src, s, backup.Logical))
	require.False(t, v.Verified)
	require.Equal(t, []string{"broken seals: 1 in the restored database"}, v.Findings)
}

// Without the key nothing is found out, which is no verdict on the backup.
func TestVerifyNeedsTheKey(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Logical)
	s, _ := folder(t)
	m := create(t, src, s, backup.Logical, key(t).Recipient())
	for _, identities := range [][]age.Identity{nil, {key(t)}} {
		_, err := backup.Verify(t.Context(), verifyOptions(s, identities...), m.ID)
		require.ErrorIs(t, err, backup.ErrKey)
		require.Equal(t, backup.StageFetch, backup.StageOf(err))
	}
	entry, err := backup.Find(t.Context(), s, m.ID, "")
	require.NoError(t, err)
	require.Nil(t, entry.Verification)

	_, err = backup.Verify(t.Context(), verifyOptions(s), "20260101T000000Z-logical-00000000")
	require.ErrorIs(t, err, backup.ErrNoBackup)
}

// What a killed process left is no backup, and goes when it is old.
func TestLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Logical)
	s, dir := folder(t)
	const killed, running = "20260101T000000Z-logical-00000000", "20260102T000000Z-logical-00000000"
	foreign := filepath.Join(dir, "notes", "read.me")
	old := time.Now().Add(-backup.LeftoverGrace - time.Hour)
	for _, path := range []string{
		filepath.Join(dir, killed, "database.dump.zst"), filepath.Join(dir, running, "database.dump.zst"), foreign,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
		if !strings.Contains(path, running) {
			require.NoError(t, os.Chtimes(path, old, old))
		}
	}
	entries, err := backup.List(t.Context(), s)
	require.NoError(t, err)
	require.Empty(t, entries)
	create(t, src, s, backup.Logical)
	require.NoDirExists(t, filepath.Join(dir, killed))
	require.DirExists(t, filepath.Join(dir, running))
	require.FileExists(t, foreign)
}
