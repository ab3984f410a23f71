package pgcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// unpacking begins the names of trees that are not complete yet.
const unpacking = "unpack-"

// cacheDir is where Provision keeps programs. That of root lies outside its
// home directory, because the user that runs the server must read it.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/loanserve/postgresql", nil
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "loanserve", "postgresql"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}
	return filepath.Join(home, ".cache", "loanserve", "postgresql"), nil
}

// fetchedBinaries lists the complete trees in the cache.
func fetchedBinaries(cache string) []Binaries {
	trees, _ := filepath.Glob(filepath.Join(cache, "*")) // Well formed.
	var found []Binaries
	for _, tree := range trees {
		if !strings.HasPrefix(filepath.Base(tree), unpacking) {
			found = append(found, binariesIn(tree)...)
		}
	}
	return found
}

// binariesIn lists the programs in an unpacked tree, which has the layout of
// a Debian file system or that of the npm archive.
func binariesIn(tree string) []Binaries {
	var libs []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "native/lib"} {
		dirs, _ := filepath.Glob(filepath.Join(tree, pattern))
		libs = append(libs, dirs...)
	}
	var found []Binaries
	for _, pattern := range []string{"usr/lib/postgresql/*/bin", "native/bin"} {
		dirs, _ := filepath.Glob(filepath.Join(tree, pattern))
		for _, dir := range dirs {
			found = append(found, Binaries{Dir: dir, LibDir: strings.Join(libs, ":")})
		}
	}
	return found
}
