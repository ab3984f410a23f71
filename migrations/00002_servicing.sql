-- +goose Up
-- The servicing core: who owes what on which property, the payments that
-- arrived, and the ledger. New tables only, so it takes no lock that anybody
-- waits for, and an earlier release does not see it.
--
-- Conventions: money is whole cents in bigint columns named *_cents, rates are
-- millionths in *_ppm, calendar days are *_on, instants are *_at. Every foreign
-- key states its delete rule, and none into servicing data cascades.

CREATE TYPE loan_status AS ENUM ('active', 'paid_off', 'archived');
CREATE TYPE interest_method AS ENUM ('scheduled_30_360');
CREATE TYPE application_order AS ENUM ('conventional', 'fha');
CREATE TYPE excess_policy AS ENUM ('principal', 'next_installment', 'suspense');
CREATE TYPE rounding AS ENUM ('half_up', 'half_even');
CREATE TYPE borrower_role AS ENUM ('primary', 'co_borrower');
CREATE TYPE escrow_line_kind AS ENUM (
  'county_tax', 'city_tax', 'school_tax', 'hazard_insurance', 'flood_insurance',
  'wind_insurance', 'mortgage_insurance', 'hoa'
);
CREATE TYPE document_kind AS ENUM (
  'note', 'security_instrument', 'disclosure', 'statement', 'correspondence', 'other'
);
CREATE TYPE payment_status AS ENUM ('received', 'posted', 'rejected', 'reversed');
CREATE TYPE payment_channel AS ENUM ('portal', 'ach', 'lockbox', 'wire', 'check', 'phone', 'branch');
CREATE TYPE payment_designation AS ENUM ('periodic', 'principal', 'escrow', 'late_charge', 'payoff');
CREATE TYPE reversal_status AS ENUM ('requested', 'posted', 'rejected');
CREATE TYPE transaction_kind AS ENUM (
  'boarding', 'installment', 'unapplied', 'curtailment', 'escrow_deposit', 'late_charge', 'late_charge_payment',
  'payoff', 'reversal'
);

CREATE TABLE borrowers (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  full_name  text NOT NULL CHECK (length(full_name) BETWEEN 1 AND 200),
  email      text CHECK (length(email) BETWEEN 3 AND 254),
  phone      text CHECK (length(phone) BETWEEN 3 AND 40),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE properties (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  street      text NOT NULL CHECK (length(street) BETWEEN 1 AND 200),
  city        text NOT NULL CHECK (length(city) BETWEEN 1 AND 100),
  state       text NOT NULL CHECK (state ~ '^[A-Z]{2}$'),
  postal_code text NOT NULL CHECK (postal_code ~ '^[0-9]{5}(-[0-9]{4})?$'),
  created_at  timestamptz NOT NULL DEFAULT now()
);

-- A loan is its terms, which its note fixes, and its state, which is a
-- projection of the ledger: the sum of its transactions.
CREATE TABLE loans (
  id                           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  loan_number                  text NOT NULL UNIQUE CHECK (length(loan_number) BETWEEN 1 AND 40),
  name                         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  property_id                  bigint NOT NULL REFERENCES properties ON DELETE RESTRICT,
  status                       loan_status NOT NULL DEFAULT 'active',

  original_principal_cents     bigint NOT NULL CHECK (original_principal_cents BETWEEN 1 AND 100000000000),
  rate_ppm                     bigint NOT NULL CHECK (rate_ppm BETWEEN 0 AND 1000000),
  principal_and_interest_cents bigint NOT NULL CHECK (principal_and_interest_cents BETWEEN 1 AND 100000000000),
  escrow_payment_cents         bigint NOT NULL CHECK (escrow_payment_cents BETWEEN 0 AND 10000000000),
  originated_on                date NOT NULL CHECK (isfinite(originated_on)),
  maturity_on                  date NOT NULL CHECK (isfinite(maturity_on) AND maturity_on > originated_on),
  due_day                      smallint NOT NULL CHECK (due_day BETWEEN 1 AND 31),
  interest_method              interest_method NOT NULL,
  application_order            application_order NOT NULL,
  excess_policy                excess_policy NOT NULL,
  rounding                     rounding NOT NULL,
  late_charge_grace_days       smallint NOT NULL CHECK (late_charge_grace_days BETWEEN 0 AND 60),
  late_charge_rate_ppm         bigint NOT NULL CHECK (late_charge_rate_ppm BETWEEN 0 AND 200000),
  late_charge_minimum_cents    bigint NOT NULL CHECK (late_charge_minimum_cents BETWEEN 0 AND 100000000),
  late_charge_maximum_cents    bigint CHECK (late_charge_maximum_cents BETWEEN late_charge_minimum_cents AND 100000000),

  boarded_next_due_on          date NOT NULL,
  boarded_at                   timestamptz NOT NULL,
  boarded_by                   text NOT NULL CHECK (length(boarded_by) BETWEEN 1 AND 200),
  idempotency_key              text CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash                 bytea NOT NULL CHECK (octet_length(request_hash) = 32),

  principal_cents              bigint NOT NULL CHECK (principal_cents BETWEEN 0 AND 100000000000),
  escrow_cents                 bigint NOT NULL CHECK (escrow_cents >= 0),
  suspense_cents               bigint NOT NULL CHECK (suspense_cents >= 0),
  late_charges_due_cents       bigint NOT NULL CHECK (late_charges_due_cents >= 0),
  next_due_on                  date NOT NULL CHECK (isfinite(next_due_on)),
  as_of_on                     date NOT NULL, -- the last day whose due dates and grace periods are in the books
  late_charged_through_on      date,          -- due date of the last installment that was charged
  last_effective_on            date,          -- the last day with an entry, after the boarding
  last_receipt_id              uuid,          -- the last payment of that day, if the day's last entry is of one
  last_seq                     integer NOT NULL CHECK (last_seq >= 0),
  last_hash                    bytea NOT NULL CHECK (octet_length(last_hash) = 32),
  updated_at                   timestamptz NOT NULL,

  UNIQUE (boarded_by, idempotency_key),
  CHECK (status <> 'active' OR principal_cents > 0)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02); -- room for HOT updates: every posting changes a row
CREATE INDEX loans_property_id_idx ON loans (property_id);

CREATE TABLE loan_borrowers (
  loan_id     bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  borrower_id bigint NOT NULL REFERENCES borrowers ON DELETE RESTRICT,
  role        borrower_role NOT NULL,
  PRIMARY KEY (loan_id, borrower_id)
);
CREATE INDEX loan_borrowers_borrower_id_idx ON loan_borrowers (borrower_id);
CREATE UNIQUE INDEX loan_borrowers_one_primary_idx ON loan_borrowers (loan_id) WHERE role = 'primary';

CREATE TABLE escrow_lines (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  loan_id      bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  kind         escrow_line_kind NOT NULL,
  payee        text NOT NULL CHECK (length(payee) BETWEEN 1 AND 200),
  amount_cents bigint NOT NULL CHECK (amount_cents BETWEEN 1 AND 10000000000), -- of one bill
  every_months smallint NOT NULL CHECK (every_months BETWEEN 1 AND 60),
  next_due_on  date NOT NULL CHECK (isfinite(next_due_on)),
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX escrow_lines_loan_id_idx ON escrow_lines (loan_id);

CREATE TABLE documents (
  id         uuid PRIMARY KEY,
  loan_id    bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  kind       document_kind NOT NULL,
  title      text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  media_type text NOT NULL CHECK (length(media_type) BETWEEN 3 AND 100),
  content    bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 52428800),
  sha256     bytea NOT NULL CHECK (sha256 = sha256(content)),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX documents_loan_id_idx ON documents (loan_id);

-- Money received for a loan. A row is stored when it is accepted; the job that
-- posts it moves the status on, once.
CREATE TABLE payments (
  id                 uuid PRIMARY KEY,
  loan_id            bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  status             payment_status NOT NULL DEFAULT 'received',
  reason             text CHECK (length(reason) BETWEEN 1 AND 100),
  amount_cents       bigint NOT NULL CHECK (amount_cents BETWEEN 1 AND 10000000000),
  received_on        date NOT NULL CHECK (received_on BETWEEN '1970-01-01' AND '2199-12-31'),
  channel            payment_channel NOT NULL,
  designation        payment_designation NOT NULL,
  external_ref       text CHECK (length(external_ref) BETWEEN 1 AND 100),
  requested_by       text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key    text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash       bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at         timestamptz NOT NULL DEFAULT now(),

  posted_at          timestamptz,
  reversed_at        timestamptz,
  interest_cents     bigint NOT NULL DEFAULT 0, -- negative where a payoff gives unearned interest back
  principal_cents    bigint NOT NULL DEFAULT 0 CHECK (principal_cents >= 0),
  escrow_cents       bigint NOT NULL DEFAULT 0 CHECK (escrow_cents >= 0),
  late_charge_cents  bigint NOT NULL DEFAULT 0 CHECK (late_charge_cents >= 0),
  suspense_cents     bigint NOT NULL DEFAULT 0, -- negative where it was drawn on
  first_seq          integer, -- its transactions are the loan's first_seq to last_seq
  last_seq           integer,

  UNIQUE (requested_by, idempotency_key),
  CHECK (status <> 'posted' OR posted_at IS NOT NULL AND first_seq <= last_seq
    AND interest_cents + principal_cents + escrow_cents + late_charge_cents + suspense_cents = amount_cents),
  CHECK (status = 'posted' OR first_seq IS NULL AND last_seq IS NULL),
  CHECK ((status = 'rejected') = (reason IS NOT NULL)),
  CHECK ((status = 'reversed') = (reversed_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX payments_loan_id_idx ON payments (loan_id, id);
CREATE UNIQUE INDEX payments_external_ref_idx ON payments (loan_id, channel, external_ref)
  WHERE external_ref IS NOT NULL;

-- A wish that a posted payment be undone, because it came back or should not
-- have been posted. A payment is reversed once.
CREATE TABLE payment_reversals (
  id              uuid PRIMARY KEY,
  payment_id      uuid NOT NULL REFERENCES payments ON DELETE RESTRICT,
  status          reversal_status NOT NULL DEFAULT 'requested',
  reason          text NOT NULL CHECK (reason ~ '^(R[0-9]{2}|misapplied|duplicate|stop)$'), -- R01 …: NACHA return codes
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
CREATE INDEX payment_reversals_payment_id_idx ON payment_reversals (payment_id);
CREATE UNIQUE INDEX payment_reversals_once_idx ON payment_reversals (payment_id) WHERE status <> 'rejected';

-- The ledger, and the book of record. One row is one event, one column one
-- account, debits positive, and the columns sum to zero. Rows are only ever
-- added. hash is SHA-256 over the hash of the loan's previous row and this
-- row's transaction_text.
CREATE TABLE transactions (
  loan_id                       bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  seq                           integer NOT NULL CHECK (seq >= 1),
  kind                          transaction_kind NOT NULL,
  effective_on                  date NOT NULL CHECK (isfinite(effective_on)),
  posted_at                     timestamptz NOT NULL CHECK (isfinite(posted_at)),
  due_on                        date CHECK (isfinite(due_on)),
  payment_id                    uuid REFERENCES payments ON DELETE RESTRICT,
  reverses                      integer,
  cash_cents                    bigint NOT NULL,
  principal_cents               bigint NOT NULL,
  interest_income_cents         bigint NOT NULL,
  escrow_cents                  bigint NOT NULL,
  suspense_cents                bigint NOT NULL,
  late_charges_receivable_cents bigint NOT NULL,
  late_charge_income_cents      bigint NOT NULL,
  fees_receivable_cents         bigint NOT NULL,
  fee_income_cents              bigint NOT NULL,
  escrow_advance_cents          bigint NOT NULL,
  boarding_clearing_cents       bigint NOT NULL,
  rule                          text NOT NULL CHECK (rule ~ '^[^\n]{1,100}$'),
  caused_by                     text NOT NULL CHECK (caused_by ~ '^[^\n]{1,200}$'),
  hash                          bytea NOT NULL CHECK (octet_length(hash) = 32),

  PRIMARY KEY (loan_id, seq),
  FOREIGN KEY (loan_id, reverses) REFERENCES transactions (loan_id, seq) ON DELETE RESTRICT,
  CHECK (reverses < seq),
  CHECK (CASE WHEN kind IN ('installment', 'late_charge') THEN due_on IS NOT NULL
    WHEN kind = 'reversal' THEN true ELSE due_on IS NULL END),
  CHECK ((kind = 'reversal') = (reverses IS NOT NULL)),
  CHECK ((kind = 'boarding') = (seq = 1)),
  CONSTRAINT transactions_balance CHECK (
    cash_cents + principal_cents + interest_income_cents + escrow_cents + suspense_cents
    + late_charges_receivable_cents + late_charge_income_cents
    + fees_receivable_cents + fee_income_cents + escrow_advance_cents + boarding_clearing_cents = 0)
);
CREATE INDEX transactions_payment_id_idx ON transactions (payment_id) WHERE payment_id IS NOT NULL;
CREATE UNIQUE INDEX transactions_reverses_idx ON transactions (loan_id, reverses) WHERE reverses IS NOT NULL;

-- +goose StatementBegin
-- transaction_text returns the canonical bytes of a transaction: every field
-- but the hash, each ended by a newline, nothing for NULL, zero for no
-- reversal. The engine writes the same bytes when it seals a row. A day is
-- written as a timestamp without a zone: with one, it would be that midnight in
-- the reader's zone, which not every zone has.
CREATE FUNCTION transaction_text(t transactions) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT convert_to(concat(
    t.loan_id, E'\n', t.seq, E'\n', t.kind, E'\n', to_char(t.effective_on::timestamp, 'YYYY-MM-DD'), E'\n',
    (extract(epoch FROM t.posted_at) * 1000000)::bigint, E'\n', to_char(t.due_on::timestamp, 'YYYY-MM-DD'), E'\n',
    t.payment_id, E'\n', coalesce(t.reverses, 0), E'\n',
    t.cash_cents, E'\n', t.principal_cents, E'\n', t.interest_income_cents, E'\n',
    t.escrow_cents, E'\n', t.suspense_cents, E'\n',
    t.late_charges_receivable_cents, E'\n', t.late_charge_income_cents, E'\n',
    t.fees_receivable_cents, E'\n', t.fee_income_cents, E'\n',
    t.escrow_advance_cents, E'\n', t.boarding_clearing_cents, E'\n',
    t.rule, E'\n', t.caused_by, E'\n'), 'UTF8')
$$;
-- +goose StatementEnd

-- broken_seals lists the transactions whose hash does not follow from the row
-- and the one before it, and those that a loan names as its newest and that are
-- missing or have another hash: a chain may be cut short, or written anew from
-- some row on, and still hold by itself. An intact ledger has none.
CREATE VIEW broken_seals AS
SELECT t.loan_id, t.seq
FROM transactions t
LEFT JOIN transactions previous ON previous.loan_id = t.loan_id AND previous.seq = t.seq - 1
WHERE t.hash <> sha256(coalesce(previous.hash, decode(repeat('00', 32), 'hex')) || transaction_text(t.*))
UNION
SELECT l.id, l.last_seq
FROM loans l
LEFT JOIN transactions newest ON newest.loan_id = l.id AND newest.seq = l.last_seq
WHERE newest.hash IS DISTINCT FROM l.last_hash;

-- ledger_entries is the ledger in double entry: one row for each account that a
-- transaction touches.
CREATE VIEW ledger_entries AS
SELECT a.loan_id, a.seq, a.kind, a.effective_on, a.posted_at, a.account,
  greatest(a.amount_cents, 0) AS debit_cents, greatest(-a.amount_cents, 0) AS credit_cents
FROM (
  SELECT t.loan_id, t.seq, t.kind, t.effective_on, t.posted_at,
    unnest(ARRAY[
      'cash', 'principal', 'interest_income', 'escrow', 'suspense', 'late_charges_receivable',
      'late_charge_income', 'fees_receivable', 'fee_income', 'escrow_advance', 'boarding_clearing']) AS account,
    unnest(ARRAY[
      t.cash_cents, t.principal_cents, t.interest_income_cents, t.escrow_cents, t.suspense_cents,
      t.late_charges_receivable_cents, t.late_charge_income_cents, t.fees_receivable_cents, t.fee_income_cents,
      t.escrow_advance_cents, t.boarding_clearing_cents]) AS amount_cents
  FROM transactions t
) a
WHERE a.amount_cents <> 0;

-- trial_balance is each account's balance over all loans; the sum is zero.
CREATE VIEW trial_balance AS
SELECT account, sum(debit_cents)::bigint AS debit_cents, sum(credit_cents)::bigint AS credit_cents,
  (sum(debit_cents) - sum(credit_cents))::bigint AS balance_cents
FROM ledger_entries
GROUP BY account;

-- unreconciled_loans lists the loans whose balances are not the sum of their
-- transactions. There are none.
CREATE VIEW unreconciled_loans AS
SELECT l.id AS loan_id, l.loan_number
FROM loans l
LEFT JOIN (
  SELECT loan_id, sum(principal_cents) AS principal_cents, -sum(escrow_cents) AS escrow_cents,
    -sum(suspense_cents) AS suspense_cents, sum(late_charges_receivable_cents) AS late_charges_due_cents,
    max(seq) AS last_seq, count(*) AS transactions
  FROM transactions GROUP BY loan_id
) t ON t.loan_id = l.id
WHERE (l.principal_cents, l.escrow_cents, l.suspense_cents, l.late_charges_due_cents, l.last_seq::bigint, l.last_seq::bigint)
  IS DISTINCT FROM
  (t.principal_cents, t.escrow_cents, t.suspense_cents, t.late_charges_due_cents, t.last_seq::bigint, t.transactions);

-- What serving and working may do. Terms of a loan and facts of a payment are
-- not among the columns they may change, and nothing may be removed.
GRANT USAGE ON SCHEMA public TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO loanserve_backup; -- a dump reads them
GRANT INSERT ON borrowers, properties, loans, loan_borrowers, escrow_lines, documents, payments, payment_reversals,
  transactions TO loanserve_app;
GRANT UPDATE (status, principal_cents, escrow_cents, suspense_cents, late_charges_due_cents, next_due_on,
  as_of_on, late_charged_through_on, last_effective_on, last_receipt_id, last_seq, last_hash, updated_at) ON loans TO loanserve_app;
GRANT UPDATE (status, refusal, posted_at) ON payment_reversals TO loanserve_app;
GRANT UPDATE (status, reason, posted_at, reversed_at, interest_cents, principal_cents, escrow_cents, late_charge_cents,
  suspense_cents, first_seq, last_seq) ON payments TO loanserve_app;
