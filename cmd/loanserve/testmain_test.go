package main

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// asProgram makes the binary of the tests be the program.
const asProgram = "LOANSERVE_TEST_AS_PROGRAM"

// TestMain runs the tests, or the program for a test that wants a process to signal or
// to kill: the binary has all of it, and linking another one takes seconds.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// programItself is a process of the program, which does not end with the test's context
// but is killed by whoever starts it. It has not started.
func programItself(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Env = append(os.Environ(), asProgram+"=yes")
	return cmd
}
