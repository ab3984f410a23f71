package database_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/database"
	"loanserve/internal/testdb"
)

func TestSessionsActAsTheRoleEvenAfterResetRole(t *testing.T) {
	t.Parallel()

	pool, err := database.Open(t.Context(), testdb.Clone(t).URL, database.Options{
		Role: database.RoleApp, MaxConns: 3, ApplicationName: "test of roles",
	})
	require.NoError(t, err)
	defer pool.Close()
	require.Equal(t, int32(3), pool.Config().MaxConns)

	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	for setting, want := range map[string]string{
		"role": database.RoleApp, "TimeZone": "UTC", "application_name": "test of roles",
		"idle_in_transaction_session_timeout": "1min", "statement_timeout": "5min",
	} {
		var got string
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&got))
		require.Equal(t, want, got, setting)
	}
	_, err = conn.Exec(t.Context(), `RESET ROLE`)
	require.NoError(t, err)
	var user string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_user`).Scan(&user))
	require.Equal(t, database.RoleApp, user)
}

func TestAConnectionStringMaySetItsOwnTimeouts(t *testing.T) {
	t.Parallel()

	address := withQuery(t, testdb.Clone(t).URL, "statement_timeout", "7000")
	pool, err := database.Open(t.Context(), address, database.Options{})
	require.NoError(t, err)
	defer pool.Close()
	var got string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_setting('statement_timeout')`).Scan(&got))
	require.Equal(t, "7s", got)
}

func TestOpenSaysWhatToDo(t *testing.T) {
	t.Parallel()

	db := testdb.Clone(t)
	login := testdb.Unique("login")
	_, err := db.Super.Exec(t.Context(), `CREATE ROLE `+pgx.Identifier{login}.Sanitize()+` LOGIN PASSWORD 'hunter2'`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Super.Exec(context.WithoutCancel(t.Context()), `DROP ROLE `+pgx.Identifier{login}.Sanitize())
		require.NoError(t, err)
	})
	stranger, err := url.Parse(db.URL)
	require.NoError(t, err)
	stranger.User = url.UserPassword(login, "hunter2")
	elsewhere, err := url.Parse(db.URL)
	require.NoError(t, err)
	elsewhere.Path = "/" + testdb.Unique("nothing")

	tests := map[string]struct{ url, role, says string }{
		"a login without the role": {stranger.String(), database.RoleApp, "GRANT loanserve_app"},
		"a role that is not there": {db.URL, "loanserve_nobody", "migrate up"},
		"no such database":         {elsewhere.String(), database.RoleApp, "does not exist"},
		"nobody listens":           {"postgres://u:hunter2@127.0.0.1:1/loans", database.RoleApp, "connect"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := database.Open(t.Context(), tt.url, database.Options{Role: tt.role})
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestAnUnreadableConnectionStringIsNotRepeated(t *testing.T) {
	t.Parallel()

	for _, text := range []string{"", "postgres://u:hunter2@h:port/db", "hunter2", "postgres://u:hunter2@%zz/db"} {
		require.ErrorIs(t, database.Check(text), database.ErrURL, text)
	}
	_, err := database.Open(t.Context(), "postgres://u:hunter2@h:port/db", database.Options{})
	require.ErrorIs(t, err, database.ErrURL)
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, database.Check("postgres://localhost/loans"))
}

func withQuery(t *testing.T, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// A strict deployment's login has no rights but to become the application.
func TestAPlainLoginBecomesTheRole(t *testing.T) {
	t.Parallel()

	db := testdb.Clone(t)
	login := testdb.Unique("member")
	_, err := db.Super.Exec(t.Context(),
		`CREATE ROLE `+pgx.Identifier{login}.Sanitize()+` LOGIN NOINHERIT PASSWORD 'secret' IN ROLE loanserve_app`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Super.Exec(context.WithoutCancel(t.Context()), `DROP ROLE `+pgx.Identifier{login}.Sanitize())
		require.NoError(t, err)
	})
	address, err := url.Parse(db.URL)
	require.NoError(t, err)
	address.User = url.UserPassword(login, "secret")
	pool, err := database.Open(t.Context(), address.String(), database.Options{Role: database.RoleApp})
	require.NoError(t, err)
	defer pool.Close()
	var loans int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM loans`).Scan(&loans))
}
