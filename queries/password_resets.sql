-- InsertPasswordReset stores that a user may set his password anew, once, within
-- so many seconds.
--
-- name: InsertPasswordReset :one
INSERT INTO password_resets (user_id, token_hash, expires_at, requested_by)
VALUES (@user_id, @token_hash, now() + make_interval(secs => @lasts_seconds::int), @requested_by)
RETURNING *;

-- LockPasswordReset locks a user's reset that is still good, and its user, unless
-- he is disabled.
--
-- name: LockPasswordReset :one
SELECT r.token_hash, sqlc.embed(u) FROM password_resets r JOIN users u ON u.id = r.user_id
WHERE r.user_id = $1 AND r.expires_at > now() AND u.disabled_at IS NULL
FOR UPDATE;

-- DeletePasswordReset ends a user's reset, if he has one.
--
-- name: DeletePasswordReset :exec
DELETE FROM password_resets WHERE user_id = $1;
