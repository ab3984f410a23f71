// Command loanserve is the whole program: the HTTP API, the workers, and the
// commands that set both up. `loanserve --help` lists the commands.
//
// Inside: commands, configuration, and the wiring and life of a process. Not
// inside: anything that knows a rule of servicing, or a query of its own that
// the engine would need.
//
// The idea to hold: a command is a struct whose fields are its settings, read
// once from flags, the environment and a file; its Run gets everything else
// handed in and returns an error, and only main ends the process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes.
const (
	exitOK      = 0
	exitFinding = 1  // The command worked, and what it looked at is not in order.
	exitFailure = 2  // The command did not work.
	exitUsage   = 80 // It was called wrongly, or is configured wrongly.
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to end; from then on the next one ends at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command and returns its exit code. Data goes to stdout, and all
// that is said about it to stderr. When ctx ends, the command does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{env: os.LookupEnv, stdout: stdout, stderr: stderr}
	return p.run(ctx, args)
}

// program is what commands have of the world around them.
type program struct {
	env            func(name string) (value string, set bool)
	stdout, stderr io.Writer
	dir            string // where the demo leaves its file; "" is the working directory
}

// errFinding ends a command that has said what it found.
var errFinding = errors.New("finding")

// usageError is a mistake in how the program is called.
type usageError struct{ error }

func (p *program) run(ctx context.Context, args []string) int {
	command, code := p.parse(args)
	if command == nil {
		return code
	}
	err := command.run(ctx)
	_, usage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFinding):
		return exitFinding
	case usage:
		code = exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		err, code = errors.New("interrupted"), exitFailure
	default:
		code = exitFailure
	}
	fmt.Fprintf(p.stderr, "loanserve: %v\n", err)
	return code
}
