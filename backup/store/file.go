package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// partial begins the names of files that are still being written. No object's
// name has a part that begins so, because List would not show it.
const partial = ".part-"

// dir is a store in a directory.
type dir struct{ root string }

func openDir(root string) (*dir, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("create directory of backups: %w", err)
	}
	return &dir{root: root}, nil
}

// URL implements Store.
func (d *dir) URL() string { return "file://" + d.root }

func (d *dir) path(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

// Put implements Store. The file gets its name when all of it is on the disk,
// and the name is on the disk before Put returns.
func (d *dir) Put(ctx context.Context, name string, r io.Reader, _ int64) (err error) {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	f, err := os.CreateTemp(parent, partial)
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if _, err := io.Copy(f, &reader{ctx: ctx, r: r}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s to the disk: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("name %s: %w", name, err)
	}
	return d.syncUp(parent)
}

func ignoreClosed(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// syncUp brings the names in a directory to the disk, and its own up to the
// root's: it may be new.
func (d *dir) syncUp(path string) error {
	for {
		if err := syncDir(path); err != nil {
			return err
		}
		if path == d.root || len(path) < len(d.root) {
			return nil
		}
		path = filepath.Dir(path)
	}
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write directory to the disk: %w", err)
	}
	return nil
}

// reader ends with its context, as files do not.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Get implements Store.
func (d *dir) Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(err, name)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("seek in %s: %w", name, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{&reader{ctx: ctx, r: f}, f}, nil
}

// Stat implements Store.
func (d *dir) Stat(_ context.Context, name string) (Object, error) {
	path, err := d.path(name)
	if err != nil {
		return Object{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Object{}, missing(err, name)
	}
	return Object{Name: name, Bytes: info.Size(), StoredAt: info.ModTime().UTC()}, nil
}

// List implements Store.
func (d *dir) List(ctx context.Context, prefix string) ([]Object, error) {
	var list []Object
	err := d.walk(ctx, prefix, func(path, name string, info fs.FileInfo) error {
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(filepath.Base(path), partial) {
			list = append(list, Object{Name: name, Bytes: info.Size(), StoredAt: info.ModTime().UTC()})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// walk visits the files in directories that names with the prefix may be in. One
// that goes meanwhile is not there.
func (d *dir) walk(ctx context.Context, prefix string, visit func(path, name string, info fs.FileInfo) error) error {
	err := filepath.WalkDir(d.root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		name, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() && name != "." && !strings.HasPrefix(prefix, name+"/") && !strings.HasPrefix(name+"/", prefix) {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return visit(path, name, info)
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", d.root, err)
	}
	return nil
}

// Delete implements Store. A directory that is empty then goes as well.
func (d *dir) Delete(_ context.Context, name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	parent := filepath.Dir(path)
	for len(parent) > len(d.root) && os.Remove(parent) == nil { // It holds something, or is gone.
		parent = filepath.Dir(parent)
	}
	return nil
}

// Sweep implements Store.
func (d *dir) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	err = d.walk(ctx, "", func(path, _ string, info fs.FileInfo) error {
		if !strings.HasPrefix(filepath.Base(path), partial) || !info.ModTime().Before(before) {
			return nil
		}
		removed++
		return os.Remove(path)
	})
	return removed, err
}

func missing(err error, name string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("open %s: %w", name, err)
}
