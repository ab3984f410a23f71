package pgcluster

import (
	"bytes"
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
)

// debian fetches the packages that the machine's own apt would install, checks
// them as apt does, and unpacks them without installing.
func debian() source {
	return source{name: "debian", unpack: unpackDebian}
}

func unpackDebian(ctx context.Context, dir string, log func(string)) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return err
	}
	// Debian's server reads the time zones of the system, at a fixed path.
	if _, err := os.Stat("/usr/share/zoneinfo/UTC"); err != nil {
		return fmt.Errorf("package tzdata is not installed: %w", err)
	}
	work := filepath.Join(dir, "apt")
	defer os.RemoveAll(work)
	a := apt{work: work, log: log}
	if err := a.download(ctx); err != nil {
		// No package lists, or ones that name versions since replaced.
		log("fetching Debian package lists")
		updated := a.update(ctx) // One unreachable repository of many is an error, too.
		if err := a.download(ctx); err != nil {
			return errors.Join(updated, err)
		}
	}
	return a.unpack(ctx, dir)
}

// apt drives apt-get in a directory of its own.
type apt struct {
	work    string
	options []string
	log     func(string)
}

// run returns the standard output of an apt or dpkg command.
func (a *apt) run(ctx context.Context, program string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = a.debs()
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, tail(stderr.String()))
	}
	return stdout.String(), nil
}

func (a *apt) debs() string { return filepath.Join(a.work, "debs") }

// update fetches package lists into the work directory, and has later calls
// use them: the system's are not ours to change, nor, mostly, may we.
func (a *apt) update(ctx context.Context) error {
	state, cache := filepath.Join(a.work, "state"), filepath.Join(a.work, "cache")
	for _, dir := range []string{filepath.Join(state, "lists", "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	a.options = []string{
		"-o", "Dir::State=" + state,
		"-o", "Dir::State::status=/var/lib/dpkg/status",
		"-o", "Dir::Cache=" + cache,
		"-o", "APT::Sandbox::User=root", // The default, _apt, cannot write there.
		"-o", "APT::Update::Post-Invoke=",
		"-o", "Acquire::http::Timeout=15",
		"-o", "Acquire::https::Timeout=15",
	}
	_, err := a.run(ctx, "apt-get", slices.Concat(a.options, []string{"update", "-qq"})...)
	return err
}

var (
	serverPackage = regexp.MustCompile(`Depends: postgresql-(\d+)\n`)
	archiveLine   = regexp.MustCompile(`(?m)^'[^']+' ([a-z0-9][a-z0-9+.-]+)_\S+\.deb `)
	// unneeded are libraries that the server runs without (LLVM, with Z3, only
	// serves just-in-time compilation), and libc, which cannot be mixed.
	unneeded = regexp.MustCompile(`^libc6|^libc-|^lib(llvm|z3|gdbm)|perl|-dev$`)
)

// download puts into debs the server, the client programs, and the libraries
// of theirs that the machine lacks, which is what apt's solver knows.
func (a *apt) download(ctx context.Context) error {
	if err := os.MkdirAll(a.debs(), 0o755); err != nil {
		return err
	}
	depends, err := a.run(ctx, "apt-cache", slices.Concat(a.options, []string{"depends", "postgresql"})...)
	if err != nil {
		return err
	}
	m := serverPackage.FindStringSubmatch(depends)
	if m == nil {
		return errors.New("the package lists have no package postgresql")
	}
	if major, _ := strconv.Atoi(m[1]); major < minMajor {
		return fmt.Errorf("the distribution has PostgreSQL %s: %w", m[1], ErrNotFound)
	}
	server := []string{"postgresql-" + m[1], "postgresql-client-" + m[1], "libpq5"}
	list := []string{"install", "--reinstall", "--print-uris", "-qq", "-y", "--no-install-recommends"}
	uris, err := a.run(ctx, "apt-get", slices.Concat(a.options, list, server)...)
	if err != nil {
		return err
	}
	names := server[:2]
	for _, m := range archiveLine.FindAllStringSubmatch(uris, -1) {
		if strings.HasPrefix(m[1], "lib") && !unneeded.MatchString(m[1]) {
			names = append(names, m[1])
		}
	}
	a.log("downloading Debian packages " + strings.Join(names, " "))
	_, err = a.run(ctx, "apt-get", slices.Concat(a.options, []string{"download", "-qq"}, names)...)
	return err
}

func (a *apt) unpack(ctx context.Context, dir string) error {
	debs, err := filepath.Glob(filepath.Join(a.debs(), "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := a.run(ctx, "dpkg-deb", "--extract", deb, dir); err != nil {
			return err
		}
	}
	// Where the module is missing the server plans without it; where only its
	// library LLVM is, the first slow query fails.
	modules, err := filepath.Glob(filepath.Join(dir, "usr/lib/postgresql/*/lib/llvmjit.so"))
	if err != nil {
		return err
	}
	for _, module := range modules {
		if err := os.Remove(module); err != nil {
			return err
		}
	}
	return nil
}
