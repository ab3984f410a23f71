package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
)

// backupServer is a server of the test's own with a migrated database, and an
// environment that backs it up.
func backupServer(t *testing.T) (*pgcluster.Cluster, environment) {
	t.Helper()
	cluster := testdb.OwnServer(t)
	sql(t, cluster.URL("postgres"), `ALTER DATABASE `+testdb.OwnDatabase+` RENAME TO books`)
	env := environment{
		"DATABASE_URL": cluster.URL("books"), "LOANSERVE_BACKUP_URL": "file://" + t.TempDir(),
		"LOANSERVE_BACKUP_SCRATCH": pgcluster.Temp(),
	}
	return cluster, env
}

func sql(t *testing.T, url, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), text)
	require.NoError(t, err)
}

func listBackups(t *testing.T, env environment) []listedBackup {
	t.Helper()
	got := runWith(t.Context(), env, "backup", "list", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	var list struct {
		Backups []listedBackup `json:"backups"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list))
	return list.Backups
}

// The commands, as an operator goes through them.
func TestBackupCommands(t *testing.T) {
	t.Parallel()
	cluster, env := backupServer(t)
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte("# ours\n"+identity.String()+"\n"), 0o600))
	env["LOANSERVE_BACKUP_RECIPIENTS"] = identity.Recipient().String()

	got := runWith(t.Context(), env, "backup", "create")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Len(t, strings.Split(strings.TrimSpace(got.stdout), "\n"), 2)
	list := listBackups(t, env)
	require.Len(t, list, 2)
	for _, b := range list {
		require.True(t, b.Encrypted)
		require.Equal(t, "unverified", b.State)
	}

	got = runWith(t.Context(), env, "backup", "verify", "--latest")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "encrypted")
	env["LOANSERVE_BACKUP_IDENTITY"] = keys
	for _, kind := range []string{"physical", "logical"} {
		got = runWith(t.Context(), env, "backup", "verify", "--latest", "--kind", kind)
		require.Equal(t, exitOK, got.code, got.stdout+got.stderr)
		require.Contains(t, got.stdout, "verified in")
	}
	got = runWith(t.Context(), env, "backup", "list")
	require.Equal(t, 2, strings.Count(got.stdout, " verified"))

	got = runWith(t.Context(), env, "backup", "prune")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Equal(t, 2, strings.Count(got.stdout, "kept"))

	home, remove, err := pgcluster.Scratch(t.Context(), pgcluster.Temp())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remove()) })
	dir := filepath.Join(home, "restored")
	got = runWith(t.Context(), env, "restore", "latest", "--kind", "physical", "--into", dir)
	require.Equal(t, exitOK, got.code, got.stderr)
	require.FileExists(t, filepath.Join(dir, "global", "pg_control"))
	got = runWith(t.Context(), env, "restore", "latest", "--into", dir)
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "not empty")
	got = runWith(t.Context(), env, "restore", "latest", "--kind", "logical", "--into", cluster.URL("books"))
	require.Equal(t, exitFailure, got.code)
	sql(t, cluster.URL("postgres"), `CREATE DATABASE again TEMPLATE template0`)
	got = runWith(t.Context(), env, "restore", "latest", "--kind", "logical", "--into", cluster.URL("again"))
	require.Equal(t, exitOK, got.code, got.stderr)
	restored := environment{"DATABASE_URL": cluster.URL("again")}
	for _, command := range []string{"migrate up", "migrate status", "check schema", "check integrity"} {
		got = runWith(t.Context(), restored, strings.Fields(command)...)
		require.Equal(t, exitOK, got.code, command+": "+got.stdout+got.stderr)
	}
}

// A flipped byte is a finding, and one who asks for what is not there is told so.
func TestBackupThatIsNotWhatItShouldBe(t *testing.T) {
	t.Parallel()
	_, env := backupServer(t)
	got := runWith(t.Context(), env, "backup", "verify", "--latest")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "holds no backup")
	got = runWith(t.Context(), env, "backup", "list")
	require.Equal(t, exitOK, got.code)
	require.Contains(t, got.stderr, "holds no backup")

	got = runWith(t.Context(), env, "backup", "create", "--kind", "logical", "--json")
	require.Equal(t, exitOK, got.code, got.stderr)
	list := listBackups(t, env)
	require.Len(t, list, 1)
	path := filepath.Join(strings.TrimPrefix(env["LOANSERVE_BACKUP_URL"], "file://"), list[0].ID, "database.dump.zst")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
	got = runWith(t.Context(), env, "backup", "verify", list[0].ID)
	require.Equal(t, exitFinding, got.code, got.stderr)
	require.Contains(t, got.stdout, "NOT verified")
	require.Equal(t, "refused", listBackups(t, env)[0].State)
	got = runWith(t.Context(), env, "restore", list[0].ID, "--into", filepath.Join(t.TempDir(), "new"))
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "broken")
}

// Where the server refuses to be copied, the logical backup is made, and the exit
// code says that it is alone.
func TestBackupOfAManagedDatabase(t *testing.T) {
	t.Parallel()
	cluster, env := backupServer(t)
	sql(t, cluster.URL("books"), `CREATE ROLE nightly LOGIN; GRANT loanserve_backup TO nightly`)
	env["LOANSERVE_BACKUP_DATABASE_URL"] = strings.Replace(env["DATABASE_URL"], "postgres@", "nightly@", 1)
	got := runWith(t.Context(), env, "backup", "create")
	require.Equal(t, exitFinding, got.code, got.stderr)
	require.Contains(t, got.stderr, "REPLICATION")
	list := listBackups(t, env)
	require.Len(t, list, 1)
	require.Contains(t, list[0].Note, "no physical backup")
	got = runWith(t.Context(), env, "backup", "create", "--kind", "physical")
	require.Equal(t, exitFailure, got.code)
	got = runWith(t.Context(), env, "backup", "verify", "--latest")
	require.Equal(t, exitOK, got.code, got.stdout+got.stderr)
}
