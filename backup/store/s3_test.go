package store_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"loanserve/backup/store"
	"loanserve/backup/store/storetest"
)

// A store that answers 500 to one part, or hangs up in the middle of it, is
// asked again, and the object is whole.
func TestStoreThatFailsForAMoment(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w http.ResponseWriter, r *http.Request){
		"answers 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"hangs up": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1024))
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real := storetest.Fake(t)
			var failures atomic.Int32
			s := open(t, storetest.URL(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("partNumber") == "2" && failures.Add(1) == 1 {
					fail(w, r)
					return
				}
				real.ServeHTTP(w, r)
			}), nil))
			content := noise(20 << 20)
			put(t, s, "object", content)
			require.Equal(t, int32(2), failures.Load())
			got := get(t, s, "object", 0)
			require.Len(t, got, len(content))
			require.True(t, bytes.Equal(content, got))
		})
	}
}

// One that fails for good is an error, and nothing is listed.
func TestStoreThatFailsForGood(t *testing.T) {
	t.Parallel()
	real := storetest.Fake(t)
	s := open(t, storetest.URL(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("partNumber") == "2" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		real.ServeHTTP(w, r)
	}), nil))
	require.Error(t, s.Put(t.Context(), "object", failing(noise(20<<20)), 0))
	require.Empty(t, names(t, s, ""))
	swept, err := s.Sweep(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, swept)
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	handler := storetest.Fake(t)
	address := storetest.URL(t, handler, nil)
	_, err := store.Open(t.Context(), strings.Replace(address, "books", "others", 1), storetest.Environment)
	require.ErrorContains(t, err, "bucket others does not exist")

	_, err = store.Open(t.Context(), storetest.URL(t, handler, url.Values{"retain_days": {"7"}}), storetest.Environment)
	require.ErrorContains(t, err, "no object lock")

	refusing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	_, err = store.Open(t.Context(), storetest.URL(t, refusing, nil), storetest.Environment)
	require.ErrorContains(t, err, "look for bucket books")
}

// An object in a bucket with object lock outlives its deletion: the version that
// was stored cannot be removed before its time.
func TestObjectLock(t *testing.T) {
	t.Parallel()
	if storetest.Program() == "" {
		t.Skip("needs a server with object lock: make test/store")
	}
	address := storetest.Server(t, true) + "&retain_days=2"
	s := open(t, address)
	content := noise(20 << 20)
	put(t, s, "object", content)
	require.NoError(t, s.Put(t.Context(), "manifest", strings.NewReader("{}"), 2))
	require.NoError(t, s.Delete(t.Context(), "object"))
	require.Equal(t, []string{"manifest"}, names(t, s, ""))

	u, err := url.Parse(address)
	require.NoError(t, err)
	client := storetest.Client(t, address)
	kept := 0
	every := minio.ListObjectsOptions{Recursive: true, WithVersions: true}
	for version := range client.ListObjects(t.Context(), u.Host, every) {
		require.NoError(t, version.Err)
		if version.IsDeleteMarker {
			continue
		}
		kept++
		require.Error(t, client.RemoveObject(t.Context(), u.Host, version.Key,
			minio.RemoveObjectOptions{VersionID: version.VersionID}), version.Key)
	}
	require.Equal(t, 2, kept)
}
