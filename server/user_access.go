package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// resetLasts is how long a password can be set anew once that was allowed.
const resetLasts = time.Hour

func (s *Server) routeUserAccess() {
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "grant-role", Method: http.MethodPut, Path: "/v1/users/{user_id}/roles/{role}",
		Tags: []string{"users"}, Summary: "Give a user a role", DefaultStatus: http.StatusNoContent,
		Description: "Nobody changes his own roles, and nobody is operator and approver.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, s.grantRole)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "revoke-role", Method: http.MethodDelete, Path: "/v1/users/{user_id}/roles/{role}",
		Tags: []string{"users"}, Summary: "Take a role from a user", DefaultStatus: http.StatusNoContent,
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.revokeRole)
	register(s, ScopeUsersRead, huma.Operation{
		OperationID: "list-networks", Method: http.MethodGet, Path: "/v1/users/{user_id}/networks",
		Tags: []string{"users"}, Summary: "List the networks that a user may come from",
		Description: "Without any he may come from anywhere. With some he may come only from those that are valid.",
	}, s.listNetworks)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "allow-network", Method: http.MethodPost, Path: "/v1/users/{user_id}/networks",
		Tags: []string{"users"}, Summary: "Let a user come from a network, and from nowhere else but such",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.allowNetwork)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "disallow-network", Method: http.MethodDelete,
		Path: "/v1/users/{user_id}/networks/{network_id}", Tags: []string{"users"},
		Summary: "Take a network from a user's list", DefaultStatus: http.StatusNoContent,
		Errors: []int{http.StatusNotFound},
	}, s.disallowNetwork)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "allow-password-reset", Method: http.MethodPost, Path: "/v1/users/{user_id}/password-resets",
		Tags: []string{"users"}, Summary: "Let a user set his password anew",
		Description:   "The token in the answer does it once, within an hour. One that was made before is void.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusNotFound},
	}, s.allowPasswordReset)
	registerPublic(s, huma.Operation{
		OperationID: "reset-password", Method: http.MethodPost, Path: "/v1/password-resets",
		Tags: []string{"sessions"}, Summary: "Set a password by the token of a reset",
		Description: "Ends all sessions of the user.", DefaultStatus: http.StatusNoContent,
	}, s.resetPassword)
}

type userRoleInput struct {
	UserRef

	Role string `path:"role" enum:"viewer,operator,approver,auditor,admin"`
}

func (s *Server) grantRole(ctx context.Context, in *userRoleInput) (*struct{}, error) {
	return nil, s.onUsers(ctx, func(u Users, a Actor) error { return u.Grant(ctx, a, in.UserID, in.Role) })
}

func (s *Server) revokeRole(ctx context.Context, in *userRoleInput) (*struct{}, error) {
	return nil, s.onUsers(ctx, func(u Users, a Actor) error { return u.Revoke(ctx, a, in.UserID, in.Role) })
}

// network is an entry of a user's list, as the API shows it.
type network struct {
	NetworkID int64     `json:"network_id"`
	IP        string    `json:"ip" doc:"A network such as 192.0.2.0/24."`
	Label     string    `json:"label"`
	BeginsAt  time.Time `json:"begins_at"`
	EndsAt    time.Time `json:"ends_at,omitzero"`
}

func networkEntry(row queries.UserIpAllowlist) network {
	n := network{NetworkID: row.ID, IP: row.Ip.String(), Label: row.Label, BeginsAt: row.BeginsAt.UTC()}
	if row.EndsAt != nil {
		n.EndsAt = row.EndsAt.UTC()
	}
	return n
}

type listNetworksOutput struct {
	Body struct {
		Data []network `json:"data"`
	}
}

func (s *Server) listNetworks(ctx context.Context, in *UserRef) (*listNetworksOutput, error) {
	rows, err := s.q.ListAllowedNetworks(ctx, in.UserID)
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	out := &listNetworksOutput{}
	out.Body.Data = make([]network, len(rows))
	for i, row := range rows {
		out.Body.Data[i] = networkEntry(row)
	}
	return out, nil
}

type allowNetworkInput struct {
	UserRef

	Body struct {
		IP     string    `json:"ip" minLength:"2" maxLength:"50" doc:"A network such as 192.0.2.0/24, or one address."`
		Label  string    `json:"label" minLength:"1" maxLength:"100"`
		EndsAt time.Time `json:"ends_at,omitzero" doc:"Until when it is valid; without, for good."`
	}
}

type allowNetworkOutput struct {
	Body network
}

func (s *Server) allowNetwork(ctx context.Context, in *allowNetworkInput) (*allowNetworkOutput, error) {
	ip, err := ParseNetwork(in.Body.IP)
	if err != nil {
		return nil, invalid(inBody("/ip", "must be a network such as 192.0.2.0/24"))
	}
	arg := queries.InsertAllowedNetworkParams{UserID: in.UserID, Ip: ip, Label: in.Body.Label, EndsAt: nil}
	if !in.Body.EndsAt.IsZero() {
		if !in.Body.EndsAt.After(time.Now()) {
			return nil, invalid(inBody("/ends_at", "must be in the future"))
		}
		arg.EndsAt = &in.Body.EndsAt
	}
	out := &allowNetworkOutput{}
	err = s.onUsers(ctx, func(u Users, a Actor) error {
		row, err := u.Allow(ctx, a, arg)
		out.Body = networkEntry(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ParseNetwork reads a network in CIDR notation, or a single address. Bits
// beyond the length of the network are refused, because they are a mistake.
func ParseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return p, errNotNetwork
	}
	return p, nil
}

var errNotNetwork = errors.New("must be a network such as 192.0.2.0/24, or one address")

type disallowNetworkInput struct {
	UserRef

	NetworkID int64 `path:"network_id" minimum:"1" maximum:"9007199254740991"`
}

func (s *Server) disallowNetwork(ctx context.Context, in *disallowNetworkInput) (*struct{}, error) {
	return nil, s.onUsers(ctx, func(u Users, a Actor) error {
		removed, err := u.Disallow(ctx, a, in.UserID, in.NetworkID)
		if err == nil && !removed {
			err = notFound("The user has no such network.")
		}
		return err
	})
}

type passwordResetOutput struct {
	Body struct {
		Token     string    `json:"token" doc:"Is shown only this once."`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

func (s *Server) allowPasswordReset(ctx context.Context, in *UserRef) (*passwordResetOutput, error) {
	secret := NewTokenSecret()
	out := &passwordResetOutput{}
	err := s.onUsers(ctx, func(u Users, a Actor) error {
		row, err := u.AllowReset(ctx, a, in.UserID, HashTokenSecret(secret))
		out.Body.ExpiresAt = row.ExpiresAt.UTC()
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Body.Token = resetPrefix.format(in.UserID, secret)
	return out, nil
}

// AllowReset lets a user set his password by a token of which this is the hash.
// It returns ErrNoUser.
func (u Users) AllowReset(
	ctx context.Context, actor Actor, id int64, hash []byte,
) (row queries.PasswordReset, err error) {
	user, err := u.lock(ctx, id)
	if err != nil {
		return row, err
	}
	if err := u.q().DeletePasswordReset(ctx, id); err != nil {
		return row, fmt.Errorf("void password reset: %w", err)
	}
	row, err = u.q().InsertPasswordReset(ctx, queries.InsertPasswordResetParams{
		UserID: id, TokenHash: hash, LastsSeconds: int32(resetLasts.Seconds()), RequestedBy: actor.ID,
	})
	if err != nil {
		return row, fmt.Errorf("insert password reset: %w", err)
	}
	return row, actor.tell(ctx, u.q(), "password_reset_allowed", targetOf(user), nil)
}

type resetPasswordInput struct {
	Body struct {
		Token       string `json:"token" minLength:"1" maxLength:"200"`
		NewPassword string `json:"new_password" minLength:"12" maxLength:"128"`
	}
}

func badReset() *problem { return unauthenticated("The token is not valid.", "") }

func (s *Server) resetPassword(ctx context.Context, in *resetPasswordInput) (*struct{}, error) {
	id, secret, err := resetPrefix.parse(in.Body.Token)
	if err != nil {
		return nil, badReset()
	}
	return nil, pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		user, err := Users{tx}.lock(ctx, id)
		if errors.Is(err, ErrNoUser) || err == nil && user.DisabledAt != nil {
			return badReset()
		}
		if err != nil {
			return err
		}
		row, err := queries.New(tx).GetPasswordReset(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return badReset()
		}
		if err != nil {
			return fmt.Errorf("get password reset: %w", err)
		}
		if subtle.ConstantTimeCompare(HashTokenSecret(secret), row.TokenHash) != 1 {
			return badReset()
		}
		if CheckPassword(user.Name, in.Body.NewPassword) != nil {
			return invalid(inBody("/new_password", "must not be your name"))
		}
		hash, err := s.newHash(ctx, in.Body.NewPassword)
		if err != nil {
			return err
		}
		actor := actorFor(ctx, userPrincipal(user.ID, user.Name, nil))
		return Users{tx}.SetPassword(ctx, actor, id, hash)
	})
}
