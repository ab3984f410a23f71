package main_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
	withpg "loanserve/internal/pgcluster/withpg"
)

const argsEnv = "LOANSERVE_WITHPG_TEST_ARGS"

// TestCommand is not a test but the process that command makes: withpg itself.
func TestCommand(t *testing.T) {
	t.Parallel()

	args, ok := os.LookupEnv(argsEnv)
	if !ok {
		t.Skip("runs as a process of other tests")
	}
	os.Args = append([]string{"withpg"}, strings.Split(args, "\n")...)
	withpg.Main()
}

// command is withpg with the arguments.
func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := pgcluster.Find(); errors.Is(err, pgcluster.ErrNotFound) {
		t.Skip("PostgreSQL is not installed")
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCommand$")
	cmd.Env = append(os.Environ(), "DATABASE_URL=", argsEnv+"="+strings.Join(args, "\n"))
	cmd.Stderr = os.Stderr
	return cmd
}

func TestCommandGetsTheServer(t *testing.T) {
	t.Parallel()

	cmd := command(t.Context(), t, "-durable", "--", "sh", "-c",
		`echo "$DATABASE_URL"; exit 7`)
	out, err := cmd.Output()
	require.Equal(t, 7, cmd.ProcessState.ExitCode(), "%s %v", out, err)
	require.True(t, strings.HasPrefix(string(out), "postgres://postgres@/postgres?host="), "%s", out)
}

func TestSignalIsPassedOn(t *testing.T) {
	t.Parallel()

	cmd := command(t.Context(), t, "sh", "-c", `trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done`)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1)) // The command has set its trap.
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, cmd.Wait())
	require.Equal(t, 9, cmd.ProcessState.ExitCode())
}

func TestEndBySignalIsTold(t *testing.T) {
	t.Parallel()

	cmd := command(t.Context(), t, "sh", "-c", "kill -KILL $$")
	require.Error(t, cmd.Run())
	require.Equal(t, 128+9, cmd.ProcessState.ExitCode())
}

func TestDatabaseThatIsSetStays(t *testing.T) {
	t.Parallel()

	cmd := command(t.Context(), t, "sh", "-c", `echo "$DATABASE_URL"`)
	cmd.Env = append(cmd.Env, "DATABASE_URL=postgres://elsewhere/")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "postgres://elsewhere/\n", string(out))
}
