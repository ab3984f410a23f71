package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// minMajor is the oldest PostgreSQL the program supports.
const minMajor = 15

// ErrNotFound is returned when no PostgreSQL of version 15 or later is
// installed where Find looks. Provision can then fetch one.
var ErrNotFound = errors.New("no PostgreSQL 15 or later found")

// Binaries are the server programs of one PostgreSQL installation.
type Binaries struct {
	// Dir holds postgres and initdb. Client programs such as pg_dump are there
	// too, except in the npm archive that Provision falls back to.
	Dir string
	// LibDir is the LD_LIBRARY_PATH the programs need, "" for none.
	LibDir string
	// Major is the major version, at least 15.
	Major int
}

// search is where to look for server programs, best first.
type search struct {
	override string   // A directory named by the user: if set, the only place.
	system   []string // Glob patterns of directories; the highest major wins.
	path     bool     // Look on the PATH.
	cache    string   // What Provision fetched; "" for none.
}

// machine is the search that Find and Provision perform.
func machine() search {
	cache, _ := cacheDir() // Without a home there is no cache to look in.
	return search{
		override: os.Getenv("LOANSERVE_PG_BIN"),
		system: []string{
			"/usr/lib/postgresql/*/bin",
			"/usr/pgsql-*/bin",
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		path:  true,
		cache: cache,
	}
}

// Find looks for installed server programs that run: in LOANSERVE_PG_BIN and,
// if that is set, nowhere else; then where distributions and Homebrew install
// them, highest version first; then by way of the PATH; then among those that
// Provision fetched earlier. Root looks as the user that will run the server.
//
// It returns ErrNotFound when there are none of version 15 or later.
func Find() (Binaries, error) {
	return machine().find(0)
}

// find returns the best programs of the given major version, 0 meaning any.
func (s search) find(major int) (Binaries, error) {
	if s.override != "" {
		b, err := inspectBinaries(Binaries{Dir: s.override})
		if err != nil {
			return Binaries{}, fmt.Errorf("look in LOANSERVE_PG_BIN: %w", err)
		}
		if major != 0 && b.Major != major {
			return Binaries{}, fmt.Errorf("LOANSERVE_PG_BIN is of PostgreSQL %d, not %d: %w", b.Major, major, ErrNotFound)
		}
		return b, nil
	}
	var fetched []Binaries
	if s.cache != "" {
		fetched = fetchedBinaries(s.cache)
	}
	for _, place := range [][]Binaries{s.installed(), s.onPath(), fetched} {
		if b, ok := best(place, major); ok {
			return b, nil
		}
	}
	return Binaries{}, ErrNotFound
}

func (s search) installed() []Binaries {
	var found []Binaries
	for _, pattern := range s.system {
		dirs, _ := filepath.Glob(pattern) // The patterns are ours, hence well formed.
		for _, dir := range dirs {
			found = append(found, Binaries{Dir: dir})
		}
	}
	return found
}

// onPath asks pg_config first: what is on the PATH itself may be wrappers that
// pick a version by rules of their own.
func (s search) onPath() []Binaries {
	if !s.path {
		return nil
	}
	var found []Binaries
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		found = append(found, Binaries{Dir: strings.TrimSpace(string(out))})
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(initdb); err == nil {
			found = append(found, Binaries{Dir: filepath.Dir(real)})
		}
	}
	return found
}

// best returns the candidate of the highest version among those that run.
func best(candidates []Binaries, major int) (Binaries, bool) {
	var usable []Binaries
	for _, b := range candidates {
		b, err := inspectBinaries(b)
		if err == nil && (major == 0 || b.Major == major) {
			usable = append(usable, b)
		}
	}
	if len(usable) == 0 {
		return Binaries{}, false
	}
	return slices.MaxFunc(usable, func(a, b Binaries) int { return a.Major - b.Major }), true
}

var versionPattern = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

// inspectBinaries asks the programs for their version, as the user that will
// run the server: that also proves that they are readable and that their
// libraries are there.
func inspectBinaries(b Binaries) (Binaries, error) {
	dir, err := filepath.Abs(b.Dir)
	if err != nil {
		return Binaries{}, err
	}
	b.Dir = dir
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, program := range []string{"initdb", "postgres"} {
		out, err := runVersion(ctx, b, program)
		if err != nil {
			path := filepath.Join(dir, program)
			return Binaries{}, fmt.Errorf("run %s --version: %w %s", path, err, strings.TrimSpace(string(out)))
		}
		if m := versionPattern.FindSubmatch(out); m != nil {
			b.Major, _ = strconv.Atoi(string(m[1])) // Digits, by the pattern.
		}
	}
	if b.Major < minMajor {
		return Binaries{}, fmt.Errorf("%s holds PostgreSQL %d: %w", dir, b.Major, ErrNotFound)
	}
	return b, nil
}

// runVersion runs a program that may have been written a moment ago. Then a
// child that this process is just forking can still have it open for writing,
// and until that child has begun its own program the kernel refuses to run it.
func runVersion(ctx context.Context, b Binaries, program string) ([]byte, error) {
	for wait := newBackoff(); ; {
		out, err := serverAccount().command(ctx, b, program, "--version").CombinedOutput()
		if !errors.Is(err, syscall.ETXTBSY) || wait.next(ctx) != nil {
			return out, err
		}
	}
}

// FindMajor is Find for programs of one major version. It returns ErrNotFound when
// there are none.
func FindMajor(major int) (Binaries, error) {
	return machine().find(major)
}

// Client prepares a client program, such as pg_dump, to run as this process's user
// with its environment. It is for a server that is not of this package as well.
func (b Binaries) Client(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.Dir, program), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if b.LibDir != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+b.LibDir)
	}
	return cmd
}
