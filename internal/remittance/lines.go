package remittance

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// errBytes stops the reading of a file that is larger than its limit.
var errBytes = errors.New("more bytes than the limit")

// source reads at most a limit of bytes, and hashes what it reads.
type source struct {
	in   io.Reader
	left int64
	sum  hash.Hash
}

func (s *source) Read(p []byte) (int, error) {
	// One byte more than is left tells a file at the limit from one above it.
	n, err := s.in.Read(p[:min(int64(len(p)), s.left+1)])
	if int64(n) > s.left {
		return 0, errBytes
	}
	s.left -= int64(n)
	s.sum.Write(p[:n])
	return n, err
}

// lines splits a file into lines, and holds one at a time.
type lines struct {
	source   source
	in       *bufio.Reader
	limit    int  // of a line
	line     int  // the number of the line last read
	blank    int  // the first of the empty lines just before it, or 0
	unended  bool // the last line had no line ending
	finished bool
}

// newLines reads r; a carriage return and a line feed fit in the buffer behind
// the longest line.
func newLines(r io.Reader, limits Limits) *lines {
	l := &lines{source: source{in: r, left: limits.Bytes, sum: sha256.New()}, limit: limits.LineBytes}
	l.in = bufio.NewReaderSize(&l.source, limits.LineBytes+len("\r\n"))
	return l
}

// next returns the next line without its ending, and false after the last or
// after a fault that leaves nothing to read. The line is overwritten by the
// next one.
func (r *reader) next() ([]byte, bool) {
	l := r.lines
	for !l.finished && !r.stopped {
		raw, err := l.in.ReadSlice('\n')
		if len(raw) > 0 && !r.binary(raw) && errors.Is(err, bufio.ErrBufferFull) {
			r.stop(l.line+1, l.limit+1, reasonLongLine)
		}
		if r.stopped || !r.more(err) || len(raw) == 0 {
			continue
		}
		l.line++
		text := bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
		l.unended = l.finished
		if len(text) == 0 {
			if l.blank == 0 {
				l.blank = l.line
			}
			continue
		}
		if len(text) > l.limit {
			r.stop(l.line, l.limit+1, reasonLongLine)
			continue
		}
		r.printable(text)
		return text, true
	}
	return nil, false
}

// binary stops at what is no text, and says so. UTF-16 without a mark has a NUL
// in its first character.
func (r *reader) binary(raw []byte) bool {
	mark := r.lines.line == 0 && (bytes.HasPrefix(raw, []byte("\xfe\xff")) || bytes.HasPrefix(raw, []byte("\xff\xfe")))
	if mark {
		r.stop(1, 1, reasonUTF16)
		return true
	}
	if at := bytes.IndexByte(raw, 0); at >= 0 {
		r.stop(r.lines.line+1, at+1, reasonNUL)
		return true
	}
	return false
}

// more says whether the line that came with this error is one.
func (r *reader) more(err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, io.EOF):
		r.lines.finished = true
		return true
	case errors.Is(err, errBytes):
		r.stop(0, 0, reasonBytes)
	default:
		r.err, r.stopped = err, true
	}
	return false
}

// printable notes the first character of a line that has no place in it, and
// an empty line before it: at the end of a file they do no harm.
func (r *reader) printable(text []byte) {
	if r.lines.blank != 0 {
		r.fault(r.lines.blank, 1, reasonBlankLine)
		r.lines.blank = 0
	}
	if r.lines.line == 1 && r.file.Format == FormatCSV {
		text = bytes.TrimPrefix(text, []byte(utf8Mark))
	}
	for i, c := range text {
		if c < ' ' || c > '~' {
			r.fault(r.lines.line, i+1, reasonCharacter)
			return
		}
	}
}
