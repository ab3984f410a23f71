package pgcluster

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits of an unpacked archive; the real ones have 1,029 entries and 60 MB.
const (
	maxUnpackedEntries = 10_000
	maxUnpackedBytes   = 512 << 20
)

// unpackNPM unpacks the npm archive read from r into dir, without its leading
// folder, and restores the symbolic links that npm archives cannot hold. It
// refuses names that lead out of dir and anything but files and directories.
func unpackNPM(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	if err := unpackTar(tar.NewReader(zipped), root); err != nil {
		return err
	}
	return restoreLinks(root)
}

func unpackTar(archive *tar.Reader, root *os.Root) error {
	left := int64(maxUnpackedBytes)
	for range maxUnpackedEntries {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(entry.Name, "package/")
		if !ok || !filepath.IsLocal(name) {
			return fmt.Errorf("name %q leads out of the archive", entry.Name)
		}
		if left -= entry.Size; left < 0 {
			return fmt.Errorf("holds more than %d bytes", maxUnpackedBytes)
		}
		switch entry.Typeflag {
		case tar.TypeDir: // Made when a file needs it.
		case tar.TypeReg:
			err = unpackFile(archive, root, name, entry.FileInfo().Mode())
		default:
			err = fmt.Errorf("entry %q is neither file nor directory", name)
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("holds more than %d entries", maxUnpackedEntries)
}

// unpackFile writes one file that everyone may read, whatever the umask: the
// user that runs the server is not always the one who unpacks.
func unpackFile(r io.Reader, root *os.Root, name string, mode fs.FileMode) error {
	perm := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	if err := mkdirs(root, path.Dir(name)); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	return errors.Join(err, file.Chmod(perm), file.Close())
}

// mkdirs creates the directory name and those above it, open to readers.
func mkdirs(root *os.Root, name string) error {
	if _, err := root.Stat(name); err == nil {
		return nil
	}
	if err := mkdirs(root, path.Dir(name)); err != nil {
		return err
	}
	if err := root.Mkdir(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

// linksFile lists the symbolic links of the archive, relative to its top.
const linksFile = "native/pg-symlinks.json"

func restoreLinks(root *os.Root) error {
	text, err := root.ReadFile(linksFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("read %s: %w", linksFile, err)
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("link %q to %q leads out of the archive", link.Target, link.Source)
		}
		to, err := filepath.Rel(path.Dir(link.Target), link.Source)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, link.Target); err != nil {
			return err
		}
	}
	return nil
}
