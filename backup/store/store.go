// Package store keeps the objects of backups: in a directory, or in a bucket of
// any S3-compatible service.
//
// Inside: one interface, its two implementations, and the URL that names one of
// them. Not inside: what the objects mean.
//
// The idea to hold: an object is there whole or not at all. Whatever ends a Put
// early (an error, a killed process, a full disk, a store that hangs up), nothing
// is ever listed under the object's name that is not all of it.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"
)

// ErrNotFound is returned for an object that is not there.
var ErrNotFound = errors.New("no such object")

// Object is what is known of an object without reading it.
type Object struct {
	Name  string // with slashes, relative to the store's URL
	Bytes int64
	// StoredAt is when it became visible, by the store's own clock.
	StoredAt time.Time
}

// Store is a place for objects. Its methods may be called at the same time.
type Store interface {
	// Put stores all that r yields under a name, and takes the place of what was
	// there. When r or the store fails, or ctx ends, nothing is stored. bytes is
	// how much is to come, which need not be exact; 0 says that nobody knows.
	Put(ctx context.Context, name string, r io.Reader, bytes int64) error
	// Get reads an object from an offset on; it returns ErrNotFound where there
	// is none. The caller closes it.
	Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
	// Stat returns ErrNotFound for an object that is not there.
	Stat(ctx context.Context, name string) (Object, error)
	// List returns the objects whose names begin so, in order of their names.
	List(ctx context.Context, prefix string) ([]Object, error)
	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
	// Sweep removes what interrupted Puts left out of sight before the moment,
	// and returns how many there were.
	Sweep(ctx context.Context, before time.Time) (int, error)
	// URL names the store, without anything secret.
	URL() string
}

// Open returns the store that a URL names, having looked whether it is there:
//
//	file:///var/backups/loanserve
//	s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-central-1
//
// S3Options describes what may stand after the question mark. getenv reads the
// environment, which holds the credentials.
func Open(ctx context.Context, address string, getenv func(name string) string) (Store, error) {
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		return openDir(u.Path)
	}
	return openS3(ctx, u, getenv)
}

// Check returns an error for a URL that names no store. It connects to nothing.
func Check(address string) error {
	u, err := parse(address)
	if err == nil && u.Scheme == "s3" {
		_, err = s3Options(u, func(string) string { return "" })
	}
	return err
}

// errURL does not repeat the text, which may hold a secret that does not belong
// there.
var errURL = errors.New("must be file:///DIRECTORY or s3://BUCKET/PREFIX?endpoint=https://HOST")

func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errURL
	}
	switch {
	case u.Scheme == "file" && u.Host == "" && path.IsAbs(u.Path) && u.RawQuery == "":
		return u, nil
	case u.Scheme == "s3" && u.Host != "" && u.User != nil:
		return nil, errors.New("takes no credentials in the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case u.Scheme == "s3" && u.Host != "":
		return u, nil
	default:
		return nil, errURL
	}
}

// checkName refuses names that could lead out of the store.
func checkName(name string) error {
	if name == "" || path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "..") ||
		strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("%q is no name for an object", name)
	}
	return nil
}
