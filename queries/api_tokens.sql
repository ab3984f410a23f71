-- InsertAPIToken stores a token's hash.
--
-- name: InsertAPIToken :one
INSERT INTO api_tokens (name, token_hash, scopes, expires_at)
VALUES (@name, @token_hash, @scopes, @expires_at)
RETURNING *;

-- GetAPIToken returns one token, whatever its state.
--
-- name: GetAPIToken :one
SELECT * FROM api_tokens WHERE id = $1;

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
