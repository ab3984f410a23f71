package migrations_test

import (
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/pgcluster"
	"loanserve/internal/testdb"
	"loanserve/migrations"
)

// freshServer starts a server without roles of ours: roles belong to a server,
// so that the one other tests use has them already.
func freshServer(t *testing.T) *pgcluster.Cluster {
	t.Helper()
	binaries, err := pgcluster.Provision(t.Context(), func(line string) { t.Log(line) })
	require.NoError(t, err)
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Binaries: binaries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	return cluster
}

// requireAllPending proves that a server without roles of ours is told what it
// lacks, and not that a role does not exist.
func requireAllPending(t *testing.T, address string) {
	t.Helper()
	all, err := migrations.Status(t.Context(), address)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, m := range all {
		require.Zero(t, m.AppliedAt, m.Name)
	}
}

// as is a URL for another login.
func as(t *testing.T, address, login string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.User(login)
	return u.String()
}

// connect opens a connection that acts as the role, and as the login itself
// where role is "none".
func connect(t *testing.T, address, role string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	require.NoError(t, err)
	config.RuntimeParams["role"] = role
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// refusedWithAdvice proves that Up refuses the login for want of a privilege,
// says what an administrator has to do, and leaves no table behind.
func refusedWithAdvice(t *testing.T, address, database, login string) {
	t.Helper()
	applied, err := migrations.Up(t.Context(), as(t, address, login), quiet())
	require.Empty(t, applied)
	code, _ := state(err)
	require.Equal(t, insufficientPrivilege, code, "%v", err)
	require.ErrorContains(t, err, "migrations/roles.sql")
	require.ErrorContains(t, err, "loanserve_migrator")
	require.Zero(t, one[int](t, connect(t, address, testdb.RoleSuper),
		`SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'river')`), database)
}

// TestSmallDeployment migrates by a login that is no superuser, but may create
// roles and owns its database, and that serves as well.
func TestSmallDeployment(t *testing.T) {
	t.Parallel()
	server := freshServer(t)
	requireAllPending(t, server.URL("postgres"))
	admin := connect(t, server.URL("postgres"), testdb.RoleSuper)
	exec(t, admin, `CREATE ROLE powerless LOGIN`)
	exec(t, admin, `CREATE ROLE small LOGIN CREATEROLE`)
	exec(t, admin, `CREATE DATABASE small OWNER small`)
	address := server.URL("small")

	refusedWithAdvice(t, address, "small", "powerless")
	require.Empty(t, column[string](t, admin, `SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'loanserve_')`))

	applied, err := migrations.Up(t.Context(), as(t, address, "small"), quiet())
	require.NoError(t, err)
	require.NotEmpty(t, applied)
	applied, err = migrations.Up(t.Context(), as(t, address, "small"), quiet())
	require.NoError(t, err, "it finds that it may")
	require.Empty(t, applied)

	guard := func(login string) error { return migrations.GuardDDL(t.Context(), as(t, address, login)) }
	require.ErrorIs(t, guard("small"), migrations.ErrNoEventTriggers)
	require.NoError(t, migrations.GuardDDL(t.Context(), server.URL("small")), "a superuser may")
	require.NoError(t, guard("small"), "and then nothing is left to do")

	serving := connect(t, as(t, address, "small"), testdb.RoleApp)
	require.NoError(t, migrations.Check(t.Context(), serving))
	loan := testdb.Loan(t, serving)
	_, err = serving.Exec(t.Context(), `DELETE FROM loans`)
	code, _ := state(err)
	require.Equal(t, insufficientPrivilege, code, "what serves has no more rights than anywhere")
	_, err = connect(t, as(t, address, "small"), testdb.RoleOwner).Exec(t.Context(), `DELETE FROM loans`)
	code, _ = state(err)
	require.Equal(t, restrictViolation, code)
	require.Equal(t, loan.ID, one[int64](t, serving, `SELECT id FROM loans`))
}

// TestStrictDeployment has an administrator make roles and logins: one migrates
// and cannot serve, one serves and cannot migrate. Before that it migrates
// several databases of the fresh server at once, which all want to make the roles.
func TestStrictDeployment(t *testing.T) {
	t.Parallel()
	server := freshServer(t)
	admin := connect(t, server.URL("postgres"), testdb.RoleSuper)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 4 {
		database := fmt.Sprintf("together_%d", i)
		exec(t, admin, `CREATE DATABASE `+database)
		group.Go(func() error {
			_, err := migrations.Up(ctx, server.URL(database), quiet())
			return err
		})
	}
	require.NoError(t, group.Wait())

	exec(t, admin, `CREATE DATABASE strict`)
	exec(t, admin, `CREATE ROLE migrating LOGIN IN ROLE loanserve_migrator`)
	exec(t, admin, `CREATE ROLE serving LOGIN IN ROLE loanserve_app`)
	address := server.URL("strict")

	refusedWithAdvice(t, address, "strict", "migrating") // The owner may not create anything here yet.
	roles, err := os.ReadFile("roles.sql")
	require.NoError(t, err)
	exec(t, connect(t, address, testdb.RoleSuper), string(roles))
	refusedWithAdvice(t, address, "strict", "serving")

	applied, err := migrations.Up(t.Context(), as(t, address, "migrating"), quiet())
	require.NoError(t, err)
	require.NotEmpty(t, applied)
	_, err = migrations.Up(t.Context(), as(t, address, "serving"), quiet())
	code, _ := state(err)
	require.Equal(t, insufficientPrivilege, code)

	serving := connect(t, as(t, address, "serving"), testdb.RoleApp)
	require.NoError(t, migrations.Check(t.Context(), serving))
	testdb.Loan(t, serving)
	requireNotMember(t, as(t, address, "serving"), testdb.RoleOwner)
	requireNotMember(t, as(t, address, "migrating"), testdb.RoleApp)
	_, err = connect(t, as(t, address, "migrating"), testdb.RoleSuper).Exec(t.Context(), `SELECT FROM loans`)
	code, _ = state(err)
	require.Equal(t, insufficientPrivilege, code, "by itself the migrating login has no rights")
}

// requireNotMember proves that the login cannot act as the role.
func requireNotMember(t *testing.T, address, role string) {
	t.Helper()
	config, err := pgxpool.ParseConfig(address)
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["role"] = role
	_, err = pgx.ConnectConfig(t.Context(), config.ConnConfig)
	code, _ := state(err)
	require.Equal(t, insufficientPrivilege, code, "%s at %s: %v", role, address, err)
}
