package recovery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// walName is the name of a file of WAL: timeline, and where in it.
var walName = regexp.MustCompile(`^[0-9A-F]{24}$`)

// readWAL reads the files of WAL in a directory, one timeline after the other, and
// returns the transactions that took rows from the tables that are watched.
func readWAL(ctx context.Context, dir string, major int, w *watched) ([]Taking, error) {
	program, err := waldump(major)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list WAL: %w", err)
	}
	var files []string
	for _, e := range entries { // They are sorted by name.
		if walName.MatchString(e.Name()) {
			files = append(files, e.Name())
		}
	}
	r := &walReader{watched: w, open: map[uint32]*Taking{}}
	const timelineDigits = 8
	for len(files) > 0 {
		n := 1
		for n < len(files) && files[n][:timelineDigits] == files[0][:timelineDigits] {
			n++
		}
		cmd := program.Client(ctx, "pg_waldump", "--rmgr=Heap", "--rmgr=Transaction",
			filepath.Join(dir, files[0]), files[n-1])
		if err := r.run(cmd); err != nil {
			return nil, fmt.Errorf("read WAL: %w", err)
		}
		files = files[n:]
	}
	return r.done, nil
}

// run reads what pg_waldump says. It goes on until it finds no record, which is how it
// ends: the end of the WAL is not marked otherwise. What was fetched was compared with
// its checksums.
func (r *walReader) run(cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Env, "TZ=UTC")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("run pg_waldump: %w", err)
	}
	err = r.read(out)
	ended := cmd.Wait()
	if ended != nil && !strings.Contains(said.String(), "error in WAL record") && err == nil {
		err = fmt.Errorf("%w: %s", ended, strings.TrimSpace(said.String()))
	}
	return err
}

// walReader gathers deletions by transaction, in the words of pg_waldump.
type walReader struct {
	*watched

	open map[uint32]*Taking // transactions that have not ended
	done []Taking
	last uint64 // the place of the last record that was read
}

// The parts of a line.
var (
	recordPattern = regexp.MustCompile(`tx:\s*(\d+), lsn: ([0-9A-F]+)/([0-9A-F]+), .*?desc: (\S+)`)
	relPattern    = regexp.MustCompile(`blkref #0: rel (\d+)/(\d+)/(\d+)`)
	commitPattern = regexp.MustCompile(`desc: COMMIT\S* (?:gid \S+: )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)`)
)

// maxLine bounds a line: a commit lists all that it tells other sessions to forget.
const maxLine = 256 << 20

func (r *walReader) read(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := r.line(lines.Text()); err != nil {
			return errors.Join(err, drain(out))
		}
	}
	return lines.Err()
}

// drain lets a program end that has more to say.
func drain(out io.Reader) error {
	_, err := io.Copy(io.Discard, out)
	return err
}

func (r *walReader) line(line string) error {
	m := recordPattern.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	const hex, bits32, decimal = 16, 32, 10
	high, _ := strconv.ParseUint(m[2], hex, bits32) // Digits, by the pattern.
	low, _ := strconv.ParseUint(m[3], hex, bits32)
	place := high<<bits32 | low
	if place <= r.last { // A new timeline begins with a copy of the old one's file.
		return nil
	}
	r.last = place
	xid, err := strconv.ParseUint(m[1], decimal, bits32)
	if err != nil {
		return fmt.Errorf("unknown transaction number in %.200q", line)
	}
	switch what := m[4]; {
	case what == "DELETE":
		r.deleted(uint32(xid), line)
	case strings.HasPrefix(what, "COMMIT"):
		return r.committed(uint32(xid), line)
	case strings.HasPrefix(what, "ABORT"):
		for _, of := range append(numbers(line, "subxacts: "), uint32(xid)) {
			delete(r.open, of)
		}
	}
	return nil
}

// deleted counts a row that was deleted.
func (r *walReader) deleted(xid uint32, line string) {
	m := relPattern.FindStringSubmatch(line)
	if m == nil || m[2] != strconv.FormatUint(uint64(r.database), 10) {
		return
	}
	file, err := strconv.ParseUint(m[3], 10, 32)
	name, ok := r.files[uint32(file)]
	if err != nil || !ok {
		return
	}
	if r.open[xid] == nil {
		r.open[xid] = &Taking{Deleted: map[string]int64{}}
	}
	r.open[xid].Deleted[name]++
}

// committed closes a transaction: what its subtransactions deleted is its own.
func (r *walReader) committed(xid uint32, line string) error {
	t := Taking{Deleted: map[string]int64{}}
	for _, of := range append(numbers(line, "subxacts: "), xid) {
		if part := r.open[of]; part != nil {
			for name, n := range part.Deleted {
				t.Deleted[name] += n
			}
			delete(r.open, of)
		}
	}
	if _, dropped, ok := strings.Cut(line, "rels: "); ok {
		dropped, _, _ = strings.Cut(dropped, ";")
		for path := range strings.FieldsSeq(dropped) {
			// Files of temporary tables have names with a t.
			if strings.HasPrefix(path, fmt.Sprintf("base/%d/", r.database)) && !strings.Contains(path, "/t") {
				t.Dropped++
			}
		}
	}
	if len(t.Deleted) == 0 && t.Dropped == 0 {
		return nil
	}
	m := commitPattern.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("no time in %.200q", line)
	}
	at, err := time.Parse("2006-01-02 15:04:05.999999", m[1])
	if err != nil {
		return fmt.Errorf("read time of commit: %w", err)
	}
	t.CommittedAt, t.XID = at.UTC(), r.full(xid)
	r.done = append(r.done, t)
	return nil
}

// full is a transaction number of 64 bits, the latest one that has been.
func (r *walReader) full(xid uint32) uint64 {
	const wrap = uint64(1) << 32
	all := r.now&^(wrap-1) | uint64(xid)
	if all > r.now && all >= wrap {
		all -= wrap
	}
	return all
}

// numbers are those that follow a word, up to a semicolon.
func numbers(line, word string) []uint32 {
	_, list, ok := strings.Cut(line, word)
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, ";")
	var all []uint32
	for field := range strings.FieldsSeq(list) {
		n, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			break
		}
		all = append(all, uint32(n))
	}
	return slices.Clip(all)
}
