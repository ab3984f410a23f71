package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"loanserve/backup/store"
)

// ErrKey is returned for an encrypted backup that none of the identities opens.
var ErrKey = errors.New("the backup is encrypted, and none of the identities given can open it")

// maxWindow bounds the memory that unpacking may take. Our own packing and the
// server's ask for 8 MB at most.
const maxWindow = 32 << 20

// fetched is an object as it comes: checked, decrypted and unpacked. What it has
// yielded is the object's content only when it has yielded io.EOF.
type fetched struct {
	object  Object
	content io.Reader
	raw     *rawObject
	closers []func()
}

// fetch begins to read an object of a backup.
func fetch(ctx context.Context, s store.Store, id string, o Object, keys []age.Identity) (*fetched, error) {
	name := path.Join(id, o.Name)
	stat, err := s.Stat(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &BrokenError{What: o.Name + " is missing"}
	}
	if err != nil {
		return nil, stageError(StageFetch, err)
	}
	if stat.Bytes != o.Bytes {
		return nil, &BrokenError{What: fmt.Sprintf("%s has %d bytes and should have %d", o.Name, stat.Bytes, o.Bytes)}
	}
	r, err := s.Get(ctx, name, 0)
	if err != nil {
		return nil, stageError(StageFetch, err)
	}
	f := &fetched{object: o, raw: &rawObject{r: r, sum: sha256.New()}, closers: []func(){func() { r.Close() }}}
	f.content = f.raw
	if err := f.unwrap(keys); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unwrap puts the layers around what is stored.
func (f *fetched) unwrap(keys []age.Identity) error {
	if f.object.Encrypted {
		if len(keys) == 0 {
			return stageError(StageFetch, ErrKey)
		}
		decrypted, err := age.Decrypt(f.content, keys...)
		if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
			return stageError(StageFetch, ErrKey)
		}
		if err != nil {
			return f.blame(err)
		}
		f.content = decrypted
	}
	if f.object.Zstd {
		unpacked, err := zstd.NewReader(f.content, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return f.blame(err)
		}
		f.closers = append(f.closers, unpacked.Close)
		f.content = unpacked
	}
	return nil
}

// rawObject hashes what the store yields, and remembers the store's own failure.
type rawObject struct {
	r      io.Reader
	sum    hash.Hash
	failed error
}

// Read implements io.Reader.
func (r *rawObject) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.sum.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return n, err
}

// blame tells a store that failed from an object that is broken.
func (f *fetched) blame(err error) error {
	if f.raw.failed != nil {
		return stageError(StageFetch, fmt.Errorf("read %s: %w", f.object.Name, f.raw.failed))
	}
	return &BrokenError{What: fmt.Sprintf("%s cannot be unpacked: %v", f.object.Name, err)}
}

// Read implements io.Reader. At the end it compares the object with the manifest.
func (f *fetched) Read(p []byte) (int, error) {
	n, err := f.content.Read(p)
	if err == nil {
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		return n, f.blame(err)
	}
	if _, err := io.Copy(io.Discard, f.raw); err != nil { // What may follow the last layer's end.
		return n, f.blame(err)
	}
	if sum := hex.EncodeToString(f.raw.sum.Sum(nil)); sum != f.object.SHA256 {
		return n, &BrokenError{What: fmt.Sprintf("%s has SHA-256 %s and should have %s", f.object.Name, sum, f.object.SHA256)}
	}
	return n, io.EOF
}

// Close ends reading, at any point.
func (f *fetched) Close() {
	for _, end := range slices.Backward(f.closers) {
		end()
	}
}
