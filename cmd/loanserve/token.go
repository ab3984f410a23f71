package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
	"loanserve/queries"
	"loanserve/server"
)

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Create a token and print it: it is shown only this once."`
	List   tokenListCommand   `cmd:"" help:"List all tokens, without their secrets."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token. Servers notice within seconds."`
}

// apiToken is a token as it is printed. The token itself is there only when it
// was just created.
type apiToken struct {
	TokenID    int64      `json:"token_id"`
	Name       string     `json:"name"`
	Token      string     `json:"token,omitempty"`
	Scopes     []string   `json:"scopes"`
	CreatedAt  time.Time  `json:"created_at"`
	UserID     *int64     `json:"user_id,omitempty"`
	CIDRs      []string   `json:"cidrs,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

func tokenOf(row queries.ApiToken) apiToken {
	var cidrs []string
	for _, n := range row.Cidrs {
		cidrs = append(cidrs, n.String())
	}
	return apiToken{
		UserID: row.UserID, CIDRs: cidrs,
		TokenID: row.ID, Name: row.Name, Scopes: row.Scopes, CreatedAt: row.CreatedAt.UTC(),
		ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt, LastUsedAt: row.LastUsedAt,
	}
}

type tokenCreateCommand struct {
	databaseFlags

	Name      string           `required:"" placeholder:"NAME" help:"Whose token it is, for people."`
	Scope     []string         `required:"" sep:"," placeholder:"SCOPE" help:"What it allows, once for each: ${scopes}."`
	User      string           `placeholder:"NAME" help:"The user it belongs to: it can do no more than he, and goes with him; otherwise nobody's."`
	CIDR      []networkSetting `name:"cidr" sep:"," placeholder:"NETWORK" help:"Where it may be used, once for each; otherwise anywhere."`
	ExpiresIn lifetime         `placeholder:"DURATION" help:"When it ends by itself, such as 90d or 12h; otherwise never."`
	JSON      bool             `name:"json" help:"Print JSON."`
}

// allScopes lists the scopes there are.
func allScopes() []string { return slices.Sorted(maps.Keys(server.Scopes)) }

// Validate implements kong.Validatable.
func (t *tokenCreateCommand) Validate() error {
	for _, scope := range t.Scope {
		if _, ok := server.Scopes[scope]; !ok {
			return fmt.Errorf("--scope: there is no scope %q, only %s", scope, strings.Join(allScopes(), ", "))
		}
	}
	const longest = 100
	if t.Name == "" || len(t.Name) > longest {
		return fmt.Errorf("--name: must have 1 to %d characters", longest)
	}
	return nil
}

// Run implements the command.
func (t *tokenCreateCommand) Run(ctx context.Context, p *program) error {
	pool, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	slices.Sort(t.Scope)
	secret := server.NewTokenSecret()
	arg := queries.InsertAPITokenParams{
		Name: t.Name, TokenHash: server.HashTokenSecret(secret), Scopes: slices.Compact(t.Scope), ExpiresAt: nil,
		UserID: nil, Cidrs: nil, RequestedBy: &server.Operator.ID, IdempotencyKey: nil, RequestHash: nil,
	}
	if t.ExpiresIn > 0 {
		at := time.Now().UTC().Add(time.Duration(t.ExpiresIn)).Truncate(time.Second)
		arg.ExpiresAt = &at
	}
	for _, n := range t.CIDR {
		arg.Cidrs = append(arg.Cidrs, netip.Prefix(n))
	}
	if t.User != "" {
		user, err := findUser(ctx, pool, t.User)
		if err != nil {
			return err
		}
		arg.UserID = &user.ID
	}
	var row queries.ApiToken
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		row, err = server.CreateToken(ctx, tx, server.Operator, arg)
		return err
	})
	if err != nil {
		return err
	}
	token := tokenOf(row)
	token.Token = server.FormatToken(row.ID, secret)
	if t.JSON {
		return printJSON(p.stdout, token)
	}
	_, err = fmt.Fprintln(p.stdout, token.Token)
	return err
}

type tokenListCommand struct {
	databaseFlags

	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements the command.
func (t *tokenListCommand) Run(ctx context.Context, p *program) error {
	pool, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	const everybody, most = 0, 10_000
	rows, err := queries.New(pool).ListAPITokens(ctx, queries.ListAPITokensParams{
		AfterID: 0, UserID: everybody, RowLimit: most,
	})
	if err != nil {
		return fmt.Errorf("list tokens: %w", err)
	}
	if t.JSON {
		tokens := make([]apiToken, len(rows))
		for i, row := range rows {
			tokens[i] = tokenOf(row)
		}
		return printJSON(p.stdout, map[string]any{"tokens": tokens})
	}
	list := newTable(" ID", "NAME", "STATE", "CREATED", "LAST USED", "SCOPES")
	for _, row := range rows {
		used := "never"
		if row.LastUsedAt != nil {
			used = row.LastUsedAt.UTC().Format(time.RFC3339)
		}
		list.add(strconv.FormatInt(row.ID, 10), row.Name, tokenState(row, time.Now()),
			row.CreatedAt.UTC().Format(time.RFC3339), used, strings.Join(row.Scopes, " "))
	}
	return list.print(p.stdout)
}

func tokenState(row queries.ApiToken, now time.Time) string {
	switch {
	case row.RevokedAt != nil:
		return "revoked " + row.RevokedAt.UTC().Format(time.DateOnly)
	case row.ExpiresAt == nil:
		return "valid"
	case row.ExpiresAt.After(now):
		return "valid until " + row.ExpiresAt.UTC().Format(time.DateOnly)
	default:
		return "expired " + row.ExpiresAt.UTC().Format(time.DateOnly)
	}
}

type tokenRevokeCommand struct {
	databaseFlags

	ID   int64 `arg:"" help:"The token's number in the list."`
	JSON bool  `name:"json" help:"Print JSON."`
}

// Run implements the command. Revoking a token again is no mistake.
func (t *tokenRevokeCommand) Run(ctx context.Context, p *program) error {
	pool, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	var row queries.ApiToken
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		row, err = server.RevokeToken(ctx, tx, server.Operator, t.ID)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("there is no token %d", t.ID)
	}
	if err != nil {
		return err
	}
	if t.JSON {
		return printJSON(p.stdout, tokenOf(row))
	}
	_, err = fmt.Fprintf(p.stdout, "token %d (%s) is revoked since %s\n",
		row.ID, row.Name, row.RevokedAt.UTC().Format(time.RFC3339))
	return err
}

// open opens a small pool as the application, for a command that ends soon.
func (f *databaseFlags) open(ctx context.Context) (*pgxpool.Pool, error) {
	const conns = 2
	return database.Open(ctx, string(f.DatabaseURL), database.Options{
		Role: database.RoleApp, MaxConns: conns, ApplicationName: "loanserve",
	})
}
