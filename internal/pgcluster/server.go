package pgcluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// server is a running postmaster, a child of this process.
type server struct {
	process *os.Process
	ended   chan struct{} // Closed when the process is gone and err is set.
	err     error         // How it ended.
	release func()        // Ends the guard.
	log     *os.File
	logFrom int64 // Where this run's part of the log begins.
}

// launch starts the server and ties its life to ours. It writes to log and
// holds the locks, too.
func launch(cmd *exec.Cmd, log *os.File, locks []*os.File) (*server, error) {
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("seek in log: %w", err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = locks
	s := &server{log: log, logFrom: from, ended: make(chan struct{})}
	wait, err := startBound(cmd, syscall.SIGINT)
	if err != nil {
		return nil, err
	}
	s.process = cmd.Process
	if s.release, err = guard(cmd.Process.Pid); err != nil {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		return nil, errors.Join(fmt.Errorf("guard server: %w", err), <-wait)
	}
	go func() {
		s.err = <-wait
		s.release()
		close(s.ended)
	}()
	return s, nil
}

// startBound starts cmd so that it is sent the signal when this process dies
// (on Linux; elsewhere see guard). What the child's end was comes from the
// channel.
//
// The kernel sends the signal when the thread that forked the child dies, and
// Go ends idle threads at will. So the goroutine keeps its thread for as long
// as the child lives; it does not unlock it, and both end together.
func startBound(cmd *exec.Cmd, signal syscall.Signal) (<-chan error, error) {
	bind(cmd.SysProcAttr, signal)
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}

// runBound runs cmd to its end, bound as by startBound.
func runBound(cmd *exec.Cmd, signal syscall.Signal) error {
	wait, err := startBound(cmd, signal)
	if err != nil {
		return err
	}
	return <-wait
}

// stop sends the signal and waits for the end. A server that takes longer than
// patience is ended at once; a durable one then recovers at its next start.
func (s *server) stop(signal syscall.Signal, patience time.Duration) error {
	select {
	case <-s.ended:
		return fmt.Errorf("server ended before it was stopped: %s\n%s", s.end(), s.logTail())
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	if err := s.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal server: %w", err)
	}
	select {
	case <-s.ended:
	case <-timer.C:
		_ = s.process.Signal(syscall.SIGQUIT) // Immediate shutdown, within 5 s.
		<-s.ended
		return fmt.Errorf("server did not shut down within %s and was ended\n%s", patience, s.logTail())
	}
	if s.err != nil {
		return fmt.Errorf("stop server: %w\n%s", s.err, s.logTail())
	}
	return nil
}

// end describes how the server ended.
func (s *server) end() string {
	if s.err != nil {
		return s.err.Error()
	}
	return "exit status 0"
}

// logTail returns the last lines this server wrote.
func (s *server) logTail() string {
	size, err := s.log.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	const enough = 4096
	from := max(s.logFrom, size-enough)
	text := make([]byte, size-from)
	n, _ := s.log.ReadAt(text, from)
	return tail(string(text[:n]))
}

// tail returns the last lines of a program's output: where they say why.
func tail(output string) string {
	const enough = 15
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-enough):], "\n")
}
