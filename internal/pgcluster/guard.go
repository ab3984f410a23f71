package pgcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watch starts a shell that sends SIGINT, which shuts a server down, to pid
// when this process ends: then, and only then, its standard input ends. It
// serves where the kernel has no such signal. release ends the shell.
//
// Call release as soon as pid has ended, before another can get its number.
func watch(pid int) (release func(), err error) {
	input, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("create pipe: %w", err)
	}
	defer input.Close()
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", `read -r _; kill -INT "$1"`, "sh", strconv.Itoa(pid))
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.Stdin = input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C would end it.
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start watching shell: %w", err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		ours.Close()
	}, nil
}
