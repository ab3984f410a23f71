-- The columns of River's tables that our own queries read and write, for their types
-- only: River's migrations make the tables. `sqlc vet` prepares the queries on a
-- database that has the real one.
CREATE SCHEMA river;
CREATE TYPE river.river_job_state AS ENUM (
  'available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled'
);
CREATE TABLE river.river_job (
  id           bigint NOT NULL,
  state        river.river_job_state NOT NULL,
  attempt      smallint NOT NULL,
  max_attempts smallint NOT NULL,
  attempted_at timestamptz,
  attempted_by text[],
  created_at   timestamptz NOT NULL,
  scheduled_at timestamptz NOT NULL,
  finalized_at timestamptz,
  errors       jsonb[],
  kind         text NOT NULL,
  queue        text NOT NULL,
  args         jsonb NOT NULL
);
CREATE TABLE river.river_queue (
  name       text NOT NULL,
  updated_at timestamptz NOT NULL,
  paused_at  timestamptz
);
