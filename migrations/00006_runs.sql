-- +goose Up
-- Runs: work on the whole portfolio for a business date, and how far it has
-- come. New tables only, so it takes no lock that anybody waits for, and an
-- earlier release does not see it.

CREATE TYPE run_kind AS ENUM ('close_day');
CREATE TYPE run_status AS ENUM ('requested', 'running', 'finished', 'failed');

-- A run counts loans: total of them are to be looked at, done have been, and of
-- those changed have new transactions and failed_count could not be worked.
CREATE TABLE runs (
  id              uuid PRIMARY KEY,
  kind            run_kind NOT NULL,
  as_of_on        date NOT NULL CHECK (isfinite(as_of_on)), -- the business date that it speaks for
  status          run_status NOT NULL DEFAULT 'requested',
  total           bigint NOT NULL DEFAULT 0 CHECK (total >= 0),
  done            bigint NOT NULL DEFAULT 0 CHECK (done BETWEEN 0 AND total),
  changed         bigint NOT NULL DEFAULT 0 CHECK (changed >= 0),
  failed_count    bigint NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
  requested_by    text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at      timestamptz NOT NULL DEFAULT now(),
  started_at      timestamptz,
  finished_at     timestamptz,
  findings        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(findings) = 'array'),

  UNIQUE (requested_by, idempotency_key),
  CHECK ((status = 'requested') = (started_at IS NULL)),
  CHECK ((status IN ('finished', 'failed')) = (finished_at IS NOT NULL)),
  -- Over means that every loan was looked at, and finished that all went well.
  CHECK (finished_at IS NULL OR done = total),
  CHECK (status <> 'finished' OR failed_count = 0)
);

-- A run's loans, cut into ranges of ids. Each is worked in one transaction and
-- counted into its run once: when finished_at is set.
CREATE TABLE run_chunks (
  run_id        uuid NOT NULL REFERENCES runs ON DELETE RESTRICT,
  first_loan_id bigint NOT NULL,
  last_loan_id  bigint NOT NULL,
  loans         bigint NOT NULL CHECK (loans > 0), -- that the run is to look at
  finished_at   timestamptz,

  PRIMARY KEY (run_id, first_loan_id),
  CHECK (first_loan_id <= last_loan_id)
);

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON runs
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A run says who had what done to the loans, and transactions name it as their cause.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON run_chunks
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A part of a run that should not be worked is left as it is: its run then does not end.');
ALTER TABLE runs ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE run_chunks ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT ON runs, run_chunks TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT INSERT ON runs, run_chunks TO loanserve_app;
GRANT UPDATE (status, total, done, changed, failed_count, started_at, finished_at, findings) ON runs TO loanserve_app;
GRANT UPDATE (finished_at) ON run_chunks TO loanserve_app;
