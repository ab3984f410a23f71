-- InsertLoanChange records a wish that a loan's terms change. It returns no row
-- when the principal's idempotency key is taken.
--
-- name: InsertLoanChange :one
INSERT INTO loan_changes (
  id, loan_id, kind, status, approval_required, due_on, index_ppm, rate_ppm, principal_and_interest_cents,
  escrow_payment_cents, reason, requested_by, idempotency_key, request_hash
) VALUES (
  @id, @loan_id, @kind, CASE WHEN @approval_required THEN 'pending_approval'::loan_change_status ELSE 'requested' END,
  @approval_required, @due_on, @index_ppm, @rate_ppm, @principal_and_interest_cents,
  @escrow_payment_cents, @reason, @requested_by, @idempotency_key, @request_hash
)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetLoanChange returns one change.
--
-- name: GetLoanChange :one
SELECT * FROM loan_changes WHERE id = $1;

-- GetLoanChangeByKey returns the change that a principal asked for under a key.
--
-- name: GetLoanChangeByKey :one
SELECT * FROM loan_changes WHERE requested_by = $1 AND idempotency_key = $2;

-- ListLoanChanges returns a loan's changes, the latest first, before the given
-- id, at most row_limit of them. Ids are in order of time.
--
-- name: ListLoanChanges :many
SELECT * FROM loan_changes
WHERE loan_id = @loan_id AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListPostedLoanChanges returns the changes of all loans that count, the latest
-- first, before the given id, at most row_limit of them.
--
-- name: ListPostedLoanChanges :many
SELECT * FROM loan_changes
WHERE status = 'posted' AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListOtherLoanChanges returns the changes of all loans with a status other than that,
-- the latest first, before the given id, at most row_limit of them.
--
-- name: ListOtherLoanChanges :many
SELECT * FROM loan_changes
WHERE status = @status AND status <> 'posted' AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- LockLoanChange locks a change, whatever its status.
--
-- name: LockLoanChange :one
SELECT * FROM loan_changes WHERE id = $1 FOR NO KEY UPDATE;

-- MarkLoanChangeDecided records what a second principal says of a change that
-- waits for it: it becomes requested or refused.
--
-- name: MarkLoanChangeDecided :one
UPDATE loan_changes
SET status = @status, decided_by = @decided_by, decided_at = now(), decision_note = @decision_note
WHERE id = @id AND status = 'pending_approval'
RETURNING *;

-- ListFinishedLoanChanges returns those of the given changes that are over.
--
-- name: ListFinishedLoanChanges :many
SELECT id FROM loan_changes
WHERE id = ANY(@ids::uuid[]) AND status IN ('posted', 'rejected', 'refused')
ORDER BY id
LIMIT 10000;

-- LockLoanChangeToPost locks a change that waits to be posted with its loan, and
-- returns what posting has to know. It returns no row when it was posted, rejected
-- or refused before.
--
-- name: LockLoanChangeToPost :one
SELECT sqlc.embed(c), sqlc.embed(l), now()::timestamptz AS posted_at
FROM loan_changes c
JOIN loans l ON l.id = c.loan_id
WHERE c.id = $1 AND c.status = 'requested'
FOR NO KEY UPDATE OF l, c;

-- MarkLoanChangePosted makes a change count: it is written into the loan's terms,
-- behind those that were posted before. Whoever calls it holds the loan's lock.
--
-- name: MarkLoanChangePosted :exec
UPDATE loan_changes c SET status = 'posted', posted_at = @posted_at,
  rate_ppm = @rate_ppm, principal_and_interest_cents = @principal_and_interest_cents,
  posted_seq = 1 + (SELECT count(*) FROM loan_changes o WHERE o.loan_id = c.loan_id AND o.status = 'posted')
WHERE c.id = @id AND c.status = 'requested';

-- MarkLoanTermsChanged writes what counts of a loan's changes into the loan.
--
-- name: MarkLoanTermsChanged :one
UPDATE loans SET terms_changes = terms_changes_of(id) WHERE id = $1 RETURNING terms_changes;

-- MarkLoanChangeRejected ends a change that a rule refuses.
--
-- name: MarkLoanChangeRejected :exec
UPDATE loan_changes SET status = 'rejected', refusal = @refusal WHERE id = @id AND status = 'requested';

-- CountLateChargesOf returns how many late charges for an installment stand in a
-- loan's books: one or none.
--
-- name: CountLateChargesOf :one
SELECT count(*) FROM transactions t
WHERE t.loan_id = @loan_id AND t.kind = 'late_charge' AND t.due_on = @due_on
  AND NOT EXISTS (SELECT FROM transactions r WHERE r.loan_id = t.loan_id AND r.reverses = t.seq);
