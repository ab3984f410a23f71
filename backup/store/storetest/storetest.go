// Package storetest lends tests an S3-compatible store: for tests only.
package storetest

import (
	"bytes"
	"crypto/rand"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	key    = "key"
	secret = "secret-of-the-tests"
	// Bucket is the one that Fake knows.
	Bucket = "books"
)

// Environment has the credentials of every server here.
func Environment(name string) string {
	return map[string]string{"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}[name]
}

// Fake is a server in this process, for URL. It keeps its objects in memory.
func Fake(t testing.TB) http.Handler {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	return gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
}

// URL serves a handler until the test ends, and names a store in its bucket.
func URL(t testing.TB, h http.Handler, query url.Values) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return address(Bucket, server.URL, query)
}

func address(bucket, endpoint string, query url.Values) string {
	all := url.Values{"endpoint": {endpoint}, "path_style": {"true"}}
	maps.Copy(all, query)
	return "s3://" + bucket + "/nightly?" + all.Encode()
}

// Program is the path of versitygw, a server that people run, or "" where this
// run of the tests has none.
func Program() string { return os.Getenv("LOANSERVE_TEST_VERSITYGW") }

// Client speaks to the server of a URL by other means than the store's.
func Client(t testing.TB, storeURL string) *minio.Client {
	t.Helper()
	u, err := url.Parse(storeURL)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := minio.New(endpoint.Host, &minio.Options{Creds: credentials.NewStaticV4(key, secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Server starts Program on a directory of the test's, and names a store in a new
// bucket of it, which has object lock if it is to be locked.
func Server(t testing.TB, locked bool) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"objects", "versions", "sidecar"} {
		if err := os.Mkdir(filepath.Join(home, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), Program(), "--port", port, "--access", key, "--secret", secret, "--quiet",
		"posix", "--versioning-dir", filepath.Join(home, "versions"), "--sidecar", filepath.Join(home, "sidecar"),
		filepath.Join(home, "objects"))
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // It was killed.
	})
	bucket := "books-" + strings.ToLower(rand.Text())
	u := address(bucket, "http://"+port, nil)
	client := Client(t, u)
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{ObjectLocking: locked})
		if err == nil {
			return u
		}
		if time.Now().After(deadline) {
			t.Fatalf("make a bucket: %v", err)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
