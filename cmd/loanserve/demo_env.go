package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// demoEnv is the file that another terminal reads with `. .demo/env`, so that
// commands can be pasted there.
type demoEnv struct {
	path string
	text []byte
	err  error // why it is not there
}

// writeDemoEnv writes the file below the directory. The demo goes on where it
// cannot be written, and says so.
func writeDemoEnv(dir, url, adminURL, token, password string) *demoEnv {
	e := &demoEnv{path: filepath.Join(dir, ".demo", "env")}
	e.text = fmt.Appendf(nil,
		"export LOANSERVE_URL='%s'\nexport LOANSERVE_ADMIN_URL='%s'\nexport LOANSERVE_TOKEN='%s'\n", url, adminURL, token)
	if password != "" {
		e.text = fmt.Appendf(e.text, "export LOANSERVE_OPS_PASSWORD='%s'\n", password)
	}
	e.err = e.write()
	return e
}

// write replaces whatever is there, so that the token is readable for its owner
// only, also where an older file was for everybody.
func (e *demoEnv) write() error {
	dir := filepath.Dir(e.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "env-*") // With mode 0600.
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // Gone already if all went well.
	_, err = file.Write(e.text)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), e.path)
	}
	return err
}

// remove takes the file away, unless another demo has put its own there.
func (e *demoEnv) remove(context.Context) error {
	if e.err != nil {
		return nil //nolint:nilerr // There is nothing to remove.
	}
	if text, err := os.ReadFile(e.path); err != nil || !bytes.Equal(text, e.text) {
		return nil //nolint:nilerr // Not ours any more.
	}
	if err := os.Remove(e.path); err != nil {
		return fmt.Errorf("remove %s: %w", e.path, err)
	}
	_ = os.Remove(filepath.Dir(e.path)) // Only if nothing else is in it.
	return nil
}
