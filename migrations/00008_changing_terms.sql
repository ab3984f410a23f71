-- +goose Up
-- What changes in a loan's terms after it was boarded: its rate, its payment, a
-- late charge that is waived. And what a loan with interest day by day has to
-- remember, and fees.
--
-- The columns that are added to loans, payments and payment_reversals have
-- constant defaults, so that no row is rewritten; each takes an exclusive lock
-- for a moment. The new check on payments is added unchecked and then validated,
-- which lets reads and writes go on. The previous release runs on: it leaves the
-- new columns at their defaults, and boards none of the new loans.

ALTER TABLE loans
  ADD COLUMN returned_payment_fee_cents bigint NOT NULL DEFAULT 0
    CHECK (returned_payment_fee_cents BETWEEN 0 AND 100000000),
  ADD COLUMN fees_due_cents bigint NOT NULL DEFAULT 0 CHECK (fees_due_cents >= 0),
  -- Of a loan with interest day by day: the first day whose interest has not been
  -- counted, and what has been counted and is unpaid.
  ADD COLUMN interest_accrued_to_on date CHECK (isfinite(interest_accrued_to_on)),
  ADD COLUMN accrued_interest_cents bigint NOT NULL DEFAULT 0 CHECK (accrued_interest_cents >= 0),
  ADD COLUMN boarded_interest_accrued_to_on date CHECK (isfinite(boarded_interest_accrued_to_on)),
  ADD COLUMN boarded_accrued_interest_cents bigint NOT NULL DEFAULT 0 CHECK (boarded_accrued_interest_cents >= 0),
  -- A projection of loan_changes, so that posting reads one row: see terms_changes_of.
  ADD COLUMN terms_changes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(terms_changes) = 'object');
ALTER TABLE loans
  ADD CONSTRAINT loans_interest_accrued CHECK (
    CASE WHEN interest_method = 'daily_simple_365'
      THEN boarded_interest_accrued_to_on IS NOT NULL AND interest_accrued_to_on IS NOT NULL
        AND interest_accrued_to_on >= boarded_interest_accrued_to_on
      ELSE interest_accrued_to_on IS NULL AND boarded_interest_accrued_to_on IS NULL
        AND accrued_interest_cents = 0 AND boarded_accrued_interest_cents = 0
    END) NOT VALID;
ALTER TABLE loans VALIDATE CONSTRAINT loans_interest_accrued;

ALTER TABLE payments ADD COLUMN fee_cents bigint NOT NULL DEFAULT 0 CHECK (fee_cents >= 0);
ALTER TABLE payments DROP CONSTRAINT payments_check; -- the split sums to the amount, fees left out
ALTER TABLE payments
  ADD CONSTRAINT payments_split CHECK (status <> 'posted' OR posted_at IS NOT NULL AND first_seq <= last_seq
    AND interest_cents + principal_cents + escrow_cents + late_charge_cents + fee_cents + suspense_cents = amount_cents)
    NOT VALID;
ALTER TABLE payments VALIDATE CONSTRAINT payments_split;

-- The day on which a payment came back, where that is not the day on which it was
-- entered, and the fee that the loan's terms charge for it.
ALTER TABLE payment_reversals
  ADD COLUMN returned_on date CHECK (returned_on BETWEEN '1970-01-01' AND '2199-12-31'),
  ADD COLUMN fee_cents bigint NOT NULL DEFAULT 0 CHECK (fee_cents BETWEEN 0 AND 100000000),
  ADD COLUMN fee_on date CHECK (isfinite(fee_on));
ALTER TABLE payment_reversals
  ADD CONSTRAINT payment_reversals_fee CHECK ((fee_cents > 0) = (fee_on IS NOT NULL)) NOT VALID;
ALTER TABLE payment_reversals VALIDATE CONSTRAINT payment_reversals_fee;

-- What an adjustable-rate note says of its rate. A loan without a row has a fixed
-- rate, which may still be changed by agreement.
CREATE TABLE arm_terms (
  loan_id          bigint PRIMARY KEY REFERENCES loans ON DELETE RESTRICT,
  margin_ppm       bigint NOT NULL CHECK (margin_ppm BETWEEN -1000000 AND 1000000),
  round_to_ppm     bigint NOT NULL CHECK (round_to_ppm BETWEEN 0 AND 1000000),
  periodic_cap_ppm bigint NOT NULL CHECK (periodic_cap_ppm BETWEEN 1 AND 1000000),
  first_cap_ppm    bigint NOT NULL CHECK (first_cap_ppm BETWEEN 1 AND 1000000),
  lifetime_cap_ppm bigint NOT NULL CHECK (lifetime_cap_ppm BETWEEN 1 AND 1000000),
  floor_ppm        bigint NOT NULL CHECK (floor_ppm BETWEEN 0 AND lifetime_cap_ppm),
  adjusted         boolean NOT NULL -- the rate had changed before the boarding: first_cap_ppm is past
);

CREATE TYPE loan_change_kind AS ENUM ('rate_change', 'payment_change', 'late_charge_waiver');
CREATE TYPE loan_change_status AS ENUM ('pending_approval', 'requested', 'posted', 'rejected', 'refused');

-- A wish that a loan's terms be others from an installment on. It counts once it
-- is posted; then it is never taken back, and a later one for the same
-- installment takes its place. A rate change says the rate and the payment, or
-- the index that they follow from, and then they are filled in when it is posted.
CREATE TABLE loan_changes (
  id                           uuid PRIMARY KEY,
  loan_id                      bigint NOT NULL REFERENCES loans ON DELETE RESTRICT,
  kind                         loan_change_kind NOT NULL,
  status                       loan_change_status NOT NULL DEFAULT 'requested',
  due_on                       date NOT NULL CHECK (isfinite(due_on)), -- the first installment, or the one that is not charged
  index_ppm                    bigint CHECK (index_ppm BETWEEN -1000000 AND 1000000),
  rate_ppm                     bigint CHECK (rate_ppm BETWEEN 0 AND 1000000),
  principal_and_interest_cents bigint CHECK (principal_and_interest_cents BETWEEN 1 AND 100000000000),
  escrow_payment_cents         bigint CHECK (escrow_payment_cents BETWEEN 0 AND 10000000000),
  reason                       text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
  refusal                      text CHECK (length(refusal) BETWEEN 1 AND 100),
  requested_by                 text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
  idempotency_key              text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  request_hash                 bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  created_at                   timestamptz NOT NULL DEFAULT now(),
  approval_required            boolean NOT NULL DEFAULT false,
  decided_by                   text CHECK (length(decided_by) BETWEEN 1 AND 200),
  decided_at                   timestamptz,
  decision_note                text CHECK (length(decision_note) BETWEEN 1 AND 500),
  posted_at                    timestamptz,
  posted_seq                   integer, -- 1, 2, 3 … per loan, in the order in which they were posted

  UNIQUE (requested_by, idempotency_key),
  UNIQUE (loan_id, posted_seq),
  CHECK (CASE kind
    WHEN 'rate_change' THEN escrow_payment_cents IS NULL AND (rate_ppm IS NULL) = (principal_and_interest_cents IS NULL)
      AND (index_ppm IS NOT NULL OR rate_ppm IS NOT NULL) AND (status <> 'posted' OR rate_ppm IS NOT NULL)
    WHEN 'payment_change' THEN index_ppm IS NULL AND rate_ppm IS NULL
      AND (principal_and_interest_cents IS NOT NULL OR escrow_payment_cents IS NOT NULL)
    WHEN 'late_charge_waiver' THEN index_ppm IS NULL AND rate_ppm IS NULL
      AND principal_and_interest_cents IS NULL AND escrow_payment_cents IS NULL
  END),
  CHECK ((status = 'posted') = (posted_at IS NOT NULL)),
  CHECK ((status = 'posted') = (posted_seq IS NOT NULL)),
  CHECK ((status = 'rejected') = (refusal IS NOT NULL)),
  -- Who asked does not decide, and nothing that waits for a decision goes on
  -- without one, whatever the program does.
  CONSTRAINT loan_changes_two_principals_check CHECK (decided_by <> requested_by),
  CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
  CHECK ((status = 'pending_approval') = (approval_required AND decided_by IS NULL)),
  CHECK (approval_required OR decided_by IS NULL),
  CHECK (status <> 'refused' OR decided_by IS NOT NULL AND decision_note IS NOT NULL),
  CHECK (decision_note IS NULL OR decided_by IS NOT NULL)
);
CREATE INDEX loan_changes_loan_id_idx ON loan_changes (loan_id, id);
CREATE INDEX loan_changes_status_idx ON loan_changes (status, id);

-- rate_changes and payment_changes are what counts: of several for one
-- installment the last that was posted.
CREATE VIEW rate_changes AS
SELECT DISTINCT ON (loan_id, due_on) loan_id, due_on, rate_ppm, index_ppm, id AS change_id, posted_at
FROM loan_changes
WHERE kind = 'rate_change' AND status = 'posted'
ORDER BY loan_id, due_on, posted_seq DESC;

CREATE VIEW payment_changes AS
SELECT loan_id, due_on, principal_and_interest_cents, escrow_payment_cents, id AS change_id, posted_at, posted_seq
FROM loan_changes
WHERE kind IN ('rate_change', 'payment_change') AND status = 'posted';

-- +goose StatementBegin
-- terms_changes_of returns a loan's changes as loans.terms_changes holds them and
-- the arithmetic reads them.
CREATE FUNCTION terms_changes_of(of_loan_id bigint) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
    'rates', (
      SELECT jsonb_agg(jsonb_build_object('due_on', r.due_on, 'rate_ppm', r.rate_ppm) ORDER BY r.due_on)
      FROM rate_changes r WHERE r.loan_id = of_loan_id),
    'payments', (
      SELECT jsonb_agg(jsonb_build_object('due_on', p.due_on, 'principal_and_interest_cents', p.principal_and_interest_cents,
        'escrow_payment_cents', p.escrow_payment_cents) ORDER BY p.due_on, p.posted_seq)
      FROM payment_changes p WHERE p.loan_id = of_loan_id),
    'waived_late_charges', (
      SELECT jsonb_agg(DISTINCT w.due_on ORDER BY w.due_on)
      FROM loan_changes w WHERE w.loan_id = of_loan_id AND w.kind = 'late_charge_waiver' AND w.status = 'posted')))
$$;
-- +goose StatementEnd

-- unreconciled_loans lists the loans whose balances are not the sum of their
-- transactions, or whose terms are not what their changes make them. There are none.
CREATE OR REPLACE VIEW unreconciled_loans AS
SELECT l.id AS loan_id, l.loan_number
FROM loans l
LEFT JOIN (
  SELECT loan_id, sum(principal_cents) AS principal_cents, -sum(escrow_cents) AS escrow_cents,
    -sum(suspense_cents) AS suspense_cents, sum(late_charges_receivable_cents) AS late_charges_due_cents,
    sum(fees_receivable_cents) AS fees_due_cents, max(seq) AS last_seq, count(*) AS transactions
  FROM transactions GROUP BY loan_id
) t ON t.loan_id = l.id
WHERE (l.principal_cents, l.escrow_cents, l.suspense_cents, l.late_charges_due_cents, l.fees_due_cents,
    l.last_seq::bigint, l.last_seq::bigint)
  IS DISTINCT FROM
  (t.principal_cents, t.escrow_cents, t.suspense_cents, t.late_charges_due_cents, t.fees_due_cents,
    t.last_seq::bigint, t.transactions)
  OR l.terms_changes <> terms_changes_of(l.id);

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON arm_terms
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'What a note says does not go away; a change of the rate is a row of loan_changes.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON loan_changes
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A change that was wrong is followed by one that is right, for the same installment.');
ALTER TABLE arm_terms ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE loan_changes ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT ON arm_terms, loan_changes, rate_changes, payment_changes
  TO loanserve_app, loanserve_readonly, loanserve_backup;
GRANT INSERT ON arm_terms, loan_changes TO loanserve_app;
GRANT UPDATE (status, rate_ppm, principal_and_interest_cents, refusal, decided_by, decided_at, decision_note,
  posted_at, posted_seq) ON loan_changes TO loanserve_app;
GRANT UPDATE (fees_due_cents, interest_accrued_to_on, accrued_interest_cents, terms_changes) ON loans TO loanserve_app;
GRANT UPDATE (fee_cents) ON payments TO loanserve_app;
GRANT UPDATE (fee_cents, fee_on) ON payment_reversals TO loanserve_app;
