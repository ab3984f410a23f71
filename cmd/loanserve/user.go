package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/queries"
	"loanserve/server"
)

type userCommand struct {
	Create   userCreateCommand   `cmd:"" help:"Add a user."`
	List     userListCommand     `cmd:"" help:"List all users with their roles."`
	Disable  userDisableCommand  `cmd:"" help:"Keep a user from logging in, and end his sessions."`
	Enable   userEnableCommand   `cmd:"" help:"Let a disabled user log in again."`
	Delete   userDeleteCommand   `cmd:"" help:"Delete a user with his sessions, roles, networks and tokens. What he did stays on record."`
	Grant    userGrantCommand    `cmd:"" help:"Give a user a role."`
	Revoke   userRevokeCommand   `cmd:"" help:"Take a role from a user."`
	Password userPasswordCommand `cmd:"" help:"Give a user a new password, and end his sessions."`
}

// allRoles lists the roles there are.
func allRoles() []string { return slices.Sorted(maps.Keys(server.Roles)) }

// person is a user as he is printed.
type person struct {
	UserID    int64     `json:"user_id"`
	Name      string    `json:"name"`
	FullName  string    `json:"full_name"`
	Roles     []string  `json:"roles"`
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled"`
}

type userCreateCommand struct {
	databaseFlags
	passwordFlags

	Name     string   `required:"" placeholder:"NAME" help:"What is typed to log in: small letters, digits and . _ @ + -."`
	FullName string   `required:"" placeholder:"NAME" help:"Who it is."`
	Role     []string `sep:"," placeholder:"ROLE" help:"A role, once for each: ${roles}."`
	Admin    bool     `help:"The same as --role admin: may manage users. The first user should be one."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Validate implements kong.Validatable.
func (u *userCreateCommand) Validate() error {
	if u.Admin {
		u.Role = append(u.Role, server.RoleAdmin)
	}
	slices.Sort(u.Role)
	u.Role = slices.Compact(u.Role)
	for _, role := range u.Role {
		if _, ok := server.Roles[role]; !ok {
			return fmt.Errorf("--role: there is no role %q, only %s", role, strings.Join(allRoles(), ", "))
		}
	}
	if !server.ValidUserName(u.Name) {
		return errors.New("--name: must be 1 to 100 small letters, digits and . _ @ + -")
	}
	const longest = 200
	if u.FullName == "" || len(u.FullName) > longest {
		return fmt.Errorf("--full-name: must have 1 to %d characters", longest)
	}
	return nil
}

// Run implements the command.
func (u *userCreateCommand) Run(ctx context.Context, p *program) error {
	hash, err := u.hash(p, u.Name)
	if err != nil {
		return err
	}
	pool, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	var row queries.User
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		row, err = server.Users{Tx: tx}.Create(ctx, server.Operator, queries.InsertUserParams{
			Name: u.Name, FullName: u.FullName, PasswordHash: hash,
		}, u.Role)
		return err
	})
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	if u.JSON {
		return printJSON(p.stdout, person{
			UserID: row.ID, Name: row.Name, FullName: row.FullName, Roles: u.Role, CreatedAt: row.CreatedAt.UTC(),
		})
	}
	_, err = fmt.Fprintf(p.stdout, "user %d (%s) is created\n", row.ID, row.Name)
	return err
}

type userListCommand struct {
	databaseFlags

	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements the command.
func (u *userListCommand) Run(ctx context.Context, p *program) error {
	pool, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	const most = 10_000
	rows, err := queries.New(pool).ListUsers(ctx, 0, most)
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	people := make([]person, len(rows))
	list := newTable(" ID", "NAME", "FULL NAME", "STATE", "CREATED", "ROLES")
	for i, row := range rows {
		people[i] = person{
			UserID: row.ID, Name: row.Name, FullName: row.FullName, Roles: row.Roles, CreatedAt: row.CreatedAt.UTC(),
			Disabled: row.DisabledAt != nil,
		}
		state := "enabled"
		if row.DisabledAt != nil {
			state = "disabled " + row.DisabledAt.UTC().Format(time.DateOnly)
		}
		list.add(strconv.FormatInt(row.ID, 10), row.Name, row.FullName, state,
			row.CreatedAt.UTC().Format(time.RFC3339), strings.Join(row.Roles, " "))
	}
	if u.JSON {
		return printJSON(p.stdout, map[string]any{"users": people})
	}
	return list.print(p.stdout)
}

// userFlags are for the commands about one user.
type userFlags struct {
	databaseFlags

	Name string `arg:"" help:"The name that the user logs in with."`
}

// change changes the user in one transaction, and says so.
func (u *userFlags) change(
	ctx context.Context, p *program, done string, change func(server.Users, int64) error,
) error {
	pool, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	user, err := findUser(ctx, pool, u.Name)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return change(server.Users{Tx: tx}, user.ID) })
	if err != nil {
		return fmt.Errorf("change user %s: %w", u.Name, err)
	}
	_, err = fmt.Fprintf(p.stdout, "user %d (%s) %s\n", user.ID, user.Name, done)
	return err
}

func findUser(ctx context.Context, pool *pgxpool.Pool, name string) (queries.User, error) {
	user, err := queries.New(pool).GetUserByName(ctx, strings.ToLower(name))
	if errors.Is(err, pgx.ErrNoRows) {
		return user, fmt.Errorf("there is no user %q", name)
	}
	if err != nil {
		return user, fmt.Errorf("get user: %w", err)
	}
	return user, nil
}

type userDisableCommand struct{ userFlags }

// Run implements the command.
func (u *userDisableCommand) Run(ctx context.Context, p *program) error {
	return u.change(ctx, p, "is disabled", func(users server.Users, id int64) error {
		return users.Disable(ctx, server.Operator, id)
	})
}

type userEnableCommand struct{ userFlags }

// Run implements the command.
func (u *userEnableCommand) Run(ctx context.Context, p *program) error {
	return u.change(ctx, p, "is enabled", func(users server.Users, id int64) error {
		return users.Enable(ctx, server.Operator, id)
	})
}

type userDeleteCommand struct{ userFlags }

// Run implements the command.
func (u *userDeleteCommand) Run(ctx context.Context, p *program) error {
	return u.change(ctx, p, "is deleted", func(users server.Users, id int64) error {
		return users.Delete(ctx, server.Operator, id)
	})
}

type userGrantCommand struct {
	userFlags

	Role string `arg:"" enum:"${roleEnum}" help:"The role: ${roles}."`
}

// Run implements the command.
func (u *userGrantCommand) Run(ctx context.Context, p *program) error {
	return u.change(ctx, p, "is "+u.Role, func(users server.Users, id int64) error {
		return users.Grant(ctx, server.Operator, id, u.Role)
	})
}

type userRevokeCommand struct {
	userFlags

	Role string `arg:"" enum:"${roleEnum}" help:"The role: ${roles}."`
}

// Run implements the command.
func (u *userRevokeCommand) Run(ctx context.Context, p *program) error {
	return u.change(ctx, p, "is not "+u.Role, func(users server.Users, id int64) error {
		return users.Revoke(ctx, server.Operator, id, u.Role)
	})
}

type userPasswordCommand struct {
	userFlags
	passwordFlags
}

// Run implements the command.
func (u *userPasswordCommand) Run(ctx context.Context, p *program) error {
	hash, err := u.hash(p, u.Name)
	if err != nil {
		return err
	}
	return u.change(ctx, p, "has a new password", func(users server.Users, id int64) error {
		return users.SetPassword(ctx, server.Operator, id, hash)
	})
}
