-- InsertAPIToken stores a token's hash.
--
-- name: InsertAPIToken :one
INSERT INTO api_tokens (name, token_hash, scopes, expires_at, user_id, cidrs)
VALUES (@name, @token_hash, @scopes, @expires_at, @user_id, coalesce(@cidrs::cidr[], '{}'))
RETURNING *;

-- GetAPIToken returns one token, whatever its state.
--
-- name: GetAPIToken :one
SELECT * FROM api_tokens WHERE id = $1;

-- GetAPITokenWithOwner returns one token, whatever its state, and of the user it
-- belongs to, if it does, whether he is disabled and what his roles are.
--
-- name: GetAPITokenWithOwner :one
SELECT sqlc.embed(t), (u.disabled_at IS NOT NULL)::boolean AS owner_disabled,
  ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id
    WHERE ur.user_id = t.user_id ORDER BY r.id)::text[] AS owner_roles
FROM api_tokens t LEFT JOIN users u ON u.id = t.user_id
WHERE t.id = $1;

-- ListUserAPITokens returns the tokens that belong to a user, the oldest first.
--
-- name: ListUserAPITokens :many
SELECT * FROM api_tokens WHERE user_id = $1 ORDER BY id LIMIT 10000;

-- ListAPITokens returns all tokens, the oldest first.
--
-- name: ListAPITokens :many
SELECT * FROM api_tokens ORDER BY id LIMIT 10000;

-- MarkAPITokenRevoked ends a token, once. It returns no row when the token does
-- not exist or was revoked before.
--
-- name: MarkAPITokenRevoked :one
UPDATE api_tokens SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING *;

-- MarkAPITokenUsed notes that a token was used, at most once a minute.
--
-- name: MarkAPITokenUsed :exec
UPDATE api_tokens SET last_used_at = now()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
