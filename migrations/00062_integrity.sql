-- +goose Up
-- Checks of the stored data: what each was asked and how far it has come, what it
-- found, and what it has seen, so that a later one can tell what went missing since.
--
-- New tables and functions only; the reference to runs locks that table for a moment.
-- The previous release does not see them and runs on.
SET LOCAL lock_timeout = '3s';

CREATE TYPE integrity_severity AS ENUM ('warning', 'critical');
CREATE TYPE integrity_kind AS ENUM (
  'loan_missing', 'loan_unregistered', 'register_broken', 'register_cut', 'loan_terms_changed',
  'chain_broken', 'chain_gap', 'chain_head', 'chain_cut', 'balance_mismatch', 'terms_mismatch', 'replay_mismatch',
  'payment_without_transactions', 'transaction_without_payment', 'payment_split_mismatch',
  'document_changed', 'orphan', 'trial_balance', 'control_total'
);

-- A check. One that is a run has the run's id; one that a person runs by hand has no
-- run. It is over when finished_at is set, which says that everything was looked at.
CREATE TABLE integrity_checks (
  id          uuid PRIMARY KEY,
  run_id      uuid UNIQUE REFERENCES runs ON DELETE RESTRICT,
  complete    boolean NOT NULL,        -- all loans, and not only those that changed since they were last checked
  steps       text[] NOT NULL DEFAULT '{}', -- of the whole portfolio, that are done
  loans       bigint NOT NULL DEFAULT 0 CHECK (loans >= 0), -- checked
  created_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  CHECK (run_id IS NULL OR run_id = id)
);
CREATE INDEX integrity_checks_finished_idx ON integrity_checks (complete, finished_at) WHERE finished_at IS NOT NULL;

-- What a check found. There is one row for each thing, for as long as checks find it;
-- the one that no longer does sets resolved_at. loan_id is no reference: a finding
-- outlives its loan.
CREATE TABLE integrity_findings (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind             integrity_kind NOT NULL,
  severity         integrity_severity NOT NULL,
  loan_id          bigint,
  subject          text NOT NULL CHECK (length(subject) <= 500), -- what of the loan or the portfolio it is; '' for the whole
  details          jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object'),
  suggested_action text NOT NULL CHECK (length(suggested_action) BETWEEN 1 AND 500),
  first_seen_at    timestamptz NOT NULL,
  last_seen_at     timestamptz NOT NULL CHECK (last_seen_at >= first_seen_at),
  resolved_at      timestamptz CHECK (resolved_at >= last_seen_at)
);
CREATE UNIQUE INDEX integrity_findings_open_idx ON integrity_findings (kind, coalesce(loan_id, 0), subject)
  WHERE resolved_at IS NULL;
CREATE INDEX integrity_findings_loan_idx ON integrity_findings (loan_id, id);

-- What a check has seen of a loan and found in order: the head of its chain, and what
-- the loan's row said. The head must stay in the chain for ever. state_hash tells
-- whether the row has changed without a transaction; it is a mark and no seal.
CREATE TABLE integrity_anchors (
  loan_id    bigint NOT NULL,
  seq        integer NOT NULL CHECK (seq >= 1),
  hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
  state_hash bigint NOT NULL,
  seen_at    timestamptz NOT NULL,
  PRIMARY KEY (loan_id, seq)
);

-- The same of the register of loans.
CREATE TABLE register_anchors (
  chain   smallint NOT NULL,
  entry   bigint NOT NULL,
  hash    bytea NOT NULL CHECK (octet_length(hash) = 32),
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (chain, entry)
);

-- +goose StatementBegin
-- loan_state_hash returns a mark of what the books say of a loan, and not of how far
-- time has passed in them. It sets no search_path, so that it can be inlined.
CREATE FUNCTION loan_state_hash(l loans) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT hashtextextended(concat_ws('|', l.status, l.principal_cents, l.escrow_cents, l.escrow_advance_cents,
    l.suspense_cents, l.late_charges_due_cents, l.fees_due_cents, l.accrued_interest_cents,
    l.next_due_on - date '2000-01-01', encode(l.last_hash, 'hex'), l.terms_changes), 0)
$$;
-- +goose StatementEnd

-- What is to be looked at of each loan: whether it is as a check has seen it and found
-- it in order, and nothing was seen after that which is gone.
CREATE VIEW loan_integrity AS
SELECT l.id AS loan_id, l.last_seq, loan_state_hash(l.*) AS state_hash,
  EXISTS (
    SELECT FROM integrity_anchors a
    WHERE a.loan_id = l.id AND a.seq = l.last_seq AND a.hash = l.last_hash AND a.state_hash = loan_state_hash(l.*)
  ) AND NOT EXISTS (
    SELECT FROM integrity_anchors a WHERE a.loan_id = l.id AND a.seq > l.last_seq
  ) AND l.id NOT IN (
    SELECT f.loan_id FROM integrity_findings f WHERE f.resolved_at IS NULL AND f.loan_id IS NOT NULL
  ) AS seen
FROM loans l;

-- changed_terms lists the loans whose terms are not those they were boarded with, and
-- those whose changes of terms are not what loan_changes makes them. There are none.
CREATE VIEW changed_terms AS
SELECT l.id AS loan_id, 'boarded'::text AS what
FROM loans l JOIN loan_register r ON r.loan_id = l.id
WHERE r.terms_hash <> loan_terms_hash(l.*)
UNION ALL
SELECT t.loan_id, 'opening' FROM transactions t JOIN loan_register r ON r.loan_id = t.loan_id
WHERE t.seq = 1 AND r.opening_hash <> t.hash
UNION ALL
SELECT l.id, 'changes' FROM loans l
WHERE (l.terms_changes <> '{}' OR EXISTS (SELECT FROM loan_changes c WHERE c.loan_id = l.id AND c.status = 'posted'))
  AND l.terms_changes <> terms_changes_of(l.id);

-- +goose StatementBegin
-- foreign_keys returns the foreign keys of the public schema, as table and name.
CREATE FUNCTION foreign_keys() RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT c.conrelid::regclass::text || '.' || c.conname FROM pg_constraint c
  WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
  ORDER BY 1
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- orphans_of returns rows that name, by a foreign key, a row that does not exist: their
-- table and key, the loan that they have, and what they name. There are none as long as
-- the key is enforced. It returns row_limit of them at most.
CREATE FUNCTION orphans_of(key_name text, row_limit integer) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  c record;
BEGIN
  SELECT k.conrelid, k.confrelid,
    (SELECT string_agg(format('c.%1$I IS NOT NULL', a.attname), ' AND ')
      FROM unnest(k.conkey) n JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n) AS present,
    (SELECT string_agg(format('p.%I = c.%I', p.attname, a.attname), ' AND ' ORDER BY o)
      FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u (n, m, o)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n
      JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = m) AS same,
    (SELECT format('concat_ws(%L, %s)', ', ', string_agg(format('c.%I', a.attname), ', ' ORDER BY o))
      FROM unnest(k.conkey) WITH ORDINALITY u (n, o) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n) AS named,
    (SELECT format('concat_ws(%L, %s)', ', ', string_agg(format('c.%I', a.attname), ', ' ORDER BY o))
      FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY u (n, o)
      JOIN pg_attribute a ON a.attnum = n
      WHERE i.indrelid = k.conrelid AND i.indisprimary AND a.attrelid = k.conrelid) AS row_key,
    (SELECT 'c.loan_id' FROM pg_attribute a
      WHERE a.attrelid = k.conrelid AND a.attname = 'loan_id' AND NOT a.attisdropped) AS loan
  INTO STRICT c
  FROM pg_constraint k
  WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
    AND k.conrelid::regclass::text || '.' || k.conname = key_name;
  RETURN QUERY EXECUTE format(
    'SELECT jsonb_build_object(''table'', %L::text, ''loan_id'', %s::bigint, ''key'', %s, ''names'', %s, ''in'', %L::text)
    FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s) LIMIT %s',
    c.conrelid::regclass, coalesce(c.loan, 'NULL'), c.row_key, c.named, c.confrelid::regclass,
    c.conrelid::regclass, c.present, c.confrelid::regclass, c.same, row_limit);
END
$$;
-- +goose StatementEnd

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON integrity_checks
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal('It says what was checked, and when.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON integrity_findings
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Mend what it says; the next check that does not find it any more resolves it.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON integrity_anchors
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal('It is a witness of what the ledger was.');
CREATE TRIGGER refuse_rewriting BEFORE UPDATE OF loan_id, seq, hash ON integrity_anchors
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting('It is a witness of what the ledger was.');
CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON register_anchors
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting('It is a witness of what the register of loans was.');
ALTER TABLE integrity_checks ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE integrity_findings ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE integrity_anchors ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE integrity_anchors ENABLE ALWAYS TRIGGER refuse_rewriting;
ALTER TABLE register_anchors ENABLE ALWAYS TRIGGER refuse_rewriting;
-- A check marks thousands of loans by one statement, and what it marks is no history.
SELECT keep_history_of(relation, false) FROM unnest(ARRAY['integrity_checks', 'integrity_findings',
  'integrity_anchors', 'register_anchors']::regclass[]) relation;

GRANT SELECT ON integrity_checks, integrity_findings, integrity_anchors, register_anchors, loan_integrity, changed_terms
  TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT SELECT ON integrity_findings_id_seq TO loanserve_backup;
GRANT INSERT ON integrity_checks, integrity_findings, integrity_anchors, register_anchors TO loanserve_app;
GRANT UPDATE (steps, loans, finished_at) ON integrity_checks TO loanserve_app;
GRANT UPDATE (severity, details, suggested_action, last_seen_at, resolved_at) ON integrity_findings TO loanserve_app;
GRANT UPDATE (state_hash, seen_at) ON integrity_anchors TO loanserve_app;
