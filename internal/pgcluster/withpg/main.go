// Command withpg runs a command beside a throw-away PostgreSQL server:
//
//	go run ./internal/pgcluster/withpg [-durable] -- command [argument ...]
//
// The command finds the superuser's connection string of the server, which is
// empty, in DATABASE_URL. Where no PostgreSQL is installed, one is fetched. Signals are passed on to the
// command; when it has ended, the server is stopped and removed, and withpg
// ends with the command's exit code.
//
// If DATABASE_URL is set already, the command runs with its environment as it
// is: a database that exists is not thereby one to test on.
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

	"loanserve/internal/pgcluster"
)

// Exit codes of withpg itself, as of env and other programs that run commands.
const (
	exitFailed    = 125
	exitCannotRun = 126
	exitNotFound  = 127
	exitSignaled  = 128 // Plus the number of the signal.
)

func main() {
	durable := flag.Bool("durable", false, "write to disk as in production (fsync on)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: withpg [-durable] -- command [argument ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(exitFailed)
	}
	code, err := run(*durable, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
	}
	os.Exit(code)
}

func run(durable bool, args []string) (int, error) {
	program, err := exec.LookPath(args[0])
	if err != nil {
		return exitNotFound, err
	}
	if os.Getenv("DATABASE_URL") != "" {
		err := syscall.Exec(program, args, os.Environ()) // Returns only if it fails.
		return exitCannotRun, fmt.Errorf("run %s: %w", program, err)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)

	cluster, err := start(durable, signals)
	if err != nil {
		return exitFailed, err
	}
	code, err := runCommand(program, args, cluster.URL("postgres"), signals)
	if stopErr := cluster.Stop(); stopErr != nil {
		err = errors.Join(err, stopErr)
		if code == 0 {
			code = exitFailed
		}
	}
	return code, err
}

// start fetches and starts the server. A signal ends it.
func start(durable bool, signals <-chan os.Signal) (*pgcluster.Cluster, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case s := <-signals:
			cancel(fmt.Errorf("received %s", s))
		case <-ctx.Done():
		}
	}()
	log := func(line string) { fmt.Fprintln(os.Stderr, "withpg:", line) }
	binaries, err := pgcluster.Provision(ctx, log)
	if err != nil {
		return nil, err
	}
	return pgcluster.Start(ctx, pgcluster.Options{Binaries: binaries, Durable: durable})
}

// runCommand runs the command to its end, passing signals on, and returns its
// exit code.
func runCommand(program string, args []string, url string, signals <-chan os.Signal) (int, error) {
	cmd := exec.CommandContext(context.Background(), program, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return exitCannotRun, fmt.Errorf("run %s: %w", program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	fromTerminal := terminalSignals()
	for {
		select {
		case s := <-signals:
			if !fromTerminal(s) {
				_ = cmd.Process.Signal(s) // Ended already, if it fails.
			}
		case err := <-ended:
			return exitCode(cmd.ProcessState, err)
		}
	}
}

// terminalSignals tells which signals a terminal sends to the command, too: to
// pass those on would make one Ctrl-C look like two.
func terminalSignals() func(os.Signal) bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return func(os.Signal) bool { return false }
	}
	tty.Close()
	return func(s os.Signal) bool { return s == syscall.SIGINT || s == syscall.SIGQUIT }
}

func exitCode(state *os.ProcessState, err error) (int, error) {
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return exitFailed, err
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignaled + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}
