package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/jobs"
	"loanserve/queries"
)

// Why people are not changed as was asked.
var (
	ErrNoUser    = errors.New("there is no such user")
	ErrNameTaken = errors.New("the name belongs to another user")
	// ErrLastAdmin keeps somebody there who can manage users.
	ErrLastAdmin = errors.New("nobody would be left who is an admin and not disabled")
	// ErrOwnRoles keeps an admin from giving himself what he may give to others.
	ErrOwnRoles = errors.New("nobody changes his own roles")
	// ErrMakerChecker keeps apart who makes a change and who approves it.
	ErrMakerChecker = errors.New("nobody is operator and approver")
)

// Users changes people within one transaction, and tells the audit trail of it.
// The API and the command line both come here.
type Users struct{ Tx pgx.Tx }

func (u Users) q() *queries.Queries { return queries.New(u.Tx) }

// Create adds a user with some roles. The name must be one that the database
// takes, and the hash one of HashPassword. It returns ErrNameTaken and
// ErrMakerChecker.
func (u Users) Create(
	ctx context.Context, actor Actor, arg queries.InsertUserParams, roles []string,
) (queries.User, error) {
	user, err := u.q().InsertUser(ctx, arg)
	if violates(err, "users_name_key") {
		return user, ErrNameTaken
	}
	if err != nil {
		return user, fmt.Errorf("insert user: %w", err)
	}
	for _, role := range roles {
		if _, err := u.give(ctx, actor, user.ID, role); err != nil {
			return user, err
		}
	}
	return user, actor.tell(ctx, u.q(), "user_created", targetOf(user),
		map[string]any{"full_name": user.FullName, "roles": roles})
}

// lock locks and returns the user, or ErrNoUser.
func (u Users) lock(ctx context.Context, id int64) (queries.User, error) {
	user, err := u.q().LockUser(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return user, ErrNoUser
	}
	if err != nil {
		return user, fmt.Errorf("lock user: %w", err)
	}
	return user, nil
}

// keepAnAdmin returns ErrLastAdmin when no admin would be left without the user.
// Until the transaction ends, nobody else can take one away.
func (u Users) keepAnAdmin(ctx context.Context, id int64) error {
	if err := u.q().LockAdmins(ctx); err != nil {
		return fmt.Errorf("lock admins: %w", err)
	}
	others, err := u.q().CountOtherAdmins(ctx, id)
	if err != nil {
		return fmt.Errorf("count admins: %w", err)
	}
	if others > 0 {
		return nil
	}
	roles, err := u.q().ListUserRoles(ctx, id)
	if err != nil {
		return fmt.Errorf("list roles: %w", err)
	}
	if slices.Contains(roles, RoleAdmin) {
		return ErrLastAdmin
	}
	return nil
}

// Disable keeps a user from logging in and ends his sessions; his tokens end as
// well for as long. It returns ErrNoUser and ErrLastAdmin.
func (u Users) Disable(ctx context.Context, actor Actor, id int64) error {
	if err := u.keepAnAdmin(ctx, id); err != nil {
		return err
	}
	user, err := u.lock(ctx, id)
	if err != nil {
		return err
	}
	if _, err := u.q().MarkUserDisabled(ctx, id); err != nil {
		return fmt.Errorf("disable user: %w", err)
	}
	ended, err := u.q().MarkSessionsRevoked(ctx, id)
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return actor.tell(ctx, u.q(), "user_disabled", targetOf(user), map[string]any{"sessions": ended})
}

// Enable lets a disabled user log in again. It returns ErrNoUser.
func (u Users) Enable(ctx context.Context, actor Actor, id int64) error {
	user, err := u.lock(ctx, id)
	if err != nil {
		return err
	}
	if _, err := u.q().MarkUserEnabled(ctx, id); err != nil {
		return fmt.Errorf("enable user: %w", err)
	}
	return actor.tell(ctx, u.q(), "user_enabled", targetOf(user), nil)
}

// SetPassword gives a user a new password and ends all his sessions: whoever
// holds one of them may be the reason. It returns ErrNoUser.
func (u Users) SetPassword(ctx context.Context, actor Actor, id int64, hash string) error {
	user, err := u.lock(ctx, id)
	if err != nil {
		return err
	}
	if err := u.q().MarkPasswordChanged(ctx, hash, id); err != nil {
		return fmt.Errorf("store password: %w", err)
	}
	ended, err := u.q().MarkSessionsRevoked(ctx, id)
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if err := u.q().DeletePasswordReset(ctx, id); err != nil {
		return fmt.Errorf("end password reset: %w", err)
	}
	return actor.tell(ctx, u.q(), "password_changed", targetOf(user), map[string]any{"sessions": ended})
}

// give adds a role and says whether he did not have it.
func (u Users) give(ctx context.Context, actor Actor, id int64, role string) (bool, error) {
	n, err := u.q().InsertUserRole(ctx, queries.InsertUserRoleParams{
		UserID: id, Role: role, AssignedBy: actor.user(), AssignedByName: actor.Name,
	})
	if violates(err, "user_roles_maker_is_not_checker_idx") {
		return false, ErrMakerChecker
	}
	if err != nil {
		return false, fmt.Errorf("insert role: %w", err)
	}
	return n > 0, nil
}

// Grant gives a user a role. It returns ErrNoUser, ErrOwnRoles and
// ErrMakerChecker.
func (u Users) Grant(ctx context.Context, actor Actor, id int64, role string) error {
	if actor.UserID == id {
		return ErrOwnRoles
	}
	user, err := u.lock(ctx, id)
	if err != nil {
		return err
	}
	if added, err := u.give(ctx, actor, id, role); err != nil || !added {
		return err
	}
	return actor.tell(ctx, u.q(), "role_granted", targetOf(user), map[string]any{"role": role})
}

// Revoke takes a role from a user. It returns ErrNoUser, ErrOwnRoles and
// ErrLastAdmin.
func (u Users) Revoke(ctx context.Context, actor Actor, id int64, role string) error {
	if actor.UserID == id {
		return ErrOwnRoles
	}
	if role == RoleAdmin {
		if err := u.keepAnAdmin(ctx, id); err != nil {
			return err
		}
	}
	user, err := u.lock(ctx, id)
	if err != nil {
		return err
	}
	removed, err := u.q().DeleteUserRole(ctx, id, role)
	if err != nil {
		return fmt.Errorf("delete role: %w", err)
	}
	if removed == 0 {
		return nil
	}
	return actor.tell(ctx, u.q(), "role_revoked", targetOf(user), map[string]any{"role": role})
}

// Allow lets a user come from the network, and from then on only from such. It
// returns ErrNoUser.
func (u Users) Allow(
	ctx context.Context, actor Actor, arg queries.InsertAllowedNetworkParams,
) (row queries.UserIpAllowlist, err error) {
	user, err := u.lock(ctx, arg.UserID)
	if err != nil {
		return row, err
	}
	if row, err = u.q().InsertAllowedNetwork(ctx, arg); err != nil {
		return row, fmt.Errorf("insert network: %w", err)
	}
	return row, actor.tell(ctx, u.q(), "network_allowed", targetOf(user), networkDetails(row))
}

// Disallow takes a network from a user's list and says whether it was on it. It
// returns ErrNoUser.
func (u Users) Disallow(ctx context.Context, actor Actor, userID, id int64) (bool, error) {
	user, err := u.lock(ctx, userID)
	if err != nil {
		return false, err
	}
	removed, err := u.q().DeleteAllowedNetwork(ctx, userID, id)
	if err != nil {
		return false, fmt.Errorf("delete network: %w", err)
	}
	if removed == 0 {
		return false, nil
	}
	return true, actor.tell(ctx, u.q(), "network_removed", targetOf(user), map[string]any{"network_id": id})
}

func networkDetails(row queries.UserIpAllowlist) map[string]any {
	d := map[string]any{"network_id": row.ID, "ip": row.Ip.String(), "label": row.Label}
	if row.EndsAt != nil {
		d["ends_at"] = row.EndsAt.UTC().Format(time.RFC3339)
	}
	return d
}

// Delete removes a user with all that is only his, whatever he has done. The
// event that tells of it says who he was: his roles, networks and tokens. It
// returns ErrNoUser and ErrLastAdmin.
func (u Users) Delete(ctx context.Context, actor Actor, id int64) error {
	if err := u.keepAnAdmin(ctx, id); err != nil {
		return err
	}
	user, err := u.lock(ctx, id)
	if err != nil {
		return err
	}
	who, err := u.snapshot(ctx, user)
	if err != nil {
		return err
	}
	about := targetOf(user)
	about.gone = true
	if err := actor.tell(ctx, u.q(), "user_deleted", about, who); err != nil {
		return err
	}
	// What is his goes with him, however much it is.
	if err := jobs.AllowRows(ctx, u.q(), jobs.EveryRow); err != nil {
		return err
	}
	if _, err := u.q().DeleteUser(ctx, id); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	return nil
}

// snapshot is what the audit trail keeps of a user who is deleted.
func (u Users) snapshot(ctx context.Context, user queries.User) (map[string]any, error) {
	roles, err := u.q().ListUserRoles(ctx, user.ID)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	networks, err := u.q().ListAllowedNetworks(ctx, user.ID)
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	tokens, err := u.q().ListUserAPITokens(ctx, &user.ID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	from := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		from[i] = n.Ip
	}
	held := make([]map[string]any, len(tokens))
	for i, t := range tokens {
		held[i] = map[string]any{"token_id": t.ID, "name": t.Name, "scopes": t.Scopes}
	}
	return map[string]any{
		"full_name": user.FullName, "created_at": user.CreatedAt.UTC().Format(time.RFC3339),
		"roles": roles, "networks": from, "tokens": held,
	}, nil
}

// violates says whether the error is that the constraint is not kept.
func violates(err error, constraint string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == uniqueViolation && pg.ConstraintName == constraint
}
