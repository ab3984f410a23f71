-- InsertEscrowReturn records a wish that returned money be booked back. It returns
-- no row when the principal's idempotency key is taken.
--
-- name: InsertEscrowReturn :one
INSERT INTO escrow_returns (id, disbursement_id, returned_on, reason, requested_by, idempotency_key, request_hash)
VALUES (@id, @disbursement_id, @returned_on, @reason, @requested_by, @idempotency_key, @request_hash)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetEscrowReturn returns one return.
--
-- name: GetEscrowReturn :one
SELECT * FROM escrow_returns WHERE id = $1;

-- GetEscrowReturnByKey returns the return that a principal sent under a key.
--
-- name: GetEscrowReturnByKey :one
SELECT * FROM escrow_returns WHERE requested_by = $1 AND idempotency_key = $2;

-- ListFinishedEscrowReturns returns those of the given returns that are no longer
-- waiting to be posted.
--
-- name: ListFinishedEscrowReturns :many
SELECT id FROM escrow_returns WHERE id = ANY(@ids::uuid[]) AND status <> 'requested' ORDER BY id LIMIT 10000;

-- LockEscrowReturnToPost locks a return that waits to be posted with its loan and
-- its disbursement, and returns what posting has to know. It returns no row when it
-- was posted or rejected before.
--
-- name: LockEscrowReturnToPost :one
SELECT sqlc.embed(r), sqlc.embed(d), sqlc.embed(l), now()::timestamptz AS posted_at
FROM escrow_returns r
JOIN escrow_disbursements d ON d.id = r.disbursement_id
JOIN loans l ON l.id = d.loan_id
WHERE r.id = $1 AND r.status = 'requested'
FOR NO KEY UPDATE OF l, d, r;

-- MarkEscrowReturnPosted ends a return that was carried out.
--
-- name: MarkEscrowReturnPosted :exec
UPDATE escrow_returns SET status = 'posted', posted_at = @posted_at WHERE id = @id AND status = 'requested';

-- MarkEscrowReturnRejected ends a return that a rule refuses.
--
-- name: MarkEscrowReturnRejected :exec
UPDATE escrow_returns SET status = 'rejected', refusal = @refusal WHERE id = @id AND status = 'requested';

-- MarkDisbursementReturned says that money came back.
--
-- name: MarkDisbursementReturned :execrows
UPDATE escrow_disbursements SET status = 'returned', returned_on = @returned_on, return_reason = @return_reason::text
WHERE id = @id AND status <> 'returned';
