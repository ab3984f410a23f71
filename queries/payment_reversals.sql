-- InsertPaymentReversal records a wish to reverse a payment, or to undo the
-- reversal that reverses names. Where approval is required it waits for it. It
-- returns no row when the principal's idempotency key is taken, and waits for
-- the transaction that is taking it, or that is ending the payment's open wish.
--
-- name: InsertPaymentReversal :one
INSERT INTO payment_reversals (
  id, payment_id, reverses, reason, returned_on, note, approval_required, status, requested_by, idempotency_key, request_hash
) VALUES (
  @id, @payment_id, @reverses, @reason, @returned_on, @note, @approval_required,
  CASE WHEN @approval_required::boolean THEN 'pending_approval' ELSE 'requested' END::reversal_status,
  @requested_by, @idempotency_key, @request_hash
)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetPaymentReversal returns one reversal.
--
-- name: GetPaymentReversal :one
SELECT * FROM payment_reversals WHERE id = $1;

-- GetPaymentReversalByKey returns the reversal that a principal sent under a key.
--
-- name: GetPaymentReversalByKey :one
SELECT * FROM payment_reversals WHERE requested_by = $1 AND idempotency_key = $2;

-- ListPaymentReversals returns all reversals, the latest first, before the given
-- id, at most row_limit of them. Ids are in order of time.
--
-- name: ListPaymentReversals :many
SELECT * FROM payment_reversals
WHERE id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListPaymentReversalsByStatus returns those with the status.
--
-- name: ListPaymentReversalsByStatus :many
SELECT * FROM payment_reversals
WHERE status = @status AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListReversalsOfPayment returns those of one payment.
--
-- name: ListReversalsOfPayment :many
SELECT * FROM payment_reversals
WHERE payment_id = @payment_id AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListReversalsInForce returns the reversals by which those of the given
-- payments that are reversed are so: one for each.
--
-- name: ListReversalsInForce :many
SELECT * FROM payment_reversals
WHERE payment_id = ANY(@payment_ids::uuid[]) AND status = 'posted' AND reverses IS NULL AND undone_at IS NULL
ORDER BY payment_id
LIMIT 10000;

-- ListFinishedReversals returns those of the given reversals that wait neither
-- for approval nor to be posted.
--
-- name: ListFinishedReversals :many
SELECT id FROM payment_reversals
WHERE id = ANY(@ids::uuid[]) AND status NOT IN ('pending_approval', 'requested')
ORDER BY id
LIMIT 10000;

-- LockPaymentReversal takes the row lock that makes deciding happen once.
--
-- name: LockPaymentReversal :one
SELECT * FROM payment_reversals WHERE id = $1 FOR NO KEY UPDATE;

-- MarkReversalDecided records what a second principal says of a reversal that
-- waits for it: it becomes requested or refused.
--
-- name: MarkReversalDecided :one
UPDATE payment_reversals
SET status = @status, decided_by = @decided_by, decided_at = now(), decision_note = @decision_note
WHERE id = @id AND status = 'pending_approval'
RETURNING *;

-- LockReversalToPost locks a reversal that waits to be posted with its payment
-- and, before both, its loan, and returns what posting has to know. It returns
-- no row when the reversal was posted or rejected before.
--
-- name: LockReversalToPost :one
SELECT r.id AS reversal_id, r.reverses, r.reason, r.requested_by,
  coalesce(r.returned_on, timezone('UTC', r.created_at)::date)::date AS returned_on,
  p.id AS payment_id, p.status AS payment_status, p.amount_cents, p.received_on, p.designation,
  sqlc.embed(l), now()::timestamptz AS posted_at
FROM payment_reversals r
JOIN payments p ON p.id = r.payment_id
JOIN loans l ON l.id = p.loan_id
WHERE r.id = $1 AND r.status = 'requested'
FOR NO KEY UPDATE OF l, p, r;

-- MarkReversalPosted ends a reversal that was carried out, with the fee that was
-- charged for it, or none.
--
-- name: MarkReversalPosted :exec
UPDATE payment_reversals SET status = 'posted', posted_at = @posted_at, fee_cents = @fee_cents, fee_on = @fee_on
WHERE id = @id AND status = 'requested';

-- ListFees returns the fees that were charged on a loan for payments that came
-- back, in order of id; with its reversal, a fee is undone. Whoever holds the
-- loan's lock knows that they stay as they are.
--
-- name: ListFees :many
SELECT r.id, r.fee_cents, r.fee_on FROM payment_reversals r
JOIN payments p ON p.id = r.payment_id
WHERE p.loan_id = $1 AND r.status = 'posted' AND r.undone_at IS NULL AND r.fee_cents > 0
ORDER BY r.id
LIMIT 100000;

-- MarkReversalUndone takes a reversal out of force. It changes no row when the
-- reversal is not in force.
--
-- name: MarkReversalUndone :execrows
UPDATE payment_reversals SET undone_at = @undone_at
WHERE id = @id AND status = 'posted' AND reverses IS NULL AND undone_at IS NULL;

-- MarkReversalRejected ends a reversal that a rule refuses.
--
-- name: MarkReversalRejected :exec
UPDATE payment_reversals SET status = 'rejected', refusal = @refusal WHERE id = @id AND status = 'requested';
