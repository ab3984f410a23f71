-- InsertAuthEvent adds an event to the audit trail, in the transaction of what
-- it tells of.
--
-- name: InsertAuthEvent :exec
INSERT INTO auth_events (kind, actor, actor_name, actor_user_id, target, target_name, target_user_id, ip, request_id, details)
VALUES (@kind, @actor, @actor_name, @actor_user_id, @target, @target_name, @target_user_id, @ip, @request_id, @details);

-- InsertAuthEvents adds events that were gathered: an array for each column,
-- zero or empty where an event has nothing. An actor who was deleted in the
-- meantime leaves no reference.
--
-- name: InsertAuthEvents :exec
INSERT INTO auth_events (occurred_at, kind, actor, actor_name, actor_user_id, ip, request_id, requests, details)
SELECT e.occurred_at, e.kind, e.actor, e.actor_name, (SELECT u.id FROM users u WHERE u.id = e.actor_user_id),
  nullif(e.ip, '')::inet, nullif(e.request_id, ''), e.requests, e.details::jsonb
FROM (SELECT unnest(@occurred_at::timestamptz[]) AS occurred_at, unnest(@kind::text[]) AS kind,
  unnest(@actor::text[]) AS actor, unnest(@actor_name::text[]) AS actor_name,
  unnest(@actor_user_id::bigint[]) AS actor_user_id, unnest(@ip::text[]) AS ip,
  unnest(@request_id::text[]) AS request_id, unnest(@requests::int[]) AS requests,
  unnest(@details::text[]) AS details) e;

-- ListAuthEvents returns events before the given id, the latest first, at most
-- row_limit of them.
--
-- name: ListAuthEvents :many
SELECT * FROM auth_events WHERE id < @before_id ORDER BY id DESC LIMIT @row_limit;

-- SetAsynchronousCommit lets the transaction commit without waiting for the
-- disk. It is for what may be lost when the database's machine fails.
--
-- name: SetAsynchronousCommit :exec
SELECT set_config('synchronous_commit', 'off', true);
