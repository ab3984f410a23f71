-- +goose Up
-- The audit trail: who did what to whom, and what was refused. A new table only.
-- The previous release does not see it and runs on.
--
-- An event outlives everybody it names: a deleted user leaves a null reference
-- and his name as it was. Rows are never changed by the program nor removed by
-- anybody.
CREATE TABLE auth_events (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  occurred_at    timestamptz NOT NULL DEFAULT now(),
  kind           text NOT NULL CHECK (kind ~ '^[a-z_]{1,40}$'),
  actor          text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),      -- 'user:7', 'token:12', 'nobody'
  actor_name     text NOT NULL CHECK (length(actor_name) BETWEEN 1 AND 200), -- as it was then
  actor_user_id  bigint REFERENCES users ON DELETE SET NULL,
  target         text CHECK (length(target) BETWEEN 1 AND 200),
  target_name    text CHECK (length(target_name) BETWEEN 1 AND 200),
  target_user_id bigint REFERENCES users ON DELETE SET NULL,
  ip             inet,
  request_id     text CHECK (length(request_id) BETWEEN 1 AND 100),
  requests       integer NOT NULL DEFAULT 1 CHECK (requests > 0), -- like ones at the same moment that it stands for
  details        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
  CHECK ((target IS NULL) = (target_name IS NULL))
);
CREATE INDEX auth_events_actor_user_id_idx ON auth_events (actor_user_id) WHERE actor_user_id IS NOT NULL;
CREATE INDEX auth_events_target_user_id_idx ON auth_events (target_user_id) WHERE target_user_id IS NOT NULL;
CREATE INDEX auth_events_kind_idx ON auth_events (kind, id);

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON auth_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'The audit trail is only ever added to; add an event that says what was wrong.');
ALTER TABLE auth_events ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT, INSERT ON auth_events TO loanserve_app;
GRANT SELECT ON auth_events, auth_events_id_seq TO loanserve_backup;
GRANT SELECT ON auth_events TO loanserve_readonly;
