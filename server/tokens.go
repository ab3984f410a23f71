package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeTokens() {
	register(s, ScopeSelf, huma.Operation{
		OperationID: "create-token", Method: http.MethodPost, Path: "/v1/tokens", Tags: []string{"tokens"},
		Summary: "Make a token",
		Description: "For a machine of one's own, or of another user for those who may change users. It takes a session. " +
			"Nobody gives a token a scope that he lacks himself, and a token never does more than the user it belongs " +
			"to may, nor from elsewhere. The token is shown only this once: a repeated request gets the same answer without " +
			"it. Who lost it revokes it and makes another under a new key.",
		DefaultStatus: http.StatusCreated,
	}, s.createToken)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: "/v1/tokens", Tags: []string{"tokens"},
		Summary:     "List tokens, the oldest first",
		Description: "One's own; for those who may read users everybody's, or those of one user.",
	}, s.listTokens)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: "/v1/tokens/{token_id}", Tags: []string{"tokens"},
		Summary: "Revoke a token",
		Description: "One of one's own; for those who may change users any. To revoke one again is no mistake. " +
			"Every process notices within five seconds.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.revokeToken)
}

// apiToken is a token as the API shows it.
type apiToken struct {
	TokenID     int64     `json:"token_id"`
	Name        string    `json:"name"`
	Token       string    `json:"token,omitzero" doc:"Send it as Authorization: Bearer …; it is shown only this once."`
	Scopes      []string  `json:"scopes" doc:"What it was made for; it does no more than its user may."`
	UserID      int64     `json:"user_id,omitzero" doc:"The user it belongs to; left out where it is nobody's."`
	CIDRs       []string  `json:"cidrs" doc:"The networks it may be used from; anywhere where there are none."`
	RequestedBy string    `json:"requested_by,omitzero" doc:"Who made it."`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	RevokedAt   time.Time `json:"revoked_at,omitzero"`
	LastUsedAt  time.Time `json:"last_used_at,omitzero" doc:"To the minute."`
}

func apiTokenOf(row queries.ApiToken) apiToken {
	shown := apiToken{
		TokenID: row.ID, Name: row.Name, Scopes: row.Scopes, CIDRs: make([]string, len(row.Cidrs)),
		RequestedBy: textOf(row.RequestedBy), CreatedAt: row.CreatedAt.UTC(), ExpiresAt: instantOf(row.ExpiresAt),
		RevokedAt: instantOf(row.RevokedAt), LastUsedAt: instantOf(row.LastUsedAt),
	}
	for i, n := range row.Cidrs {
		shown.CIDRs[i] = n.String()
	}
	if row.UserID != nil {
		shown.UserID = *row.UserID
	}
	return shown
}

type createTokenInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body newToken
}

type newToken struct {
	Name      string    `json:"name" minLength:"1" maxLength:"100" doc:"What it is for, for people."`
	Scopes    []string  `json:"scopes" minItems:"1" maxItems:"50" enum:"audit:read,backups:read,backups:run,escrow:analyze,escrow:deliver,escrow:disburse,escrow:payees,escrow:policy,escrow:read,escrow:write,housekeeping:run,integrity:read,integrity:run,jobs:control,jobs:read,loans:approve,loans:change,loans:close,loans:read,loans:write,operations:read,payments:approve,payments:read,payments:reverse,payments:write,runs:read,users:read,users:write,webhooks:read,webhooks:write"`
	CIDRs     []string  `json:"cidrs,omitzero" maxItems:"32" minLength:"2" maxLength:"50" doc:"Networks such as 192.0.2.0/24 that it may be used from; without, anywhere."`
	ExpiresAt time.Time `json:"expires_at,omitzero" doc:"When it ends by itself, within ten years; without, never."`
	UserID    int64     `json:"user_id,omitzero" minimum:"1" maximum:"9007199254740991" doc:"The user it is to belong to; without, oneself."`
}

// tokenLasts is how far ahead a token may end that ends at all.
const tokenLasts = 10 * 365 * 24 * time.Hour

type createTokenOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     apiToken
}

// createToken makes a token for whoever is logged in. That it takes a session
// keeps a token from outliving itself in another, without its networks and its
// end; that it belongs to a user keeps it from outliving his roles.
func (s *Server) createToken(ctx context.Context, in *createTokenInput) (*createTokenOutput, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	secret := NewTokenSecret()
	arg, err := tokenParams(p, in, secret, time.Now())
	if err != nil {
		return nil, err
	}
	row, replayed, err := once(
		func() (queries.ApiToken, error) { return s.makeToken(ctx, arg) },
		func() (queries.ApiToken, error) { return s.q.GetAPITokenByKey(ctx, p.ID, *arg.IdempotencyKey) },
		func(row queries.ApiToken) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	out := &createTokenOutput{
		Location: "/v1/tokens/" + strconv.FormatInt(row.ID, 10), Replayed: replayed, Body: apiTokenOf(row),
	}
	if replayed == "" {
		out.Body.Token = FormatToken(row.ID, secret)
	}
	return out, nil
}

// makeToken stores a token in one transaction, if the user it is to belong to
// may do what it is for.
func (s *Server) makeToken(ctx context.Context, arg queries.InsertAPITokenParams) (row queries.ApiToken, err error) {
	actor := actorOf(ctx)
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		_, err := Users{tx}.lock(ctx, *arg.UserID)
		if errors.Is(err, ErrNoUser) {
			return invalid(inBody("/user_id", "is not a user"))
		}
		if err != nil {
			return err
		}
		roles, err := queries.New(tx).ListUserRoles(ctx, *arg.UserID)
		if err != nil {
			return fmt.Errorf("list roles: %w", err)
		}
		if beyond := lacking(arg.Scopes, scopesOf(roles), "is one that the user lacks"); len(beyond) > 0 {
			return newProblem(kindInvalid, "The user it is to belong to lacks a scope.", beyond...)
		}
		row, err = CreateToken(ctx, tx, actor, arg)
		return err
	})
	return row, err
}

// lacking names the scopes, by their places in a body, that are not among those
// that somebody has, and says so of each.
func lacking(scopes, has []string, detail string) (faults []fault) {
	for i, scope := range scopes {
		if !slices.Contains(has, scope) {
			faults = append(faults, inBody("/scopes/"+strconv.Itoa(i), detail))
		}
	}
	return faults[:min(len(faults), maxFaults)]
}

// tokenParams checks what the schema cannot, of what the principal may ask for,
// and returns the row to store.
func tokenParams(
	p Principal, in *createTokenInput, secret string, now time.Time,
) (arg queries.InsertAPITokenParams, err error) {
	b := &in.Body
	if beyond := lacking(b.Scopes, p.Scopes, "is one that you lack"); len(beyond) > 0 {
		return arg, newProblem(kindForbidden, "Nobody gives a token a scope that he lacks himself.", beyond...)
	}
	owner := p.UserID
	if b.UserID != 0 && b.UserID != owner {
		if !slices.Contains(p.Scopes, ScopeUsersWrite) {
			return arg, forbidden("To make a token of another user takes the scope " + ScopeUsersWrite + ".")
		}
		owner = b.UserID
	}
	arg = queries.InsertAPITokenParams{
		Name: b.Name, TokenHash: HashTokenSecret(secret), Scopes: b.Scopes, ExpiresAt: nil, UserID: &owner,
		Cidrs: make([]netip.Prefix, len(b.CIDRs)), RequestedBy: &p.ID, IdempotencyKey: nil, RequestHash: nil,
	}
	if !b.ExpiresAt.IsZero() {
		if !b.ExpiresAt.After(now) || b.ExpiresAt.After(now.Add(tokenLasts)) {
			return arg, invalid(inBody("/expires_at", "must be in the future, and within ten years"))
		}
		arg.ExpiresAt = &b.ExpiresAt
	}
	for i, text := range b.CIDRs {
		if arg.Cidrs[i], err = ParseNetwork(text); err != nil {
			return arg, invalid(inBody("/cidrs/"+strconv.Itoa(i), "must be a network such as 192.0.2.0/24"))
		}
	}
	key, err := parseKey(in.Key)
	if err != nil {
		return arg, err
	}
	arg.IdempotencyKey = &key
	if arg.RequestHash, err = fingerprint("create-token", "/v1/tokens", b); err != nil {
		return arg, err
	}
	arg.Scopes = slices.Compact(slices.Sorted(slices.Values(b.Scopes)))
	return arg, nil
}

type listTokensInput struct {
	Page

	UserID int64 `query:"user_id" minimum:"1" maximum:"9007199254740991" doc:"Those of this user alone."`
}

type listTokensOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body tokenPage
}

type tokenPage struct {
	Data       []apiToken `json:"data"`
	NextCursor string     `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listTokens(ctx context.Context, in *listTokensInput) (*listTokensOutput, error) {
	owner := in.UserID
	if p := PrincipalOf(ctx); !slices.Contains(p.Scopes, ScopeUsersRead) {
		if _, err := person(ctx); err != nil {
			return nil, err
		}
		if owner != 0 && owner != p.UserID {
			return nil, forbidden("To read tokens of another user takes the scope " + ScopeUsersRead + ".")
		}
		owner = p.UserID
	}
	after, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListAPITokens(ctx, queries.ListAPITokensParams{
		AfterID: after, UserID: owner, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.ApiToken) string { return strconv.FormatInt(r.ID, 10) })
	out := &listTokensOutput{Body: tokenPage{Data: make([]apiToken, len(rows)), NextCursor: next}}
	for i, row := range rows {
		out.Body.Data[i] = apiTokenOf(row)
	}
	if next != "" {
		more := url.Values{}
		if in.UserID != 0 {
			more.Set("user_id", strconv.FormatInt(in.UserID, 10))
		}
		out.Link = in.linkToNext("/v1/tokens", next, more)
	}
	return out, nil
}

type revokeTokenInput struct {
	TokenID int64 `path:"token_id" minimum:"1" maximum:"9007199254740991"`
}

// revokeToken ends a token. One of somebody else's is to who may not change it as
// if it did not exist.
func (s *Server) revokeToken(ctx context.Context, in *revokeTokenInput) (*struct{}, error) {
	p := PrincipalOf(ctx)
	anybodys := slices.Contains(p.Scopes, ScopeUsersWrite)
	if _, err := person(ctx); err != nil && !anybodys {
		return nil, err
	}
	row, err := s.q.GetAPIToken(ctx, in.TokenID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !anybodys && (row.UserID == nil || *row.UserID != p.UserID) {
		return nil, notFound("There is no such token.")
	}
	if err != nil {
		return nil, fmt.Errorf("get token: %w", err)
	}
	actor := actorOf(ctx)
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		_, err := RevokeToken(ctx, tx, actor, in.TokenID)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) { // Its user was deleted in this moment, and it with him.
		return nil, notFound("There is no such token.")
	}
	s.tokens.forget(in.TokenID)
	return nil, err
}
