-- +goose Up
-- Escrow accounts: what their lines will cost, the servicer's policy, analyses and
-- what follows from them, the bills that come, and the money that leaves.
--
-- New tables, and columns of escrow_lines and loans with constant defaults: no row
-- is rewritten, and each exclusive lock is held for a moment. The previous release
-- runs on: it boards lines whose new columns have their defaults.

-- A line is one bill that comes again and again. Its dates are those of the first
-- one that is not paid; the next follow every_months later. amount_cents is what the
-- last one came to.
ALTER TABLE escrow_lines
  ADD COLUMN known_cents bigint CHECK (known_cents BETWEEN 0 AND 10000000000), -- the next one, when that is known
  ADD COLUMN comparable boolean NOT NULL DEFAULT false,       -- amount_cents is that of comparable property
  ADD COLUMN next_discount_on date CHECK (isfinite(next_discount_on)),
  ADD COLUMN next_penalty_on date CHECK (isfinite(next_penalty_on)),
  ADD COLUMN discount_cents bigint NOT NULL DEFAULT 0 CHECK (discount_cents BETWEEN 0 AND 10000000000),
  ADD COLUMN ends_on date CHECK (isfinite(ends_on)),
  ADD COLUMN last_paid_on date CHECK (isfinite(last_paid_on)),
  ADD COLUMN outside_cushion boolean NOT NULL DEFAULT false,
  ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version >= 1), -- counts its changes, for If-Match
  ADD COLUMN ended_at timestamptz, -- nothing is collected or paid for it any more
  ADD COLUMN ended_by text CHECK (length(ended_by) BETWEEN 1 AND 200);
ALTER TABLE escrow_lines
  ADD CONSTRAINT escrow_lines_discount CHECK ((discount_cents = 0) OR (next_discount_on IS NOT NULL)) NOT VALID,
  ADD CONSTRAINT escrow_lines_ended CHECK ((ended_at IS NULL) = (ended_by IS NULL)) NOT VALID;
ALTER TABLE escrow_lines VALIDATE CONSTRAINT escrow_lines_discount;
ALTER TABLE escrow_lines VALIDATE CONSTRAINT escrow_lines_ended;

-- What only the loan knows: what lowers its cushion, what stands in the way of a
-- statement or of paying a bill, and when its computation year begins.
ALTER TABLE loans
  ADD COLUMN escrow_year_starts_on date CHECK (isfinite(escrow_year_starts_on)), -- of the year that was analyzed last
  ADD COLUMN escrow_cushion_months smallint CHECK (escrow_cushion_months BETWEEN 0 AND 2), -- loan documents or state law
  ADD COLUMN escrow_cushion_source text CHECK (escrow_cushion_source IN ('loan_documents', 'state_law')),
  ADD COLUMN in_foreclosure boolean NOT NULL DEFAULT false,
  ADD COLUMN in_bankruptcy boolean NOT NULL DEFAULT false,
  ADD COLUMN vacant boolean NOT NULL DEFAULT false;
ALTER TABLE loans
  ADD CONSTRAINT loans_escrow_cushion CHECK ((escrow_cushion_months IS NULL) = (escrow_cushion_source IS NULL)) NOT VALID;
ALTER TABLE loans VALIDATE CONSTRAINT loans_escrow_cushion;

-- The servicer's policy: what the regulation leaves open. The newest row counts,
-- and an analysis names the one that it followed. Content is checked by the
-- arithmetic, which knows the bounds that the regulation sets.
CREATE TABLE escrow_policies (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  policy       jsonb NOT NULL CHECK (jsonb_typeof(policy) = 'object'),
  cpi_change_ppm bigint NOT NULL CHECK (cpi_change_ppm BETWEEN -1000000 AND 1000000), -- the last year's, CPI-U all items
  requested_by text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE escrow_analysis_kind AS ENUM ('annual', 'short_year', 'on_demand', 'initial', 'payoff');
CREATE TYPE escrow_analysis_status AS ENUM ('requested', 'finished', 'rejected');

-- An analysis, whole: what went in (request), what came out (result), and in
-- columns what is asked for across loans. A finished one never changes. One that is
-- not a dry run was applied in the same transaction: its payment as loan_changes.
CREATE TABLE escrow_analyses (
  id                      uuid PRIMARY KEY,
  loan_id                 bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  run_id                  uuid REFERENCES runs ON DELETE RESTRICT,
  kind                    escrow_analysis_kind NOT NULL,
  status                  escrow_analysis_status NOT NULL DEFAULT 'requested',
  dry_run                 boolean NOT NULL,
  as_of_on                date NOT NULL CHECK (isfinite(as_of_on)),
  start_on                date CHECK (isfinite(start_on)), -- the first payment of the computation year
  refusal                 text CHECK (length(refusal) BETWEEN 1 AND 200),
  requested_by            text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key         text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash            bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at              timestamptz NOT NULL DEFAULT now(),
  finished_at             timestamptz,

  policy_id               bigint REFERENCES escrow_policies ON DELETE RESTRICT, -- NULL is the default policy
  request                 jsonb,
  result                  jsonb,
  base_payment_cents      bigint,
  cushion_cents           bigint,
  required_start_cents    bigint,
  start_balance_cents     bigint,
  surplus_cents           bigint CHECK (surplus_cents >= 0),
  shortage_cents          bigint CHECK (shortage_cents >= 0),
  deficiency_cents        bigint CHECK (deficiency_cents >= 0),
  new_escrow_payment_cents bigint,
  effective_on            date,
  refund_cents            bigint NOT NULL DEFAULT 0 CHECK (refund_cents >= 0),
  refund_due_on           date,
  statement_due_on        date, -- NULL where none is owed

  UNIQUE (requested_by, idempotency_key),
  CHECK ((status = 'requested') = (finished_at IS NULL)),
  CHECK ((status = 'rejected') = (refusal IS NOT NULL)),
  CHECK (status <> 'finished' OR request IS NOT NULL AND result IS NOT NULL),
  CHECK ((refund_cents > 0) = (refund_due_on IS NOT NULL))
);
CREATE INDEX escrow_analyses_loan_id_idx ON escrow_analyses (loan_id, id);
CREATE INDEX escrow_analyses_run_id_idx ON escrow_analyses (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX escrow_analyses_policy_id_idx ON escrow_analyses (policy_id) WHERE policy_id IS NOT NULL;
CREATE INDEX escrow_analyses_statement_due_idx ON escrow_analyses (statement_due_on) WHERE statement_due_on IS NOT NULL;
-- A run analyzes a loan once for its date, and a year is analyzed once.
CREATE UNIQUE INDEX escrow_analyses_annual_idx ON escrow_analyses (loan_id, start_on)
  WHERE kind = 'annual' AND status = 'finished' AND NOT dry_run;

-- The twelve months of a finished analysis.
CREATE TABLE escrow_analysis_months (
  analysis_id        uuid NOT NULL REFERENCES escrow_analyses ON DELETE RESTRICT,
  month_on           date NOT NULL CHECK (isfinite(month_on)), -- its first day
  deposit_cents      bigint NOT NULL,
  disbursement_cents bigint NOT NULL,
  target_cents       bigint NOT NULL,
  projected_cents    bigint NOT NULL,
  payment_cents      bigint NOT NULL, -- what is asked for
  expected_cents     bigint NOT NULL, -- what the account holds if all is done
  PRIMARY KEY (analysis_id, month_on)
);

CREATE TYPE escrow_bill_status AS ENUM ('open', 'held', 'paid', 'canceled');
CREATE TYPE escrow_disbursement_kind AS ENUM ('bill', 'surplus_refund', 'payoff_refund');
CREATE TYPE escrow_disbursement_status AS ENUM ('scheduled', 'sent', 'confirmed', 'returned', 'stale');

-- A bill of a line, for one due date: as it came, or as it was expected when the
-- day came to pay it. There is one for each due date, which is how none is paid twice.
CREATE TABLE escrow_bills (
  id             uuid PRIMARY KEY,
  line_id        bigint NOT NULL REFERENCES escrow_lines ON DELETE RESTRICT,
  loan_id        bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  status         escrow_bill_status NOT NULL DEFAULT 'open',
  due_on         date NOT NULL CHECK (isfinite(due_on)),
  discount_on    date CHECK (isfinite(discount_on)),
  penalty_on     date CHECK (isfinite(penalty_on)),
  amount_cents   bigint NOT NULL CHECK (amount_cents BETWEEN 1 AND 10000000000),
  discount_cents bigint NOT NULL DEFAULT 0 CHECK (discount_cents BETWEEN 0 AND amount_cents),
  expected       boolean NOT NULL,               -- no bill has come; the line says what it should be
  insurance_canceled boolean NOT NULL DEFAULT false, -- for another reason than an unpaid premium
  held_rule      text CHECK (length(held_rule) BETWEEN 1 AND 100),
  requested_by   text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  created_at     timestamptz NOT NULL DEFAULT now(),

  UNIQUE (line_id, due_on),
  CHECK ((status = 'held') = (held_rule IS NOT NULL))
);
CREATE INDEX escrow_bills_loan_id_idx ON escrow_bills (loan_id);
CREATE INDEX escrow_bills_open_idx ON escrow_bills (due_on) WHERE status IN ('open', 'held');

-- Payment instructions, as they were written for a bank: each file once.
CREATE TABLE escrow_files (
  id           uuid PRIMARY KEY,
  format       text NOT NULL CHECK (format IN ('nacha', 'csv')),
  content      bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 52428800),
  sha256       bytea NOT NULL CHECK (sha256 = sha256(content)),
  items        integer NOT NULL CHECK (items >= 1),
  total_cents  bigint NOT NULL CHECK (total_cents >= 1),
  requested_by text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (requested_by, idempotency_key)
);

-- Money that leaves an escrow account. It is in the loan's books as of paid_on from
-- the moment it is scheduled; returned money is in them again as of returned_on.
CREATE TABLE escrow_disbursements (
  id            uuid PRIMARY KEY,
  loan_id       bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  kind          escrow_disbursement_kind NOT NULL,
  bill_id       uuid UNIQUE REFERENCES escrow_bills ON DELETE RESTRICT,
  analysis_id   uuid UNIQUE REFERENCES escrow_analyses ON DELETE RESTRICT,
  status        escrow_disbursement_status NOT NULL DEFAULT 'scheduled',
  payee         text NOT NULL CHECK (length(payee) BETWEEN 1 AND 200),
  amount_cents  bigint NOT NULL CHECK (amount_cents BETWEEN 1 AND 10000000000),
  advanced_cents bigint NOT NULL DEFAULT 0 CHECK (advanced_cents BETWEEN 0 AND amount_cents), -- when it was decided
  rule          text NOT NULL CHECK (length(rule) BETWEEN 1 AND 100),
  due_on        date NOT NULL CHECK (isfinite(due_on)),
  paid_on       date NOT NULL CHECK (isfinite(paid_on)),
  file_id       uuid REFERENCES escrow_files ON DELETE RESTRICT,
  sent_at       timestamptz,
  confirmed_at  timestamptz,
  returned_on   date CHECK (isfinite(returned_on)),
  return_reason text CHECK (length(return_reason) BETWEEN 1 AND 200),
  caused_by     text NOT NULL CHECK (length(caused_by) BETWEEN 1 AND 200),
  posted_at     timestamptz NOT NULL,

  CHECK ((kind = 'bill') = (bill_id IS NOT NULL)),
  CHECK ((kind = 'surplus_refund') = (analysis_id IS NOT NULL)),
  CHECK ((status = 'returned') = (returned_on IS NOT NULL)),
  CHECK (status = 'scheduled' OR sent_at IS NOT NULL OR status = 'returned')
);
CREATE INDEX escrow_disbursements_loan_id_idx ON escrow_disbursements (loan_id, id);
CREATE INDEX escrow_disbursements_file_id_idx ON escrow_disbursements (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX escrow_disbursements_status_idx ON escrow_disbursements (status, paid_on) WHERE status IN ('scheduled', 'sent', 'stale');
CREATE UNIQUE INDEX escrow_disbursements_payoff_idx ON escrow_disbursements (loan_id)
  WHERE kind = 'payoff_refund' AND status <> 'returned';

-- Statements that were made of an analysis: the documents, and when they were delivered.
CREATE TABLE escrow_statements (
  analysis_id  uuid PRIMARY KEY REFERENCES escrow_analyses ON DELETE RESTRICT,
  loan_id      bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  html_id      uuid NOT NULL REFERENCES documents ON DELETE RESTRICT,
  pdf_id       uuid NOT NULL REFERENCES documents ON DELETE RESTRICT,
  made_at      timestamptz NOT NULL DEFAULT now(),
  delivered_on date CHECK (isfinite(delivered_on)),
  delivered_by text CHECK (length(delivered_by) BETWEEN 1 AND 200), -- who says so
  CHECK ((delivered_on IS NULL) = (delivered_by IS NULL))
);
CREATE INDEX escrow_statements_loan_id_idx ON escrow_statements (loan_id);
CREATE INDEX escrow_statements_html_id_idx ON escrow_statements (html_id);
CREATE INDEX escrow_statements_pdf_id_idx ON escrow_statements (pdf_id);

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_policies
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Analyses name the policy that they followed; add the one that follows it.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_analyses
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'An analysis was told to the borrower; analyze the account again.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_analysis_months
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'The months of an analysis stay with it; analyze the account again.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_bills
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Cancel a bill that is not to be paid; one that was paid stays on record.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_files
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'What was written for a bank stays as it was written.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_disbursements
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Money that left is on record; what comes back is entered as returned.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_statements
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A statement stays as the borrower got it.');
ALTER TABLE escrow_policies ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_analyses ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_analysis_months ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_bills ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_files ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_disbursements ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_statements ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT ON escrow_policies, escrow_analyses, escrow_analysis_months, escrow_bills, escrow_files,
  escrow_disbursements, escrow_statements TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT SELECT ON escrow_policies_id_seq TO loanserve_backup;
GRANT INSERT ON escrow_policies, escrow_analyses, escrow_analysis_months, escrow_bills, escrow_files,
  escrow_disbursements, escrow_statements TO loanserve_app;
GRANT UPDATE (status, start_on, refusal, finished_at, policy_id, request, result, base_payment_cents, cushion_cents,
  required_start_cents, start_balance_cents, surplus_cents, shortage_cents, deficiency_cents, new_escrow_payment_cents,
  effective_on, refund_cents, refund_due_on, statement_due_on) ON escrow_analyses TO loanserve_app;
GRANT UPDATE (amount_cents, known_cents, comparable, next_due_on, next_discount_on, next_penalty_on, discount_cents,
  ends_on, last_paid_on, outside_cushion, payee, every_months, version, ended_at, ended_by) ON escrow_lines TO loanserve_app;
GRANT UPDATE (escrow_year_starts_on, escrow_cushion_months, escrow_cushion_source, in_foreclosure, in_bankruptcy, vacant)
  ON loans TO loanserve_app;
GRANT UPDATE (status, amount_cents, discount_on, penalty_on, discount_cents, expected, insurance_canceled, held_rule)
  ON escrow_bills TO loanserve_app;
GRANT UPDATE (status, file_id, sent_at, confirmed_at, returned_on, return_reason) ON escrow_disbursements TO loanserve_app;
GRANT UPDATE (delivered_on, delivered_by) ON escrow_statements TO loanserve_app;
