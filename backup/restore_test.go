package backup_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/backup/store/storetest"
	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
)

// With the server gone for good, the store and the key make another one.
func TestRestoreIntoADirectory(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, kind backup.Kind) {
		t.Helper()
		src := startSource(t, kind)
		s, _ := folder(t)
		identity := key(t)
		m := create(t, src, s, kind, identity.Recipient())
		name := src.name(t)
		src.pool.Close()
		if kind == backup.Physical {
			require.NoError(t, src.cluster.Stop())
		} else {
			exec(t, src.cluster.URL("postgres"), `DROP DATABASE `+name)
		}

		home, remove, err := pgcluster.Scratch(t.Context(), pgcluster.Temp())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, remove()) })
		dir := filepath.Join(home, "restored")
		o := verifyOptions(s, identity).RestoreOptions
		require.NoError(t, backup.RestoreDir(t.Context(), o, m, dir))
		require.ErrorIs(t, backup.RestoreDir(t.Context(), o, m, dir), backup.ErrNotEmpty)

		restored, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, restored.Stop()) })
		url := restored.URL(name)
		require.Equal(t, 3, one[int](t, url, `SELECT count(*) FROM loans`))
		require.Equal(t, "on", one[string](t, url, `SHOW data_checksums`))
		require.True(t, one[bool](t, url, `SELECT has_table_privilege($1, 'loans', 'INSERT')`, testdb.RoleApp))
	})
}

func TestRestoreIntoADatabase(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Logical)
	s, dir := folder(t)
	m := create(t, src, s, backup.Logical)
	other := startSource(t, backup.Physical)
	exec(t, other.cluster.URL("postgres"), `CREATE DATABASE empty TEMPLATE template0`)
	o := verifyOptions(s).RestoreOptions

	require.ErrorIs(t, backup.RestoreDatabase(t.Context(), o, m, other.url), backup.ErrNotEmpty)
	require.Equal(t, 3, one[int](t, other.url, `SELECT count(*) FROM loans`))

	target := other.cluster.URL("empty")
	broken := t.TempDir()
	require.NoError(t, os.CopyFS(broken, os.DirFS(dir)))
	path := filepath.Join(broken, m.ID, m.Objects[0].Name)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[len(content)-1] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
	b, err := store.Open(t.Context(), "file://"+broken, os.Getenv)
	require.NoError(t, err)
	err = backup.RestoreDatabase(t.Context(), backup.RestoreOptions{Store: b}, m, target)
	require.ErrorAs(t, err, new(*backup.BrokenError))
	require.Zero(t, one[int](t, target, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`))

	require.NoError(t, backup.RestoreDatabase(t.Context(), o, m, target))
	require.Equal(t, one[string](t, src.url, books), one[string](t, target, books))

	physical := create(t, other, s, backup.Physical)
	require.Error(t, backup.RestoreDatabase(t.Context(), o, physical, target))
}

// books is every row of the ledger.
const books = `SELECT string_agg(t::text, ';' ORDER BY loan_id, seq) FROM transactions t`

// A directory that holds something is not touched, and one into which a broken
// backup was to go is left empty.
func TestRestoreLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Physical)
	s, store := folder(t)
	m := create(t, src, s, backup.Physical)
	o := verifyOptions(s).RestoreOptions
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), []byte("kept"), 0o600))
	require.ErrorIs(t, backup.RestoreDir(t.Context(), o, m, dir), backup.ErrNotEmpty)
	require.FileExists(t, filepath.Join(dir, "mine"))

	for _, o := range m.Objects {
		path := filepath.Join(store, m.ID, o.Name)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		content[len(content)/2] ^= 1
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	empty := t.TempDir()
	require.ErrorAs(t, backup.RestoreDir(t.Context(), o, m, empty), new(*backup.BrokenError))
	entries, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A login that may not copy the server can be backed up logically, with no rights
// but to read.
func TestReplicationRefused(t *testing.T) {
	t.Parallel()
	src := startSource(t, backup.Logical)
	exec(t, src.url, `CREATE ROLE reader LOGIN; GRANT loanserve_backup TO reader`)
	s, _ := folder(t)
	o := options(src, s, backup.Physical)
	o.DatabaseURL = as(t, src.url, "reader")
	_, err := backup.Create(t.Context(), o)
	require.ErrorIs(t, err, backup.ErrNoReplication)
	require.Equal(t, backup.StageConnect, backup.StageOf(err))
	objects, err := s.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, objects)

	o.Kind = backup.Logical
	m, err := backup.Create(t.Context(), o)
	require.NoError(t, err)
	require.True(t, verify(t, s, m).Verified)
}

// In a bucket it is the same.
func TestBucket(t *testing.T) {
	t.Parallel()
	addresses := map[string]string{"fake": storetest.URL(t, storetest.Fake(t), nil)}
	if storetest.Program() != "" {
		addresses["server"] = storetest.Server(t, true) + "&retain_days=1"
	}
	src := startSource(t, backup.Physical)
	identity := key(t)
	for name, address := range addresses {
		s, err := store.Open(t.Context(), address, storetest.Environment)
		require.NoError(t, err, name)
		for _, kind := range backup.Kinds() {
			m := create(t, src, s, kind, identity.Recipient())
			require.True(t, verify(t, s, m, identity).Verified, name)
		}
		entries, err := backup.List(t.Context(), s)
		require.NoError(t, err, name)
		require.Len(t, entries, 2, name)
	}
}
