package backup

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path"
	"strings"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// controlFile is what a server needs before anything else. It is written last,
	// so that no server starts on a directory that is not whole.
	controlFile = "global/pg_control"
	maxControl  = 1 << 20
)

// extraction unpacks a copy of a server into a directory.
type extraction struct {
	root    *os.Root
	files   map[string]extracted
	control []byte
	// progress is told how many bytes were written.
	progress func(done int64)
	written  int64
}

// extracted is what was written of a file.
type extracted struct {
	bytes  int64
	crc32c string
}

// unpack writes the files of a tar. Links are refused: the server's own copy has
// them only for tablespaces, which we do not take.
func (x *extraction) unpack(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return tarError(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(header.Name, "./"), "/")
		switch header.Typeflag {
		case tar.TypeDir:
			err = x.root.MkdirAll(name, dirMode)
		case tar.TypeReg:
			err = x.file(name, archive)
		default:
			err = &BrokenError{What: fmt.Sprintf("%s in the copy is neither a file nor a directory", header.Name)}
		}
		if err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, r) // To the end, where the checksum is compared.
	return err
}

// tarError tells a tar that is none from a reader that failed.
func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return &BrokenError{What: "the copy is no tar"}
	}
	return err
}

func (x *extraction) file(name string, r io.Reader) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	var n int64
	var err error
	if name == controlFile {
		x.control, err = io.ReadAll(io.LimitReader(io.TeeReader(r, sum), maxControl))
		n = int64(len(x.control))
	} else {
		n, err = x.write(name, io.TeeReader(r, sum))
	}
	x.files[name] = extracted{bytes: n, crc32c: crcText(sum)}
	x.written += n
	if x.progress != nil {
		x.progress(x.written)
	}
	return err
}

// crcText is the checksum as the server writes it: its bytes in memory's order.
func crcText(sum hash.Hash32) string {
	v := sum.Sum32()
	return hex.EncodeToString([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
}

func (x *extraction) write(name string, r io.Reader) (int64, error) {
	if err := x.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return 0, fmt.Errorf("create directory: %w", err)
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return 0, fmt.Errorf("create file: %w", err)
	}
	n, err := io.Copy(f, r)
	return n, errors.Join(err, f.Close())
}

// serverFiles is the server's list of files, as far as we read it.
type serverFiles struct {
	Files []struct {
		Path      string `json:"Path"`               //nolint:tagliatelle // The server's names.
		Encoded   string `json:"Encoded-Path"`       //nolint:tagliatelle // The server's names.
		Size      int64  `json:"Size"`               //nolint:tagliatelle // The server's names.
		Algorithm string `json:"Checksum-Algorithm"` //nolint:tagliatelle // The server's names.
		Checksum  string `json:"Checksum"`           //nolint:tagliatelle // The server's names.
	} `json:"Files"` //nolint:tagliatelle // The server's names.
}

// compare holds what was written against the server's list: every file of it with
// its size and checksum, and none besides but WAL.
func (x *extraction) compare(list []byte) error {
	var want serverFiles
	if err := json.Unmarshal(list, &want); err != nil {
		return &BrokenError{What: "the server's list of files cannot be read: " + err.Error()}
	}
	listed := map[string]bool{}
	for _, f := range want.Files {
		name := f.Path
		if f.Encoded != "" {
			raw, err := hex.DecodeString(f.Encoded)
			if err != nil {
				return &BrokenError{What: "the server's list of files cannot be read: " + err.Error()}
			}
			name = string(raw)
		}
		listed[name] = true
		got, there := x.files[name]
		switch {
		case !there:
			return &BrokenError{What: name + " is missing in the copy"}
		case got.bytes != f.Size:
			return &BrokenError{What: fmt.Sprintf("%s has %d bytes in the copy and should have %d", name, got.bytes, f.Size)}
		case f.Algorithm == "CRC32C" && got.crc32c != f.Checksum:
			return &BrokenError{What: name + " has another checksum in the copy than the server gave it"}
		}
	}
	for name := range x.files {
		if !listed[name] && !strings.HasPrefix(name, "pg_wal/") {
			return &BrokenError{What: name + " is in the copy, and the server did not list it"}
		}
	}
	return nil
}

// finish makes of the directory one that a server starts on.
func (x *extraction) finish(list []byte) error {
	if _, err := x.write(filesObject, bytes.NewReader(list)); err != nil {
		return err
	}
	if _, err := x.write(controlFile, bytes.NewReader(x.control)); err != nil {
		return err
	}
	f, err := x.root.Open(controlFile)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
