package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// CreateToken stores a token and tells the audit trail of it. It returns
// errKeyTaken when the actor has used the idempotency key before.
func CreateToken(
	ctx context.Context, tx pgx.Tx, actor Actor, arg queries.InsertAPITokenParams,
) (queries.ApiToken, error) {
	q := queries.New(tx)
	row, err := q.InsertAPIToken(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert token: %w", err)
	}
	return row, tellOfToken(ctx, q, actor, "token_created", row)
}

// RevokeToken ends a token and tells the audit trail of it. To end one again is
// no mistake. It returns pgx.ErrNoRows where there is no such token.
func RevokeToken(ctx context.Context, tx pgx.Tx, actor Actor, id int64) (queries.ApiToken, error) {
	q := queries.New(tx)
	row, err := q.MarkAPITokenRevoked(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		if row, err = q.GetAPIToken(ctx, id); err == nil {
			return row, nil // It had ended before.
		}
	}
	if err != nil {
		return row, fmt.Errorf("revoke token: %w", err)
	}
	return row, tellOfToken(ctx, q, actor, "token_revoked", row)
}

// tellOfToken tells of a token, and of the user it belongs to.
func tellOfToken(ctx context.Context, q *queries.Queries, actor Actor, kind string, row queries.ApiToken) error {
	networks := make([]string, len(row.Cidrs))
	for i, n := range row.Cidrs {
		networks[i] = n.String()
	}
	details := map[string]any{"token_id": row.ID, "name": row.Name, "scopes": row.Scopes, "cidrs": networks}
	if row.ExpiresAt != nil {
		details["expires_at"] = row.ExpiresAt.UTC().Format(time.RFC3339)
	}
	var about target
	if row.UserID != nil {
		owner, err := q.GetUser(ctx, *row.UserID)
		if err != nil {
			return fmt.Errorf("get owner of token: %w", err)
		}
		about = targetOf(owner)
	}
	return actor.tell(ctx, q, kind, about, details)
}
