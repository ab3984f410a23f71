-- +goose Up
-- What a run that deletes sessions or login attempts was told, and what it left.
-- A new table only. The previous release does not see it and runs on.
CREATE TABLE run_purges (
  run_id    uuid PRIMARY KEY REFERENCES runs ON DELETE RESTRICT,
  before_at timestamptz NOT NULL, -- what ended or happened before it is to go
  dry_run   boolean NOT NULL,
  remaining bigint CHECK (remaining >= 0), -- rows that were to go and stayed, at the end
  oldest_at timestamptz -- of the rows that are left, at the end
);

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON run_purges
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal('It says what a run deleted, and is part of the run.');
ALTER TABLE run_purges ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT, INSERT ON run_purges TO loanserve_app;
GRANT UPDATE (remaining, oldest_at) ON run_purges TO loanserve_app;
GRANT SELECT ON run_purges TO loanserve_backup, loanserve_readonly;
