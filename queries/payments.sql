-- InsertPayment records a payment as received. It returns no row when the
-- principal's idempotency key is taken, and waits for the transaction that is
-- taking it: the caller then reads the first payment.
--
-- name: InsertPayment :one
INSERT INTO payments (
  id, loan_id, amount_cents, received_on, channel, designation, external_ref,
  requested_by, idempotency_key, request_hash
) VALUES (
  @id, @loan_id, @amount_cents, @received_on, @channel, @designation, @external_ref,
  @requested_by, @idempotency_key, @request_hash
)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetPaymentByKey returns the payment that a principal sent under a key.
--
-- name: GetPaymentByKey :one
SELECT * FROM payments WHERE requested_by = $1 AND idempotency_key = $2;

-- GetPayment returns one payment.
--
-- name: GetPayment :one
SELECT * FROM payments WHERE id = $1;

-- ListPayments returns a loan's payments, the latest first, before the given
-- id, at most row_limit of them. Ids are in order of time.
--
-- name: ListPayments :many
SELECT * FROM payments
WHERE loan_id = @loan_id AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListFinishedPayments returns those of the given payments that are no longer
-- waiting to be posted.
--
-- name: ListFinishedPayments :many
SELECT id FROM payments WHERE id = ANY(@ids::uuid[]) AND status <> 'received' ORDER BY id LIMIT 10000;

-- LockPaymentsToPost locks those of the given payments that wait to be posted,
-- and their loans in order of id, and returns what posting has to know. now is
-- the moment at which the books change.
--
-- name: LockPaymentsToPost :many
SELECT p.id AS payment_id, p.amount_cents, p.received_on, p.requested_by,
  l.id AS loan_id, l.status AS loan_status, l.rate_ppm, l.principal_and_interest_cents,
  l.escrow_payment_cents, l.maturity_on, l.due_day, l.interest_method, l.application_order,
  l.excess_policy, l.rounding, l.principal_cents, l.escrow_cents, l.suspense_cents,
  l.late_charges_due_cents, l.next_due_on, l.last_seq, l.last_hash,
  now()::timestamptz AS posted_at
FROM payments p
JOIN loans l ON l.id = p.loan_id
WHERE p.id = ANY(@ids::uuid[]) AND p.status = 'received'
ORDER BY l.id, p.id
FOR NO KEY UPDATE OF p, l;

-- PostPayments writes the outcome of posting in one statement: the transactions
-- that were added, each loan's new state, and each payment's end. It returns
-- how many payments it moved on from 'received', which must be all of them.
--
-- name: PostPayments :one
WITH added AS (
  INSERT INTO transactions (
    loan_id, seq, kind, effective_on, posted_at, due_on, payment_id,
    cash_cents, principal_cents, interest_income_cents, escrow_cents, suspense_cents,
    late_charges_receivable_cents, late_charge_income_cents, fees_receivable_cents, fee_income_cents,
    escrow_advance_cents, boarding_clearing_cents, rule, caused_by, hash
  )
  SELECT unnest(@tx_loan_id::bigint[]), unnest(@tx_seq::integer[]), unnest(@tx_kind::text[])::transaction_kind,
    unnest(@tx_effective_on::date[]), @posted_at, unnest(@tx_due_on::date[]), unnest(@tx_payment_id::uuid[]),
    unnest(@tx_cash::bigint[]), unnest(@tx_principal::bigint[]), unnest(@tx_interest_income::bigint[]),
    unnest(@tx_escrow::bigint[]), unnest(@tx_suspense::bigint[]),
    unnest(@tx_late_charges_receivable::bigint[]), 0, 0, 0, 0, 0,
    unnest(@tx_rule::text[]), unnest(@tx_caused_by::text[]), unnest(@tx_hash::bytea[])
), moved AS (
  UPDATE loans l SET status = s.status, principal_cents = s.principal_cents, escrow_cents = s.escrow_cents,
    suspense_cents = s.suspense_cents, late_charges_due_cents = s.late_charges_due_cents,
    next_due_on = s.next_due_on, last_seq = s.last_seq, last_hash = s.last_hash, updated_at = @posted_at
  FROM (
    SELECT unnest(@loan_id::bigint[]) AS id, unnest(@loan_status::text[])::loan_status AS status,
      unnest(@loan_principal::bigint[]) AS principal_cents, unnest(@loan_escrow::bigint[]) AS escrow_cents,
      unnest(@loan_suspense::bigint[]) AS suspense_cents,
      unnest(@loan_late_charges_due::bigint[]) AS late_charges_due_cents,
      unnest(@loan_next_due_on::date[]) AS next_due_on, unnest(@loan_last_seq::integer[]) AS last_seq,
      unnest(@loan_last_hash::bytea[]) AS last_hash
  ) s
  WHERE l.id = s.id
), ended AS (
  UPDATE payments p SET status = e.status, reason = nullif(e.reason, ''),
    posted_at = CASE WHEN e.status = 'posted' THEN @posted_at END,
    interest_cents = e.interest_cents, principal_cents = e.principal_cents, escrow_cents = e.escrow_cents,
    late_charge_cents = e.late_charge_cents, suspense_cents = e.suspense_cents,
    first_seq = nullif(e.first_seq, 0), last_seq = nullif(e.last_seq, 0)
  FROM (
    SELECT unnest(@payment_id::uuid[]) AS id, unnest(@payment_status::text[])::payment_status AS status,
      unnest(@payment_reason::text[]) AS reason,
      unnest(@payment_interest::bigint[]) AS interest_cents, unnest(@payment_principal::bigint[]) AS principal_cents,
      unnest(@payment_escrow::bigint[]) AS escrow_cents, unnest(@payment_late_charge::bigint[]) AS late_charge_cents,
      unnest(@payment_suspense::bigint[]) AS suspense_cents,
      unnest(@payment_first_seq::integer[]) AS first_seq, unnest(@payment_last_seq::integer[]) AS last_seq
  ) e
  WHERE p.id = e.id AND p.status = 'received'
  RETURNING p.id
)
SELECT count(*) FROM ended;
