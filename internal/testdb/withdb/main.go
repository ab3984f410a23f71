// Command withdb runs a command beside a migrated database of its own:
//
//	go run ./internal/testdb/withdb -- command [argument ...]
//
// The command finds the superuser's connection string of the database in
// DATABASE_URL. The database is made on the server that DATABASE_URL names, or
// on a private one that ends with withdb. Signals are passed on to the command;
// when it has ended, the database is dropped, and withdb ends with the
// command's exit code. (go run itself ends with 1 where that is not 0.)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"loanserve/internal/testdb"
)

// Exit codes of withdb itself, as of env and other programs that run commands.
const (
	exitFailed   = 125
	exitNotFound = 127
	exitSignaled = 128 // Plus the number of the signal.
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: withdb -- command [argument ...]")
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(exitFailed)
	}
	code, err := run(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withdb:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	program, err := exec.LookPath(args[0])
	if err != nil {
		return exitNotFound, err
	}
	ending := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, ending...)
	ctx, cancel := signal.NotifyContext(context.Background(), ending...)
	defer cancel()
	err = testdb.Lend(ctx, func(url string) (err error) {
		//nolint:noctx // It ends by the signals that are passed on.
		cmd := exec.Command(program, args[1:]...)
		cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		code, err = wait(cmd, signals)
		return err
	})
	if err != nil && code == 0 {
		code = exitFailed
	}
	return code, err
}

// wait runs the command to its end, passing signals on, and returns its exit
// code. An interrupt is not passed on: a terminal sends it to both.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) (code int, err error) {
	if err := cmd.Start(); err != nil {
		return exitFailed, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGINT {
				_ = cmd.Process.Signal(s) // It fails where the command has ended.
			}
		case err := <-ended:
			if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
				return exitFailed, err
			}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return exitSignaled + int(status.Signal()), nil
			}
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}
