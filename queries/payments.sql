-- InsertPayment records a payment as received. It returns no row when the
-- principal's idempotency key is taken, and waits for the transaction that is
-- taking it: the caller then reads the first payment.
--
-- name: InsertPayment :one
INSERT INTO payments (
  id, loan_id, amount_cents, received_on, received_at, channel, designation, external_ref,
  requested_by, idempotency_key, request_hash
) VALUES (
  @id, @loan_id, @amount_cents, @received_on, @received_at, @channel, @designation, @external_ref,
  @requested_by, @idempotency_key, @request_hash
)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- InsertPayments records payments as received, all in one statement, and
-- returns those it recorded. It leaves out, without an error, a payment whose
-- idempotency key is taken, whose loan does not exist, or whose reference its
-- loan has from this channel, here or in the same statement; an empty reference
-- is none, and so is the zero instant. It waits for a transaction that is taking
-- the key or the reference. Keys are taken in their order, so that two statements
-- do not wait for each other in a circle.
--
-- name: InsertPayments :many
INSERT INTO payments (
  id, loan_id, amount_cents, received_on, received_at, channel, designation, external_ref,
  requested_by, idempotency_key, request_hash
)
SELECT s.id, s.loan_id, s.amount_cents, s.received_on, s.received_at, s.channel, s.designation, s.external_ref,
  s.requested_by, s.idempotency_key, s.request_hash
FROM (
  SELECT unnest(@id::uuid[]) AS id, unnest(@loan_id::bigint[]) AS loan_id,
    unnest(@amount_cents::bigint[]) AS amount_cents, unnest(@received_on::date[]) AS received_on,
    nullif(unnest(@received_at::timestamptz[]), '0001-01-01T00:00:00Z') AS received_at,
    unnest(@channel::text[])::payment_channel AS channel,
    unnest(@designation::text[])::payment_designation AS designation,
    nullif(unnest(@external_ref::text[]), '') AS external_ref,
    unnest(@requested_by::text[]) AS requested_by, unnest(@idempotency_key::text[]) AS idempotency_key,
    unnest(@request_hash::bytea[]) AS request_hash
) s
JOIN loans l ON l.id = s.loan_id
ORDER BY s.requested_by, s.idempotency_key, s.id
ON CONFLICT DO NOTHING
RETURNING id, created_at;

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
-- and, before them, their loans in order of id, and returns what posting has to know. now is
-- the moment at which the books change.
--
-- name: LockPaymentsToPost :many
SELECT p.id AS payment_id, p.amount_cents, p.received_on, p.designation, p.requested_by,
  sqlc.embed(l), now()::timestamptz AS posted_at
FROM payments p
JOIN loans l ON l.id = p.loan_id
WHERE p.id = ANY(@ids::uuid[]) AND p.status = 'received'
ORDER BY l.id, p.id
FOR NO KEY UPDATE OF l, p;

-- PostPayments writes the outcome of posting in one statement: the transactions
-- that were added, each loan's new state, and what became of each payment. It
-- returns how many payments it changed, which must be all of them, and whether anybody
-- wants to be told of payments.
--
-- name: PostPayments :one
WITH added AS (
  INSERT INTO transactions (
    loan_id, seq, kind, effective_on, posted_at, due_on, payment_id, reverses,
    cash_cents, principal_cents, interest_income_cents, escrow_cents, suspense_cents,
    late_charges_receivable_cents, late_charge_income_cents, fees_receivable_cents, fee_income_cents,
    escrow_advance_cents, boarding_clearing_cents, rule, caused_by, hash
  )
  SELECT unnest(@tx_loan_id::bigint[]), unnest(@tx_seq::integer[]), unnest(@tx_kind::text[])::transaction_kind,
    unnest(@tx_effective_on::date[]), @posted_at, unnest(@tx_due_on::date[]), nullif(unnest(@tx_payment_id::text[]), '')::uuid,
    nullif(unnest(@tx_reverses::integer[]), 0),
    unnest(@tx_cash::bigint[]), unnest(@tx_principal::bigint[]), unnest(@tx_interest_income::bigint[]),
    unnest(@tx_escrow::bigint[]), unnest(@tx_suspense::bigint[]),
    unnest(@tx_late_charges_receivable::bigint[]), unnest(@tx_late_charge_income::bigint[]),
    unnest(@tx_fees_receivable::bigint[]), unnest(@tx_fee_income::bigint[]), unnest(@tx_escrow_advance::bigint[]), 0,
    unnest(@tx_rule::text[]), unnest(@tx_caused_by::text[]), unnest(@tx_hash::bytea[])
), moved AS (
  UPDATE loans l SET status = s.status, principal_cents = s.principal_cents, escrow_cents = s.escrow_cents,
    escrow_advance_cents = s.escrow_advance_cents,
    suspense_cents = s.suspense_cents, late_charges_due_cents = s.late_charges_due_cents,
    fees_due_cents = s.fees_due_cents, interest_accrued_to_on = s.interest_accrued_to_on,
    accrued_interest_cents = s.accrued_interest_cents, next_due_on = s.next_due_on, paid_off_on = s.paid_off_on, as_of_on = s.as_of_on, late_charged_through_on = s.late_charged_through_on,
    last_effective_on = s.last_effective_on, last_receipt_id = nullif(s.last_receipt_id, '')::uuid,
    last_seq = s.last_seq, last_hash = s.last_hash, updated_at = @posted_at
  FROM (
    SELECT unnest(@loan_id::bigint[]) AS id, unnest(@loan_status::text[])::loan_status AS status,
      unnest(@loan_principal::bigint[]) AS principal_cents, unnest(@loan_escrow::bigint[]) AS escrow_cents,
      unnest(@loan_escrow_advance::bigint[]) AS escrow_advance_cents,
      unnest(@loan_suspense::bigint[]) AS suspense_cents,
      unnest(@loan_late_charges_due::bigint[]) AS late_charges_due_cents,
      unnest(@loan_fees_due::bigint[]) AS fees_due_cents,
      unnest(@loan_interest_accrued_to_on::date[]) AS interest_accrued_to_on,
      unnest(@loan_accrued_interest::bigint[]) AS accrued_interest_cents,
      unnest(@loan_paid_off_on::date[]) AS paid_off_on,
      unnest(@loan_next_due_on::date[]) AS next_due_on, unnest(@loan_as_of_on::date[]) AS as_of_on,
      unnest(@loan_late_charged_through_on::date[]) AS late_charged_through_on,
      unnest(@loan_last_effective_on::date[]) AS last_effective_on,
      unnest(@loan_last_receipt_id::text[]) AS last_receipt_id, unnest(@loan_last_seq::integer[]) AS last_seq,
      unnest(@loan_last_hash::bytea[]) AS last_hash
  ) s
  WHERE l.id = s.id
), ended AS (
  UPDATE payments p SET status = e.status, reason = nullif(e.reason, ''),
    posted_at = coalesce(p.posted_at, CASE WHEN e.status = 'posted' THEN @posted_at::timestamptz END),
    reversed_at = CASE WHEN e.status = 'reversed' THEN @posted_at::timestamptz END,
    interest_cents = e.interest_cents, principal_cents = e.principal_cents, escrow_cents = e.escrow_cents,
    late_charge_cents = e.late_charge_cents, fee_cents = e.fee_cents, suspense_cents = e.suspense_cents,
    first_seq = nullif(e.first_seq, 0), last_seq = nullif(e.last_seq, 0)
  FROM (
    SELECT unnest(@payment_id::uuid[]) AS id, unnest(@payment_status::text[])::payment_status AS status,
      unnest(@payment_reason::text[]) AS reason,
      unnest(@payment_interest::bigint[]) AS interest_cents, unnest(@payment_principal::bigint[]) AS principal_cents,
      unnest(@payment_escrow::bigint[]) AS escrow_cents, unnest(@payment_late_charge::bigint[]) AS late_charge_cents,
      unnest(@payment_fee::bigint[]) AS fee_cents,
      unnest(@payment_suspense::bigint[]) AS suspense_cents,
      unnest(@payment_first_seq::integer[]) AS first_seq, unnest(@payment_last_seq::integer[]) AS last_seq
  ) e
  WHERE p.id = e.id AND (p.status IN ('received', 'posted') OR p.status = 'reversed' AND e.status = 'posted')
  RETURNING p.id
)
SELECT count(*) AS changed, (EXISTS (
  SELECT FROM webhook_subscriptions
  WHERE status = 'active' AND event_types && '{payment.posted,payment.rejected,payment.reversed}'
))::boolean AS wanted
FROM ended;

-- ListReceipts returns all payments that count in a loan's books, in order of
-- id. Whoever holds the loan's lock knows that they stay as they are.
--
-- name: ListReceipts :many
SELECT id, amount_cents, received_on, designation FROM payments
WHERE loan_id = $1 AND status = 'posted'
ORDER BY id
LIMIT 100000;
