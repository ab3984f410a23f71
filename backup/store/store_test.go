package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/backup/store"
	"loanserve/backup/store/storetest"
)

// stores are the kinds of stores that every test is run with: a directory, a
// bucket of a server in this process, and, with make test/store, one of
// a server that people run.
func stores(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Helper()
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, "file://"+t.TempDir()))
	})
	t.Run("bucket", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, storetest.URL(t, storetest.Fake(t), nil)))
	})
	if storetest.Program() != "" {
		t.Run("server", func(t *testing.T) {
			t.Parallel()
			test(t, open(t, storetest.Server(t, false)))
		})
	}
}

func open(t *testing.T, address string) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address, storetest.Environment)
	require.NoError(t, err)
	return s
}

// noise is n bytes that do not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(b)
	return b
}

func put(t *testing.T, s store.Store, name string, content []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), name, io.MultiReader(bytes.NewReader(content)), 0))
}

func get(t *testing.T, s store.Store, name string, offset int64) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), name, offset)
	require.NoError(t, err)
	defer r.Close()
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	return content
}

func names(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	list, err := s.List(t.Context(), prefix)
	require.NoError(t, err)
	out := []string{}
	for _, o := range list {
		out = append(out, o.Name)
	}
	return out
}

func TestStore(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s store.Store) {
		t.Helper()
		large := noise(20 << 20) // Two parts.
		put(t, s, "b/large", large)
		require.NoError(t, s.Put(t.Context(), "a/first", strings.NewReader("f"), 1))
		require.NoError(t, s.Put(t.Context(), "b/small", strings.NewReader("first"), 5))
		require.NoError(t, s.Put(t.Context(), "b/small", strings.NewReader("second"), 6))

		require.Equal(t, []string{"a/first", "b/large", "b/small"}, names(t, s, ""))
		require.Equal(t, []string{"b/large", "b/small"}, names(t, s, "b/"))
		require.True(t, bytes.Equal(large, get(t, s, "b/large", 0)))
		require.True(t, bytes.Equal(large[17<<20:], get(t, s, "b/large", 17<<20)))
		require.Equal(t, "second", string(get(t, s, "b/small", 0)))

		object, err := s.Stat(t.Context(), "b/large")
		require.NoError(t, err)
		require.Equal(t, int64(len(large)), object.Bytes)
		require.WithinDuration(t, time.Now(), object.StoredAt, time.Minute)

		require.NoError(t, s.Delete(t.Context(), "b/small"))
		require.NoError(t, s.Delete(t.Context(), "b/small"))
		require.NoError(t, s.Delete(t.Context(), "a/first"))
		require.Equal(t, []string{"b/large"}, names(t, s, ""))
		_, err = s.Stat(t.Context(), "b/small")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Get(t.Context(), "b/small", 0)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

var errSource = errors.New("the source broke")

// failing yields some bytes and then an error.
func failing(content []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(content), readerFunc(func([]byte) (int, error) { return 0, errSource }))
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A source that breaks before or after the first part leaves nothing, and what
// was there before stays.
func TestPutIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s store.Store) {
		t.Helper()
		put(t, s, "kept", []byte("old"))
		for _, size := range []int{0, 100, 17 << 20} {
			require.ErrorIs(t, s.Put(t.Context(), "new", failing(noise(size)), 0), errSource)
			require.ErrorIs(t, s.Put(t.Context(), "kept", failing(noise(size)), 0), errSource)
		}
		require.Equal(t, []string{"kept"}, names(t, s, ""))
		require.Equal(t, "old", string(get(t, s, "kept", 0)))
		swept, err := s.Sweep(t.Context(), time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Zero(t, swept, "an error removes what it has left by itself")
	})
}

// A context that ends in the middle of an object leaves nothing either.
func TestPutEndsWithItsContext(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s store.Store) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		content := bytes.NewReader(noise(40 << 20))
		read := 0
		err := s.Put(ctx, "new", readerFunc(func(p []byte) (int, error) {
			n, err := content.Read(p)
			if read += n; read > 18<<20 {
				cancel()
			}
			return n, err
		}), 0)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, names(t, s, ""))
	})
}

func TestNamesStayInside(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s store.Store) {
		t.Helper()
		for _, name := range []string{"", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", `a\b`} {
			require.Error(t, s.Put(t.Context(), name, strings.NewReader(""), 0), name)
			_, err := s.Get(t.Context(), name, 0)
			require.Error(t, err, name)
			_, err = s.Stat(t.Context(), name)
			require.Error(t, err, name)
			require.Error(t, s.Delete(t.Context(), name), name)
		}
	})
}

// What a killed process left is not an object, and goes when it is old enough.
func TestSweepOfADirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := open(t, "file://"+root)
	put(t, s, "a/whole", []byte("whole"))
	left := filepath.Join(root, "a", ".part-123")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	require.Equal(t, []string{"a/whole"}, names(t, s, ""))

	swept, err := s.Sweep(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, swept)
	require.FileExists(t, left)
	swept, err = s.Sweep(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, swept)
	require.NoFileExists(t, left)
	require.Equal(t, []string{"a/whole"}, names(t, s, ""))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "backups", "/var/backups", "file:backups", "file://host/var/backups", "file:///a?b=c", "ftp://host/x",
		"s3:///prefix", "s3://key:secret@bucket/", "s3://bucket?endpoint=example.org", "s3://bucket?endpoint=ftp://h",
		"s3://bucket?path_style=perhaps", "s3://bucket?retain_days=0", "s3://bucket?lock=yes",
	} {
		require.Error(t, store.Check(address), address)
		_, err := store.Open(t.Context(), address, storetest.Environment)
		require.Error(t, err, address)
	}
	require.NoError(t, store.Check("s3://bucket/x?endpoint=https://example.org&region=x&path_style=true&retain_days=35"))
}
