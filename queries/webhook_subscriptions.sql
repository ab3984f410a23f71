-- InsertWebhookSubscription stores a subscription. It returns no row when the
-- principal's idempotency key is taken.
--
-- name: InsertWebhookSubscription :one
INSERT INTO webhook_subscriptions (id, url, event_types, description, requested_by, idempotency_key, request_hash)
VALUES (@id, @url, @event_types, @description, @requested_by, @idempotency_key, @request_hash)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetWebhookSubscriptionByKey returns the subscription that was asked for under the key.
--
-- name: GetWebhookSubscriptionByKey :one
SELECT * FROM webhook_subscriptions WHERE requested_by = $1 AND idempotency_key = $2;

-- GetWebhookSubscription returns one that was not deleted.
--
-- name: GetWebhookSubscription :one
SELECT * FROM webhook_subscriptions WHERE id = $1 AND status <> 'deleted';

-- LockWebhookSubscription locks one that was not deleted.
--
-- name: LockWebhookSubscription :one
SELECT * FROM webhook_subscriptions WHERE id = $1 AND status <> 'deleted' FOR NO KEY UPDATE;

-- CountWebhookSubscriptions counts those that were not deleted.
--
-- name: CountWebhookSubscriptions :one
SELECT count(*) FROM webhook_subscriptions WHERE status <> 'deleted';

-- ListWebhookSubscriptions returns those that were not deleted, the latest first,
-- before the given id, at most row_limit of them. Ids are in order of time.
--
-- name: ListWebhookSubscriptions :many
SELECT * FROM webhook_subscriptions
WHERE id < @before_id AND status <> 'deleted'
ORDER BY id DESC
LIMIT @row_limit;

-- MarkWebhookSubscriptionChanged changes what one was asked to be.
--
-- name: MarkWebhookSubscriptionChanged :one
UPDATE webhook_subscriptions SET url = @url, event_types = @event_types, description = @description, updated_at = now()
WHERE id = @id AND status <> 'deleted'
RETURNING *;

-- MarkWebhookSubscriptionActive lets a disabled one be told again.
--
-- name: MarkWebhookSubscriptionActive :one
UPDATE webhook_subscriptions SET status = 'active', ended_at = NULL, end_reason = NULL, updated_at = now()
WHERE id = $1 AND status = 'disabled'
RETURNING *;

-- MarkWebhookSubscriptionDisabled ends that one is told, for the reason. It returns no
-- row where it is not active.
--
-- name: MarkWebhookSubscriptionDisabled :one
UPDATE webhook_subscriptions SET status = 'disabled', ended_at = now(), end_reason = @end_reason::text, updated_at = now()
WHERE id = @id AND status = 'active'
RETURNING *;

-- MarkWebhookSubscriptionDeleted ends one for good. It returns no row where it was
-- deleted before.
--
-- name: MarkWebhookSubscriptionDeleted :one
UPDATE webhook_subscriptions SET status = 'deleted', ended_at = now(), end_reason = 'requested', updated_at = now()
WHERE id = $1 AND status <> 'deleted'
RETURNING *;

-- InsertWebhookSecret adds the secret that deliveries are signed with.
--
-- name: InsertWebhookSecret :exec
INSERT INTO webhook_secrets (subscription_id, secret) VALUES (@subscription_id, @secret);

-- MarkWebhookSecretsExpiring has the secrets of a subscription end at the moment, unless
-- they end before.
--
-- name: MarkWebhookSecretsExpiring :exec
UPDATE webhook_secrets SET expires_at = least(expires_at, @expires_at::timestamptz)
WHERE subscription_id = @subscription_id;

-- DeleteExpiredWebhookSecretsBatch deletes those secrets of a subscription that have
-- ended.
--
-- name: DeleteExpiredWebhookSecretsBatch :exec
DELETE FROM webhook_secrets WHERE subscription_id = $1 AND expires_at <= now();

-- InsertWebhookRequest stores what was asked for and done. It returns no row when the
-- principal's idempotency key is taken.
--
-- name: InsertWebhookRequest :one
INSERT INTO webhook_requests (requested_by, idempotency_key, request_hash, subscription_id, replayed, last_at)
VALUES (@requested_by, @idempotency_key, @request_hash, @subscription_id, sqlc.narg(replayed), sqlc.narg(last_at))
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetWebhookRequest returns what was asked for under the key.
--
-- name: GetWebhookRequest :one
SELECT * FROM webhook_requests WHERE requested_by = $1 AND idempotency_key = $2;
