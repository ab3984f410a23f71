-- InsertAPIToken stores a token's hash. It returns no row when who asks has used
-- the idempotency key before.
--
-- name: InsertAPIToken :one
INSERT INTO api_tokens (name, token_hash, scopes, expires_at, user_id, cidrs, requested_by, idempotency_key, request_hash)
VALUES (@name, @token_hash, @scopes, @expires_at, @user_id, coalesce(@cidrs::cidr[], '{}'), @requested_by,
  @idempotency_key, @request_hash)
ON CONFLICT (requested_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING *;

-- GetAPITokenByKey returns the token that was asked for under the key.
--
-- name: GetAPITokenByKey :one
SELECT * FROM api_tokens
WHERE requested_by = @requested_by::text AND idempotency_key = @idempotency_key::text;

-- GetAPIToken returns one token, whatever its state.
--
-- name: GetAPIToken :one
SELECT * FROM api_tokens WHERE id = $1;

-- GetAPITokenWithOwner returns one token, whatever its state, and of the user it
-- belongs to, if it does, whether he is disabled, what his roles are, whether he
-- has a list of networks, and which of them are valid.
--
-- name: GetAPITokenWithOwner :one
SELECT sqlc.embed(t), (u.disabled_at IS NOT NULL)::boolean AS owner_disabled,
  ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id
    WHERE ur.user_id = t.user_id ORDER BY r.id)::text[] AS owner_roles,
  (EXISTS (SELECT FROM user_ip_allowlist l WHERE l.user_id = t.user_id))::boolean AS owner_fenced,
  ARRAY(SELECT l.ip FROM user_ip_allowlist l WHERE l.user_id = t.user_id
    AND l.begins_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now()) ORDER BY l.id)::cidr[] AS owner_networks
FROM api_tokens t LEFT JOIN users u ON u.id = t.user_id
WHERE t.id = $1;

-- ListUserAPITokens returns the tokens that belong to a user, the oldest first.
--
-- name: ListUserAPITokens :many
SELECT * FROM api_tokens WHERE user_id = $1 ORDER BY id LIMIT 10000;

-- ListAPITokens returns tokens after the given id, the oldest first, at most
-- row_limit of them: those of one user or, for the user 0, all of them.
--
-- name: ListAPITokens :many
SELECT * FROM api_tokens
WHERE id > @after_id AND (@user_id::bigint = 0 OR user_id = @user_id::bigint)
ORDER BY id LIMIT @row_limit;

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
