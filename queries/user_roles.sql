-- ListUserRoles returns the names of a user's roles, in order of their ids.
--
-- name: ListUserRoles :many
SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id
WHERE ur.user_id = $1 ORDER BY r.id LIMIT 100;

-- InsertUserRole gives a user the role, with the name of who gave it. It returns
-- how many rows it added: none when he has it already.
--
-- name: InsertUserRole :execrows
INSERT INTO user_roles (user_id, role_id, assigned_by, assigned_by_name)
SELECT @user_id, r.id, sqlc.narg(assigned_by)::bigint, @assigned_by_name FROM roles r WHERE r.name = @role
ON CONFLICT (user_id, role_id) DO NOTHING;

-- DeleteUserRole takes a role from a user. It returns how many rows it removed.
--
-- name: DeleteUserRole :execrows
DELETE FROM user_roles ur USING roles r WHERE r.id = ur.role_id AND ur.user_id = @user_id AND r.name = @role;
