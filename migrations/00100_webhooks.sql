-- +goose Up
-- Who is told by HTTP of what happened, what he is told, and what became of that. New
-- tables only, so that it takes no lock that anybody waits for. The previous release
-- does not see them and runs on: what its processes post meanwhile is told to nobody.
-- And one more kind of runs, which deletes old messages; nothing here uses it.

ALTER TYPE run_kind ADD VALUE 'prune_webhook_messages';

-- disabled: by a person, or because the receiver is gone or has failed for days.
CREATE TYPE webhook_subscription_status AS ENUM ('active', 'disabled', 'deleted');

CREATE TABLE webhook_subscriptions (
  id              uuid PRIMARY KEY,
  url             text NOT NULL CHECK (url ~ '^https?://' AND length(url) <= 2000),
  event_types     text[] NOT NULL CHECK (cardinality(event_types) BETWEEN 1 AND 50),
  description     text NOT NULL CHECK (length(description) <= 200),
  status          webhook_subscription_status NOT NULL DEFAULT 'active',
  requested_by    text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  ended_at        timestamptz, -- when it was disabled or deleted
  end_reason      text CHECK (end_reason IN ('requested', 'gone', 'failing')),

  UNIQUE (requested_by, idempotency_key),
  CHECK (num_nulls(ended_at, end_reason) IN (0, 2)),
  CHECK ((status = 'active') = (ended_at IS NULL))
);

-- A delivery is signed with every secret that has not expired. They are in a table of
-- their own, so that no history keeps them.
CREATE TABLE webhook_secrets (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subscription_id uuid NOT NULL REFERENCES webhook_subscriptions ON DELETE RESTRICT,
  secret          bytea NOT NULL CHECK (octet_length(secret) BETWEEN 24 AND 64),
  created_at      timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz -- null of the newest
);
CREATE INDEX webhook_secrets_subscription_id_idx ON webhook_secrets (subscription_id);

-- What happened and somebody wanted to be told of: copies, which go after a while.
CREATE TABLE webhook_messages (
  id          uuid PRIMARY KEY, -- the receiver's webhook-id
  type        text NOT NULL CHECK (type ~ '^[a-z_]+\.[a-z_]+$' AND length(type) <= 100),
  source      text NOT NULL CHECK (length(source) BETWEEN 1 AND 500), -- what happened, once of its type
  occurred_at timestamptz NOT NULL,
  data        jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
  UNIQUE (type, source)
);
CREATE INDEX webhook_messages_occurred_at_idx ON webhook_messages (occurred_at); -- the pruning's way

CREATE TYPE webhook_delivery_status AS ENUM ('waiting', 'delivered', 'failed');

CREATE TABLE webhook_deliveries (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id       uuid NOT NULL REFERENCES webhook_messages ON DELETE RESTRICT,
  subscription_id  uuid NOT NULL REFERENCES webhook_subscriptions ON DELETE RESTRICT,
  status           webhook_delivery_status NOT NULL DEFAULT 'waiting',
  round            integer NOT NULL DEFAULT 1 CHECK (round > 0), -- one more with each replay
  attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0), -- of the round
  created_at       timestamptz NOT NULL DEFAULT now(),
  next_attempt_at  timestamptz DEFAULT now(),
  first_failed_at  timestamptz, -- in the round
  attempted_at     timestamptz, -- the latest
  delivered_at     timestamptz,
  last_status_code integer,
  last_error       text CHECK (length(last_error) BETWEEN 1 AND 200),
  UNIQUE (message_id, subscription_id),
  CHECK ((status = 'waiting') = (next_attempt_at IS NOT NULL)),
  CHECK (status <> 'delivered' OR delivered_at IS NOT NULL)
);
CREATE INDEX webhook_deliveries_subscription_id_idx ON webhook_deliveries (subscription_id, id);
CREATE INDEX webhook_deliveries_waiting_idx ON webhook_deliveries (next_attempt_at) WHERE status = 'waiting';
-- How old the oldest is that waits, for metrics.
CREATE INDEX webhook_deliveries_waiting_since_idx ON webhook_deliveries (created_at) WHERE status = 'waiting';
-- The pruning's way. What waits is not in it: it stays, however old it is.
CREATE INDEX webhook_deliveries_ended_idx ON webhook_deliveries (created_at) WHERE status <> 'waiting';
-- Whether a receiver has done nothing but fail is read from these two.
CREATE INDEX webhook_deliveries_delivered_idx ON webhook_deliveries (subscription_id, delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX webhook_deliveries_failed_idx ON webhook_deliveries (subscription_id, first_failed_at)
  WHERE first_failed_at IS NOT NULL AND status <> 'delivered';

-- What was asked for once and makes nothing that keeps the request's key for good: to
-- send a test or to send again, and to replace a secret.
CREATE TABLE webhook_requests (
  requested_by    text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  subscription_id uuid NOT NULL REFERENCES webhook_subscriptions ON DELETE RESTRICT,
  replayed        integer CHECK (replayed >= 0), -- how many deliveries; null where none was sent again
  last_at         timestamptz, -- of the last of them
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (requested_by, idempotency_key)
);
CREATE INDEX webhook_requests_subscription_id_idx ON webhook_requests (subscription_id);

SELECT guard_table('webhook_requests', 'It keeps a request from being done twice.');
SELECT guard_table('webhook_subscriptions', 'Disable or delete it by the API: what was sent to whom stays known.');

GRANT SELECT, INSERT ON webhook_subscriptions, webhook_requests TO loanserve_app;
GRANT UPDATE (url, event_types, description, status, updated_at, ended_at, end_reason) ON webhook_subscriptions TO loanserve_app;
GRANT SELECT, INSERT, DELETE ON webhook_secrets, webhook_messages, webhook_deliveries TO loanserve_app;
GRANT UPDATE (expires_at) ON webhook_secrets TO loanserve_app;
GRANT UPDATE (status, round, attempts, next_attempt_at, first_failed_at, attempted_at, delivered_at, last_status_code,
  last_error) ON webhook_deliveries TO loanserve_app;
GRANT SELECT ON webhook_subscriptions, webhook_requests, webhook_secrets, webhook_secrets_id_seq, webhook_messages,
  webhook_deliveries, webhook_deliveries_id_seq TO loanserve_backup;
GRANT SELECT ON webhook_subscriptions, webhook_requests, webhook_messages, webhook_deliveries TO loanserve_readonly;
GRANT SELECT (id, subscription_id, created_at, expires_at) ON webhook_secrets TO loanserve_readonly;
