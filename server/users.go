package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeUsers() {
	register(s, ScopeUsersRead, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/v1/users", Tags: []string{"users"},
		Summary: "List users",
	}, s.listUsers)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "create-user", Method: http.MethodPost, Path: "/v1/users", Tags: []string{"users"},
		Summary: "Add a user",
		Description: "Without a password the user cannot log in before he has set one, by a token of POST " +
			"/v1/users/{user_id}/password-resets.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createUser)
	register(s, ScopeUsersRead, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/v1/users/{user_id}", Tags: []string{"users"},
		Summary: "Get a user", Errors: []int{http.StatusNotFound},
	}, s.getUser)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "change-user", Method: http.MethodPatch, Path: "/v1/users/{user_id}", Tags: []string{"users"},
		Summary:     "Disable or enable a user",
		Description: "Whoever is disabled cannot log in, his sessions are ended, and his tokens refused for as long.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.changeUser)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "delete-user", Method: http.MethodDelete, Path: "/v1/users/{user_id}", Tags: []string{"users"},
		Summary: "Delete a user",
		Description: "His sessions, roles, networks and tokens go with him. The audit trail, attempts to log in, and the " +
			"payments and transactions that he caused stay, and go on saying who it was. The last admin stays.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.deleteUser)
}

// user is a person as the API shows him.
type user struct {
	UserID    int64     `json:"user_id"`
	Name      string    `json:"name" doc:"What is typed to log in."`
	FullName  string    `json:"full_name"`
	Roles     []string  `json:"roles"`
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled"`
}

func userOf(row queries.User, roles []string) user {
	return user{
		UserID: row.ID, Name: row.Name, FullName: row.FullName, Roles: roles, CreatedAt: row.CreatedAt.UTC(),
		Disabled: row.DisabledAt != nil,
	}
}

type listUsersInput struct{ Page }

type listUsersOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body userPage
}

type userPage struct {
	Data       []user `json:"data"`
	NextCursor string `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listUsers(ctx context.Context, in *listUsersInput) (*listUsersOutput, error) {
	after, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListUsers(ctx, after, in.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.ListUsersRow) string { return strconv.FormatInt(r.ID, 10) })
	out := &listUsersOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, user{
			UserID: row.ID, Name: row.Name, FullName: row.FullName, Roles: row.Roles,
			CreatedAt: row.CreatedAt.UTC(), Disabled: row.DisabledAt != nil,
		})
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/users", next, nil)
	}
	return out, nil
}

type createUserInput struct{ Body newUser }

type newUser struct {
	Name     string   `json:"name" minLength:"1" maxLength:"100" pattern:"^[a-z0-9][a-z0-9._@+-]*$" patternDescription:"small letters, digits and . _ @ + -"`
	FullName string   `json:"full_name" minLength:"1" maxLength:"200"`
	Password string   `json:"password,omitzero" minLength:"12" maxLength:"128"`
	Roles    []string `json:"roles,omitzero" maxItems:"5" enum:"viewer,operator,approver,auditor,admin"`
}

type userOutput struct {
	Body user
}

type createUserOutput struct {
	Location string `header:"Location"`
	Body     user
}

func (s *Server) createUser(ctx context.Context, in *createUserInput) (*createUserOutput, error) {
	password := in.Body.Password
	if password == "" {
		password = NewTokenSecret() // that nobody learns
	} else if CheckPassword(in.Body.Name, password) != nil {
		return nil, invalid(inBody("/password", "must not be the name"))
	}
	hash, err := s.newHash(ctx, password)
	if err != nil {
		return nil, err
	}
	actor := actorOf(ctx)
	var row queries.User
	var roles []string
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		row, err = Users{tx}.Create(ctx, actor, queries.InsertUserParams{
			Name: in.Body.Name, FullName: in.Body.FullName, PasswordHash: hash,
		}, in.Body.Roles)
		if err != nil {
			return err
		}
		roles, err = queries.New(tx).ListUserRoles(ctx, row.ID)
		return err
	})
	if err != nil {
		return nil, asUserProblem(err)
	}
	return &createUserOutput{
		Location: "/v1/users/" + strconv.FormatInt(row.ID, 10), Body: userOf(row, roles),
	}, nil
}

// UserRef is the user that an operation is about. huma fills embedded fields only
// where they are exported.
type UserRef struct {
	UserID int64 `path:"user_id" minimum:"1" maximum:"9007199254740991"`
}

func (s *Server) getUser(ctx context.Context, in *UserRef) (*userOutput, error) {
	row, err := s.findUser(ctx, in.UserID)
	if err != nil {
		return nil, err
	}
	roles, err := s.q.ListUserRoles(ctx, in.UserID)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return &userOutput{Body: userOf(row, roles)}, nil
}

type changeUserInput struct {
	UserRef

	Body struct {
		Disabled bool `json:"disabled"`
	}
}

func (s *Server) changeUser(ctx context.Context, in *changeUserInput) (*userOutput, error) {
	change := Users.Enable
	if in.Body.Disabled {
		change = Users.Disable
	}
	err := s.onUsers(ctx, func(u Users, actor Actor) error { return change(u, ctx, actor, in.UserID) })
	if err != nil {
		return nil, err
	}
	return s.getUser(ctx, &in.UserRef)
}

func (s *Server) deleteUser(ctx context.Context, in *UserRef) (*struct{}, error) {
	return nil, s.onUsers(ctx, func(u Users, actor Actor) error { return u.Delete(ctx, actor, in.UserID) })
}

// onUsers changes people in one transaction, for whoever makes the request.
func (s *Server) onUsers(ctx context.Context, change func(Users, Actor) error) error {
	actor := actorOf(ctx)
	return asUserProblem(pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error { return change(Users{tx}, actor) }))
}

func noSuchUser() *problem { return notFound("There is no such user.") }

// asUserProblem says to the caller why people are not changed as was asked. Any
// other error stays what it is.
func asUserProblem(err error) error {
	switch {
	case errors.Is(err, ErrNoUser):
		return noSuchUser()
	case errors.Is(err, ErrNameTaken):
		return conflict("It exists already.", inBody("/name", "belongs to another user"))
	case errors.Is(err, ErrLastAdmin):
		return conflict("Nobody would be left who is an admin and not disabled. Give another user that role first.")
	case errors.Is(err, ErrOwnRoles):
		return forbidden("Nobody changes his own roles.")
	case errors.Is(err, ErrMakerChecker):
		return conflict("Nobody is operator and approver: who asks for a change does not approve it.")
	default:
		return err
	}
}
