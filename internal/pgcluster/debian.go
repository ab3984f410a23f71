package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	distribution "loanserve/internal/debian"
)

// debian fetches the packages that the machine's own apt would install, checks
// them as apt does, and unpacks them without installing.
func debian() source {
	return source{name: "debian", unpack: unpackDebian}
}

func unpackDebian(ctx context.Context, dir string, log func(string)) error {
	// Debian's server reads the time zones of the system, at a fixed path.
	if _, err := os.Stat("/usr/share/zoneinfo/UTC"); err != nil {
		return fmt.Errorf("package tzdata is not installed: %w", err)
	}
	if err := distribution.Unpack(ctx, dir, choosePackages, log); err != nil {
		return err
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

var (
	serverPackage = regexp.MustCompile(`Depends: postgresql-(\d+)\n`)
	archiveLine   = regexp.MustCompile(`(?m)^'[^']+' ([a-z0-9][a-z0-9+.-]+)_\S+\.deb `)
	// unneeded are libraries that the server runs without (LLVM, with Z3, only
	// serves just-in-time compilation), and libc, which cannot be mixed.
	unneeded = regexp.MustCompile(`^libc6|^libc-|^lib(llvm|z3|gdbm)|perl|-dev$`)
)

// choosePackages names the server, the client programs, and the libraries of theirs
// that the machine lacks, which is what apt's solver knows.
func choosePackages(ctx context.Context, a *distribution.Apt) ([]string, error) {
	depends, err := a.Run(ctx, "apt-cache", "depends", "postgresql")
	if err != nil {
		return nil, err
	}
	m := serverPackage.FindStringSubmatch(depends)
	if m == nil {
		return nil, errors.New("the package lists have no package postgresql")
	}
	if major, _ := strconv.Atoi(m[1]); major < minMajor {
		return nil, fmt.Errorf("the distribution has PostgreSQL %s: %w", m[1], ErrNotFound)
	}
	names := []string{"postgresql-" + m[1], "postgresql-client-" + m[1]}
	uris, err := a.Run(ctx, "apt-get", "install", "--reinstall", "--print-uris", "-qq", "-y", "--no-install-recommends",
		names[0], names[1], "libpq5")
	if err != nil {
		return nil, err
	}
	for _, m := range archiveLine.FindAllStringSubmatch(uris, -1) {
		if strings.HasPrefix(m[1], "lib") && !unneeded.MatchString(m[1]) {
			names = append(names, m[1])
		}
	}
	return names, nil
}
