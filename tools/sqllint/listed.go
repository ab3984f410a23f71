package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// listFile holds the checksum of every migration, as sha256sum prints it.
const listFile = "released.sha256"

var numbered = regexp.MustCompile(`^[0-9]{5}_[a-z0-9_]+\.sql$`)

// migration is a numbered file.
type migration struct{ name, text string }

func (m migration) sum() string {
	sum := sha256.Sum256([]byte(m.text))
	return hex.EncodeToString(sum[:])
}

// migrationsOf returns the numbered files of a directory, in order.
func migrationsOf(dir string) ([]migration, error) {
	names, err := filepath.Glob(filepath.Join(dir, "[0-9]*.sql"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if !numbered.MatchString(filepath.Base(name)) {
			return nil, fmt.Errorf("%s is not named 00000_small_letters.sql", filepath.Base(name))
		}
		all = append(all, migration{name: filepath.Base(name), text: string(text)})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no migrations in %s", dir)
	}
	return all, nil
}

// listed is a line of the list.
type listed struct{ sum, name string }

func readList(dir string) ([]listed, error) {
	text, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var all []listed
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			return nil, fmt.Errorf("%s: not a checksum and a name: %q", listFile, line)
		}
		all = append(all, listed{sum: sum, name: name})
	}
	return all, nil
}

// compareListed names what differs between the files and the list.
func compareListed(dir string, files []migration) ([]string, error) {
	list, err := readList(dir)
	if err != nil {
		return nil, err
	}
	var findings []string
	there, known := map[string]string{}, map[string]bool{}
	for _, m := range files {
		there[m.name] = m.sum()
	}
	last := ""
	for _, l := range list {
		known[l.name] = true
		switch sum, ok := there[l.name]; {
		case !ok:
			findings = append(findings, l.name+": listed is missing: an applied migration stays")
		case sum != l.sum:
			findings = append(findings, l.name+": listed was edited: an applied migration never changes, add a new one")
		}
		if l.name <= last {
			findings = append(findings, l.name+": listed comes after "+last+" in "+listFile+": the order never changes")
		}
		last = l.name
	}
	for _, m := range files {
		switch {
		case known[m.name]:
		case m.name < last:
			findings = append(findings, m.name+": listed would come before "+last+", which is listed: give it a later number")
		default:
			findings = append(findings, m.name+": listed not yet: run \"make migrations/list\"")
		}
	}
	return findings, nil
}

// listNew adds what is new to the list. What is listed is never touched.
func listNew(dir string, files []migration) error {
	list, err := readList(dir)
	if err != nil {
		return err
	}
	last := ""
	if len(list) > 0 {
		last = list[len(list)-1].name
	}
	out, err := os.OpenFile(filepath.Join(dir, listFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, m := range files {
		if m.name > last {
			if _, err := fmt.Fprintf(out, "%s  %s\n", m.sum(), m.name); err != nil {
				return err
			}
			fmt.Println("listed", m.name)
		}
	}
	return out.Close()
}
