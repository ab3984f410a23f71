package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dataVersion returns the major version of the data directory dir, 0 when it
// is empty. It refuses any other directory.
func dataVersion(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("read data directory: %w", err)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("directory %s is neither empty nor a PostgreSQL data directory", dir)
	}
	if err != nil {
		return 0, fmt.Errorf("read data directory: %w", err)
	}
	version := strings.TrimSpace(string(text))
	major, err := strconv.Atoi(version)
	if err != nil {
		return 0, fmt.Errorf("directory %s is of PostgreSQL %q, which is not supported", dir, version)
	}
	return major, nil
}

// programs returns the given binaries, or ones found, that can serve a data
// directory of the given version, 0 meaning a new one.
func programs(given Binaries, major int, dir string) (Binaries, error) {
	b := given
	if b.Dir != "" && b.Major == 0 {
		inspected, err := inspectBinaries(b)
		if err != nil {
			return Binaries{}, err
		}
		b = inspected
	}
	if b.Dir == "" {
		found, err := machine().find(major)
		if errors.Is(err, ErrNotFound) && major != 0 {
			return Binaries{}, fmt.Errorf("find programs for PostgreSQL %d, the version of %s: %w", major, dir, err)
		}
		if err != nil {
			return Binaries{}, err
		}
		b = found
	}
	if major != 0 && major != b.Major {
		return Binaries{}, fmt.Errorf("directory %s is of PostgreSQL %d, the programs in %s are of %d",
			dir, major, b.Dir, b.Major)
	}
	return b, nil
}

// initialize fills the empty data directory dir. When it is interrupted, or
// this process killed, initdb empties the directory again; until then it, too,
// holds the locks.
func initialize(ctx context.Context, b Binaries, a account, dir string, durable bool, locks []*os.File) error {
	locale := "C.UTF-8"
	if runtime.GOOS != "linux" {
		locale = "C" // macOS has no C.UTF-8. Both sort by code point.
	}
	args := []string{
		"--pgdata", dir, "--username", superuser, "--encoding", "UTF8", "--locale", locale,
		"--auth-local", "trust", "--auth-host", "reject", "--data-checksums", "--no-instructions",
	}
	if !durable {
		args = append(args, "--no-sync")
	}
	var output bytes.Buffer
	cmd := a.command(ctx, b, "initdb", args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.ExtraFiles = locks
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := runBound(cmd, syscall.SIGTERM)
	if ctx.Err() != nil {
		return fmt.Errorf("initdb: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, tail(output.String()))
	}
	return nil
}

// servedAt returns the socket directory of the server that is ready on the
// data directory dir, as its postmaster.pid tells, or "".
func servedAt(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return ""
	}
	const portLine, socketLine, statusLine = 3, 4, 7
	lines := strings.Split(string(text), "\n")
	if len(lines) <= statusLine || strings.TrimSpace(lines[statusLine]) != "ready" || lines[portLine] != port {
		return ""
	}
	return lines[socketLine]
}
