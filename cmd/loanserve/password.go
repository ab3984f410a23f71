package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"loanserve/server"
)

// passwordFlags are for the commands that set a password. It is never a flag of
// its own, which every other process of the machine could read.
type passwordFlags struct {
	PasswordFile string `placeholder:"FILE" type:"path" help:"File whose first line is the password; otherwise it is asked for."`
}

var (
	errNoTerminal  = errors.New("there is no terminal to ask for the password: name a file with --password-file")
	errNotTheSame  = errors.New("the two passwords are not the same")
	errNotOneLine  = errors.New("the file of the password must have one line")
	errBigPassword = errors.New("the file of the password is too large")
)

// hash reads the password and returns what is stored of it.
func (f *passwordFlags) hash(p *program, name string) (string, error) {
	password, err := f.read(p)
	if err != nil {
		return "", err
	}
	if err := server.CheckPassword(name, password); err != nil {
		return "", err
	}
	return server.HashPassword(password), nil
}

func (f *passwordFlags) read(p *program) (string, error) {
	if f.PasswordFile == "" {
		return ask(p.stderr)
	}
	const largest = 4096
	file, err := os.Open(f.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, largest+1))
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	if len(text) > largest {
		return "", errBigPassword
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if strings.ContainsAny(password, "\r\n") {
		return "", errNotOneLine
	}
	return password, nil
}

// ask asks for a password twice, on the terminal and without showing it.
func ask(prompt io.Writer) (string, error) {
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return "", errNoTerminal
	}
	var typed [2]string
	for i, what := range []string{"Password: ", "Again: "} {
		fmt.Fprint(prompt, what)
		text, err := term.ReadPassword(terminal)
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", errNotTheSame
	}
	return typed[0], nil
}
