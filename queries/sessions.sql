-- InsertSession opens a session that ends by itself after so many seconds.
--
-- name: InsertSession :one
INSERT INTO sessions (user_id, token_hash, ip, user_agent, expires_at)
VALUES (@user_id, @token_hash, @ip, @user_agent, now() + make_interval(secs => @lasts_seconds::int))
RETURNING *;

-- GetLiveSession returns a session that has not ended, with all that is needed
-- to decide about a request from the address: who it is, what his roles are, and
-- whether he may come from there. It returns no row for a session that is over,
-- or whose user is disabled.
--
-- name: GetLiveSession :one
SELECT s.id, s.user_id, s.token_hash, u.name, (s.last_seen_at < now() - interval '1 minute')::boolean AS stale,
  ARRAY(SELECT r.name FROM user_roles ur JOIN roles r ON r.id = ur.role_id
    WHERE ur.user_id = u.id ORDER BY r.id)::text[] AS roles,
  (NOT EXISTS (SELECT FROM user_ip_allowlist l WHERE l.user_id = u.id)
    OR EXISTS (SELECT FROM user_ip_allowlist l WHERE l.user_id = u.id AND l.ip >>= @address::inet
      AND l.begins_at <= now() AND (l.ends_at IS NULL OR l.ends_at > now())))::boolean AS address_allowed
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = @id AND s.revoked_at IS NULL AND s.expires_at > now()
  AND s.last_seen_at > now() - make_interval(secs => @idle_seconds::int) AND u.disabled_at IS NULL;

-- MarkSessionSeen notes that a session was used, at most once a minute.
--
-- name: MarkSessionSeen :exec
UPDATE sessions SET last_seen_at = now() WHERE id = $1 AND last_seen_at < now() - interval '1 minute';

-- ListLiveSessions returns a user's sessions that have not ended, the newest
-- first.
--
-- name: ListLiveSessions :many
SELECT id, ip, user_agent, created_at, last_seen_at, expires_at FROM sessions
WHERE user_id = @user_id AND revoked_at IS NULL AND expires_at > now()
  AND last_seen_at > now() - make_interval(secs => @idle_seconds::int)
ORDER BY id DESC LIMIT 1000;

-- MarkSessionRevoked ends one session of a user. It returns how many it ended.
--
-- name: MarkSessionRevoked :execrows
UPDATE sessions SET revoked_at = now() WHERE id = @id AND user_id = @user_id AND revoked_at IS NULL;

-- MarkSessionsRevoked ends all sessions of a user. It returns how many it ended.
--
-- name: MarkSessionsRevoked :execrows
UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL;

-- CountEndedSessions returns how many sessions expired or were revoked before
-- the moment.
--
-- name: CountEndedSessions :one
SELECT ((SELECT count(*) FROM sessions e WHERE e.expires_at < @before_at)
  + (SELECT count(*) FROM sessions r WHERE r.revoked_at < @before_at AND r.expires_at >= @before_at))::bigint AS ended;

-- GetOldestSession returns when the session that expires first does.
--
-- name: GetOldestSession :one
SELECT expires_at FROM sessions ORDER BY expires_at LIMIT 1;

-- DeleteExpiredSessionsBatch deletes the sessions that expired longest ago, from
-- after_at on and before before_at, at most row_limit of them, and passes over
-- those that somebody holds. It returns how many, and where to go on.
--
-- name: DeleteExpiredSessionsBatch :one
WITH ended AS MATERIALIZED (
  SELECT s.id FROM sessions s WHERE s.expires_at >= @after_at AND s.expires_at < @before_at
  ORDER BY s.expires_at LIMIT @row_limit FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM sessions d WHERE d.id = ANY (ARRAY(SELECT ended.id FROM ended)) RETURNING d.expires_at
)
SELECT count(*) AS deleted, coalesce(max(g.expires_at), @before_at)::timestamptz AS through_at FROM gone g;

-- DeleteRevokedSessionsBatch does the same with sessions that were revoked.
--
-- name: DeleteRevokedSessionsBatch :one
WITH ended AS MATERIALIZED (
  SELECT s.id FROM sessions s WHERE s.revoked_at >= @after_at AND s.revoked_at < @before_at
  ORDER BY s.revoked_at LIMIT @row_limit FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM sessions d WHERE d.id = ANY (ARRAY(SELECT ended.id FROM ended)) RETURNING d.revoked_at
)
SELECT count(*) AS deleted, coalesce(max(g.revoked_at), @before_at)::timestamptz AS through_at FROM gone g;
