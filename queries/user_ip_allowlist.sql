-- InsertAllowedNetwork lets a user come from the network. From then on he may
-- come from nowhere else but other networks of his list.
--
-- name: InsertAllowedNetwork :one
INSERT INTO user_ip_allowlist (user_id, ip, label, ends_at) VALUES (@user_id, @ip, @label, @ends_at)
RETURNING *;

-- ListAllowedNetworks returns the networks that a user may come from, or could.
--
-- name: ListAllowedNetworks :many
SELECT * FROM user_ip_allowlist WHERE user_id = $1 ORDER BY id LIMIT 1000;

-- DeleteAllowedNetwork takes a network from a user's list. It returns how many
-- rows it removed.
--
-- name: DeleteAllowedNetwork :execrows
DELETE FROM user_ip_allowlist WHERE user_id = @user_id AND id = @id;

-- GetAddressAllowed says whether a user may come from the address: his list is
-- empty, or has the address in a network that is valid now.
--
-- name: GetAddressAllowed :one
SELECT (NOT EXISTS (SELECT FROM user_ip_allowlist l WHERE l.user_id = @user_id)
  OR EXISTS (SELECT FROM user_ip_allowlist l WHERE l.user_id = @user_id AND l.ip >>= @address::inet
    AND l.begins_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now())))::boolean;
