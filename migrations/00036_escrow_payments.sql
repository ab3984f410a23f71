-- +goose Up
-- Paying the bills of escrow accounts: which cycle of its line a bill belongs to,
-- what a person has decided about one, where payees are paid, what was returned.
--
-- New tables, and columns of tables that nothing has written yet: no row is
-- rewritten, and each exclusive lock is held for a moment. The one new column of
-- escrow_lines may be missing. The previous release does not know any of it.

-- The day of the month on which a line's bills fall due, where a short month has
-- moved next_due_on to an earlier one. It counts while next_due_on agrees with it.
ALTER TABLE escrow_lines ADD COLUMN due_day smallint CHECK (due_day BETWEEN 1 AND 31);

-- A line pays one cycle after the other. A cycle is one bill, or the installments
-- of one tax; it is named by the line's next_due_on, which moves on when all of it
-- is paid. A bill that was canceled leaves its date to another one.
ALTER TABLE escrow_bills
  ADD COLUMN cycle_on date NOT NULL CHECK (isfinite(cycle_on)),
  ADD COLUMN basis_rule text CHECK (length(basis_rule) BETWEEN 1 AND 100), -- why installments, or one sum
  ADD COLUMN released_by text CHECK (length(released_by) BETWEEN 1 AND 200), -- who wants it paid in spite of a rule
  ADD COLUMN canceled_by text CHECK (length(canceled_by) BETWEEN 1 AND 200),
  ADD COLUMN cancel_reason text CHECK (length(cancel_reason) BETWEEN 1 AND 200),
  ADD CONSTRAINT escrow_bills_canceled CHECK ((status = 'canceled') = (canceled_by IS NOT NULL)
    AND (canceled_by IS NULL) = (cancel_reason IS NULL)),
  ADD CONSTRAINT escrow_bills_discounted CHECK (discount_cents = 0 OR discount_on IS NOT NULL),
  DROP CONSTRAINT escrow_bills_line_id_due_on_key;
CREATE INDEX escrow_bills_line_id_idx ON escrow_bills (line_id, cycle_on);
CREATE INDEX escrow_bills_unpaid_idx ON escrow_bills (id) WHERE status IN ('open', 'held'); -- to list them
CREATE UNIQUE INDEX escrow_bills_due_on_idx ON escrow_bills (line_id, due_on) WHERE status <> 'canceled';

-- What came back may be paid again, so that what is unique is the money that is
-- out. A loan that is paid off can get more than one refund, when more money comes.
ALTER TABLE escrow_disbursements
  ADD COLUMN released_by text CHECK (length(released_by) BETWEEN 1 AND 200), -- who wants returned money sent again
  DROP CONSTRAINT escrow_disbursements_bill_id_key,
  DROP CONSTRAINT escrow_disbursements_analysis_id_key;
DROP INDEX escrow_disbursements_payoff_idx;
CREATE INDEX escrow_disbursements_bill_id_idx ON escrow_disbursements (bill_id) WHERE bill_id IS NOT NULL;
CREATE INDEX escrow_disbursements_analysis_id_idx ON escrow_disbursements (analysis_id) WHERE analysis_id IS NOT NULL;
CREATE UNIQUE INDEX escrow_disbursements_bill_idx ON escrow_disbursements (bill_id) WHERE status <> 'returned';
CREATE UNIQUE INDEX escrow_disbursements_refund_idx ON escrow_disbursements (analysis_id) WHERE status <> 'returned';
CREATE UNIQUE INDEX escrow_disbursements_payoff_idx ON escrow_disbursements (loan_id, paid_on)
  WHERE kind = 'payoff_refund' AND status <> 'returned';
CREATE INDEX escrow_disbursements_unsettled_idx ON escrow_disbursements (id) WHERE status <> 'confirmed'; -- to list them
-- Returned money that waits for a person.
CREATE INDEX escrow_disbursements_returned_idx ON escrow_disbursements (loan_id)
  WHERE status = 'returned' AND released_by IS NULL;

-- Wishes that money be booked back because it was returned.
CREATE TYPE escrow_return_status AS ENUM ('requested', 'posted', 'rejected');
CREATE TABLE escrow_returns (
  id              uuid PRIMARY KEY,
  disbursement_id uuid NOT NULL REFERENCES escrow_disbursements ON DELETE RESTRICT,
  status          escrow_return_status NOT NULL DEFAULT 'requested',
  returned_on     date NOT NULL CHECK (isfinite(returned_on)),
  reason          text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
  refusal         text CHECK (length(refusal) BETWEEN 1 AND 100),
  requested_by    text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash    bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at      timestamptz NOT NULL DEFAULT now(),
  posted_at       timestamptz,

  UNIQUE (requested_by, idempotency_key),
  CHECK ((status = 'posted') = (posted_at IS NOT NULL)),
  CHECK ((status = 'rejected') = (refusal IS NOT NULL))
);
CREATE INDEX escrow_returns_disbursement_id_idx ON escrow_returns (disbursement_id);
CREATE UNIQUE INDEX escrow_returns_posted_idx ON escrow_returns (disbursement_id) WHERE status = 'posted';

-- Where a payee's bills are paid by ACH: the account of that name that is not
-- replaced. A payee without one gets a line of a CSV file.
CREATE TABLE escrow_payees (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 200), -- as escrow_lines.payee has it
  routing_number text NOT NULL CHECK (routing_number ~ '^[0-9]{9}$'),
  account_number text NOT NULL CHECK (account_number ~ '^[0-9A-Za-z-]{1,17}$'),
  account_kind   text NOT NULL CHECK (account_kind IN ('checking', 'savings')),
  requested_by   text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  created_at     timestamptz NOT NULL DEFAULT now(),
  replaced_at    timestamptz
);
CREATE UNIQUE INDEX escrow_payees_name_idx ON escrow_payees (name) WHERE replaced_at IS NULL;

-- What the servicer chooses about paying, and who it is to its bank. The newest
-- row counts; without one the defaults of these columns do, and nothing goes by ACH.
CREATE TABLE escrow_payment_policies (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  overdue          text NOT NULL DEFAULT 'advance' CHECK (overdue IN ('advance', 'from_escrow', 'hold')),
  stale_after_days smallint NOT NULL DEFAULT 10 CHECK (stale_after_days BETWEEN 1 AND 180),
  bank_routing     text CHECK (bank_routing ~ '^[0-9]{9}$'),         -- of the bank that takes the files
  bank_name        text CHECK (bank_name ~ '^[ -~]{1,23}$'),
  company_id       text CHECK (company_id ~ '^[0-9A-Za-z]{10}$'),    -- as the bank has assigned it
  company_name     text CHECK (company_name ~ '^[ -~]{1,16}$'),
  requested_by     text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  created_at       timestamptz NOT NULL DEFAULT now(),
  CHECK (num_nulls(bank_routing, bank_name, company_id, company_name) IN (0, 4))
);

-- +goose StatementBegin
-- loans_to_disburse returns the loans of a range of ids that may have something to
-- be paid: bills and lines whose dates come by the day up_to_on, refunds that are due
-- by then, and what is left in escrow of a loan that was paid off by as_of_on.
-- Whether it is to be paid already, the arithmetic says.
CREATE FUNCTION loans_to_disburse(first_loan_id bigint, last_loan_id bigint, as_of_on date, up_to_on date)
RETURNS SETOF bigint
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT b.loan_id FROM escrow_bills b
  WHERE b.loan_id BETWEEN $1 AND $2 AND b.status IN ('open', 'held') AND least(b.due_on, b.discount_on, b.penalty_on) <= $4
  UNION
  SELECT e.loan_id FROM escrow_lines e
  JOIN loans l ON l.id = e.loan_id AND l.status = 'active'
  WHERE e.loan_id BETWEEN $1 AND $2 AND e.ended_at IS NULL AND (e.ends_on IS NULL OR e.next_due_on <= e.ends_on)
    AND least(e.next_due_on, e.next_discount_on, e.next_penalty_on) <= $4
    AND NOT EXISTS (
      SELECT FROM escrow_bills b
      WHERE b.line_id = e.id AND b.cycle_on = e.next_due_on AND b.status <> 'canceled')
  UNION
  SELECT a.loan_id FROM escrow_analyses a
  JOIN loans l ON l.id = a.loan_id AND l.status = 'active'
  WHERE a.loan_id BETWEEN $1 AND $2 AND a.status = 'finished' AND NOT a.dry_run AND a.refund_cents > 0
    AND a.refund_due_on <= $4
    AND NOT EXISTS (
      SELECT FROM escrow_disbursements d
      WHERE d.analysis_id = a.id AND (d.status <> 'returned' OR d.released_by IS NULL))
    AND NOT EXISTS (
      SELECT FROM escrow_analyses o
      WHERE o.loan_id = a.loan_id AND o.id > a.id AND o.status = 'finished' AND NOT o.dry_run)
  UNION
  SELECT l.id FROM loans l
  WHERE l.id BETWEEN $1 AND $2 AND l.status = 'paid_off' AND l.escrow_cents > 0 AND l.paid_off_on <= $3
    AND NOT EXISTS (
      SELECT FROM escrow_disbursements d
      WHERE d.loan_id = l.id AND d.kind = 'payoff_refund' AND d.status = 'returned' AND d.released_by IS NULL)
$$;
-- +goose StatementEnd

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_returns
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Money that was returned is in the books; what is sent again is another disbursement.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_payees
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Money was sent to that account; add the one that replaces it.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_payment_policies
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Bills were paid by that policy; add the one that follows it.');
ALTER TABLE escrow_returns ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_payees ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_payment_policies ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT ON escrow_returns, escrow_payees, escrow_payment_policies TO loanserve_app, loanserve_backup;
GRANT SELECT ON escrow_returns, escrow_payment_policies TO loanserve_readonly;
GRANT SELECT ON escrow_payees_id_seq, escrow_payment_policies_id_seq TO loanserve_backup;
-- Account numbers are nobody's to read who only looks at the books.
REVOKE SELECT ON escrow_files FROM loanserve_readonly;
GRANT SELECT (id, format, sha256, items, total_cents, requested_by, idempotency_key, request_hash, created_at)
  ON escrow_files TO loanserve_readonly;
GRANT SELECT (id, name, routing_number, account_kind, requested_by, created_at, replaced_at)
  ON escrow_payees TO loanserve_readonly;
GRANT INSERT ON escrow_returns, escrow_payees, escrow_payment_policies TO loanserve_app;
GRANT UPDATE (status, refusal, posted_at) ON escrow_returns TO loanserve_app;
GRANT UPDATE (replaced_at) ON escrow_payees TO loanserve_app;
GRANT UPDATE (released_by, canceled_by, cancel_reason) ON escrow_bills TO loanserve_app;
GRANT UPDATE (released_by) ON escrow_disbursements TO loanserve_app;
GRANT UPDATE (due_day) ON escrow_lines TO loanserve_app;
