package backup_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/database"
	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
	"loanserve/migrations"
)

// source is a database of the program to back up.
type source struct {
	cluster *pgcluster.Cluster
	url     string
	pool    *pgxpool.Pool
}

// startSource makes one: for physical backups, which are of all of a server, on a
// server of the test's own, and for logical ones on one that the tests share.
func startSource(t *testing.T, kind backup.Kind) *source {
	t.Helper()
	s := &source{}
	if kind == backup.Logical {
		var err error
		s.cluster, err = shared()
		require.NoError(t, err)
		name := "loanserve_" + strings.ToLower(rand.Text())
		s.url = s.cluster.URL(name)
		exec(t, s.cluster.URL("postgres"), `CREATE DATABASE `+name+` TEMPLATE migrated STRATEGY FILE_COPY`)
	} else {
		s.cluster = testdb.OwnServer(t)
		s.url = s.cluster.URL(testdb.OwnDatabase)
	}
	config, err := pgxpool.ParseConfig(s.url)
	require.NoError(t, err)
	config.AfterConnect = database.RegisterTypes
	s.pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.pool.Close)
	for range 3 {
		s.board(t)
	}
	return s
}

// shared is a server that ends with the process, with one migrated database.
var shared = sync.OnceValues(func() (*pgcluster.Cluster, error) {
	ctx, name := context.Background(), "migrated"
	binaries, err := pgcluster.Provision(ctx, nil)
	if err != nil {
		return nil, err
	}
	cluster, err := pgcluster.Start(ctx, pgcluster.Options{Binaries: binaries})
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, cluster.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE template0 ENCODING 'UTF8'`); err != nil {
		return nil, err
	}
	_, err = migrations.Up(ctx, cluster.URL(name), slog.New(slog.DiscardHandler))
	return cluster, err
})

func (s *source) name(t *testing.T) string {
	t.Helper()
	return one[string](t, s.url, `SELECT current_database()`)
}

// board adds a loan with what hangs on it.
func (s *source) board(t *testing.T) {
	t.Helper()
	loan := testdb.Loan(t, s.pool)
	testdb.Payment(t, s.pool, loan)
	testdb.Document(t, s.pool, loan)
}

func exec(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func one[T any](t *testing.T, url, sql string, args ...any) (v T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

// folder is a store in a directory of the test's.
func folder(t *testing.T) (s store.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := store.Open(t.Context(), "file://"+dir, os.Getenv)
	require.NoError(t, err)
	return s, dir
}

// as is a connection string for another login.
func as(t *testing.T, address, login string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.User(login)
	return u.String()
}

func key(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return identity
}

// ask is what the program asks of the books, in short.
func ask(ctx context.Context, tx pgx.Tx) (text string, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*)::text FROM transactions`).Scan(&text)
	return text, err
}

func count(ctx context.Context, tx pgx.Tx) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM broken_seals`).Scan(&n)
	return n, err
}

var (
	questions = []backup.Question{{Name: "transactions", Ask: ask}}
	checks    = []backup.Check{{Name: "broken seals", Count: count}}
)

func create(t *testing.T, src *source, s store.Store, kind backup.Kind, recipients ...age.Recipient) *backup.Manifest {
	t.Helper()
	m, err := backup.Create(t.Context(), options(src, s, kind, recipients...))
	require.NoError(t, err)
	return m
}

func options(src *source, s store.Store, kind backup.Kind, recipients ...age.Recipient) backup.Options {
	return backup.Options{
		Kind: kind, DatabaseURL: src.url, Role: testdb.RoleBackup, Store: s, Recipients: recipients,
		Program: "test", Figures: questions,
	}
}

func verifyOptions(s store.Store, identities ...age.Identity) backup.VerifyOptions {
	return backup.VerifyOptions{
		RestoreOptions: backup.RestoreOptions{Store: s, Identities: identities, Scratch: pgcluster.Temp()},
		Program:        "test", Figures: questions, Checks: checks,
	}
}

func verify(t *testing.T, s store.Store, m *backup.Manifest, identities ...age.Identity) *backup.Verification {
	t.Helper()
	v, err := backup.Verify(t.Context(), verifyOptions(s, identities...), m.ID)
	require.NoError(t, err)
	return v
}

// forEachKind runs a test with a server for each kind of backup.
func forEachKind(t *testing.T, test func(t *testing.T, kind backup.Kind)) {
	t.Helper()
	for _, kind := range backup.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// A backup is made, read back from the store alone, and found to hold what the
// database held, by row and by name.
func TestBackupAndVerify(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, kind backup.Kind) {
		t.Helper()
		src := startSource(t, kind)
		s, dir := folder(t)
		first, second := key(t), key(t)
		m := create(t, src, s, kind, first.Recipient(), second.Recipient())

		require.Equal(t, kind, m.Kind)
		require.True(t, m.Encrypted())
		require.Equal(t, src.name(t), m.Database.Name)
		require.NotEmpty(t, m.Database.SystemIdentifier)
		require.Contains(t, m.Database.Roles, testdb.RoleApp)
		require.NotZero(t, m.Schema.Version)
		loans := m.Tables[0]
		for _, table := range m.Tables {
			if table.Name == "public.loans" {
				loans = table
			}
		}
		require.Equal(t, int64(3), loans.Rows)
		require.Equal(t, int64(3), loans.CheckedRows)
		require.Equal(t, []backup.Figure{{Name: "transactions", Value: "3"}}, m.Figures)
		noPlainText(t, dir)

		for _, identity := range []age.Identity{first, second} {
			v := verify(t, s, m, identity)
			require.Empty(t, v.Findings)
			require.True(t, v.Verified)
			require.NotContains(t, strings.Join(v.Compared, "\n"), "not compared")
		}
		entries, err := backup.List(t.Context(), s)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.True(t, entries[0].Verified())
		require.Equal(t, m, entries[0].Manifest)
	})
}

// noPlainText sees that nothing of a loan can be read in the store.
func noPlainText(t *testing.T, dir string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".age") {
			files++
			require.True(t, strings.HasPrefix(string(text), "age-encryption.org/v1"), path)
		}
		return err
	}))
	require.NotZero(t, files)
}

// Rows that come, change and go while a backup is made do not spoil it, nor do
// sequences that go on. Of a copy of the server, tables that only grew are compared
// row by row.
func TestVerifyOfADatabaseAtWork(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, kind backup.Kind) {
		t.Helper()
		src := startSource(t, kind)
		s, _ := folder(t)
		m := createBesideWrites(t, src, s, kind)
		for _, table := range m.Tables {
			switch {
			case table.Name == "public.counters" && kind == backup.Physical:
				require.Less(t, table.KeptRows, table.CheckedRows, "the test must change rows during the backup")
			case table.Name == "public.grown":
				require.Equal(t, table.KeptRows, table.CheckedRows)
				require.GreaterOrEqual(t, table.CheckedRows, int64(100))
			}
		}
		v := verify(t, s, m)
		require.Empty(t, v.Findings)
		if kind == backup.Physical {
			require.Contains(t, strings.Join(v.Compared, "\n"), "[public.counters]")
		}
	})
}

// createBesideWrites makes a backup while rows are added and changed.
func createBesideWrites(t *testing.T, src *source, s store.Store, kind backup.Kind) *backup.Manifest {
	t.Helper()
	exec(t, src.url, `CREATE TABLE counters (id int PRIMARY KEY, n int);
INSERT INTO counters SELECT i, 0 FROM generate_series(1, 50) i;
CREATE TABLE grown (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text);
INSERT INTO grown (text) SELECT 'old' FROM generate_series(1, 100);
GRANT SELECT ON counters, grown, grown_id_seq TO loanserve_backup`)
	stop := make(chan struct{})
	ended := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			_, err := src.pool.Exec(context.WithoutCancel(t.Context()), `WITH a AS (INSERT INTO grown (text) VALUES ('new'))
UPDATE counters SET n = n + 1 WHERE id = 1 + $1 % 50`, i)
			if err != nil {
				ended <- err
				return
			}
			if i == 10 {
				close(begun)
			}
		}
	}()
	<-begun
	m := create(t, src, s, kind)
	close(stop)
	require.NoError(t, <-ended)
	return m
}

// Create works over what is lost in the middle of it: nothing is left that looks
// like a backup, the older one stays, and the next attempt succeeds.
func TestCreateFails(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, kind backup.Kind) {
		t.Helper()
		src := startSource(t, kind)
		s, _ := folder(t)
		old := create(t, src, s, kind)
		for _, after := range []int64{0, 1, 100_000} {
			_, err := backup.Create(t.Context(), options(src, &full{Store: s, after: after}, kind))
			require.ErrorIs(t, err, errFull)
			require.Equal(t, backup.StageStore, backup.StageOf(err), "%v", err)
			objects, err := s.List(t.Context(), "")
			require.NoError(t, err)
			for _, o := range objects {
				require.True(t, strings.HasPrefix(o.Name, old.ID), o.Name)
			}
		}
		o := options(src, s, kind)
		o.DatabaseURL = src.cluster.URL("missing")
		_, err := backup.Create(t.Context(), o)
		require.Equal(t, backup.StageConnect, backup.StageOf(err), "%v", err)

		_, err = backup.Create(t.Context(), options(src, &full{Store: s, after: 0, only: "manifest.json"}, kind))
		require.Equal(t, backup.StageCommit, backup.StageOf(err), "%v", err)
		entries, err := backup.List(t.Context(), s)
		require.NoError(t, err)
		require.Len(t, entries, 1)

		create(t, src, s, kind)
		require.True(t, verify(t, s, old).Verified)
	})
}

// full is a store that has no room after some bytes of an object.
type full struct {
	store.Store

	after int64
	only  string // the name that it has no room for; "" is every one
}

type fullError struct{}

func (fullError) Error() string { return "no space left on device" }

var errFull = fullError{}

func (f *full) Put(ctx context.Context, name string, r io.Reader, bytes int64) error {
	if f.only != "" && filepath.Base(name) != f.only {
		return f.Store.Put(ctx, name, r, bytes)
	}
	return f.Store.Put(ctx, name, io.MultiReader(io.LimitReader(r, f.after), failingReader{}), bytes)
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errFull }
