-- InsertWebhookMessages tells whoever is subscribed of what happened: a message for
-- each event that somebody wants, once, a delivery of it for each who does, and the
-- delivery's first job. Where nobody does it writes nothing. It returns how many
-- deliveries there are.
--
-- name: InsertWebhookMessages :one
WITH wanted AS (
  SELECT h.id, h.type, h.source, h.data, s.id AS subscription_id
  FROM (
    SELECT unnest(@id::uuid[]) AS id, unnest(@type::text[]) AS type, unnest(@source::text[]) AS source,
      unnest(@data::text[])::jsonb AS data
  ) h
  JOIN webhook_subscriptions s ON s.status = 'active' AND h.type = ANY (s.event_types)
), messages AS (
  INSERT INTO webhook_messages (id, type, source, occurred_at, data)
  SELECT DISTINCT ON (w.id) w.id, w.type, w.source, now(), w.data FROM wanted w
  ON CONFLICT (type, source) DO NOTHING
  RETURNING id
), deliveries AS (
  INSERT INTO webhook_deliveries (message_id, subscription_id)
  SELECT w.id, w.subscription_id FROM wanted w JOIN messages m ON m.id = w.id
  RETURNING id
), enqueued AS (
  INSERT INTO river.river_job (kind, queue, max_attempts, args)
  SELECT @job_kind::text, @job_queue::text, @job_attempts::smallint,
    jsonb_build_object('delivery_id', d.id, 'round', 1, 'attempt', 1)
  FROM deliveries d
)
SELECT count(*) FROM deliveries;

-- InsertWebhookMessage stores a message for one subscription, whatever it is subscribed
-- to, and the delivery of it. It returns no row where what happened was told before.
--
-- name: InsertWebhookMessage :one
WITH message AS (
  INSERT INTO webhook_messages (id, type, source, occurred_at, data)
  VALUES (@id, @type, @source, now(), @data)
  ON CONFLICT (type, source) DO NOTHING
  RETURNING id
)
INSERT INTO webhook_deliveries (message_id, subscription_id)
SELECT m.id, @subscription_id FROM message m
RETURNING *;

-- GetWebhookMessage returns one message.
--
-- name: GetWebhookMessage :one
SELECT * FROM webhook_messages WHERE id = $1;

-- GetWebhookMessageBySource returns the message of the type about what happened.
--
-- name: GetWebhookMessageBySource :one
SELECT * FROM webhook_messages WHERE type = $1 AND source = $2;

-- ListWebhookMessages returns messages, the latest first, before the given id, at most
-- row_limit of them, of one type where it says so. Ids are in order of time.
--
-- name: ListWebhookMessages :many
SELECT * FROM webhook_messages
WHERE id < @before_id AND (@type::text = '' OR type = @type::text)
ORDER BY id DESC
LIMIT @row_limit;

-- GetWebhookDelivery returns one delivery.
--
-- name: GetWebhookDelivery :one
SELECT * FROM webhook_deliveries WHERE id = $1;

-- ListWebhookDeliveries returns deliveries, the latest first, before the given id, at
-- most row_limit of them, and only those that are asked for.
--
-- name: ListWebhookDeliveries :many
SELECT * FROM webhook_deliveries
WHERE id < @before_id
  AND (sqlc.narg(subscription_id)::uuid IS NULL OR subscription_id = sqlc.narg(subscription_id))
  AND (sqlc.narg(message_id)::uuid IS NULL OR message_id = sqlc.narg(message_id))
  AND (sqlc.narg(status)::webhook_delivery_status IS NULL OR status = sqlc.narg(status))
ORDER BY id DESC
LIMIT @row_limit;

-- GetWebhookToSend returns what an attempt at a delivery needs, and no row when the
-- attempt was made before or the delivery was replayed since. The newest secret comes
-- first.
--
-- name: GetWebhookToSend :one
SELECT m.id AS message_id, m.type, m.occurred_at, m.data, s.id AS subscription_id, s.url, s.status AS subscription_status,
  ARRAY(SELECT k.secret FROM webhook_secrets k
    WHERE k.subscription_id = s.id AND (k.expires_at IS NULL OR k.expires_at > now())
    ORDER BY k.id DESC LIMIT 10)::bytea[] AS secrets
FROM webhook_deliveries d
JOIN webhook_messages m ON m.id = d.message_id
JOIN webhook_subscriptions s ON s.id = d.subscription_id
WHERE d.id = @id AND d.status = 'waiting' AND d.attempts + 1 = @attempt::integer AND d.round = @round::integer;

-- MarkWebhookAttempted records an attempt at a delivery: when the next one is, and
-- where there is none, whether the message has arrived. It returns no row when the
-- attempt was recorded before.
--
-- name: MarkWebhookAttempted :one
UPDATE webhook_deliveries SET attempts = @attempt, attempted_at = @attempted_at,
  status = CASE WHEN @delivered::boolean THEN 'delivered'
    WHEN sqlc.narg(next_attempt_at)::timestamptz IS NULL THEN 'failed' ELSE 'waiting' END::webhook_delivery_status,
  next_attempt_at = sqlc.narg(next_attempt_at)::timestamptz,
  delivered_at = CASE WHEN @delivered::boolean THEN @attempted_at ELSE delivered_at END,
  first_failed_at = CASE WHEN @delivered::boolean THEN first_failed_at ELSE coalesce(first_failed_at, @attempted_at) END,
  last_status_code = nullif(@status_code::integer, 0), last_error = nullif(@error::text, '')
WHERE id = @id AND status = 'waiting' AND attempts + 1 = @attempt AND round = @round
RETURNING *;

-- MarkWebhooksReplayed has deliveries of a subscription sent again whose message is of
-- the moment or later: those that failed, or all that do not wait. It returns them, the
-- oldest first, at most row_limit of them.
--
-- name: MarkWebhooksReplayed :many
UPDATE webhook_deliveries d SET status = 'waiting', round = d.round + 1, attempts = 0, next_attempt_at = now(),
  first_failed_at = NULL
FROM (
  SELECT f.id FROM webhook_deliveries f
  WHERE f.subscription_id = @subscription_id AND f.created_at >= @since::timestamptz
    AND (f.status = 'failed' OR @all_of_them::boolean AND f.status = 'delivered')
  ORDER BY f.id LIMIT @row_limit
  FOR NO KEY UPDATE SKIP LOCKED
) chosen
WHERE d.id = chosen.id
RETURNING d.id, d.round, d.created_at;

-- MarkWebhookReplayed has one delivery sent again, now, whatever became of it.
--
-- name: MarkWebhookReplayed :one
UPDATE webhook_deliveries SET status = 'waiting', round = round + 1, attempts = 0, next_attempt_at = now(),
  first_failed_at = NULL
WHERE id = $1
RETURNING *;

-- CountFailingWebhooks says whether a receiver has done nothing but fail since the
-- moment or before: how many of its deliveries began to fail then, after the last one
-- that arrived.
--
-- name: CountFailingWebhooks :one
SELECT count(*) FROM (
  SELECT FROM webhook_deliveries d
  WHERE d.subscription_id = @subscription_id AND d.status <> 'delivered' AND d.first_failed_at <= @failing_since::timestamptz
    AND d.first_failed_at > coalesce((SELECT max(a.delivered_at) FROM webhook_deliveries a
      WHERE a.subscription_id = @subscription_id AND a.delivered_at IS NOT NULL), '-infinity')
  LIMIT 1
) failing;

-- GetWebhookState returns for metrics how long the delivery has been due that is most
-- overdue, how old the oldest is that waits, and how many subscriptions there are.
--
-- name: GetWebhookState :one
SELECT coalesce(greatest(0, extract(epoch FROM now() - min(d.next_attempt_at))), 0)::float8 AS due_seconds,
  coalesce(extract(epoch FROM now() - min(d.created_at)), 0)::float8 AS oldest_seconds,
  (SELECT count(*) FROM webhook_subscriptions s WHERE s.status = 'active') AS active,
  (SELECT count(*) FROM webhook_subscriptions s WHERE s.status = 'disabled' AND s.end_reason = 'requested') AS disabled,
  (SELECT count(*) FROM webhook_subscriptions s WHERE s.status = 'disabled' AND s.end_reason = 'gone') AS gone,
  (SELECT count(*) FROM webhook_subscriptions s WHERE s.status = 'disabled' AND s.end_reason = 'failing') AS failing
FROM webhook_deliveries d WHERE d.status = 'waiting';

-- CountOldWebhookRows returns how many deliveries of before the moment have ended, and
-- how many messages of before it nobody waits for: what may go.
--
-- name: CountOldWebhookRows :one
SELECT ((SELECT count(*) FROM webhook_deliveries d WHERE d.status <> 'waiting' AND d.created_at < @before_at)
  + (SELECT count(*) FROM webhook_messages m WHERE m.occurred_at < @before_at
    AND NOT EXISTS (SELECT FROM webhook_deliveries w WHERE w.message_id = m.id AND w.status = 'waiting')))::bigint AS old;

-- GetOldestWebhookMessage returns when what the oldest message tells of happened.
--
-- name: GetOldestWebhookMessage :one
SELECT occurred_at FROM webhook_messages ORDER BY occurred_at LIMIT 1;

-- DeleteWebhookDeliveriesBatch deletes the oldest deliveries that have ended, from
-- after_at on and before before_at, at most row_limit of them, and passes over those
-- that somebody holds. A delivery is made with its message and is as old. It returns
-- how many, and where to go on.
--
-- name: DeleteWebhookDeliveriesBatch :one
WITH old AS MATERIALIZED (
  SELECT d.id FROM webhook_deliveries d
  WHERE d.status <> 'waiting' AND d.created_at >= @after_at AND d.created_at < @before_at
  ORDER BY d.created_at LIMIT @row_limit FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM webhook_deliveries d WHERE d.id = ANY (ARRAY(SELECT old.id FROM old)) RETURNING d.created_at
)
SELECT count(*) AS deleted, coalesce(max(g.created_at), @before_at)::timestamptz AS through_at FROM gone g;

-- DeleteWebhookMessagesBatch does the same with messages of which no delivery is left.
-- Nobody adds one to a message that is there, or changes one, so that it locks none: of
-- two that meet, the second finds them gone. OFFSET 0 has each message looked up by
-- itself: a join would read every delivery for each batch.
--
-- name: DeleteWebhookMessagesBatch :one
WITH old AS MATERIALIZED (
  SELECT m.id FROM webhook_messages m
  WHERE m.occurred_at >= @after_at AND m.occurred_at < @before_at
    AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.message_id = m.id OFFSET 0)
  ORDER BY m.occurred_at LIMIT @row_limit
), gone AS (
  DELETE FROM webhook_messages m WHERE m.id = ANY (ARRAY(SELECT old.id FROM old)) RETURNING m.occurred_at
)
SELECT count(*) AS deleted, coalesce(max(g.occurred_at), @before_at)::timestamptz AS through_at FROM gone g;
