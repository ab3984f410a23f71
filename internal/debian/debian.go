// Package debian fetches Debian packages without installing them.
//
// The one idea: the machine's own apt knows which packages there are and checks what
// it downloads; unpacking needs no root and changes nothing of the system.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Choose names the packages to fetch. It may be asked twice: when what it named
// cannot be downloaded, the package lists are fetched, and it chooses again.
type Choose func(ctx context.Context, a *Apt) ([]string, error)

// Unpack downloads the packages that choose names, checked as apt does, and unpacks
// them into the directory. The progress, one line a call, goes to log.
func Unpack(ctx context.Context, dir string, choose Choose, log func(string)) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return err
	}
	work := filepath.Join(dir, "apt")
	defer os.RemoveAll(work)
	a := &Apt{work: work}
	if err := a.download(ctx, choose, log); err != nil {
		// No package lists, or ones that name versions since replaced.
		log("fetching Debian package lists")
		updated := a.update(ctx) // One unreachable repository of many is an error, too.
		if err := a.download(ctx, choose, log); err != nil {
			return errors.Join(updated, err)
		}
	}
	return a.unpack(ctx, dir)
}

// Apt drives apt in a directory of its own.
type Apt struct {
	work    string
	options []string
}

// Run returns the standard output of an apt command.
func (a *Apt) Run(ctx context.Context, program string, args ...string) (string, error) {
	return a.run(ctx, program, slices.Concat(a.options, args)...)
}

func (a *Apt) run(ctx context.Context, program string, args ...string) (string, error) {
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

// tail is the end of what a program said, which has the reason.
func tail(output string) string {
	const enough = 15
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-enough):], "\n")
}

func (a *Apt) debs() string { return filepath.Join(a.work, "debs") }

// update fetches package lists into the work directory, and has later calls
// use them: the system's are not ours to change, nor, mostly, may we.
func (a *Apt) update(ctx context.Context) error {
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
	_, err := a.Run(ctx, "apt-get", "update", "-qq")
	return err
}

func (a *Apt) download(ctx context.Context, choose Choose, log func(string)) error {
	if err := os.MkdirAll(a.debs(), 0o755); err != nil {
		return err
	}
	names, err := choose(ctx, a)
	if err != nil {
		return err
	}
	log("downloading Debian packages " + strings.Join(names, " "))
	_, err = a.Run(ctx, "apt-get", slices.Concat([]string{"download", "-qq"}, names)...)
	return err
}

func (a *Apt) unpack(ctx context.Context, dir string) error {
	debs, err := filepath.Glob(filepath.Join(a.debs(), "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := a.run(ctx, "dpkg-deb", "--extract", deb, dir); err != nil {
			return err
		}
	}
	return nil
}
