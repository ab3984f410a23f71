-- InsertUser stores a person who may log in. A name that is taken is a unique
-- violation.
--
-- name: InsertUser :one
INSERT INTO users (name, full_name, password_hash) VALUES (@name, @full_name, @password_hash)
RETURNING *;

-- GetUser returns one user.
--
-- name: GetUser :one
SELECT * FROM users WHERE id = $1;

-- GetUserByName returns the user who logs in under the name.
--
-- name: GetUserByName :one
SELECT * FROM users WHERE name = $1;

-- LockUser locks a user, so that nobody changes his password or disables him
-- meanwhile.
--
-- name: LockUser :one
SELECT * FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- ListUsers returns users after the given id with the names of their roles, at
-- most row_limit of them.
--
-- name: ListUsers :many
SELECT u.id, u.name, u.full_name, u.created_at, u.disabled_at,
  ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id
    WHERE ur.user_id = u.id ORDER BY r.id)::text[] AS roles
FROM users u WHERE u.id > @after_id ORDER BY u.id LIMIT @row_limit;

-- MarkUserDisabled keeps a user from logging in. It returns how many rows it
-- changed: none when he was disabled before.
--
-- name: MarkUserDisabled :execrows
UPDATE users SET disabled_at = now() WHERE id = $1 AND disabled_at IS NULL;

-- MarkUserEnabled lets a disabled user log in again.
--
-- name: MarkUserEnabled :execrows
UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL;

-- MarkPasswordChanged stores the hash of a user's new password.
--
-- name: MarkPasswordChanged :exec
UPDATE users SET password_hash = @password_hash, password_changed_at = now() WHERE id = @id;

-- MarkPasswordRehashed stores the same password hashed at another cost. The
-- user is locked.
--
-- name: MarkPasswordRehashed :exec
UPDATE users SET password_hash = @password_hash WHERE id = @id;

-- DeleteUser removes a user with his roles, networks, sessions, password resets
-- and tokens. Attempts to log in, audit events and roles that he assigned to
-- others lose their reference to him and keep his name.
--
-- name: DeleteUser :execrows
DELETE FROM users WHERE id = $1;

-- LockAdmins makes those wait for each other who may take the last admin away.
--
-- name: LockAdmins :exec
SELECT pg_advisory_xact_lock(hashtextextended('loanserve admins', 0));

-- CountOtherAdmins returns how many users but the given one are admins and not
-- disabled.
--
-- name: CountOtherAdmins :one
SELECT count(*) FROM user_roles ur JOIN roles r ON r.id = ur.role_id JOIN users u ON u.id = ur.user_id
WHERE r.name = 'admin' AND u.disabled_at IS NULL AND u.id <> $1;
