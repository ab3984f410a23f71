-- +goose Up
-- The catalog of backups: which were asked for, and what became of them. The store
-- has the truth about those that were made; this is where workers look for what is
-- due, and where people see what failed. A new table only, so that it takes no lock
-- that anybody waits for, and the previous release does not see it and runs on.
CREATE TYPE backup_kind AS ENUM ('physical', 'logical');

-- requested: waits, or is under way, or will be tried again. stored: in the store,
-- and not proven yet. verified, refused: what the verification found. failed: given
-- up. pruned: deleted from the store, because no generation needed it.
CREATE TYPE backup_status AS ENUM ('requested', 'stored', 'verified', 'refused', 'failed', 'pruned');

CREATE TABLE backups (
  id              uuid PRIMARY KEY,
  kind            backup_kind NOT NULL,
  status          backup_status NOT NULL DEFAULT 'requested',
  requested_by    text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at      timestamptz NOT NULL DEFAULT now(),
  store_name      text UNIQUE CHECK (length(store_name) BETWEEN 1 AND 100), -- its name in the store
  size_bytes      bigint CHECK (size_bytes > 0), -- as it is stored
  started_at      timestamptz, -- what it holds is of this moment or later
  stored_at       timestamptz,
  verified_at     timestamptz, -- of the latest verification, whatever it found
  restore_ms      bigint CHECK (restore_ms >= 0),
  findings        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(findings) = 'array'),
  -- The latest failure of making or verifying it, which may have been followed by
  -- success.
  failed_stage    text,
  failure         text,

  UNIQUE (requested_by, idempotency_key),
  CHECK ((store_name IS NULL) = (status IN ('requested', 'failed'))),
  CHECK (num_nulls(store_name, size_bytes, started_at, stored_at) IN (0, 4)),
  CHECK (status NOT IN ('verified', 'refused') OR verified_at IS NOT NULL),
  CHECK ((failed_stage IS NULL) = (failure IS NULL))
);

-- The newest of each kind is asked for with every scrape.
CREATE INDEX backups_kind_started_at_idx ON backups (kind, started_at DESC) WHERE started_at IS NOT NULL;

SELECT guard_table('backups', 'It says which backups there were; one that is gone is pruned.');

GRANT SELECT, INSERT ON backups TO loanserve_app;
GRANT UPDATE (status, store_name, size_bytes, started_at, stored_at, verified_at, restore_ms, findings,
  failed_stage, failure) ON backups TO loanserve_app;
GRANT SELECT ON backups TO loanserve_backup, loanserve_readonly;
