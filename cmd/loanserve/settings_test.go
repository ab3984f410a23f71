package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/localday"
	"loanserve/jobs"
)

// parsed returns the settings that a command line and an environment lead to.
func parsed(t *testing.T, env environment, args ...string) *cli {
	t.Helper()
	var stderr bytes.Buffer
	p := &program{env: env.lookup, stdout: &stderr, stderr: &stderr}
	command, _ := p.parse(args)
	require.NotNil(t, command, stderr.String())
	return command.settings
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestFlagsWinOverVariablesAndThoseOverTheFile(t *testing.T) {
	t.Parallel()

	file := write(t, `# The file of a small deployment.
DATABASE_URL = "postgres://file/loans"
LOANSERVE_LISTEN=127.0.0.1:1001
LOANSERVE_ADMIN_LISTEN=127.0.0.1:1002
LOANSERVE_STOP_TIMEOUT=1s

LOANSERVE_LOG_FORMAT='json'
`)
	env := environment{
		"LOANSERVE_CONFIG": file, "LOANSERVE_LISTEN": "127.0.0.1:2001", "LOANSERVE_ADMIN_LISTEN": "127.0.0.1:2002",
	}
	got := parsed(t, env, "serve", "--listen", "127.0.0.1:3001")
	require.Equal(t, address("127.0.0.1:3001"), got.Serve.Listen, "from the flag")
	require.Equal(t, address("127.0.0.1:2002"), got.Serve.AdminListen, "from the variable")
	require.Equal(t, time.Second, got.Serve.StopTimeout, "from the file")
	require.Equal(t, databaseURL("postgres://file/loans"), got.Serve.DatabaseURL, "from the file, without its quotes")
	require.Equal(t, logJSON, got.LogFormat)
	require.Equal(t, count(0), got.Serve.Workers, "from nowhere")
	require.Equal(t, "America/New_York", got.Serve.TimeZone.String())
	require.Equal(t, "00:30", got.Serve.CloseDayAt.String())
	require.Equal(t, "17:00", localday.Hour(got.Serve.CutOff).String())

	got = parsed(t, environment{"LOANSERVE_CONFIG": "/nonexistent"}, "serve", "--config", file)
	require.Equal(t, address("127.0.0.1:1001"), got.Serve.Listen, "--config wins over its variable")
}

func TestReversalApprovalIsOffUnlessAskedFor(t *testing.T) {
	t.Parallel()

	const name = "LOANSERVE_REVERSAL_APPROVAL"
	require.False(t, parsed(t, environment{"DATABASE_URL": "postgres://x/y"}, "serve").Serve.ReversalApproval)
	for value, want := range map[string]bool{"true": true, "false": false, "": false} {
		env := environment{"DATABASE_URL": "postgres://x/y", name: value}
		require.Equal(t, want, parsed(t, env, "serve").Serve.ReversalApproval, value)
		require.True(t, parsed(t, env, "serve", "--reversal-approval").Serve.ReversalApproval, value)
	}
	got := runWith(t.Context(), environment{"DATABASE_URL": "postgres://x/y", name: "perhaps"}, "serve")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, name)
}

func TestNoProviderIsKnownUnlessOneIsSet(t *testing.T) {
	t.Parallel()

	env := environment{"DATABASE_URL": "postgres://x/y"}
	require.Empty(t, parsed(t, env, "serve").Serve.OIDCIssuer)
	env["LOANSERVE_OIDC_ISSUER"], env["LOANSERVE_OIDC_AUDIENCE"] = "https://id.example.com", "loans"
	got := parsed(t, env, "serve", "--oidc-keys-url", "https://id.example.com/keys").Serve
	require.Equal(t, providerURL("https://id.example.com"), got.OIDCIssuer)
	require.Equal(t, "loans", got.OIDCAudience)
	require.Equal(t, providerURL("https://id.example.com/keys"), got.OIDCKeysURL)
}

func TestDaysAreClosedUnlessThatIsOff(t *testing.T) {
	t.Parallel()

	schedule := func(args ...string) *jobs.DayCloseSchedule {
		env := environment{"DATABASE_URL": "postgres://localhost/loans"}
		work := parsed(t, env, append([]string{"work"}, args...)...).Work
		o, err := work.options(&program{env: env.lookup, stderr: io.Discard}, &cli{})
		require.NoError(t, err)
		require.Nil(t, o.backups)
		return o.dayCloses()
	}
	require.Nil(t, schedule("--close-day-at", "off"))
	got := schedule("--close-day-at", "23:15", "--time-zone", "Pacific/Honolulu")
	require.Equal(t, "23:15", got.At.String())
	require.Equal(t, "Pacific/Honolulu", got.Zone.String())
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()

	secret := write(t, "postgres://secret/loans\n")
	fromVariable := parsed(t, environment{"DATABASE_URL_FILE": secret}, "work")
	require.Equal(t, databaseURL("postgres://secret/loans"), fromVariable.Work.DatabaseURL)

	file := write(t, "DATABASE_URL_FILE="+secret+"\n")
	fromFile := parsed(t, nil, "work", "--config", file)
	require.Equal(t, databaseURL("postgres://secret/loans"), fromFile.Work.DatabaseURL)

	both := parsed(t, environment{"DATABASE_URL": "postgres://variable/loans"}, "work", "--config", file)
	require.Equal(t, databaseURL("postgres://variable/loans"), both.Work.DatabaseURL, "the variable wins over the file")
}

func TestConfigurationFilesAreRead(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		text, says string
	}{
		"an unknown name":          {"LOANSERVE_WROKERS=3", `LOANSERVE_WROKERS`},
		"another program's name":   {"PATH=/bin", "PATH"},
		"a line without a value":   {"# fine\nLOANSERVE_WORKERS", "line 2"},
		"a name set twice":         {"LOANSERVE_WORKERS=3\nLOANSERVE_WORKERS=4", "line 2"},
		"a value out of its range": {"LOANSERVE_WORKERS=minus", "LOANSERVE_WORKERS"},
		"a secret that is wrong":   {"DATABASE_URL=" + secretURL, "DATABASE_URL"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := runWith(t.Context(), environment{"LOANSERVE_CONFIG": write(t, tt.text)}, "serve")
			require.Equal(t, exitUsage, got.code)
			require.Contains(t, got.stderr, tt.says)
			require.NotContains(t, got.stderr, "hunter2")
		})
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]time.Duration{"90d": 90 * day, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute} {
		var got lifetime
		if err := got.UnmarshalText([]byte(text)); err != nil || time.Duration(got) != want {
			t.Errorf("lifetime %q = %v, %v; want %v", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{"", "d", "0d", "-1h", "-1d", "9999d", "1y"} {
		var got lifetime
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("lifetime %q = %v, want an error", text, time.Duration(got))
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()

	var b bytes.Buffer
	list := newTable("NAME", " CENTS", "NOTE")
	list.add("é", "1", "")
	list.add("long", "1000", "x")
	require.NoError(t, list.print(&b))
	require.Equal(t, "NAME  CENTS  NOTE\né         1\nlong   1000  x\n", b.String())
}
