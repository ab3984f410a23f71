-- InsertPasswordReset stores that a user may set his password anew, once, within
-- so many seconds.
--
-- name: InsertPasswordReset :one
INSERT INTO password_resets (user_id, token_hash, expires_at, requested_by)
VALUES (@user_id, @token_hash, now() + make_interval(secs => @lasts_seconds::int), @requested_by)
RETURNING *;

-- GetPasswordReset returns a user's reset that is still good. Whoever is about to
-- use it holds the user's lock.
--
-- name: GetPasswordReset :one
SELECT * FROM password_resets WHERE user_id = $1 AND expires_at > now();

-- DeletePasswordReset ends a user's reset, if he has one.
--
-- name: DeletePasswordReset :exec
DELETE FROM password_resets WHERE user_id = $1;
