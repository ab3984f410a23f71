-- +goose Up
-- Files of payments: one row for each file that was taken, and one for each of
-- its items, so that every cent of a file can be told from where it went.
--
-- New tables only. The references to loans and payments take a lock on them
-- that lets rows be read and changed, and hold it for a moment, as there is
-- nothing to check. The previous release does not see the tables and runs on.

CREATE TYPE payment_file_format AS ENUM ('csv', 'bai_lockbox', 'nacha');
CREATE TYPE payment_batch_status AS ENUM ('received', 'posting', 'finished');
CREATE TYPE payment_batch_item_status AS ENUM ('stored', 'posted', 'rejected', 'exception', 'returned');

-- A file. It is finished while none of its payments waits to be posted; what
-- became of the items is counted from them, and stored nowhere else.
CREATE TABLE payment_batches (
  id              uuid PRIMARY KEY,
  format          payment_file_format NOT NULL,
  sha256          bytea NOT NULL CHECK (octet_length(sha256) = 32),
  items           integer NOT NULL CHECK (items BETWEEN 1 AND 1000000),
  total_cents     bigint NOT NULL CHECK (total_cents BETWEEN 1 AND 10000000000000000),
  status          payment_batch_status NOT NULL DEFAULT 'received',
  requested_by    text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at      timestamptz NOT NULL DEFAULT now(),
  finished_at     timestamptz,

  UNIQUE (sha256),
  UNIQUE (requested_by, idempotency_key),
  CHECK ((status = 'finished') = (finished_at IS NOT NULL))
);

-- An item of a file, under the number of its line. stored: its payment waits to
-- be posted. exception: the program does not know whose money it is, or has it
-- already, and a person decides. returned: that person sent it back.
CREATE TABLE payment_batch_items (
  batch_id     uuid NOT NULL REFERENCES payment_batches ON DELETE RESTRICT,
  line         integer NOT NULL CHECK (line >= 1),
  loan_number  text NOT NULL CHECK (length(loan_number) BETWEEN 1 AND 40),
  amount_cents bigint NOT NULL CHECK (amount_cents BETWEEN 1 AND 10000000000),
  received_on  date NOT NULL CHECK (received_on BETWEEN '1970-01-01' AND '2199-12-31'),
  channel      payment_channel NOT NULL,
  designation  payment_designation NOT NULL,
  external_ref text NOT NULL CHECK (length(external_ref) BETWEEN 1 AND 100),
  status       payment_batch_item_status NOT NULL,
  reason       text CHECK (length(reason) BETWEEN 1 AND 100),
  loan_id      bigint REFERENCES loans ON DELETE RESTRICT,
  payment_id   uuid REFERENCES payments ON DELETE RESTRICT,
  note         text CHECK (length(note) BETWEEN 1 AND 500),
  resolved_by  text CHECK (length(resolved_by) BETWEEN 1 AND 200),
  resolved_at  timestamptz,

  PRIMARY KEY (batch_id, line),
  CHECK ((status IN ('stored', 'posted', 'rejected')) = (payment_id IS NOT NULL)),
  CHECK (payment_id IS NULL OR loan_id IS NOT NULL),
  CHECK ((status IN ('rejected', 'exception', 'returned')) = (reason IS NOT NULL)),
  CHECK (status <> 'returned' OR resolved_at IS NOT NULL),
  CHECK (status <> 'exception' OR resolved_at IS NULL),
  CHECK ((resolved_at IS NULL) = (resolved_by IS NULL)),
  CHECK (note IS NULL OR resolved_at IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX payment_batch_items_status_idx ON payment_batch_items (batch_id, status, line);
CREATE INDEX payment_batch_items_loan_id_idx ON payment_batch_items (loan_id) WHERE loan_id IS NOT NULL;
CREATE UNIQUE INDEX payment_batch_items_payment_id_idx ON payment_batch_items (payment_id) WHERE payment_id IS NOT NULL;

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON payment_batches
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A file that was taken stays on record; reverse the payments that should not count.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON payment_batch_items
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Resolve an item that is an exception; one that was posted is undone by reversing its payment.');
ALTER TABLE payment_batches ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE payment_batch_items ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT ON payment_batches, payment_batch_items TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT INSERT ON payment_batches, payment_batch_items TO loanserve_app;
GRANT UPDATE (status, finished_at) ON payment_batches TO loanserve_app;
GRANT UPDATE (status, reason, loan_id, payment_id, note, resolved_by, resolved_at) ON payment_batch_items
  TO loanserve_app;
