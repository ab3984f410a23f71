package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// minPart is the least size of a part. An object has 10,000 parts at most, so
	// that smaller ones would cap it at less than 160 GB.
	minPart = 16 << 20
	// maxPart bounds the memory that one upload takes; it caps an object at 1.2 TB.
	maxPart = 128 << 20
	// usualParts is how many parts an object of the expected size gets, which
	// leaves room for one that is half as large again.
	usualParts = 6_000
	// s3Tries is how often one request is made. What still fails then is for the
	// whole backup to be tried again.
	s3Tries = 5
	// abortTimeout bounds removing what a failed upload left.
	abortTimeout = 30 * time.Second
)

// S3Options are what the query of an s3 URL may say:
//
//	endpoint     https://HOST, or http:// for a test; otherwise $AWS_ENDPOINT_URL_S3,
//	             $AWS_ENDPOINT_URL, or Amazon
//	region       otherwise $AWS_REGION, $AWS_DEFAULT_REGION, or us-east-1
//	path_style   true where the bucket is not a part of the host's name
//	retain_days  for how long each object is locked (COMPLIANCE): the bucket must
//	             have been made with object lock. Otherwise the bucket's own rule
//	             holds, if it has one.
type S3Options struct {
	Bucket, Prefix, Region string
	Endpoint               *url.URL
	PathStyle              bool
	RetainDays             int
}

// s3Options reads a URL, and the environment for what it leaves open.
func s3Options(u *url.URL, getenv func(string) string) (S3Options, error) {
	query := u.Query()
	for name := range query {
		if !slices.Contains([]string{"endpoint", "region", "path_style", "retain_days"}, name) {
			return S3Options{}, fmt.Errorf("has no option %q, only endpoint, region, path_style and retain_days", name)
		}
	}
	o := S3Options{
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"),
		Region: first(query.Get("region"), getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"), "us-east-1"),
	}
	if o.Prefix != "" {
		o.Prefix += "/"
	}
	endpoint := first(query.Get("endpoint"), getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"),
		"https://s3.amazonaws.com")
	var err error
	o.Endpoint, err = url.Parse(endpoint)
	if err != nil || o.Endpoint.Host == "" || o.Endpoint.Scheme != "https" && o.Endpoint.Scheme != "http" {
		return o, errors.New("endpoint must be https://HOST or http://HOST")
	}
	if text := query.Get("path_style"); text != "" {
		if o.PathStyle, err = strconv.ParseBool(text); err != nil {
			return o, errors.New("path_style must be true or false")
		}
	}
	if text := query.Get("retain_days"); text != "" {
		const longest = 10 * 366
		if o.RetainDays, err = strconv.Atoi(text); err != nil || o.RetainDays < 1 || o.RetainDays > longest {
			return o, fmt.Errorf("retain_days must be a number from 1 to %d", longest)
		}
	}
	return o, nil
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// bucket is a store in a bucket, below a prefix.
type bucket struct {
	S3Options

	client *minio.Client
	locked bool // The bucket has object lock, and wants a checksum with every object.
}

var errNoLock = errors.New("retain_days is set, and the bucket has no object lock: it must be made with it")

func openS3(ctx context.Context, u *url.URL, getenv func(string) string) (*bucket, error) {
	o, err := s3Options(u, getenv)
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	// The usual order: environment, file of credentials, role of the machine.
	keys := credentials.NewStaticV4(
		getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN"))
	if getenv("AWS_ACCESS_KEY_ID") == "" {
		keys = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.FileAWSCredentials{}, &credentials.IAM{},
		})
	}
	client, err := minio.New(o.Endpoint.Host, &minio.Options{
		Creds: keys, Secure: o.Endpoint.Scheme == "https", Region: o.Region,
		BucketLookup: lookup, MaxRetries: s3Tries,
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	b := &bucket{S3Options: o, client: client}
	exists, err := client.BucketExists(ctx, o.Bucket)
	if err != nil {
		return nil, fmt.Errorf("look for bucket %s at %s: %w", o.Bucket, o.Endpoint.Host, err)
	}
	if !exists {
		return nil, fmt.Errorf("bucket %s does not exist at %s", o.Bucket, o.Endpoint.Host)
	}
	// Who may not ask, or a service that does not know the question, has no lock
	// as far as we can tell; with retain_days that is an error.
	lock, _, _, _, err := client.GetObjectLockConfig(ctx, o.Bucket)
	b.locked = err == nil && lock == "Enabled"
	if o.RetainDays > 0 && !b.locked {
		return nil, errors.Join(errNoLock, err)
	}
	return b, nil
}

// URL implements Store.
func (b *bucket) URL() string {
	return "s3://" + b.Bucket + "/" + strings.TrimSuffix(b.Prefix, "/") + " at " + b.Endpoint.Host
}

// Put implements Store. One part is in memory at a time. The object appears when
// all parts are there and the upload is completed.
func (b *bucket) Put(ctx context.Context, name string, r io.Reader, bytes int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	o := minio.PutObjectOptions{
		PartSize: uint64(min(max(bytes/usualParts, minPart), maxPart)), ContentType: "application/octet-stream",
		SendContentMd5: b.locked,
		// Each part has a checksum, and the manifest has one of the whole: another
		// one of every piece in the signature would only take time.
		DisableContentSha256: true,
	}
	if b.RetainDays > 0 {
		o.Mode, o.RetainUntilDate = minio.Compliance, time.Now().UTC().AddDate(0, 0, b.RetainDays)
	}
	size := int64(-1) // Not known: then it comes in parts, however few.
	if sized, ok := r.(interface{ Len() int }); ok {
		size = int64(sized.Len())
	}
	if _, err := b.client.PutObject(ctx, b.Bucket, b.Prefix+name, r, size, o); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		// What this cannot remove costs money and is not seen: Sweep removes it.
		_ = b.client.RemoveIncompleteUpload(ctx, b.Bucket, b.Prefix+name)
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// Get implements Store.
func (b *bucket) Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	object, err := b.client.GetObject(ctx, b.Bucket, b.Prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.explain(err, "read", name)
	}
	// The request goes out with the first read: so ask for it now.
	if _, err := object.Stat(); err != nil {
		return nil, errors.Join(b.explain(err, "read", name), object.Close())
	}
	if offset > 0 {
		if _, err := object.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(fmt.Errorf("seek in %s: %w", name, err), object.Close())
		}
	}
	return object, nil
}

// Stat implements Store.
func (b *bucket) Stat(ctx context.Context, name string) (Object, error) {
	if err := checkName(name); err != nil {
		return Object{}, err
	}
	info, err := b.client.StatObject(ctx, b.Bucket, b.Prefix+name, minio.StatObjectOptions{})
	if err != nil {
		return Object{}, b.explain(err, "look for", name)
	}
	return Object{Name: name, Bytes: info.Size, StoredAt: info.LastModified.UTC()}, nil
}

func (b *bucket) explain(err error, act, name string) error {
	if refusal, ok := errors.AsType[minio.ErrorResponse](err); ok && refusal.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w", act, name, err)
}

// List implements Store.
func (b *bucket) List(ctx context.Context, prefix string) ([]Object, error) {
	var list []Object
	for info := range b.client.ListObjectsIter(ctx, b.Bucket, minio.ListObjectsOptions{
		Prefix: b.Prefix + prefix, Recursive: true,
	}) {
		if info.Err != nil {
			return nil, fmt.Errorf("list %s: %w", b.URL(), info.Err)
		}
		list = append(list, Object{
			Name: strings.TrimPrefix(info.Key, b.Prefix), Bytes: info.Size, StoredAt: info.LastModified.UTC(),
		})
	}
	slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Delete implements Store. In a bucket with versions the object is no longer
// listed, and a version that is locked stays until its time is over.
func (b *bucket) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := b.client.RemoveObject(ctx, b.Bucket, b.Prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

// Sweep implements Store.
func (b *bucket) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // It ends the listing when this returns early.
	for upload := range b.client.ListIncompleteUploads(ctx, b.Bucket, b.Prefix, true) {
		if minio.ToErrorResponse(upload.Err).Code == minio.NoSuchUpload {
			break // Some services say so where there is none.
		}
		if upload.Err != nil {
			return removed, fmt.Errorf("list incomplete uploads: %w", upload.Err)
		}
		if !upload.Initiated.Before(before) {
			continue
		}
		core := minio.Core{Client: b.client}
		if err := core.AbortMultipartUpload(ctx, b.Bucket, upload.Key, upload.UploadID); err != nil {
			return removed, fmt.Errorf("abort upload of %s: %w", upload.Key, err)
		}
		removed++
	}
	return removed, nil
}
